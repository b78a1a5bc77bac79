"""What a diagram of learners is made of: which wires depend on which, how many numbers they hold, and what was chosen for what."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from math import prod
from typing import Self

from anatomy.ir.graph import Diagram, Weight
from anatomy.ir.live import live
from anatomy.ir.poly import Poly
from anatomy.rewrites.places import never_negative
from anatomy.rewrites.ranges import Ranges


class Unproved(Exception):
    """Why a diagram is not shown to be a universal approximator."""


class Learners:
    """The state of a proof: `laws` and `conditions` are what it has used, `spent` the learners that it has chosen."""

    def __init__(self, diagram: Diagram, invariant: frozenset[str] = frozenset(), trusted: str = ""):
        """`trusted`: the law, X5 or X6, that an inverse given elsewhere has settled."""
        self.diagram, self.invariant, self.trusted = diagram, invariant, trusted
        self.inputs = {i.wire for i in diagram.inputs}
        self.ranges = Ranges(diagram)
        self.laws: dict[str, None] = {}
        self.conditions: dict[str, None] = {}
        self.spent: dict[str, None] = {}
        self.held: set[str] = set()
        """Learners that an earlier choice takes as given, and that can be chosen no more."""
        self.sets: set[int] = set()
        """Wires of elements that are known up to their order."""
        self.depends: dict[int, frozenset[str]] = {w.wire: frozenset([w.key]) for w in diagram.weights}
        """The learners that a wire depends on."""
        self.reads: dict[int, frozenset[int]] = {w: frozenset([w]) for w in self.inputs}
        """The inputs that a wire depends on."""
        for i in live(diagram):
            node = diagram.nodes[i]
            own = [f"{node.op.hole} {i}"] if node.op.hole else []
            learners = frozenset(own).union(*(self.depends.get(p.wire, frozenset()) for p in node.ports))
            for wire in node.outs:
                self.depends[wire] = learners
                self.reads[wire] = frozenset().union(*(self.reads.get(p.wire, frozenset()) for p in node.ports))

    def trial(self) -> Self:
        """A copy that may fail."""
        made = copy(self)
        made.laws, made.conditions, made.spent, made.sets = dict(self.laws), dict(self.conditions), dict(self.spent), set(self.sets)
        made.held = set(self.held)
        return made

    def holes(self) -> list[int]:
        return [i for i in live(self.diagram) if self.diagram.nodes[i].op.hole]

    def spend(self, learner: str, what: str) -> None:
        if learner in self.spent or learner in self.held:
            raise Unproved(f"{what} would have to be chosen for two things at once")
        self.spent[learner] = None

    def fixed(self, wire: int) -> bool:
        """No input and no learner has a part in it, and it is not 0."""
        return not self.reads.get(wire) and not self.depends.get(wire) and self.ranges.of(wire).nonzero

    def alone(self, weight: Weight) -> bool:
        return len(self.diagram.consumers[weight.wire]) == 1 and not weight.frozen

    # sizes ------------------------------------------------------------------------------------

    def size(self, axes: Iterable[str]) -> Poly:
        d = self.diagram
        return prod((d.settled.of(d.sizes[a]) for a in axes), start=Poly.of(1))

    def dim(self, wires: Iterable[int]) -> Poly:
        """The number of reals on some wires together."""
        total = Poly()
        for wire in wires:
            if self.diagram.wires[wire].kind.name != "real":
                raise Unproved(f"{self.named([wire])} holds positions or truth values, which are not counted in dimensions")
            total = total + self.size(self.diagram.wires[wire].axes)
        return total

    def enough(self, here: Poly, needed: Poly, law: str) -> bool:
        """Whether there is room: known of the sizes, and noted."""
        if not never_negative(here - needed):
            return False
        self.laws[law] = None
        self.conditions[f"{here} >= {needed}"] = None
        return True

    def named(self, wires: Iterable[int]) -> str:
        names = (self.diagram.wires[w].name for w in sorted(wires))
        return ", ".join(f"`{n}`" if n else "a wire" for n in names)
