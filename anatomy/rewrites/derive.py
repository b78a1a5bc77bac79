"""Derivations: a diagram becomes another by named rules, every step checked.

Converts: a `derive` of a file into its steps with the diagrams in between, or into diagnostics that say which step fails and why.
Non-goals: finding a derivation; rewriting inside the body of a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from anatomy.errors import AnatomyError, Diagnostic, fail
from anatomy.ir.graph import Diagram
from anatomy.ir.term import term
from anatomy.language import syntax as s
from anatomy.language.program import Program, Rule
from anatomy.language.scope import suggestion
from anatomy.rewrites.filled import filled
from anatomy.rewrites.library import library
from anatomy.rewrites.paths import MOST, Found, Move, nearest, path, place
from anatomy.rewrites.verify import verify

STRENGTH: dict[str, int] = {"==": 0, "~=": 1, ">=": 2}
"""From the strongest relation to the weakest."""
TOOLS = ("evaluation", "normal")
"""Reasons that compare two diagrams as a whole; the first makes a conjecture only."""


@dataclass(frozen=True)
class Line:
    """One step: `diagram` is what it leads to.

    `before` are the boxes of the diagram above that the first rule takes, `after` those of this one that the last rule made;
    `open` says that the text leaves the diagram to be filled in; `conjecture` that nothing but evaluation speaks for it;
    `assumed` names rules that are known by assumption only.
    """

    relation: str
    name: str
    by: tuple[str, ...]
    diagram: Diagram
    before: frozenset[int] = frozenset()
    after: frozenset[int] = frozenset()
    open: bool = False
    conjecture: bool = False
    assumed: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        return ", ".join(self.by) or "definition"


@dataclass(frozen=True)
class Derivation:
    """A checked derivation; it holds where there are no `diagnostics`."""

    name: str
    left: str
    claimed: str
    right: str
    start: Diagram | None = None
    lines: tuple[Line, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def relation(self) -> str:
        """The weakest of its steps."""
        return max((line.relation for line in self.lines), key=STRENGTH.__getitem__, default="==")

    @property
    def conjecture(self) -> bool:
        return any(line.conjecture for line in self.lines)


def derive(program: Program, name: str) -> Derivation:
    """Check one derivation of a file.

    >>> from anatomy.errors import Source
    >>> text = "axis m diagram a(s: [m]) -> [m] { out softmax[m](s + 1) } diagram b(s: [m]) -> [m] { out softmax[m](s) } "
    >>> found = derive(Program.of(Source("d.anat", text + "derive slide: a == b { a == b by softmax_add }")), "slide")
    >>> found.relation, len(found.lines), found.diagnostics
    ('==', 1, ())
    """
    declared = program.root.names.get(name)
    if not isinstance(declared, s.DeriveDecl):
        known = program.names(s.DeriveDecl)
        near = suggestion(name, known)
        listed = f"it declares: {', '.join(known)}" if known else "it declares none"
        raise fail("E203", f"`{program.root.source.path}` declares no derivation `{name}`", help=f"did you mean `{near}`?" if near else listed)
    return _Checker(program, declared).run()


def derive_all(program: Program) -> list[Derivation]:
    """Every derivation of a file, in its order."""
    return [derive(program, name) for name in program.names(s.DeriveDecl)]


@dataclass(frozen=True)
class _Reason:
    """What follows `by`, resolved: one move for every rule, or a fill."""

    step: s.Step
    by: tuple[str, ...]
    moves: tuple[Move, ...]
    weakest: str
    tool: str = ""
    """`evaluation` or `normal` in the place of moves."""
    assumed: tuple[str, ...] = ()


@dataclass
class _Checker:
    program: Program
    declared: s.DeriveDecl
    found: list[Diagnostic] = field(default_factory=list)
    rules: dict[str, Rule] = field(default_factory=dict)

    def run(self) -> Derivation:
        at = self.declared
        made = partial(Derivation, at.name.text, at.left.text, at.relation, at.right.text)
        try:
            start, lines = self._lines()
        except AnatomyError as error:
            return made(diagnostics=tuple(d if d.span else self._at(d, at.name) for d in error.diagnostics))
        return made(start, tuple(lines), tuple(self.found))

    def _at(self, d: Diagnostic, node: s.Node) -> Diagnostic:
        return Diagnostic(d.code, d.message, self.program.root.span(node), notes=d.notes, help=d.help)

    def _wrong(self, message: str, at: s.Node, **more: Any) -> AnatomyError:
        return fail("E323", message, self.program.root.span(at), **more)

    def _lines(self) -> tuple[Diagram, list[Line]]:
        at = self.declared
        if at.relation not in STRENGTH:
            raise self._wrong(f"a derivation is `==`, `~=` or `>=`, not `{at.relation}`", at.name)
        begin = cast(s.QName, at.body[0])
        steps = cast(tuple[s.Step, ...], at.body[1:])
        first, last = self._diagram(at.left), self._diagram(at.right)
        start = self._diagram(begin)
        if term(start) != term(first):
            raise self._wrong(f"`{at.name.text}` begins with `{begin.text}`, and its head with `{at.left.text}`", begin)
        lines: list[Line] = []
        here, name, waiting = start, begin.text, list[_Reason]()
        for k, step in enumerate(steps):
            waiting.append(self._reason(step))
            if step.to is not None or k == len(steps) - 1:
                goal = last if step.to is None else self._diagram(step.to)
                lines += self._segment(here, name, waiting, goal, at.right.text if step.to is None else step.to.text)
                here, name, waiting = goal, step.to.text if step.to else at.right.text, []
        if term(here) != term(last):
            raise self._wrong(f"`{at.name.text}` ends with `{name}`, and its head with `{at.right.text}`", steps[-1] if steps else begin)
        weakest = max((line.relation for line in lines), key=STRENGTH.__getitem__, default="==")
        if STRENGTH[weakest] > STRENGTH[at.relation]:
            raise self._wrong(
                f"`{at.name.text}` claims `{at.relation}`, and its weakest step is `{weakest}`", at.name,
                help=f"write `{at.left.text} {weakest} {at.right.text}`",
            )  # fmt: skip
        return start, lines

    # names ------------------------------------------------------------------------------------

    def _diagram(self, name: s.QName) -> Diagram:
        module = self.program.root
        found = module.find(name)
        if found is None or not isinstance(found[0].names[found[1]], s.DiagramDecl):
            near = suggestion(name.text, module.known())
            raise fail("E203", f"there is no diagram `{name.text}`", module.span(name), help=f"did you mean `{near}`?" if near else "")
        diagram = self.program.diagram(*found)
        if diagram is None:
            raise AnatomyError(*(d for d in self.program.diagnostics() if d.severity == "error"))
        return diagram

    def _own(self) -> dict[str, Rule]:
        """The rules of the file."""
        if not self.rules:
            named = {n: self.program.rule(n) for n in self.program.names(s.RuleDecl)}
            self.rules = {n: rule for n, rule in named.items() if rule is not None}
        return self.rules

    def _rule(self, name: s.QName) -> tuple[Rule | None, str]:
        """The rule of that name, and why it is assumed where it is."""
        found = self.program.root.find(name)
        rule = None
        if found is not None and isinstance(found[0].names[found[1]], s.RuleDecl):
            module, word = found
            rule = (self.program if module is self.program.root else Program(module, self.program.library)).rule(word)
            if rule is None:
                raise AnatomyError(*(d for d in self.program.diagnostics() if d.severity == "error"))
            known = verify(rule)
            if not known.holds:
                raise self._wrong(f"rule `{name.text}` is {'false' if known.status == 'false' else 'not verified'}, and no step may use it", name)
            return rule, name.text if known.status == "assumed" else ""
        return next((r for r in library() if r.name == name.text), None), ""

    def _reason(self, step: s.Step) -> _Reason:
        if step.relation not in STRENGTH:
            raise self._wrong(f"a step is `==`, `~=` or `>=`, not `{step.relation}`", step)
        if step.fill is not None:
            hole, filler = step.fill.hole.text, self._diagram(step.fill.filler)

            def fill(d: Diagram) -> Diagram:
                return filled(d, hole, filler)

            reason = _Reason(step, (f"fill {hole} := {step.fill.filler.text}",), (fill,), ">=")
        elif len(step.rules) == 1 and step.rules[0].text in TOOLS:
            reason = _Reason(step, (step.rules[0].text,), (), "==", tool=step.rules[0].text)
        else:
            moves: list[Move] = []
            assumed: list[str] = []
            for name in step.rules:
                rule, why = self._rule(name)
                if rule is None:
                    near = suggestion(name.text, [*self._own(), *(r.name for r in library())])
                    message = f"`{name.text}` stands alone: it is no rule" if name.text in TOOLS else f"there is no rule `{name.text}`"
                    raise fail("E203", message, self.program.root.span(name), help=f"did you mean `{near}`?" if near else "")
                moves.append(rule)
                assumed += [why] if why else []
            weakest = max((m.relation for m in moves if isinstance(m, Rule)), key=STRENGTH.__getitem__, default="==")
            reason = _Reason(step, tuple(r.text for r in step.rules), tuple(moves), weakest, assumed=tuple(assumed))
        if STRENGTH[reason.weakest] > STRENGTH[step.relation]:
            raise self._wrong(
                f"a step by `{', '.join(reason.by)}` is `{reason.weakest}`, and this one claims `{step.relation}`", step,
                help=f"write `{reason.weakest}`",
            )  # fmt: skip
        return reason

    # steps ------------------------------------------------------------------------------------

    def _segment(self, start: Diagram, name: str, reasons: Sequence[_Reason], goal: Diagram, goal_name: str) -> list[Line]:
        """The lines between two diagrams that the text names."""
        if any(r.tool for r in reasons):
            return [self._compared(start, name, reasons, goal, goal_name)]
        moves = [m for r in reasons for m in r.moves]
        try:
            found = path(start, moves, goal)
        except AnatomyError as error:  # a fill that does not fit
            at = next((r.step.fill for r in reasons if r.step.fill), reasons[0].step)
            raise AnatomyError(*(self._at(d, at) for d in error.diagnostics)) from None
        if not found.states:
            raise self._refuted(start, name, reasons, goal, goal_name, found)
        lines: list[Line] = []
        above, k = start, 0
        for number, reason in enumerate(reasons):
            end = k + len(reason.moves)
            final = number == len(reasons) - 1
            diagram = goal if final else found.states[end].diagram
            before = after = frozenset[int]()
            if reason.moves and isinstance(rule := reason.moves[0], Rule):
                before = place(above, rule, found.states[k + 1].key)
            if reason.moves and isinstance(rule := reason.moves[-1], Rule):
                after = place(diagram, rule, found.states[end - 1].key, back=True)
            shown = reason.step.to.text if reason.step.to else goal_name if final else reason.step.text
            lines.append(Line(reason.step.relation, shown, reason.by, diagram, before, after, reason.step.text == "?", assumed=reason.assumed))
            above, k = diagram, end
        return lines

    def _compared(self, start: Diagram, name: str, reasons: Sequence[_Reason], goal: Diagram, goal_name: str) -> Line:
        from anatomy.rewrites.equality import equal

        step, tool = reasons[-1].step, next(r.tool for r in reasons if r.tool)
        if len(reasons) > 1:
            raise self._wrong(f"`{tool}` compares two diagrams, and one of them is left open", step, help="name both")
        both = equal(start, goal)
        found = both.evaluation if tool == "evaluation" else both.same_term or both.normal_form
        if found is None:
            why = "could not be evaluated at common inputs and weights" if tool == "evaluation" else "have no normal forms to be compared"
            raise self._wrong(f"`{name}` and `{goal_name}` {why}", step)
        if not found:
            why = "differ at random points" if tool == "evaluation" else "have different normal forms"
            raise self._wrong(f"the step to `{goal_name}` does not follow: `{name}` and `{goal_name}` {why}", step)
        return Line(step.relation, goal_name, (tool,), goal, open=step.text == "?", conjecture=tool == "evaluation")

    def _refuted(self, start: Diagram, name: str, reasons: Sequence[_Reason], goal: Diagram, goal_name: str, found: Found) -> AnatomyError:
        """Which step fails, why, and which rule would do."""
        owner = [(r, by) for r in reasons for by in (r.by if r.moves else ())]
        if not owner:
            reason, why = reasons[-1], f"`{name}` and `{goal_name}` are not the same diagram"
        elif found.stuck is not None:
            reason, by = owner[found.stuck]
            where = f"`{name}`" if found.stuck == 0 else "what the step before it makes"
            why = f"`{by}` applies nowhere in {where}"
        else:
            reason, by = owner[-1]
            many = f"{found.places} ways" if found.places != 1 else "one way"
            why = f"`{by}` applies in {many}, and {'none of them' if found.places != 1 else 'it does not'} make{'' if found.places == 1 else 's'} `{goal_name}`"
        if found.capped:
            why = f"only {MOST} of the diagrams between `{name}` and `{goal_name}` were tried; name one of them"
        step = reason.step
        message = f"the step to `{step.to.text if step.to else goal_name}` does not follow: {why}"
        return self._wrong(message, step, help=self._help(start, name, reasons, goal, goal_name), notes=self._notes(start, name, goal, goal_name))

    def _help(self, start: Diagram, name: str, reasons: Sequence[_Reason], goal: Diagram, goal_name: str) -> str:
        weakest = max((r.step.relation for r in reasons), key=STRENGTH.__getitem__)
        if term(start) == term(goal):
            return f"`{goal_name}` is `{name}` already: leave out `by`"
        allowed: Callable[[Rule], bool] = lambda rule: STRENGTH[rule.relation] <= STRENGTH[weakest]  # noqa: E731
        rule = nearest(start, goal, (*self._own().values(), *library()), allowed)
        return f"one application of `{rule.name}` leads from `{name}` to `{goal_name}`" if rule else f"no rule leads from `{name}` to `{goal_name}` in one application"

    def _notes(self, start: Diagram, name: str, goal: Diagram, goal_name: str) -> tuple[str, ...]:
        from anatomy.rewrites.equality import equal

        try:
            found = equal(start, goal).evaluation
        except AnatomyError:
            found = None
        match found:
            case True:
                return (f"`{name}` and `{goal_name}` agree at random points, so a derivation may exist",)
            case False:
                return (f"`{name}` and `{goal_name}` differ at random points, or in type",)
        return ()
