"""The serial of a tuple of terms: equal exactly when the diagrams that they come from are isomorphic.

Converts: outputs that read terms into bytes, by a walk back from the outputs that numbers boxes, weights and axes when
it first meets them. Where that leaves a choice (two operands of a commutative box, or two axes, that nothing tells
apart) every choice is walked and the least serial stands.
Non-goals: loops, open holes, and diagrams with more than `WALKS` choices (None): `anatomy.ir.canonical` does those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import permutations, product
from math import factorial, prod

from anatomy.ir.graph import Renames
from anatomy.ir.poly import Poly
from anatomy.spaces.terms.term import Term, roles

WALKS = 24
"""Ways to walk that are tried; it depends on the isomorphism class only whether there are more."""

Order = tuple[str, ...]


class TooMany(Exception):
    """More than `WALKS` ways, or a box that has no serial."""


class Entry:
    """An operand of a box whose axes are numbered: which term, and how its axes are those of the box."""

    __slots__ = ("codes", "key", "order", "out", "plans", "term")

    def __init__(self, port: tuple[Term, int, Renames], place: dict[str, int], sort: bool = False):
        self.term, self.out, renames = port
        self.order = [(outer, place[inner]) for outer, inner in renames]
        """(axis of the term, number at the box)."""
        self.plans: tuple[Plan, ...] | None = None
        self.codes: dict[Plan, bytes] = {}
        look = self.term.look
        self.key = (look.hash, self.out, sorted([(n, look.marks[outer]) for outer, n in self.order])) if sort else ()

    def fresh(self) -> tuple[Plan, ...]:
        """The ways to number the axes of the term, when this is the first that reads it."""
        if self.plans is None:
            seen = tuple(a for a, _ in sorted(self.order, key=lambda pair: pair[1]))
            self.plans = tuple(plan(self.term, order) for order in orders(self.term, seen))
        return self.plans

    def code(self, to: Plan) -> bytes:
        """How the axes of the term, in its own numbering, are those of the box; an axis that the box does not see is 255."""
        found = self.codes.get(to)
        if found is None:
            here = dict(self.order)
            found = self.codes[to] = bytes((self.out, len(to.order), *[here.get(a, 255) for a in to.order]))
        return found

    def same(self, other: Entry) -> bool:
        return self.term is other.term and self.out == other.out and dict(self.order) == dict(other.order)


class Plan:
    """A term with its axes in order: its own part of the serial, and its operands."""

    __slots__ = ("entries", "head", "order", "sizes", "ties")

    def __init__(self, term: Term, order: Order):
        self.order = order
        held = dict(term.sized)
        self.sizes: tuple[Poly, ...] = tuple(held[a] for a in order if a in held)
        self.entries: list[Entry] = []
        self.ties: list[tuple[int, int]] = []
        match term.kind:
            case "input":
                self.head = b"input %d " % term.source
                return
            case "weight":
                role, weight = roles(term.source), term.source
                self.head = _digest(f"weight {weight.init} {weight.frozen} {[role[a] for a in order]}")
                return
        op = term.op
        if op.body is not None or op.hole:
            raise TooMany
        own = set(term.own)
        flags = bytes([(a in own) + 2 * (a in held) for a in order])
        self.head = term.look.label + bytes((len(term.ports) & 255, len(term.ports) >> 8, len(term.outs), len(order))) + flags
        place = {a: i for i, a in enumerate(order)}
        self.entries = [Entry(p, place, op.commutative) for p in term.ports]
        if op.commutative:
            self.entries.sort(key=lambda e: e.key)
            start = 0
            for i in range(1, len(self.entries) + 1):
                if i == len(self.entries) or self.entries[i].key != self.entries[start].key:
                    if i - start > 1 and not all(self.entries[start].same(e) for e in self.entries[start + 1 : i]):
                        self.ties.append((start, i))
                    start = i


def plan(term: Term, order: Order) -> Plan:
    found = term.plans.get(order)
    if found is None:
        found = term.plans[order] = Plan(term, order)
    return found


def orders(term: Term, seen: Order) -> list[Order]:
    """How the axes of a term may be ordered when its reader has numbered those it sees.

    Those with a role come first, in that order; then those that the reader sees, in the reader's order; then, by their
    marks, those that end in the box. Axes with one mark may stand in any order.
    """
    if term.kind != "box":
        return [term.axes if term.kind == "input" else seen]
    if not term.op.symmetric:
        own = set(term.own)
        return [(*term.own, *(a for a in seen if a not in own))]
    met = set(seen)
    ended: dict[int, list[str]] = {}
    for a in term.axes:
        if a not in met:
            ended.setdefault(term.look.marks[a], []).append(a)
    groups = [ended[mark] for mark in sorted(ended)]
    if prod(factorial(len(g)) for g in groups) > WALKS:
        raise TooMany
    return [(*seen, *(a for group in chosen for a in group)) for chosen in product(*(permutations(g) for g in groups))]


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=12).digest()


_NUMBERS = [i.to_bytes(4, "big") for i in range(4096)]


def serial(outputs: Sequence[Entry], inputs: Sequence[Term], text: Callable[[tuple[Poly, ...]], bytes]) -> tuple[bytes, tuple[Term, ...]]:
    """The least serial, and the terms that it numbers, inputs first. `text` writes the sizes that a walk has met, in its order.

    Raises TooMany.
    """
    best: tuple[bytes, tuple[Term, ...]] | None = None
    script: list[int] = []
    for _ in range(WALKS):
        walked, sizes, met, counts = _walk(outputs, inputs, script)
        whole = walked + text(sizes)
        if best is None or whole < best[0]:
            best = whole, met
        while counts and script[len(counts) - 1] == counts[-1] - 1:
            counts.pop()
        if not counts:
            return best
        del script[len(counts) :]
        script[-1] += 1
    raise TooMany


def _walk(
    outputs: Sequence[Entry], inputs: Sequence[Term], script: list[int]
) -> tuple[bytes, tuple[Poly, ...], tuple[Term, ...], list[int]]:
    """One walk. `script` says what is taken at each choice, and is filled up; the number of ways at each choice comes out."""
    numbered: dict[Term, tuple[int, Plan]] = {}
    written: list[bytes] = []
    sizes: list[Poly] = []
    counts: list[int] = []
    for term in inputs:
        numbered[term] = len(numbered), (found := plan(term, term.axes))
        sizes.extend(found.sizes)
    stack = list(reversed(outputs))
    while stack:
        entry = stack.pop()
        term = entry.term
        known = numbered.get(term)
        if known is not None:
            n, found = known
            written.append(entry.codes.get(found) or entry.code(found))
            written.append(_NUMBERS[n] if n < 4096 else n.to_bytes(4, "big"))
            continue
        plans = entry.fresh() if entry.plans is None else entry.plans
        found = plans[_choose(len(plans), script, counts)] if len(plans) > 1 else plans[0]
        numbered[term] = len(numbered), found
        written.append(entry.codes.get(found) or entry.code(found))
        written.append(found.head)
        sizes.extend(found.sizes)
        entries = _ordered(found, numbered, script, counts) if found.ties else found.entries
        stack.extend(entries[::-1])
    return b"".join(written), tuple(sizes), tuple(numbered), counts


def _choose(ways: int, script: list[int], counts: list[int]) -> int:
    counts.append(ways)
    if len(script) < len(counts):
        script.append(0)
    return script[len(counts) - 1]


def _ordered(found: Plan, numbered: dict[Term, tuple[int, Plan]], script: list[int], counts: list[int]) -> list[Entry]:
    """The operands of a commutative box: those alike by what has been numbered before, else in every order."""
    entries = list(found.entries)
    for start, end in found.ties:
        groups: dict[tuple[int, bytes], list[Entry]] = {}
        for e in entries[start:end]:
            n, to = numbered.get(e.term, (len(numbered), None))
            groups.setdefault((n, e.code(to) if to is not None else b""), []).append(e)
        row: list[Entry] = []
        for key in sorted(groups):
            group = groups[key]
            if key[0] == len(numbered) and len(group) > 1:
                ways = _arrangements(group)
                group = ways[_choose(len(ways), script, counts)] if len(ways) > 1 else ways[0]
            row.extend(group)
        entries[start:end] = row
    return entries


def _arrangements(group: list[Entry]) -> list[list[Entry]]:
    """The orders of operands, where equal ones are not told apart."""
    kinds: list[list[Entry]] = []
    for e in group:
        near = next((k for k in kinds if k[0].same(e)), None)
        if near is None:
            kinds.append([e])
        else:
            near.append(e)
    if len(group) > 8:
        raise TooMany
    names = [i for i, k in enumerate(kinds) for _ in k]
    found = sorted(set(permutations(names))) if factorial(len(group)) <= 40_320 else []
    if len(found) > WALKS:
        raise TooMany
    return [[kinds[i][0] for i in way] for way in found]
