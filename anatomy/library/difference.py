"""What tells two mechanisms apart: parts, biases, claims, and the statements around the parts."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from anatomy.language import syntax as s
from anatomy.library.entry import Entry
from anatomy.library.statements import Statements, flat, nodes, opened


@dataclass(frozen=True)
class Difference:
    """From one mechanism to another: parts that are new, gone or changed, biases, claims that change, statements that differ."""

    left: Entry
    right: Entry
    added: tuple[tuple[str, str], ...]
    removed: tuple[tuple[str, str], ...]
    changed: tuple[tuple[str, str, str], ...]
    biased: tuple[str, ...]
    """Learners of both that have a bias on the right only, and those that have one on the left only."""
    unbiased: tuple[str, ...]
    claims: tuple[tuple[str, str, str], ...]
    lines: tuple[str, ...]

    @property
    def empty(self) -> bool:
        return not (
            self.added or self.removed or self.changed or self.biased or self.unbiased or self.claims or self.lines
        )


def difference(left: Entry, right: Entry) -> Difference:
    """What the right one changes of the left one. Names of the diagrams, their heads and their SIMD boxes are left out of account.

    >>> from anatomy.library.entry import entry
    >>> found = difference(entry("mha"), entry("causal_mha"))
    >>> [name for name, _ in found.added], found.lines
    (['mask'], ('-  w = normaliser(s)', '+  w = normaliser(mask(s))'))
    """
    before, after = _parts(left), _parts(right)
    both = [n for n in before if n in after and before[n].anonymous != after[n].anonymous]
    claims = [
        (k, left.head.values().get(k, "?"), right.head.values().get(k, "?"))
        for k in dict.fromkeys([*left.head.claims, *right.head.claims])
    ]
    old, new = Statements(left), Statements(right)
    common = [n for n in old.biases if n in new.biases]
    biased = tuple(n for n in common if new.biases[n] and not old.biases[n])
    unbiased = tuple(n for n in common if old.biases[n] and not new.biases[n])
    told = frozenset((*biased, *unbiased))
    return Difference(
        left,
        right,
        tuple((n, p.text) for n, p in after.items() if n not in before),
        tuple((n, p.text) for n, p in before.items() if n not in after),
        tuple((n, before[n].text, after[n].text) for n in both),
        biased,
        unbiased,
        tuple(c for c in claims if c[1] != c[2]),
        tuple(_changes(old.lines(new.bound, told), new.lines(old.bound, told))),
    )


@dataclass(frozen=True)
class _Body:
    """A part as `signature { body }` in one line, and the same with the names of the signature numbered.

    Axes and operands of a part are bound where it stands, so two parts with one numbered text are the same.
    """

    text: str
    anonymous: str


def _parts(entry: Entry) -> dict[str, _Body]:
    found = sorted((n for d in entry.diagrams for n in nodes(d.body) if isinstance(n, s.PartDecl)), key=lambda p: p.at)
    return {p.name.text: _body(entry.source.text, p) for p in found}


def _body(text: str, part: s.PartDecl) -> _Body:
    head = flat(text[part.name.at[1] : part.body[0].at[0]]).split("{")[0].strip()
    full = f"{head} {{ {'; '.join(flat(text[slice(*st.at)]) for st in opened(part.body))} }}"
    numbers: dict[str, str] = {}
    for name in re.findall(r"[A-Za-z_]\w*", text[slice(*part.signature.at)]):
        numbers.setdefault(name, f"${len(numbers)}")
    return _Body(full, re.sub(r"[A-Za-z_]\w*", lambda found: numbers.get(found.group(), found.group()), full))


def _changes(left: list[str], right: list[str]) -> list[str]:
    found = difflib.unified_diff(left, right, lineterm="", n=0)
    return [line for line in found if not line.startswith(("---", "+++", "@@"))]
