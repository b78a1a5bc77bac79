"""One fold over the diagram: every node's lowering rule, with names, dimension orders and line comments.

Converts: a typed, size-solved diagram into the lines of `forward`.
Non-goals: recognising patterns; choosing kernels. Those are passes on the diagram before this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from anatomy.compiler.likely import BATCH, Likely
from anatomy.compiler.loop import lower_loop
from anatomy.compiler.names import Names, comment
from anatomy.compiler.order import dimension_order
from anatomy.compiler.passes.static import levels
from anatomy.compiler.tables import Line, Tables
from anatomy.ir.code import Operand
from anatomy.ir.graph import Diagram, Node, Port
from anatomy.ir.solve import Solution

INLINE = 72
"""An unnamed value that is read once is written inside its reader when its code is at most this long."""
STOPS_MASK = frozenset({"softmax", "sparsemax", "entmax", "sinkhorn", "exp", "sigmoid", "relu", "tanh", "elu", "softplus"})
"""Boxes that are finite at -inf: a mask upstream is forgotten behind them."""


@dataclass
class Emission:
    """Lines of `forward` in the making; satisfies `anatomy.ir.code.Emitter`."""

    diagram: Diagram
    solution: Solution
    names: Names
    lift: tuple[str, ...]
    like_name: str
    lines: list[Line] = field(default_factory=list)
    helpers: set[str] = field(default_factory=set)
    wires: dict[int, Operand] = field(default_factory=dict)
    size_names: dict[str, str] = field(default_factory=dict)
    masks: set[int] = field(default_factory=set)
    passes: tuple[str, ...] = ()
    """What is done to the bodies of loops before their lines are written."""
    inside: bool = False
    """These are lines of a loop: what goes out is written where the state is set."""
    tables: Tables | None = None
    """Takes the lines that depend on sizes alone; without it every line stands where its box does."""
    outer: tuple[list[Line], ...] = ()
    """The lines of `forward` and of the loops around these."""
    level: dict[int, int] = field(default_factory=dict)
    """For every wire where its line stands (see `levels`); inputs of a loop have it before the others."""
    casts: dict[int, str] = field(default_factory=dict)
    """Names of positions as numbers of the working type."""
    node: Node = None  # type: ignore[assignment]
    _note: str = ""

    def __post_init__(self) -> None:
        self.rank = dimension_order(self.diagram, self.lift)
        self.reads: dict[int, int] = {w: len(c) for w, c in self.diagram.consumers.items()}
        self.depth = self.here = 1 + len(self.outer)

    # what rules may ask -------------------------------------------------------------------------

    def operand(self, port: int) -> Operand:
        end = self.node.ports[port]
        table = dict(end.renames)
        value = self.wires[end.wire]
        return replace(value, axes=tuple(table.get(a, a) for a in value.axes))

    def real(self, port: int) -> Operand:
        value = self.operand(port)
        if value.integer:
            wire = self.node.ports[port].wire
            if self.level.get(wire, self.here) == self.here:
                return Operand(f"{value.atom}.to({self.like_name}.dtype)", value.axes)
            if wire not in self.casts:
                self.casts[wire] = self._apart(self.level[wire], f"{value.atom}.to({{}}.dtype)")
            return Operand(self.casts[wire], value.axes)
        return value

    def tensor(self, port: int) -> Operand:
        value = self.real(port)
        if value.scalar:
            return Operand(f"torch.tensor({float_code(value.code)}, {self.like})")
        return value

    @property
    def lifts(self) -> tuple[str, ...]:
        own = set(self.node.own)
        axes: dict[str, None] = {}
        for k in range(len(self.node.ports)):
            axes.update((a, None) for a in self.operand(k).axes if a not in own)
        return tuple(axes)

    def named(self, operand: Operand, ports: Sequence[int] | None = None) -> Operand:
        if operand.code.isidentifier():
            return operand
        if ports is not None:
            level = max((self.level.get(self.node.ports[k].wire, self.here) for k in ports), default=self.here)
            if level < self.here and (level or "sizes[" not in operand.code):  # tables know no size of a lifted axis
                return replace(operand, code=self._apart(level, operand.code), bare=True)
        return replace(operand, code=self._bind(operand.code, ""), bare=True)

    def wanted(self, out: int) -> bool:
        return bool(self.diagram.consumers[self.node.outs[out]])

    def loop(self) -> list[Operand]:
        return lower_loop(self)

    def value(self, port: Port) -> Operand:
        """A wire under the axis names of a port."""
        table = dict(port.renames)
        value = self.wires[port.wire]
        return replace(value, axes=tuple(table.get(a, a) for a in value.axes))

    @property
    def comment(self) -> str:
        """Where the lines of this node come from."""
        return self._note

    def extent(self, axis: str) -> str:
        """The size of an axis, lifted ones too."""
        return self.size_names[axis] if axis not in self.diagram.sizes else self.size(axis)

    def order(self, axes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(dict.fromkeys(axes), key=self.position))

    def position(self, axis: str) -> tuple[int, str]:
        return self.rank.get(axis.partition("~")[0], len(self.rank)), axis

    def align(self, operand: Operand, axes: tuple[str, ...]) -> Operand:
        if operand.scalar or not operand.axes:
            return operand
        operand = self.permute(operand, tuple(a for a in axes if a in operand.axes))
        first = axes.index(operand.axes[0])
        if tuple(axes[first:]) == operand.axes:
            return operand
        index = ", ".join(":" if a in operand.axes else "None" for a in axes[first:])
        return Operand(f"{operand.atom}[{index}]", axes, integer=operand.integer)

    def permute(self, operand: Operand, axes: tuple[str, ...]) -> Operand:
        if operand.axes == axes:
            return operand
        numbers = ", ".join(str(operand.axes.index(a)) for a in axes)
        return Operand(f"{operand.atom}.permute({numbers})", axes, integer=operand.integer)

    def size(self, axis: str) -> str:
        return self.size_names[axis] if axis in self.lift else self.poly_code(self.diagram.sizes[axis])

    def likely(self, axis: str) -> int:
        if axis not in self.diagram.sizes:
            size = self.size_names.get(axis, "")
            return int(size) if size.isdigit() else BATCH
        return Likely(self.diagram, self.solution)(self.diagram.sizes[axis])

    def helper(self, name: str) -> str:
        self.helpers.add(name)
        return f"_{name}"

    def masked(self, port: int) -> bool:
        return self.node.ports[port].wire in self.masks and not self._open(self.node.ports[port])

    def _open(self, port: Port) -> bool:
        """Whether a mask hides no whole row: `k <= n` of positions, in rows of k, shows the first."""
        made = self.diagram.producer.get(port.wire)
        node = None if made is None else self.diagram.nodes[made[0]]
        if node is None or node.op.word != "mask" or node.ports[1].wire in self.masks or len(self.node.own) != 1:
            return False
        seen = self.diagram.producer.get(node.ports[0].wire)
        compare = None if seen is None else self.diagram.nodes[seen[0]]
        if compare is None or compare.op.word != "<=":
            return False
        table, names = dict(node.ports[0].renames), dict(port.renames)
        keys = [names[table[a]] for a in compare.ports[0].axes if a in table]
        sources = [self.diagram.producer.get(p.wire) for p in compare.ports]
        iotas = all(s is not None and self.diagram.nodes[s[0]].op.word == "iota" for s in sources)
        return iotas and keys == list(self.node.own) and compare.ports[0].axes != compare.ports[1].axes

    @property
    def like(self) -> str:
        return f"dtype={self.like_name}.dtype, device={self.like_name}.device"

    @property
    def device(self) -> str:
        return f"device={self.like_name}.device"

    # the fold -----------------------------------------------------------------------------------

    def poly_code(self, poly: object) -> str:
        rest = self.solution.size(poly)  # type: ignore[arg-type]
        value = rest.constant()
        if value is not None:
            return str(value)
        terms = []
        for mono, coeff in rest.terms:
            factors = [self.size_names[v] for v, e in mono for _ in range(e)]
            if coeff != 1 or not factors:
                factors.insert(0, str(coeff))
            terms.append(" * ".join(factors))
        code = " + ".join(terms)
        return code if len(terms) == 1 and "*" not in code else f"({code})"

    def run(self) -> None:
        lines, like = self.lines, self.like_name
        if self.tables is not None:
            given = dict.fromkeys(range(len(self.diagram.wires)), self.depth) | self.level
            self.level = levels(self.diagram, given, self.depth)
        for node in self.diagram.nodes:
            self.node = node
            self._note = note(node)
            self._stand(self.level.get(node.outs[0], self.depth), lines, like)
            results = node.op.lower(self)
            if node.op.word == "mask" or (
                node.op.word not in STOPS_MASK and any(p.wire in self.masks for p in node.ports)
            ):
                self.masks.update(node.outs)
            for wire, result in zip(node.outs, results, strict=True):
                self.wires[wire] = self._settle(wire, result)
        self._stand(self.depth, lines, like)

    def _stand(self, level: int, lines: list[Line], like: str) -> None:
        """What is written next stands at a level."""
        self.here, self.lines, self.like_name = level, lines, like
        if level < self.depth:
            assert self.tables is not None
            self.lines = [self.tables.lines, *self.outer][level]
            self.like_name = self.like_name if level else self.tables.like

    def _apart(self, level: int, code: str) -> str:
        """A name for code at another level; `{}` stands for what has the working type."""
        here, lines, like = self.here, self.lines, self.like_name
        self._stand(level, lines, like)
        target = self._bind(code.replace("{}", self.like_name), "")
        self.here, self.lines, self.like_name = here, lines, like
        return target

    def fresh(self, value: Operand) -> Operand:
        """A copy of a table, which nobody who is given it can change."""
        kept = self.tables is not None and value.code in self.tables.names
        return replace(value, code=f"{value.code}.clone()") if kept else value

    def _settle(self, wire: int, value: Operand) -> Operand:
        """Keep short single-use code inline; bind the rest to a name."""
        if value.scalar or value.code.isidentifier() or not self.diagram.consumers[wire]:
            return value
        name = self.diagram.wires[wire].name
        once = self.reads.get(wire, 0) <= 1
        to_output = any(i < 0 for i, _ in self.diagram.consumers[wire])
        if self.here < self.depth and any(i < 0 or self.level[self.diagram.nodes[i].outs[0]] > self.here for i, _ in self.diagram.consumers[wire]):
            if self.depth > 1 and self.node.span is not None and self.tables is not None:
                self.tables.before[self.node.span] = None
            return replace(value, code=self._bind(value.code, name), bare=True)
        if once and not name and not to_output and len(value.code) <= INLINE:
            return value
        if once and not name and to_output and self.inside:
            return value
        return replace(value, code=self._bind(value.code, name), bare=True)

    def _bind(self, code: str, name: str) -> str:
        target = self.names.new(name.rpartition(".")[2] if name else "", "t")
        self.lines.append(Line(f"{target} = {code}", self._note))
        if self.here == 0 and self.tables is not None:
            self.tables.names[target] = self.node.span
        return target

    def output(self, k: int) -> str:
        """The code of an output: its header layout behind the lifts, repeated along lifts that it lacks."""
        output = self.diagram.outputs[k]
        table = dict(output.port.renames)
        value = self.wires[output.port.wire]
        value = replace(value, axes=tuple(table.get(a, a) for a in value.axes))
        if value.scalar:
            value = Operand(f"torch.tensor({float_code(value.code)}, {self.like})")
        if value.integer and output.kind.name != "index":
            value = Operand(f"{value.atom}.to({self.like_name}.dtype)", value.axes)
        value = self.fresh(value)
        target = (*self.lift, *output.layout)
        value = self.permute(value, tuple(a for a in target if a in value.axes))
        missing = [a for a in target if a not in value.axes]
        if missing:
            sizes = ", ".join(self.size_names[a] if a in missing else "-1" for a in target)
            index = ", ".join(":" if a in value.axes else "None" for a in target)
            value = Operand(f"{value.atom}[{index}].expand({sizes})", target)
        return value.code


def float_code(code: str) -> str:
    return code if "." in code or not code.lstrip("-").isdigit() else f"{code}.0"


def note(node: Node) -> str:
    """Where a line comes from: file, line and the text of that line."""
    if node.span is None:
        return ""
    line = node.span.line
    text = comment(node.span.source.line(line).partition("#")[0])
    return f"{line}: {text}"
