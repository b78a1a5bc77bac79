"""A space by its address; one whose conditions leave nothing is refused with the conditions that contradict each other."""

from __future__ import annotations

from dataclasses import replace

from anatomy.errors import fail
from anatomy.language.choices import Both, Condition, Either, Not, SpaceDefinition, Test
from anatomy.spaces.space import Space
from anatomy.target import load_space


def load(target: str) -> Space:
    """The space that a target addresses. Raises AnatomyError, E634 when no member is left.

    >>> load("zoo:spaces/scores").count
    720
    """
    return inhabited(Space(load_space(target)))


def inhabited(found: Space) -> Space:
    """The space itself. Raises AnatomyError E634 when it has no members."""
    if found.count == 0:
        definition = found.definition
        conflict = contradiction(definition) if isinstance(definition, SpaceDefinition) else []
        raise fail(
            "E634", f"space `{found.name}` has no members" + (f": {' and '.join(f'`{c}`' for c in conflict)} cannot all hold" if conflict else ""),
            definition.span, help="leave one of them out" if conflict else "none of its spaces has any",
        )  # fmt: skip
    return found


def contradiction(definition: SpaceDefinition) -> list[str]:
    """A smallest set of conditions, as text, that leaves no member: without any one of them there is one."""
    kept = [("excepts", k) for k in range(len(definition.excepts))]
    kept += [("where", k) for k in range(len(definition.where))] + [("within", k) for k in range(len(definition.within))]

    def count(chosen: list[tuple[str, int]]) -> int:
        part = {name: tuple(c for k, c in enumerate(getattr(definition, name)) if (name, k) in chosen) for name in ("excepts", "where", "within")}
        return Space(replace(definition, pairs=False, **part)).count  # type: ignore[arg-type]

    for item in list(kept):
        rest = [c for c in kept if c != item]
        if count(rest) == 0:
            kept = rest
    words = {"excepts": "except", "where": "where"}
    return [
        f"within {definition.within[k].distance}" if name == "within" else f"{words[name]} {text(getattr(definition, name)[k])}" for name, k in kept
    ]


def text(condition: Condition) -> str:
    """A condition as it is written.

    >>> text(Not(Both((Test("score", "==", ("dots",)), Test("r", "in", ("1", "2"))))))
    'not (score == dots and r in { 1, 2 })'
    """
    match condition:
        case Test(name=name, op="in", values=values):
            return f"{name} in {{ {', '.join(values)} }}"
        case Test(name=name, op=op, values=values):
            return f"{name} {op} {values[0]}"
        case Not(of=of):
            return f"not {text(of)}" if isinstance(of, Test) and of.op == "==" and of.values == ("true",) else f"not ({text(of)})"
        case Both(parts=parts):
            return " and ".join(f"({text(p)})" if isinstance(p, Either) else text(p) for p in parts)
        case Either(parts=parts):
            return " or ".join(map(text, parts))
