"""Sizes: exact polynomials with integer coefficients in size variables, and what equations make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from anatomy.errors import AnatomyError, fail

Monomial = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Poly:
    """A polynomial in normal form: sorted monomials with non-zero integer coefficients.

    Equality of normal forms is equality over the integers, so `n + n` is never `n`
    and `3 * d` is never `4 * d`.

    >>> n, r = Poly.var("n"), Poly.var("r")
    >>> str(2 * r * n + n - n), n + n == n, n + n == 2 * n
    ('2 * n * r', False, True)
    """

    terms: tuple[tuple[Monomial, int], ...] = ()

    @staticmethod
    def of(value: Poly | int) -> Poly:
        if isinstance(value, Poly):
            return value
        return Poly((((), value),)) if value else Poly()

    @staticmethod
    def var(name: str) -> Poly:
        return Poly(((((name, 1),), 1),))

    @staticmethod
    def _from(terms: Iterable[tuple[Monomial, int]]) -> Poly:
        total: dict[Monomial, int] = {}
        for mono, coeff in terms:
            total[mono] = total.get(mono, 0) + coeff
        result = Poly(tuple(sorted((m, c) for m, c in total.items() if c)))
        if len(total) > MAX_TERMS or any(abs(c).bit_length() > MAX_BITS for c in total.values()):
            raise _too_large()
        return result

    def __add__(self, other: Poly | int) -> Poly:
        return Poly._from((*self.terms, *Poly.of(other).terms))

    __radd__ = __add__

    def __neg__(self) -> Poly:
        return Poly(tuple((m, -c) for m, c in self.terms))

    def __sub__(self, other: Poly | int) -> Poly:
        return self + -Poly.of(other)

    def __mul__(self, other: Poly | int) -> Poly:
        right = Poly.of(other)
        if len(self.terms) * len(right.terms) > 10 * MAX_TERMS:
            raise _too_large()
        return Poly._from((_times(m, k), c * d) for m, c in self.terms for k, d in right.terms)

    __rmul__ = __mul__

    def variables(self) -> frozenset[str]:
        return frozenset(name for mono, _ in self.terms for name, _ in mono)

    def constant(self) -> int | None:
        """The value when no variable is left, else None."""
        if not self.terms:
            return 0
        if len(self.terms) == 1 and not self.terms[0][0]:
            return self.terms[0][1]
        return None

    def as_variable(self) -> str | None:
        """The name when this is one bare variable, else None."""
        if len(self.terms) == 1:
            mono, coeff = self.terms[0]
            if coeff == 1 and len(mono) == 1 and mono[0][1] == 1:
                return mono[0][0]
        return None

    def substitute(self, values: Mapping[str, Poly | int]) -> Poly:
        if not any(name in values for name in self.variables()):
            return self
        total = Poly()
        for mono, coeff in self.terms:
            term = Poly.of(coeff)
            for name, exponent in mono:
                factor = Poly.of(values[name]) if name in values else Poly.var(name)
                for _ in range(exponent):
                    term = term * factor
            total = total + term
        return total

    def rename(self, name: Callable[[str], str]) -> Poly:
        return Poly._from(
            (tuple(sorted((name(v), e) for v, e in mono)), c) for mono, c in self.terms
        )

    def linear_in(self, name: str) -> tuple[Poly, Poly] | None:
        """`(slope, rest)` with `self = slope * name + rest`, or None when not linear in the name."""
        slope: list[tuple[Monomial, int]] = []
        rest: list[tuple[Monomial, int]] = []
        for mono, coeff in self.terms:
            exponents = dict(mono)
            match exponents.pop(name, 0):
                case 0:
                    rest.append((mono, coeff))
                case 1:
                    slope.append((tuple(sorted(exponents.items())), coeff))
                case _:
                    return None
        return Poly._from(slope), Poly._from(rest)

    def evaluate(self, values: Mapping[str, int]) -> int:
        total = 0
        for mono, coeff in self.terms:
            for name, exponent in mono:
                coeff *= values[name] ** exponent
            total += coeff
        return total

    def degree(self, name: str) -> int:
        """The highest power of a variable: the exponent of its growth."""
        return max((dict(mono).get(name, 0) for mono, _ in self.terms), default=0)

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        parts = []
        for mono, coeff in sorted(self.terms, key=lambda t: (-sum(e for _, e in t[0]), t[0])):
            factors = [v if e == 1 else f"{v}^{e}" for v, e in mono]
            if abs(coeff) != 1 or not factors:
                factors.insert(0, str(abs(coeff)))
            sign = " - " if coeff < 0 else " + "
            parts.append((sign if parts else "-" if coeff < 0 else "") + " * ".join(factors))
        return "".join(parts)


def _times(left: Monomial, right: Monomial) -> Monomial:
    total = dict(left)
    for name, exponent in right:
        total[name] = total.get(name, 0) + exponent
    if sum(total.values()) > MAX_DEGREE:
        raise _too_large()
    return tuple(sorted(total.items()))


MAX_SIZE = 2**40
MAX_TERMS, MAX_DEGREE, MAX_BITS = 2000, 64, 2048


def _too_large() -> AnatomyError:
    return fail("E408", f"a size polynomial of more than {MAX_TERMS:,} terms, or of a degree over {MAX_DEGREE}")


class Sizes:
    """Size variables with triangular equations `axis = polynomial`; decides equality by substitution."""

    def __init__(self, definitions: Mapping[str, Poly] | None = None) -> None:
        self._definitions: dict[str, Poly] = dict(definitions or {})
        self._known: dict[str, Poly] = {}

    @property
    def definitions(self) -> Mapping[str, Poly]:
        return self._definitions

    def norm(self, poly: Poly) -> Poly:
        """The polynomial with every defined axis replaced by its definition."""
        for _ in range(len(self._definitions) + 1):
            following = poly.substitute(self._definitions)
            if following is poly:
                break
            poly = following
        return poly

    def of(self, axis: str) -> Poly:
        """The size of an axis in free variables."""
        if axis not in self._known:
            self._known[axis] = self.norm(Poly.var(axis))
        return self._known[axis]

    def equal(self, left: Poly, right: Poly) -> bool:
        """Whether two sizes are equal for all values of the free variables."""
        return left == right or self.norm(left - right) == Poly()

    def define(self, axis: str, poly: Poly) -> bool:
        """Add `axis = poly`; False when the axis has a definition or would depend on itself."""
        value = self.norm(poly)
        if axis in self._definitions or axis in value.variables():
            return False
        self._definitions[axis] = value
        self._known.clear()
        return True

    def copy(self) -> Sizes:
        made = Sizes(self._definitions)
        made._known = dict(self._known)
        return made
