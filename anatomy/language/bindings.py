"""What a body under elaboration knows: its names, axes, sizes and what it has found wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from anatomy.errors import AnatomyError, Diagnostic, Edit, Label, Span
from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Equation, Frame, Kind, Output
from anatomy.ir.poly import MAX_SIZE, Poly
from anatomy.language import syntax as s
from anatomy.language.scope import RESERVED, Module, suggestion

if TYPE_CHECKING:
    from anatomy.language.program import Program
    from anatomy.language.repeats import Turn

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
    rows: bool = False
    """A `table`, whose rows are looked up."""


@dataclass
class Loop:
    """A `scan` whose braces are open: its states, and what each is next."""

    scan: s.Scan
    lanes: frozenset[str] = frozenset()
    """Those around it."""
    states: dict[str, s.Carry] = field(default_factory=dict)
    next: dict[str, tuple[s.Node, View | None]] = field(default_factory=dict)
    out: tuple[s.Out, list[View | None], dict[str, s.Node]] | None = None
    """An `out` inside: it is typed when the loop is closed."""


@dataclass
class Bindings:
    """The state of one body, and how names and axes are looked up in it."""

    program: Program
    module: Module
    builder: Builder = field(default_factory=Builder)
    bound: dict[str, Bound] = field(default_factory=dict)
    learners: dict[str, Learner] = field(default_factory=dict)
    holes: dict[str, s.HoleDecl] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    """Parts declared so far, and their names in the module."""
    called: set[str] = field(default_factory=set)
    """Parts that are used."""
    within: s.DiagramDecl | None = None
    """What this body is the body of."""
    opened: frozenset[str] = frozenset()
    """Parts that are left open, as holes, for a space to choose."""
    keys: dict[str, s.Node] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    lanes: dict[str, s.Node] = field(default_factory=dict)
    loops: list[Loop] = field(default_factory=list)
    """Those that are open, outermost first."""
    last: dict[str, View | None] = field(default_factory=dict)
    """The final states of those that are closed."""
    frame: tuple[Frame, ...] = ()
    header: dict[str, None] = field(default_factory=dict)
    definitions: list[Equation] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    """The turns of `repeat` that are under way, outermost first."""
    prefix: str = ""
    """Their path, before every key and label."""
    again: bool = False
    """One of them is not the first, which has made the declarations."""
    local: list[tuple[str, Bound]] = field(default_factory=list)
    """Names of turns that are gone."""
    open: Mapping[str, str] = field(default_factory=dict)
    """What a rule leaves open besides wires: names of numbers and maps, with what they are."""
    samples: list[dict[str, Fraction]] = field(default_factory=list)
    """Values of those numbers that satisfy its conditions."""
    finished: bool = False
    poisoned: bool = False
    """It calls a diagram that has errors: what it does is not known, and is not reported."""
    outputs: list[Output] = field(default_factory=list)
    declared: tuple[tuple[tuple[str, ...], Kind, s.Type] | None, ...] = ()
    """The results of the header; None where one has an error."""
    _positions: set[int] = field(default_factory=set)
    _seen: int = 0

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
                break
        for needless in tuple(tried):  # only what the proof needs: the rest keep sizes that may still be given
            kept = [t for t in tried if t is not needless]
            fewer = sizes.copy()
            if all(fewer.define(name, value) for name, value, _ in kept) and fewer.equal(left, right):
                tried, trial = kept, fewer
        self.builder.sizes = trial
        for name, value, item in tried:
            self.definitions.append(Equation(Poly.var(name), value, self.span(item)))
        return True

    # names ------------------------------------------------------------------------------------

    def bind(self, name: s.Name, view: View | None) -> None:
        word = name.text
        if word == "_":
            return
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
            if name.parts[-1].text == "last" and len(name.parts) == 2:
                return self.final(name)
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
        if word in self.learners or word in self.holes or word in self.parts or self.module.find(name):
            raise self.error("E202", f"`{word}` is not a wire", name, help=f"apply it: `{word}(...)`")
        near = suggestion(word, self.bound)
        fix = (Edit(self.span(name), near),) if near else ()
        raise self.error(
            "E202", f"there is no wire `{word}`", name, edits=fix,
            help=f"did you mean `{near}`?" if near else self._unbound,
        )  # fmt: skip

    def final(self, name: s.QName) -> View | None:
        """`s.last`: the state of a loop after its last step."""
        word = name.parts[0].text
        if word in self.last:
            self.bound[word].used = True
            return self.last[word]
        open = any(word in loop.states for loop in self.loops)
        raise self.error(
            "E202", f"there is no final state `{name.text}`" + (" inside the loop" if open else ""), name,
            help="it is known after the loop: close the braces of the `scan` first" if open else "`s.last` is the final state of a `scan` whose state is `s`",
        )  # fmt: skip

    @property
    def _unbound(self) -> str:
        if isinstance(self.within, s.PartDecl):
            return "a part reads nothing but its operands: pass it in, `part name(..., wire: [axes]) -> ...`"
        return "a wire is bound before it is used: `name = ...`"

    def key(self, name: s.Name) -> str:
        """A weight's name, once per diagram (ruling 9)."""
        word = self.prefix + name.text
        if word in self.labels:
            raise self.error(
                "E204", f"`{name.text}` is already the path of a call, and weights are named by their paths", name,
                help=f"give the weight another name, or the call a label: `{name.text}@other(...)`",
            )  # fmt: skip
        if word in self.keys:
            raise self.error(
                "E204", f"weight `{name.text}` is declared twice", name, label="again here",
                secondary=(Label(self.span(self.keys[word]), "first declared here"),),
                help=f"apply the same learner again without axes: `lin {name.text}(...)`",
            )  # fmt: skip
        self.keys[word] = name
        return word

    def path(self, call: s.Call, name: str) -> str:
        """The label of a call site: its name, `name_2` for the next, or the one that the text gives."""
        if call.label is not None:
            label = self.prefix + call.label.text
            if label in self.keys or label in self.labels:
                raise self.error("E204", f"the label `{call.label.text}` is taken", call.label)
            self.labels[label] = 1
            return label
        name = self.prefix + name
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

    def turn_label(self, loop: s.Repeat) -> str:
        """The path of a turn, `{}` for its number: a second loop beside the first has `0_2`, `1_2`."""
        if loop.tied:
            return ""
        word = f"{self.prefix}repeat {{}}"
        count = self.labels[word] = self.labels.get(word, 0) + 1
        return "{}." if count == 1 else f"{{}}_{count}."

    @property
    def scopes(self) -> list[str]:
        """What a name of a weight may have before it, from inside out."""
        parts = self.prefix.split(".")[:-1]
        return ["".join(f"{p}." for p in parts[:k]) for k in range(len(parts), -1, -1)]
