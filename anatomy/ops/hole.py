"""A hole: an interface without a body, to be filled by the generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from anatomy.errors import fail
from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.graph import REAL, Kind
from anatomy.ir.op import Op, Problem


@dataclass(frozen=True)
class Hole(Op):
    """`takes_axes[k]` and `gives_axes[k]` are positions in `Node.own`, one tuple for each port.

    `site` is the path of the use; `words` and `roles` are the names of its operands and of its axes where it is declared.
    """

    names: ClassVar[tuple[str, ...]] = ()
    symmetric = False
    arity = (0, None)
    label: str = ""
    takes_axes: tuple[tuple[int, ...], ...] = ()
    gives_axes: tuple[tuple[int, ...], ...] = ()
    takes_kinds: tuple[Kind, ...] = ()
    gives_kinds: tuple[Kind, ...] = ()
    site: str = field(default="", compare=False)
    words: tuple[str, ...] = field(default=(), compare=False)
    roles: tuple[str, ...] = field(default=(), compare=False)

    @property
    def hole(self) -> str:  # type: ignore[override]
        return self.label

    @property
    def word(self) -> str:
        return self.label

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        axes = frozenset(own[i] for i in self.takes_axes[port])
        return axes, axes

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(own[i] for i in axes) for axes in self.gives_axes) if own else tuple(() for _ in self.gives_axes)

    def kinds(self, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        for port, (have, want) in enumerate(zip(kinds, self.takes_kinds, strict=True)):
            if have.name != want.name and not (want == REAL and have.name == "index"):
                raise Problem("E307", f"hole `{self.label}` wants {want} as operand {port + 1}, but it is {have}", port)
        return self.gives_kinds

    def lower(self, emit: Emitter) -> list[Operand]:
        raise fail("E501", f"hole `{self.label}` has no body", emit.node.span)

    def bound(self, ctx: BoundContext) -> list[Bound]:
        raise ctx.unproved("a hole has no rule")

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("hole", f"{self.label} ?")
