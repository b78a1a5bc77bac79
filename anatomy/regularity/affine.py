"""Wires as affine functions of earlier wires, kept explicitly so that chains of linear maps fold exactly.

`T = sum of terms + offset`. A term is `base` seen through a constant tensor: its `links` pair an axis of the
base with the axis of T that it is identified with; the tensor has the other axes of the base (written `<a`),
axes of T that are not linked, and possibly linked axes of T, along which it varies.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from anatomy.ir.bound import INF, Bound, Interval, Triple, add, mul, root
from anatomy.regularity import tensor
from anatomy.regularity.tensor import Ball, TooLarge, frobenius, spectral


def inside(axis: str) -> str:
    """The name of an axis of the base inside the tensor of a term."""
    return "<" + axis


@dataclass(frozen=True, eq=False)
class Base:
    """A wire that forms refer to: its number and what is proved of it."""

    wire: int
    bound: Bound


@dataclass(frozen=True, eq=False)
class Term:
    base: Base
    links: tuple[tuple[str, str], ...]
    map: Ball

    def rename(self, table: dict[str, str]) -> Term:
        return Term(self.base, tuple((a, table.get(b, b)) for a, b in self.links), self.map.rename(table))

    def explicit(self, axis: str, sizes: dict[str, int]) -> Term:
        """With an axis of T in the tensor and in no link: a link becomes an identity matrix, a repeat ones."""
        for a, b in self.links:
            if b == axis:
                eye = tensor.identity(inside(a), b, sizes[b])
                return Term(self.base, tuple(p for p in self.links if p[1] != axis), tensor.times(self.map, eye))
        return replace(self, map=self.map.spread(sizes, [axis]))

    def unlinked(self, keep: dict[str, str], sizes: dict[str, int]) -> Term:
        """With only the given links left."""
        term = self
        for a, b in self.links:
            if keep.get(a) != b:
                term = term.explicit(b, sizes)
        return term


@dataclass(frozen=True, eq=False)
class Form:
    """An affine function; a constant has no terms."""

    terms: tuple[Term, ...] = ()
    offset: Ball | None = None

    def rename(self, table: dict[str, str]) -> Form:
        return Form(tuple(t.rename(table) for t in self.terms), self.offset and self.offset.rename(table))

    @property
    def constant(self) -> Ball | None:
        """The value, when it depends on no wire."""
        if self.terms:
            return None
        return self.offset or tensor.scalar(0.0)


def itself(base: Base) -> Form:
    return Form((Term(base, tuple((a, a) for a in sorted(base.bound.axes)), tensor.scalar(1.0)),))


def total(a: Form, b: Form, sizes: dict[str, int]) -> Form:
    terms = list(a.terms)
    for new in b.terms:
        for k, old in enumerate(terms):
            merged = _merge(old, new, sizes) if old.base.wire == new.base.wire else None
            if merged is not None:
                terms[k] = merged
                break
        else:
            terms.append(new)
    offset = a.offset if b.offset is None else b.offset if a.offset is None else tensor.plus(a.offset, b.offset)
    return Form(tuple(terms), offset)


def _merge(a: Term, b: Term, sizes: dict[str, int]) -> Term | None:
    """The sum of two terms of one base; None where an axis is linked to two places."""
    la, lb = dict(a.links), dict(b.links)
    if any(la[x] != lb[x] for x in la if x in lb):
        return None
    keep = {x: la[x] for x in la if lb.get(x) == la[x]}
    wide = frozenset(la.values()) | frozenset(lb.values()) | {x for t in (a, b) for x in t.map.axes if x[0] != "<"}
    try:
        a, b = a.unlinked(keep, sizes), b.unlinked(keep, sizes)
        spread = [x for x in wide if x not in keep.values()]
        return Term(a.base, a.links, tensor.plus(a.map.spread(sizes, spread), b.map.spread(sizes, spread)))
    except TooLarge:
        return None


def product(form: Form, ball: Ball, summed: frozenset[str], sizes: dict[str, int]) -> Form:
    """`sum over summed of T * ball`; every summed axis is an axis of T or of the tensor."""
    terms = []
    for term in form.terms:
        ended = {b: a for a, b in term.links if b in summed}
        joint = _summed(term.map, ball, summed - ended.keys(), sizes)
        # sum_b delta(a, b) M_b: the axis of T becomes the axis of the base.
        joint = joint.spread(sizes, ended).rename({b: inside(a) for b, a in ended.items()})
        terms.append(Term(term.base, tuple(p for p in term.links if p[1] not in ended), joint))
    start = form.constant if not form.terms else form.offset
    return Form(tuple(terms), None if start is None else _summed(start, ball, summed, sizes))


def _summed(a: Ball, b: Ball, summed: frozenset[str] | set[str], sizes: dict[str, int]) -> Ball:
    present = [x for x in summed if x in a.axes or x in b.axes]
    repeats = math.prod(sizes[x] for x in summed if x not in present)
    out = tensor.times(a, b, present)
    return out if repeats == 1 else tensor.times(out, tensor.scalar(float(repeats)))


def apply(form: Form, own: tuple[str, ...], function: Callable[[Ball], Ball], sizes: dict[str, int]) -> Form:
    """A linear map over the own axes, given on tensors that have them all."""
    terms = []
    for term in form.terms:
        for axis in own:
            if axis in dict(term.links).values() or axis not in term.map.axes:
                term = term.explicit(axis, sizes)
        terms.append(Term(term.base, term.links, function(term.map)))
    start = form.constant if not form.terms else form.offset
    return Form(tuple(terms), None if start is None else function(start.spread(sizes, own)))


# norms ----------------------------------------------------------------------------------------


def retoken(triple: Triple, old: frozenset[str], new: frozenset[str], sizes: dict[str, int]) -> Triple:
    """The triple of a tensor-valued map when its axes are parted in another way.

    A feature that becomes a token: the sum of norms grows by at most sqrt(size), the maximum shrinks;
    a token that becomes a feature: the other way round. L2 does not change.
    """
    wider = root(float(math.prod(sizes[a] for a in new - old)))
    narrower = root(float(math.prod(sizes[a] for a in old - new)))
    return Triple.of(mul(wider, triple.one), triple.two, mul(narrower, triple.inf))


def norms(term: Term, axes: frozenset[str], tokens: frozenset[str], sizes: dict[str, int]) -> Triple:
    """Operator norms of a term from the base's own partition to `tokens` of T."""
    base = term.base.bound
    links = dict(term.links)
    natural = {b for b in tokens if b not in links.values()} | {b for a, b in links.items() if a in base.tokens}
    target = frozenset(natural)
    if target != tokens:
        return retoken(norms(term, axes, target, sizes), target, tokens, sizes)
    map_, have = term.map, frozenset(term.map.axes)
    alike = [b for b in links.values() if b in have and b in tokens]
    zipped = [*alike, *(b for b in links.values() if b in have and b not in tokens)]
    ins = [inside(a) for a in sorted(base.axes) if a not in links]
    in_t = [a for a in ins if a[1:] in base.tokens]
    in_f = [a for a in ins if a[1:] not in base.tokens]
    out_t = sorted(b for b in have if b in tokens and b not in zipped and b[0] != "<")
    out_f = sorted(b for b in have if b not in tokens and b not in zipped and b[0] != "<")
    map_ = map_.spread(sizes | {inside(a): sizes[a] for a in base.axes}, ins)
    repeated = axes - have - frozenset(links.values())
    repeat_t = float(math.prod(sizes[a] for a in repeated & tokens))
    repeat_f = root(float(math.prod(sizes[a] for a in repeated - tokens)))
    block = map_.order([*zipped, *out_t, *in_t, *out_f, *in_f]).mid
    z, ot, it, of, if_ = (math.prod(sizes[a.lstrip("<")] for a in group) for group in (zipped, out_t, in_t, out_f, in_f))
    block = block.reshape(z, ot, it, of, if_)
    whole = float(np.max(spectral(np.ascontiguousarray(block.transpose(0, 1, 3, 2, 4)).reshape(z, ot * of, it * if_), map_.rad), initial=0.0))
    two = mul(whole, root(repeat_t), repeat_f)
    if ot == it == 1:
        one = inf = whole
    else:
        sizes_of_blocks = frobenius(block, 2) + mul(map_.rad, root(float(of * if_)))
        # Between two tokens a linked feature gives a block of its own, and the greatest counts before blocks are added up.
        sizes_of_blocks = np.max(sizes_of_blocks.reshape(math.prod(sizes[a] for a in alike), -1, ot, it), axis=1, initial=0.0)
        inf = _largest_sum(sizes_of_blocks, 2)
        one = _largest_sum(sizes_of_blocks, 1)
    return Triple.of(mul(one, repeat_t, repeat_f), two, mul(inf, repeat_f))


