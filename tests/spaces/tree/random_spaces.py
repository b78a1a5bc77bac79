"""Random small definitions: every form of domain, inner decisions, dependent choices and conditions."""

from __future__ import annotations

from hand_made import DIAGRAMS, definition, listed
from hypothesis import strategies as st

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

LABELS = ("a", "b", "c", "none", "cosine.score")


@st.composite
def components(draw: st.DrawFn, depth: int) -> tuple[Component, ...]:
    labels = draw(st.lists(st.sampled_from(LABELS), min_size=1, max_size=3, unique=True))
    found = []
    for label in labels:
        inner: tuple[Decision, ...] = ()
        if depth and label != "none" and draw(st.integers(0, 3)) == 0:
            domains = draw(st.lists(domain(depth - 1), min_size=1, max_size=2))
            inner = tuple(Decision(f"i{k}", "hole", d, (f"i{k}",)) for k, d in enumerate(domains))
        found.append(Component(label, None, inner))
    return tuple(found)


@st.composite
def domain(draw: st.DrawFn, depth: int = 1) -> Domain:
    form = draw(st.sampled_from(("one", "one", "one", "seq", "bag", "set", "tree", "dag")))
    if form == "one":
        return Domain("one", draw(components(depth)))
    if form == "tree":
        labels = draw(st.lists(st.sampled_from(("leaf", "wrap", "plus")), min_size=1, max_size=3, unique=True))
        own = dict.fromkeys(DIAGRAMS, ())
        if depth and draw(st.booleans()):
            own["plus"] = (Decision("f", "hole", draw(domain(0)), ("f",)),)  # type: ignore[assignment]
        found = tuple(Component(x, DIAGRAMS[x], own[x]) for x in {"leaf": 0, **dict.fromkeys(labels)})
        least = draw(st.integers(1, 2))
        return Domain("tree", found, least, draw(st.integers(least, 4)))
    if form == "dag":
        return Domain("dag", draw(components(0)), 2, draw(st.integers(2, 4)), edges=draw(st.none() | st.integers(1, 6)))
    least = draw(st.integers(1, 2))
    return Domain(form, draw(components(0)), least, draw(st.integers(least, 2)))


@st.composite
def condition(draw: st.DrawFn, decisions: tuple[Decision, ...], depth: int = 2) -> Condition:
    kind = draw(st.sampled_from(("test", "not", "both", "either"))) if depth else "test"
    if kind == "not":
        return Not(draw(condition(decisions, depth - 1)))
    if kind != "test":
        parts = tuple(draw(st.lists(condition(decisions, depth - 1), min_size=1, max_size=3)))
        return Both(parts) if kind == "both" else Either(parts)
    decision = draw(st.sampled_from(decisions))
    if decision.kind == "param":
        return Test(decision.name, draw(st.sampled_from(("<", "<=", ">", ">=", "==", "!="))), ("2",))
    values = listed(decision.domain)
    texts = sorted({str(v) for v in values} | {v.label for v in values})
    chosen = tuple(draw(st.lists(st.sampled_from(texts), min_size=1, max_size=2, unique=True)))
    return Test(decision.name, "in" if len(chosen) > 1 else draw(st.sampled_from(("==", "!="))), chosen)


@st.composite
def definitions(draw: st.DrawFn, most: int = 4, conditions: bool = True) -> SpaceDefinition:
    decisions: list[Decision] = []
    total = 1
    for k in range(draw(st.integers(1, most))):
        kind = draw(st.sampled_from(("hole", "hole", "hole", "param", "flag")))
        if kind == "param":
            mine = Domain("one", tuple(map(Component, ("1", "2", "4"))))
        elif kind == "flag":
            mine = Domain("one", (Component("false"), Component("true")))
        else:
            mine = draw(domain())
        count = len(listed(mine))
        if not count or total * count > 3_000:
            mine, count = Domain("one", (Component("a"), Component("b"))), 2
            kind = "hole"
        total *= count
        when = otherwise = None
        if conditions and decisions and draw(st.integers(0, 2)) == 0:
            when = draw(condition(tuple(decisions), 1))
            otherwise = draw(st.none() | st.sampled_from((Component("off"), mine.components[0])))
            if otherwise is not None and mine.form == "tree":
                otherwise = Component("leaf")
            if kind == "param":
                otherwise = Component("1")
        decisions.append(Decision(f"d{k}", kind, mine, (f"d{k}",), when=when, otherwise=otherwise))  # type: ignore[arg-type]
    if not conditions:
        return definition(*decisions)
    sites = tuple(decisions)
    excepts = tuple(draw(st.lists(condition(sites), max_size=2)))
    where = tuple(draw(st.lists(condition(sites), max_size=1)))
    within = ()
    if draw(st.integers(0, 2)) == 0:
        centre = {d.name: str(draw(st.sampled_from(listed(d.domain)))) for d in sites}
        within = (Within(draw(st.integers(0, len(sites))), centre),)
    return definition(*decisions, excepts=excepts, where=where, within=within)
