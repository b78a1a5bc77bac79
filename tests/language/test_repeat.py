"""`repeat`: turns are composed, their names and weights are their own, and what is written wrong is said where."""

from __future__ import annotations

import pytest
import torch

import anatomy
from anatomy.errors import AnatomyError, Source
from anatomy.ir.canonical import digest
from anatomy.language.program import Program
from anatomy.language.unparse import unparse

AXES = "axis n, m = n, d, e = d, a\n"
STEP = "diagram step(z: [d]) -> [d] { weight g: [d] ~ normal(1) out tanh(g * lin W[d -> e](z)[e -> d]) }\n"


def parsed(text: str, name: str = "it"):
    return anatomy.parse(AXES + text)[name]


def compiled(text: str, **sizes: int) -> torch.nn.Module:
    return anatomy.compile(parsed(text), sizes or {"d": 3, "a": 5}, dtype=torch.float64)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def refused(body: str, code: str) -> str:
    text = f"{AXES}diagram it(x: [n, d]) -> [n, d] {{ {body} }}"
    found = Program.of(Source("a.anat", text)).check()
    assert [d.code for d in found] == [code], [d.message for d in found]
    return found[0].message


def test_fresh_weights_for_every_turn() -> None:
    net = compiled(
        "diagram it(x: [n, d]) -> [n, d] { repeat 3 (z = x) { h = lin W[d -> a](z) next z = z + lin U[a -> e](relu(h))[e -> d] } out z }"
    )
    assert list(net.state_dict()) == [f"{t}.{k}" for t in range(3) for k in ("W", "W.bias", "U", "U.bias")]
    state, x = net.state_dict(), draw(4, 3)
    z = x
    for t in range(3):
        h = z @ state[f"{t}.W"] + state[f"{t}.W.bias"]
        z = z + h.relu() @ state[f"{t}.U"] + state[f"{t}.U.bias"]
    torch.testing.assert_close(net(x), z, rtol=1e-13, atol=1e-13)
    assert len({net.state_dict()[f"{t}.W"].sum().item() for t in range(3)}) == 3


def test_tied_turns_share_all_weights_those_of_calls_too() -> None:
    net = compiled(STEP + "diagram it(x: [n, d]) -> [n, d] { repeat tied 3 (z = x) { next z = step(z) - step@other(z) } out z }")
    assert list(net.state_dict()) == [f"{c}.{k}" for c in ("step", "other") for k in ("g", "W", "W.bias")]
    state, z = net.state_dict(), draw(4, 3)
    x = z
    for _ in range(3):
        a, b = ((state[f"{c}.g"] * (z @ state[f"{c}.W"] + state[f"{c}.W.bias"])).tanh() for c in ("step", "other"))
        z = a - b
    torch.testing.assert_close(net(x), z, rtol=1e-13, atol=1e-13)


def test_it_is_the_graph_that_is_written_out() -> None:
    turn = "lin W{0}[d -> a](z{0}) z{1} = z{0} + lin U{0}[a -> e](relu(h{0}))[e -> d] "
    out = "diagram it(x: [n, d]) -> [n, d] { z0 = x " + "".join(f"h{t} = " + turn.format(t, t + 1) for t in range(3)) + "out z3 }"
    loop = "diagram it(x: [n, d]) -> [n, d] { repeat 3 (z = x) { h = lin W[d -> a](z) next z = z + lin U[a -> e](relu(h))[e -> d] } out z }"
    assert digest(parsed(loop)) == digest(parsed(out))
    tied = "diagram it(x: [n, d]) -> [n, d] { h = lin W[d -> a](x) y = lin W(relu(h)[a -> d]) out y[a -> d] }"
    again = "diagram it(x: [n, d]) -> [n, d] { repeat tied 2 (z = x) { next z = lin W[d -> a](z)[a -> d] } out z }"
    fixed = AXES.replace(", a", ", a = d")
    one, two = (anatomy.parse(fixed + t.replace("relu(h)", "h"))["it"] for t in (tied, again))
    assert digest(one) == digest(two)
    assert digest(parsed(loop)) != digest(parsed(loop.replace("repeat 3", "repeat tied 3")))


@pytest.mark.parametrize("form", ["repeat 3", "repeat tied 3"])
def test_lanes_around_and_inside(form: str) -> None:
    outside = f"diagram it(x: [n, d]) -> [n, d] {{ simd n {{ {form} (z = x) {{ next z = step(z) }} }} out z }}"
    inside = f"diagram it(x: [n, d]) -> [n, d] {{ {form} (z = x) {{ simd n {{ next z = step(z) }} }} out z }}"
    bare = f"diagram it(x: [n, d]) -> [n, d] {{ {form} (z = x) {{ next z = step(z) }} out z }}"
    assert len({digest(parsed(STEP + t)) for t in (outside, inside, bare)}) == 1
    late = compiled("diagram it(x: [n, d]) -> [n, d] { simd n { repeat 2 (z = 1) { next z = z + sum[d](x) } out expand[d](z) } }")
    x = draw(4, 3)
    torch.testing.assert_close(late(x), (1 + 2 * x.sum(1))[:, None].expand(4, 3))


