"""Exact arithmetic modulo a prime, and degrees: an identity of rational functions is decided up to a stated error.

Schwartz, J. ACM 27 (1980): a polynomial of degree D that is not zero vanishes at a random point modulo p with
probability at most D / p. Functions that are not rational (`exp`, `tanh`, ...) are random functions here: what holds
for every function holds for them; what fails so says nothing.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from hashlib import blake2b
from typing import Any

from anatomy.rewrites.tensor import Abstain

PRIME = 2305843009213682039
"""A prime near 2^61, 7 modulo 8, modulo which 2, 3, 5, ... 31 are squares, so that roots of small sizes exist."""
SMALL: tuple[int, ...] = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31)


@cache
def root_of_small(q: int) -> int:
    """A square root of a small prime; `PRIME` is 3 modulo 4, so it is a power."""
    return pow(q, (PRIME + 1) // 4, PRIME)


def root(value: Fraction) -> int:
    """The image of sqrt(value) under a ring homomorphism from the integers with all roots of small primes.

    Raises Abstain for negative numbers and those with a large prime factor.
    """
    if value < 0:
        raise Abstain("the root of a negative number")
    total = 1
    for number, sign in ((value.numerator, 1), (value.denominator, -1)):
        for q in SMALL:
            while number and number % q == 0:
                number //= q
                total = total * pow(root_of_small(q), sign, PRIME) % PRIME
        if number == 0:
            return 0
        if number != 1:
            raise Abstain("the root of a number with a large prime factor")
    return total


class Modular:
    """Integers modulo `PRIME`."""

    name = "modular"
    prime = PRIME

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.asked: dict[tuple[str, tuple[int, ...]], int] = {}
        """The random functions so far, argument by argument."""

    @property
    def opaque(self) -> frozenset[str]:
        """The functions that were random ones."""
        return frozenset(name for name, _ in self.asked)

    def number(self, value: Fraction | int) -> int:
        value = Fraction(value)
        return value.numerator * pow(value.denominator, -1, PRIME) % PRIME

    def add(self, a: int, b: int) -> int:
        return (a + b) % PRIME

    def subtract(self, a: int, b: int) -> int:
        return (a - b) % PRIME

    def multiply(self, a: int, b: int) -> int:
        return a * b % PRIME

    def divide(self, a: int, b: int) -> int:
        if not b:
            raise Abstain("a division by 0 modulo the prime")
        return a * pow(b, -1, PRIME) % PRIME

    def power(self, a: int, exponent: int) -> int:
        if exponent < 0 and not a:
            raise Abstain("a division by 0 modulo the prime")
        return pow(a, exponent, PRIME)

    def total(self, row: list[int]) -> int:
        return sum(row) % PRIME

    def function(self, name: str, *arguments: int) -> int:
        """A random function of that name, the same for the same arguments."""
        match name:
            case "neg":
                return -arguments[0] % PRIME
            case "square":
                return arguments[0] * arguments[0] % PRIME
            case "stop":
                raise Abstain("`stop` is known by its gradient only")
        if name.startswith("map0") and not any(arguments):
            return 0
        key = (name, arguments)
        if key not in self.asked:
            text = f"{self.seed} {name} {arguments}".encode()
            self.asked[key] = int.from_bytes(blake2b(text, digest_size=16).digest()) % PRIME
        return self.asked[key]

    def root(self, value: Fraction) -> int:
        return root(value)

    def softmax(self, row: list[int]) -> list[int]:
        powers = [self.function("exp", s) for s in row]
        whole = self.total(powers)
        return [self.divide(e, whole) for e in powers]

    def extremum(self, which: str, row: list[int]) -> int:
        """A random function of the set of entries: max and min know neither order nor repetition."""
        return row[0] if len(set(row)) == 1 else self.function(which, *sorted(set(row)))

    def logsumexp(self, row: list[int]) -> int:
        return self.function("log", self.total([self.function("exp", s) for s in row]))

    def compare(self, sign: str, a: int, b: int) -> bool:
        raise Abstain("reals are compared")

    def order(self, row: list[int]) -> list[int]:
        raise Abstain("reals are sorted")

    def low(self) -> int:
        raise Abstain("a mask makes -inf")

    def empty(self, a: int) -> bool:
        return False

    def entmax(self, row: list[int], alpha: float) -> list[int]:
        raise Abstain("a threshold is no rational function")


Degree = tuple[int, int]


class Degrees:
    """Degrees of numerator and denominator, for the bound of the error; a value of a random function is a new variable."""

    name = "degrees"

    def number(self, value: Fraction | int) -> Degree:
        return (0, 0)

    def add(self, a: Degree, b: Degree) -> Degree:
        return (max(a[0] + b[1], b[0] + a[1]), a[1] + b[1])

    subtract = add

    def multiply(self, a: Degree, b: Degree) -> Degree:
        return (a[0] + b[0], a[1] + b[1])

    def divide(self, a: Degree, b: Degree) -> Degree:
        return (a[0] + b[1], a[1] + b[0])

    def power(self, a: Degree, exponent: int) -> Degree:
        n, d = a if exponent >= 0 else a[::-1]
        return (n * abs(exponent), d * abs(exponent))

    def total(self, row: list[Degree]) -> Degree:
        found = (0, 0)
        for a in row:
            found = self.add(found, a)
        return found

    def function(self, name: str, *arguments: Degree) -> Degree:
        if name in ("neg", "stop"):
            return arguments[0]
        if name == "square":
            return self.power(arguments[0], 2)
        return (1, 0)

    def root(self, value: Fraction) -> Degree:
        return (0, 0)

    def softmax(self, row: list[Degree]) -> list[Degree]:
        return [(1, 1)] * len(row)

    def extremum(self, which: str, row: list[Degree]) -> Degree:
        return max(row) if len(row) == 1 else (1, 0)

    def logsumexp(self, row: list[Degree]) -> Degree:
        return (1, 0)

    def compare(self, sign: str, a: Any, b: Any) -> bool:
        raise Abstain("reals are compared")

    def empty(self, a: Degree) -> bool:
        return False

    order = low = entmax = compare  # type: ignore[assignment]
