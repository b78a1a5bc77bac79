"""What stands between two frames of a film strip: the relation, the reason, its equation and its conditions, in lines that fit.

Converts: one line of a derivation with the diagrams on both of its sides into lines of text.
Non-goals: where they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from anatomy.errors import Span
from anatomy.ir.graph import Diagram
from anatomy.ir.term import term
from anatomy.language.program import Rule
from anatomy.render.metrics import width
from anatomy.rewrites.correspondence import Correspondence
from anatomy.rewrites.derive import Line
from anatomy.rewrites.paths import applications
from anatomy.rewrites.universal import LAWS

MEANING = {
    "==": "the same function, whatever the weights",
    "~=": "the same set of functions: each side becomes the other by a choice of its weights",
    ">=": "every function on the right is one of those on the left",
}
"""What a relation says, in words."""
SIGNS = {"==": "=", "~=": "~=", ">=": "≥"}
"""Relations in text, in letters that every font has."""
DID = {"moved": "moved", "copied": "copied", "merged": "merged", "born": "new", "dead": "gone"}


@dataclass(frozen=True)
class Words:
    """One line of text: `strong` lines are names, `plain` ones equations, `quiet` ones remarks."""

    text: str
    look: str
    size: float


def caption(line: Line, before: Diagram, found: Correspondence, rules: Sequence[Rule], wide: float) -> list[Words]:
    """The lines of text under the sign of a step, each at most `wide` points long; `rules` are those that it names."""
    named = {rule.name for rule in rules}
    said: list[tuple[str, str, float]] = [(_short(reason), "strong", 10.5) for reason in line.by or ("the same diagram",) if reason not in named]
    for rule in list({r.name: r for r in rules}.values()):
        back = len(rules) == 1 and backwards(before, line.diagram, rule)
        times = sum(r is rule for r in rules)
        said.append((rule.name + (f", {times} times" if times > 1 else ""), "strong", 10.5))
        said.append((equation(rule), "plain", 9))
        if back:
            said.append(("read from right to left", "quiet", 8.5))
        if words := comment(rule.span):
            said.append((words, "quiet", 8.5))
    if line.limit:
        said.append(("up to limits, uniform on compact sets", "plain", 9))
    said += [(f"{law}: {LAWS[law]}", "quiet", 8.5) for law in line.laws]
    said += [(f"where {text}", "quiet", 8.5) for text in line.conditions]
    if line.conjecture:
        said.append(("a conjecture: no difference at random points", "quiet", 8.5))
    if line.assumed:
        said.append((f"assumed: {', '.join(line.assumed)}", "quiet", 8.5))
    counts = [f"{n} {word}" for kind, word in DID.items() if (n := found.count(kind))]  # type: ignore[arg-type]
    if counts:
        said.append((", ".join(counts), "quiet", 8.5))
    return [Words(piece, look, size) for text, look, size in said for piece in wrapped(text, size, wide)]


def _short(reason: str) -> str:
    """A reason without how new weights are initialised."""
    return re.sub(r" ~ \w+(\([^()]*\))?", "", reason)


def equation(rule: Rule) -> str:
    """A rule as it is written, on one line, with signs for its relation; its conditions go with it."""
    if rule.span is None:
        return f"{rule.name}"
    text = re.sub(r"\s+", " ", rule.span.source.text[rule.span.start : rule.span.end])
    found = re.match(r"rule \w+\((?:[^()]|\([^()]*\))*\)\s*(where .*?)?:\s*(.*)$", text)
    if found is None:
        return text
    return _signed(found[2], rule.relation) + (f"  ({found[1].strip()})" if found[1] else "")


def _signed(text: str, relation: str) -> str:
    """An equation with the sign for its relation, which stands outside of all brackets."""
    depth = 0
    for k, c in enumerate(text):
        depth += (c in "([") - (c in ")]")
        if depth == 0 and text.startswith(relation, k):
            return text[:k] + SIGNS[relation] + text[k + len(relation) :]
    return text


def comment(span: Span | None) -> str:
    """The comment over a rule, or over the group of rules that it stands in."""
    if span is None:
        return ""
    above = span.source.text[: span.start].splitlines()
    while above and above[-1].strip() and not above[-1].startswith("#"):
        above.pop()
    said: list[str] = []
    while above and above[-1].startswith("#"):
        said.append(above.pop().removeprefix("#").strip())
    text = " ".join(reversed(said))
    return "" if "---" in text else text


def backwards(before: Diagram, after: Diagram, rule: Rule) -> bool:
    """Whether a rule leads from one diagram to the other when it is read from right to left, and only so."""
    goal = term(after).digest
    ways = {match.reverse for match, made in applications(before, rule) if term(made).digest == goal}
    return ways == {True}


def wrapped(text: str, size: float, wide: float) -> Iterator[str]:
    """A text in lines of at most that width, broken at spaces; a longer word stands alone.

    >>> list(wrapped("one two three", 10, 45))
    ['one two', 'three']
    """
    line = ""
    for word in text.split():
        if line and width(f"{line} {word}", size) > wide:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    if line:
        yield line


def tall(lines: Iterable[Words]) -> float:
    """The height of some lines in points."""
    return sum(w.size * 1.28 for w in lines)
