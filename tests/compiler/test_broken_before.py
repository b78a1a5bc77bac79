"""Diagrams on which an optimised module was once wrong, or raised where the plain one did not: each by what the compiler took for granted."""

from __future__ import annotations

import sys

import pytest
import torch

from anatomy.compiler import build, generate
from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from tests.compiler.agreement import agree

torch.set_num_threads(1)
SIZES = {"h": 3, "e": 9, "f": 8, "d": 2, "c": 3}
QKV = "q: [n, e], k: [n, e], v: [n, f]"
KEYS = "q: [n, e], key: [n, e], val: [n, f]"


def diagram(text: str) -> Diagram:
    program = Program.of(Source("broken.anat", "axis n, m = n, h, e, f, d, c\n" + text))
    assert [found.message for found in program.check() if found.severity == "error"] == []
    return program.get(program.names()[-1])


def causal(score: str, weights: str = "softmax[m](t)") -> str:
    return f"diagram t({QKV}) -> [n, f] {{ s = dot[e](q, k[n -> m]) t = causal[m <= n]({score}) out dot[m]({weights}, v[n -> m]) }}"


def loop(inputs: str, step: str, result: str = "[n, h, f]", start: str = "s: [e, f] = 0", last: str = "") -> str:
    return f"diagram t({inputs}) -> {result} {{ simd h {{ scan n ({start}) {{ {step} next s = s2 y = dot[e](q, s2) }} }} out y{last} }}"


