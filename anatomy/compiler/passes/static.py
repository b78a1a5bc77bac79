"""What depends on sizes alone is computed once and kept by the module; what a loop does not change is computed before it.

Converts: boxes that depend on no input and no weight (rotations, masks and biases of positions, Fourier matrices) stand in a method of
their own, `_static`, whose results the module keeps for the last few sizes, types and devices. A box in a loop that reads nothing that the
loop changes stands before the loop, in the method where it reads no input and no weight either. Nothing else moves: what
depends on weights is computed at every forward, for a step of training changes them.
Conditions: the box is no noise and no loop. A kept value needs no gradient, and is given out as a copy where it is an output. It is
computed anew while a compiler, an export or `torch.func` traces the module.
Non-goals: values that depend on a mask or an index that is given; deciding which tables are worth their memory.
"""

from __future__ import annotations

from collections.abc import Mapping

from anatomy.compiler.passes.note import Note
from anatomy.ir.graph import Diagram
from anatomy.ir.solve import Solution


def static(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """The same diagram: the lines are put in their place when they are written, by `levels`."""
    return diagram


def levels(diagram: Diagram, given: Mapping[int, int], here: int) -> dict[int, int]:
    """For every wire where its line may stand: 0 with the tables, 1 in `forward`, 2 in a loop of it, and so on to `here`."""
    found = dict(given)
    for node in diagram.nodes:
        fixed = not node.op.random and node.op.body is None
        level = max((found[p.wire] for p in node.ports), default=0) if fixed else here
        found.update((w, level) for w in node.outs)
    return found
