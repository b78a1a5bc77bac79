"""Where a wire may hold -inf, as masked scores do, and the rules that do not hold there."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from anatomy.ir.graph import Diagram, Node
from anatomy.language.program import Rule

if TYPE_CHECKING:
    from anatomy.rewrites.match import Match

TAMED = frozenset({"exp", "sigmoid", "tanh", "relu", "sign", "elu", "softplus"})
"""Functions of one real that are finite at -inf."""
ALWAYS_FINITE = frozenset({
    "softmax", "sparsemax", "entmax", "sinkhorn", "iota", "size", "index", "not", "and", "or", "==", "!=", "<", "<=", ">", ">=",
})  # fmt: skip
POSITIVE = frozenset({"exp", "sigmoid", "softplus"})
"""Functions whose logarithm is finite, unless they are given -inf."""


def lows(diagram: Diagram) -> frozenset[int]:
    """The wires that may hold -inf, given finite inputs and weights; what comes from an open hole may.

    -inf comes from `mask` and from the logarithm of 0; boxes that give finite reals for it stop it, others pass it on.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis n, m diagram f(s: [n, m]) -> [n, m] { out softmax[m](mask(m <= n, 2 * s)) }"
    >>> f = Program.of(Source("f.anat", text)).get("f")
    >>> [f.nodes[f.producer[w][0]].op.word for w in lows(f)]
    ['mask']
    """
    return _lows(Same(diagram))


@lru_cache(maxsize=64)
def _lows(same: Same) -> frozenset[int]:
    diagram, found = same.thing, set[int]()
    assert isinstance(diagram, Diagram)
    for node in diagram.nodes:
        if _low(diagram, node, found):
            found.update(node.outs)
    return frozenset(found)


def _low(diagram: Diagram, node: Node, found: set[int]) -> bool:
    word = node.op.word
    if word == "mask" or node.op.hole:
        return True
    if word in TAMED or word in ALWAYS_FINITE:
        return False
    if node.op.body is not None and lows(node.op.body):
        return True
    if word == "log":
        made = diagram.producer.get(node.ports[0].wire)
        if made is None or diagram.nodes[made[0]].op.word not in POSITIVE:
            return True
        node = diagram.nodes[made[0]]
    ports = node.ports[:1] if word == "gather" else node.ports
    return any(p.wire in found for p in ports)


def blocking(diagram: Diagram, match: Match) -> str | None:
    """The parameter that keeps a rule from being used at a match: its wire may hold -inf and the rule needs finite reals.

    Verification tries -inf in one parameter at a time; where two may hold it, the second blocks. Where the rule needs a
    finite entry in each row, it must be proved that there is one.
    """
    from anatomy.rewrites.rows import Rows

    low = lows(diagram)
    if not low:
        return None
    groups = {g.wire: g for g in match.groups}

    def may(wire: int) -> bool:
        return any(may(p.wire) for p in groups[wire].ports) if wire in groups else wire in low

    here = [name for name, view in match.wires.items() if may(view.wire)]
    if not here:
        return None
    tolerant, rows = _tolerant(Same(match.rule))
    proof = Rows(diagram, groups)

    def kept(name: str) -> bool:
        """Whether it keeps a finite entry in every row that the rule needs one in."""
        view = match.wires[name]
        names = {inner: outer for outer, inner in view.renames}
        return any(proof.some(view.wire, [names[match.axes[a]] for a in axes]) for n, axes in rows if n == name)

    blocked = [name for name in here if name not in tolerant and not kept(name)]
    return blocked[0] if blocked else None if len(here) == 1 else here[1]


class Same:
    """A key that compares by identity."""

    def __init__(self, thing: object):
        self.thing = thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.thing is self.thing


@lru_cache(maxsize=4096)
def _tolerant(same: Same) -> tuple[frozenset[str], tuple[tuple[str, tuple[str, ...]], ...]]:
    from anatomy.rewrites.verify import verify

    assert isinstance(same.thing, Rule)
    found = verify(same.thing)
    return frozenset(found.masked), found.rows
