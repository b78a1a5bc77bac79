"""What the static rung knows of one member, and whether that meets a requirement."""

from __future__ import annotations

from dataclasses import dataclass

from anatomy.ir.poly import Poly
from anatomy.language.choices import Requirement


@dataclass(frozen=True, slots=True)
class Facts:
    """`key` is shared exactly by isomorphic members. `grids` are two fingerprints of values (None: not computed); members whose
    values agree have one of them in common.

    Proved of the diagram: `causal` (False: not proved; None: no tokens), `length_generic`, `parameters`, `degree` (of the
    operations as written, in the length; None: no tokens). Measured on three draws at small sizes, None where not computed: `leaks`
    (an output changed with later tokens), `equivariant`, `alive` (it depends on the input), `finite`, and `scale` (the
    standard deviation of the output at initialisation, where that of the input is 1).
    """

    rank: int
    key: bytes
    grids: tuple[int, int] | None
    causal: bool | None
    leaks: bool | None
    length_generic: bool
    equivariant: bool | None
    alive: bool | None
    finite: bool | None
    degree: int | None
    parameters: Poly
    scale: float | None

    def agrees(self, other: Facts) -> bool:
        """Whether the fingerprints allow equal values."""
        return self.grids is not None and other.grids is not None and any(a == b for a, b in zip(self.grids, other.grids, strict=True))


SIGNS = {
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip


def meets(requirement: Requirement, facts: Facts) -> bool | None:
    """Whether a member meets a requirement; None where these facts cannot say (always for `verdict`).

    `causal` and `length_generic` ask for a proof. A bound on parameters holds when it holds for all sizes, coefficient by coefficient.

    >>> from anatomy.ir.poly import Poly
    >>> facts = Facts(0, b"", None, True, False, True, None, True, True, 2, 4 * Poly.var("d"), 1.5)
    >>> [meets(Requirement(w, o, v), facts) for w, o, v in [("causal", "==", "true"), ("cost", "<=", "n"), ("parameters", "<", "5 * d")]]
    [True, False, True]
    """
    match requirement.what:
        case "causal":
            known: bool | None = bool(facts.causal)
        case "length_generic" | "equivariant" | "alive" | "finite":
            known = getattr(facts, requirement.what)
        case "cost":
            power = power_of(requirement.value)
            return None if facts.degree is None else SIGNS[requirement.op](facts.degree, power)
        case "scale":
            return None if facts.scale is None else SIGNS[requirement.op](facts.scale, float(requirement.value))
        case "parameters":
            return _compared(facts.parameters, requirement.op, polynomial(requirement.value))
        case _:
            return None
    if known is None:
        return None
    return SIGNS[requirement.op](known, requirement.value == "true")


def power_of(text: str) -> int:
    """The power of the length in `1`, `n`, `n^2`."""
    head, _, power = text.replace(" ", "").partition("^")
    return int(power) if power else 0 if head == "1" else 1


def polynomial(text: str) -> Poly:
    """A polynomial as `Poly` writes it.

    >>> str(polynomial("4 * d^2 - d + 3"))
    '4 * d^2 - d + 3'
    """
    total, sign = Poly(), 1
    for word in text.replace("-", "+ -").split("+"):
        word = word.strip()
        if not word:
            continue
        sign, word = (-1, word[1:].strip()) if word.startswith("-") else (1, word)
        term = Poly.of(sign)
        for factor in word.split("*"):
            name, _, power = factor.strip().partition("^")
            value = Poly.of(int(name)) if name.strip().isdigit() else Poly.var(name.strip())
            for _ in range(int(power) if power else 1):
                term = term * value
        total = total + term
    return total


def _compared(have: Poly, sign: str, bound: Poly) -> bool | None:
    """Whether two polynomials compare so for all positive sizes; None where it depends on them, or is not seen."""
    difference = bound - have
    rises, falls = (all(c * s >= 0 for _, c in difference.terms) for s in (1, -1))
    strict = bool(difference.terms)
    match sign:
        case "==":
            return not strict
        case "!=":
            return strict
        case "<=" | ">":
            found = True if rises else False if falls else None
        case _:
            found = True if rises and strict else False if falls else None
    if sign in ("<=", "<"):
        return found
    return None if found is None else not found


__all__ = ["Facts", "meets", "polynomial", "power_of"]