CASES = {
    # The kernel hides scores and then scales them: -inf times a scale that is not above 0.
    "a causal score turned round": causal("-s"),
    "a scale below 0": causal("s * -2"),
    "a divisor below 0": causal("s / -2"),
    "a scale of 0": causal("s * 0"),
    "a scale of sizes that is below 0": causal("s / (size[e] - 10)"),
    "distances, the far ones first": f"diagram t({QKV}) -> [n, f] {{ t = causal[m <= n](sum[e](square(q - k[n -> m]))) out dot[m](softmax[m](t), v[n -> m]) }}",
    "two products, both taken off": f"diagram t({QKV}) -> [n, f] {{ s = dot[e](q, k[n -> m]) r = dot[e](k, q[n -> m]) out dot[m](softmax[m](causal[m <= n](-(s + r))), v[n -> m]) }}",
    # Biases are divided by the scale.
    "a scale of 0 beside a bias": f"diagram t({QKV}, b: [n]) -> [n, f] {{ s = dot[e](q, k[n -> m]) t = (size[e] - 9) * s + b[n -> m] out dot[m](softmax[m](t), v[n -> m]) }}",
    # Lanes that only the decay has.
    "a decay of keys for heads with one key": loop("q: [n, h, e], k: [n, e], v: [n, h, f], a: [n, h, e]", "s2 = sigmoid(a) * s + k * v"),
    "a decay of keys without steps": loop("q: [n, h, e], k: [n, e], v: [n, h, f], a: [h, e]", "s2 = sigmoid(a) * s + k * v"),
    "heads in a decay of keys alone": loop(f"{QKV}, a: [n, h, e]", "s2 = sigmoid(a) * s + k * v"),
    "heads in a decay of values alone": loop(f"{QKV}, a: [n, h, f]", "s2 = sigmoid(a) * s + k * v"),
    "heads in a decay of steps alone": loop(f"{QKV}, a: [n, h]", "s2 = sigmoid(a) * s + k * v"),
    "a corrected state with decays of heads": loop("q: [n, e], k: [n, e], v: [n, f], a: [n, h, e]", "o = sigmoid(a) * s s2 = o + k * (v - dot[e](k, o)) / 9"),
    # Lanes that only queries have, and the last state.
    "more queries than states": loop("q: [n, h, e], k: [n, e], v: [n, f]", "s2 = 0.5 * s + k * v", "[n, h, f], [e, f]", last=", s.last"),
    "more queries than corrected states": loop("q: [n, h, e], k: [n, e], v: [n, f]", "s2 = s + k * (v - dot[e](k, s)) / 9", "[n, h, f], [e, f]", last=", s.last"),
    # Axes that only the state was declared with.
    "a repeated state": "diagram t(q: [n, e], k: [n, e], v: [n, f]) -> [n, f, d] { scan n (s: [e, f, d] = 0) { s2 = s + k * v next s = s2 y = dot[e](q, s2) } out y }",
    "a repeated state, summed": "diagram t(q: [n, e], k: [n, e], v: [n, f]) -> [n, f] { scan n (s: [e, f, d] = 0) { s2 = 0.9 * s + k * v next s = s2 y = dot[e](q, s2) } out sum[d](y) }",
    # Values and divisors with axes of the keys.
    "values of keys": "diagram t(q: [n, e], k: [n, e], v: [n, e, f]) -> [n, f] { scan n (s: [e, f] = 0) { s2 = s + k * (v - dot[e](k, s)) / 9 next s = s2 y = dot[e](q, s2) } out y }",
    "a divisor of keys and values": f"diagram t({QKV}, z: [e, f]) -> [n, f] {{ s = cumsum[n](k * v / (1 + z * z)) out dot[e](q, s) }}",
    # Divisors and decays with axes that are summed inside.
    "a divisor inside a sum": f"diagram t({KEYS}, z: [e]) -> [n, f] {{ k = key[n -> m] w = where(iota[m] <= iota[n], sum[e](q * k / (1 + z * z)), 0) out sum[m](w * val[n -> m]) }}",
    "a sum of decays": f"diagram t({KEYS}, g: [d]) -> [n, f] {{ k = key[n -> m] w = dot[e](q, k) * sum[d](exp(causal[m <= n]((iota[n] - iota[m]) * -square(g)))) out sum[m](w * val[n -> m]) }}",
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_is_right_now(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["anatomy.compiler.passes.chunk"], "WORTH", {"": 0, "keys": 0, "values": 1})
    d = diagram(CASES[name])
    sizes = {a: s for a, s in SIZES.items() if a in d.sizes}
    for n, lift in ((1, {}), (5, {"b": 2}), (66, {})):
        agree(d, sizes | {"n": n}, lift)


def test_exponentials_are_divided_before_they_are_summed_with_values() -> None:
    d = diagram(f"diagram t({QKV}) -> [n, f] {{ w = exp(dot[e](q, k[n -> m])) out sum[m](w / sum[m](w) * v[n -> m]) }}")
    q = torch.full((40, 9), 2.98)
    v = torch.full((40, 8), 1e5)
    found = [build(d, SIZES, passes=p)(q, q, v) for p in ((), ("reassociate",))]
    assert torch.isfinite(found[0]).all()
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize(("sizes", "better"), [({"e": 64, "f": 64}, False), ({"e": 32, "f": 32}, False), ({"e": 8, "f": 8}, True)])
def test_products_of_products_only_where_chunks_are_cheaper(sizes: dict[str, int], better: bool) -> None:
    d = diagram(f"diagram t({KEYS}) -> [n, f] {{ s = dot[e](q, key[n -> m]) w = where(iota[m] <= iota[n], s * s, 0) out sum[m](w * val[n -> m]) }}")
    assert ("_recurrence(" in generate(d, sizes).source.partition("def forward")[2]) == better


@pytest.mark.parametrize(("pairs", "last"), [(1, "r"), (2, "p")])
def test_turns_by_angles_with_axes_of_their_own(pairs: int, last: str) -> None:
    """Angles of rows and keys, where what is turned has only keys."""
    program = Program.of(Source("turn.anat", (
        "axis n, m, e, r, p = 2, one = 1\n"
        "diagram t(x: [m, e], a: [n, m, r]) -> [n, m, e] where e = 2 * r {\n"
        + ("lo, hi = halves[e -> r](x) out cat[r -> e](lo * cos(a) - hi * sin(a), hi * cos(a) + lo * sin(a)) }" if last == "r" else
           "u, v = halves[p -> one](split[e -> r, p](x)) out merge[r, p -> e](cat[one -> p](u * cos(a) - v * sin(a), v * cos(a) + u * sin(a))) }")
    )))  # fmt: skip
    assert [found.message for found in program.check() if found.severity == "error"] == []
    d = program.get("t")
    assert "turn" in {note.name for note in generate(d, {"r": 3}).notes}
    for lift in ({}, {"b": 2}):
        agree(d, {"n": 3, "m": 4, "r": 3 * pairs}, lift)
