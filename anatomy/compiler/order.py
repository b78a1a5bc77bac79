"""One order of dimensions for all values of a diagram.

Converts: nothing; it ranks the axes. Non-goals: orders that change within a diagram.
"""

from __future__ import annotations

from collections.abc import Sequence

from anatomy.ir.graph import Diagram

PARTS = frozenset({"cat", "halves", "split", "merge"})
"""Boxes that take an axis apart, or put one together: where it wants to be last, so do its parts that nothing zips."""
KERNEL = 64
"""How many products the order of dimensions that a kernel wants is worth."""


def _bare(axes: Sequence[str]) -> set[str]:
    """Axes without the numbers that tell copies of them apart."""
    return {a.partition("~")[0] for a in axes}


def dimension_order(diagram: Diagram, lift: Sequence[str]) -> dict[str, int]:
    """A rank for every axis: lifts, then axes that contractions zip (batch, heads), then in order of appearance, then features of kernels.

    With one order for the whole diagram an elementwise box never permutes, and zipped axes stand where
    a batched matrix product wants them.
    """
    score: dict[str, int] = {}
    last = {a for node in diagram.nodes for a in _bare(node.op.last(node.own))}
    for node in diagram.nodes:
        if node.op.algebra == "multilinear" or node.op.zips:
            held: dict[str, int] = {}
            for port in node.ports:
                for axis in port.axes:
                    held[axis] = held.get(axis, 0) + 1
            new = [any(held[a] == 1 and a not in node.own for a in port.axes) for port in node.ports]
            if not node.op.zips and sum(new) < 2:
                continue  # entry by entry, or with a vector: any order does
            for axis, count in held.items():
                if count > 1 and axis not in node.own:
                    score[axis] = score.get(axis, 0) + (KERNEL if node.op.zips else 1)
    zipped = {a for a, count in score.items() if count >= KERNEL}
    while more := {a for node in diagram.nodes if node.op.word in PARTS and last & _bare(node.own) for a in _bare(node.own)} - last - zipped:
        last |= more
    first: dict[str, int] = {}
    for layout in [i.layout for i in diagram.inputs] + [o.layout for o in diagram.outputs]:
        for axis in layout:
            first.setdefault(axis, len(first))
    for axis in diagram.sizes:
        first.setdefault(axis, len(first))
    tokens = {v for i in diagram.inputs for a in i.layout[:-1] for v in diagram.sizes[a].variables()}

    def key(axis: str) -> tuple[bool, int, bool, int]:
        counted = not tokens.isdisjoint(diagram.sizes[axis].variables()) if axis in diagram.sizes else False
        return axis in last, -score.get(axis, 0), not counted, first[axis]

    ranked = sorted(first, key=key)
    for node in diagram.nodes:
        parts = {"merge": node.own[:-1], "split": node.own[1:]}.get(node.op.word, ())
        if len({key(a)[:3] for a in parts}) == 1:
            at = min(ranked.index(a) for a in parts)
            ranked = [a for a in ranked if a not in parts]
            ranked[at:at] = parts
    return {axis: k for k, axis in enumerate([*lift, *ranked])}
