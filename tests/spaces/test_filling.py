"""Filling a hole gives the diagram that a hand would have written with a call in its place (ruling 20)."""

import numpy as np
import pytest
import torch
from space_texts import AXES, LAYER, program, space

from anatomy.compiler import build
from anatomy.errors import AnatomyError, Source
from anatomy.ir.canonical import digest
from anatomy.language.program import Program
from anatomy.spaces import Space, fill


def written(choices: dict[str, str]) -> str:
    """The layer with diagrams named where the holes stand."""
    text = "\n".join(line for line in LAYER.splitlines() if not line.strip().startswith("hole"))
    for hole, option in choices.items():
        text = text.replace(f"{hole}(", f"{option}(")
    return text.partition("space small")[0]


@pytest.mark.parametrize("index", range(6))
def test_filled_equals_written_by_hand(index: int) -> None:
    member = space()[index]
    assert digest(member.diagram) == digest(program(written(dict(member.choices))).get("layer"))


def test_filled_computes_what_is_written_by_hand() -> None:
    member = space()[2]
    by_hand = program(written(dict(member.choices))).get("layer")
    sizes = {"d": 6, "a": 5}
    mine, theirs = (build(d, sizes, seed=3, dtype=torch.float64) for d in (member.diagram, by_hand))
    state = {k.replace("additive", "score").replace("plain", "feature"): v for k, v in theirs.state_dict().items()}
    mine.load_state_dict(state)
    x = torch.randn(7, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(mine(x).detach(), theirs(x).detach(), rtol=0, atol=1e-13)


def test_each_use_of_a_hole_has_its_own_weights_and_inner_axes() -> None:
    found = program(LAYER)
    filled = fill(found.get("layer"), {"feature": found.get("learnt"), "score": found.get("additive")}, "filled")
    keys = [w.key for w in filled.weights]
    assert [k for k in keys if k.startswith("feature")] == ["feature.F", "feature.F.bias", "feature_2.F", "feature_2.F.bias"]
    assert {"score.u", "score.W", "score.U"} <= set(keys)
    assert {"feature.a", "feature_2.a", "score.a"} <= set(filled.sizes)
    assert not filled.holes


def test_labels_do_not_meet_weights_of_the_base() -> None:
    text = AXES + """
    diagram base(x: [n, d]) -> [n, d] {
      hole h(x: [d]) -> [d]
      weight h_2: [d] ~ ones
      out h(h(x) * h_2)
    }
    diagram filler(x: [d]) -> [d] { weight w: [d] ~ ones out x * w }
    space s of base { choose h in { filler } }
    """
    assert [w.key for w in space(text, "s")[0].diagram.weights] == ["h_2", "h.w", "h_3.w"]


def test_equations_of_a_filler_are_inherited() -> None:
    text = """axis n, e, r
    diagram base(x: [n, e]) -> [n, e] { hole turn(x: [e]) -> [e] out turn(x) }
    diagram swap(x: [e]) -> [e] where e = 2 * r { lo, hi = halves[e -> r](x) out cat[r -> e](hi, -lo) }
    space s of base { choose turn in { swap } }
    """
    diagram = space(text, "s")[0].diagram
    x = torch.arange(8.0).reshape(2, 4)
    assert build(diagram, {"e": 4})(x).tolist() == [[2, 3, 0, -1], [6, 7, -4, -5]]
    with pytest.raises(AnatomyError, match="E402"):
        build(diagram, {"e": 5})


def test_an_option_whose_equation_is_not_proved_is_refused_and_not_counted() -> None:
    text = """axis n, e, f
    diagram base(x: [n, e], y: [n, f]) -> [n, e] { hole join(x: [e], y: [f]) -> [e] out join(x, y) }
    diagram level(x: [e], y: [f]) -> [e] where f = e { out x + dot[f](y, y) }
    diagram first(x: [e], y: [f]) -> [e] { out x + sum[f](y) }
    space s of base { choose join in { level, first } }
    """
    found = space(text, "s")
    assert (found.derivations, found.count) == (2, 1)
    assert found.refused[0].label == "level"
    assert found[0].choices == {"join": "first"}
    alone = text.replace("{ level, first }", "{ level }")
    assert [d.code for d in Program.of(Source("test.anat", alone)).check()] == ["E604"]


def test_a_filler_that_ignores_an_argument_keeps_the_type() -> None:
    text = """axis n, m = n, e
    diagram base(x: [n, e]) -> [n, e] {
      hole score(q: [e], k: [e]) -> []
      z = x[n -> m]
      simd n, m { s = score(x, z) }
      out dot[m](softmax[m](s), z)
    }
    diagram by_key(q: [e], k: [e]) -> [] { _q = q out sum[e](k) }
    diagram flat(q: [e], k: [e]) -> [] { _q = q _k = k weight c: [e] ~ ones out sum[e](c) }
    space s of base { choose score in { by_key, flat } }
    """
    found = space(text, "s")
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = torch.softmax(x.sum(1), 0) @ x
    for index, row in ((0, expected), (1, x.mean(0))):
        y = build(found[index].diagram, {"e": 3}, dtype=torch.float64)(x)
        torch.testing.assert_close(y, row.expand(5, 3), rtol=0, atol=1e-12)


def test_holes_left_open_are_refused() -> None:
    found = program(LAYER)
    with pytest.raises(AnatomyError, match="E605"):
        fill(found.get("layer"), {"feature": found.get("plain")}, "open")


LOOP = """
axis n, d
diagram walk(x: [n, d]) -> [n, d] {
  hole bend(v: [d]) -> [d]
  part write(s: [d], x: [d]) -> [d] { out 0.5 * s + x }
  scan n (s: [d] = 0) {
    y = write(s, bend(x))
    next s = y
  }
  out y
}
diagram squash(v: [d]) -> [d] { out tanh(v) }
diagram mixed(s: [d], x: [d]) -> [d] {
  weight u: [d] ~ normal(1)
  out u * s * x
}
family walks of walk { choose bend in { squash } choose write in { walk.write, mixed } }
"""


def test_holes_and_parts_inside_a_loop_are_filled() -> None:
    found = program(LOOP)
    with pytest.raises(AnatomyError) as caught:
        build(found.get("walk"), {"d": 3})
    assert [d.code for d in caught.value.diagnostics] == ["E501"]
    definition = found.space("walks")
    assert definition is not None
    nets = [build(m.diagram, {"d": 3}, dtype=torch.float64) for m in Space(definition)]
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    state = nets[1].state_dict()
    assert [*nets[0].state_dict(), *state] == ["write.u"]
    for net, step in zip(nets, (lambda s, v: 0.5 * s + v, lambda s, v: state["write.u"] * s * v), strict=True):
        s, rows = torch.zeros_like(x[0]), []
        for v in x:
            s = step(s, torch.tanh(v))
            rows.append(s)
        torch.testing.assert_close(net(x).detach(), torch.stack(rows), rtol=0, atol=1e-13)


def test_a_part_of_a_called_diagram_can_be_chosen() -> None:
    text = (
        AXES + "diagram core(v: [d]) -> [d] { part act(v: [d]) -> [d] { out relu(v) } out act(v) } "
        "diagram block(v: [d]) -> [d] { out core(v) } diagram net(v: [d]) -> [d] { out v + block(v) } "
        "diagram bend(v: [d]) -> [d] { out tanh(v) } family nets of net { choose act in { bend } }"
    )
    found = program(text)
    (member,) = Space(found.space("nets"))
    by_hand = program(text.replace("out relu(v) } out act(v)", "out tanh(v) } out act(v)"))
    assert member.choices == {"act": "bend"}
    assert digest(member.diagram) == digest(by_hand.get("net"))
