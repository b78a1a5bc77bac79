"""Moves on weights that stand in sums: scales, sums along an axis, and free summands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from anatomy.ops import Map
from anatomy.rewrites.parametric import ZERO, Parametric
from anatomy.rewrites.sums import Factor, Sum, Term

Place = tuple[int, int]
"""A root and the number of a term of it."""


def occurrences(state: Parametric) -> dict[int, list[tuple[Place, Factor]]]:
    """Where each weight stands; one in a power other than 1, or twice in a term, is not listed."""
    found: dict[int, list[tuple[Place, Factor]]] = {w: [] for w in state.learners}
    barred: set[int] = set()
    for root, terms in state.roots.items():
        for k, t in enumerate(terms):
            seen: set[int] = set()
            for f in t.factors:
                if f.wire in found:
                    if f.power != 1 or f.wire in seen:
                        barred.add(f.wire)
                    seen.add(f.wire)
                    found[f.wire].append(((root, k), f))
    return {w: places for w, places in found.items() if w not in barred}


def learned(state: Parametric, t: Term) -> list[Factor]:
    return [f for f in t.factors if f.wire in state.learners]


def data(state: Parametric, t: Term) -> list[Factor]:
    return [f for f in t.factors if f.wire not in state.learners and f.wire not in state.constants]


def inner(state: Parametric, t: Term) -> set[str]:
    """The summed axes that weights alone have."""
    return set(t.bound).difference(a for f in data(state, t) for a in f.axes)


# sums along an axis -----------------------------------------------------------------------------


def totals(state: Parametric) -> bool:
    """A weight that is summed along an axis wherever it stands, alone, is a weight without the axis."""
    for wire, places in occurrences(state).items():
        learner = state.learners[wire]
        axes = set(learner.axes)
        for (root, k), f in places:
            t = state.roots[root][k]
            alone = inner(state, t).difference(a for g in t.factors if g is not f for a in g.axes)
            axes &= {a for a, b in f.renames if b in alone}
        if not axes or not places:
            continue
        left = [a for a in learner.axes if a not in axes]
        new = state.fresh(learner.key, left, wire)
        counts = _inverse(state, state.algebra.product([state.counted(a) for a in sorted(axes)]))
        if counts is None:
            del state.learners[new]
            continue
        table = {a: state.algebra.another(a) for a in axes}
        (one,) = state.plain(wire, learner.axes)
        total = replace(one.rename(table), bound=tuple(table.values()))
        for (root, k), f in places:
            terms = list(state.roots[root])
            t = terms[k]
            gone = {b for a, b in f.renames if a in axes}
            factor = Factor(new, tuple(p for p in f.renames if p[0] not in axes))
            terms[k] = replace(t, factors=tuple(factor if g is f else g for g in t.factors), bound=tuple(a for a in t.bound if a not in gone))
            state.roots[root] = tuple(terms)
        state.step(f"sum of {learner.key}", {new: (total,)}, {wire: state.algebra.product([state.plain(new, left), counts])})
        return True
    return False


def _inverse(state: Parametric, terms: Sum) -> Sum | None:
    """Of one product of constants."""
    if len(terms) != 1 or terms[0].bound or any(f.wire not in state.constants for f in terms[0].factors):
        return None
    (t,) = terms
    return (Term(1 / t.coefficient, tuple(replace(f, power=-f.power) for f in t.factors)),)


# free summands ----------------------------------------------------------------------------------


def free_summands(state: Parametric) -> bool:
    """A weight that is added to the same other weights wherever it stands takes them in."""
    for wire, places in occurrences(state).items():
        rest = _rest(state, wire, places)
        if rest is None:
            continue
        value, taken = rest
        learner = state.learners[wire]
        new = state.fresh(learner.key, learner.axes, wire)
        here = state.plain(wire, learner.axes)
        other = tuple(replace(t, coefficient=-t.coefficient) for t in value)
        table = {wire: state.plain(new, learner.axes)}
        for root, gone in taken.items():
            state.roots[root] = state.put(tuple(t for k, t in enumerate(state.roots[root]) if k not in gone), table)
        state.step(
            f"{learner.key} takes in {', '.join(sorted({state.learners[f.wire].key for t in value for f in learned(state, t)})) or 'a constant'}",
            {new: state.algebra.collect((*here, *value))},
            {wire: state.algebra.collect((*state.plain(new, learner.axes), *other))},
        )  # fmt: skip
        return True
    return False


def _rest(state: Parametric, wire: int, places: list[tuple[Place, Factor]]) -> tuple[Sum, dict[int, set[int]]] | None:
    """What the weight is added to, in its own axes, and the terms that say so; None where that differs or is nothing."""
    found: list[tuple[Sum, frozenset[object]]] = []
    taken: dict[int, set[int]] = {}
    mine = {place for place, _ in places}
    for (root, k), f in places:
        t = state.roots[root][k]
        if len(learned(state, t)) != 1 or inner(state, t):
            return None
        under = {b: a for a, b in f.renames}
        inverse = _inverse(state, (Term(t.coefficient, tuple(g for g in t.factors if g.wire in state.constants)),))
        assert inverse is not None
        terms: list[Term] = []
        for other, u in enumerate(state.roots[root]):
            if other == k or (root, other) in mine:
                continue
            part = _aligned(state, t, u, under)
            if part is not None:
                terms += state.algebra.product([(part,), inverse])
                taken.setdefault(root, set()).add(other)
        taken.setdefault(root, set())
        value = state.algebra.collect(terms)
        found.append((value, frozenset((x.coefficient, state.algebra.name(x)) for x in value)))
    if not found or not found[0][0] or any(names != found[0][1] for _, names in found):
        return None
    return found[0][0], taken


def _aligned(state: Parametric, t: Term, u: Term, under: dict[str, str]) -> Term | None:
    """The weights of `u` in the axes of the weight of `t`, where both stand with the same data."""
    mine, theirs = data(state, t), data(state, u)
    if len(mine) != len(theirs) or sorted(f.wire for f in mine) != sorted(f.wire for f in theirs):
        return None
    for table in _matchings(mine, theirs, set(t.bound), set(u.bound)):
        u_ = u.rename(table | {a: state.algebra.another(a) for a in inner(state, u)})
        weights = [f for f in u_.factors if f.wire in state.learners or f.wire in state.constants]
        bound = inner(state, u_)
        outer = {a for f in weights for a in f.axes} - bound
        # An axis of the data that neither has is the same in both.
        if outer <= under.keys():
            part = Term(u_.coefficient, tuple(weights), tuple(sorted(bound)))
            return part.rename({a: under[a] for a in outer})
    return None


def _matchings(mine: list[Factor], theirs: list[Factor], bound: set[str], others: set[str]) -> Iterator[dict[str, str]]:
    """Names for the summed axes of `theirs` under which both lists are the same."""

    def go(k: int, table: dict[str, str], left: list[Factor]) -> Iterator[dict[str, str]]:
        if k == len(mine):
            yield table
            return
        f = mine[k]
        for g in left:
            if g.wire != f.wire or g.power != f.power:
                continue
            new = dict(table)
            goal = dict(f.renames)
            for a, b in g.renames:
                want = goal[a]
                if b in others:
                    if want not in bound or new.setdefault(b, want) != want:
                        break
                elif b != want:
                    break
            else:
                if len(set(new.values())) == len(new):
                    yield from go(k + 1, new, [x for x in left if x is not g])

    yield from go(0, {}, theirs)


# scales -----------------------------------------------------------------------------------------


def scales(state: Parametric) -> bool:
    """Coefficients go into weights, each into one that no other term has fixed yet.

    A sign stays in an exponent: the normal form writes `exp(x) / (1 + exp(x))` and `1 / (1 + exp(-x))` in one way.
    """
    changed = False
    places = occurrences(state)
    exponents = {n.ports[0].wire for n in state.diagram.nodes if n.op == Map("exp")}
    signed = {w for w, found in places.items() if any(root in exponents for (root, _), _ in found)}
    fixed: set[int] = set()
    for root in list(state.roots):
        for k in range(len(state.roots[root])):
            t = state.roots[root][k]
            weights = [f.wire for f in learned(state, t)]
            scale = Term(t.coefficient, tuple(f for f in t.factors if f.wire in state.constants))
            free = [w for w in weights if w in places and w not in fixed]
            whole = [w for w in free if w not in signed]
            if scale.coefficient < 0 and not whole:
                scale = replace(scale, coefficient=-scale.coefficient)
            chosen = (whole or free)[:1] if scale.coefficient < 0 else free[:1]
            if (scale.coefficient != 1 or scale.factors) and chosen:
                new = _scaled(state, chosen[0], scale)
                changed = True
                places = occurrences(state)
                if chosen[0] in signed:
                    signed.add(new)
                weights = [f.wire for f in learned(state, state.roots[root][k])]
            fixed.update(weights)
    return changed


def _scaled(state: Parametric, wire: int, scale: Term) -> int:
    learner = state.learners[wire]
    new = state.fresh(learner.key, learner.axes, wire)
    inverse = _inverse(state, (scale,))
    assert inverse is not None
    old = state.algebra.product([state.plain(new, learner.axes), inverse])
    table = {wire: old}
    for root, terms in state.roots.items():
        # Term by term, so that their numbers stay.
        if any(f.wire == wire for t in terms for f in t.factors):
            state.roots[root] = tuple(x for t in terms for x in state.put((t,), table))
    state.step(f"{learner.key} takes in a scale", {new: state.algebra.product([state.plain(wire, learner.axes), (scale,)])}, {wire: old})
    return new


def unread(state: Parametric) -> bool:
    """Weights that nothing reads any more are 0."""
    read = {f.wire for terms in state.roots.values() for t in terms for f in t.factors}
    gone = [w for w in state.learners if w not in read]
    if gone:
        state.step(f"without {', '.join(state.learners[w].key for w in gone)}", {}, dict.fromkeys(gone, ZERO))
    return bool(gone)
