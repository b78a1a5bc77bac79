"""Bounds of what is moved, picked and ranked: lookups by an index, sorted entries, windows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from anatomy.ir.bound import INF, Bound, Triple, Unproved, mul, root, slopes_after
from anatomy.regularity import affine, tensor
from anatomy.regularity.tensor import Ball, TooLarge
from anatomy.regularity.theorems import lookup
from anatomy.regularity.view import constant, tighten, with_tokens

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules


def picked(rules: Rules, x: Bound, i: Bound, axis: str) -> Bound:
    """`y = x at axis = i`: linear in `x` for a fixed index, and refused where the index depends on the input.

    Every entry of y is one of x, and one of x is picked at most k times: in the norm of a sum over tokens the
    map has norm k, in the maximum 1, in l2 sqrt(k). Along features only l2 counts.
    """
    rules.open(x, i)
    if not i.constant:
        found = lookup.looked(rules, x, i, axis)
        if found is not None:
            return found
        raise Unproved("it is not continuous: the index depends on the input, so values jump")
    sizes = rules.sizes
    new = i.axes - x.axes
    shared = i.axes & x.axes
    if x.constant:
        x = with_tokens(x, x.tokens | {axis}, sizes)
    elif axis in x.tokens and shared - x.tokens:
        x = with_tokens(x, x.axes, sizes)  # which token is picked differs between features
    known = constant(i)
    exact = known is not None and (known.rad == 0 or (bool(np.all(np.rint(known.mid) == known.mid)) and known.rad < 0.5))
    times = float(math.prod(sizes[a] for a in new))
    where: Ball | None = None
    if known is not None and exact:
        try:
            where = Ball(known.axes, np.rint(known.mid)).spread(sizes, sorted(i.axes))
            times = _most(where, new, sizes[axis])
        except TooLarge:
            where = None
    as_token = axis in x.tokens
    axes = (x.axes - {axis}) | i.axes
    tokens = (x.tokens - {axis}) | (new if as_token else frozenset())
    norms = Triple.of(times, root(times), 1.0) if as_token else Triple.all(root(times))
    form = None
    if where is not None and x.form is not None:
        index = where
        try:
            form = affine.apply(x.form, (axis,), lambda b: _take(b, index, axis, sizes), sizes)
        except TooLarge:
            form = None
    radius = mul(norms.inf, x.radius)
    return rules.finish(axes, tokens, x.entry, radius, slopes_after(norms, x.slopes), form)


def _most(where: Ball, new: frozenset[str], size: int) -> float:
    """How often one entry is picked at most."""
    shared = [a for a in where.axes if a not in new]
    rows = where.order([*shared, *sorted(new)]).mid.reshape(math.prod(where.mid.shape[where.axes.index(a)] for a in shared), -1)
    tensor.guard(rows.shape[0] * size)
    return float(max(np.bincount(row.astype(np.int64), minlength=size).max() for row in rows))


def _take(b: Ball, where: Ball, axis: str, sizes: dict[str, int]) -> Ball:
    """A constant tensor at an index; what both have is zipped."""
    common = [a for a in where.axes if a in b.axes]
    fresh = [a for a in where.axes if a not in common]
    rest = [a for a in b.axes if a not in common and a != axis]
    index = where.order([*common, *fresh]).mid.astype(np.int64)
    values = b.order([*common, axis, *rest]).mid
    tensor.guard(index.size * math.prod(values.shape[len(common) + 1 :]))
    index = index.reshape(*index.shape[: len(common)], -1, *(1 for _ in rest))
    out = np.take_along_axis(values, np.broadcast_to(index, (*index.shape[: len(common) + 1], *values.shape[len(common) + 1 :])), len(common))
    shape = [sizes[a] for a in fresh]
    return Ball((*common, *fresh, *rest), out.reshape(*out.shape[: len(common)], *shape, *out.shape[len(common) + 1 :]), b.rad)


def ranked(rules: Rules, x: Bound, whole: str, new: str) -> tuple[Bound, Bound]:
    """Entries in order of size, and where they come from.

    Sorting is a contraction in every p-norm (the sorted matching is optimal), and so is leaving entries out.
    Positions jump where two entries are equal.
    """
    rules.open(x)
    if whole in x.tokens and x.features:
        x = with_tokens(x, x.axes, rules.sizes)  # entries of different tokens come together
    axes = (x.axes - {whole}) | {new}
    tokens = (x.tokens - {whole}) | ({new} if whole in x.tokens else frozenset())
    values = tighten(Bound(axes, tokens, x.entry, x.radius, dict(x.slopes)), rules.sizes)
    last = float(rules.sizes[whole] - 1)
    places = Bound(axes, tokens, (0.0, last), INF, {key: Triple.all(INF) for key in x.slopes})
    return values, places
