"""Numbers that a rule leaves open: variables, sizes and wires, and sums, products and quotients of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from anatomy.ir.poly import Poly

Form = Literal["number", "variable", "size", "wire", "+", "-", "*", "/"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A formula. `number`, `variable`, `size` and `wire` hold one value (a fraction, a name, a polynomial, a name), the rest two formulas.

    In the place of an attribute, as in `entmax[m, alpha=a](s)`, or of a literal it is what a match finds there.

    >>> half = Quantity("/", (Quantity("variable", ("c",)), Quantity("number", (Fraction(2),))))
    >>> str(half), half.at({"c": Fraction(3)}), half.at({})
    ('c / 2', Fraction(3, 2), None)
    """

    form: Form
    parts: tuple[Quantity | Fraction | Poly | str, ...]

    @staticmethod
    def of(value: Fraction | int) -> Quantity:
        return Quantity("number", (Fraction(value),))

    @property
    def leaves(self) -> tuple[Quantity, ...]:
        """The formulas without parts that it is made of."""
        if self.form in ("number", "variable", "size", "wire"):
            return (self,)
        return tuple(leaf for part in self.parts if isinstance(part, Quantity) for leaf in part.leaves)

    def names(self, form: Form) -> tuple[str, ...]:
        """The variables, or the wires, that it speaks of."""
        return tuple(dict.fromkeys(str(leaf.parts[0]) for leaf in self.leaves if leaf.form == form))

    @property
    def variable(self) -> str | None:
        """Its name, if it is a variable and nothing else."""
        return str(self.parts[0]) if self.form == "variable" else None

    def at(self, numbers: Mapping[str, Fraction], sizes: Mapping[str, int] | None = None) -> Fraction | None:
        """Its value, or None where something is not known or divided by 0."""
        first = self.parts[0]
        match self.form:
            case "number":
                return first if isinstance(first, Fraction) else None
            case "variable" | "wire":
                return numbers.get(str(first))
            case "size":
                known = isinstance(first, Poly) and sizes is not None and first.variables() <= sizes.keys()
                return Fraction(first.evaluate(sizes)) if known else None  # type: ignore[union-attr, arg-type]
        a, b = (part.at(numbers, sizes) if isinstance(part, Quantity) else None for part in self.parts)
        if a is None or b is None or (self.form == "/" and not b):
            return None
        return a + b if self.form == "+" else a - b if self.form == "-" else a * b if self.form == "*" else a / b

    def __str__(self) -> str:
        if len(self.parts) == 1:
            return str(self.parts[0])
        a, b = (f"({p})" if isinstance(p, Quantity) and len(p.parts) > 1 else str(p) for p in self.parts)
        return f"{a} {self.form} {b}"
