"""Attention by a square of a dot product: features that hold a constant, a vector and its products with itself.

The patterns, in the language, with running sums or sums over all keys, and any part of the features left out:

    p = cat(c, u, merge[a, e -> r](u[e -> a] * u))      y = dot[r](p(q), sum[m](p(k) * v)) / dot[r](p(q), sum[m](p(k)))
    the same over the denominator + eps, where the features are the products alone

Statement. With s_ij = q_i . k_j over e, the products of features are K(s_ij) = c_0 + c_1 s_ij + c_2 s_ij^2, c_2 > 0. With d = c_0 - c_1^2 / (4 c_2):
(a) if d > 0, then K >= d, and y is the weighted mean (`kernel`) with scores log K, |d log K / ds| <= sqrt(c_2 / d);
(b) if c_0 = c_1 = 0 and the denominator has eps > 0 more, then with |v_j| <= rho,
    |dy_i| <= sum_j P_ij |dv_j| + 2 rho sqrt(c_2 / eps) |ds_i|,   P_ij = K_ij / (eps + sum_l K_il),   |ds_i| Euclidean over the keys of row i.

Proof. The sum over (a, e) of q_a q_e k_a k_e is (q . k)^2. (a) With z = s + c_1 / (2 c_2), K = c_2 z^2 + d >= 2 sqrt(c_2 d) |z| and K' = 2 c_2 z.
(b) Let D = eps + sum_l K_il. dy_i = sum_j P_ij dv_j + sum_j 2 c_2 s_ij (v_j - y_i) ds_ij / D. By Cauchy and Schwarz the square of the last is at
most |ds_i|^2 4 c_2 / D times sum_j P_ij |v_j - y_i|^2, and with a further value 0 of weight eps / D the weights add up to 1 with mean y_i, so that this
sum is at most a variance in the ball of radius rho: rho^2. Source: this project's; the features are those of Based (Arora et al., arXiv 2402.18668)
and ReBased (Aksenov et al., arXiv 2402.10644).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from anatomy.ir.bound import (
    Bound,
    Slopes,
    Triple,
    add,
    div,
    down,
    enclose,
    hull_of_products,
    magnitude,
    mul,
    root,
    slopes_after,
    slopes_sum,
    up,
)
from anatomy.regularity import tensor
from anatomy.regularity.affine import retoken
from anatomy.regularity.local import parted, parts_of, scaled
from anatomy.regularity.tensor import Ball
from anatomy.regularity.view import Product, constant, rename, with_tokens

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules

NAME = "theorem on squares of dot products"
Interval = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Merged:
    """A wire is `factor * before` with some axes, of names that occur nowhere else, merged into `whole`."""

    before: Bound
    axes: tuple[str, ...]
    whole: str
    factor: Ball

    def rename(self, table: dict[str, str]) -> Merged:
        return Merged(rename(self.before, table), self.axes, table.get(self.whole, self.whole), self.factor)


@dataclass(frozen=True, eq=False)
class Joined:
    """A wire is these parts laid end to end: each an axis of a name that occurs nowhere else, and what has it."""

    parts: tuple[tuple[str, Bound], ...]
    whole: str

    def rename(self, table: dict[str, str]) -> Joined:
        return Joined(tuple((n, rename(p, table)) for n, p in self.parts), table.get(self.whole, self.whole))


# noting ---------------------------------------------------------------------------------------


def merged(ctx: Rules, x: Bound, own: Sequence[str]) -> dict[str, Any]:
    """What a merge of a product of two says of itself."""
    fact = x.facts.get("product")
    if len(own) != 3 or not isinstance(fact, Product) or fact.summed or len(fact.factors) != 2:
        return {}
    table = ctx.fresh(frozenset(own[:-1]))
    return {"merged": Merged(rename(replace(x, facts={"product": fact}), table), tuple(table[a] for a in own[:-1]), own[-1], tensor.scalar(1.0))}


def joined(ctx: Rules, parts: Sequence[Bound], names: Sequence[str], whole: str) -> dict[str, Any]:
    """What features laid end to end say of themselves, where some are merged."""
    if not any("merged" in p.facts for p in parts):
        return {}
    kept = []
    for name, part in zip(names, parts, strict=True):
        table = ctx.fresh(frozenset({name}))
        kept.append((table[name], rename(replace(part, facts={k: v for k, v in part.facts.items() if k == "merged"}), table)))
    return {"joined": Joined(tuple(kept), whole)}


def times(x: Bound, known: Ball) -> dict[str, Any]:
    """The same of a multiple."""
    fact = x.facts.get("merged")
    return {"merged": replace(fact, factor=tensor.times(fact.factor, known))} if isinstance(fact, Merged) and not known.axes else {}


# recognising ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Kernel:
    """`c0 + c1 s + c2 s^2`, with the score."""

    score: Bound
    c0: Interval
    c1: Interval
    c2: Interval

    @property
    def least(self) -> float:
        """A lower bound of the kernel for every score."""
        if self.c2[0] <= 0:
            return 0.0
        top = magnitude(self.c1)
        d = self.c0[0] - div(mul(top, top), down(4 * self.c2[0]))
        return max(0.0, down(d))

    @property
    def even(self) -> bool:
        return self.c0 == self.c1 == (0.0, 0.0) and self.c2[0] >= 0


def kernel(ctx: Rules, a: Bound, b: Bound, features: frozenset[str]) -> Kernel | None:
    """The sum over features of `a b` as a polynomial of one dot product; None where it is not seen to be one."""
    if len(features) != 1 or not features <= a.axes & b.axes:
        return None
    (r,) = features
    pairs = _pairs(a, b, r)
    if pairs is None or not any("merged" in x.facts for pair in pairs for _, x in pair):
        return None
    c = [(0.0, 0.0), (0.0, 0.0), (0.0, 0.0)]
    vectors: tuple[tuple[str, Bound], tuple[str, Bound]] | None = None
    for (m, x), (n, y) in pairs:
        p, q = constant(x), constant(y)
        if p is not None and q is not None:
            if (p.axes and p.axes != (m,)) or (q.axes and q.axes != (n,)):
                return None
            ones = tensor.times(p.rename({m: r}).spread(ctx.sizes | {r: ctx.sizes[m]}, [r]), q.rename({n: r}), [r])
            degree, scale, found = 0, ones.interval, None
        elif "merged" in x.facts and "merged" in y.facts:
            left, right = _square(x.facts["merged"], m), _square(y.facts["merged"], n)
            if left is None or right is None:
                return None
            degree, scale, found = 2, hull_of_products(left[2], right[2]), ((left[0], left[1]), (right[0], right[1]))
        elif p is None and q is None:
            degree, scale, found = 1, (1.0, 1.0), ((m, x), (n, y))
        else:
            return None
        c[degree] = _sum(c[degree], scale)
        if found is not None:
            if vectors is not None and not all(_same(u, v) for u, v in zip(vectors, found, strict=True)):
                return None
            vectors = found
    if vectors is None:
        return None
    (m, u), (n, w) = vectors
    if ctx.sizes[m] != ctx.sizes[n] or n in u.axes or m in w.axes:
        return None
    u, w = replace(u, facts={}), rename(replace(w, facts={}), {n: m})
    return Kernel(ctx.product([u, w], (m,)), c[0], c[1], c[2])


def _pairs(a: Bound, b: Bound, r: str) -> list[tuple[tuple[str, Bound], tuple[str, Bound]]] | None:
    p, q = a.facts.get("joined"), b.facts.get("joined")
    if isinstance(p, Joined) and isinstance(q, Joined):
        if p.whole != r or q.whole != r or len(p.parts) != len(q.parts):
            return None
        return list(zip(p.parts, q.parts, strict=True))
    return [((r, a), (r, b))] if p is None and q is None else None


def _square(fact: Merged, whole: str) -> tuple[str, Bound, Interval] | None:
    """The vector whose products with itself these are, its axis, and the factor."""
    product = fact.before.facts.get("product")
    if fact.whole != whole or not isinstance(product, Product) or len(product.factors) != 2 or len(fact.axes) != 2:
        return None
    u, w = product.factors
    a, e = fact.axes if fact.axes[0] in u.axes else fact.axes[::-1]
    if a not in u.axes or e in u.axes or e not in w.axes or a in w.axes or not _same((a, u), (e, w)):
        return None
    return e, w, fact.factor.interval


def _same(x: tuple[str, Bound], y: tuple[str, Bound]) -> bool:
    """Whether two wires are one but for the name of an axis."""
    (a, u), (b, w) = x, y
    if u.origin is None or w.origin is None or u.origin[0] != w.origin[0]:
        return False
    return {k: b if v == a else v for k, v in u.origin[1]} == dict(w.origin[1])


def _sum(a: Interval, b: Interval) -> Interval:
    return (b if a == (0.0, 0.0) else (down(a[0] + b[0]), up(a[1] + b[1])))


# what follows ---------------------------------------------------------------------------------


def entry(ctx: Rules, data: Sequence[Bound], known: Ball, summed: frozenset[str]) -> Interval:
    """Where `dot[r](a, sum[m](b))` lies; everywhere, where it is no sum of such kernels."""
    nowhere = (-math.inf, math.inf)
    if known.axes or known.rad or known.mid != 1:
        return nowhere
    for a, sums in (data, data[::-1]):
        inner = sums.facts.get("product")
        if not isinstance(inner, Product) or not inner.summed:
            continue
        moving = [f for f in inner.factors if constant(f) is None]
        masks = [b for f in inner.factors if (b := constant(f)) is not None]
        if len(moving) != 1 or len(masks) > 1 or any(b.rad or summed & set(b.axes) or float(np.min(b.mid, initial=0.0)) < 0 for b in masks):
            continue
        found = kernel(ctx, a, moving[0], summed)
        if found is None:
            continue
        if not found.least:
            return (0.0, math.inf) if found.even else nowhere
        count = float(ctx.points(inner.summed))
        if masks:
            over = [x for x in masks[0].axes if x in inner.summed]
            rest = [x for x in masks[0].axes if x not in inner.summed]
            rows = masks[0].order([*rest, *over]).mid.reshape(math.prod(ctx.sizes[x] for x in rest), -1).sum(-1)
            count = down(float(rows.min()) * (1 - 1e-12)) * ctx.points(inner.summed - set(over))
        return max(0.0, down(count * found.least * (1 - 1e-12))), math.inf
    return nowhere


def logarithm(ctx: Rules, a: Bound, b: Bound, features: frozenset[str]) -> Bound | None:
    """The score of (a): the logarithm of the kernel, place by place."""
    found = kernel(ctx, a, b, features)
    if found is None or not found.least:
        return None
    d, score = found.least, found.score
    steep = root(div(found.c2[1], d))
    top = magnitude(score.entry)
    high = add(max(found.c0[1], 0.0), mul(magnitude(found.c1), top), mul(found.c2[1], top, top))
    ends = enclose("log", d)[0], enclose("log", high)[1]
    places = scaled(parts_of(score), steep)
    return Bound(score.axes, score.axes, ends, slopes=slopes_after(Triple.all(steep), with_tokens(score, score.axes, ctx.sizes).slopes), local=places)


def mean(ctx: Rules, found: Kernel, v: Bound, keys: frozenset[str], eps: float, tokens: frozenset[str]) -> Slopes | None:
    """The derivative in case (b), by tokens."""
    score = found.score
    if not found.even or not keys <= v.axes & score.axes or eps <= 0:
        return None
    rows = score.axes - keys
    value = parted(ctx, v, v.axes & score.axes)
    k = float(ctx.points(rows - v.axes))
    slopes: Slopes = slopes_after(Triple.of(k, root(k), 1.0), value.slopes)
    steep = mul(2.0, value.radius, root(div(found.c2[1], eps)))
    slopes = slopes_sum(slopes, slopes_after(Triple.all(steep), parted(ctx, score, rows).slopes))
    return {key: retoken(triple, rows, tokens, ctx.sizes) for key, triple in slopes.items()}
