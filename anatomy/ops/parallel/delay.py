"""`next s = u`: a state that forgets what it was is its input, one step later.

Converts: a loop whose next state does not depend on its state.
Conditions: none.
"""

from __future__ import annotations

from dataclasses import dataclass

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op
from anatomy.ir.poly import Poly


@dataclass(frozen=True)
class Delay(Op):
    """`y_0 = s`, `y_t = u_(t-1)`, of operands `u` and `s`; also `u` at the last step."""

    arity = (2, 2)

    @property
    def word(self) -> str:
        return "delay"

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        return (frozenset(own), frozenset()) if port == 0 else (frozenset(), frozenset())

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return own, ()

    def lower(self, emit: Emitter) -> list[Operand]:
        u, s = whole(emit, 0, emit.node.own), whole(emit, 1, ())
        u = emit.named(u)
        at = u.axes.index(emit.node.own[0])
        size = f"{u.code}.shape[{at}]"
        before = f"torch.cat(({s.atom}.unsqueeze({at}), {u.code}.narrow({at}, 0, {size} - 1)), {at})"
        return [Operand(before, u.axes), Operand(f"{u.code}.select({at}, -1)", s.axes)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        raise ctx.unproved("a box of compiled loops has no rule")

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("structure", f"delay {own[0]}")

    def flops(self, work: Poly) -> Poly:
        return Poly()


def whole(emit: Emitter, port: int, own: tuple[str, ...]) -> Operand:
    """An operand with all lifts and these own axes, in the preferred order without other own axes in the way."""
    order = emit.order((*emit.lifts, *emit.node.own))
    axes = tuple(a for a in order if a not in emit.node.own or a in own)
    given = emit.real(port)
    sizes = ", ".join(emit.extent(a) for a in axes)
    if given.scalar and axes:
        shape = f"({sizes}{',' if len(axes) == 1 else ''})"
        zero = given.code in ("0", "0.0")
        return Operand(f"torch.zeros({shape}, {emit.like})" if zero else f"torch.full({shape}, {given.code}, {emit.like})", axes)
    x = emit.align(emit.tensor(port), axes)
    if axes and (not x.axes or set(given.axes) != set(axes)):
        return Operand(f"{x.atom}.expand({sizes})", axes)
    return x


def spread(emit: Emitter, x: Operand, axes: tuple[str, ...], along: str) -> str:
    """With a dimension for each of these axes: that of the steps in full, others that are missing of size 1."""
    x = emit.permute(x, tuple(a for a in axes if a in x.axes))
    code = x.atom
    if x.axes != axes:
        code += f"[{', '.join(':' if a in x.axes else 'None' for a in axes)}]"
    return code if along in x.axes else f"{code}.expand({', '.join(emit.extent(a) if a == along else '-1' for a in axes)})"
