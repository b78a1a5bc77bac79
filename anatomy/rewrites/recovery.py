"""What determines the inputs of a diagram, its learners being chosen so that they lose nothing: laws X3, X5, X12 and X13."""

from __future__ import annotations

from collections.abc import Iterable

from anatomy.ir.graph import Node
from anatomy.ir.live import live
from anatomy.ir.poly import Poly
from anatomy.ops import Add, Cat, Contract, Divide, Expand, Halves, Hole, Map, Merge, Multiply, Reduce, Split, Subtract
from anatomy.rewrites.learners import Learners, Unproved

INJECTIVE = {"neg", "exp", "tanh", "sigmoid", "softplus", "elu"}


class Recovery(Learners):
    """A continuous injection of a compact set has a continuous inverse on its image, and Tietze's theorem extends it."""

    def recovered(self, given: Iterable[int]) -> set[int]:
        """The wires that given ones determine continuously on compact sets, learners on the way being chosen so that they do."""
        known = set(given)
        if self.trusted == "X5":
            self.laws["X5"] = None
            return known | self.inputs
        for i in reversed(live(self.diagram)):
            node = self.diagram.nodes[i]
            if not any(w in known for w in node.outs):
                continue
            law = self.undone(i, node, known)
            if law is not None:
                new = {p.wire for p in node.ports if self.reads.get(p.wire)} - known
                if new and law:
                    self.laws[law] = None
                known |= new
        return known

    def undone(self, i: int, node: Node, known: set[int]) -> str | None:
        """The law by which the operands of a box follow from its results and from what is known; None where they do not."""
        op, d = node.op, self.diagram
        open = [p for p in node.ports if p.wire not in known and self.reads.get(p.wire)]
        rest = [p for p in node.ports if p not in open]
        match op:
            case Map() if op.function in INJECTIVE:
                return "X5"
            case Expand() | Cat() | Split() | Merge():
                return "X5" if not isinstance(op, Expand) else ""
            case Halves() if all(w in known for w in node.outs):
                return "X5"
            case Add() | Subtract() if len(open) == 1 and [p.wire for p in node.ports].count(open[0].wire) == 1:
                return "X5"
            case Multiply() | Divide() if len(open) == 1 and all(self.fixed(p.wire) for p in rest) and (isinstance(op, Multiply) or open[0] is node.ports[0]):
                return "X5"
            case Contract() if len(open) == 1 and len(rest) == 1 and rest[0].wire in d.weight_of:
                weight = d.weight_of[rest[0].wire]
                new = [a for a in rest[0].axes if a not in node.own and a not in open[0].axes]
                if self.alone(weight) and weight.key not in self.spent and self.enough(self.size(new), self.size(node.own), "X12"):
                    self.spend(weight.key, weight.key)
                    return "X12"
            case Hole() if node.outs[0] in self.sets:
                return ""
            case Hole() if f"{op.hole} {i}" not in self.spent and all(d.wires[p.wire].kind.name == "real" for p in node.ports):
                takes = sum((self.size(node.own[k] for k in axes) for axes in op.takes_axes), start=Poly())
                gives = sum((self.size(node.own[k] for k in axes) for axes in op.gives_axes), start=Poly())
                if all(w in known for w in node.outs) and self.enough(gives, takes, "X3"):
                    self.spend(f"{op.hole} {i}", op.hole)
                    return "X3"
            case Reduce(which="sum" | "mean") if len(node.own) == 1:
                return self.of_set(node)
            case _:
                pass
        return None

    def of_set(self, node: Node) -> str | None:
        """A sum over a set of which the order does not count, of what a hole makes of its elements (X13): the set is determined."""
        d, (port,) = self.diagram, node.ports
        made = d.producer.get(port.wire)
        inner = d.nodes[made[0]] if made is not None else None
        if made is None or inner is None or not isinstance(inner.op, Hole) or f"{inner.op.hole} {made[0]}" in self.spent:
            return None
        axis = next((a for a, b in port.renames if b == node.own[0]), None)
        if axis not in self.invariant or set(inner.lifts) != {axis} or self.sets:
            return None  # Two sums would give two sets, and not which element of the one goes with which of the other.
        op = inner.op
        element = sum((self.size(inner.own[k] for k in axes) for axes in op.takes_axes), start=Poly())
        count = self.size([axis])
        gives = self.size(inner.own[k] for k in op.gives_axes[inner.outs.index(port.wire)])
        needed = count if element == Poly.of(1) else 2 * count * element + 1
        if not self.enough(gives, needed, "X13"):
            raise Unproved(f"`{op.hole}` gives {gives} numbers for each element, and `{gives} >= {needed}` is not proved (X13)")
        self.spend(f"{op.hole} {made[0]}", op.hole)
        self.sets.add(port.wire)
        return "X13"
