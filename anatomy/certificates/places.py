"""Derivatives place by place: |dT| at one place of T, in terms of earlier wires at the place that goes with it.

A part says that |dT at p| has a share of at most `factor` times the norm of d(base) at p, over those axes of the base
that are not linked to axes of T.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flint import arb

from anatomy.certificates.affine import Form, Inner, Term
from anatomy.certificates.numbers import spectral
from anatomy.certificates.tensors import count, greatest

if TYPE_CHECKING:
    from anatomy.certificates.state import State


@dataclass(frozen=True, eq=False)
class Place:
    base: int
    links: Mapping[str, str]
    factor: arb

    def rename(self, table: Mapping[str, str]) -> Place:
        return Place(self.base, {a: table.get(b, b) for a, b in self.links.items()}, self.factor)

    def scaled(self, by: arb) -> Place:
        return Place(self.base, self.links, self.factor * by)


def block(state: State, t: Term, over: frozenset[str]) -> arb:
    """The norm, at one place, of the map from the inner axes of the base to the axes `over` of T."""
    wide = Inner(state.sizes)
    ins, outs = t.inners(), [a for a in t.map.axes if a in over and a not in t.links.values()]
    rest = [a for a in t.map.axes if a not in outs and a not in ins]
    array = t.map.spread(ins, wide).order([*rest, *outs, *ins])
    array = array.reshape(-1, count(outs, wide), count(ins, wide))
    repeats = arb(count(over - set(outs) - set(t.links.values()), state.sizes)).sqrt()
    if array.shape[1] == array.shape[2] == 1:
        return repeats * greatest(abs(x) for x in array.ravel())
    return repeats * spectral(state.tape, array)


def of_form(state: State, form: Form, over: frozenset[str] = frozenset()) -> list[Place]:
    """The parts of an affine wire, with the norm over the axes `over` on the left."""
    out = []
    for t in form.terms:
        links = {a: b for a, b in t.links.items() if b not in over}
        factor = block(state, t, over)
        if len(t.links) == len(t.axes) and not over:
            # The whole base runs with T, so that its own parts can be read on.
            out += [p.rename(t.links).scaled(factor) for p in state.places[t.base]]
        else:
            out.append(Place(t.base, links, factor))
    return out
