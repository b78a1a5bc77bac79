"""Files of the zoo that are one mechanism in two forms have the same values, and the same gradients for every input and weight."""

from __future__ import annotations

import pytest
import torch

import anatomy
from anatomy.rewrites.equality import equal
from anatomy.target import zoo_folder

torch.set_num_threads(1)
TWINS = (("causal_linear", "linear_recurrent"), ("retention", "retention_recurrent"), ("ssd_dual", "ssd"))
SIZES = {"d": 12, "h": 3, "a": 5, "j": 4}


@pytest.mark.parametrize(("parallel", "recurrent"), TWINS)
def test_two_forms_are_proved_equal(parallel: str, recurrent: str) -> None:
    left, right = anatomy.load(f"zoo:{parallel}"), anatomy.load(f"zoo:{recurrent}")
    found = equal(left, right, seconds=0)
    assert (found.same_term, found.normal_form, found.evaluation, found.counterexample) == (False, True, True, None)
    assert any(law.startswith("scan_") for side, law in found.derivation or () if side == "right")
    for name in (parallel, recurrent):
        other = recurrent if name == parallel else parallel
        heads = (zoo_folder() / f"recurrent/{name}.anat", zoo_folder() / f"kernel/{name}.anat")
        head = next(p for p in heads if p.exists()).read_text("utf-8")
        assert "# equal:" not in head or f"# equal: {other}, by the normal form" in head


@pytest.mark.parametrize("length", [1, 2, 37])
@pytest.mark.parametrize(("parallel", "recurrent"), TWINS)
def test_two_forms_have_the_same_gradients(parallel: str, recurrent: str, length: int) -> None:
    g = torch.Generator().manual_seed(length)
    x = torch.randn(2, length, 12, dtype=torch.float64, generator=g, requires_grad=True)
    probe = torch.randn(x.shape, dtype=torch.float64, generator=g)
    results = []
    for name in (parallel, recurrent):
        diagram = anatomy.load(f"zoo:{name}")
        net = anatomy.compile(diagram, {a: k for a, k in SIZES.items() if a in diagram.sizes}, lift=("b",), dtype=torch.float64)
        weights = net.state_dict(keep_vars=True)
        for seed, key in enumerate(sorted(weights)):
            torch.nn.init.normal_(weights[key], std=0.6, generator=torch.Generator().manual_seed(seed))
        y = net(x)
        keys = sorted(weights)
        slopes = torch.autograd.grad((y * probe).sum(), [x, *(weights[k] for k in keys)])
        results.append({"the output": y, "the input": slopes[0], **dict(zip(keys, slopes[1:], strict=True))})
    assert results[0].keys() == results[1].keys()
    for key, have in results[0].items():
        want = results[1][key]
        assert (have - want).abs().max() <= 1e-10 * max(1.0, want.abs().max().item()), key


@pytest.mark.parametrize(("left", "right"), [("retention", "lightning"), ("gated_delta", "delta_rule"), ("ssd", "ssd_dual")])
def test_the_test_can_fail(left: str, right: str) -> None:
    """Neighbours are told apart, and so is a twin with one constant changed."""
    from anatomy.errors import Source
    from anatomy.language.program import Program
    if right != "ssd_dual":
        assert equal(anatomy.load(f"zoo:{left}"), anatomy.load(f"zoo:{right}")).evaluation is not True
        return
    text = (zoo_folder() / "recurrent/ssd_dual.anat").read_text("utf-8")
    changed = text.replace("softplus(lin Wt", "2 * softplus(lin Wt", 1)
    assert changed != text
    assert equal(anatomy.load("zoo:ssd"), Program.of(Source("changed.anat", changed)).get("ssd_dual")).evaluation is False
