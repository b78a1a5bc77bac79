"""Sums of products as values: exact coefficients, powers of wires, summed axes, and a common exponent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

Renames = tuple[tuple[str, str], ...]
Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Factor:
    """A wire under the names of the sum that it stands in, to a power other than 0."""

    wire: int
    renames: Renames
    power: int = 1

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(b for _, b in self.renames)


@dataclass(frozen=True, slots=True)
class Term:
    """`c * sum over bound of (product of factors) * exp(exponent)`; the exponent is a sum of terms too.

    Names of bound axes stand in one term only.

    >>> Term(Fraction(2), (Factor(0, (("n", "n"),)),), ("n",)).axes
    frozenset()
    """

    coefficient: Fraction = Fraction(1)
    factors: tuple[Factor, ...] = ()
    bound: tuple[str, ...] = ()
    exponent: tuple[Term, ...] = ()

    @property
    def axes(self) -> frozenset[str]:
        found = {a for f in self.factors for a in f.axes}
        for term in self.exponent:
            found |= term.axes
        return frozenset(found.difference(self.bound))

    def rename(self, table: Mapping[str, str]) -> Term:
        """The term under other names, of bound axes too where the table has them."""
        factors = tuple(
            Factor(f.wire, tuple((a, table.get(b, b)) for a, b in f.renames), f.power) for f in self.factors
        )
        bound = tuple(table.get(a, a) for a in self.bound)
        return Term(self.coefficient, factors, bound, tuple(t.rename(table) for t in self.exponent))

    def all_bound(self) -> list[str]:
        """The bound axes, those of the exponent included."""
        return [*self.bound, *(a for t in self.exponent for a in t.all_bound())]


Sum = tuple[Term, ...]


def number(value: int | Fraction) -> Sum:
    """A sum that is one number; 0 has no terms."""
    return (Term(Fraction(value)),) if value else ()


def scaled(terms: Sum, by: Fraction) -> Sum:
    return tuple(replace(t, coefficient=t.coefficient * by) for t in terms) if by else ()


def powers(factors: Iterable[Factor], idempotent: frozenset[int], never_zero: frozenset[int]) -> tuple[Factor, ...]:
    """Equal wires as one power; `x / x` is 1 only where x is never 0, and a truth value is its own square.

    >>> x = Factor(0, ())
    >>> powers([x, x, Factor(1, (), -1)], frozenset(), frozenset())
    (Factor(wire=0, renames=(), power=2), Factor(wire=1, renames=(), power=-1))
    """
    found: dict[tuple[int, Renames, bool], int] = {}
    for f in factors:
        renames = tuple(sorted(f.renames))
        key = (f.wire, renames, f.wire not in never_zero and f.power < 0)
        found[key] = 1 if f.wire in idempotent and key in found and not key[2] else found.get(key, 0) + f.power
    return tuple(sorted((Factor(w, r, p) for (w, r, _), p in found.items() if p), key=lambda f: (f.wire, f.renames, f.power)))


def identity(term: Term, sizes: Mapping[str, str]) -> Key:
    """What a term is whatever its coefficient and the names of its bound axes; terms that differ have different ones."""
    spots: dict[str, list[object]] = {a: [] for a in term.all_bound()}
    colours: dict[str, str] = {a: sizes.get(a, "") for a in spots}

    def visit(t: Term, depth: int) -> None:
        for f in t.factors:
            for a, b in f.renames:
                if b in spots:
                    others = sorted((x, colours.get(y, "=" + y)) for x, y in f.renames if y != b)
                    spots[b].append((depth, f.wire, f.power, a, others))
        for inner in t.exponent:
            visit(inner, depth + 1)

    for _ in range(2 if len(spots) < 2 else 3):
        for a in spots:
            spots[a] = []
        visit(term, 0)
        written = {a: f"{sizes.get(a, '')}{sorted(map(repr, s))}" for a, s in spots.items()}
        places = {text: f"{k}" for k, text in enumerate(sorted(set(written.values())))}
        colours = {a: places[text] for a, text in written.items()}
    order = sorted(spots, key=lambda a: (int(colours[a]), a))
    return _written(term.rename({a: f"#{k}" for k, a in enumerate(order)}), {f"#{k}": sizes.get(a, "") for k, a in enumerate(order)})


def _written(term: Term, sizes: Mapping[str, str]) -> Key:
    factors = tuple(sorted((f.wire, tuple(sorted(f.renames)), f.power) for f in term.factors))
    bound = tuple(sorted((a, sizes.get(a, "")) for a in term.bound))
    inner = tuple(sorted(((str(t.coefficient), _written(t, sizes)) for t in term.exponent), key=repr))
    return factors, bound, inner


def parts(term: Term) -> tuple[Term, list[Term]]:
    """What no bound axis touches, and each group of factors that bound axes hold together, as a sum of its own.

    `sum over m, n of x[m] * y[n] * z` is `z * (sum over m of x) * (sum over n of y)`.
    """
    bound = set(term.bound)
    pieces: list[tuple[set[str], Factor | Term]] = [(bound.intersection(f.axes), f) for f in term.factors]
    pieces += [(bound & t.axes, t) for t in term.exponent]
    groups: list[tuple[set[str], list[Factor | Term]]] = []
    outer: list[Factor | Term] = []
    for axes, piece in pieces:
        if not axes:
            outer.append(piece)
            continue
        joined = [g for g in groups if g[0] & axes]
        groups = [g for g in groups if not g[0] & axes]
        merged = (axes.union(*(g[0] for g in joined)), [*(p for g in joined for p in g[1]), piece])
        groups.append(merged)
    return _term(outer, ()), [_term(found, tuple(a for a in term.bound if a in axes)) for axes, found in groups]


def _term(pieces: Sequence[Factor | Term], bound: tuple[str, ...]) -> Term:
    factors = tuple(p for p in pieces if isinstance(p, Factor))
    return Term(Fraction(1), factors, bound, tuple(p for p in pieces if isinstance(p, Term)))
