"""Conditions as text, for `space.where("score == dots")`: the words that a `where` of the language has."""

from __future__ import annotations

from anatomy.errors import Source, fail
from anatomy.language import syntax as s
from anatomy.language.choices import Both, Condition, Either, Not, Test
from anatomy.language.guards import text_of
from anatomy.language.parse import parse


def read_condition(text: str) -> Condition:
    """The condition that is written so; names and values are looked up by the space that it is given to.

    Raises AnatomyError E101 to E104 for text that is not in the language, E633 where it is more than a condition.

    >>> read_condition("score == dots and not fancy")
    Both(parts=(Test(name='score', op='==', values=('dots',)), Not(of=Test(name='fancy', op='==', values=('true',)))))
    """
    items = parse(Source("condition", f"space members = all where {text}")).items
    match items:
        case [s.SpaceView(views=views)] if views and not any(isinstance(v, s.Near) for v in views):
            found = tuple(_read(guard) for guard in views if not isinstance(guard, s.Near))
            return found[0] if len(found) == 1 else Both(found)
    raise fail("E633", f"`{text[:60]}` is more than a condition")


def _read(guard: s.Guard) -> Condition:
    match guard:
        case s.GuardNot(of=of):
            return Not(_read(of))
        case s.GuardOp(op=op, left=left, right=right):
            return (Both if op == "and" else Either)((_read(left), _read(right)))
        case s.GuardTest(name=name, op=op, values=values):
            return Test(name.text, op or "==", tuple(map(text_of, values)) if op else ("true",))  # type: ignore[arg-type]