def test_several_states_follow_one_another_at_once() -> None:
    net = compiled("diagram it(x: [n, d]) -> [n, d] { repeat 10 (f = x, g = x) { next f = g next g = f + g } out f }")
    x = draw(4, 3)
    torch.testing.assert_close(net(x), 89 * x)


def test_an_iterative_inverse() -> None:
    """Newton and Schulz, as in Nystromformer: six turns of a polynomial bring an inverse near."""
    loop = """axis n, m = n, c = n
    diagram it(a: [n, m]) -> [n, m] {
      z0 = a[n -> m, m -> n] / (max[n](sum[m](abs(a))) * max[m](sum[n](abs(a))))
      i = where(n == c, 1, 0)
      repeat tied 8 (z = z0) {
        az = dot[m](a, z[n -> m, m -> c])
        p = 7 * i - az
        q = 15 * i - dot[m](az[c -> m], p[n -> m])
        r = 13 * i - dot[m](az[c -> m], q[n -> m])
        next z = dot[c](z[m -> c], r[n -> c, c -> m]) / 4
      }
      out z
    }"""
    net = anatomy.compile(anatomy.parse(loop)["it"], {}, dtype=torch.float64)
    a = torch.eye(4, dtype=torch.float64) + 0.2 * draw(4, 4)
    z, eye = a.T / (a.abs().sum(1).max() * a.abs().sum(0).max()), torch.eye(4, dtype=torch.float64)
    for _ in range(8):
        az = a @ z
        z = z @ (13 * eye - az @ (15 * eye - az @ (7 * eye - az))) / 4
    torch.testing.assert_close(net(a), z, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(net(a), torch.linalg.inv(a), rtol=1e-8, atol=1e-8)


def test_names_are_the_turn_s_own_and_states_remain() -> None:
    parsed("diagram it(x: [n, d]) -> [n, d] { repeat 2 (z = x) { y = exp(z) next z = y } y = z * z out y + z }")
    assert "twice" in refused("y = x repeat 2 (z = y) { y = z next z = y } out z", "E204")
    assert "twice" in refused("repeat 2 (x = x) { next x = x } out x", "E204")
    assert "`y`" in refused("repeat 2 (z = x) { y = z next z = exp(y) } out z * y", "E202")
    assert "`y`" in refused("repeat 2 (z = x) { y = z next z = exp(z) } out z", "W201")
    assert "outer sum" in refused("s = sum[d](x) t = sum[n](x) repeat 3 (z = x) { next z = z * (s + t) } out z", "W301")


def test_loops_in_loops_and_beside_one_another() -> None:
    two = "repeat 2 (z = x) { repeat tied 2 (y = z) { next y = step(y) } repeat 2 (u = y) { next u = step(u) } next z = u } repeat 2 (w = z) { next w = step(w) } out w"
    net = compiled(STEP + f"diagram it(x: [n, d]) -> [n, d] {{ {two} }}")
    calls = list(dict.fromkeys(k.rsplit(".step")[0] for k in net.state_dict()))
    assert calls == ["0", "0.0", "0.1", "1", "1.0", "1.1", "0_2", "1_2"]
    state = net.state_dict()

    def step(path: str, z: torch.Tensor) -> torch.Tensor:
        return (state[f"{path}.step.g"] * (z @ state[f"{path}.step.W"] + state[f"{path}.step.W.bias"])).tanh()

    x = z = draw(4, 3)
    for path in ("0", "0", "0.0", "0.1", "1", "1", "1.0", "1.1", "0_2", "1_2"):
        z = step(path, z)
    torch.testing.assert_close(net(x), z, rtol=1e-13, atol=1e-13)


def test_learners_from_outside_are_shared_and_those_inside_may_be_tied() -> None:
    net = compiled("diagram it(x: [n, d]) -> [n, d] { y = lin W[d -> e](x)[e -> d] repeat 2 (z = y) { next z = lin W(z)[e -> d] } out z }")
    assert list(net.state_dict()) == ["W", "W.bias"]
    tied = "repeat 2 (z = x) { y = lin W[d -> e](z)[e -> d] next z = lin V[d -> e](y)[e -> d] tie W, V }"
    net = compiled(f"diagram it(x: [n, d]) -> [n, d] {{ {tied} out z }}")
    assert sum(p.numel() for p in net.parameters()) == 2 * (9 + 3 + 3)
    net = compiled(f"diagram it(x: [n, d]) -> [n, d] {{ {tied.replace('2', 'tied 2')} out z }}")
    assert sum(p.numel() for p in net.parameters()) == 9 + 3 + 3
    state, x = net.state_dict(), draw(4, 3)
    z = x
    for _ in range(2):
        z = (z @ state["W"] + state["W.bias"]) @ state["V"] + state["V.bias"]
    torch.testing.assert_close(net(x), z, rtol=1e-13, atol=1e-13)


def test_parts_and_loops_along_axes() -> None:
    part = "repeat 2 (z = x) { part act(v: [d]) -> [d] { out tanh(lin W[d -> e](v)[e -> d]) } next z = act(z) }"
    assert list(compiled(f"diagram it(x: [n, d]) -> [n, d] {{ {part} out z }}").state_dict()) == [f"{t}.act.{k}" for t in (0, 1) for k in ("W", "W.bias")]
    scan = "repeat 2 (z = x) { scan n (s: [d] = 0) { next s = s + tanh(z) } next z = s + x }"
    net = compiled(f"diagram it(x: [n, d]) -> [n, d] {{ {scan} out z }}")
    x = z = draw(4, 3)
    for _ in range(2):
        z = torch.cat([torch.zeros(1, 3, dtype=torch.float64), z.tanh().cumsum(0)[:-1]]) + x
    torch.testing.assert_close(net(x), z)
    turned = "scan n (s: [d] = 0) { repeat 2 (z = s) { next z = tanh(z + x) } next s = z } out s"
    net = compiled(f"diagram it(x: [n, d]) -> [n, d] {{ {turned} }}")
    state, want = torch.zeros(3, dtype=torch.float64), []
    for row in x:
        want.append(state)
        state = ((state + row).tanh() + row).tanh()
    torch.testing.assert_close(net(x), torch.stack(want))


def test_holes_get_the_keys_of_parts() -> None:
    from anatomy.spaces.space import Space

    text = """diagram it(x: [n, d]) -> [n, d] {
      repeat 2 (z = x) { part act(v: [d]) -> [d] { out tanh(lin W[d -> e](v)[e -> d]) } next z = act@first(z) + act(z) }
      out act(z)
    }
    family all of it { choose act in { it.act } }"""
    program = Program.of(Source("a.anat", AXES + text))
    assert program.check() == ()
    filled, plain = Space(program.space("all"))[0].diagram, program.get("it")
    assert [w.key for w in filled.weights] == [w.key for w in plain.weights]
    assert {w.key.rpartition(".W")[0] for w in plain.weights} == {"0.first", "0.act", "1.first", "1.act", "act"}
    assert digest(filled) == digest(plain)
    tied = Program.of(Source("a.anat", AXES + text.replace("repeat", "repeat tied")))
    assert "E507" in [d.code for d in tied.check()]


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("repeat 65 (z = x) { next z = z } out z", "E507", "1 to 64 turns"),
        ("repeat 0 (z = x) { next z = z } out z", "E507", "1 to 64 turns"),
        ("repeat n (z = x) { next z = z } out z", "E507", "must be a number"),
        ("repeat 2 (z = x) { out z }", "E507", "stands in a `repeat`"),
        ("repeat 2 (z = x) { y = z } out z", "E506", "no `next`"),
        ("repeat 2 (z = x) { next z = z next z = z } out z", "E506", "twice"),
        ("repeat 2 (z = x) { next y = z } out z", "E506", "no state"),
        ("next z = x out x", "E506", "`next`"),
        ("repeat 2 (z = x) { next z = sum[n](z) } out z", "E308", "`[d]`"),
        ("repeat 2 (z = 0) { next z = z + x } out z", "E308", "`z` is `[]`"),
        ("repeat 2 (z = x) { next z = z < 0 } out z", "E307", "mask"),
        ("repeat 9 (z = x) { y = nothing next z = z + y } out z", "E202", "nothing"),
        ("repeat 2 (z = nothing) { next z = z } out z", "E202", "nothing"),
    ],
)
def test_what_is_refused(body: str, code: str, words: str) -> None:
    assert words in refused(body, code)


