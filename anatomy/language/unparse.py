"""A diagram as text: what is printed parses, checks, and is isomorphic to what was given."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from anatomy.ir.graph import REAL, Diagram, Kind, Node, Output, Port, Renames, Weight
from anatomy.ir.loop import boxes
from anatomy.ir.op import Op
from anatomy.language.axes import Axes
from anatomy.language.layout import OUT, Layout, Path, identity, layout, moved, without
from anatomy.language.loop_text import loop_lines
from anatomy.language.naming import Names, signed, tail
from anatomy.ops import Both, Compare, Hole, Iota, Literal, Mask, Noise, Not
from anatomy.ops.normalise import EPS, Normalise

WIDTH = 110

OR, AND, NOT, COMPARE, SUM, PRODUCT, UNARY, POWER, ATOM = range(9)
INFIX: dict[str, tuple[int, int, int]] = {
    "or": (OR, OR, AND), "and": (AND, AND, NOT), "+": (SUM, SUM, PRODUCT), "-": (SUM, SUM, PRODUCT),
    "*": (PRODUCT, PRODUCT, UNARY), "/": (PRODUCT, PRODUCT, UNARY), "^": (POWER, ATOM, UNARY),
}  # fmt: skip
"""The level of an operator and what its left and right operands must bind at least."""


def unparse(diagram: Diagram) -> str:
    """The text of a diagram, with the axes it needs, to be parsed alone.

    Calls stay unfolded, boxes that reach no output are left out, dotted names become plain ones. A literal
    that is negative or no decimal (only rewriting makes such) is printed as a `-` or a `/` of literals, and
    two fan-in axes without fan-out, which no text can declare, are printed as one of each.

    >>> from anatomy.ir.builder import Builder
    >>> from anatomy.ir.graph import Output
    >>> from anatomy.ops import Softmax
    >>> b = Builder(); x = b.input("x", ["n", "m"]); (y,) = b.add(Softmax(), ["m"], [x])
    >>> print(unparse(b.finish("rows", [Output(y.port, ("n", "m"))])))
    axis n, m
    <BLANKLINE>
    diagram rows(x: [n, m]) -> [n, m] {
      out softmax[m](x)
    }
    <BLANKLINE>
    """
    return Text(diagram).text()


class Text:
    def __init__(self, diagram: Diagram):
        self.diagram = diagram
        self.layout: Layout = layout(diagram)
        live = [diagram.nodes[i] for i in self.layout.nodes]
        self.holes = dict(reversed([(n.op.hole, n) for n in reversed(list(boxes(diagram, live))) if n.op.hole]))
        self.names = Names(self.holes)
        self.title = self.names.new(diagram.name)
        self.axes = Axes(diagram, self.layout, self.names)
        self.axis = self.axes.axis
        self.lanes: set[str] = set()
        """Those around the whole text: it is inside of a loop."""
        self.wires = {i.wire: self.names.new(i.name) for i in diagram.inputs}
        self.declared: set[int] = set()
        self.views: dict[tuple[int, Renames], str] = {}
        learned = {lin.weight.wire: lin.weight for lin in self.layout.lins.values()}
        self.learners = {wire: self.named(weight) for wire, weight in learned.items()}
        in_lins = {w.wire for lin in self.layout.lins.values() for w in (lin.weight, lin.bias) if w}
        self.plain = [w for w in diagram.weights if w.wire not in in_lins and self.layout.readers(w.wire)]
        self.wires |= {w.wire: self.named(w) for w in self.plain}
        self.noises = [n for n in live if isinstance(n.op, Noise)]
        self.wires |= {n.outs[0]: self.names.new(diagram.wires[n.outs[0]].name or "noise_1") for n in self.noises}

    def named(self, weight: Weight) -> str:
        parts = 2 if weight.key.endswith(".bias") else 1
        return self.names.new(tail(weight.key, parts), weight.key)

    def list(self, axes: tuple[str, ...]) -> str:
        return ", ".join(map(self.axis, axes))

    def type(self, kind: Kind, axes: tuple[str, ...]) -> str:
        word = "" if kind == REAL else f"index({self.axis(kind.axis)})" if kind.name == "index" else kind.name
        return f"{word}[{self.list(axes)}]"

    # the text ---------------------------------------------------------------------------------

    def text(self) -> str:
        diagram = self.diagram
        head = [self.weight(w) for w in self.plain] + [self.noise(n) for n in self.noises] + [self.hole(h, node) for h, node in self.holes.items()]
        lines: list[tuple[Path, str]] = [line for wire in list(self.wires) for line in self.renamings(wire, ())]
        for i in self.layout.roots:
            node = diagram.nodes[i]
            readers = self.layout.readers(node.outs[0])
            if not (isinstance(node.op, Literal) and all(k != OUT and diagram.nodes[k].op.body is not None for k, _ in readers)):
                lines += self.statement(i)
        results = ", ".join(self.operand(o.port, OR)[0] for o in diagram.outputs)
        lines.append((self.layout.path[OUT], f"out {results}"))
        where, licences, helpers, uses = self.axes.equations()
        known = dict.fromkeys(self.axes.names())
        declared = ", ".join(f"{a} = {licences[a]}" if a in licences else a for a in known)
        inputs = ", ".join(f"{self.wires[i.wire]}: {self.type(diagram.wires[i.wire].kind, i.layout)}" for i in diagram.inputs)
        outputs = ", ".join(self.type(self.given(o), o.layout) for o in diagram.outputs)
        clause = f" where {', '.join(where)}" if where else ""
        text = [f"axis {declared}\n"] if declared else []
        text += helpers
        text.append(f"diagram {self.title}({inputs}) -> {outputs}{clause} {{")
        text += [f"  {line}" for line in head + uses]
        text += _boxed([(tuple(self.list(axes) for axes in path), line) for path, line in lines], "  ")
        return "\n".join([*text, "}", ""])

    def given(self, output: Output) -> Kind:
        kind = self.diagram.wires[output.port.wire].kind
        return REAL if kind.name == "index" and output.kind.name != "index" else kind

    def weight(self, weight: Weight) -> str:
        lanes = f"{self.list(weight.lanes)}; " if weight.lanes else ""
        left, right = self.list(weight.fan_in), self.list(weight.fan_out)
        arrow = weight.fan_out and (weight.fan_in or not weight.lanes)
        axes = f"{left} -> {right}".strip() if arrow else left or right
        frozen = "frozen " if weight.frozen else ""
        return f"{frozen}weight {self.wires[weight.wire]}: [{lanes}{axes}] ~ {self.init(weight)}"

    def init(self, weight: Weight) -> str:
        return _drawn(weight.init.name, weight.init.args)

    def noise(self, node: Node) -> str:
        assert isinstance(node.op, Noise)
        return f"noise {self.wires[node.outs[0]]}: [{self.list(node.own)}] ~ {_drawn(node.op.law, node.op.args)}"

    def child(self, body: Diagram, given: dict[int, str], lanes: set[str]) -> Text:
        """What prints the body of a loop: under the same names, with operands that are bound already."""
        child = object.__new__(Text)
        child.diagram, child.layout = body, layout(body)
        child.holes, child.names, child.axes, child.axis = self.holes, self.names, self.axes, self.axis
        child.lanes = lanes
        child.wires, child.views, child.declared, child.learners = given, {}, set(), {}
        return child

    def hole(self, label: str, node: Node) -> str:
        op = node.op
        assert isinstance(op, Hole)

        def types(axes: tuple[tuple[int, ...], ...], kinds: tuple[Kind, ...]) -> list[str]:
            return [self.type(k, tuple(node.own[p] for p in places)) for places, k in zip(axes, kinds, strict=True)]

        names = Names(self.axes.names())
        words = op.words or tuple(f"x{k + 1}" for k in range(len(op.takes_axes)))
        params = ", ".join(f"{names.new(word)}: {t}" for word, t in zip(words, types(op.takes_axes, op.takes_kinds), strict=True))
        return f"hole {label}({params}) -> {', '.join(types(op.gives_axes, op.gives_kinds))}"

    def statement(self, i: int) -> Iterator[tuple[Path, str]]:
        node, path = self.diagram.nodes[i], self.layout.path[i]
        if node.op.body is not None:
            yield from loop_lines(self, i)
            return
        text, level = self.box(i, OR)
        wire = node.outs[0]
        views = self.layout.views.get(wire, [])
        ports = [self.port(wire, k, p) for k, p in self.layout.readers(wire)]
        if len(node.outs) == 1 and views and all(moved(p) == views[0] for p in ports):
            if without(path, {a for pair in views[0] for a in pair}) == path:
                # Every reader wants the renamed wire: name that.
                name = self.names.new(self.diagram.wires[wire].name or f"t{i}")
                self.views[wire, views[0]] = name
                yield path, f"{name} = {self.bracketed(text, level, views[0])}"
                return
        names = []
        for k, out in enumerate(node.outs):
            unused = not self.layout.readers(out)
            wanted = self.diagram.wires[out].name or f"t{i}" + (f"_{k}" if k else "")
            names.append(self.names.new(f"_{wanted}" if unused and wanted[0] != "_" else wanted))
            self.wires[out] = names[-1]
        yield path, f"{', '.join(names)} = {text}"
        for out in node.outs:
            yield from self.renamings(out, path)

    def port(self, wire: int, k: int, p: int) -> Port:
        return self.diagram.outputs[p].port if k == OUT else self.diagram.nodes[k].ports[p]

    def renamings(self, wire: int, path: Path) -> Iterator[tuple[Path, str]]:
        """Renamings that touch a lane where they are read, bound outside."""
        for table in self.layout.views.get(wire, ()):
            name = self.names.new(f"{self.wires[wire]}_{self.axis(table[0][1])}")
            self.views[wire, table] = name
            yield without(path, {a for pair in table for a in pair}), f"{name} = {self.bracketed(self.wires[wire], ATOM, table)}"

    # expressions ------------------------------------------------------------------------------

    def operand(self, port: Port, least: int, positions: bool = False) -> tuple[str, int]:
        table = moved(port)
        if (port.wire, table) in self.views:
            return self.views[port.wire, table], ATOM
        text, level = self.value(port.wire, positions)
        if table:
            text, level = self.bracketed(text, level, table), ATOM
        return (text, level) if level >= least else (f"({text})", ATOM)

    def bracketed(self, text: str, level: int, table: Renames) -> str:
        """`x[n -> m]`."""
        names = ", ".join(f"{self.axis(a)} -> {self.axis(b)}" for a, b in table)
        return f"{text}[{names}]" if level == ATOM else f"({text})[{names}]"

    def value(self, wire: int, positions: bool) -> tuple[str, int]:
        if wire in self.wires:
            return self.wires[wire], ATOM
        return self.box(self.diagram.producer[wire][0], OR, positions)

    def box(self, i: int, least: int, positions: bool = False) -> tuple[str, int]:
        """The expression of a box and how tightly it binds."""
        node = self.diagram.nodes[i]
        op, word = node.op, node.op.word
        if i in self.layout.lins:
            return self.lin(i), ATOM
        if isinstance(op, Literal):
            text = signed(op.value)
            return text, UNARY if op.value < 0 else PRODUCT if "/" in text else ATOM
        if isinstance(op, Iota) and positions:
            return self.axis(node.own[0]), ATOM
        if isinstance(op, Compare):
            left, right = (self.operand(p, SUM, True)[0] for p in node.ports)
            return f"{left} {word} {right}", COMPARE
        if isinstance(op, Not):
            return f"not {self.operand(node.ports[0], NOT, True)[0]}", NOT
        if word in INFIX:
            level, a, b = INFIX[word]
            inner = positions or isinstance(op, Both)
            left, right = self.operand(node.ports[0], a, inner)[0], self.operand(node.ports[1], b, inner)[0]
            return f"{left} {word} {right}", level
        if word == "neg":
            return f"-{self.operand(node.ports[0], UNARY, positions)[0]}", UNARY
        if isinstance(op, Mask) and self.plainly_causal(node.ports[0]):
            predicate = self.operand(node.ports[0], OR, True)[0]
            return f"causal[{predicate}]({self.operand(node.ports[1], OR)[0]})", ATOM
        args = ", ".join(self.operand(p, OR)[0] for p in node.ports)
        args += "".join(f", {name}{'=' * bool(name)}{signed(Fraction(value))}" for name, value in op.written)
        return f"{word}{self.bracket(op, node.own)}" + (f"({args})" if node.ports else ""), ATOM

    def bracket(self, op: Op, own: tuple[str, ...]) -> str:
        if isinstance(op, Hole):
            formal = self.holes[op.label].own
            bound = ", ".join(f"{self.axis(f)}={self.axis(a)}" for f, a in zip(formal, own, strict=True) if f != a)
            return f"[{bound}]" if bound else ""
        match op.form:
            case "arrow":
                cut = op.parts[0] if hasattr(op, "parts") and op.parts[0] == 1 else len(own) - 1  # type: ignore[attr-defined]
                given = "".join(f", {name}={signed(Fraction(getattr(op, name)))}" for name in op.options if name not in op.flags and getattr(op, name) != 1)
                given += "".join(f", {flag}=true" for flag in sorted(op.flags) if getattr(op, flag))
                return f"[{self.list(own[:cut])} -> {self.list(own[cut:])}{given}]"
            case "axes":
                eps = ""
                if isinstance(op, Normalise) and op.eps != EPS[op.which]:
                    eps = f", eps={signed(op.eps)}"
                eps += "".join(f", {flag}=true" for flag in sorted(op.flags) if getattr(op, flag))
                return f"[{self.list(own)}{eps}]"
            case _:
                return ""

    def plainly_causal(self, port: Port) -> bool:
        """A mask `m <= n` of positions, written where it is used."""
        made = self.diagram.producer.get(port.wire)
        if made is None or not identity(port) or port.wire in self.wires:
            return False
        node = self.diagram.nodes[made[0]]
        if not isinstance(node.op, Compare) or node.op.sign not in ("<", "<="):
            return False

        def position(p: Port) -> bool:
            source = self.diagram.producer.get(p.wire)
            bare = source is not None and isinstance(self.diagram.nodes[source[0]].op, Iota)
            return bare and p.wire not in self.wires and identity(p)

        return all(map(position, node.ports)) and node.ports[0].axes != node.ports[1].axes

    def lin(self, i: int) -> str:
        lin = self.layout.lins[i]
        weight, name = lin.weight, self.learners[lin.weight.wire]
        axes = init = ""
        if weight.wire not in self.declared:
            self.declared.add(weight.wire)
            lanes = f"{self.list(weight.lanes)}; " if weight.lanes else ""
            bias = "" if lin.bias else ", bias=false"
            axes = f"[{lanes}{self.list(weight.fan_in)} -> {self.list(weight.fan_out)}{bias}]"
            if str(weight.init) != "xavier":
                init = f" ~ {self.init(weight)} "
        return f"lin {name}{axes}{init}({self.operand(lin.x, OR)[0]})"


def _drawn(name: str, args: tuple[float, ...]) -> str:
    """`normal(0.02)`."""
    given = ", ".join(signed(Fraction(repr(a))) for a in args)
    return name + (f"({given})" if given else "")


def _boxed(lines: list[tuple[tuple[str, ...], str]], indent: str) -> list[str]:
    """Lines in their SIMD boxes; neighbours in one box share it."""
    text: list[str] = []
    k = 0
    while k < len(lines):
        path, line = lines[k]
        if not path:
            text.append(indent + line)
            k += 1
            continue
        end = k
        while end < len(lines) and lines[end][0][:1] == path[:1]:
            end += 1
        inner = _boxed([(p[1:], t) for p, t in lines[k:end]], indent + "  ")
        if len(inner) == 1 and len(inner[0]) < WIDTH:
            text.append(f"{indent}simd {path[0]} {{ {inner[0].strip()} }}")
        else:
            text += [f"{indent}simd {path[0]} {{", *inner, f"{indent}}}"]
        k = end
    return text
