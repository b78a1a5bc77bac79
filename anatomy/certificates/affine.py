"""Wires as explicit affine functions of earlier wires: T = sum of terms + offset.

A term is `sum over inner axes of map * base`. `links` gives axes of the base that are axes of T, with their names there;
the other axes of the base are inner, written `<a` in the map. Along a link T and base run together.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flint import arb

from anatomy.certificates.facts import Fact, Triple, retoken, triple
from anatomy.certificates.numbers import Tape, root, spectral
from anatomy.certificates.tensors import (
    Sizes,
    Tensor,
    contract,
    count,
    eye,
    greatest,
    plus,
    scalar,
    spend,
    square_sums,
    times,
)


def inner(axis: str) -> str:
    return "<" + axis


class Inner(Mapping[str, int]):
    """Sizes of axes and of inner axes."""

    def __init__(self, sizes: Sizes):
        self.sizes = sizes

    def __getitem__(self, axis: str) -> int:
        return self.sizes[axis.lstrip("<")]

    def __iter__(self) -> Any:
        return iter(self.sizes)

    def __len__(self) -> int:
        return len(self.sizes)


@dataclass(frozen=True, eq=False)
class Term:
    base: int
    axes: frozenset[str]
    """The axes of the base."""
    links: Mapping[str, str]
    map: Tensor

    def rename(self, table: Mapping[str, str]) -> Term:
        return replace(self, links={a: table.get(b, b) for a, b in self.links.items()}, map=self.map.rename(table))

    def explicit(self, axis: str, sizes: Sizes) -> Term:
        """With an axis of T in the map and in no link: a link is an identity matrix."""
        for a, b in self.links.items():
            if b == axis:
                links = {x: y for x, y in self.links.items() if x != a}
                return replace(self, links=links, map=times(self.map, eye(inner(a), b, sizes[b])))
        return replace(self, map=self.map.spread([axis], sizes))

    def inners(self) -> list[str]:
        return [inner(a) for a in sorted(self.axes) if a not in self.links]


@dataclass(frozen=True, eq=False)
class Form:
    terms: tuple[Term, ...] = ()
    offset: Tensor | None = None

    @property
    def value(self) -> Tensor | None:
        """The value, where it depends on no wire."""
        return None if self.terms else self.offset or scalar(0)

    def rename(self, table: Mapping[str, str]) -> Form:
        return Form(tuple(t.rename(table) for t in self.terms), self.offset and self.offset.rename(table))


def itself(wire: int, axes: Iterable[str]) -> Form:
    return Form((Term(wire, frozenset(axes), {a: a for a in sorted(axes)}, scalar(1)),))


def add(a: Form, b: Form, sizes: Sizes) -> Form:
    terms = list(a.terms)
    for new in b.terms:
        spend(20 + len(terms) // 8)
        for k, old in enumerate(terms):
            merged = _merge(old, new, sizes) if old.base == new.base else None
            if merged is not None:
                terms[k] = merged
                break
        else:
            terms.append(new)
    offset = a.offset if b.offset is None else b.offset if a.offset is None else plus(a.offset, b.offset)
    return Form(tuple(terms), offset)


def _merge(a: Term, b: Term, sizes: Sizes) -> Term | None:
    """The sum of two terms of one base; None where an axis is linked to two places."""
    if any(a.links[x] != b.links[x] for x in a.links if x in b.links):
        return None
    keep = {x: y for x, y in a.links.items() if b.links.get(x) == y}
    for x in set(a.links.values()) | set(b.links.values()):
        if x not in keep.values():
            a, b = a.explicit(x, sizes), b.explicit(x, sizes)
    return replace(a, map=plus(a.map, b.map))


def multiply(form: Form, by: Tensor, summed: frozenset[str], sizes: Sizes) -> Form:
    """`sum over summed of T * by`; every summed axis stands on T or on the tensor."""
    terms = []
    for t in form.terms:
        ended = {b: a for a, b in t.links.items() if b in summed}
        joint = _summed(t.map, by, summed - ended.keys(), sizes)
        # The sum over an axis that runs with the base is a sum over the axis of the base.
        joint = joint.spread(ended, sizes).rename({b: inner(a) for b, a in ended.items()})
        terms.append(replace(t, links={a: b for a, b in t.links.items() if b not in ended}, map=joint))
    start = form.value if not form.terms else form.offset
    return Form(tuple(terms), None if start is None else _summed(start, by, summed, sizes))


def _summed(a: Tensor, b: Tensor, summed: Iterable[str], sizes: Sizes) -> Tensor:
    present = {x for x in summed if x in a.axes or x in b.axes}
    repeats = count(set(summed) - present, sizes)
    out = contract(a, b, present)
    return out if repeats == 1 else times(out, scalar(repeats))


def blocks(t: Term, tokens: frozenset[str], base: Fact, sizes: Sizes) -> tuple[Any, list[int]]:
    """The map as an array over axes that run with the base (tokens, features), tokens out and in, features out and in."""
    wide = Inner(sizes)
    zipped = [b for b in t.links.values() if b in t.map.axes]
    ins = t.inners()
    groups = [
        [b for b in zipped if b in tokens],
        [b for b in zipped if b not in tokens],
        [a for a in t.map.axes if a in tokens and a not in zipped],
        [a for a in ins if a[1:] in base.tokens],
        [a for a in t.map.axes if a not in tokens and a not in zipped and a[0] != "<"],
        [a for a in ins if a[1:] not in base.tokens],
    ]
    shape = [count(g, wide) for g in groups]
    have = t.map.spread(ins, wide).order([a for g in groups for a in g])
    return have.reshape(shape), shape


def natural(t: Term, tokens: frozenset[str], base: Fact) -> frozenset[str]:
    """The tokens of T, with the axes that run with the base parted as they are there."""
    linked = set(t.links.values())
    return frozenset({b for b in tokens if b not in linked} | {b for a, b in t.links.items() if a in base.tokens})


def norms(tape: Tape, t: Term, axes: frozenset[str], tokens: frozenset[str], base: Fact, sizes: Sizes) -> Triple:
    """Operator norms of a term for p = 1, 2, infinity: from the base's tokens to those of T.

    As a matrix of blocks, one for a token out and one in: |T x|_inf at a token out is at most the sum over tokens in of
    |block| |x|_inf, and by columns |T x|_1 likewise (block norms: Frobenius norms). Tokens that run with the base leave
    separate maps, of which the greatest counts; features that do make every block diagonal, whose norm is the greatest of
    its parts, taken before the sum. For p = 2 the spectral norm of the whole, and sqrt(L1 Linf). What T repeats along new
    axes counts as in `Fact.wide`.
    """
    own = natural(t, tokens, base)
    if own != tokens:
        return retoken(norms(tape, t, axes, own, base, sizes), own, tokens, sizes)
    array, (zt, zf, ot, it, of, inf_) = blocks(t, tokens, base, sizes)
    z = zt * zf
    new = axes - set(t.map.axes) - set(t.links.values())
    rows, columns = arb(count(new & tokens, sizes)), root(arb(count(new - tokens, sizes)))
    spend(array.size)
    whole = spectral(tape, array.transpose(0, 1, 2, 4, 3, 5).reshape(z, ot * of, it * inf_))
    if ot == it == 1:
        one = top = whole
    else:
        square = square_sums(array, 2)  # by (tokens that run, features that run, tokens out, tokens in)
        square = functools.reduce(lambda x, y: np.vectorize(arb.max, otypes=[object])(x, y), [square[:, k] for k in range(zf)]) if square.size else square[:, :0].sum(axis=1)
        size = np.array([root(x) for x in square.ravel()], dtype=object).reshape(square.shape)
        top = greatest(np.add.reduce(size, axis=2, initial=arb(0)).ravel()) if it else arb(0)
        one = greatest(np.add.reduce(size, axis=1, initial=arb(0)).ravel()) if ot else arb(0)
        if it == 1 and min(of, inf_) > 1:
            top = spectral(tape, array.reshape(z * ot, of, inf_))
        elif ot == 1 and min(of, inf_) > 1:
            one = spectral(tape, array.reshape(z * it, of, inf_))
    return triple(one * rows * columns, whole * root(rows) * columns, top * columns)


def ends(form: Form, base: Callable[[int], Fact], sizes: Sizes) -> tuple[arb, arb]:
    """An interval for every entry of T: in each term by the entries of the base, and by the norms of its tokens."""
    low = high = form.offset or scalar(0)
    for t in form.terms:
        b = base(t.base)
        wide = Inner(sizes)
        ins = t.inners()
        outs = [a for a in t.map.axes if a[0] != "<"]
        groups = [[a for a in ins if (a[1:] in b.tokens) == token] for token in (True, False)]
        array = t.map.spread(ins, wide).order([*outs, *groups[0], *groups[1]])
        shape = array.shape[: len(outs)]
        array = array.reshape(-1, count(groups[0], wide), count(groups[1], wide))
        spend(array.size)
        mid, half = (b.low + b.high) / 2, (b.high - b.low) / 2
        lows, highs = np.empty(len(array), dtype=object), np.empty(len(array), dtype=object)
        for i, row in enumerate(array):
            flat = [x for x in row.ravel() if not x.is_zero()]
            centre, reach = mid * sum(flat, arb(0)), half * sum(map(abs, flat), arb(0))
            squares = np.add.reduce(row * row, axis=1, initial=arb(0))
            most = b.radius * sum((root(x) for x in squares if not x.is_zero()), arb(0))
            lows[i], highs[i] = (centre - reach).max(-most), (centre + reach).min(most)
        low, high = plus(low, Tensor(tuple(outs), lows.reshape(shape))), plus(high, Tensor(tuple(outs), highs.reshape(shape)))
    if not low.data.size:
        return arb(0), arb(0)
    return -_top(-low.data), _top(high.data)


def _top(data: Any) -> arb:
    values = list(np.asarray(data, dtype=object).ravel())
    out = values[0]
    for x in values[1:]:
        out = out.max(x)
    return out
