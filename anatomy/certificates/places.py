"""Derivatives place by place: |dT| at one place of T, in terms of affine wires at the place that goes with it.

A part says that the norm of dT over some axes, at one place of the others, has a share of at most `factor` times the norm over
the axes `over` of the derivative of a term, at the place that goes with it. Functions of one real pass parts on, times their slope.
For a product, |sum over S of dA B| <= |dA| |B| with norms over S and over the axes that the norm is of, by Cauchy and Schwarz.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flint import arb

from anatomy.certificates.affine import Form, Inner, Term
from anatomy.certificates.numbers import spectral
from anatomy.certificates.tensors import count, greatest, spend

if TYPE_CHECKING:
    from anatomy.certificates.state import State

DEEPEST = 24
MOST = 200
"""How far parts are followed back, and how often for one wire."""


@dataclass(frozen=True, eq=False)
class Place:
    term: Term
    over: frozenset[str]
    factor: arb

    @property
    def linked(self) -> frozenset[str]:
        """The axes of T that the term has."""
        return frozenset(a for a in (*self.term.links.values(), *self.term.map.axes) if a[0] != "<") - self.over

    def rename(self, table: dict[str, str]) -> Place:
        return Place(self.term.rename(table), frozenset(table.get(a, a) for a in self.over), self.factor)


def block(state: State, t: Term, over: frozenset[str]) -> arb:
    """The norm, at one place, of the map from the inner axes of the base to the axes `over` of T."""
    wide = Inner(state.sizes)
    ins, outs = t.inners(), [a for a in t.map.axes if a in over and a not in t.links.values()]
    rest = [a for a in t.map.axes if a not in outs and a not in ins]
    array = t.map.spread(ins, wide).order([*rest, *outs, *ins])
    array = array.reshape(-1, count(outs, wide), count(ins, wide))
    if array.shape[1] == array.shape[2] == 1:
        return greatest(abs(x) for x in array.ravel())
    return spectral(state.tape, array)


def parts(s: State, form: Form, over: frozenset[str] = frozenset(), depth: int = 0, taken: list[int] | None = None) -> list[Place]:
    """The parts of an affine wire, with the norm over the axes `over` on the left."""
    out = []
    taken = [] if taken is None else taken
    for t in form.terms:
        spend(200)
        curve, product = s.curves.get(t.base), s.products.get(t.base)
        have = frozenset((*t.links.values(), *t.map.axes))
        if depth > DEEPEST or len(taken) > MOST or (curve is None and product is None) or over - have:
            out.append(Place(t, over & have, arb(count(over - have, s.sizes)).sqrt()))
            continue
        taken.append(t.base)
        factor = block(s, t, over)
        inside = frozenset(a for a in t.axes if t.links.get(a) in over or a not in t.links)
        # Axes of the base that are no axes of T get names of their own.
        hidden = s.fresh(t.base, frozenset(a for a in t.axes if a not in t.links))
        table = dict(t.links) | hidden
        if curve is not None:
            view, slope = curve
            found = [Place(p.term, p.over, p.factor * slope) for p in parts(s, view.form, inside, depth + 1, taken)]
        else:
            assert product is not None
            found = []
            a, b = product.factors
            for x, y in ((a, b), (b, a)):
                size = s.read(y.form, y.axes, y.axes - product.summed - inside).radius
                for p in parts(s, x.form, (product.summed | inside) & x.axes, depth + 1, taken):
                    found.append(Place(p.term, p.over, p.factor * size))
        out += [Place(q.term, q.over, q.factor * factor) for q in (p.rename(table) for p in found)]
    return out
