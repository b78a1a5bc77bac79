"""Plausible sizes for what is only known at run time, to choose between codes of one function.

Non-goals: correctness never depends on them.
"""

from __future__ import annotations

from anatomy.ir.graph import Diagram
from anatomy.ir.poly import Poly
from anatomy.ir.solve import Solution

TOKENS, FEATURES, BATCH = 512, 64, 16
"""An axis that is not the last of its input, one that is the last of some and stands nowhere else, and a lifted axis."""


class Likely:
    """The size of a polynomial of axes where it is known, else a plausible one."""

    def __init__(self, diagram: Diagram, solution: Solution):
        self.solution = solution
        front = {v for i in diagram.inputs for a in i.layout[:-1] for v in diagram.sizes[a].variables()}
        last = {v for i in diagram.inputs if len(i.layout) > 1 for a in i.layout[-1:] for v in diagram.sizes[a].variables()}
        self.features = last - front

    def __call__(self, size: Poly) -> int:
        rest = self.solution.size(size)
        return max(1, rest.evaluate({v: FEATURES if v in self.features else TOKENS for v in rest.variables()}))
