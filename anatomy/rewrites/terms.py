"""Sums of products as values: exact coefficients, powers of atoms, and summed axes, in one form each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from anatomy.rewrites.arrange import Turns, arranged, turned

Number = Fraction | int


class Factor(NamedTuple):
    """An atom read under some axes, to a power other than 0; that of an exponential or of a root need not be whole."""

    atom: int
    args: tuple[str, ...]
    power: Number = 1


class Term(NamedTuple):
    """`c * sum over bound of the product of factors`.

    `bound` has the sizes of the bound axes, which are called `#0`, `#1`, ... in the factors: equal terms are equal values.

    >>> Term(2, (Factor(0, ("n", "#0")),), ("m",)).axes
    frozenset({'n'})
    """

    coefficient: Number = 1
    factors: tuple[Factor, ...] = ()
    bound: tuple[str, ...] = ()

    @property
    def axes(self) -> frozenset[str]:
        """The axes that are not bound."""
        return frozenset([a for f in self.factors for a in f.args if a[0] != "#"])


Sum = tuple[Term, ...]


def number(value: Number) -> Sum:
    """A sum that is one number; 0 has no terms."""
    return (Term(whole(value)),) if value else ()


def whole(value: Number) -> Number:
    """An integer where it is one: these are quicker."""
    return value.numerator if value.denominator == 1 else value


def scaled(terms: Sum, by: Number) -> Sum:
    return tuple(Term(whole(c * by), factors, bound) for c, factors, bound in terms) if by else ()


def renamed(factors: Iterable[Factor], table: Mapping[str, str]) -> list[Factor]:
    """The factors under other names; unknown names stay."""
    get = table.get
    return [Factor(atom, tuple([get(a, a) for a in args]), power) for atom, args, power in factors]


def closed(coefficient: Number, factors: Sequence[Factor], axes: Mapping[str, str], turns: Turns) -> Term:
    """The sum over some axes, each given with its size, in one form: whatever they are called and in whatever order.

    >>> f = [Factor(0, ("n", "m")), Factor(1, ("m", "e"))]
    >>> closed(1, f, {"m": "m", "e": "d"}, {}) == closed(1, [Factor(0, ("n", "e")), Factor(1, ("e", "m"))], {"m": "d", "e": "m"}, {})
    True
    """
    if axes:
        if len(axes) > 1:
            edges = [((atom, power), args) for atom, args, power in factors if not axes.keys().isdisjoint(args)]
            order = arranged(edges, axes, turns)[0]
        else:
            order = list(axes)
        factors = renamed(factors, {a: f"#{k}" for k, a in enumerate(order)})
        bound = tuple(axes[a] for a in order)
    else:
        bound = ()
    if turns:
        factors = [Factor(f.atom, turned(f.args, turns[f.atom]), f.power) if f.atom in turns else f for f in factors]
    return Term(coefficient, tuple(sorted(factors)), bound)


def opened(term: Term) -> tuple[list[Factor], dict[str, str]]:
    """The factors with names for the bound axes that stand nowhere else, and the sizes of these."""
    names = {f"%{k}:{word}": word for k, word in enumerate(term.bound)}
    return renamed(term.factors, {f"#{k}": name for k, name in enumerate(names)}), names


def parts(factors: Iterable[Factor], axes: Iterable[str]) -> tuple[list[Factor], list[tuple[list[Factor], set[str]]]]:
    """What no summed axis touches, and each group of factors that summed axes hold together, with its axes.

    `sum over m, n of x[m] * y[n] * z` is `z * (sum over m of x) * (sum over n of y)`.
    """
    summed = set(axes)
    outer: list[Factor] = []
    groups: list[tuple[list[Factor], set[str]]] = []
    for f in factors:
        held = summed.intersection(f.args)
        if not held:
            outer.append(f)
            continue
        apart: list[tuple[list[Factor], set[str]]] = []
        several = [f]
        for group in groups:
            if group[1].isdisjoint(held):
                apart.append(group)
            else:
                several = group[0] + several
                held |= group[1]
        groups = [*apart, (several, held)]
    return outer, groups


def collected(terms: Iterable[Term], finite: Callable[[Term], bool] | None = None) -> Sum:
    """Like terms added up; those that are not finite only with others of their sign."""
    found: dict[tuple[object, ...], Number] = {}
    for term in terms:
        c, factors, bound = term
        key: tuple[object, ...] = (factors, bound)
        if finite is not None and not finite(term):
            key = (factors, bound, c > 0)
        found[key] = found.get(key, 0) + c
    return tuple(sorted([Term(whole(c), k[0], k[1]) for k, c in found.items() if c], key=lambda t: t[1:]))  # type: ignore[arg-type]
