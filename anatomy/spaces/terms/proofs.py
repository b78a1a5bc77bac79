"""What is proved of members, term by term: which positions are seen, and how the work grows.

Converts: terms into the facts of `anatomy.ir.causality` and the degrees of `anatomy.ir.analysis`, each once.
Non-goals: what has to be worked out on the whole diagram (False or None here says nothing).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from math import prod

from anatomy.ir import causality
from anatomy.ir.analysis import flops
from anatomy.ir.causality import Fact
from anatomy.ir.graph import Diagram, Node, Port
from anatomy.ir.loop import opened
from anatomy.ir.op import Op
from anatomy.ir.places import Place
from anatomy.ir.poly import Poly
from anatomy.spaces.terms.fold import Folded
from anatomy.spaces.terms.term import Read, Term, postorder

Token = tuple[int, str]


@dataclass(frozen=True, eq=False)
class Known:
    """Of each result of a term which positions it sees, and for each axis the tokens that are read along it. Compared by identity."""

    facts: tuple[Fact, ...]
    roots: dict[str, frozenset[Token]]


def _content(fact: Fact) -> object:
    sees = frozenset((token, tuple(frozenset(way.items()) for way in ways)) for token, ways in fact.sees.items())
    affine = None if fact.affine is None else frozenset(fact.affine.items())
    return sees, fact.zero, fact.floor, fact.holds, affine, fact.positive


@dataclass
class Proofs:
    """What was found about terms so far."""

    known: dict[Term, Known] = field(default_factory=dict)
    boxes: dict[object, Known] = field(default_factory=dict)
    kept: dict[object, Known] = field(default_factory=dict)
    ends: dict[object, bool | None] = field(default_factory=dict)
    totals: dict[object, Poly] = field(default_factory=dict)
    generic: dict[object, bool] = field(default_factory=dict)
    degrees: dict[object, dict[Term, int]] = field(default_factory=dict)
    powers: dict[object, dict[int, tuple[int, Poly]]] = field(default_factory=dict)
    loops: dict[Term, Poly] = field(default_factory=dict)

    def causal(self, folded: Folded) -> bool | None:
        """Whether it is proved that no output position depends on a later one, as `anatomy.ir.causality.reach` proves it.

        None where that takes the whole diagram: which axis of an output is one of tokens is known here only where the one
        is read along the other.
        """
        sure = True
        for read, layout in folded.outputs:
            self.learn(read.term)
            known = self.known[read.term]
            key = (known, read.out, read.axes, layout)
            if key not in self.ends:
                self.ends[key] = _looks_back(known, read, layout)
            found = self.ends[key]
            if found is False:
                return False
            sure = sure and found is True
        return True if sure else None

    def learn(self, term: Term) -> None:
        """What is known of a term and of all that it reads."""
        for now in postorder(term, self.known):
            self.known[now] = self._known(now)

    def _known(self, term: Term) -> Known:
        """Boxes that read the same things of the same things know the same."""
        if term.kind != "box":
            marked = tokens(term) if term.kind == "input" else ()
            sees = {(term.source, a): ({Place((a,)): True},) for a in marked}
            roots = {a: frozenset([(term.source, a)] if a in marked else ()) for a in term.axes}
            return self._one(Known((_pointing(term, 0, Fact(sees)),), roots))
        key = (id(term.op), term.own, term.outs, *[(self.known[c], out, renames) for c, out, renames in term.ports])
        found = self.boxes.get(key)
        if found is None or "index" in [k.name for k in term.kinds]:
            found = self.boxes[key] = self._one(self._box(term))
        return found

    def _one(self, made: Known) -> Known:
        return self.kept.setdefault((tuple(map(_content, made.facts)), tuple(made.roots.items())), made)

    def _box(self, term: Term) -> Known:
        roots: dict[str, frozenset[Token]] = dict.fromkeys(term.axes, frozenset())
        for child, _, renames in term.ports:
            for outer, inner in renames:
                roots[inner] |= self.known[child].roots[outer]
        node = boxed(term)
        given = [causality.seen(self.known[c].facts[out], p) for (c, out, _), p in zip(term.ports, node.ports, strict=True)]
        if term.op.body is not None:
            made = causality.loop(opened(_stub(term), node, True), node, given)
            return Known(tuple(causality.onto(fact, {*axes}) for fact, axes in zip(made, term.outs, strict=True)), roots)
        fact = causality.box(node, given)
        return Known(tuple(_pointing(term, k, causality.onto(fact, {*axes})) for k, axes in enumerate(term.outs)), roots)

    # costs --------------------------------------------------------------------------------------

    def operations(self, term: Term) -> Poly:
        """Floating-point operations of a loop, as it was written."""
        found = self.loops.get(term)
        if found is None:
            node = boxed(term)
            found = self.loops[term] = dict(term.work)[term.own[0]] * flops(opened(_stub(term), node))
        return found

    def degree(self, folded: Folded, lengths: tuple[tuple[str, ...], ...], same: dict[str, Poly]) -> int:
        """The greatest power of the length in the operations of any box; see `lengths_of`."""
        table = self.degrees.setdefault(folded.context, {})
        if all(read.term in table for read, _ in folded.outputs):
            return max([table[read.term] for read, _ in folded.outputs])
        chosen = [set(names) for names in product(*lengths)]
        powers = self.powers.setdefault(folded.context, {})

        def power(p: Poly) -> int:
            found = powers.get(id(p))
            if found is None:
                # The polynomial is kept, so that no other has its number.
                found = powers[id(p)] = _power_of(folded.context.settled.of(p).substitute(same), chosen), p
            return found[0]

        return max(self._degree(read.term, table, power) for read, _ in folded.outputs)

    def _degree(self, term: Term, table: dict[Term, int], power: Callable[[Poly], int]) -> int:
        """Of a box and of all that it reads."""
        for now in postorder(term, table):
            mine = 0
            if now.kind == "box" and now.op.body is not None:
                mine = power(self.operations(now))
            elif now.kind == "box":
                # Sizes have no negative powers, so the power of a product is the sum of the powers.
                mine = _times(now.op) * sum([power(p) for _, p in now.work])
            table[now] = max([mine, *[table[c] for c, _, _ in now.ports]])
        return table[term]

    def parameters(self, weights: tuple[Term, ...]) -> Poly:
        """Learned numbers: the entries of all weights that are not frozen."""
        found = self.totals.get(weights)
        if found is None:
            if not weights:
                return Poly()
            found = self.totals[weights] = self.parameters(weights[:-1]) + self._entries(weights[-1])
        return found

    def _entries(self, weight: Term) -> Poly:
        found = self.totals.get(weight)
        if found is None:
            found = Poly() if weight.source.frozen else prod((p for _, p in weight.sized), start=Poly.of(1))
            self.totals[weight] = found
        return found

    def length_generic(self, folded: Folded) -> bool:
        """As `anatomy.ir.analysis.length_generic`."""
        key = (folded.weights, folded.context, folded.inputs)
        found = self.generic.get(key)
        if found is None:
            settled = folded.context.settled
            tied = {v for p in settled.rest for v in p.variables()}
            tied |= {v for w in folded.weights for _, p in w.sized for v in settled.of(p).variables()}
            found = self.generic[key] = all(
                settled.of(p).variables() - tied for t in folded.inputs for a, p in t.sized if a in tokens(t)
            )
        return found


def _looks_back(known: Known, read: Read, layout: tuple[str, ...]) -> bool | None:
    """Whether an output sees of every token axis nothing that is later, counted along one of its axes."""
    renames = tuple((b, a) for a, b in read.axes)
    fact = causality.seen(known.facts[read.out], Port(0, renames))
    found: bool | None = True
    for token, ways in fact.sees.items():
        holds = [a for a in layout if all(Place((a,)) in way for way in ways)]
        if not holds:
            return False
        if len(holds) < len(layout) and not any(token in known.roots[b] for b, a in renames if a in holds):
            found = None
    return found


_TIMES: dict[Op, int] = {}


def _times(op: Op) -> int:
    """The power of the volume in the operations of a box."""
    found = _TIMES.get(op)
    if found is None:
        found = _TIMES[op] = op.flops(Poly.var("w")).degree("w")
    return found


def _power_of(poly: Poly, chosen: list[set[str]]) -> int:
    return max((sum(e for v, e in m if v in names) for names in chosen for m, _ in poly.terms), default=0)


def tokens(term: Term) -> tuple[str, ...]:
    """The axes of an input that index tokens: of a real one all but the last (ruling 26)."""
    return term.axes[:-1] if term.kinds[0].name == "real" else term.axes


def boxed(term: Term) -> Node:
    return Node(term.op, term.own, tuple(Port(0, renames) for _, _, renames in term.ports), ())


def _stub(term: Term) -> Diagram:
    """What `opened` asks of the diagram around a loop."""
    return Diagram("", (), (), (), (), (), dict(term.work))


def _pointing(term: Term, out: int, fact: Fact) -> Fact:
    """Of an index is known where it points: there."""
    if term.kinds[out].name != "index" or fact.affine is not None:
        return fact
    return replace(fact, affine={Place(term.outs[out], f"#{id(term)} {out}"): Fraction(1)})


def lengths_of(folded: Folded, same: dict[str, Poly]) -> tuple[tuple[str, ...], ...]:
    """For each size of tokens the variables of which one stands for the length: of `n = c * r` either, never both."""
    rows: dict[tuple[str, ...], None] = {}
    for term in folded.inputs:
        for a, p in term.sized:
            if a in tokens(term):
                names = tuple(sorted(folded.context.settled.of(p).substitute(same).variables()))
                if names:
                    rows[names] = None
    return tuple(rows)
