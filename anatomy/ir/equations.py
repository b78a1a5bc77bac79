"""Size equations brought to one form, whatever their order and wherever they were inherited from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from math import gcd

from anatomy.ir.poly import Poly


@dataclass(frozen=True)
class Settled:
    """`values` gives a variable as a polynomial in the others; `rest` are polynomials that must vanish."""

    values: Mapping[str, Poly]
    rest: tuple[Poly, ...]

    def of(self, poly: Poly) -> Poly:
        return poly.substitute(self.values) if self.values else poly


def settle(equations: Iterable[tuple[Poly, Poly]]) -> Settled:
    """Solve what has one solution only, without a choice that depends on names or on order.

    An equation `v = w` joins two variables. An equation `v = P` with positive `P` defines `v` if neither
    this equation nor `v` offers another such definition. Two equations `v = P`, `v = Q` give `P = Q`
    where that joins two variables after division by a common factor: `e = 2 * r`, `e = 2 * s` gives `r = s`.

    >>> e, r, s = map(Poly.var, "ers")
    >>> settled = settle([(e, 2 * r), (e, 2 * s)])
    >>> str(settled.of(e)), str(settled.of(s)), settled.rest
    ('2 * r', 'r', ())
    """
    rest = {_primitive(left - right) for left, right in equations}
    values: dict[str, Poly] = {}

    def put(new: Mapping[str, Poly]) -> None:
        nonlocal rest
        rest = {_primitive(p.substitute(new)) for p in rest}
        for name in values:
            values[name] = values[name].substitute(new)
        values.update(new)

    while True:
        rest.discard(Poly())
        candidates: dict[str, list[tuple[Poly, Poly]]] = {}
        offers: dict[Poly, int] = {}
        for p in rest:
            for name, value in _definitions(p):
                candidates.setdefault(name, []).append((p, value))
                offers[p] = offers.get(p, 0) + 1
        derived = (
            _primitive(a - b) for found in candidates.values() for i, (_, a) in enumerate(found) for _, b in found[:i]
        )
        joins = sorted(pair for p in (*rest, *derived) if (pair := _joined(p)) is not None)
        if joins:
            keep, drop = joins[0]
            put({drop: Poly.var(keep)})
            continue
        ready = {n: f[0][1] for n, f in candidates.items() if len(f) == 1 and offers[f[0][0]] == 1}
        ready = _acyclic(ready)
        if not ready:
            return Settled(values, tuple(sorted(rest, key=str)))
        while any(p.variables() & ready.keys() for p in ready.values()):
            ready = {name: p.substitute(ready) for name, p in ready.items()}
        put(ready)


def _primitive(p: Poly) -> Poly:
    """The polynomial divided by the greatest common divisor of its coefficients, up to sign."""
    if not p.terms:
        return p
    factor = reduce(gcd, (c for _, c in p.terms))
    divided = Poly(tuple((m, c // factor) for m, c in p.terms))
    return min(divided, -divided, key=lambda q: q.terms)


def _definitions(p: Poly) -> list[tuple[str, Poly]]:
    """Every `v = positive polynomial` that `p = 0` says."""
    found = []
    for name in p.variables():
        parts = p.linear_in(name)
        slope = parts and parts[0].constant()
        if parts is not None and slope in (1, -1):
            value = -parts[1] if slope == 1 else parts[1]
            if value.terms and all(c > 0 for _, c in value.terms):
                found.append((name, value))
    return found


def _joined(p: Poly) -> tuple[str, str] | None:
    """The variables of `v - w`: the one to keep, without a path if one has none, and the one to drop."""
    if len(p.terms) == 2 and sum(c for _, c in p.terms) == 0 and abs(p.terms[0][1]) == 1:
        names = [m[0][0] for m, _ in p.terms if len(m) == 1 and m[0][1] == 1]
        if len(names) == 2:
            keep, drop = sorted(names, key=lambda v: (v.count("."), v))
            return keep, drop
    return None


def _acyclic(ready: dict[str, Poly]) -> dict[str, Poly]:
    """Without the definitions that come back to themselves through the others."""

    def reaches(start: str) -> bool:
        stack, seen = list(ready[start].variables()), set()
        while stack:
            name = stack.pop()
            if name == start:
                return True
            if name in ready and name not in seen:
                seen.add(name)
                stack.extend(ready[name].variables())
        return False

    return {name: value for name, value in ready.items() if not reaches(name)}
