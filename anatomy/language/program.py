"""A file and what it uses, elaborated: diagrams, rules and spaces by name, with all diagnostics."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from anatomy.errors import AnatomyError, Diagnostic, Source, Span, fail
from anatomy.ir.graph import MASK, REAL, Diagram, Kind, index_into
from anatomy.ir.poly import MAX_SIZE
from anatomy.language import syntax as s
from anatomy.language.bindings import MAX_FOUND, Bindings, Refused, shown
from anatomy.language.body import Body, finish
from anatomy.language.choices import SpaceDefinition, UnionDefinition
from anatomy.language.rules import Rule, define_rule
from anatomy.language.scope import Library, Module, suggestion
from anatomy.language.weigh import MAX_ALL_NODES, MAX_CALLS, MAX_NODES, Calls, callees

if TYPE_CHECKING:
    from anatomy.language.neighbourhoods import Defined
    from anatomy.language.opening import Opened


@dataclass
class Program:
    """Everything that a text declares. `diagnostics` is complete after `check`."""

    root: Module
    library: Library
    quiet: bool = False
    through: frozenset[str] = frozenset()
    """Parts that are left open, as holes, in every diagram of the text, those that it calls too."""
    diagrams: dict[tuple[int, str], Diagram | None] = field(default_factory=dict)
    families: dict[tuple[int, str], list[tuple[str, Diagram]]] = field(default_factory=dict)
    found: list[Diagnostic] = field(default_factory=list)
    spaces: dict[tuple[int, str], tuple[Defined, ...] | None] = field(default_factory=dict)
    open: dict[tuple[int, str, frozenset[str]], Opened | None] = field(default_factory=dict)
    trials: int = 0
    """Boxes that trial fillings of spaces have copied."""
    _calls: Calls = field(default_factory=Calls)
    _built: int = 0
    _stopped: bool = False
    _heavy: bool = False

    @staticmethod
    def of(source: Source, base: Path | None = None) -> Program:
        """Load a text. Raises AnatomyError where it cannot be parsed."""
        library = Library()
        return Program(library.load(source, base), library)

    @staticmethod
    def of_file(path: Path) -> Program:
        library = Library()
        return Program(library.load_file(path), library)

    # diagrams ---------------------------------------------------------------------------------

    def diagram(self, module: Module, name: str) -> Diagram | None:
        """The elaborated diagram, or None when it has errors (which are in `found`).

        Everything that it calls is elaborated first, so a body never waits for another.
        """
        self._build(self._calls.order(module, name))
        return self.diagrams.get((id(module), name))

    def aside(self, module: Module, key: str, declared: s.DiagramDecl) -> Diagram:
        """A diagram that no declaration names, elaborated once under a key that no text can name; its warnings are dropped.

        Raises AnatomyError with all that is wrong in it.
        """
        before = len(self.found)
        module.names[key] = declared
        try:
            diagram = self.diagram(module, key)
        finally:
            found, self.found[before:] = self.found[before:], []
            del module.names[key]
            self.diagrams.pop((id(module), key), None)
            self._calls.weights.pop((id(module), key), None)
        if diagram is None:
            raise AnatomyError(*(d for d in found if d.severity == "error"))
        return diagram

    def _build(self, order: list[tuple[Module, str]]) -> None:
        self._heavy = self._heavy or any(self._calls.weights[(id(m), w)] > MAX_NODES for m, w in order)
        for module, name in order:
            if not self._full():
                self._one(module, name)

    def _one(self, module: Module, name: str) -> None:
        key = (id(module), name)
        declared = module.names[name]
        assert isinstance(declared, s.DiagramDecl)
        total = self._calls.weights[key]
        try:
            if total > MAX_NODES:
                if not any(self._calls.weights[(id(m), w)] > MAX_NODES for m, w, *_ in callees(module, name)):
                    message = f"unfolding `{name}` would make {total:,} boxes; the limit is {MAX_NODES:,}"
                    self.found.append(Diagnostic("E502", message, module.span(declared.name)))
            elif self._heavy and total > 1000:
                pass  # The file is refused for its size already; what is small is still checked.
            elif self._calls.depths[key] > MAX_CALLS:
                if self._calls.depths[key] == MAX_CALLS + 1 and not self._calls.cycles:
                    message = f"`{name}` calls diagrams that call diagrams, more than {MAX_CALLS} deep"
                    self.found.append(Diagnostic("E502", message, module.span(declared.name)))
            elif self._built + total > MAX_ALL_NODES:
                if not self._stopped:
                    message = f"from here on the diagrams of this file would unfold to more than {MAX_ALL_NODES:,} boxes"
                    self.found.append(Diagnostic("E502", message, module.span(declared.name), help="spread them over several files"))
                self._stopped = True
            else:
                diagram = self.diagrams[key] = self._elaborate(module, declared)
                self._built += len(diagram.nodes) if diagram else 0
        except RecursionError:
            self.found.append(Diagnostic("E104", f"`{name}` is nested too deep", module.span(declared.name)))
        except AnatomyError as error:
            place = module.span(declared.name)
            self.found.extend(d if d.span else replace(d, span=place) for d in error.diagnostics)
        if key in self._calls.cycles:
            self.diagrams[key] = None
            caller, at, circle = self._calls.cycles[key]
            names = list(circle) if len(circle) <= 8 else [*circle[:4], "…", *circle[-3:]]
            message = f"`{name}` calls itself: {' → '.join(names)}"
            self.found.append(Diagnostic("E206", message, caller.span(at), help="a diagram is finite; recurrence is written with `scan`"))

    def kind(self, body: Bindings, type: s.Type) -> Kind:
        if type.kind is None:
            return REAL
        match type.kind.text:
            case "mask" if type.of is None:
                return MASK
            case "index" if type.of is not None:
                return index_into(body.axis(type.of))
            case word:
                raise body.error("E307", f"there is no kind of wire `{word}`", type.kind, help="a wire is `[...]`, `mask[...]` or `index(a)[...]`")

    def _typed(self, body: Body, type: s.Type) -> tuple[tuple[str, ...], Kind]:
        layout = []
        for name in type.axes:
            axis = body.axis(name)
            if axis in layout:
                raise body.error("E309", f"axis `{axis}` stands twice on one wire", name, help="two axes of one name never meet on a wire: declare `axis m = n`")
            layout.append(axis)
            body.header.setdefault(axis)
        return tuple(layout), self.kind(body, type)

    def opened(self, module: Module, name: str, parts: frozenset[str]) -> Diagram | None:
        """A diagram with some of its parts left open, as holes (ruling 20); None when it has errors."""
        declared = module.names[name]
        assert isinstance(declared, s.DiagramDecl)
        self._build(self._calls.order(module, name))
        return self._elaborate(module, declared, parts)

    def _elaborate(self, module: Module, declared: s.DiagramDecl, opened: frozenset[str] = frozenset()) -> Diagram | None:
        if self.through and module is self.root and not isinstance(declared, s.PartDecl):
            opened |= self.through
        body = Body(self, module, within=declared, opened=opened)
        self.header(body, declared.signature.params, declared.signature.results, declared.where)
        body.statements(declared.body)
        if not body.finished and not body.full:
            body.error("E503", f"`{declared.name.text}` has no `out`", declared.name, help="its last statement says what comes out: `out y`")
        failed = any(d.severity == "error" for d in body.diagnostics)
        if not failed and not body.poisoned:
            self._unused(body, declared)
        self.found.extend(body.diagnostics)
        if failed or body.poisoned:
            return None
        self._defaults(body)
        return finish(body, declared.name.text, declared.name)

    def header(
        self, body: Body, params: tuple[s.Param, ...], results: tuple[s.Type, ...], where: tuple[s.Equation, ...]
    ) -> None:
        for param in params:
            try:
                layout, kind = self._typed(body, param.type)
                view = body.builder.input(param.name.text, layout, kind, body.span(param.name))
            except (Refused, AnatomyError) as error:
                body.placed(error, param)
                view = None
            body.bind(param.name, view)
        declared = []
        for result in results:
            try:
                declared.append((*self._typed(body, result), result))
            except Refused:
                declared.append(None)
        body.declared = tuple(declared)
        for equation in where:
            try:
                body.define(equation)
            except (Refused, AnatomyError) as error:
                body.placed(error, equation)

    def _unused(self, body: Body, declared: s.DiagramDecl) -> None:
        names = {p.name.text for p in declared.signature.params}
        room = MAX_FOUND
        for word in body.parts.keys() - body.called:
            part = body.module.names[body.parts[word]].name
            body.error("W201", f"part `{word}` is never used", part, help=f"call it: `{word}(...)`")
        for word, bound in (*body.bound.items(), *body.local):
            if not bound.used and not word.startswith("_") and (room := room - 1) >= 0:
                what, code = ("input", "W202") if word in names else ("wire", "W201")
                body.error(code, f"{what} `{word}` is never used", bound.name, help=f"if it is meant, name it `_{word}`")

    def _defaults(self, body: Body) -> None:
        """`axis m = n` and `axis e = 64` give a size where none is given (ruling 3)."""
        words = list(body.builder.axes)
        for word in words:
            item = body.module.axes.get(word)
            if item is not None and item.size is not None and word not in body.builder.sizes.definitions:
                known = dict(body.builder.axes)
                value = body.poly(item.size)
                if word not in value.variables():
                    body.builder.defaults[word] = value
                if word in body.header:
                    # Callers bind this axis, so its default must not give them the axes that it alone mentions.
                    body.builder.axes = known
                else:
                    words += [a for a in body.builder.axes if a not in known]

    # rules and spaces ---------------------------------------------------------------------------

    def rule(self, name: str) -> Rule | None:
        return define_rule(self, name)

    def space(self, name: str) -> SpaceDefinition | UnionDefinition | None:
        from anatomy.language.defining import define_space

        return define_space(self, name)

    # access -------------------------------------------------------------------------------------

    def names(self, kind: type[s.Node] = s.DiagramDecl) -> list[str]:
        """What the text declares of a kind, in its order; the parts of a diagram are `names(s.PartDecl)`."""
        return [n for n, item in self.root.names.items() if isinstance(item, kind) and (kind is s.PartDecl or not isinstance(item, s.PartDecl))]

    def _axes(self) -> None:
        for item in self.root.axes.values():
            body = Body(self, self.root)
            try:
                if item.size is not None:
                    value = body.poly(item.size).constant()
                    if value is not None and not 1 <= value <= MAX_SIZE:
                        body.error("E405", f"the size of `{item.name.text}` would be {shown(value)}; sizes are from 1 to 2^40", item)
            except Refused:
                pass
            self.found.extend(body.diagnostics)

    def check(self) -> tuple[Diagnostic, ...]:
        """Elaborate everything; all diagnostics, errors before warnings, then by position."""
        self._axes()
        self._build([place for name in self.names() + self.names(s.PartDecl) for place in self._calls.order(self.root, name)])
        steps = [(self.rule, (name,)) for name in self.names(s.RuleDecl)]
        steps += [(self.space, (name,)) for name in self.names(s.AnySpace) + self.names(s.FamilyDecl) + self.names(s.MemberDecl)]
        for step, arguments in steps:
            if not self._full():
                step(*arguments)  # type: ignore[operator]
        if self._full():
            end = len(self.root.source.text)
            message = f"more than {MAX_FOUND} errors; the rest of the file was not checked"
            self.root.diagnostics.append(Diagnostic("E108", message, Span(self.root.source, end, end)))
        return self.diagnostics()

    def _full(self) -> bool:
        """Enough errors for one run; warnings do not count, because they do not keep a file from being good."""
        total = len(self.found) + len(self.root.diagnostics)
        return total >= MAX_FOUND and sum(d.severity == "error" for d in (*self.found, *self.root.diagnostics)) >= MAX_FOUND

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        own = [d for m in (self.root, *self.library.modules.values()) for d in m.diagnostics]
        return tuple(sorted(dict.fromkeys([*own, *self.found]), key=lambda d: d.order))

    def get(self, name: str) -> Diagram:
        """A diagram (or a side of a rule, `rule.lhs`) by name.

        Raises AnatomyError with the diagnostics of the file when it has errors, or E203.
        """
        base, _, side = name.partition(".")
        declared = self.root.names.get(base)
        part = self.root.names.get(name)
        if isinstance(part, s.PartDecl):
            diagram = self.diagram(self.root, name)
        elif isinstance(declared, s.RuleDecl) and side in ("lhs", "rhs"):
            rule = self.rule(base)
            diagram = rule and (rule.left if side == "lhs" else rule.right)
        elif isinstance(declared, s.DiagramDecl) and not side:
            diagram = self.diagram(self.root, base)
        else:
            near = suggestion(name, self.names())
            raise fail(
                "E203", f"`{self.root.source.path}` declares no diagram `{name}`",
                help=f"did you mean `{near}`?" if near else f"it declares: {', '.join(self.names()) or 'none'}",
            )  # fmt: skip
        errors = [d for d in self.diagnostics() if d.severity == "error"]
        if diagram is None or (self.root.diagnostics and errors):
            raise AnatomyError(*errors)
        return diagram
