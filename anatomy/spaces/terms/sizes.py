"""Sizes in the serial of a member: variables by the place where they are first met, not by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anatomy.ir.poly import Poly
from anatomy.spaces.terms.walk import TooMany


def size_serial(found: Sequence[Poly], left: Sequence[Poly]) -> str:
    """Settled sizes, in an order that is canonical already, and what must vanish beside, as text without names.

    Two sequences have one text exactly when a bijection of variables takes one to the other, with its equations.
    Raises TooMany where variables that stand in sums or products only cannot be told apart.
    """
    number: dict[str, int] = {}
    for p in found:
        name = p.as_variable()
        if name is not None:
            number.setdefault(name, len(number))
    for p in found:
        _number(p, number)
    rest = list(left)
    texts: list[str] = []
    while True:
        concerned = [p for p in rest if not p.variables() or p.variables() & number.keys()]
        if not concerned:
            return f"{[_text(p, number) for p in found]} {sorted(texts)}"
        if any(not p.variables() <= number.keys() for p in concerned):
            raise TooMany
        texts += [min(_text(p, number), _text(-p, number)) for p in concerned]
        rest = [p for p in rest if p not in concerned]


def _number(p: Poly, number: dict[str, int]) -> None:
    """Number the variables of a size that are met here first, by how they stand in it."""
    new = sorted(p.variables() - number.keys())
    if not new:
        return
    looks = {v: _text(p, number, v) for v in new}
    if len(set(looks.values())) < len(new):
        raise TooMany
    for v in sorted(new, key=looks.__getitem__):
        number[v] = len(number)


def _text(p: Poly, number: Mapping[str, int], marked: str = "") -> str:
    """A size with numbers for variables; one without a number is `?`, the marked one `!`."""

    def word(v: str) -> str:
        return "!" if v == marked else str(number.get(v, "?"))

    return str(sorted((sorted((word(v), e) for v, e in m), c) for m, c in p.terms))
