"""`next s = a * s + u`, entry by entry: composed pairwise, in a number of passes logarithmic in the number of steps.

Converts: a loop whose next state is affine in its state with factors `a` free of it, which may lack axes of the state.
Conditions: none. Steps `(a, u)` compose as `(a' a, a' u + u')`, which is associative; nothing is ever divided, so no power
of `a` can vanish in a denominator. Source: Blelloch, Prefix sums and their applications, 1990; the passes are those of
Hillis and Steele, Data parallel algorithms, 1986.
"""

from __future__ import annotations

from dataclasses import dataclass

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op
from anatomy.ops.parallel.delay import spread, whole


@dataclass(frozen=True)
class Affine(Op):
    """The states before each step, after each step, and after the last, of operands `a`, `u` and `s`."""

    arity = (3, 3)

    @property
    def word(self) -> str:
        return "affine"

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        return (frozenset(own), frozenset()) if port < 2 else (frozenset(), frozenset())

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return own, own, ()

    def lower(self, emit: Emitter) -> list[Operand]:
        (along,) = emit.node.own
        u, s = whole(emit, 1, (along,)), emit.named(whole(emit, 2, ()))
        at = u.axes.index(along)
        a = spread(emit, emit.tensor(0), u.axes, along)
        after = emit.named(Operand(f"{emit.helper('affine')}({a}, {u.code}, {s.code}, {at})", u.axes))
        before = f"torch.cat(({s.code}.unsqueeze({at}), {after.code}.narrow({at}, 0, {after.code}.shape[{at}] - 1)), {at})"
        return [Operand(before, u.axes), after, Operand(f"{after.code}.select({at}, -1)", s.axes)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        raise ctx.unproved("a box of compiled loops has no rule")

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", f"affine {own[0]}")
