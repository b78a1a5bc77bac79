"""Causal weights without a softmax, written quadratically: as recurrences in chunks they are the same function, and only where they may be."""

from __future__ import annotations

import pytest
import torch

from anatomy.compiler import build, generate
from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from tests.compiler.agreement import agree

torch.set_num_threads(1)
SIZES = {"h": 2, "e": 3, "f": 4, "d": 5}
HEAD = "axis n, m = n, l, h, e, f, d, j, i = j\n"
QKV = "q: [n, h, e], key: [n, h, e], val: [n, h, f]"


def diagram(text: str) -> Diagram:
    program = Program.of(Source("quadratic.anat", HEAD + text))
    assert [found.message for found in program.check() if found.severity == "error"] == []
    return program.get(program.names()[-1])


def causal(weights: str, out: str = "sum[m](w * v)", more: str = "", result: str = "[n, h, f]") -> str:
    return (
        f"diagram t({QKV}{more}) -> {result} {{ k = key[n -> m] v = val[n -> m] simd h {{ simd n, m {{ s = dot[e](q, k) }} w = {weights} y = {out} }} out y }}"
    )


CASES = {
    "where": causal("where(iota[m] <= iota[n], s, 0)"),
    "turned round": causal("where(iota[n] >= iota[m], s, 0)"),
    "normalised": causal("where(iota[m] <= iota[n], s, 0)", "sum[m](w * v) / (1 + sum[m](w) ^ 2)"),
    "normalised inside": causal("where(iota[m] <= iota[n], s, 0)", "sum[m](w / (1 + sum[m](w) ^ 2) * v)"),
    "the sum alone": causal("where(iota[m] <= iota[n], s, 0)", "sum[m](w)", result="[n, h]"),
    "a scale": causal("where(iota[m] <= iota[n], s / sqrt(size[e]), 0)"),
    "masked after": causal("s * where(iota[m] <= iota[n], 1, 0)"),
    "a gate of keys": causal("where(iota[m] <= iota[n], s * g[n -> m], 0)", more=", g: [n, h]"),
    "a gate of rows": causal("where(iota[m] <= iota[n], s * g, 0)", more=", g: [n, h]"),
    "retention": causal("s * exp(causal[m <= n](p))", more=", g: [h]").replace("w = s", "p = (iota[n] - iota[m]) * g w = s"),
    "retention, mask outside": causal("s * exp(causal[m <= n](g * (iota[n] - iota[m])))", more=", g: [h]"),
    "decays of data": causal("s * exp(causal[m <= n](t - t[n -> m]))", more=", g: [n, h]").replace("w = s", "t = cumsum[n](-softplus(g)) w = s"),
    "two decays": causal("s * exp(causal[m <= n](t - t[n -> m])) * exp(causal[m <= n]((iota[n] - iota[m]) * c))", more=", g: [n, h], c: [h]").replace(
        "w = s", "t = cumsum[n](-exp(g)) w = s"
    ),
    "no values' features": "diagram t(q: [n, e], key: [n, e], val: [n]) -> [n] { k = key[n -> m] v = val[n -> m] s = dot[e](q, k) out sum[m](where(iota[m] <= iota[n], s, 0) * v) }",
    "weights of heads between": causal("where(iota[m] <= iota[n], s, 0)", "dot[m](w, v)"),
    "no heads": "diagram t(q: [n, e], key: [n, e], val: [n, f]) -> [n, f] { s = dot[e](q, key[n -> m]) w = where(iota[m] <= iota[n], s, 0) out dot[m](w, val[n -> m]) }",
    "the weights too": (
        "diagram t(q: [n, e], key: [n, e], val: [n, f]) -> [n, f], [n, m] { s = dot[e](q, key[n -> m]) w = where(iota[m] <= iota[n], s, 0) out dot[m](w, val[n -> m]), w }"
    ),
}
PLAIN = {
    "strict": causal("where(iota[m] < iota[n], s, 0)"),
    "the other way": causal("where(iota[n] <= iota[m], s, 0)"),
    "not 0 outside": causal("where(iota[m] <= iota[n], s, 1)"),
    "a nonlinearity": causal("where(iota[m] <= iota[n], tanh(s), 0)"),
    "decays that rise": causal("s * exp(causal[m <= n](t - t[n -> m]))", more=", g: [n, h]").replace("w = s", "t = cumsum[n](g) w = s"),
    "another sum at the key": causal("s * exp(causal[m <= n](t - u[n -> m]))", more=", g: [n, h], c: [n, h]").replace(
        "w = s", "t = cumsum[n](-exp(g)) u = cumsum[n](-exp(c)) w = s"
    ),
    "no difference": causal("s * exp(causal[m <= n](t + t[n -> m]))", more=", g: [n, h]").replace("w = s", "t = cumsum[n](-exp(g)) w = s"),
    "an unmasked decay beside a mask": causal("where(iota[m] <= iota[n], s * exp(t - t[n -> m]), 0)", more=", g: [n, h]").replace("w = where", "t = cumsum[n](-exp(g)) w = where"),
    "a mask of data": causal("where(key_of <= iota[n], s, 0)", more=", z: [n]").replace("w = where", "key_of = z[n -> m] w = where"),
    "other sizes": "diagram t(q: [n, e], k: [l, e], v: [l, f]) -> [n, f] { s = dot[e](q, k) out dot[l](where(iota[l] <= iota[n], s, 0), v) }",
}


@pytest.mark.parametrize("name", CASES)
def test_causal_weights_become_recurrences(name: str) -> None:
    d = diagram(CASES[name])
    sizes = {a: s for a, s in SIZES.items() if a in d.sizes}
    assert "_recurrence(" in generate(d, sizes).source.partition("def forward")[2]
    assert "_recurrence(" not in generate(d, sizes, passes=tuple(p for p in ("share", "chunk", "multilinear"))).source
    for n, lift in ((1, {}), (2, {"b": 2}), (7, {}), (70, {"b": 1, "c": 2})):
        agree(d, sizes | {"n": n}, lift, strided=n == 7)


@pytest.mark.parametrize("name", PLAIN)
def test_others_stay(name: str) -> None:
    d = diagram(PLAIN[name])
    sizes = {a: s for a, s in SIZES.items() if a in d.sizes}
    assert "_recurrence(" not in generate(d, sizes).source.partition("def forward")[2]
    for n in (1, 5):
        agree(d, sizes | {"n": n} | ({"l": 4} if "l" in d.sizes else {}), {"b": 2})


def test_numerator_and_denominator_are_one() -> None:
    d = diagram(CASES["normalised"])
    assert generate(d, SIZES).source.partition("def forward")[2].count("_recurrence(") == 1


def test_great_decays_stay_finite() -> None:
    """A gate that closes whole: exp of a hundred below 0, over and over."""
    d = diagram(CASES["decays of data"])
    g = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(100, 2, w, generator=g) for w in (3, 3, 4))
    gate = 100 * torch.randn(100, 2, generator=g)
    found = [build(d, {}, passes=p)(q, k, v, gate) for p in ((), ("quadratic",))]
    assert torch.isfinite(found[1]).all()
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-4)
