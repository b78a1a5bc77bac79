"""Derivations: a diagram becomes another by named steps, every one checked.

Converts: a `derive` of a file into its steps with the diagrams in between, or into diagnostics that say which step fails and why.
Non-goals: finding a derivation where a step names none; rewriting inside the body of a loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import cast

from anatomy.errors import AnatomyError, Diagnostic, fail
from anatomy.ir.graph import Diagram
from anatomy.ir.term import term
from anatomy.language import syntax as s
from anatomy.language.program import Program
from anatomy.language.scope import suggestion

STRENGTH: dict[str, int] = {"==": 0, "~=": 1, ">=": 2}
"""From the strongest relation to the weakest."""


@dataclass(frozen=True)
class Line:
    """One step: `diagram` is what it leads to.

    `before` are the boxes of the diagram above that the first rule takes, `after` those of this one that the last rule made;
    `open` says that the text leaves the diagram to be filled in; `conjecture` that nothing but evaluation speaks for it;
    `assumed` names rules that are known by assumption only. `limit` says that the relation holds by universal approximation, up to limits
    that are uniform on compact sets; `laws` are those of universal approximation, and `conditions` what the step rests on beside them.
    `at` is the place of the step in the text, and `left_out` says that it names no reason.
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
    limit: bool = False
    laws: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    at: s.At = field(default=(0, 0), compare=False)
    left_out: bool = False

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
        return weakest(line.relation for line in self.lines)

    @property
    def conjecture(self) -> bool:
        return any(line.conjecture for line in self.lines)

    @property
    def limit(self) -> bool:
        """Whether it rests on universal approximation: then it speaks of limits, uniform on compact sets."""
        return any(line.limit for line in self.lines)

    @property
    def conditions(self) -> tuple[str, ...]:
        """What its steps rest on, each condition once."""
        return tuple(dict.fromkeys(c for line in self.lines for c in line.conditions))


def weakest(relations: object) -> str:
    """The weakest of some relations; `==` where there are none."""
    return max(relations, key=STRENGTH.__getitem__, default="==")  # type: ignore[call-overload]


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
    at = declared
    made = partial(Derivation, at.name.text, at.left.text, at.relation, at.right.text)
    try:
        start, lines = _lines(program, declared)
    except AnatomyError as error:
        place = program.root.span(at.name)
        found = (Diagnostic(d.code, d.message, d.span or place, notes=d.notes, help=d.help) for d in error.diagnostics)
        return made(diagnostics=tuple(found))
    return made(start, tuple(lines))


def derive_all(program: Program) -> list[Derivation]:
    """Every derivation of a file, in its order."""
    return [derive(program, name) for name in program.names(s.DeriveDecl)]


def _lines(program: Program, at: s.DeriveDecl) -> tuple[Diagram, list[Line]]:
    from anatomy.rewrites.reasons import Reason, Reasons
    from anatomy.rewrites.segments import Segment

    reasons = Reasons(program)
    if at.relation not in STRENGTH:
        raise reasons.wrong(f"a derivation is `==`, `~=` or `>=`, not `{at.relation}`", at.name)
    begin = cast(s.QName, at.body[0])
    steps = cast(tuple[s.Step, ...], at.body[1:])
    first, last = reasons.diagram(at.left), reasons.diagram(at.right)
    start = reasons.diagram(begin)
    if term(start) != term(first):
        raise reasons.wrong(f"`{at.name.text}` begins with `{begin.text}`, and its head with `{at.left.text}`", begin)
    lines: list[Line] = []
    here, name, waiting = start, begin.text, list[Reason]()
    for k, step in enumerate(steps):
        waiting.append(reasons.of(step))
        if step.to is not None or k == len(steps) - 1:
            goal = last if step.to is None else reasons.diagram(step.to)
            goal_name = at.right.text if step.to is None else step.to.text
            lines += Segment(reasons, here, name, tuple(waiting), goal, goal_name).lines()
            here, name, waiting = goal, goal_name, []
    if term(here) != term(last):
        raise reasons.wrong(f"`{at.name.text}` ends with `{name}`, and its head with `{at.right.text}`", steps[-1] if steps else begin)
    if STRENGTH[found := weakest(line.relation for line in lines)] > STRENGTH[at.relation]:
        raise reasons.wrong(
            f"`{at.name.text}` claims `{at.relation}`, and its weakest step is `{found}`", at.name,
            help=f"write `{at.left.text} {found} {at.right.text}`",
        )  # fmt: skip
    if any(line.limit for line in lines):
        reasons.consistent(steps, [start, *(line.diagram for line in lines)])
    return start, lines
