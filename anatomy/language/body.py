"""The body of one diagram: statements and expressions become typed nodes, with several errors per run.

A wire that could not be typed is `None`; whatever depends on it is skipped in silence, so errors do not cascade.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from anatomy.errors import AnatomyError, Diagnostic, Edit, Label, Span
from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import MASK, REAL, Diagram, Equation, Frame, Init, Kind, Output
from anatomy.ir.op import Op, Problem
from anatomy.ir.poly import MAX_SIZE, Poly
from anatomy.language import syntax as s
from anatomy.language.predicates import causal_pair
from anatomy.language.scope import LATER_WORDS, RESERVED, Module, suggestion
from anatomy.ops import WORDS, Contract, Expand, Iota, Literal, find
from anatomy.ops.add import Add

if TYPE_CHECKING:
    from anatomy.language.program import Program

INITS: dict[str, tuple[int, int]] = {
    "xavier": (0, 0), "xavier_normal": (0, 0), "kaiming": (0, 0), "kaiming_normal": (0, 0), "lecun": (0, 0),
    "normal": (1, 1), "uniform": (1, 2), "constant": (1, 1), "zeros": (0, 0), "ones": (0, 0),
}  # fmt: skip
"""Initialisers with the number of their arguments; those in the first row read fan-in and fan-out."""
FAN_BASED = frozenset({"xavier", "xavier_normal", "kaiming", "kaiming_normal", "lecun"})
MAX_FOUND = 100
"""Checking stops after so many errors."""


def shown(value: int) -> str:
    """A number in a message; a long one by its order of magnitude."""
    text = str(value)
    return text if len(text) <= 24 else f"{text[:6]}… ({len(text.lstrip('-'))} digits)"


class Refused(Exception):
    """Typing stopped here; a diagnostic has been written."""


@dataclass
class Bound:
    """What a name of the body stands for."""

    view: View | None
    name: s.Node
    used: bool = False


@dataclass
class Learner:
    """A declared `lin`: its weights and axes, to be applied again by name."""

    weight: View
    bias: View | None
    left: tuple[str, ...]
    right: tuple[str, ...]


@dataclass
class Body:
    """Elaborates one diagram."""

    program: Program
    module: Module
    builder: Builder = field(default_factory=Builder)
    bound: dict[str, Bound] = field(default_factory=dict)
    learners: dict[str, Learner] = field(default_factory=dict)
    holes: dict[str, s.HoleDecl] = field(default_factory=dict)
    keys: dict[str, s.Node] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    lanes: dict[str, s.Node] = field(default_factory=dict)
    frame: tuple[Frame, ...] = ()
    header: dict[str, None] = field(default_factory=dict)
    definitions: list[Equation] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    finished: bool = False
    poisoned: bool = False
    """It calls a diagram that has errors: what it does is not known, and is not reported."""
    outputs: list[Output] = field(default_factory=list)

    # diagnostics ------------------------------------------------------------------------------

    def span(self, at: s.Node) -> Span:
        return self.module.span(at)

    def error(self, code: str, message: str, at: s.Node, **more: object) -> Refused:
        self.diagnostics.append(Diagnostic(code, message, self.span(at), **more))  # type: ignore[arg-type]
        return Refused()

    def placed(self, error: Exception, at: s.Node) -> None:
        """A refusal from below, which knows no place, is reported here."""
        if isinstance(error, AnatomyError):
            self.diagnostics.extend(d if d.span else replace(d, span=self.span(at)) for d in error.diagnostics)

    def made(self, view: View) -> tuple[Label, ...]:
        """Where a wire was made."""
        span = self.builder.wires[view.wire].span
        name = self.builder.wires[view.wire].name
        return (Label(span, f"`{name}` made here" if name else "made here"),) if span else ()

    @property
    def full(self) -> bool:
        return len(self.diagnostics) >= MAX_FOUND and sum(d.severity == "error" for d in self.diagnostics) >= MAX_FOUND

    # axes and sizes ---------------------------------------------------------------------------

    def axis(self, name: s.Name, may_be_lane: bool = False) -> str:
        """A declared axis; the wall check happens here, at every mention (ruling 5)."""
        word = name.text
        if word not in self.module.axes:
            near = suggestion(word, self.module.axes)
            if word in self.bound:
                raise self.error("E201", f"`{word}` is a wire, not an axis", name)
            fix = (Edit(self.span(name), near),) if near else ()
            help = f"did you mean `{near}`?" if near else f"declare it at the top of the file: `axis {word}`"
            raise self.error("E201", f"axis `{word}` is not declared", name, help=help, edits=fix)
        if word in self.lanes and not may_be_lane:
            raise self.error(
                "E303", f"axis `{word}` is a lane here: a box inside `simd {word}` cannot name it", name,
                label="reads across the lanes of its own SIMD box",
                secondary=(Label(self.span(self.lanes[word]), f"`{word}` becomes a lane here"),),
                help=f"close the box `simd {word}` before this statement, or work on another axis",
            )  # fmt: skip
        self.builder.axis(word)
        return word

    def poly(self, size: s.Size) -> Poly:
        match size:
            case s.SizeInt(value=value):
                return Poly.of(value)
            case s.SizeName(name=name):
                return Poly.var(self.axis(name, may_be_lane=True))
            case s.SizeOp(op=op, left=left, right=right):
                a, b = self.poly(left), self.poly(right)
                return a + b if op == "+" else a - b if op == "-" else a * b

    def define(self, equation: s.Equation) -> None:
        """An equation of the header: it defines one axis that no other defines (ruling 4)."""
        left, right = self.poly(equation.left), self.poly(equation.right)
        sizes = self.builder.sizes
        for axis, value in ((left.as_variable(), right), (right.as_variable(), left)):
            if axis is None:
                continue
            constant = sizes.norm(value).constant()
            if constant is not None and not 1 <= constant <= MAX_SIZE:
                raise self.error("E405", f"the size of `{axis}` would be {shown(constant)}; sizes are from 1 to 2^40", equation)
            if sizes.define(axis, value):
                self.definitions.append(Equation(Poly.var(axis), value, self.span(equation)))
                return
        if not sizes.equal(left, right):
            message = f"`{self.span(equation).text}` defines no new axis"
            variable = left.as_variable() or right.as_variable()
            if variable and variable in (sizes.norm(left) - sizes.norm(right)).variables():
                message = f"`{self.span(equation).text}` does not hold for every size, and defines no new axis"
            raise self.error("E404", message, equation, help="write each equation as `axis = polynomial of other axes`")

    def prove(self, left: Poly, right: Poly) -> bool:
        """Equality modulo the equations, and modulo those that `axis m = n` licenses (ruling 3)."""
        sizes = self.builder.sizes
        if sizes.equal(left, right):
            return True
        tried: list[tuple[str, Poly, s.AxisItem]] = []
        trial = sizes.copy()
        while True:
            for name in sorted((trial.norm(left) - trial.norm(right)).variables()):
                item = self.module.axes.get(name)
                if item is not None and item.size is not None and name not in trial.definitions:
                    value = self.poly(item.size)
                    if trial.define(name, value):
                        tried.append((name, value, item))
                        break
            else:
                return False
            if trial.equal(left, right):
                self.builder.sizes = trial
                for name, value, item in tried:
                    self.definitions.append(Equation(Poly.var(name), value, self.span(item)))
                return True

    # names ------------------------------------------------------------------------------------

    def bind(self, name: s.Name, view: View | None) -> None:
        word = name.text
        if word in self.bound:
            self.error(
                "E204", f"`{word}` is bound twice", name, label="again here",
                secondary=(Label(self.span(self.bound[word].name), "first bound here"),),
                help="a name is bound once in a diagram, also across SIMD boxes",
            )  # fmt: skip
            return
        if word in self.module.axes:
            self.error(
                "E204", f"`{word}` is an axis; axes and wires share one namespace", name,
                secondary=(Label(self.span(self.module.axes[word].name), "declared as an axis here"),),
            )  # fmt: skip
        elif word in RESERVED:
            self.error("E205", f"`{word}` is a word of the language", name)
        if view is not None:
            wire = self.builder.wires[view.wire]
            if not wire.name:
                self.builder.wires[view.wire] = replace(wire, name=word, span=self.span(name))
        self.bound[word] = Bound(view, name)

    def use(self, name: s.QName) -> View | None:
        if len(name.parts) > 1:
            if name.parts[-1].text == "last":
                raise self.error("E106", "`.last` is the final state of a `scan`, which waits for a later version", name)
            raise self.error("E202", f"there is no wire `{name.text}`", name)
        word = name.text
        if word in self.bound:
            self.bound[word].used = True
            return self.bound[word].view
        if word in self.module.axes:
            raise self.error(
                "E202", f"`{word}` is an axis, not a wire", name,
                help=f"its size is `size[{word}]`, its positions are `iota[{word}]`",
            )  # fmt: skip
        if word in self.learners or word in self.holes or self.module.find(name):
            raise self.error("E202", f"`{word}` is not a wire", name, help=f"apply it: `{word}(...)`")
        near = suggestion(word, self.bound)
        fix = (Edit(self.span(name), near),) if near else ()
        raise self.error(
            "E202", f"there is no wire `{word}`", name, edits=fix,
            help=f"did you mean `{near}`?" if near else "a wire is bound before it is used: `name = ...`",
        )  # fmt: skip

    def key(self, name: s.Name) -> str:
        """A weight's name, once per diagram (ruling 9)."""
        if name.text in self.keys:
            raise self.error(
                "E204", f"weight `{name.text}` is declared twice", name, label="again here",
                secondary=(Label(self.span(self.keys[name.text]), "first declared here"),),
                help=f"apply the same learner again without axes: `lin {name.text}(...)`",
            )  # fmt: skip
        self.keys[name.text] = name
        return name.text

    def path(self, call: s.Call, name: str) -> str:
        """The label of a call site: its name, `name_2` for the next, or the one that the text gives."""
        if call.label is not None:
            label = call.label.text
            if label in self.keys or label in self.labels:
                raise self.error("E204", f"the label `{label}` is taken", call.label)
            self.labels[label] = 1
            return label
        count = self.labels.get(name, 0)
        while True:
            count += 1
            label = name if count == 1 else f"{name}_{count}"
            if label not in self.keys and (label == name or label not in self.labels):
                break
        self.labels[name] = count
        if label != name:
            self.labels[label] = 1
        return label

    # statements -------------------------------------------------------------------------------

    def statements(self, body: Sequence[s.Statement]) -> None:
        for statement in body:
            if self.full:
                return
            if self.finished:
                self.error("E504", "nothing may follow `out`", statement)
                return
            try:
                self.statement(statement)
            except (Refused, AnatomyError) as error:
                self.placed(error, statement)
                match statement:
                    case s.Assign(names=names):
                        for name in names:
                            if name.text not in self.bound:
                                self.bound[name.text] = Bound(None, name, used=True)
                    case s.WeightDecl(name=name):
                        self.bound.setdefault(name.text, Bound(None, name, used=True))
                    case s.Out():
                        self.finished = True
                    case _:
                        pass

    def statement(self, statement: s.Statement) -> None:
        match statement:
            case s.Assign(names=names, value=value):
                self.assign(statement, names, value)
            case s.WeightDecl():
                self.weight(statement)
            case s.Simd(axes=axes, body=body):
                with self.inside(axes):
                    self.statements(body)
            case s.HoleDecl(name=name, signature=signature):
                if name.text in self.holes or name.text in WORDS:
                    raise self.error("E204", f"`{name.text}` is taken", name)
                self.holes[name.text] = statement
                for axis in (a for p in signature.params for a in p.type.axes):
                    self.axis(axis)
                for axis in (a for t in signature.results for a in t.axes):
                    self.axis(axis)
            case s.Tie(names=names):
                self.tie(statement, names)
            case s.Out(values=values):
                self.out(statement, values)
            case s.Later(word=word):
                raise self.error("E106", f"`{word}` waits for a later version", statement)

    def assign(self, statement: s.Assign, names: tuple[s.Name, ...], value: s.Expr) -> None:
        views = self.values(value, tuple(n.text for n in names))
        if len(views) != len(names):
            for name in names:
                self.bind(name, None)
            raise self.error(
                "E301", f"{len(names)} names for {len(views)} result{'s' if len(views) != 1 else ''}", statement
            )
        for name, view in zip(names, views, strict=True):
            self.bind(name, view)

    @contextmanager
    def inside(self, axes: Sequence[s.Name]) -> Iterator[None]:
        opened: list[str] = []
        outer = self.frame
        for name in axes:
            try:
                opened.append(self.axis(name))
            except Refused:
                continue
            self.lanes[name.text] = name
        if opened:
            self.frame = (*outer, self.builder.frame("simd", ", ".join(opened)))
        try:
            yield
        finally:
            self.frame = outer
            for word in opened:
                del self.lanes[word]

    def initialiser(self, init: s.Init | None, default: str) -> Init:
        if init is None:
            return Init(default)
        word = init.name.text
        if word not in INITS:
            near = suggestion(word, INITS)
            help = f"did you mean `{near}`?" if near else f"there are: {', '.join(INITS)}"
            raise self.error("E208", f"there is no initialiser `{word}`", init.name, help=help)
        args = tuple(float(self.number(a)) for a in init.args or ())
        least, most = INITS[word]
        if not least <= len(args) <= most:
            raise self.error("E208", f"`{word}` takes {least if least == most else f'{least} or {most}'} numbers", init)
        return Init(word, args)

    def number(self, e: s.Expr) -> Fraction:
        match e:
            case s.Number():
                return e.value
            case s.Unary(op="-", operand=s.Number() as inner):
                return -inner.value
            case _:
                raise self.error("E209", "a number is needed here", e)

    def sides(self, bracket: s.Bracket, options: tuple[str, ...] = ()) -> tuple[list[list[s.Name]], dict[str, s.Expr]]:
        """`[h; d -> e, bias=false]` as lists of names separated by `;` and `->`, and its options."""
        groups: list[list[s.Name]] = [[]]
        given: dict[str, s.Expr] = {}
        marks = iter(bracket.marks[1:] if bracket.leading else bracket.marks)
        if bracket.leading:
            groups.append([])
        for k, entry in enumerate(bracket.entries):
            if k and next(marks) != ",":
                groups.append([])
            match entry:
                case s.Option(name=name, value=value):
                    if name.text not in options:
                        near = suggestion(name.text, options)
                        raise self.error(
                            "E209", f"there is no option `{name.text}` here", name, help=f"did you mean `{near}`?" if near else ""
                        )
                    given[name.text] = value
                case s.Ref(name=s.QName(parts=(only,))):
                    groups[-1].append(only)
                case _:
                    raise self.error("E209", "an axis is needed here", entry)
        return groups, given

    def weight(self, statement: s.WeightDecl) -> None:
        groups, _ = self.sides(statement.bracket)
        arrow = "->" in statement.bracket.marks
        lanes: list[s.Name] = groups.pop(0) if ";" in statement.bracket.marks else []
        left = [self.axis(a) for a in groups[0]]
        right = [self.axis(a) for a in groups[1]] if arrow else []
        if not arrow and len(left) == 2:
            left, right = left[:1], left[1:]
        init = self.initialiser(statement.init, "xavier")
        if init.name in FAN_BASED and not arrow and len(left) > 2:
            raise self.error(
                "E208", f"`{init.name}` needs fan-in and fan-out, and {len(left)} axes do not tell which are which", statement.bracket,
                help="write them with an arrow, `[d -> h, e]`, or take `normal(0.02)`",
            )  # fmt: skip
        self._distinct([*lanes, *(n for g in groups for n in g)])
        name = self.key(statement.name)
        view = self.builder.weight(
            name, [self.axis(a) for a in lanes], left, right, init, statement.frozen, self.span(statement)
        )
        self.bind(statement.name, view)

    def _distinct(self, names: Sequence[s.Name]) -> None:
        seen: set[str] = set()
        for name in names:
            if name.text in seen:
                raise self.error(
                    "E309", f"axis `{name.text}` stands twice on one weight", name,
                    help=f"two axes of one name never meet: give one another name, and rename, `lin W[{name.text} -> c](x)[c -> {name.text}]`",
                )  # fmt: skip
            seen.add(name.text)

    def tie(self, statement: s.Tie, names: tuple[s.QName, ...]) -> None:

        found = []
        for name in names:
            index = next((i for i, w in enumerate(self.builder.weights) if name.text in w.keys), None)
            if index is None:
                near = suggestion(name.text, [k for w in self.builder.weights for k in w.keys])
                raise self.error("E202", f"there is no weight `{name.text}`", name, help=f"did you mean `{near}`?" if near else "")
            found.append(index)
        first = self.builder.weights[found[0]]
        for name, index in zip(names[1:], found[1:], strict=True):
            other = self.builder.weights[index]
            if index == found[0]:
                continue
            same = len(first.layout) == len(other.layout) and all(
                self.prove(self.builder.axis(a), self.builder.axis(b))
                for a, b in zip(first.layout, other.layout, strict=True)
            )
            if not same or (len(first.lanes), len(first.fan_in)) != (len(other.lanes), len(other.fan_in)):
                types = [f"[{', '.join(w.lanes)}{'; ' * bool(w.lanes)}{', '.join(w.fan_in)} -> {', '.join(w.fan_out)}]" for w in (first, other)]
                raise self.error(
                    "E310", f"`{names[0].text}` and `{name.text}` cannot be tied: {types[0]} and {types[1]}", name,
                    help="tied weights have the same roles and provably equal sizes; sizes are equated by `where`, or by `axis e = d`",
                )  # fmt: skip
            table = dict(zip(other.layout, first.layout, strict=True))
            self._redirect(other.wire, first.wire, {v: k for k, v in table.items()})
            first = replace(first, keys=(*first.keys, *other.keys))
            self.builder.weights[found[0]] = first
        dropped = {i for i in found[1:] if i != found[0]}
        self.builder.weights[:] = [w for i, w in enumerate(self.builder.weights) if i not in dropped]

    def _redirect(self, old: int, new: int, to_old: dict[str, str]) -> None:
        """Every port on the old weight's wire reads the new one, under the old axis names."""

        from anatomy.ir.graph import Port

        def turn(port: Port) -> Port:
            if port.wire != old:
                return port
            inner = dict(port.renames)
            return Port(new, tuple((a, inner[to_old[a]]) for a in self.builder.wires[new].axes))

        nodes = self.builder.nodes
        nodes[:] = [replace(n, ports=tuple(map(turn, n.ports))) for n in nodes]
        for entry in self.bound.values():
            if entry.view is not None and entry.view.wire == old:
                port = turn(entry.view.port)
                entry.view = View(port.wire, port.renames)
        for learner in self.learners.values():
            for field_name in ("weight", "bias"):
                view = getattr(learner, field_name)
                if view is not None and view.wire == old:
                    port = turn(view.port)
                    setattr(learner, field_name, View(port.wire, port.renames))

    declared: tuple[tuple[tuple[str, ...], Kind, s.Type] | None, ...] = ()
    """The results of the header; None where one has an error."""
    _positions: set[int] = field(default_factory=set)
    _seen: int = 0

    def out(self, statement: s.Out, values: tuple[s.Expr, ...]) -> None:
        self.finished = True
        views = [v for value in values for v in self.values(value, ())]
        if len(views) != len(self.declared):
            raise self.error("E301", f"{len(views)} results where the header declares {len(self.declared)}", statement)
        for k, (view, declared) in enumerate(zip(views, self.declared, strict=True)):
            if view is None or declared is None:
                continue
            layout, kind, at = declared
            value = values[k] if len(values) == len(views) else values[0]
            missing = [a for a in layout if a in self.lanes and a not in view.axes]
            if missing:
                (view,) = self.add(Expand(), missing, [view], value)
            have, want = set(view.axes), set(layout)
            if have != want:
                extra, lacking = sorted(have - want), sorted(want - have)
                parts = [f"has `{a}` too" for a in extra] + [f"lacks `{a}`" for a in lacking]
                help = ""
                if lacking and not extra:
                    help = f"repeat it: `expand[{', '.join(lacking)}](...)`"
                elif len(extra) == len(lacking) == 1:
                    help = f"if `{extra[0]}` is meant to be `{lacking[0]}`, rename it: `(...)[{extra[0]} -> {lacking[0]}]`"
                raise self.error(
                    "E308", f"the result is `[{', '.join(view.axes)}]` where the header says `[{', '.join(layout)}]`", value,
                    label="it " + " and ".join(parts), secondary=(Label(self.span(at), "declared here"),), help=help,
                )  # fmt: skip
            found = self.builder.kind(view)
            if found.name != kind.name and not (kind == REAL and found.name == "index"):
                raise self.error("E307", f"the result is a {found} where the header says {kind}", value)
            self.outputs.append(Output(view.port, layout, self.span(value)))

    # expressions ------------------------------------------------------------------------------

    def add(
        self, op: Op, own: Sequence[str], views: Sequence[View], at: s.Node,
        operands: Sequence[s.Node] = (), names: Sequence[str] = (), frame: tuple[Frame, ...] | None = None,
    ) -> tuple[View, ...]:  # fmt: skip
        """Add a node; a refusal becomes a diagnostic that says needed-here and made-there."""
        try:
            return self.builder.add(
                op, own, views, self.span(at), self.frame if frame is None else frame, names, self.prove
            )
        except Problem as problem:
            place: s.Node = at
            secondary: tuple[Label, ...] = ()
            help = problem.help
            label = ""
            if problem.port is not None and problem.port < len(operands):
                place = operands[problem.port]
                view = views[problem.port]
                lanes = self.lanes
                axes = sorted(a for a in view.axes if a not in lanes)
                label = f"this wire has [{', '.join(axes)}]"
                secondary = self.made(view)
                if problem.axis and problem.axis not in view.axes and not help:
                    near = suggestion(problem.axis, axes)
                    help = f"did you mean `{near}`?" if near else ""
            raise self.error(problem.code, problem.message, place, label=label, secondary=secondary, help=help) from None

    def value(self, e: s.Expr, positions: bool = False) -> View | None:
        views = self.values(e, (), positions)
        if len(views) != 1:
            raise self.error("E301", f"{len(views)} results where one wire is needed", e)
        return views[0]

    def values(self, e: s.Expr, names: tuple[str, ...], positions: bool = False) -> list[View | None]:
        match e:
            case s.Ref(name=name):
                if positions and len(name.parts) == 1 and name.text in self.module.axes and name.text not in self.bound:
                    axis = self.axis(name.parts[0], may_be_lane=True)
                    return list(self.add(Iota(), (axis,), (), e))
                return [self.use(name)]
            case s.Number():
                return list(self.add(Literal(e.value), (), (), e))
            case s.Unary(op="-", operand=operand):
                return self.apply("neg", e, [operand], names, positions)
            case s.Unary(op=word, operand=operand):
                return self.apply(word, e, [operand], names, positions)
            case s.Binary(op=word, left=left, right=right):
                compare = word in ("<", "<=", ">", ">=", "==", "!=")
                pair = [right, left] if word in (">", ">=") else [left, right]
                word = {">": "<", ">=": "<="}.get(word, word)
                return self.apply(word, e, pair, names, positions or compare)
            case s.Rename(operand=s.Ref(name=name), bracket=bracket) if name.text in ("size", "iota"):
                return self.apply(name.text, e, (), names, positions, bracket)
            case s.Rename():
                return [self.rename(e, positions)]
            case s.Lin():
                return [self.lin(e, names)]
            case s.Table():
                raise self.error("E106", "`table` waits for a later version", e)
            case s.Call():
                return self.call(e, names, positions)

    def apply(
        self, word: str, e: s.Expr, args: Sequence[s.Expr], names: tuple[str, ...], positions: bool,
        bracket: s.Bracket | None = None,
    ) -> list[View | None]:  # fmt: skip
        """A box of the vocabulary."""
        kind = find(word, bracket is not None)
        assert kind is not None
        own: list[str] = []
        options: dict[str, object] = {}
        if bracket is not None:
            if kind.form == "plain":
                raise self.error("E209", f"`{word}` takes no axes: it works entry by entry", bracket, help=f"write `{word}(...)`")
            groups, given = self.sides(bracket, kind.options)
            options = {k: self.number(v) for k, v in given.items()}
            arrow = kind.form == "arrow"
            if arrow != ("->" in bracket.marks):
                form = f"`{word}[a -> b](x)`" if arrow else f"`{word}[a](x)`"
                raise self.error("E209", f"`{word}` is written {form}", bracket)
            own = [self.axis(n, may_be_lane=word in ("iota", "size")) for group in groups for n in group]
            if not own or (arrow and not all(groups)):
                raise self.error("E209", f"`{word}` needs an axis in its brackets", bracket)
        elif kind.form != "plain":
            form = f"`{word}[a -> b](x)`" if kind.form == "arrow" else f"`{word}[a](x)`"
            raise self.error("E209", f"`{word}` is told the axes that it works on: {form}", e)
        given_args = list(args)
        for position, option in kind.static.items():
            if position < len(given_args):
                value = self.number(given_args[position])
                if value.denominator != 1:
                    raise self.error("E209", f"`{word}` needs an integer here", given_args[position])
                options[option] = value
        operands = [a for k, a in enumerate(given_args) if k not in kind.static]
        total, least, most = len(given_args), kind.arity[0] + len(kind.static), kind.arity[1]
        if total < least or (most is not None and total > most + len(kind.static)):
            want = f"{least}" if most is not None and least == most + len(kind.static) else f"{least} or more"
            lacking = total < least
            raise self.error(
                "E302" if lacking else "E301",
                f"`{word}` wants {want} operand{'s' if want != '1' else ''}, and {total} {'is' if total == 1 else 'are'} given", e,
                label="an operand is missing" if lacking else "",
            )  # fmt: skip
        views = self.operands(operands, positions or word in ("and", "or", "not"))
        if any(v is None for v in views):
            return [None] * len(kind().gives(tuple(own)))
        ready = [v for v in views if v is not None]
        self.lint_outer(word, e, ready, operands)
        return list(self.add(kind.make(word, options), own, ready, e, operands, names))  # type: ignore[arg-type]

    def operands(self, args: Sequence[s.Expr], positions: bool) -> list[View | None]:
        """All operands, so that errors in several are all reported."""
        views: list[View | None] = []
        for arg in args:
            try:
                views.append(self.value(arg, positions))
            except Refused:
                views.append(None)
        return views

    def lint_outer(self, word: str, e: s.Expr, views: Sequence[View], operands: Sequence[s.Expr]) -> None:
        """Ruling 14: two wires that each have an axis the other lacks, outside a SIMD box."""
        if word not in ("+", "-", "max", "min", "where", "<", "<=", "==", "!=") or self.program.quiet:
            return
        if word in ("<", "<=", "==", "!=") and all(self.builder.kind(v).name == "index" for v in views):
            return
        axes = [set(v.axes) - self.lanes.keys() for v in views if not self._positional(v)]
        for i in range(len(axes)):
            for j in range(i + 1, len(axes)):
                if axes[i] - axes[j] and axes[j] - axes[i]:
                    extra = sorted(axes[i] - axes[j]) + sorted(axes[j] - axes[i])
                    self.error(
                        "W301", f"`{word}` makes an outer sum over {', '.join(f'`{a}`' for a in extra)}", e,
                        label=f"[{', '.join(sorted(axes[i]))}] with [{', '.join(sorted(axes[j]))}]",
                        help=f"if it is meant, say so: `simd {', '.join(extra)} {{ ... }}`",
                    )  # fmt: skip
                    return

    def _positional(self, view: View) -> bool:
        """A wire made of positions and numbers only."""
        for node in self.builder.nodes[self._seen :]:
            if all(port.wire in self._positions for port in node.ports):
                self._positions.update(node.outs)
        self._seen = len(self.builder.nodes)
        return view.wire in self._positions

    def rename(self, e: s.Rename, positions: bool) -> View | None:
        view = self.value(e.operand, positions)
        table = self.arrows(e.bracket)
        if view is None:
            return None
        for old, new in table.items():
            if old.text not in view.axes:
                have = sorted(a for a in view.axes if a not in self.lanes)
                near = suggestion(old.text, have)
                raise self.error(
                    "E306", f"there is no axis `{old.text}` to rename", old, label=f"this wire has [{', '.join(have)}]",
                    secondary=self.made(view), help=f"did you mean `{near}`?" if near else "",
                )  # fmt: skip
            if not self.prove(self.builder.axis(old.text), self.builder.axis(new.text)):
                raise self.error(
                    "E401", f"`{old.text}` cannot become `{new.text}`: it is not proved that their sizes are equal", e.bracket,
                    help=f"if they are, declare it: `axis {new.text} = {old.text}`",
                )  # fmt: skip
        words = {old.text: new.text for old, new in table.items()}
        result = view.rename(words)
        if len(set(result.axes)) < len(result.axes):
            twice = next(a for a in result.axes if result.axes.count(a) > 1)
            raise self.error("E304", f"the wire already has an axis `{twice}`", e.bracket, secondary=self.made(view))
        return result

    def arrows(self, bracket: s.Bracket) -> dict[s.Name, s.Name]:
        """`[n -> m, m -> n]`: simultaneous renamings; lanes may not be touched."""
        names: list[s.Name] = []
        for entry in bracket.entries:
            match entry:
                case s.Ref(name=s.QName(parts=(only,))):
                    names.append(only)
                case _:
                    raise self.error("E209", "an axis is needed here", entry)
        if bracket.leading or list(bracket.marks) != ["->" if k % 2 == 0 else "," for k in range(len(bracket.marks))] or len(names) % 2:
            raise self.error("E209", "a renaming is written `x[n -> m]`, several as `x[n -> m, m -> n]`", bracket)
        for name in names:
            self.axis(name)
        pairs = list(zip(names[::2], names[1::2], strict=True))
        if len({old.text for old, _ in pairs}) < len(pairs):
            raise self.error("E309", "an axis is renamed twice", bracket)
        return dict(pairs)

    def lin(self, e: s.Lin, names: tuple[str, ...]) -> View | None:
        if len(e.args) != 1:
            raise self.error("E301" if e.args else "E302", f"`lin` wants 1 operand, and {len(e.args)} are given", e)
        word = e.name.text
        if e.bracket is None:
            if word not in self.learners:
                near = suggestion(word, self.learners)
                raise self.error(
                    "E202", f"there is no learner `{word}` to apply again", e.name,
                    help=f"did you mean `{near}`?" if near else f"declare it with its axes: `lin {word}[d -> e](x)`",
                )  # fmt: skip
            learner = self.learners[word]
            for axis in (*learner.left, *learner.right):
                if axis in self.lanes:
                    raise self.error("E303", f"`{word}` works on axis `{axis}`, which is a lane here", e.name)
        else:
            learner = self.declare(e, e.bracket)
        x = self.value(e.args[0])
        if x is None:
            return None
        for axis in learner.right:
            if axis in x.axes:
                raise self.error(
                    "E308", f"the result of `lin {word}` would hold axis `{axis}` twice", e.args[0],
                    label=f"this wire has [{', '.join(sorted(a for a in x.axes if a not in self.lanes))}]", secondary=self.made(x),
                    help=f"rename the operand's first, `x[{axis} -> ...]`, or write to another axis",
                )  # fmt: skip
        frame = (*self.frame, self.builder.frame("lin", word))
        (y,) = self.add(Contract(), learner.left, [x, learner.weight], e, e.args, () if learner.bias else names, frame)
        if learner.bias is not None:
            (y,) = self.add(Add(), (), [y, learner.bias], e, (), names, frame)
        return y

    def declare(self, e: s.Lin, bracket: s.Bracket) -> Learner:
        groups, given = self.sides(bracket, ("bias", "frozen"))
        if bracket.marks.count("->") != 1 or bracket.marks.count(";") > 1 or bracket.leading:
            raise self.error("E209", "a learner is written `lin W[in -> out](x)`, with lanes before `;`", bracket)
        lanes = groups.pop(0) if ";" in bracket.marks else []
        if not groups[0] or not groups[1]:
            raise self.error("E209", "`lin` needs an axis on each side of the arrow", bracket)
        for name in groups[0]:
            if any(name.text == other.text for other in groups[1]):
                raise self.error(
                    "E309", f"axis `{name.text}` stands on both sides of `lin {e.name.text}`", name,
                    help=f"write to another axis and rename: `lin {e.name.text}[{name.text} -> c](x)[c -> {name.text}]`",
                )  # fmt: skip
        self._distinct([*lanes, *groups[0], *groups[1]])
        flags = {k: self.flag(v) for k, v in given.items()}
        per_lane, left, right = ([self.axis(n) for n in g] for g in (lanes, *groups))
        init = self.initialiser(e.init, "xavier")
        key = self.key(e.name)
        frozen = flags.get("frozen", False)
        weight = self.builder.weight(key, per_lane, left, right, init, frozen, self.span(e))
        bias = None
        if flags.get("bias", True):
            bias = self.builder.weight(f"{key}.bias", per_lane, (), right, Init("zeros"), frozen, self.span(e))
        learner = self.learners[key] = Learner(weight, bias, tuple(left), tuple(right))
        return learner

    def flag(self, e: s.Expr) -> bool:
        match e:
            case s.Ref(name=name) if name.text in ("true", "false"):
                return name.text == "true"
            case _:
                raise self.error("E209", "`true` or `false` is needed here", e)

    def call(self, e: s.Call, names: tuple[str, ...], positions: bool) -> list[View | None]:
        from anatomy.language.calls import call_diagram, call_hole

        word = e.name.text
        if len(e.name.parts) == 1:
            if word in self.holes:
                return call_hole(self, e, self.holes[word], names)
            if self.module.find(e.name) is None:
                if word == "causal":
                    return [self.causal(e, names)]
                if word == "mask":
                    return self.mask(e, names)
                if word in WORDS:
                    if e.label is not None:
                        raise self.error("E209", f"`{word}` has no weights to label", e.label)
                    return self.apply(word, e, e.args, names, positions, e.bracket)
                if word in LATER_WORDS:
                    self.operands(e.args, positions)
                    raise self.error("E106", f"`{word}` waits for a later version", e)
        found = self.module.find(e.name)
        if found is None:
            if word in self.bound and word not in self.learners:
                raise self.error("E203", f"`{word}` is a wire and cannot be applied", e.name)
            if word in self.learners:
                raise self.error("E203", f"`{word}` is a learner", e.name, help=f"apply it with `lin {word}(...)`")
            known = [*WORDS, "causal", *self.module.known(), *self.holes]
            near = suggestion(word, known)
            fix = (Edit(self.span(e.name), near),) if near else ()
            self.operands(e.args, positions)
            raise self.error("E203", f"there is no operation or diagram `{word}`", e.name, help=f"did you mean `{near}`?" if near else "", edits=fix)
        return call_diagram(self, e, found, names)

    def causal(self, e: s.Call, names: tuple[str, ...]) -> View | None:
        """`causal[p](s)`: `mask(p, s)` with `p` checked to be causal (ruling 15)."""
        if e.bracket is None or len(e.bracket.entries) != 1 or e.bracket.leading or isinstance(e.bracket.entries[0], s.Option):
            raise self.error("E209", "`causal` is told its predicate: `causal[m <= n](s)`", e)
        predicate = e.bracket.entries[0]
        if len(e.args) != 1:
            raise self.error("E301" if e.args else "E302", f"`causal` wants 1 operand, and {len(e.args)} are given", e)
        p, scores = self.value(predicate, positions=True), self.value(e.args[0])
        if p is None or scores is None:
            return None
        if self.builder.kind(p) == MASK and causal_pair(predicate, frozenset(self.module.axes)) is None:
            raise self.error(
                "E312", "this predicate is not causal: it lets a position read a later one", predicate,
                help="a causal predicate implies `m <= n`; a mask that need not be causal is `mask(p, s)`",
            )  # fmt: skip
        (y,) = self.add(find("mask", False)(), (), [p, scores], e, (predicate, e.args[0]), names)  # type: ignore[misc]
        return y

    def mask(self, e: s.Call, names: tuple[str, ...]) -> list[View | None]:
        return self.apply("mask", e, e.args, names, False, e.bracket)


def finish(body: Body, name: str, at: s.Node) -> Diagram:
    """The frozen diagram of a body without errors."""
    return body.builder.finish(
        name,
        body.outputs,
        body.span(at),
        body.module.axes,
        tuple(body.header),
        body.definitions,
    )


Maker = Callable[[], Body]
