"""Names for printing: identifiers that are free, and sizes and numbers as text that reads back exactly."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction

from anatomy.ir.poly import Poly
from anatomy.language.scope import RESERVED
from anatomy.ops import WORDS

TAKEN = RESERVED | WORDS | {"causal", "param", "optional", "require", "prefer", "share"}


class Names:
    """Hands out each identifier once."""

    def __init__(self, taken: Iterable[str] = ()):
        self.taken = {*TAKEN, *taken}

    def new(self, *wanted: str) -> str:
        """The first of the wanted names that is free, else the last one with a number."""
        clean = [c for c in map(clear, wanted) if c] or ["t"]
        for name in clean:
            if name not in self.taken:
                self.taken.add(name)
                return name
        count = 2
        while f"{clean[-1]}_{count}" in self.taken:
            count += 1
        self.taken.add(f"{clean[-1]}_{count}")
        return f"{clean[-1]}_{count}"


def clear(name: str) -> str:
    """The nearest identifier."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", name)
    return "_" + name if name[:1].isdigit() else name


def tail(path: str, parts: int = 1) -> str:
    """The last parts of a dotted path."""
    return ".".join(path.split(".")[-parts:])


def decimal(value: Fraction) -> str:
    """A non-negative rational as an exact decimal, or as a quotient where it has none.

    >>> decimal(Fraction("0.125")), decimal(Fraction(3)), decimal(Fraction(1, 10**20)), decimal(Fraction(1, 3))
    ('0.125', '3', '1e-20', '1 / 3')
    """
    numerator, rest = value.numerator, value.denominator
    twos = fives = 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return f"{numerator} / {value.denominator}"
    places = max(twos, fives)
    digits = str(numerator * 10**places // value.denominator)
    if not places:
        return digits
    if places > 9:
        return f"{digits}e-{places}"
    digits = digits.rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}"


def signed(value: Fraction) -> str:
    """A rational as an option or an argument."""
    return ("-" if value < 0 else "") + decimal(abs(value))


def size(poly: Poly) -> str:
    """A polynomial in the syntax of sizes, which has no powers."""
    text = ""
    for monomial, coefficient in sorted(poly.terms, key=lambda t: (t[1] < 0, -sum(e for _, e in t[0]), t[0])):
        factors = [name for name, exponent in monomial for _ in range(exponent)]
        if abs(coefficient) != 1 or not factors:
            factors.insert(0, str(abs(coefficient)))
        sign = "-" if coefficient < 0 else "+"
        product = " * ".join(factors)
        text += f" {sign} {product}" if text else product if sign == "+" else f"0 - {product}"
    return text or "0"
