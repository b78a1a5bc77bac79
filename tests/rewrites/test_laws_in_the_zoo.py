"""Every law, wherever it matches in a member of the zoo, leaves what the member computes as it is: against the compiled modules."""

import random
from pathlib import Path

import pytest
import torch

from anatomy.compiler import build
from anatomy.errors import AnatomyError, Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from anatomy.rewrites import trial
from anatomy.rewrites.apply import apply
from anatomy.rewrites.equality import equal
from anatomy.rewrites.finite import blocking
from anatomy.rewrites.library import library
from anatomy.rewrites.match import matches

ZOO = Path(__file__).resolve().parents[2] / "zoo"
MEMBERS = [
    "softmax/mha", "softmax/cross", "mask/causal_mha", "mask/nsa", "heads/gqa", "heads/mla", "heads/tpa", "heads/talking_heads",
    "kernel/linear", "kernel/efficient", "kernel/causal_linear", "position/alibi", "position/transformer_xl", "score/bahdanau",
    "score/luong_general", "recurrent/retention_recurrent", "recurrent/delta_rule", "recurrent/gla", "mixing/aft_full",
    "normaliser/sigmoid_attention", "normaliser/softmax_one", "pooling/external",
]  # fmt: skip


def member(name: str) -> Diagram:
    program = Program.of_file(ZOO / f"{name}.anat")
    return program.get(program.names()[-1])


def compiled(diagram: Diagram) -> tuple[dict[str, int], torch.nn.Module]:
    """At the largest of the small sizes that it can be compiled at: `topk` needs as many entries as it takes."""
    for sizes, _ in reversed(trial.assignments(diagram, diagram, random.Random(0))):
        try:
            return sizes, build(diagram, sizes, dtype=torch.float64)
        except AnatomyError:
            continue
    raise AssertionError(diagram.name)


@pytest.mark.parametrize("name", MEMBERS)
def test_laws_keep_what_a_member_computes(name: str) -> None:
    diagram = member(name)
    sizes, before = compiled(diagram)
    generator = torch.Generator().manual_seed(0)
    state = {
        k: torch.randn(v.shape, generator=generator, dtype=torch.float64) / 2 for k, v in before.state_dict().items()
    }
    before.load_state_dict(state)
    given = [
        torch.randn([sizes[a] for a in i.layout], generator=generator, dtype=torch.float64) for i in diagram.inputs
    ]
    expected = before(*given)
    used = 0
    for rule in library():
        for match in [m for m in matches(diagram, rule) if blocking(diagram, m) is None][:3]:
            after = apply(diagram, match)
            module = build(after, {a: sizes[a] for a in after.sizes if a in sizes}, dtype=torch.float64)
            module.load_state_dict({k: state[k] for k in module.state_dict()})
            found = module(*given)
            assert torch.allclose(found, expected, rtol=1e-9, atol=1e-9), (rule.name, match.root)
            used += 1
    assert used


def test_positions_are_reals_to_a_law() -> None:
    """RoPE sees distances only: found in a member whose angles are positions, and turned round into one rotation."""
    diagram = member("heads/gqa")
    found = [m for rule in library() if rule.name == "rope_relative" for m in matches(diagram, rule)]
    assert found
    assert {diagram.nodes[diagram.producer[m.wires[p].wire][0]].op.word for m in found for p in ("x", "y")} == {"iota"}
    assert all(len(apply(diagram, m).nodes) < len(diagram.nodes) for m in found)


def test_a_law_leaves_no_index_where_a_real_was() -> None:
    text = "axis n, m diagram look(x: [n], i: index(m)[n]) -> [n] { out dot[m](where(m == i, 1, 0), iota[m]) * x + (iota[n] + 0) }"
    diagram = Program.of(Source("look.anat", text)).get("look")
    for rule in library():
        for match in matches(diagram, rule):
            after = apply(diagram, match)
            kinds = [after.wires[o.port.wire].kind.name for o in after.outputs]
            assert kinds == ["real"], rule.name
            assert equal(diagram, after).evaluation is True, rule.name
