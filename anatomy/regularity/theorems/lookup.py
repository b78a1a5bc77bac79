"""Reading between the entries of a table: linear interpolation at a position that moves.

The pattern, in the language, for positions t and a table z, up to isomorphism:

    i = index[p](t)      (1 - t + i) * gather[p](z, i) + (t - i) * gather[p](z, index[p](i + 1))

Statement. With t in [l, h], entries 0 .. P of the table, D at least |z_(p+1) - z_p|, and c = 1 + 2 max(0, -l, h - P), the sum y is continuous and
|dy| <= D |dt| + c max_p |dz_p| at each place.

Proof. `index` is floor, clamped to 0 .. P. Between two whole numbers k and k + 1 within 0 .. P, y = (1 - t + k) z_k + (t - k) z_(k+1) with weights of at
least 0 and sum 1, and both sides agree at whole t. Below 0 it goes on as the line through z_0 and z_1, whose weights 1 - t and t have magnitudes
of sum 1 - 2 t; above P it is (1 - t + P) z_P + (t - P) z_P = z_P. A continuous function that is linear on pieces has the greatest of
their slopes. Source: elementary; the pattern is that of contextual positions (Golovneva et al., arXiv 2405.18719).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from anatomy.ir.bound import INF, Bound, Triple, add, hull_of_products, mul, slopes_after, slopes_meet, slopes_sum, up
from anatomy.regularity import affine
from anatomy.regularity.affine import Base, Form, Term
from anatomy.regularity.theorems.sink import same
from anatomy.regularity.view import Product, constant, named, rename, widen, with_tokens

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules

NAME = "theorem on interpolated tables"


@dataclass(frozen=True, eq=False)
class Floor:
    """A wire is the floor of another, clamped into an axis of so many entries."""

    whole: Bound
    size: int

    def rename(self, table: dict[str, str]) -> Floor:
        return Floor(rename(self.whole, table), self.size)


@dataclass(frozen=True, eq=False)
class Looked:
    """A wire is a table at an index; the axis of the table has a name that occurs nowhere else."""

    table: Bound
    index: Bound
    axis: str

    def rename(self, table: dict[str, str]) -> Looked:
        return Looked(rename(self.table, table), rename(self.index, table), self.axis)


def looked(ctx: Rules, x: Bound, i: Bound, axis: str) -> Bound | None:
    """A table at a floor: it jumps, but what it is made of is kept."""
    if not isinstance(i.facts.get("floor"), Floor):
        return None
    axes = (x.axes - {axis}) | i.axes
    fresh = ctx.fresh(frozenset({axis}))
    slopes = {key: Triple.all(INF) for key in {**x.slopes, **i.slopes}}
    fact = Looked(replace(rename(x, fresh), facts={}), i, fresh[axis])
    return Bound(axes, axes, x.entry, INF, slopes, facts={"looked": fact})


def interpolated(ctx: Rules, out: Bound) -> Bound:
    """A sum, two of whose terms are such an interpolation, with a derivative that is bounded."""
    form = out.form
    if form is None or len(form.terms) < 2 or all(t.two < INF for t in out.slopes.values()):
        return out
    for j, a in enumerate(form.terms):
        for k, b in enumerate(form.terms):
            between = _between(ctx, a, b) if j != k else None
            if between is None:
                continue
            number = _further()
            line = named(replace(between, form=affine.itself(Base(number, between))), number)
            rest = Form(tuple(t for m, t in enumerate(form.terms) if m not in (j, k)), form.offset)
            whole = affine.total(rest, line.form, ctx.sizes) if rest.terms or rest.offset is not None else line.form
            again = ctx.finish(out.axes, out.tokens, out.entry, INF, dict.fromkeys(out.slopes, Triple.all(INF)), whole)
            return replace(again, slopes=slopes_meet(out.slopes, again.slopes), radius=min(out.radius, again.radius), local=None)
    return out


def _further() -> int:
    from anatomy.regularity.theorems.mixing import further

    return further()


def _between(ctx: Rules, a: Term, b: Term) -> Bound | None:
    """`(1 - t + i) z_i + (t - i) z_(i+1)`, where two terms are that."""
    below, above = _product(a), _product(b)
    if below is None or above is None:
        return None
    (low, first), (high, second) = below, above
    i, j = first.index, second.index
    floor, after = i.facts.get("floor"), j.facts.get("floor")
    if not isinstance(floor, Floor) or not isinstance(after, Floor) or i.origin is None or floor.size != after.size:
        return None
    if not _alike(first, second):
        return None
    step = affine.itself(Base(i.origin[0], i))
    if low.form is None or high.form is None or after.whole.form is None or floor.whole.form is None:
        return None
    if not (_own(low.form, i) and _own(high.form, i) and _own(after.whole.form, i)):
        return None
    if not _zero(_less(after.whole.form, step, ctx), 1.0) or not _zero(affine.total(low.form, high.form, ctx.sizes), 1.0):
        return None
    if not same(_drop(affine.total(high.form, step, ctx.sizes)), floor.whole.form):
        return None
    t, z, last = floor.whole, first.table, float(floor.size - 1)
    axes = a.base.bound.axes
    over = 1 + 2 * max(0.0, -t.entry[0], t.entry[1] - last)
    steep = up(z.entry[1] - z.entry[0])
    moved = widen(with_tokens(replace(t, facts={}), t.axes, ctx.sizes), axes, axes, ctx.sizes)
    held = ctx.selection([replace(z, facts={})], frozenset({first.axis}))
    held = widen(with_tokens(held, held.axes, ctx.sizes), axes, axes, ctx.sizes)
    slopes = slopes_sum(slopes_after(Triple.all(steep), moved.slopes), slopes_after(Triple.all(up(over)), held.slopes))
    entry = hull_of_products(z.entry, (0.0, 1.0)) if over == 1 else (-mul(add(over, 0.0), max(map(abs, z.entry))), mul(over, max(map(abs, z.entry))))
    return Bound(axes, axes, entry, INF, slopes)


def _alike(a: Looked, b: Looked) -> bool:
    """Whether two lookups are of one table."""
    table = rename(b.table, {b.axis: a.axis})
    p, q = constant(a.table), constant(table)
    if p is not None and q is not None:
        return set(p.axes) == set(q.axes) and p.rad == q.rad and bool(np.array_equal(p.mid, q.order(p.axes).mid))
    x, y = a.table.origin, table.origin
    return x is not None and y is not None and x[0] == y[0] and dict(x[1]) == dict(y[1])


def _product(term: Term) -> tuple[Bound, Looked] | None:
    """The factor and the lookup of a term that is a product of such, under its own names."""
    base = term.base.bound
    fact = base.facts.get("product")
    if any(a != b for a, b in term.links) or len(term.links) != len(base.axes) or term.map.axes or term.map.rad or term.map.mid != 1:
        return None
    if not isinstance(fact, Product) or fact.summed or len(fact.factors) != 2:
        return None
    for x, y in (fact.factors, fact.factors[::-1]):
        if isinstance(y.facts.get("looked"), Looked) and x.axes | y.axes == base.axes:
            return x, y.facts["looked"]
    return None


def _own(form: Form, i: Bound) -> bool:
    """Whether a form reads the index under the names that the index has here."""
    assert i.origin is not None
    return any(t.base.wire == i.origin[0] and dict(t.links) == dict(i.origin[1]) for t in form.terms)


def _less(a: Form, b: Form, ctx: Rules) -> Form:
    from anatomy.regularity import tensor

    return affine.total(a, affine.product(b, tensor.scalar(-1.0), frozenset(), ctx.sizes), ctx.sizes)


def _drop(form: Form) -> Form:
    """Without terms that are 0."""
    offset = form.offset if form.offset is not None and (form.offset.rad or np.any(form.offset.mid)) else None
    return Form(tuple(t for t in form.terms if t.map.rad or np.any(t.map.mid)), offset)


def _zero(form: Form, offset: float) -> bool:
    """Whether a form is a constant."""
    kept: Sequence[Term] = _drop(form).terms
    return not kept and form.offset is not None and not form.offset.rad and bool(np.all(form.offset.mid == offset))
