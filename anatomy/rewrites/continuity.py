"""Whether a diagram is a continuous function of its inputs, its holes being continuous: what a limit can be carried through.

Non-goals: functions that are continuous though a box in them is not, such as `where(x > 0, x, 0)`; continuity in the weights, which are fixed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from anatomy.ir.graph import Diagram, Node
from anatomy.ir.live import live
from anatomy.ir.loop import opened
from anatomy.ops import (
    Compare,
    Contract,
    Divide,
    Entmax,
    Fourier,
    Gather,
    Index,
    Literal,
    Map,
    Mask,
    Multiply,
    Noise,
    Normalise,
    Power,
    Solve,
    Sort,
    Topk,
    Where,
)  # fmt: skip
from anatomy.rewrites.finite import ALWAYS_FINITE, TAMED
from anatomy.rewrites.ranges import Ranges

STEPS = {"sign", "floor"}
BOUNDED = {"exp", "sigmoid", "tanh", "relu", "softplus", "elu", "neg", "stop"}
"""Functions that have a value, or a limit, at -inf."""


@dataclass(frozen=True)
class Continuity:
    """`jump` says which box is not shown to be continuous; `conditions` where the whole is, if it is not so everywhere."""

    jump: str | None
    conditions: tuple[str, ...] = ()


def continuity(diagram: Diagram) -> Continuity:
    """Whether a diagram is continuous in its real inputs, for any values of its weights and continuous functions in its holes.

    By composition: every box that reads what depends on an input must be continuous, on the set where no denominator is 0, no
    logarithm is of a number that is not positive and no norm is of 0; where that set is not everything, a condition says so. Positions
    and truth values that depend on an input are refused where they choose something, and so is noise.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis m diagram f(s: [m]) -> [m] { out s / sum[m](s) } diagram g(s: [m]) -> [m] { out where(s == max[m](s), 1, 0) }"
    >>> program = Program.of(Source("two.anat", text))
    >>> continuity(program.get("f")).conditions, continuity(program.get("g")).jump
    (('nothing is divided by 0',), '`where` chooses by a comparison of data')
    """
    walk = _Walk(diagram)
    data = {i.wire for i in diagram.inputs if diagram.wires[i.wire].kind.name == "real"}
    walk.run(data)
    for output in diagram.outputs:
        wire = output.port.wire
        if walk.jump is None and diagram.wires[wire].kind.name != "real" and wire in walk.data:
            walk.jump = "a result is a position or a truth value that depends on data"
    return Continuity(walk.jump, tuple(walk.conditions))


def jumps(diagram: Diagram) -> str | None:
    """Which box is not shown to be continuous, or None."""
    return continuity(diagram).jump


def _masked(diagram: Diagram) -> set[int]:
    """The wires that may hold -inf because of a mask; functions in holes are finite, and logarithms have conditions of their own."""
    found: set[int] = set()
    for node in diagram.nodes:
        op = node.op
        passes = op.word not in TAMED and op.word not in ALWAYS_FINITE and not op.hole
        inside = op.body is not None and _masked(op.body)
        if isinstance(op, Mask) or inside or (passes and any(p.wire in found for p in node.ports)):
            found.update(node.outs)
    return found


@dataclass
class _Walk:
    diagram: Diagram
    data: set[int] = field(default_factory=set)
    """Wires that depend on a real input or on a hole."""
    jump: str | None = None
    conditions: dict[str, None] = field(default_factory=dict)

    def run(self, data: set[int]) -> None:
        self.data = set(data)
        self.ranges, self.low = Ranges(self.diagram), _masked(self.diagram)
        for i in live(self.diagram):
            node = self.diagram.nodes[i]
            depends = bool(node.op.hole) or node.op.random or any(p.wire in self.data for p in node.ports)
            if depends:
                self.data.update(node.outs)
                if self.jump is None:
                    self.jump = self._loop(node) if node.op.body is not None else self._box(node)

    def _loop(self, node: Node) -> str | None:
        inner = _Walk(opened(self.diagram, node))
        ports = [p.wire in self.data or k < node.op.carries for k, p in enumerate(node.ports)]
        inner.run({item.wire for item, given in zip(inner.diagram.inputs, ports, strict=True) if given})
        self.conditions |= inner.conditions
        return inner.jump

    def _box(self, node: Node) -> str | None:
        op, word, given = node.op, node.op.word, [p.wire in self.data for p in node.ports]
        kinds = [self.diagram.wires[p.wire].kind.name for p in node.ports]
        if op.hole:
            return None
        if isinstance(op, Noise):
            return "noise is drawn anew"
        if isinstance(op, (Where, Mask)) and given[0]:
            return f"`{word}` chooses by a comparison of data"
        if isinstance(op, (Sort, Topk)):
            read = self.diagram.consumers[node.outs[1]]
            return f"`{word}` gives positions that depend on data" if read else None
        if isinstance(op, Gather) and given[1]:
            return "`gather` looks up positions that depend on data"
        if isinstance(op, (Index, Compare)) or (isinstance(op, Map) and op.function in STEPS):
            # A comparison is harmless until something chooses by it, and that is refused where it happens.
            return None if isinstance(op, Compare) else f"`{word}` jumps"
        if any(kind == "index" and data for kind, data in zip(kinds, given, strict=True)):
            return f"`{word}` counts with positions that depend on data"
        if isinstance(op, Entmax) and any(given[1:]):
            return "`entmax` has an exponent that depends on data"
        if any(p.wire in self.low for p in node.ports) and self._loses(node):
            return f"`{word}` reads what a mask makes -inf"
        self._where(node)
        return None

    def _loses(self, node: Node) -> bool:
        op = node.op
        return isinstance(op, (Multiply, Divide, Contract, Power, Normalise, Fourier, Solve)) or (isinstance(op, Map) and op.function not in BOUNDED)

    def _where(self, node: Node) -> None:
        """On which set the box is continuous."""
        op = node.op
        ranges = [self.ranges.of(p.wire) for p in node.ports]
        match op:
            case Divide() if not ranges[1].nonzero:
                self.conditions["nothing is divided by 0"] = None
            case Map(function="log") if not ranges[0].above(Fraction(0), True):
                self.conditions["`log` is of positive numbers"] = None
            case Map(function="sqrt") if not ranges[0].above(Fraction(0), False):
                self.conditions["`sqrt` is of numbers that are not negative"] = None
            case Normalise(eps=eps) if not eps:
                self.conditions[f"nothing that `{op.word}` divides by is 0"] = None
            case Solve():
                self.conditions["no entry of a diagonal is 0 in `solve_triangular`"] = None
            case Power() if not self._whole(node) and not ranges[0].above(Fraction(0), True):
                self.conditions["what is raised to a power is positive"] = None
            case _:
                pass

    def _whole(self, node: Node) -> bool:
        """Whether the exponent is a whole number that is not negative."""
        made = self.diagram.producer.get(node.ports[1].wire)
        op = self.diagram.nodes[made[0]].op if made else None
        return isinstance(op, Literal) and op.value >= 0 and op.value.denominator == 1
