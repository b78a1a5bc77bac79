"""How far two normal forms are apart: the boxes that one has and the other has not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from anatomy.ir.graph import Diagram, Node

Profile = Counter[Hashable]


def profile(diagram: Diagram) -> Profile:
    """Boxes by operation, number of axes, and what made their operands; names of axes do not count.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis n, m diagram f(x: [n, m]) -> [n] { out sum[m](exp(x)) } diagram g(x: [n, m]) -> [m] { out sum[n](exp(x)) }"
    >>> program = Program.of(Source("two.anat", text))
    >>> profile(program.get("f")) == profile(program.get("g"))
    True
    """
    words = {w: n.op.word for n in diagram.nodes for w in n.outs}
    return Counter(_label(n, words) for n in diagram.nodes)


def _label(node: Node, words: dict[int, str]) -> Hashable:
    made = [words.get(p.wire, "") for p in node.ports]
    return node.op, len(node.own), len(node.lifts), tuple(sorted(made) if node.op.commutative else made)


def apart(a: Profile, b: Profile) -> int:
    """The boxes that only one of two has.

    >>> apart(Counter("aab"), Counter("abc"))
    2
    """
    return (a - b).total() + (b - a).total()


def differing(a: Diagram, b: Diagram, most: int = 6) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The boxes that only one of two diagrams has, as a reader writes them, on both sides; no more than `most` each."""
    mine, theirs = profile(a), profile(b)
    return _written(a, mine - theirs, most), _written(b, theirs - mine, most)


def _written(diagram: Diagram, only: Profile, most: int) -> tuple[str, ...]:
    words = {w: n.op.word for n in diagram.nodes for w in n.outs}
    found: list[str] = []
    left = Counter(only)
    for node in diagram.nodes:
        label = _label(node, words)
        if left[label]:
            left[label] -= 1
            axes = ", ".join(a.partition("~")[0] for a in node.own)
            found.append(f"{node.op.word}[{axes}]" if axes else node.op.word)
    short = list(dict.fromkeys(found))
    return (*short[:most], *(["..."] if len(short) > most else []))
