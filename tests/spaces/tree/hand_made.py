"""Definitions of spaces made by hand, for the tests of the counting tree; and all members of one, listed by brute force."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, combinations_with_replacement, product
from typing import Any

from anatomy.errors import Source
from anatomy.language.choices import (
    Both,
    Component,
    Condition,
    Decision,
    Domain,
    Either,
    Not,
    SpaceDefinition,
    Test,
    Within,
)
from anatomy.language.program import Program
from anatomy.spaces import Space
from anatomy.spaces.tree.value import Value

TEXT = """axis d
diagram base(x: [d]) -> [d] { out tanh(x) }
diagram leaf(x: [d]) -> [d] { out relu(x) }
diagram wrap(x: [d]) -> [d] { hole f(x: [d]) -> [d] out tanh(f(x)) }
diagram plus(x: [d]) -> [d] { hole f(x: [d]) -> [d] hole g(x: [d]) -> [d] out f(x) + g(x) }
"""
_PROGRAM = Program.of(Source("hand.anat", TEXT))
BASE = _PROGRAM.get("base")
DIAGRAMS = {name: _PROGRAM.get(name) for name in ("leaf", "wrap", "plus")}


def one(*labels: str | Component) -> Domain:
    return some("one", *labels)


def some(form: Any, *labels: str | Component, least: int = 1, most: int = 1, edges: int | None = None) -> Domain:
    return Domain(form, tuple(c if isinstance(c, Component) else Component(c) for c in labels), least, most, edges=edges)


def hole(name: str, domain: Domain | tuple[str, ...] | list[str], **more: Any) -> Decision:
    return Decision(name, "hole", domain if isinstance(domain, Domain) else one(*domain), (name,), **more)


def is_(name: str, *labels: str) -> Test:
    return Test(name, "==" if len(labels) == 1 else "in", labels)


def definition(*decisions: Decision, **more: Any) -> SpaceDefinition:
    return SpaceDefinition("hand", BASE, tuple(decisions), **more)


def space(*decisions: Decision, **more: Any) -> Space:
    return Space(definition(*decisions, **more))


# brute force ------------------------------------------------------------------------------------


def listed(domain: Domain) -> list[Value]:
    """The values of a domain in their order, as a reader of the definition would list them."""
    singles = [v for c in domain.components for v in component(c)] if domain.form != "tree" else []
    least, most = domain.least, domain.most
    match domain.form:
        case "one":
            return singles
        case "seq":
            return [Value("seq", p) for k in range(least, most + 1) for p in product(singles, repeat=k)]
        case "bag":
            return [Value("bag", p) for k in range(least, most + 1) for p in combinations_with_replacement(singles, k)]
        case "set":
            return [Value("set", p) for k in range(least, most + 1) for p in combinations(singles, k)]
        case "tree":
            return [t for size in range(least, most + 1) for t in terms(domain, size)]
        case "dag":
            return list(cells(domain, singles))


def component(c: Component) -> list[Value]:
    return [Value(c.label, p) for p in product(*(listed(d.domain) for d in c.inner))]


def terms(domain: Domain, size: int) -> Iterator[Value]:
    for c in domain.components:
        arity = len(c.diagram.holes) - len(c.inner) if c.diagram else 0
        for split in product(range(1, size), repeat=arity) if arity else ((),):
            if sum(split) == size - 1:
                own = [listed(d.domain) for d in c.inner]
                yield from (Value(c.label, p) for p in product(*own, *(list(terms(domain, s)) for s in split)))


def cells(domain: Domain, singles: list[Value]) -> Iterator[Value]:
    for v in range(domain.least, domain.most + 1):
        places = [(i, j) for i in range(v) for j in range(i + 1, v)]
        for bits in product((False, True), repeat=len(places)):
            edges = tuple(p for p, bit in zip(places, bits, strict=True) if bit)
            if domain.edges is not None and len(edges) > domain.edges:
                continue
            if all(any(j == k for _, j in edges) for k in range(1, v)) and all(any(i == k for i, _ in edges) for k in range(v - 1)):
                yield from (Value("dag", p, edges) for p in product(singles, repeat=v - 2))


def size(value: Value, domain: Domain) -> int:
    """The number of components, by definition of the domain."""
    if domain.form == "tree":
        c = next(c for c in domain.components if c.label == value.label)
        own = sum(size(p, d.domain) for p, d in zip(value.parts, c.inner, strict=False))
        return 1 + own + sum(size(p, domain) for p in value.parts[len(c.inner) :])
    if domain.form != "one":
        return sum(size(p, Domain("one", domain.components)) for p in value.parts)
    c = next(c for c in domain.components if c.label == value.label)
    return (c.label != "none") + sum(size(p, d.domain) for p, d in zip(value.parts, c.inner, strict=True))


def holds(condition: Condition, chosen: dict[str, Value]) -> bool:
    match condition:
        case Test(name, op, values):
            mine = chosen[name]
            if op in ("==", "!=", "in"):
                return any(text in (str(mine), mine.label) for text in values) != (op == "!=")
            a, b = int(mine.label), int(values[0])
            return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op]
        case Not(of):
            return not holds(of, chosen)
        case Both(parts):
            return all(holds(p, chosen) for p in parts)
        case Either(parts):
            return any(holds(p, chosen) for p in parts)


def members(d: SpaceDefinition) -> list[tuple[Value, ...]]:
    """Every member, in order, by going through all values of all decisions and dropping those that a condition forbids."""
    found: list[dict[str, Value]] = [{}]
    for decision in d.decisions:
        grown = []
        for chosen in found:
            if decision.when is None or holds(decision.when, chosen):
                values = listed(decision.domain)
            elif decision.otherwise is None:
                values = [Value("none")]
            else:
                values = component(decision.otherwise)
            grown += [{**chosen, decision.name: v} for v in values]
        found = grown
    legal = [
        c for c in found
        if not any(holds(e, c) for e in d.excepts) and all(holds(w, c) for w in d.where) and all(near(w, c) for w in d.within)
    ]  # fmt: skip
    return [tuple(c.values()) for c in legal]


def near(ball: Within, chosen: dict[str, Value]) -> bool:
    return sum(str(chosen[name]) != text for name, text in ball.centre.items()) <= ball.distance
