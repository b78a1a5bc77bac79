"""The sign of a wire, as far as the boxes that make it tell it.

Converts: nothing; it reads. Non-goals: intervals, which are those of the regularity check.
"""

from __future__ import annotations

from anatomy.compiler.passes.region import Region
from anatomy.ir.graph import Port

NOT_BELOW = frozenset({"exp", "softplus", "sigmoid", "relu", "square", "^ 2", "abs", "sqrt", "softmax", "iota", "size"})
SAME = frozenset({"sum", "mean", "cumsum", "expand", "split", "merge", "shift", "max", "min", "gather"})
DEPTH = 24


def sign(region: Region, port: Port, depth: int = DEPTH) -> int | None:
    """1 where no entry is below 0, -1 where none is above it, 0 where all are 0, None where it is not known."""
    node = region.source(port)
    if node is None or depth == 0:
        return None
    word = node.op.word
    value = getattr(node.op, "value", None)
    if not node.ports and value is not None and word not in ("iota", "size"):
        return (value > 0) - (value < 0)
    if word in NOT_BELOW:
        return 1
    found = [sign(region, p, depth - 1) for p in node.ports]
    if any(s is None for s in found):
        return None
    signs = [s for s in found if s is not None]
    match word:
        case "neg":
            return -signs[0]
        case "*" | "dot" | "/":
            total = 1 if word != "/" or signs[1] else None
            if total is None:
                return None
            for s in signs:
                total *= s
            return total
        case "+":
            return _both(signs)
        case "-":
            return _both([signs[0], -signs[1]])
        case _ if word in SAME and len(signs) == 1:
            return signs[0]
    return None


def _both(signs: list[int]) -> int | None:
    rest = {s for s in signs if s}
    return None if len(rest) > 1 else rest.pop() if rest else 0