def test_turns_are_counted_before_any_is_built() -> None:
    deep = "next a = exp(a)"
    for inner, outer in (("a", "b"), ("b", "c"), ("c", "z")):
        deep = f"repeat 64 ({inner} = {outer}) {{ {deep} }} next {outer} = {inner}"
    text = f"{AXES.replace(', a', '')}diagram it(x: [n, d]) -> [n, d] {{ repeat 64 (z = x) {{ {deep} }} out z }}"
    with pytest.raises(AnatomyError) as caught:
        anatomy.parse(text)
    assert [d.code for d in caught.value.diagnostics] == ["E502"]
    turn = "y0 = x " + " ".join(f"y{k + 1} = exp(y{k})" for k in range(100))
    calls = f"diagram f(x: [n, d]) -> [n, d] {{ {turn} out y100 }}\n"
    nested = "repeat 64 (z = x) { repeat 64 (y = z) { next y = f(y) } next z = y }"
    with pytest.raises(AnatomyError) as caught:
        anatomy.parse(f"{AXES}{calls}diagram it(x: [n, d]) -> [n, d] {{ {nested} out z }}")
    assert [d.code for d in caught.value.diagnostics] == ["E502"]


def test_it_prints_as_what_it_is() -> None:
    it = parsed(STEP + "diagram it(x: [n, d]) -> [n, d] { repeat 2 (z = x) { repeat tied 2 (y = z) { next y = step(y) } next z = y } out z }")
    text = unparse(it)
    assert digest(anatomy.parse(text)["it"]) == digest(it)
