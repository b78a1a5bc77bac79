"""Moves on weights that stand in products with weights: when a product of two is any matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from anatomy.ir.poly import Poly
from anatomy.ops import Compare, Where
from anatomy.rewrites.delta import delta
from anatomy.rewrites.parametric import ONE, Parametric
from anatomy.rewrites.summands import Place, inner, learned, occurrences
from anatomy.rewrites.sums import Factor, Sum, Term, number

Places = Mapping[int, list[tuple[Place, Factor]]]


@dataclass
class Hub:
    """A weight that never stands without one of its partners, always summed with it along its axes `summed`.

    `lanes` are the axes of it that the partners have too; for every partner, `names` gives its axes in those of the hub.
    """

    wire: int
    summed: tuple[str, ...]
    lanes: tuple[str, ...]
    names: dict[int, dict[str, str]] = field(default_factory=dict)


def merge_products(state: Parametric, conditional: bool | frozenset[str]) -> bool:
    """One hub whose products with its partners may be anything, put in their place, or may be under one of the conditions."""
    places = occurrences(state)
    later: list[tuple[Hub, str]] = []
    for wire in list(state.learners):
        for hub in _hubs(state, wire, places):
            verdict = _free(state, hub)
            if verdict == "":
                _merge(state, hub)
                return True
            later.append((hub, verdict))
    state.open = {condition: None for _, condition in later}
    allowed = [(h, c) for h, c in later if conditional is True or (conditional and c in conditional)]
    if allowed:
        hub, condition = allowed[0]
        state.conditions[condition] = None
        _merge(state, hub)
        return True
    return False


def _hubs(state: Parametric, wire: int, places: Places) -> list[Hub]:
    if not places.get(wire):
        return []
    (root, k), f = places[wire][0]
    first = state.roots[root][k]
    found = []
    for g in learned(state, first):
        if g is not f and g.wire in places:
            hub = _hub(state, wire, g.wire, places)
            if hub is not None:
                found.append(hub)
    return found


def _hub(state: Parametric, wire: int, partner: int, places: Places) -> Hub | None:
    """The hub whose partner in its first term is `partner`; None where it stands alone, or in different ways."""
    hub: Hub | None = None
    terms: set[tuple[int, int]] = set()
    for (root, k), f in places[wire]:
        t = state.roots[root][k]
        alone = inner(state, t)
        own = {b: a for a, b in f.renames}
        options = []
        for g in learned(state, t):
            if g is f or g.wire not in places:
                continue
            shared = {b for b in g.axes if b in own}
            summed = {b for b in shared & alone if not any(b in x.axes for x in t.factors if x is not f and x is not g)}
            options.append((g, tuple(sorted(own[b] for b in summed)), tuple(sorted(own[b] for b in shared - summed))))
        if hub is not None:
            known = hub
            options = [
                (g, summed, lanes) for g, summed, lanes in options
                if (summed, lanes) == (known.summed, known.lanes) and known.names.get(g.wire, _named(g, own)) == _named(g, own)
            ]  # fmt: skip
            options.sort(key=lambda o: o[0].wire not in known.names)
        else:
            options = [o for o in options if o[0].wire == partner]
        if not options:
            return None
        g, summed, lanes = options[0]
        hub = hub or Hub(wire, summed, lanes)
        hub.names[g.wire] = _named(g, own)
        terms.add((root, k))
    assert hub is not None
    if any(place not in terms for partner in hub.names for place, _ in places[partner]):
        return None
    rest = [a for a in state.learners[wire].axes if a not in hub.summed and a not in hub.lanes]
    return hub if hub.summed or not rest else None


def _named(g: Factor, own: dict[str, str]) -> dict[str, str]:
    return {a: own[b] for a, b in g.renames if b in own}


def _free(state: Parametric, hub: Hub) -> str:
    """Nothing where the products may be anything, else the condition on sizes."""
    inside, beyond, before = _sizes(state, hub)
    if implied(inside, beyond) or implied(inside, before):
        return ""
    if implied(before, beyond):
        return f"{inside} >= {beyond}"
    return f"{inside} >= {before}" if implied(beyond, before) else f"{inside} >= min({', '.join(sorted((str(beyond), str(before))))})"


def _sizes(state: Parametric, hub: Hub) -> tuple[Poly, Poly, Poly]:
    """The size of what is summed, of the rest of the hub, and of the rests of its partners together."""
    mine = state.learners[hub.wire].axes
    inside = _product(state, hub.summed)
    beyond = _product(state, [a for a in mine if a not in hub.summed and a not in hub.lanes])
    before = Poly()
    for partner, names in hub.names.items():
        before = before + _product(state, [a for a in state.learners[partner].axes if a not in names])
    return inside, beyond, before


def _product(state: Parametric, axes: Iterable[str]) -> Poly:
    size = Poly.of(1)
    for a in axes:
        size = size * state.size(a)
    return size


def implied(large: Poly, small: Poly) -> bool:
    """Whether `large >= small` for all sizes of at least 1: the difference has no negative coefficient in `size - 1`.

    >>> h, e = Poly.var("h"), Poly.var("e")
    >>> implied(h * e, e), implied(e, h * e)
    (True, False)
    """
    gap = large - small
    shifted = gap.substitute({v: Poly.var(v) + 1 for v in gap.variables()})
    return all(c >= 0 for _, c in shifted.terms)


def _merge(state: Parametric, hub: Hub) -> None:
    _Product(state, hub).run()


class _Product:
    """New weights for the products of a hub with its partners."""

    def __init__(self, state: Parametric, hub: Hub):
        self.state, self.hub = state, hub
        hubbed = state.learners[hub.wire]
        self.mine = hubbed.axes
        self.rest = [a for a in self.mine if a not in hub.summed and a not in hub.lanes]
        self.new: dict[int, int] = {}
        # For every partner: the axes that the product has from the hub, and those of its own that the hub lacks.
        self.outer: dict[int, dict[str, str]] = {}
        self.own: dict[int, list[str]] = {}
        for partner, names in hub.names.items():
            learner = state.learners[partner]
            self.outer[partner] = {a: state.algebra.another(a) for a in self.rest}
            self.own[partner] = [a for a in learner.axes if a not in names]
            kept = [a for a in learner.axes if names.get(a) not in hub.summed]
            key = f"{learner.key}_{hubbed.key.rpartition('.')[2]}" if hub.summed else learner.key
            self.new[partner] = state.fresh(key, (*kept, *self.outer[partner].values()), partner)

    def run(self) -> None:
        """Either the hub is an identity, or its partners are, one below the other; each where the sum is long enough for it."""
        state, hub = self.state, self.hub
        inside, beyond, before = _sizes(state, hub)
        forth = self._products()
        if implied(inside, beyond):
            back = self._embedded()
        elif implied(inside, before):
            back = self._selected()
        else:
            back = self._either(self._embedded(), self._selected())
        word = f"{state.learners[hub.wire].key} with {', '.join(state.learners[p].key for p in hub.names)}"
        for root, terms in state.roots.items():
            state.roots[root] = tuple(map(self._replaced, terms))
        state.step(word, forth, back)

    def _products(self) -> dict[int, Sum]:
        found: dict[int, Sum] = {}
        state, hub = self.state, self.hub
        for partner, names in hub.names.items():
            (one,), (other,) = state.plain(partner, state.learners[partner].axes), state.plain(hub.wire, self.mine)
            bound = {a: state.algebra.another(a) for a in hub.summed}
            lanes = {h: a for a, h in names.items() if h in hub.lanes}
            one = one.rename({a: bound[h] for a, h in names.items() if h in bound})
            product = state.times(one, other.rename(bound | self.outer[partner] | lanes))
            found[self.new[partner]] = (replace(product, bound=tuple(bound.values())),)
        return found

    def _replaced(self, t: Term) -> Term:
        hub = self.hub
        f = next((x for x in t.factors if x.wire == hub.wire), None)
        if f is None:
            return t
        own = dict(f.renames)
        g = next(x for x in t.factors if x.wire in self.new)
        renames = [(a, b) for a, b in g.renames if hub.names[g.wire].get(a) not in hub.summed]
        renames += [(o, own[r]) for r, o in self.outer[g.wire].items()]
        gone = {own[s] for s in hub.summed}
        factor = Factor(self.new[g.wire], tuple(sorted(renames)))
        factors = tuple(factor if x is g else x for x in t.factors if x is not f)
        return replace(t, factors=factors, bound=tuple(a for a in t.bound if a not in gone))

    # the weights of before --------------------------------------------------------------------

    def _embedded(self) -> dict[int, Sum]:
        """The hub is the identity from `rest` to what is summed, padded with zeros."""
        state, hub, rest = self.state, self.hub, self.rest
        back: dict[int, Sum] = {hub.wire: self._eye(rest, list(hub.summed))}
        for partner, names in hub.names.items():
            outer = self.outer[partner]
            (one,) = state.plain(self.new[partner], state.learners[self.new[partner]].axes)
            to = {h: a for a, h in names.items() if h in hub.summed}
            if len(rest) == len(hub.summed) and [state.size(r) for r in rest] == [state.size(s) for s in hub.summed]:
                back[partner] = (one.rename({outer[r]: to[s] for r, s in zip(rest, hub.summed, strict=True)}),)
                continue
            inside = {o: state.algebra.another(o) for o in outer.values()}
            eye = self._eye([inside[outer[r]] for r in rest], [to[s] for s in hub.summed])
            (product,) = state.algebra.product([(one.rename(inside),), eye])
            back[partner] = (replace(product, bound=(*product.bound, *inside.values())),)
        return back

    def _selected(self) -> dict[int, Sum]:
        """The partners pick rows of the hub, each its own ones."""
        state, hub = self.state, self.hub
        back: dict[int, Sum] = {}
        offset: list[Poly] = []
        total: list[Term] = []
        for partner, names in hub.names.items():
            own = self.own[partner]
            to = {h: a for a, h in names.items() if h in hub.summed}
            back[partner] = self._eye(own, [to[s] for s in hub.summed], offset)
            inside = {a: state.algebra.another(a) for a in own}
            lanes = {a: h for a, h in names.items() if h in hub.lanes}
            (one,) = state.plain(self.new[partner], state.learners[self.new[partner]].axes)
            one = one.rename(inside | {o: r for r, o in self.outer[partner].items()} | lanes)
            (product,) = state.algebra.product([(one,), self._eye(list(inside.values()), list(hub.summed), offset)])
            total.append(replace(product, bound=(*product.bound, *inside.values())))
            offset.append(_product(state, own))
        back[hub.wire] = state.algebra.collect(total)
        return back

    def _eye(self, left: Sequence[str], right: Sequence[str], offset: Sequence[Poly] = ()) -> Sum:
        """Without axes on the left, the first place on the right."""
        return delta(self.state, left, right, offset) if right else ONE

    def _either(self, one: Mapping[int, Sum], other: Mapping[int, Sum]) -> dict[int, Sum]:
        """The first where the sum is at least as long as the rest of the hub, else the second."""
        state = self.state
        small, large = (state.algebra.product([number(1), *map(state.counted, axes)]) for axes in (self.rest, self.hub.summed))
        test = state.box(Compare("<="), (), [small, large], ())
        return {w: state.box(Where(), (), [test, one[w], other[w]], state.learners[w].axes) for w in one}
