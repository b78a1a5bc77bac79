"""What depends on sizes alone is computed once, kept, and never in the way of gradients, copies, precision or tracing."""

from __future__ import annotations

import copy
import io
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import anatomy
from anatomy.compiler import ALL, build, generate
from tests.compiler.agreement import diagram

torch.set_num_threads(1)
D = torch.float64


TURNED = """
axis n, d
diagram turned(x: [n, d]) -> [n, d] { weight w: [d] ~ normal(1)
  t = cos(iota[n] * 0.1 ^ iota[d])
  out x * t * w }
"""


def without(source: str) -> str:
    return source[source.index("    def forward") :]


def test_tables_stand_in_a_method_of_their_own() -> None:
    made = generate(diagram(TURNED), {"d": 3})
    assert "torch.cos" not in without(made.source)
    assert "def _static(self, x, n):" in made.source
    (note,) = [n for n in made.notes if n.name == "static"]
    assert note.text.endswith("depends on sizes alone: it is computed once and kept")
    assert note.line == 4
    plain = generate(diagram(TURNED), {"d": 3}, passes=tuple(p for p in ALL if p != "static"))
    assert "_static" not in plain.source
    assert "torch.cos" in without(plain.source)
    assert generate(diagram(TURNED), {"d": 3}).source == made.source


def test_nothing_is_kept_where_nothing_is_saved() -> None:
    assert "_static" not in anatomy.source(anatomy.load("zoo:mha"), {"d": 4, "h": 2})
    assert "_static" not in anatomy.source(anatomy.load("zoo:causal_mha"), {"d": 4, "h": 2})


