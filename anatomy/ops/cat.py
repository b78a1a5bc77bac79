"""`cat[n, p -> m](x, y)`: operands laid end to end, one axis from each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op, Problem
from anatomy.ir.poly import Poly


@dataclass(frozen=True)
class Cat(Op):
    """Operand `k` gives its axis `own[k]`; one axis named once serves all operands (`cat[r -> e](a, b)`)."""

    names: ClassVar[tuple[str, ...]] = ("cat",)
    form = "arrow"
    arity = (2, None)
    symmetric = False
    algebra = "linear"
    knows_position = True

    @property
    def word(self) -> str:
        return "cat"

    def part(self, own: tuple[str, ...], port: int) -> str:
        return own[port if len(own) > 2 else 0]

    def check(self, own: tuple[str, ...], ports: Sequence[tuple[str, ...]]) -> None:
        if len(own) != 2 and len(own) != len(ports) + 1:
            raise Problem("E311", f"`cat` takes one axis per operand: {len(own) - 1} are named for {len(ports)} operands")

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        if len(own) > 2 and port >= len(own) - 1:
            return frozenset(), frozenset()
        axis = frozenset({self.part(own, port)})
        return axis, axis

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own[-1:],)

    def equations(
        self, own: tuple[str, ...], size: Callable[[str], Poly], ports: int
    ) -> list[tuple[Poly, Poly, str]]:
        parts = Poly()
        for k in range(ports):
            parts = parts + size(self.part(own, k))
        return [(size(own[-1]), parts, f"`cat` of {ports} operands into `{own[-1]}`")]

    def lower(self, emit: Emitter) -> list[Operand]:
        own, count = emit.node.own, len(emit.node.ports)
        whole = own[-1]
        lifts = emit.order(emit.lifts)
        target = emit.order((*lifts, whole))
        pieces = []
        for k in range(count):
            x = emit.tensor(k)
            part = self.part(own, k)
            here = tuple(part if a == whole else a for a in target)
            missing = [a for a in here if a not in x.axes]
            x = emit.align(x, here)
            if missing:
                sizes = ", ".join(emit.size(a) if a in missing else "-1" for a in here)
                x = Operand(f"{x.atom}.expand({sizes})", here)
            pieces.append(x.code)
        return [Operand(f"torch.cat(({', '.join(pieces)}), {target.index(whole)})", target)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.join([ctx.port(k) for k in range(len(ctx.node.ports))])]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("structure", f"cat → {own[-1]}")

    def flops(self, work: Poly) -> Poly:
        return Poly()
