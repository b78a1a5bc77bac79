"""One node of the calculus: the bounds of its results from those of the wires that it reads."""

from __future__ import annotations

from dataclasses import replace

from anatomy.ir.bound import Bound
from anatomy.ir.graph import Node
from anatomy.regularity import affine
from anatomy.regularity.affine import Base
from anatomy.regularity.rules import Rules
from anatomy.regularity.view import named, rename


def wired(x: Bound, wire: int) -> Bound:
    """The bound of a wire: what varies and has no affine form is the base of one."""
    if not x.constant and x.form is None:
        x = replace(x, form=affine.itself(Base(wire, x)))
    return named(x, wire)


def results(node: Node, bounds: dict[int, Bound], sizes: dict[str, int]) -> tuple[list[Bound], tuple[Bound, ...]]:
    """The operands under the names of the node, and its results, which `bounds` then has too. Raises `Unproved` and `TooLarge`."""
    ports = [rename(bounds[p.wire], dict(p.renames)) for p in node.ports]
    outs = tuple(wired(out, wire) for wire, out in zip(node.outs, node.op.bound(Rules(node, ports, sizes)), strict=True))
    bounds.update(zip(node.outs, outs, strict=True))
    return ports, outs
