"""`next s = a * s + p * c + u` with `c = dot[E](k, s)`: a state that is read before it is written.

Converts: the delta rule, `next s = s + k * b * (v - dot[E](k, s))`, and its kin with a decay `a` of steps or of steps and keys.
Conditions: none. By itself the box goes through the steps one by one; where only products with queries read its states, the
compiler makes chunks of it, which is what it is for.
Source: Yang et al., Parallelizing linear transformers with the delta rule over sequence length, 2024 (arXiv 2406.06484).
"""

from __future__ import annotations

from dataclasses import dataclass

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op
from anatomy.ops.parallel.delay import spread, whole


@dataclass(frozen=True)
class Delta(Op):
    """The states before each step, after each step, and after the last, of operands `a`, `p`, `u`, `s` and factors of `k`.

    Own axes: that of the steps, and those that are summed.
    """

    arity = (5, None)
    symmetric = False

    @property
    def word(self) -> str:
        return "delta"

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(own[1:] if port == 3 else own), frozenset()

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return own, own, own[1:]

    def lower(self, emit: Emitter) -> list[Operand]:
        along, *over = emit.node.own
        u = whole(emit, 2, (along, *over))
        s = whole(emit, 3, tuple(over))
        at = u.axes.index(along)
        a, p, *keys = (spread(emit, emit.tensor(k), u.axes, along) for k in (0, 1, *range(4, len(emit.node.ports))))
        summed = tuple(s.axes.index(x) for x in over)
        code = f"{emit.helper('delta')}({a}, {p}, {u.code}, {' * '.join(keys)}, {s.code}, {at}, {summed})"
        states = emit.named(Operand(code, u.axes)).code
        size = f"{states}.shape[{at}] - 1"
        return [
            Operand(f"{states}.narrow({at}, 0, {size})", u.axes), Operand(f"{states}.narrow({at}, 1, {size})", u.axes),
            Operand(f"{states}.select({at}, -1)", s.axes),
        ]  # fmt: skip

    def bound(self, ctx: BoundContext) -> list[Bound]:
        raise ctx.unproved("a box of compiled loops has no rule")

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", f"delta {own[0]}")
