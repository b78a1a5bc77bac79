"""What `anatomy show` says: counts against hand counts, properties against the values of compiled modules."""

from __future__ import annotations

import random

import pytest

from anatomy.ir.analysis import analyse, flops, memory, parameters
from anatomy.ir.graph import Diagram
from tests.ir.samples import copy, read, samples

SAMPLES = samples()
AXES = "axis n, m = n, l = n, d, e, c, h, r "
CHOSEN = (
    "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m] at = index[m](2 * iota[l] + sum[d](x)) "
    "k = gather[m](z, at) s = dot[d](x, k) "
)
MEMORY = (
    "diagram f(x: [n, d]) -> [n, d] where r = 2 * n { weight u: [n, d] ~ normal(1) p = u[n -> l] z = x[n -> m] "
    "s = mask(m <= n, dot[d](x, z)) t = dot[d](x, p) "
)

PROVED = {
    "causal attention": (
        "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m] s = dot[d](x, z) / sqrt(size[d]) "
        "w = softmax[m](causal[m <= n](s)) out sum[m](w * z) }"
    ),
    "strictly causal": (
        "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m] out dot[m](softmax[m](causal[m + 1 <= n](dot[d](x, z))), z) }"
    ),
    "a band": (
        "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m] "
        "out dot[m](softmax[m](causal[m <= n and n <= m + 3](dot[d](x, z))), z) }"
    ),
    "two layers": (
        "diagram a(x: [n, d]) -> [n, d] { z = x[n -> m] out dot[m](softmax[m](causal[m <= n](dot[d](x, z))), z) } "
        "diagram f(x: [n, d]) -> [n, d] { y = x + a(x) out y + a(y) }"
    ),
    "masked with zeros": (
        "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m] out dot[m](where(m <= n, exp(dot[d](x, z)), 0), z) }"
    ),
    "normalised by hand": (
        "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m] w = exp(mask(m <= n, dot[d](x, z))) "
        "out dot[m](w, z) / sum[m](w) }"
    ),
    "a running sum": "diagram f(x: [n, d]) -> [n, d] { out cumsum[n](x) / (iota[n] + 1) }",
    "a shift from the past": "diagram f(x: [n, d]) -> [n, d] { out x + shift[n](x, 2) }",
    "lanes": "diagram f(x: [n, d]) -> [n, d] { simd n { out softmax[d](x) } }",
    "cross-attention of prefixes": (
        "diagram f(q: [n, d], k: [m, d]) -> [n, d] { out dot[m](softmax[m](causal[m <= n](dot[d](q, k))), k) }"
    ),
    "chosen keys, masked by where they stand": CHOSEN + "out dot[l](softmax[l](mask(at <= n, s)), k) }",
    "a memory behind the keys": MEMORY + "out dot[r](softmax[r](cat[m, l -> r](s, t)), cat[m, l -> r](z, p)) }",
    "a memory before the keys": MEMORY + "out dot[r](softmax[r](cat[l, m -> r](t, s)), cat[l, m -> r](p, z)) }",
    "masked keys twice": MEMORY + "out dot[r](softmax[r](cat[m -> r](s, 2 * s)), cat[m -> r](z, -z)) + 0 * sum[l](t) }",
}
NOT_CAUSAL = {
    "chosen keys without a mask": CHOSEN + "out dot[l](softmax[l](s), k) }",
    "chosen keys, masked by one too many": CHOSEN + "out dot[l](softmax[l](mask(at <= n + 1, s)), k) }",
    "chosen keys, masked by their rank": CHOSEN + "out dot[l](softmax[l](mask(l <= n, s)), k) }",
    "chosen keys, masked as if others asked": CHOSEN + "out dot[l](softmax[l](mask(at[n -> l, l -> n] <= n, s)), k) }",
    "keys masked by where others stand": CHOSEN
    + "j = index[m](iota[l] + iota[n]) out dot[l](softmax[l](mask(at <= n, s)), gather[m](z, j)) }",
    "a memory without a mask over the keys": MEMORY
    + "out dot[r](softmax[r](cat[m, l -> r](t[l -> m], s[m -> l])), cat[m, l -> r](z, p)) }",
    "keys in the place of the memory": MEMORY + "out dot[r](softmax[r](cat[m, l -> r](s, t)), cat[l, m -> r](p, z)) }",
    "keys behind masked keys": MEMORY + "out dot[r](softmax[r](cat[m, l -> r](s, t)), cat[m, l -> r](z, z[m -> l])) }",
    "attention": "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m] out dot[m](softmax[m](dot[d](x, z)), z) }",
    "the wrong mask": (
        "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m] out dot[m](softmax[m](mask(n <= m, dot[d](x, z))), z) }"
    ),
    "an off-by-one mask": (
        "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m] out dot[m](softmax[m](mask(m <= n + 1, dot[d](x, z))), z) }"
    ),
    "a mask on one path only": (
        "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m] s = dot[d](x, z) "
        "out dot[m](softmax[m](causal[m <= n](s)), z) + sum[m](z) }"
    ),
    "or": (
        "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m] "
        "out dot[m](softmax[m](mask(m <= n or m == 5, dot[d](x, z))), z) }"
    ),
    "masked after the softmax": (
        "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m] out dot[m](where(m <= n, softmax[m](dot[d](x, z)), 0), z) }"
    ),
    "a shift from the future": "diagram f(x: [n, d]) -> [n, d] { out x + shift[n](x, -1) }",
    "a Fourier transform": "diagram f(x: [n, d]) -> [n, d] { out fft_re[n](x) }",
    "a norm over tokens": "diagram f(x: [n, d]) -> [n, d] { out layernorm[n](x) }",
    "reversed by a mask": (
        "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m] out sum[m](where(m + n == 4, z, 0)) }"
    ),
    "a mixed order of two masks": (
        "diagram f(x: [n, d]) -> [n, d] { z = x[n -> m] y = sum[m](where(n <= m, z, 0)) "
        "out sum[m](where(m <= n, y[n -> m], 0)) }"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", PROVED)
def test_causal(what: str) -> None:
    assert analyse(read(AXES + PROVED[what])).causal is True


@pytest.mark.parametrize("what", NOT_CAUSAL)
def test_not_causal(what: str) -> None:
    assert analyse(read(AXES + NOT_CAUSAL[what])).causal is None


def looks_ahead(diagram: Diagram) -> bool:
    """Whether a change of a later position changes an earlier output, by running the module."""
    import torch

    from anatomy.compiler import build

    module = build(diagram, {"n": 7, "m": 7, "d": 3}, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    x = [torch.randn(7, 3, generator=generator, dtype=torch.float64) for _ in diagram.inputs]
    before = module(*x)
    for t in range(1, 7):
        changed = [v.clone() for v in x]
        for v in changed:
            v[t:] += 1.5
        if not torch.allclose(module(*changed)[:t], before[:t], atol=1e-9, equal_nan=True):
            return True
    return False


@pytest.mark.parametrize("what", [*PROVED, *NOT_CAUSAL])
def test_causality_of_values(what: str) -> None:
    assert looks_ahead(read(AXES + {**PROVED, **NOT_CAUSAL}[what])) == (what in NOT_CAUSAL)


def test_lane_local() -> None:
    assert analyse(read(AXES + PROVED["lanes"])).lane_local is True
    assert analyse(read(AXES + PROVED["a running sum"])).lane_local is None
    assert analyse(SAMPLES["rope"]).lane_local is True
    assert analyse(SAMPLES["mixer"]).lane_local is None


EQUIVARIANT = {
    "sdpa": True, "mha": True, "two": True, "bahdanau": True, "linear": True, "twins": True,
    "mixer": None, "rope": None, "gqa": None, "odd": None,
}  # fmt: skip


@pytest.mark.parametrize("name", EQUIVARIANT)
def test_equivariant(name: str) -> None:
    assert analyse(SAMPLES[name]).equivariant is EQUIVARIANT[name]


def test_equality_of_positions_is_equivariant() -> None:
    text = "diagram f(x: [n, d]) -> [n, d] {{ z = x[n -> m] out sum[m](where({}, z, 0)) }}"
    assert analyse(read(AXES + text.format("m != n"))).equivariant is True
    assert analyse(read(AXES + text.format("m < n"))).equivariant is None
    assert analyse(read(AXES + text.format("m == n + 1"))).equivariant is None


def test_positions_on_the_output_alone() -> None:
    """The token axis is summed away, and the output knows where it is along an axis of the same size."""
    text = "diagram f(x: [n, d]) -> [n, d] { out sum[m](x[n -> m]) * iota[n] }"
    assert analyse(read(AXES + text)).equivariant is None
    assert analyse(read(AXES + text.replace("* iota[n]", "+ expand[n](0)"))).equivariant is True


def test_nothing_is_claimed_without_tokens() -> None:
    found = analyse(read(AXES + "diagram f(x: [d]) -> [n, d] { out x * iota[n] }"))
    assert (found.causal, found.equivariant, found.lane_local) == (None, None, None)


def test_equivariance_of_values() -> None:
    import torch

    from anatomy.compiler import build

    module = build(SAMPLES["mha"], {"n": 6, "d": 4, "h": 2}, dtype=torch.float64)
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    order = torch.tensor([3, 0, 5, 1, 2, 4])
    assert torch.allclose(module(x[order]), module(x)[order], atol=1e-12)


GENERIC = {
    "mha": ("", True), "mixer": ("", False), "gqa": ("", True), "odd": ("", False),
    "positions learned": ("diagram f(x: [n, d]) -> [n, d] { weight p: [n, d] ~ normal(1) out x + p }", False),
    "scores learned": ("diagram f(x: [n, d]) -> [n, d] { out dot[m](softmax[m](lin W[d -> m](x)), x[n -> m]) }", False),
    "weights for each place in a chunk": (
        "diagram f(x: [n, d]) -> [n, d] where n = c * r "
        "{ weight p: [r, d] ~ normal(1) out merge[c, r -> n](split[n -> c, r](x) + p) }", True,
    ),
    "as long as two": ("diagram f(x: [n, d], y: [n, d]) -> [n, d] where c = 2 * n { weight p: [c] ~ normal(1) out x * sum[c](p) + y }", False),
    "a constant length": ("diagram f(x: [n, d]) -> [n, d] where n = 16 { out softmax[n](x) }", False),
}  # fmt: skip


@pytest.mark.parametrize("what", GENERIC)
def test_length_generic(what: str) -> None:
    text, expected = GENERIC[what]
    assert analyse(read(AXES + text) if text else SAMPLES[what]).length_generic is expected


def test_parameters_are_those_of_the_module() -> None:
    from anatomy.compiler import build

    for name, sizes in {
        "mha": {"n": 5, "d": 6, "h": 2}, "mixer": {"n": 5, "d": 6, "p": 4, "c": 3}, "bahdanau": {"n": 5, "m": 4, "d": 6, "c": 3, "a": 2},
        "twins": {"n": 2, "d": 3},
    }.items():  # fmt: skip
        diagram = SAMPLES[name]
        module = build(diagram, sizes)
        given = {v: sizes.get(v, 3) for v in diagram.free_sizes()}
        assert parameters(diagram).evaluate(given) == sum(p.numel() for p in module.parameters())


def test_frozen_weights_are_not_parameters() -> None:
    diagram = read(AXES + "diagram f(x: [n, d]) -> [n, d] { frozen weight w: [d] ~ ones weight u: [d] ~ ones out x * w + u }")
    assert str(parameters(diagram)) == "d"


def test_costs_by_hand() -> None:
    diagram = read(AXES + "diagram f(x: [n, d], y: [m, d]) -> [n] { out sum[m](exp(dot[d](x, y))) }")
    assert str(flops(diagram)) == "2 * d * m * n + 2 * m * n"
    # Both inputs, and at most two of the matrix, its exponential and the sums at once.
    assert str(memory(diagram)) == "d * m + d * n + 2 * m * n + n"
    assert str(flops(read(AXES + "diagram f(x: [n]) -> [n] { _y = exp(x) out -x }"))) == "n"


def test_names_do_not_matter() -> None:
    for name, diagram in SAMPLES.items():
        given = copy(diagram, random.Random(3))
        left, right = analyse(diagram), analyse(given)
        same = ("length_generic", "equivariant", "causal", "lane_local")
        assert [getattr(left, k) for k in same] == [getattr(right, k) for k in same], name
        assert sorted(c for _, c in left.parameters.terms) == sorted(c for _, c in right.parameters.terms)
        assert sorted(c for _, c in left.flops.terms) == sorted(c for _, c in right.flops.terms)
