"""Attention whose result is chosen for the first rows alone is computed for these.

    where(i < g, attention of all rows, other)   needs attention of g rows.

Converts: `where(mask, a, b)` where the mask is of the position of one axis of rows, the masks bounds it from above, and `a` is a fused
attention that nothing else reads; the rows that are not computed hold 0, and are not chosen.
Conditions: no mask and no bias of rows and keys in that attention.
Non-goals: attention of the last rows; what stands between the attention and the choice.
"""

from __future__ import annotations

from dataclasses import replace

from anatomy.compiler.passes.kernel import FusedAttention
from anatomy.compiler.passes.note import Note
from anatomy.compiler.passes.positions import Positions
from anatomy.compiler.passes.reach import boxes
from anatomy.compiler.passes.region import Region
from anatomy.ir.graph import Node
from anatomy.ir.solve import Solution


def narrowed(region: Region, solution: Solution, node: Node, notes: list[Note]) -> bool:
    """Whether the first operand of this choice has now fewer rows to compute."""
    if node.op.word != "where" or len(region.diagram.consumers[node.ports[1].wire]) != 1:
        return False
    made = region.diagram.producer.get(node.ports[1].wire)
    attention = None if made is None else region.nodes[made[0]]
    if made is None or attention is None or not isinstance(attention.op, FusedAttention):
        return False
    op = attention.op
    if op.masks or op.biases or op.causal or op.blocks or op.rows != 1:
        return False
    (row,) = op.parts(attention.own)[2]
    formula = Positions(region, solution, dict(node.ports[1].renames)[row], "").formula(node.ports[0])
    if formula is None:
        return False
    last = max((b.row[1] for b in boxes(formula)), default=-1)
    size = solution.size(region.sizes[row]).constant()
    if not 0 <= last < (float("inf") if size is None else size - 1):
        return False
    region.nodes[made[0]] = replace(attention, op=replace(op, first=int(last) + 1))
    notes.append(Note("window", f"attention that is chosen for the first {int(last) + 1} rows is computed for these", node.span))
    return True
