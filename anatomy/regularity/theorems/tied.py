"""Attention by distances with tied queries and keys, values through the same projection: Lipschitz on the whole space.

The pattern, in the language, up to isomorphism, constant factors and masks that let every token see itself:

    q = dot[d](x, W)    k = dot[d](x[n -> m], W)    s = -sum[e](square(q - k)) * beta    v = dot[e](k, M)
    out dot[m](softmax[m](s), v)

Statement. f_i = sum_j P_ij y_j M, P_i = softmax over at most N keys, i among them, of -beta |y_i - y_j|^2, y = x W, for all x. With Phi the number
that has Phi e^(Phi + 1) = N - 1, and b = min(1 + 2 Phi, 1 + 2 sqrt(Phi / e), max over 1/N <= q < 1 of sqrt(q) (1 + 2 sqrt((1 - q) log((N - 1) q / (1 - q)) / e))),

    Lip_F <= ||W|| ||M|| (sqrt(rows) b + 2 Phi),    Lip_inf <= ||W|| ||M|| (1 + 4 Phi),
    Lip_1 <= ||W|| ||M|| (rows (2 e^(-1/2) + 2 sqrt(Phi / (2 e))) + 2 Phi).

Proof. Scale y by sqrt(beta); M is divided by it, so that it drops. dy'_i = sum_j T_ij g_j + 2 C_i g_i, g = dy, T_ij = P_ij (I + 2 (y_j - m_i)(y_i - y_j)^T), m_i and C_i
mean and covariance under P_i. With r_j = |y_i - y_j| and P_ij = q e^(-r_j^2), q = P_ii the greatest weight: tr C_i <= sum_j P_ij r_j^2 <= Phi, for sum r e^-r / (1 + sum e^-r)
over N - 1 terms is stationary where all are equal, with the value Phi (Kim, Papamakarios and Mnih 2021, arXiv 2006.04710). The norm of row i of T is, by Minkowski, at
most (sum_j P_ij^2)^(1/2) + 2 (sum_j P_ij^2 (u.(y_j - m_i))^2 r_j^2)^(1/2) <= sqrt(q) + 2 sqrt(max_j P_ij r_j^2 tr C_i), max_j P_ij r_j^2 <= q / e, and
sum_j P_ij r_j^2 = sum_(j != i) P_ij log(q / P_ij) <= (1 - q) log((N - 1) q / (1 - q)) by Jensen. By Cauchy and Schwarz it is also <= 1 + 2 Phi, which
holds in the max norm. One column: |T_ij| <= e^(-r^2) (1 + 2 r^2) + 2 r e^(-r^2) sqrt(Phi). Source: this project's, correcting the constant of
op. cit., Theorem 3.2, which is not homogeneous in W. With values that see more than y there is no constant on the whole space.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from anatomy.ir.bound import Bound, Triple, add, arb_up, div, mul, root
from anatomy.regularity import tensor
from anatomy.regularity.affine import Term, inside
from anatomy.regularity.tensor import Ball, TooLarge, spectral
from anatomy.regularity.theorems.softmax import Attention, Rows
from anatomy.regularity.view import Softmax, Via, rename

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules

NAME = "theorem on tied distances"


@lru_cache(maxsize=256)
def phi(keys: int) -> float:
    """The solution of `x e^(x + 1) = keys - 1`, rounded up: a float at which the left side is proved to be no less."""
    from flint import arb

    if keys <= 1:
        return 0.0
    x = math.log(keys)
    for _ in range(60):
        value = x * math.exp(x + 1) - (keys - 1)
        x -= value / (math.exp(x + 1) * (1 + x))
    step = 1e-15
    while not bool(arb(x) * (arb(x) + 1).exp() >= keys - 1):
        x, step = x * (1 + step), 2 * step
    return x


@lru_cache(maxsize=256)
def bracket(keys: int) -> float:
    """The factor b of a row, rounded up: the maximum over q by cells, on each of which every factor is bounded by itself."""
    from flint import arb

    if keys <= 1:
        return 1.0
    e, top, first = arb(1).exp(), 0.0, 1.0 / keys
    small = sorted({0.5 * 10.0 ** (-k / 160) for k in range(1601)})  # 1 - q
    edges = sorted({math.nextafter(first, 0.0), *(first * (0.5 / first) ** (k / 800) for k in range(1, 801) if first < 0.5), *(1 - s for s in small)})
    edges = [q for q in edges if math.nextafter(first, 0.0) <= q]
    for a, b in itertools.pairwise(edges):
        rest = arb(1) - arb(a)
        spread = rest * ((keys - 1) * arb(b) / (arb(1) - arb(b))).log()
        top = max(top, _row(arb(b), spread, e))
    u = arb(1) - arb(edges[-1])  # u (log(keys - 1) - log u) increases up to u = 1/e
    top = max(top, _row(arb(1), u * (arb(max(keys - 1, 1)).log() - u.log()), e))
    large = phi(keys)
    return min(top, add(1.0, mul(2.0, large)), arb_up(1 + 2 * (arb(large) / e).sqrt()))


def _row(q: object, spread: object, e: object) -> float:
    high = arb_up(spread)
    from flint import arb

    return arb_up(q.sqrt() * (1 + 2 * (arb(max(high, 0.0)) / e).sqrt()))  # type: ignore[attr-defined,operator]


@dataclass(frozen=True, eq=False)
class Tied(Attention):
    """A recognised attention by distances; `values` act on the projection, whose norm is given for each head."""

    projections: tuple[float, ...] = ()

    def per_head(self, values: Ball) -> list[list[Triple]]:
        keys, rows, large = self.rows.most, float(self.rows.queries), phi(self.rows.most)
        if keys <= 1:
            base = Triple.of(rows, root(rows), 1.0)
        else:
            from flint import arb

            e = arb(1).exp()
            column = add(arb_up(2 / e.sqrt()), arb_up(2 * (arb(large) / (2 * e)).sqrt()))
            own = mul(2.0, large)
            base = Triple.of(add(mul(rows, column), own), add(mul(root(rows), bracket(keys)), own), add(1.0, mul(4.0, large)))
        return [[base.after(Triple.all(mul(w, m)))] for w, m in zip(self.projections, spectral(values.mid, values.rad).tolist(), strict=True)]

    def radius(self, axes: frozenset[str], tokens: frozenset[str], sizes: dict[str, int]) -> float:
        """What the product rule says stands."""
        return math.inf

    def explodes(self, values: Ball) -> bool:
        return False


def tied(ctx: Rules, data: Sequence[Bound], known: Ball, summed: frozenset[str]) -> Attention | None:
    """The attention in `sum over summed of P * v`, or None where a side condition fails."""
    for p, v in (data, data[::-1]):
        fact, via = p.facts.get("softmax"), v.facts.get("via")
        if isinstance(fact, Softmax) and isinstance(via, Via) and fact.own == summed and len(summed) == 1 and known.axes == ():
            for form in via.forms:
                if len(form.terms) == 1:
                    try:
                        found = _tied(ctx, fact, form.terms[0], v, known, next(iter(summed)))
                    except TooLarge:
                        found = None
                    if found is not None:
                        return found
    return None


def _tied(ctx: Rules, fact: Softmax, value: Term, v: Bound, known: Ball, m: str) -> Attention | None:
    pair = _difference(fact.score)
    if pair is None:
        return None
    (one, two), e, scale = pair
    here, there = dict(one.links), dict(two.links)
    ends = [a for a in there if there[a] == m]
    if len(ends) != 1:
        one, two, here, there = two, one, there, here
        ends = [a for a in there if there[a] == m]
    base = one.base.bound
    if len(ends) != 1 or one.base.wire != two.base.wire or ends[0] not in here or {**here, ends[0]: ""} != {**there, ends[0]: ""}:
        return None
    n, names = here[ends[0]], [inside(a) for a in sorted(base.features)]
    heads = tuple(sorted(fact.score.axes - set(here.values()) - {m}))
    if set(here) != set(base.tokens) or n in v.axes or n == m or set(two.map.axes) - {*names, *heads, e}:
        return None
    # The projection of the score and that of the values: one matrix, up to its sign.
    w = _exactly(two, names, [*heads, e], ctx)
    if w is None or not np.array_equal(w, -_or_nan(_exactly(one, names, [*heads, e], ctx), w)):
        return None
    links, middle = dict(value.links), value.base.bound
    if middle.form is None or len(middle.form.terms) != 1 or middle.form.terms[0].base.wire != one.base.wire:
        return None
    inner = middle.form.terms[0]
    own = [a for a in sorted(middle.axes) if a not in links]
    if len(own) != 1 or {a: links.get(b) for a, b in inner.links} != there or (middle.form.offset is not None and set(middle.form.offset.axes) & set(dict(inner.links).values())):
        return None
    back = {b: a for a, b in links.items()}
    if any(h not in back for h in heads) or set(back) - set(there.values()) - set(heads):
        return None
    other = _exactly(inner, names, [*(back[h] for h in heads), own[0]], ctx)
    if other is None or not (np.array_equal(w, other) or np.array_equal(w, -other)):
        return None
    outs = tuple(sorted(v.axes - set(there.values()) - set(heads)))
    if set(value.map.axes) & (set(there.values()) | {n}):
        return None
    rows = _rows(ctx, fact, n, m)
    if rows is None:
        return None
    count = math.prod(ctx.sizes[h] for h in heads)
    wide = ctx.sizes | {inside(own[0]): ctx.sizes[e]}
    map_ = tensor.times(value.map, known).spread(wide, [*heads, inside(own[0]), *outs]).order([*heads, inside(own[0]), *outs])
    values = Ball(("h", "d", "f"), map_.mid.reshape(count, ctx.sizes[e], -1), map_.rad)
    norms = spectral(np.moveaxis(w.reshape(-1, count, ctx.sizes[e]), 1, 0)).tolist()
    # W and M are scaled by the roots of the factors of the squares and by their inverses.
    uneven = root(div(max(map(abs, scale.interval)), min(map(abs, scale.interval))))
    made = {f.name: None for f in fields(Attention)} | {
        "bases": (one.base,) * 3, "query": n, "natural": frozenset(here.values()), "heads": heads, "value_axes": outs, "values": values,
        "value_offset": 0.0, "width": 0.0, "rows": rows, "tilt": np.zeros(count), "scores": values,
    }  # fmt: skip
    return Tied(**made, projections=tuple(mul(norm, uneven) for norm in norms))  # type: ignore[arg-type]


def _difference(score: Bound) -> tuple[Sequence[Term], str, Ball] | None:
    """The two terms whose difference is squared and summed over an axis, the axis, and by how much the score falls with the squares."""
    if score.form is None or len(score.form.terms) != 1 or not _nothing(score.form.offset):
        return None
    outer = score.form.terms[0]
    base, links = outer.base.bound, dict(outer.links)
    square, left = base.facts.get("square"), sorted(base.axes - set(links))
    if not isinstance(square, Bound) or len(left) != 1 or left[0] in links.values() or set(links.values()) != set(score.axes):
        return None
    square = rename(square, links)
    if square.form is None or len(square.form.terms) != 2 or not _nothing(square.form.offset) or set(outer.map.axes) & set(square.tokens):
        return None
    return (square.form.terms, left[0], outer.map) if outer.map.interval[1] < 0 else None


def _nothing(offset: Ball | None) -> bool:
    return offset is None or not (offset.mid.any() or offset.rad)


def _exactly(term: Term, ins: Sequence[str], outs: Sequence[str], ctx: Rules) -> np.ndarray | None:
    """The map of a term as an array, where it is known without error."""
    if term.map.rad or not set(term.map.axes) <= {*ins, *outs} or any(a in dict(term.links).values() for a in outs):
        return None
    wide = ctx.sizes | {a: ctx.sizes[a[1:]] for a in ins}
    return term.map.spread(wide, [*ins, *outs]).order([*ins, *outs]).mid


def _or_nan(x: np.ndarray | None, like: np.ndarray) -> np.ndarray:
    return np.full_like(like, np.nan) if x is None else x


def _rows(ctx: Rules, fact: Softmax, n: str, m: str) -> Rows | None:
    """The rows, where every one sees itself."""
    size = ctx.sizes[n]
    if ctx.sizes[m] != size:
        return None
    if fact.allowed is None:
        return Rows(size, size, None, True)
    if not isinstance(fact.allowed, Ball) or not set(fact.allowed.axes) <= {n, m}:
        return None
    grid = np.broadcast_to(fact.allowed.order([n, m]).mid, (size, size))
    return Rows(size, size, grid, True) if bool(np.all(np.diag(grid) > 0)) else None

