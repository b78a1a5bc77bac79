"""What follows `by` in a step, resolved: moves from one diagram to the next, and what is to be checked of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from anatomy.errors import AnatomyError, Diagnostic, fail
from anatomy.ir.graph import Diagram
from anatomy.ir.poly import Poly
from anatomy.ir.term import term
from anatomy.language import syntax as s
from anatomy.language.program import Program, Rule
from anatomy.language.scope import suggestion
from anatomy.rewrites.derive import STRENGTH, weakest
from anatomy.rewrites.filled import filled, tied
from anatomy.rewrites.inline import face, inline
from anatomy.rewrites.library import library
from anatomy.rewrites.meetings import MEETINGS, proved
from anatomy.rewrites.paths import Make, Meet, Move
from anatomy.rewrites.restrict import restricted
from anatomy.rewrites.verify import verify


@dataclass(frozen=True)
class Checked:
    """What was found when the diagrams on both sides of a step were looked at."""

    laws: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    limit: bool = False


@dataclass(frozen=True)
class Reason:
    """One move for every rule or filler; `check` is asked once the diagrams before and after the step are known."""

    step: s.Step
    by: tuple[str, ...] = ()
    moves: tuple[Move, ...] = ()
    weakest: str = "=="
    assumed: tuple[str, ...] = ()
    check: Callable[[Diagram, Diagram], Checked] | None = None


@dataclass
class Reasons:
    """The names of a program's derivations: diagrams, rules, fillers."""

    program: Program
    rules: dict[str, Rule] = field(default_factory=dict)

    def wrong(self, message: str, at: s.Node, **more: Any) -> AnatomyError:
        return fail("E323", message, self.program.root.span(at), **more)

    def placed(self, error: AnatomyError, at: s.Node) -> AnatomyError:
        """An error with its place in this file: that of the step, unless it has one here already."""
        place = self.program.root.span(at)
        here = self.program.root.source
        return AnatomyError(*(
            d if d.span is not None and d.span.source is here and d.code not in ("E402", "E604")
            else Diagnostic(d.code, d.message, place, notes=d.notes, help=d.help)
            for d in error.diagnostics
        ))  # fmt: skip

    # names ------------------------------------------------------------------------------------

    def _is_diagram(self, name: s.QName) -> bool:
        found = self.program.root.find(name)
        return found is not None and isinstance(found[0].names[found[1]], s.DiagramDecl)

    def diagram(self, name: s.QName) -> Diagram:
        module = self.program.root
        found = module.find(name)
        if found is None or not self._is_diagram(name):
            near = suggestion(name.text, module.known())
            raise fail("E203", f"there is no diagram `{name.text}`", module.span(name), help=f"did you mean `{near}`?" if near else "")
        diagram = self.program.diagram(*found)
        if diagram is None:
            raise AnatomyError(*(d for d in self.program.diagnostics() if d.severity == "error"))
        return diagram

    def own(self) -> dict[str, Rule]:
        """The rules of the file."""
        if not self.rules:
            named = {n: self.program.rule(n) for n in self.program.names(s.RuleDecl)}
            self.rules = {n: rule for n, rule in named.items() if rule is not None}
        return self.rules

    def rule(self, name: s.QName) -> tuple[Rule, str]:
        """The rule of that name, and the name again where it is assumed."""
        found = self.program.root.find(name)
        if found is not None and isinstance(found[0].names[found[1]], s.RuleDecl):
            module, word = found
            rule = (self.program if module is self.program.root else Program(module, self.program.library)).rule(word)
            if rule is None:
                raise AnatomyError(*(d for d in self.program.diagnostics() if d.severity == "error"))
            known = verify(rule)
            if not known.holds:
                raise self.wrong(f"rule `{name.text}` is {'false' if known.status == 'false' else 'not verified'}, and no step may use it", name)
            return rule, name.text if known.status == "assumed" else ""
        rule = next((r for r in library() if r.name == name.text), None)
        if rule is None:
            near = suggestion(name.text, [*self.own(), *(r.name for r in library())])
            message = f"`{name.text}` stands alone: it is no rule" if name.text in MEETINGS else f"there is no rule `{name.text}`"
            raise fail("E203", message, self.program.root.span(name), help=f"did you mean `{near}`?" if near else "")
        return rule, ""

    # reasons ----------------------------------------------------------------------------------

    def of(self, step: s.Step) -> Reason:
        if step.relation not in STRENGTH:
            raise self.wrong(f"a step is `==`, `~=` or `>=`, not `{step.relation}`", step)
        given = step.reason
        if given is None:
            reason = Reason(step, moves=(MEETINGS["search"],)) if step.text == "?" else Reason(step)
        else:
            make = {"rules": self._rules, "fill": self._fills, "sizes": self._sizes, "tie": self._tie, "universal": self._universal}
            reason = make[given.word](step, given)
        if STRENGTH[reason.weakest] > STRENGTH[step.relation]:
            raise self.wrong(
                f"a step by `{', '.join(reason.by)}` is `{reason.weakest}`, and this one claims `{step.relation}`", step,
                help=f"write `{reason.weakest}`",
            )  # fmt: skip
        return reason

    def _rules(self, step: s.Step, given: s.Reason) -> Reason:
        words = tuple(r.text for r in given.names)
        if "evaluation" in words and len(words) == 1:
            return Reason(step, words, (MEETINGS["evaluation"],))
        moves: list[Move] = []
        assumed: list[str] = []
        for name in given.names:
            if name.text in ("normal", "search"):
                moves.append(MEETINGS[name.text])
                continue
            rule, why = self.rule(name)
            moves.append(rule)
            assumed += [why] if why else []
        if sum(isinstance(m, Meet) for m in moves) > 1:
            raise self.wrong("one step compares two diagrams once", step, help="name the diagram between")
        return Reason(step, words, tuple(moves), weakest(m.relation for m in moves if isinstance(m, Rule)), tuple(assumed))

    def filler(self, fill: s.Fill, diagram: Diagram) -> Diagram:
        """What is put in, for a hole or a weight of a diagram: a diagram by name, or one that is written here."""
        written, name = fill.filler, fill.hole.text
        if isinstance(written, s.Ref) and self._is_diagram(written.name):
            return self.diagram(written.name)
        asked = face(diagram, name)
        if isinstance(written, s.Ref) and written.name.text not in {word for word, _ in asked.params}:
            return self.diagram(written.name)
        return inline(self.program, written, name.rpartition(".")[2], fill.hole, asked)

    def put(self, fill: s.Fill) -> Callable[[Diagram], Diagram]:
        def run(diagram: Diagram) -> Diagram:
            try:
                return filled(diagram, fill.hole.text, self.filler(fill, diagram))
            except AnatomyError as error:
                raise self.placed(error, fill) from None

        return run

    def all(self, fills: Sequence[s.Fill]) -> Callable[[Diagram], Diagram]:
        """Several fillers put in, one after the other."""

        def run(diagram: Diagram) -> Diagram:
            for fill in fills:
                diagram = self.put(fill)(diagram)
            return diagram

        return run

    def move(self, fills: Sequence[s.Fill]) -> Callable[[Diagram], tuple[Diagram, ...]]:
        run = self.all(fills)
        return lambda diagram: (run(diagram),)

    def text(self, fills: Sequence[s.Fill]) -> str:
        def shown(fill: s.Fill) -> str:
            text = " ".join(self.program.root.span(fill.filler).text.split())
            return f"{fill.hole.text} := {text}"

        return ", ".join(map(shown, fills))

    def _fills(self, step: s.Step, given: s.Reason) -> Reason:
        by = f"fill {self.text(given.fills)}"
        moves = (Make(self.move(given.fills)),)
        if not given.back:
            if step.relation == "~=":
                return Reason(step, (by,), moves, "~=", check=lambda before, _: self._onto(before, given.fills))
            return Reason(step, (by,), moves, ">=")

        def check(before: Diagram, after: Diagram) -> Checked:
            again = self.all(given.back)(after)
            how = ("definition",) if term(again) == term(before) else proved(again, before)
            if how is None:
                raise self.wrong(f"back by `{self.text(given.back)}` does not give `{before.name}`, as far as the laws go", given.back[0])
            return Checked()

        return Reason(step, (f"{by} back {self.text(given.back)}",), moves, "~=", check=check)

    def _onto(self, before: Diagram, fills: Sequence[s.Fill]) -> Checked:
        """A filler that reaches everything that could stand in its place keeps the set of functions."""
        from anatomy.rewrites.universal import onto

        conditions: list[str] = []
        for fill in fills:
            filler = self.filler(fill, before)
            try:
                conditions += onto(before, fill.hole.text, filler)
            except AnatomyError as error:
                raise self.placed(error, fill) from None
            before = filled(before, fill.hole.text, filler)
        return Checked(conditions=tuple(dict.fromkeys(conditions)))

    def _sizes(self, step: s.Step, given: s.Reason) -> Reason:
        equations = [(_poly(e.left), _poly(e.right)) for e in given.sizes]

        def run(diagram: Diagram) -> tuple[Diagram, ...]:
            try:
                return restricted(diagram, equations), restricted(diagram, equations, keep=True)
            except AnatomyError as error:
                raise self.placed(error, given) from None

        by = "at " + ", ".join(f"{a} = {b}" for a, b in equations)
        return Reason(step, (by,), (Make(run),), ">=")

    def _tie(self, step: s.Step, given: s.Reason) -> Reason:
        names = tuple(n.text for n in given.names)

        def run(diagram: Diagram) -> tuple[Diagram, ...]:
            try:
                return (tied(diagram, names),)
            except AnatomyError as error:
                raise self.placed(error, given) from None

        return Reason(step, (f"tie {', '.join(names)}",), (Make(run),), ">=")

    def _universal(self, step: s.Step, given: s.Reason) -> Reason:
        from anatomy.rewrites.universal import judged

        back = bool(given.back)
        fills = given.back or given.fills
        law = given.law.text if given.law else ""
        invariant = tuple(n.text for n in given.invariant)
        inverse = given.inverse

        def check(before: Diagram, after: Diagram) -> Checked:
            host, made = (after, before) if back else (before, after)
            both = back or step.relation == "~="
            try:
                undo = None
                if inverse is not None:
                    undo = self.filler(s.Fill(inverse.at, fills[0].hole, inverse), host)
                laws, conditions = judged(host, made, [(f.hole.text, self.filler(f, host)) for f in fills], both, invariant, undo, law)
            except AnatomyError as error:
                raise self.placed(error, given) from None
            return Checked(laws, conditions, True)

        words = ["universal", *([law] if law else []), *([f"invariant {', '.join(invariant)}"] if invariant else [])]
        by = f"{' '.join(words)} {'back' if back else 'fill'} {self.text(fills)}"
        if inverse is not None:
            by += f" inverse {' '.join(self.program.root.span(inverse).text.split())}"
        return Reason(step, (by,), (Make(self.move(fills), back),), "~=" if step.relation == "~=" else ">=", check=check)

    def consistent(self, steps: Sequence[s.Step], diagrams: Sequence[Diagram]) -> None:
        """Where one step reads holes as approximators, so do all: what fills a hole must be continuous.

        Raises AnatomyError E323 at a plain fill that is not.
        """
        from anatomy.rewrites.continuity import jumps

        for step, before, after in zip(steps, diagrams, diagrams[1:], strict=False):
            fills = step.reason.fills if step.reason is not None and step.reason.word == "fill" else ()
            for fill in fills:
                why = jumps(after) if fill.hole.text in before.holes else None
                if why is not None:
                    raise self.wrong(f"another step takes holes for universal approximators, and what fills `{fill.hole.text}` is not continuous: {why}", fill)


def _poly(size: s.Size) -> Poly:
    match size:
        case s.SizeInt(value=value):
            return Poly.of(value)
        case s.SizeName(name=name):
            return Poly.var(name.text)
        case s.SizeOp(op=op, left=left, right=right):
            a, b = _poly(left), _poly(right)
            return a + b if op == "+" else a - b if op == "-" else a * b