def counted(net: nn.Module, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every call of the method."""
    calls: list[int] = []
    make = net._static
    monkeypatch.setattr(net, "_static", lambda *a: calls.append(1) or make(*a))
    return calls


def test_the_last_few_sizes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    net = build(diagram(TURNED), {"d": 3}, (), 0, D)
    calls = counted(net, monkeypatch)
    for n in (5, 5, 6, 5, 6):
        net(torch.ones(n, 3, dtype=D))
    assert len(calls) == 2
    for n in range(7, 11):
        net(torch.ones(n, 3, dtype=D))
    assert len(net._tables) == 4
    assert len(calls) == 6
    net(torch.ones(5, 3, dtype=D))
    assert len(calls) == 7


def test_precision_belongs_to_the_key() -> None:
    net = build(diagram(TURNED), {"d": 3})
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float32):
        y = net.to(dtype)(torch.ones(5, 3, dtype=dtype))
        assert y.dtype == dtype
    with torch.autocast("cpu", torch.bfloat16):
        net(torch.ones(5, 3))
    assert len(net._tables) == 4


def test_state_copies_and_pickles_are_without_tables(tmp_path: Path) -> None:
    net = build(diagram(TURNED), {"d": 3}, (), 0, D)
    x = torch.randn(5, 3, dtype=D)
    y = net(x)
    assert set(net.state_dict()) == {"w"}
    twin = copy.deepcopy(net)
    assert len(net._tables) == 1
    assert len(twin._tables) == 0
    assert torch.equal(twin(x), y)
    path = tmp_path / "turned_of_sizes.py"
    path.write_text(net.source)
    import importlib.util
    import sys

    spec = importlib.util.spec_from_file_location("turned_of_sizes", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["turned_of_sizes"] = module
    spec.loader.exec_module(module)
    first = module.Turned(dtype=D)
    first.load_state_dict(net.state_dict())
    first(x)
    kept = io.BytesIO()
    torch.save(first, kept)
    kept.seek(0)
    second = torch.load(kept, weights_only=False)
    del sys.modules["turned_of_sizes"]
    assert len(second._tables) == 0
    assert torch.equal(second(x), y)


def test_tables_that_were_made_in_inference_serve_training() -> None:
    net = build(diagram(TURNED), {"d": 3}, (), 0, D)
    x = torch.randn(5, 3, dtype=D)
    with torch.inference_mode():
        net(x)
    with torch.no_grad():
        net(torch.randn(6, 3, dtype=D))
    for n in (5, 6):
        x = torch.randn(n, 3, dtype=D, requires_grad=True)
        (g,) = torch.autograd.grad(net(x).sum(), x)
        assert torch.isfinite(g).all()
    assert not any(t.requires_grad or t.is_inference() for made in net._tables.values() for t in made)


def test_transforms_and_tracers_compute_anew() -> None:
    net = build(diagram(TURNED), {"d": 3}, (), 0, D)
    x = torch.randn(4, 5, 3, dtype=D)
    wanted = torch.stack([build(diagram(TURNED), {"d": 3}, (), 0, D)(row) for row in x])
    torch.testing.assert_close(torch.func.vmap(net)(x), wanted)
    assert torch.isfinite(torch.func.grad(lambda a: net(a).sum())(x[0])).all()
    torch.func.jvp(net, (x[0],), (x[0],))
    assert len(net._tables) == 0
    program = torch.export.export(net, (x[0],), dynamic_shapes={"x": {0: torch.export.Dim("n", min=2, max=64)}})
    assert len(net._tables) == 0
    other = torch.randn(9, 3, dtype=D)
    torch.testing.assert_close(program.module()(other), net(other))
    torch.testing.assert_close(torch.compile(net, backend="eager", fullgraph=True)(other), net(other))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sizes as constants, which is what is asked for
        traced = torch.jit.trace(build(diagram(TURNED), {"d": 3}, (), 0, D), (x[0],))
    torch.testing.assert_close(traced(x[1]), net(x[1]))
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True):
        build(diagram(TURNED), {"d": 3}, (), 0, D)(x[0])
    assert all(type(t) is Tensor for made in net._tables.values() for t in made)


def test_an_output_is_a_copy() -> None:
    net = build(diagram("axis n, d\ndiagram only(x: [n, d]) -> [n], [n, d] { out iota[n] * 2, x + iota[n] * 2 }"), {"d": 2}, (), 0, D)
    x = torch.zeros(3, 2, dtype=D)
    first, _ = net(x)
    first += 1
    assert torch.equal(net(x)[0], torch.tensor([0.0, 2.0, 4.0], dtype=D))


def test_a_diagram_of_weights_alone_has_tables_too() -> None:
    d = diagram("axis n = 4\ndiagram rows() -> [n] { weight w: [n] ~ normal(1)\n out w * sin(iota[n]) }")
    net = build(d, {}, (), 0, D)
    assert "def _static(self, like):" in net.source
    torch.testing.assert_close(net(), build(d, {}, (), 0, D, ())())


def test_no_input_and_no_weight() -> None:
    d = diagram("axis n = 4\ndiagram rows() -> [n] { out sin(iota[n]) }")
    torch.testing.assert_close(build(d, {})(), torch.sin(torch.arange(4.0)))


def test_what_a_loop_does_not_change_stands_before_it() -> None:
    text = """
axis n, d, e
diagram loop(x: [n, d]) -> [n, d] {
  weight w: [d, e] ~ normal(1)
  scan n (s: [d] = 0) {
    next s = tanh(s * dot[e](w, exp(w)) + x * cos(iota[d]))
    y = s * 2
  }
  out y
}
"""
    d = diagram(text)
    made = generate(d, {"d": 3, "e": 2})
    forward = without(made.source)
    loop = forward[forward.index("        for ") :]
    assert "torch.cos" not in loop
    assert "torch.exp" not in loop
    assert "torch.exp" in without(made.source)
    assert "torch.cos" not in without(made.source)
    x = torch.randn(5, 3, dtype=D)
    torch.testing.assert_close(build(d, {"d": 3, "e": 2}, (), 0, D)(x), build(d, {"d": 3, "e": 2}, (), 0, D, ())(x), rtol=1e-12, atol=1e-12)


def test_weights_are_never_kept() -> None:
    d = diagram("axis n, m, d\ndiagram soft(x: [n, d]) -> [n, d] { weight r: [d] ~ normal(1)\n out x * exp(r * iota[d]) }")
    net = build(d, {"d": 3}, (), 0, D)
    x = torch.randn(5, 3, dtype=D)
    before = net(x)
    with torch.no_grad():
        net.r += 1
    assert not torch.equal(net(x), before)
