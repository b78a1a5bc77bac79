"""Identities, and identities padded with zeros, as sums of products."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from anatomy.ir.poly import Poly
from anatomy.ops import Compare, Iota, Where
from anatomy.rewrites.parametric import Parametric
from anatomy.rewrites.sums import Sum, number


def delta(state: Parametric, left: Sequence[str], right: Sequence[str], offset: Sequence[Poly] = ()) -> Sum:
    """1 where the place in `left` plus the lengths `offset` is the place in `right`, else 0.

    The place in several axes is the one of their row-major product.
    """
    if len(left) == len(right) and not offset and [state.size(a) for a in left] == [state.size(a) for a in right]:
        return state.algebra.product([_equal(state, (a,), (b,), ()) for a, b in zip(left, right, strict=True)])
    return _equal(state, left, right, offset)


def _equal(state: Parametric, left: Sequence[str], right: Sequence[str], offset: Sequence[Poly]) -> Sum:
    here = state.algebra.collect((*_place(state, left), *(t for p in offset for t in state.length(p))))
    test = state.box(Compare("=="), (), [here, _place(state, right)], (*left, *right))
    return state.box(Where(), (), [test, number(Fraction(1)), ()], (*left, *right))


def _place(state: Parametric, axes: Sequence[str]) -> Sum:
    found: Sum = ()
    for k, a in enumerate(axes):
        strides = [state.counted(b) for b in axes[k + 1 :]]
        found = (*found, *state.algebra.product([state.box(Iota(), (a,), [], (a,)), *strides]))
    return found

