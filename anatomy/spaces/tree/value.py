"""What was decided, as data and as text: `dots`, `seq(relu, tanh)`, `gated(sigmoid)`, `dag[0>1 1>2](conv)`."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEEPEST = 128
"""Values nest no deeper than this, in text and in a `tree`."""
LONGEST = 100_000
"""Characters in the text of one value."""

_TOKEN = re.compile(r"\s*(?:([(),])|\[([^\]\[()]*)\]|([^\s()\[\],]+))")
_EDGE = re.compile(r"([0-9]{1,4})>([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class Value:
    """A component, with what was decided below it; or several components put together.

    `label` is a component's, or `seq`, `bag`, `set`, `dag`. `parts` are the components put together, in order; for a
    component of a `tree`, what fills its holes; for one with decisions of its own, their values. `edges` are those of a
    `dag`, whose vertex 0 is the input and whose last vertex is the output; `parts` label the vertices between.

    >>> str(Value("seq", (Value("relu"), Value("tanh"))))
    'seq(relu, tanh)'
    """

    label: str
    parts: tuple[Value, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        edges = f"[{' '.join(f'{a}>{b}' for a, b in self.edges)}]" if self.edges else ""
        parts = f"({', '.join(map(str, self.parts))})" if self.parts else ""
        return f"{self.label}{edges}{parts}"

    @staticmethod
    def parse(text: str) -> Value:
        """The value that is written so; white space does not count. Raises AnatomyError E632.

        >>> Value.parse("dag[0>1 1>2]( conv )") == Value("dag", (Value("conv"),), ((0, 1), (1, 2)))
        True
        """
        return _parse(text)


def _parse(text: str) -> Value:
    from anatomy.errors import fail

    def refuse(why: str) -> Exception:
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        return fail("E632", f"`{shown}` is not the text of a value: {why}", help="values are written `dots`, `seq(relu, tanh)`, `dag[0>1 1>2](conv)`")

    if len(text) > LONGEST:
        raise refuse(f"it has more than {LONGEST:,} characters")
    open_: list[tuple[str, tuple[tuple[int, int], ...], list[Value]]] = []  # values whose bracket is open
    label: str | None = None
    edges: tuple[tuple[int, int], ...] = ()
    done: Value | None = None  # a value that is complete with its brackets
    position, end = 0, len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        if found is None:
            raise refuse(f"`{text[position]}` at {position}")
        position = found.end()
        mark, listed, word = found.groups()
        if word is not None:
            if label is not None or done is not None:
                raise refuse(f"a comma or a bracket is missing before `{word[:20]}`")
            label, edges = word, ()
        elif listed is not None:
            if label is None or edges:
                raise refuse("edges stand after `dag`")
            pairs = [_EDGE.fullmatch(e) for e in listed.split()]
            if not pairs or not all(pairs):
                raise refuse("edges are written `0>1 1>2`")
            edges = tuple((int(p[1]), int(p[2])) for p in pairs if p)
        elif mark == "(":
            if label is None:
                raise refuse("a bracket stands after a name")
            if len(open_) >= DEEPEST:
                raise refuse(f"it nests deeper than {DEEPEST}")
            open_.append((label, edges, []))
            label, edges = None, ()
        else:
            if label is not None:
                done = Value(label, (), edges)
            if done is None or not open_:
                raise refuse(f"`{mark}` at {found.start(1)}")
            open_[-1][2].append(done)
            label, edges, done = None, (), None
            if mark == ")":
                outer, its_edges, parts = open_.pop()
                done = Value(outer, tuple(parts), its_edges)
    if label is not None:
        done = Value(label, (), edges)
    if open_ or done is None:
        raise refuse("a bracket is not closed" if open_ else "a value is missing")
    return done
