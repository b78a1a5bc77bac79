"""Which entries of an axis a choice reads: positions `offset + sign * k`, the parts of a split axis, or those of an index."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from anatomy.ir.builder import Builder, View
from anatomy.ir.poly import Poly
from anatomy.ops import Add, Index, Iota, Literal, Map, Multiply, Size, Subtract


@dataclass(frozen=True)
class Places:
    """Position `offset + sign * k` of an axis, for every `k` along the axis `new`; one position where `sign` is 0."""

    new: str
    offset: Poly
    sign: int

    @property
    def names(self) -> tuple[str, ...]:
        return (self.new,) if self.sign else ()


@dataclass(frozen=True)
class Parts:
    """Row-major parts of an axis."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Looked:
    """The positions that an index wire holds."""

    index: View

    @property
    def names(self) -> tuple[str, ...]:
        return self.index.axes


Choice = Places | Parts | Looked
Affine = tuple[Poly, dict[str, int]]


def never_negative(p: Poly) -> bool:
    """Whether a polynomial of sizes, each at least 1, is 0 or more: no coefficient in `size - 1` is negative.

    >>> n = Poly.var("n")
    >>> never_negative(n - 1), never_negative(n - 2)
    (True, False)
    """
    shifted = p.substitute({v: Poly.var(v) + 1 for v in p.variables()})
    return all(c >= 0 for _, c in shifted.terms)


def inside(offset: Poly, sign: int, count: Poly, size: Poly) -> bool:
    """Whether `offset + sign * k` for k from 0 to count - 1 are positions of an axis of a size."""
    ends = [offset] if sign == 0 else [offset, offset + sign * (count - 1)]
    return all(never_negative(e) and never_negative(size - 1 - e) for e in ends)


class Reader:
    """Reads positions off the wires of a diagram that is being built."""

    def __init__(self, builder: Builder, made: dict[int, tuple[int, int]], size: dict[str, Poly]):
        self.builder, self.made, self.size_of = builder, made, size

    def affine(self, view: View) -> Affine | None:
        """A view as `offset + sum of c * (position along an axis)`, under its own names, where it is one."""
        found = self._wire(view.wire)
        if found is None:
            return None
        table = dict(view.renames)
        return found[0], {table[a]: c for a, c in found[1].items() if c}

    def _wire(self, wire: int) -> Affine | None:
        if wire not in self.made:
            return None
        node = self.builder.nodes[self.made[wire][0]]
        op = node.op
        match op:
            case Iota():
                return Poly(), {node.own[0]: 1}
            case Size():
                return self.size_of[node.own[0]], {}
            case Literal():
                return (Poly.of(int(op.value)), {}) if isinstance(op.value, Fraction) and op.value.denominator == 1 else None
            case Add() | Subtract() | Multiply() | Map(function="neg") | Index():
                views = [self.affine(View(p.wire, p.renames)) for p in node.ports]
                if any(v is None for v in views):
                    return None
                a, b = views[0], views[-1]
                assert a is not None
                assert b is not None
                return self._joined(op, node.own, a, b)
            case _:
                return None

    def _joined(self, op: object, own: tuple[str, ...], a: Affine, b: Affine) -> Affine | None:
        match op:
            case Map():
                return -a[0], {x: -c for x, c in a[1].items()}
            case Index():
                return a if self.fits(a, own[0]) else None
            case Multiply():
                if a[1]:
                    a, b = b, a
                factor = a[0].constant()
                if a[1] or (b[1] and factor is None):
                    return None
                return a[0] * b[0], {x: c * (factor or 0) for x, c in b[1].items()}
            case _:
                sign = 1 if isinstance(op, Add) else -1
                return a[0] + sign * b[0], {x: a[1].get(x, 0) + sign * b[1].get(x, 0) for x in (*a[1], *b[1])}

    def fits(self, found: Affine, axis: str) -> bool:
        """Whether the positions are of an axis: none would be clamped."""
        offset, steps = found
        if len(steps) > 1 or any(abs(c) != 1 for c in steps.values()):
            return False
        ((name, sign),) = steps.items() or [("", 0)]
        return inside(offset, sign, self.size_of[name] if name else Poly.of(1), self.size_of[axis])
