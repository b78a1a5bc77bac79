"""Values and conditions of a space, from text: which decision is tested, and whether it can have that value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anatomy.errors import Label
from anatomy.language import syntax as s
from anatomy.language.bindings import Refused
from anatomy.language.choices import Both, Component, Condition, Decision, Domain, Either, Not, Test
from anatomy.language.scope import Module, suggestion

ORDERED = ("<", "<=", ">", ">=")


def text_of(value: s.Chosen) -> str:
    """A value as it is written, with one space after each comma.

    >>> from anatomy.language.syntax import Chosen
    >>> text_of(Chosen((0, 0), "seq", (Chosen((0, 0), "relu"), Chosen((0, 0), "tanh"))))
    'seq(relu, tanh)'
    """
    edges = f"[{' '.join(f'{e.source}{e.sign}{e.target}' for e in value.edges)}]" if value.edges else ""
    parts = f"({', '.join(map(text_of, value.parts))})" if value.parts else ""
    return f"{value.label}{edges}{parts}"


def refuse(module: Module, code: str, message: str, at: s.Node, **more: object) -> Refused:
    """Report an error, to be raised."""
    module.report(code, message, at, **more)
    return Refused()


def check_value(module: Module, decision: Decision, value: s.Chosen) -> str:
    """The text of a value that a decision may have. Raises Refused after E611, or E203 for what is not among the options."""
    extra = () if decision.otherwise is None else (decision.otherwise,)
    whole = decision.domain
    if value.label == "none" and not value.parts and any(c.label == "none" for c in extra):
        return "none"
    _check(module, decision, whole, (*whole.components, *extra), value, top=True)
    return text_of(value)


def check_part(module: Module, decision: Decision, value: s.Chosen) -> str:
    """The same, for what one of several interchangeable holes may have."""
    _check(module, decision, decision.domain, decision.domain.components, value, top=False)
    return text_of(value)


def _check(module: Module, decision: Decision, domain: Domain, components: Sequence[Component], value: s.Chosen, top: bool) -> None:
    name = decision.name
    form = domain.form
    offered = {c.label: c for c in components}
    if top and form in ("seq", "bag", "set", "dag"):
        offered = {} if decision.otherwise is None else {decision.otherwise.label: decision.otherwise}
    if top and form in ("seq", "bag", "set", "dag") and value.label == form and value.label not in offered:
        count = len(value.parts) + 2 if form == "dag" else len(value.parts)
        if not domain.least <= count <= domain.most:
            what = "vertices" if form == "dag" else "components"
            raise refuse(module, "E611", f"`{name}` has {_range(domain)} {what}, and here are {count}", value)
        if form == "dag" and any(e.sign != ">" or not 0 <= e.source < e.target < count for e in value.edges):
            raise refuse(module, "E611", f"an edge of a cell goes from a vertex to a later one, of 0 to {count - 1}: `0>1`", value)
        for part in value.parts:
            _check(module, decision, domain, domain.components, part, top=False)
        return
    chosen = offered.get(value.label)
    if chosen is None:
        near = suggestion(value.label, offered)
        words = [c.label for c in components]
        listed = ", ".join(words[:12]) + (", ..." if len(words) > 12 else "")
        raise refuse(
            module, "E611", f"`{name}` is never `{value.label}`", value,
            help=f"did you mean `{near}`?" if near else f"it is one of: {listed}" if form in ("one", "tree") else f"write `{form}(...)` of: {listed}",
        )  # fmt: skip
    if value.edges:
        raise refuse(module, "E611", f"`{value.label}` has no edges", value)
    own = value.parts[: len(chosen.inner)]
    for inner, part in zip(chosen.inner, own, strict=False):
        check_value(module, inner, part)
    for part in value.parts[len(chosen.inner) :]:
        if form != "tree":
            raise refuse(module, "E611", f"`{value.label}` has {len(chosen.inner)} decisions of its own", part)
        _check(module, decision, domain, domain.components, part, top=False)


def _range(domain: Domain) -> str:
    return f"{domain.least}" if domain.least == domain.most else f"{domain.least} to {domain.most}"


def condition(module: Module, guard: s.Guard, known: Mapping[str, Decision], later: Mapping[str, s.Node], own: Sequence[str] = ()) -> Condition:
    """A condition over the decisions in `known`, by the names that text has for them. Raises Refused after E611.

    `later` are decisions that come after the place of the condition, or in which it stands: `own`.
    """
    match guard:
        case s.GuardNot(of=of):
            return Not(condition(module, of, known, later, own))
        case s.GuardOp(op=op):
            parts: list[s.Guard] = []
            while isinstance(guard, s.GuardOp) and guard.op == op:
                parts.append(guard.right)
                guard = guard.left
            made = tuple(condition(module, part, known, later, own) for part in (guard, *reversed(parts)))
            return Both(made) if op == "and" else Either(made)
        case s.GuardTest():
            return _test(module, guard, known, later, own)


def _test(module: Module, guard: s.GuardTest, known: Mapping[str, Decision], later: Mapping[str, s.Node], own: Sequence[str]) -> Test:
    name = guard.name.text
    decision = known.get(name)
    if decision is None and name in own:
        raise refuse(module, "E611", f"`{name}` is what is decided here", guard.name, help="a condition tests decisions that come before it")
    if decision is None and name in later and later[name].at < guard.at:
        raise Refused  # What is wrong with that decision is reported already.
    if decision is None and name in later:
        raise refuse(
            module, "E611", f"`{name}` is decided later", guard.name,
            secondary=(Label(module.span(later[name]), "decided here"),), help="a condition tests decisions that come before it: change their order",
        )  # fmt: skip
    if decision is None:
        near = suggestion(name, known)
        help = f"did you mean `{near}`?" if near else f"decided before are: {', '.join(known)}" if known else "nothing is decided before"
        raise refuse(module, "E611", f"there is no decision `{name}`", guard.name, help=help)
    if not guard.op:
        if decision.kind != "flag":
            raise refuse(module, "E611", f"`{name}` is not true or false", guard.name, help=f"test its value: `{name} == {_example(decision)}`")
        return Test(decision.name, "==", ("true",))
    if guard.op in ORDERED and decision.kind != "param":
        raise refuse(module, "E611", f"`{name}` is not a number, so `{guard.op}` says nothing of it", guard, help="compare with `==`, `!=` or `in`")
    if guard.op == "in" and not guard.values:
        raise refuse(module, "E608", f"nothing is in the braces, so `{name}` is never in them", guard)
    if guard.op in ORDERED:
        (value,) = guard.values
        if not value.label.isdecimal() or value.parts:
            raise refuse(module, "E611", f"`{name}` is a number, and `{text_of(value)}` is none", value)
        return Test(decision.name, guard.op, (value.label,))  # type: ignore[arg-type]
    read = check_part if decision.names else check_value
    values = tuple(read(module, decision, v) for v in guard.values)
    return Test(name if decision.names else decision.name, guard.op, tuple(dict.fromkeys(values)))  # type: ignore[arg-type]


def _example(decision: Decision) -> str:
    return decision.domain.components[0].label if decision.domain.components else "..."
