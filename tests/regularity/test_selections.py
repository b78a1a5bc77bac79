"""Bounds of lookups, ranks and windows: exact where the map is linear, attained by it, and refused where it jumps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import anatomy
from anatomy.regularity.falsify import on_domain

HEAD = "use std.index (reverse, slice)\naxis n, m, c, d, r, k\n"
SIZES = {"n": 5, "d": 3, "c": 4, "m": 6, "r": 2}


def parse(signature: str, body: str) -> anatomy.Diagram:
    return anatomy.parse(f"{HEAD}diagram it{signature} {{ {body} }}")["it"]


def matrix(diagram: anatomy.Diagram, sizes: dict[str, int]) -> np.ndarray:
    """The matrix of a linear map of one input, column by column."""
    run = anatomy.compile(diagram, sizes, dtype=torch.float64)
    shape = [sizes[a] for a in diagram.inputs[0].layout]
    columns = []
    for k in range(math.prod(shape)):
        x = torch.zeros(math.prod(shape), dtype=torch.float64)
        x[k] = 1
        columns.append(run(x.view(shape)).flatten().detach().numpy())
    return np.stack(columns, 1)


LINEAR = {
    "reverse": ("(x: [n, d]) -> [n, d]", "out reverse(x)"),
    "reverse features": ("(x: [n, d]) -> [n, d]", "out reverse[n=d](x)"),
    "slice": ("(x: [n, d]) -> [r, d]", "out slice(x, 2)"),
    "clamped slice": ("(x: [n, d]) -> [r, d]", "out slice(x, 4)"),
    "one": ("(x: [n, d]) -> [d]", "out gather[n](x, 0)"),
    "many of one": ("(x: [n, d]) -> [c, d]", "out gather[n](x, index[n](0 * iota[c]))"),
    "clamped": ("(x: [n, d]) -> [c, d]", "out gather[n](x, index[n](iota[c] - 2))"),
    "clamped features": ("(x: [n, d]) -> [n, c]", "out gather[d](x, index[d](iota[c] - 2))"),
    "diagonal": ("(x: [n, d]) -> [d]", "out gather[n](x, index[n](iota[d]))"),
    "skewed": ("(x: [n, d]) -> [n, d]", "simd d { j = iota[n] + iota[d] } out gather[n](x, index[n](j))"),
    "windows": ("(x: [n, d]) -> [n, c, d]", "out unfold[n -> c](x)"),
    "wide windows": ("(x: [n, d]) -> [n, m, d]", "out unfold[n -> m, step=2, centred=true](x)"),
    "windows of features": ("(x: [n, d]) -> [n, c, d]", "out unfold[d -> c](x)"),
    "moving sum": ("(x: [n, d]) -> [n, d]", "out sum[c](unfold[n -> c](x))"),
}  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
def test_linear_maps_have_their_norm(name: str) -> None:
    diagram = parse(*LINEAR[name])
    found = anatomy.regularity(diagram, sizes=SIZES, module=anatomy.compile(diagram, SIZES, dtype=torch.float64))
    want = float(np.linalg.norm(matrix(diagram, SIZES), 2))
    assert found.upper is not None
    assert want * (1 - 1e-12) <= found.upper <= want * (1 + 1e-9)
    assert found.verdict == "globally_lipschitz"
    assert found.lower is not None
    assert found.lower >= 0.99 * want


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("norm", ["frobenius", "max_token"])
def test_bounds_behind_a_nonlinearity_are_sound(name: str, norm: str) -> None:
    """The rule without the explicit form."""
    signature, body = LINEAR[name]
    head, _, last = body.rpartition("out ")
    diagram = parse(signature, f"{head}y = tanh(3 * x) out {last.replace('(x', '(y')}")
    found = anatomy.regularity(diagram, sizes=SIZES, norm=norm, module=anatomy.compile(diagram, SIZES, dtype=torch.float64))
    assert found.upper is not None
    assert found.lower is not None
    assert found.lower <= found.upper


def test_an_index_that_is_given_picks_what_it_may() -> None:
    diagram = parse("(x: [n, d], i: index(n)[c]) -> [c, d]", "out gather[n](x, i)")
    found = anatomy.regularity(diagram, sizes=SIZES, module=anatomy.compile(diagram, SIZES, dtype=torch.float64))
    assert found.upper == pytest.approx(2.0, rel=1e-9), "four times the same token"
    assert found.lower == pytest.approx(2.0, rel=1e-6), "the stand-in is the first position, four times"
    zipped = parse("(x: [n, d], i: index(n)[d]) -> [d]", "out gather[n](x, i)")
    assert anatomy.regularity(zipped, sizes=SIZES).upper == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("body", ["w, _ = sort[n](x) out w", "w, _ = topk[n -> c](x) out w[c -> n]", "w, _ = sort[d](x) out w"])
@pytest.mark.parametrize("norm", ["frobenius", "max_token"])
def test_values_in_order_are_a_contraction(body: str, norm: str) -> None:
    sizes = {"n": 4, "c": 4, "d": 1 if "[d]" not in body else 3}
    diagram = anatomy.parse(f"axis n, c = n, d diagram it(x: [n, d]) -> [n, d] {{ {body} }}")["it"]
    found = anatomy.regularity(diagram, sizes=sizes, norm=norm, module=anatomy.compile(diagram, sizes, dtype=torch.float64))
    assert found.upper == pytest.approx(1.0, rel=1e-9)
    assert found.lower is not None
    assert found.lower <= found.upper
    if norm == "frobenius":
        assert found.lower == pytest.approx(1.0, rel=1e-3)


def test_tokens_sorted_feature_by_feature_are_a_contraction_in_l2() -> None:
    diagram = parse("(x: [n, d]) -> [n, d]", "w, _ = sort[n](x) out w")
    sizes = {"n": 5, "d": 3}
    run = anatomy.compile(diagram, sizes, dtype=torch.float64)
    found = anatomy.regularity(diagram, sizes=sizes, module=run)
    assert found.upper == pytest.approx(1.0, rel=1e-9)
    g = torch.Generator().manual_seed(0)
    for _ in range(200):
        a, b = (torch.randn(5, 3, dtype=torch.float64, generator=g) for _ in range(2))
        assert (run(a) - run(b)).norm() <= (a - b).norm() * (1 + 1e-12)
    widest = anatomy.regularity(diagram, sizes=sizes, norm="max_token", module=run)
    assert widest.upper is not None
    assert widest.lower is not None
    assert widest.lower <= widest.upper


JUMPS = {
    "hard attention": ("(x: [n, d]) -> [n, d]", "y = x[n -> m] _, i = topk[m -> c](dot[d](x, y)) out sum[c](gather[m](y, i))"),
    "rounding": ("(x: [n, d]) -> [n]", "out gather[d](x, index[d](sum[d](x)))"),
    "a table of data": ("(x: [n, d]) -> [n, r]", "out table E[c -> r](index[c](sum[d](x)))"),
    "ranks as numbers": ("(x: [n, d]) -> [n, d]", "_, i = sort[d](x) out 1 * i"),
    "positions as reals": ("(x: [n, d]) -> [n, d]", "_, i = sort[d](x) out i"),
}  # fmt: skip


@pytest.mark.parametrize("name", JUMPS)
def test_what_jumps_has_no_bound(name: str) -> None:
    diagram = anatomy.parse(f"axis n, m = n, c, d, r diagram it{JUMPS[name][0]} {{ {JUMPS[name][1]} }}")["it"]
    sizes = {"n": 4, "d": 3, "c": 2, "r": 2}
    found = anatomy.regularity(diagram, sizes=sizes, module=anatomy.compile(diagram, sizes, dtype=torch.float64))
    assert found.upper is None
    assert found.verdict == "not_lipschitz_on_domain"
    against = found.certificate["against"]
    assert against["evidence"] == "numerical"
    early, _, late = against["secants"]
    assert late > 5e3 * early


def test_what_is_continuous_does_not_jump() -> None:
    """Steep, with kinks, and without a rule: not a jump."""
    for body in ("out 1000 * relu(x) * x", "out tanh(10000 * x)", "w, _ = sort[d](x) out abs(w) ^ 2.5"):
        diagram = anatomy.parse(f"axis n, d diagram it(x: [n, d]) -> [n, d] {{ {body} }}")["it"]
        run = anatomy.compile(diagram, {"n": 4, "d": 3}, dtype=torch.float64)
        assert on_domain(run, [(4, 3)], 1.0, 0, [None]) is None


def test_the_reason_is_told() -> None:
    diagram = anatomy.parse("axis n, d diagram it(x: [n, d]) -> [n] { out gather[d](x, index[d](sum[d](x))) }")["it"]
    found = anatomy.regularity(diagram, sizes={"n": 4, "d": 3})
    assert "not continuous" in found.certificate["reason"]
    assert found.responsible is not None
    assert "gather" in found.responsible
