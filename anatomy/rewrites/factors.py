"""Moves on weights that stand in products with weights: when a product of two is any matrix."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from anatomy.ir.poly import Poly
from anatomy.rewrites.delta import delta
from anatomy.rewrites.parametric import ONE, Parametric
from anatomy.rewrites.summands import inner, learned, occurrences
from anatomy.rewrites.sums import Factor, Sum, Term


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


def _hubs(state: Parametric, wire: int, places: dict) -> list[Hub]:  # type: ignore[type-arg]
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


def _hub(state: Parametric, wire: int, partner: int, places: dict) -> Hub | None:  # type: ignore[type-arg]
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
            options = [o for o in options if (o[1], o[2]) == (hub.summed, hub.lanes) and (o[0].wire not in hub.names or hub.names[o[0].wire] == _named(o[0], own))]
            options.sort(key=lambda o: o[0].wire not in hub.names)  # type: ignore[union-attr]
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


def _product(state: Parametric, axes) -> Poly:  # type: ignore[no-untyped-def]
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
    hubbed = state.learners[hub.wire]
    rest = [a for a in hubbed.axes if a not in hub.summed and a not in hub.lanes]
    inside, beyond, before = _sizes(state, hub)
    new: dict[int, int] = {}
    forth: dict[int, Sum] = {}
    back: dict[int, Sum] = {}
    axes_of: dict[int, tuple[dict[str, str], list[str]]] = {}
    for partner, names in hub.names.items():
        learner = state.learners[partner]
        outer = {a: state.algebra.another(a) for a in rest}
        kept = [a for a in learner.axes if names.get(a) not in hub.summed]
        layout = (*kept, *outer.values())
        key = learner.key if not hub.summed else f"{learner.key}_{hubbed.key.rpartition('.')[2]}"
        new[partner] = state.fresh(key, layout, partner)
        axes_of[partner] = (outer, [a for a in learner.axes if a not in names])
        (one,), (other,) = state.plain(partner, learner.axes), state.plain(hub.wire, hubbed.axes)
        bound = {a: state.algebra.another(a) for a in hub.summed}
        lanes = {h: a for a, h in names.items() if h in hub.lanes}
        one = one.rename({a: bound[h] for a, h in names.items() if h in bound})
        other = other.rename(bound | outer | lanes)
        product = state._with(one, (other,))
        forth[new[partner]] = (replace(product, bound=tuple(bound.values())),)
    select = not implied(inside, beyond) and implied(inside, before)
    # Either the hub is an identity, or its partners are, one below the other; each where the sum is long enough for it.
    if select:
        back = _selected(state, hub, new, axes_of)
    else:
        back = _embedded(state, hub, rest, new, axes_of)
        if not implied(inside, beyond):
            back = _either(state, hub, back, _selected(state, hub, new, axes_of), rest)
    _replace(state, hub, new, axes_of, rest)
    verb = "with"
    state.step(f"{hubbed.key} {verb} {', '.join(state.learners[p].key for p in hub.names)}", forth, back)


def _embedded(state: Parametric, hub: Hub, rest, new, axes_of) -> dict[int, Sum]:  # type: ignore[no-untyped-def]
    """The hub is the identity from `rest` to `summed`, padded with zeros."""
    if hub.summed or rest:
        pad = delta(state, rest, list(hub.summed)) if rest else _first(state, hub.summed)
    else:
        pad = ONE
    back: dict[int, Sum] = {hub.wire: pad}
    for partner, names in hub.names.items():
        outer, _ = axes_of[partner]
        layout = state.learners[new[partner]].axes
        to = {h: a for a, h in names.items() if h in hub.summed}
        u = state.plain(new[partner], layout)
        if not rest and not hub.summed:
            back[partner] = u
            continue
        if len(rest) == len(hub.summed) and [state.size(r) for r in rest] == [state.size(s) for s in hub.summed]:
            back[partner] = tuple(t.rename({outer[r]: to[s] for r, s in zip(rest, hub.summed, strict=True)}) for t in u)
            continue
        inside = {o: state.algebra.another(o) for o in outer.values()}
        eye = delta(state, [inside[outer[r]] for r in rest], [to[s] for s in hub.summed]) if rest else tuple(t.rename(to) for t in _first(state, hub.summed))
        (one,) = u
        (product,) = state.algebra.product([(one.rename(inside),), eye])
        back[partner] = (replace(product, bound=(*product.bound, *inside.values())),)
    return back


def _selected(state: Parametric, hub: Hub, new, axes_of) -> dict[int, Sum]:  # type: ignore[no-untyped-def]
    """The partners pick rows of the hub, each its own ones."""
    back: dict[int, Sum] = {}
    offset: list[Poly] = []
    total: list[Term] = []
    for partner, names in hub.names.items():
        outer, own = axes_of[partner]
        to = {h: a for a, h in names.items() if h in hub.summed}
        back[partner] = _pick(state, own, [to[s] for s in hub.summed], offset)
        inside = {a: state.algebra.another(a) for a in own}
        (one,) = state.plain(new[partner], state.learners[new[partner]].axes)
        lanes = {a: h for a, h in names.items() if h in hub.lanes}
        one = one.rename(inside | {o: r for r, o in outer.items()} | lanes)
        (product,) = state.algebra.product([(one,), _pick(state, list(inside.values()), list(hub.summed), offset)])
        total.append(replace(product, bound=(*product.bound, *inside.values())))
        offset.append(_product(state, own))
    back[hub.wire] = state.algebra.collect(total)
    return back


def _pick(state: Parametric, left: list[str], right: list[str], offset: list[Poly]) -> Sum:
    if not right:
        return ONE
    if not offset:
        return delta(state, left, right) if left else _first(state, right)
    return delta(state, left, right, offset)


def _first(state: Parametric, axes) -> Sum:  # type: ignore[no-untyped-def]
    """1 at the first place, else 0."""
    return delta(state, [], list(axes))


def _either(state: Parametric, hub: Hub, one: dict[int, Sum], other: dict[int, Sum], rest) -> dict[int, Sum]:  # type: ignore[no-untyped-def]
    """The first where the sum is at least as long as the rest of the hub, else the second."""
    from fractions import Fraction

    from anatomy.ops import Compare, Where
    from anatomy.rewrites.sums import number

    algebra = state.algebra
    small = algebra.product([number(Fraction(1)), *(state.counted(a) for a in rest)])
    large = algebra.product([number(Fraction(1)), *(state.counted(a) for a in hub.summed)])
    test = state.box(Compare("<="), (), [small, large], ())
    return {
        w: state.box(Where(), (), [test, one[w], other[w]], state.learners[w].axes if w in state.learners else ()) for w in one
    }


def _replace(state: Parametric, hub: Hub, new, axes_of, rest) -> None:  # type: ignore[no-untyped-def]
    for root, terms in state.roots.items():
        found = []
        for t in terms:
            f = next((x for x in t.factors if x.wire == hub.wire), None)
            if f is None:
                found.append(t)
                continue
            own = dict(f.renames)
            g = next(x for x in t.factors if x.wire in new)
            outer, _ = axes_of[g.wire]
            names = hub.names[g.wire]
            renames = [(a, b) for a, b in g.renames if names.get(a) not in hub.summed] + [(o, own[r]) for r, o in outer.items()]
            gone = {own[s] for s in hub.summed}
            factor = Factor(new[g.wire], tuple(sorted(renames)))
            found.append(replace(
                t, factors=tuple(factor if x is g else x for x in t.factors if x is not f),
                bound=tuple(a for a in t.bound if a not in gone),
            ))  # fmt: skip
        state.roots[root] = tuple(found)
