"""The vocabulary of lowering: operands with a dimension order, and what an operation may ask of the emitter.

Operations describe their PyTorch code as text, so no operation imports torch. Every piece of text
that comes from a diagram reaches the source through names that the emitter made itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from anatomy.ir.graph import Node


@dataclass(frozen=True, slots=True)
class Operand:
    """A value in the source: an expression and the order of its dimensions.

    `scalar` marks a Python number (no dimensions, not a tensor), `integer` a tensor of positions,
    `bare` an expression that needs no parentheses.
    """

    code: str
    axes: tuple[str, ...] = ()
    scalar: bool = False
    integer: bool = False
    bare: bool = True

    @property
    def atom(self) -> str:
        return self.code if self.bare else f"({self.code})"


class Emitter(Protocol):
    """What a lowering rule may ask for."""

    node: Node

    def operand(self, port: int) -> Operand:
        """The value at a port, its dimensions under the node's axis names."""
        ...

    def real(self, port: int) -> Operand:
        """The same as a real: positions are cast to the working dtype."""
        ...

    def tensor(self, port: int) -> Operand:
        """The same as a real tensor, never a Python number."""
        ...

    @property
    def lifts(self) -> tuple[str, ...]:
        """All axes of the operands that are not the node's own, those lifted at compile time included."""
        ...

    def named(self, operand: Operand, ports: Sequence[int] | None = None) -> Operand:
        """The operand bound to a name, for rules that read it more than once; `ports` are all that it is made of, where it says so."""
        ...

    def wanted(self, out: int) -> bool:
        """Whether anything reads this result of the node."""
        ...

    def loop(self) -> list[Operand]:
        """The results of a loop, whose lines are written step by step."""
        ...

    def order(self, axes: tuple[str, ...]) -> tuple[str, ...]:
        """The preferred dimension order of a set of axes."""
        ...

    def align(self, operand: Operand, axes: tuple[str, ...]) -> Operand:
        """The operand permuted and given dimensions of size 1 so that it broadcasts against `axes`."""
        ...

    def permute(self, operand: Operand, axes: tuple[str, ...]) -> Operand:
        """The operand with its dimensions in exactly this order (same set)."""
        ...

    def size(self, axis: str) -> str:
        """An integer expression for an axis size."""
        ...

    def extent(self, axis: str) -> str:
        """The same, also for an axis that is lifted at compile time."""
        ...

    def likely(self, axis: str) -> int:
        """The size of an axis where it is known, else a plausible one: only to choose between equivalent codes."""
        ...

    def helper(self, name: str) -> str:
        """Ask for a function of the compiler's small run-time library to be written into the module."""
        ...

    def masked(self, port: int) -> bool:
        """Whether entries of this value may be -inf because of a mask upstream."""
        ...

    @property
    def like(self) -> str:
        """`dtype=..., device=...` arguments that follow the inputs."""
        ...

    @property
    def lift(self) -> tuple[str, ...]:
        """The axes that are lifted at compile time."""
        ...

    @property
    def device(self) -> str:
        """`device=...` argument that follows the inputs."""
        ...


def infix(emit: Emitter, sign: str) -> Operand:
    """`a sign b` with both operands broadcast by name; stays a Python number where both are."""
    a, b = emit.real(0), emit.real(1)
    if a.scalar and b.scalar:
        if sign in ("+", "-", "*") or (sign == "/" and _positive(b.code)):
            return Operand(f"{a.atom} {sign} {b.atom}", scalar=True, bare=False)
        a = emit.tensor(0)
    axes = emit.order(tuple(dict.fromkeys((*a.axes, *b.axes))))
    a, b = emit.align(a, axes), emit.align(b, axes)
    return Operand(f"{a.atom} {sign} {b.atom}", axes, bare=False)


def call(emit: Emitter, function: str, first_is_mask: bool = False) -> Operand:
    """`function(a, b, ...)` with all operands as tensors, broadcast by name."""
    axes = emit.order(emit.lifts)
    parts = []
    for k in range(len(emit.node.ports)):
        operand = emit.operand(k) if first_is_mask and k == 0 else emit.tensor(k)
        parts.append(emit.align(operand, axes).code)
    return Operand(f"{function}({', '.join(parts)})", axes)


def dims(operand: Operand, own: tuple[str, ...], always_tuple: bool = False) -> str:
    """The dimension numbers of the own axes, as an integer or a tuple in source form."""
    numbers = sorted(operand.axes.index(a) for a in own)
    if len(numbers) == 1 and not always_tuple:
        return str(numbers[0])
    return f"({', '.join(map(str, numbers))}{',' if len(numbers) == 1 else ''})"


def by_rows(emit: Emitter, x: Operand, function: str, more: str = "") -> Operand:
    """`function(rows)`, where the own axes stand as one last dimension; a row of -inf gives 0 (ruling 15)."""
    own = emit.order(emit.node.own)
    x = emit.permute(x, tuple(a for a in x.axes if a not in own) + own)
    rows = x.code if len(own) == 1 else f"{x.atom}.flatten({-len(own)})"
    given = ", ".join(part for part in (rows, more) if part)
    code = f"{emit.helper('masked')}({function}, {given})" if emit.masked(0) else f"{function}({given})"
    if len(own) > 1:
        code += f".unflatten(-1, ({', '.join(map(emit.size, own))}))"
    return Operand(code, x.axes)


def _positive(code: str) -> bool:
    """Whether a scalar expression is a plain positive literal, a size, or a root of one."""
    inner = code.removeprefix("math.sqrt(").rstrip(")")
    return inner.isidentifier() or (inner.replace(".", "", 1).isdigit() and float(inner) > 0)
