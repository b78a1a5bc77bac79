"""What a variant costs in its length, as written and as it is compiled."""

from __future__ import annotations

from anatomy.compiler.passes import DIFFERENTIABLE, optimised
from anatomy.errors import AnatomyError
from anatomy.ir.analysis import flops
from anatomy.ir.graph import Diagram
from anatomy.ir.op import Problem
from anatomy.ir.solve import solve
from anatomy.ir.strands import tokens


def degree(diagram: Diagram) -> int | None:
    """The greatest power of all lengths together in the number of operations; None where there are no tokens."""
    settled = diagram.settled
    lengths = {v for _, axis in tokens(diagram) for v in settled.of(diagram.sizes[axis]).variables()}
    if not lengths:
        return None
    return max((sum(e for v, e in monomial if v in lengths) for monomial, _ in settled.of(flops(diagram)).terms), default=0)


def compiled_degree(diagram: Diagram, sizes: dict[str, int]) -> int | None:
    """The same after the compiler's passes, lengths left open and other axes at these sizes; None where they do not run."""
    settled = diagram.settled
    lengths = {v for _, axis in tokens(diagram) for v in settled.of(diagram.sizes[axis]).variables()}
    given = {a: n for a, n in sizes.items() if not settled.of(diagram.sizes[a]).variables() & lengths}
    try:
        return degree(optimised(diagram, solve(diagram, given), DIFFERENTIABLE, []))
    except (AnatomyError, Problem):
        return None
