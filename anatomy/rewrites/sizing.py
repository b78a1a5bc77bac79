"""Sizes of a rule read off those of a diagram: each way to solve its size equations here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

from anatomy.ir.equations import Settled
from anatomy.ir.graph import Diagram
from anatomy.ir.poly import Poly

Known = Mapping[str, Poly]


def sizings(pattern: Diagram, other: Diagram, known: Known, later: Sequence[tuple[Poly, Poly]], settled: Settled) -> Iterator[dict[str, Poly]]:
    """The size here of every axis of the other side, in each way that the equations of the rule allow.

    `known` are sizes of the rule's variables; `later` are sizes in these variables, each with the size here. Nothing
    comes out where an equation is not proved, or a size is not determined.
    """
    for found in _inner(other, solutions(known, later), settled):

        def here(size: Poly, found: Known = found) -> Poly:
            return settled.of(size.substitute(found))

        equations = [(e.left, e.right) for e in (*pattern.equations, *other.equations)]
        named = {v for pair in (*equations, *((s, s) for s in other.sizes.values())) for p in pair for v in p.variables()}
        if named <= found.keys() and all(here(a) == here(b) for a, b in equations):
            yield {axis: here(size) for axis, size in other.sizes.items()}


def _inner(other: Diagram, found: Iterator[Known], settled: Settled) -> Iterator[Known]:
    """With the sizes that only equations of the other side determine: axes inside of what it calls."""
    for known in found:
        for e in other.equations:
            for want, have in ((e.left, e.right), (e.right, e.left)):
                if have.variables() <= known.keys() and len(want.variables() - known.keys()) == 1:
                    known = next(solutions(known, [(want, settled.of(have.substitute(known)))]), known)
        yield known


def solutions(known: Known, later: Sequence[tuple[Poly, Poly]]) -> Iterator[Known]:
    """Values of further variables under which each left side is its right side.

    One unknown is solved for where it stands alone; a product of unknowns that is a product of as many variables
    here may be that product in any order. Everything else is not solved.

    >>> c, r, h, e = map(Poly.var, "crhe")
    >>> [{v: str(p) for v, p in s.items()} for s in solutions({}, [(c * r, h * e)])]
    [{'c': 'e', 'r': 'h'}, {'c': 'h', 'r': 'e'}]
    >>> [str(s["r"]) for s in solutions({"c": h}, [(c * r, h * e + 2 * h)])]
    ['e + 2']
    """
    for k, (want, have) in enumerate(later):
        # Variables of the rule are marked, so that they are none of the diagram.
        left = want.rename(lambda v: f"?{v}").substitute({f"?{v}": p for v, p in known.items()})
        unknown = sorted(v for v in left.variables() if v.startswith("?"))
        if not unknown:
            if left != have:
                return
            continue
        rest = (*later[:k], *later[k + 1 :])
        for more in _solve(left, have, unknown):
            yield from solutions({**known, **{v[1:]: p for v, p in more.items()}}, rest)
        return
    yield known


def _solve(left: Poly, have: Poly, unknown: Sequence[str]) -> Iterator[Known]:
    if len(unknown) == 1:
        parts = left.linear_in(unknown[0])
        value = None if parts is None else _quotient(have - parts[1], parts[0])
        if value is not None and value.terms:
            yield {unknown[0]: value}
        return
    if len(left.terms) != 1 or len(have.terms) != 1:
        return
    ((mine, a),), ((theirs, b),) = left.terms, have.terms
    factors = [v for v, e in theirs for _ in range(e)]
    if a == b == 1 and [v for v, _ in mine] == list(unknown) and all(e == 1 for _, e in mine) and len(factors) == len(unknown):
        for chosen in sorted(set(permutations(factors))):
            yield dict(zip(unknown, map(Poly.var, chosen), strict=True))


def _quotient(whole: Poly, part: Poly) -> Poly | None:
    """`whole / part` for a part of one term, where it comes out even."""
    if len(part.terms) != 1:
        return None
    ((monomial, factor),) = part.terms
    total = Poly()
    for other, coefficient in whole.terms:
        powers = dict(other)
        for name, exponent in monomial:
            powers[name] = powers.get(name, 0) - exponent
        if coefficient % factor or any(e < 0 for e in powers.values()):
            return None
        total = total + Poly(((tuple((n, e) for n, e in sorted(powers.items()) if e), coefficient // factor),))
    return total