def _largest_sum(x: np.ndarray, axis: int) -> float:
    sums = np.sum(x, axis=axis)
    return float(np.max(sums, initial=0.0)) * (1 + 4 * (x.shape[axis] + 4) * tensor.UNIT) if sums.size else 0.0


def entries(form: Form, axes: frozenset[str], sizes: dict[str, int]) -> Interval:
    """An interval for every entry of T: the offset, and the radius of each base times the norm of a row."""
    reach = 0.0
    for term in form.terms:
        if term.base.bound.radius == INF and not np.any(term.map.mid) and not term.map.rad:
            continue
        base = term.base.bound
        links = dict(term.links)
        ins = [inside(a) for a in sorted(base.axes) if a not in links]
        in_t = [a for a in ins if a[1:] in base.tokens]
        in_f = [a for a in ins if a[1:] not in base.tokens]
        outs = [a for a in term.map.axes if a[0] != "<"]
        map_ = term.map.spread(sizes | {inside(a): sizes[a] for a in base.axes}, ins)
        block = map_.order([*outs, *in_t, *in_f]).mid
        it, if_ = (math.prod(sizes[a[1:]] for a in group) for group in (in_t, in_f))
        block = block.reshape(-1, it, if_)
        rows = frobenius(block, 1) + mul(map_.rad, root(float(if_)))
        reach = add(reach, mul(_largest_sum(rows[:, None, :], 2), base.radius))
    low, high = form.offset.interval if form.offset is not None else (0.0, 0.0)
    return (low if reach == 0 else math.nextafter(low - reach, -INF)), add_signed(high, reach)


def add_signed(a: float, reach: float) -> float:
    return a if reach == 0 else math.nextafter(a + reach, INF)
