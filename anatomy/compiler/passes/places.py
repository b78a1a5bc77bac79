"""The box of the places of keys: which keys each block of queries reads, and what of them each query sees. It has no operands.

Converts: a mask of positions, as a formula with the reach that is proved of it, into one call of `_places`. What it gives is read by
`_window` alone: tensors whose axes are blocks, which the graph has no names for.
Non-goals: masks of anything but positions.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from anatomy.compiler.passes.formula import Every, Formula, code
from anatomy.compiler.passes.reach import Reach
from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op


@dataclass(frozen=True)
class Places(Op):
    """Places of keys, what each query of a block sees of them, and what the first queries see of all keys; own axes: rows and keys."""

    seen: Formula = field(default_factory=Every)
    reach: Reach = field(default_factory=lambda: Reach(1, 0, 0))
    sink: bool = False
    """One key more in front, which all queries see."""
    arity = (0, 0)

    @property
    def word(self) -> str:
        return "places"

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (), (), ()

    def bound(self, ctx: BoundContext) -> list[Bound]:
        raise ctx.unproved("a box of the compiler has no bound; the diagram that it was made from has")

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("source", "places")

    def lower(self, emit: Emitter) -> list[Operand]:
        row, key = emit.node.own
        r = self.reach
        said = [emit.size(row), emit.size(key), f"lambda i, j: {code(self.seen)}", f"block={r.block}", f"before={r.before}", f"after={r.after}"]
        if r.step > 1:
            said.append(f"step={r.step}")
        if r.first:
            said.append(f"first={r.first}")
        if r.columns:
            said.append(f"columns={r.columns}")
        if r.rows:
            said.append(f"head={r.rows}")
        if self.sink:
            said.append("sink=1")
        made = emit.named(Operand(f"{emit.helper('places')}({', '.join([*said, emit.device])})"))
        return [Operand(f"{made.code}[{k}]") for k in range(3)]
