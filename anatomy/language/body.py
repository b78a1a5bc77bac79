"""The body of one diagram: statements and expressions become typed nodes, with several errors per run.

A wire that could not be typed is `None`; whatever depends on it is skipped in silence, so errors do not cascade.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from anatomy.errors import AnatomyError, Label
from anatomy.ir.builder import View
from anatomy.ir.graph import REAL, Diagram, Output, Port
from anatomy.language import syntax as s
from anatomy.language.bindings import Bound, Refused
from anatomy.language.brackets import FAN_BASED
from anatomy.language.loops import compact
from anatomy.language.noises import noise
from anatomy.language.repeats import repeat, within
from anatomy.language.scans import Scans
from anatomy.language.scope import suggestion
from anatomy.ops import WORDS, Expand


class Body(Scans):
    """Elaborates one diagram, statement by statement."""

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
                    case s.WeightDecl(name=name) | s.NoiseDecl(name=name):
                        self.bound.setdefault(name.text, Bound(None, name, used=True))
                    case s.Next(name=name) if self.loops and not within(self):
                        self.loops[-1].next.setdefault(name.text, (statement, None))
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
            case s.NoiseDecl():
                noise(self, statement)
            case s.Simd(axes=axes, body=body):
                with self.inside(axes):
                    self.statements(body)
            case s.PartDecl() | s.HoleDecl() if self.again:
                pass
            case s.PartDecl(name=name, signature=signature):
                if isinstance(self.within, s.PartDecl):
                    self.holes[name.text] = s.HoleDecl(statement.at, name, signature)
                    raise self.error("E209", "a part has no parts of its own", name, help="declare it beside the other, in the diagram")
                if name.text in self.opened:
                    self.statement(s.HoleDecl(statement.at, name, signature))
                elif name.text in self.holes:
                    raise self.error("E204", f"`{name.text}` is taken", name)
                elif self.within is not None:
                    self.parts[name.text] = f"{self.within.name.text}.{name.text}"
            case s.HoleDecl(name=name, signature=signature):
                if name.text in self.holes or name.text in self.parts or (name.text in WORDS and name.text not in self.opened):
                    raise self.error("E204", f"`{name.text}` is taken", name)
                self.holes[name.text] = statement
                for axis in (a for p in signature.params for a in p.type.axes):
                    self.axis(axis)
                for axis in (a for t in signature.results for a in t.axes):
                    self.axis(axis)
            case s.Scan():
                self.scan(statement)
            case s.Repeat():
                repeat(self, statement)
            case s.Next() if within(self):
                self.turns[-1].follow(self, statement)
            case s.Next():
                self.next(statement)
            case s.Tie(names=names):
                self.tie(statement, names)
            case s.Out(values=values):
                self.out(statement, values)

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
    def inside(self, axes: Sequence[s.Name], kind: str = "simd") -> Iterator[None]:
        opened: list[str] = []
        outer = self.frame
        for name in axes:
            try:
                opened.append(self.axis(name))
            except Refused:
                continue
            self.lanes[name.text] = name
        if opened:
            self.frame = (*outer, self.builder.frame(kind, ", ".join(opened)))
        try:
            yield
        finally:
            self.frame = outer
            for word in opened:
                del self.lanes[word]

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
        self.maps(init, left, right, statement.bracket)
        self._distinct([*lanes, *(n for g in groups for n in g)])
        name = self.key(statement.name)
        view = self.builder.weight(
            name, [self.axis(a) for a in lanes], left, right, init, statement.frozen, self.span(statement)
        )
        self.bind(statement.name, view)

    def tie(self, statement: s.Tie, names: tuple[s.QName, ...]) -> None:

        found = []
        for name in names:
            index = next((i for p in self.scopes for i, w in enumerate(self.builder.weights) if p + name.text in w.keys), None)
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

    def out(self, statement: s.Out, values: tuple[s.Expr, ...]) -> None:
        self.finished = True
        if self.turns:
            raise self.error("E507", "`out` stands in a `repeat`, which gives its states", statement, help="close the braces before `out`")
        views = [v for value in values for v in self.values(value, ())]
        if len(views) != len(self.declared):
            raise self.error("E301", f"{len(views)} results where the header declares {len(self.declared)}", statement)
        if self.loops:
            self.loops[-1].out = statement, views, dict(self.lanes)
        else:
            self.deliver(statement, views, self.lanes)

    def deliver(self, statement: s.Out, views: Sequence[View | None], lanes: Mapping[str, s.Node]) -> None:
        """Type the results, and restore the lanes that they lack."""
        values = statement.values
        for k, (view, declared) in enumerate(zip(views, self.declared, strict=True)):
            if view is None or declared is None:
                continue
            layout, kind, at = declared
            value = values[k] if len(values) == len(views) else values[0]
            missing = [a for a in layout if a in lanes and a not in view.axes]
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
            if kind.name == "index" and not self.prove(self.builder.axis(found.axis), self.builder.axis(kind.axis)):
                raise self.error("E401", f"the result is an {found} where the header says {kind}, and their sizes are not proved equal", value)
            self.outputs.append(Output(view.port, layout, self.span(value), kind))


def finish(body: Body, name: str, at: s.Node) -> Diagram:
    """The frozen diagram of a body without errors."""
    diagram = body.builder.finish(
        name,
        body.outputs,
        body.span(at),
        body.module.axes,
        tuple(body.header),
        body.definitions,
    )
    return compact(diagram)
