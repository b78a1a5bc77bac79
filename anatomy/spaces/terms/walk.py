"""The serial of a tuple of terms: equal exactly when the diagrams that they come from are isomorphic.

Converts: outputs that read terms into bytes, by a walk back from the outputs that numbers boxes, weights and axes when
it first meets them. Where that leaves a choice (two operands of a commutative box, or two axes, that nothing tells
apart) every choice is walked and the least serial stands.
Non-goals: loops, open holes, and diagrams with more than `WALKS` choices (None): `anatomy.ir.canonical` does those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, permutations, product
from math import factorial, prod

from anatomy.ir.graph import Renames
from anatomy.spaces.terms.term import Look, Term

WALKS = 24
"""Ways to walk that are tried; it depends on the isomorphism class only whether there are more."""

Order = tuple[str, ...]


class TooMany(Exception):
    """More than `WALKS` ways, or a box that has no serial."""


class Slot:
    """How the axes of what a port reads are the numbered axes of the box."""

    __slots__ = ("codes", "here", "numbers", "orders", "out", "seen")

    def __init__(self, out: int, renames: Renames, place: Mapping[str, int]):
        self.out = out
        pairs = sorted([(place[inner], outer) for outer, inner in renames])
        self.here = {outer: n for n, outer in pairs}
        self.numbers = tuple([n for n, _ in pairs])
        self.seen = tuple([outer for _, outer in pairs])
        """The axes of what is read, in the order of the box."""
        self.codes: dict[Order, bytes] = {}
        self.orders: dict[Look, tuple[Order, ...]] = {}

    def code(self, order: Order) -> bytes:
        """How the axes of what is read, in its own order, are those of the box; 255 for one that the box does not see."""
        found = self.codes.get(order)
        if found is None:
            found = self.codes[order] = bytes((self.out, len(order), *[self.here.get(a, 255) for a in order]))
        return found


Entry = tuple[Slot, Term]
"""A port of a box whose axes are numbered, and what it reads."""


class Frame:
    """A look with its axes in order: what a term writes of itself, and its ports."""

    __slots__ = ("head", "order", "sizes", "slots")

    def __init__(self, term: Term, order: Order):
        look = term.look
        self.order = order
        held = dict(look.sized)
        self.sizes = tuple([held[a] for a in order if a in held])
        self.slots: list[Slot] = []
        if term.kind == "box":
            if term.op.body is not None or term.op.hole:
                raise TooMany
            own = set(term.own)
            flags = bytes([(a in own) + 2 * (a in held) for a in order])
            count = len(term.ports)
            self.head = look.label + bytes((count & 255, count >> 8, len(term.outs), len(order))) + flags
            place = {a: i for i, a in enumerate(order)}
            self.slots = [Slot(out, renames, place) for _, out, renames in term.ports]
        else:
            self.head = look.label + b"".join([look.roles[a].to_bytes(8, "big") for a in order])


class Plan:
    """A term with its axes in order."""

    __slots__ = ("entries", "frame", "met", "stretch", "ties")

    def __init__(self, term: Term, order: Order):
        self.stretch: Stretch | None = None
        self.met = False
        """It has been walked before, and so is worth a stretch."""
        frame = term.look.frames.get(order)
        if frame is None:
            frame = term.look.frames[order] = Frame(term, order)
        self.frame: Frame = frame
        self.entries: list[Entry] = [(slot, port[0]) for slot, port in zip(frame.slots, term.ports, strict=True)]
        self.ties: list[tuple[int, int]] = []
        if len(self.entries) > 1 and term.op.commutative:
            self.sort()
        self.entries.reverse()  # as a stack takes them

    def sort(self) -> None:
        """Operands by what they are; only where that is equal by all that is below them."""
        keys = [(t.look.label, s.out, s.numbers) for s, t in self.entries]
        if len(set(keys)) == len(keys):
            self.entries = [e for _, e in sorted(zip(keys, self.entries, strict=True), key=lambda pair: pair[0])]
            return
        deep = [
            (key, t.marks[0], [(s.here[a], t.marks[1][a]) for a in s.seen]) for key, (s, t) in zip(keys, self.entries, strict=True)
        ]
        row = sorted(zip(deep, self.entries, strict=True), key=lambda pair: pair[0])
        self.entries = [e for _, e in row]
        start = 0
        for i in range(1, len(row) + 1):
            if i == len(row) or row[i][0] != row[start][0]:
                if i - start > 1 and not all(same(self.entries[start], e) for e in self.entries[start + 1 : i]):
                    self.ties.append((start, i))
                start = i


def same(one: Entry, other: Entry) -> bool:
    return one[1] is other[1] and one[0].out == other[0].out and one[0].here == other[0].here


def plan(term: Term, order: Order) -> Plan:
    found = term.plans.get(order)
    if found is None:
        found = term.plans[order] = Plan(term, order)
    return found


def orders(term: Term, seen: Order) -> tuple[Order, ...]:
    """How the axes of a term may be ordered when its reader has numbered those it sees.

    Those with a role come first, in that order; then those that the reader sees, in the reader's order; then, by their
    marks, those that end in the box. Axes with one mark may stand in any order.
    """
    if term.kind != "box":
        return (term.axes if term.kind == "input" else seen,)
    if not term.op.symmetric:
        own = set(term.own)
        return ((*term.own, *[a for a in seen if a not in own]),)
    met = set(seen)
    ended = [a for a in term.axes if a not in met]
    if len(ended) < 2:
        return ((*seen, *ended),)
    marks = term.marks[1]
    alike: dict[int, list[str]] = {}
    for a in ended:
        alike.setdefault(marks[a], []).append(a)
    groups = [alike[mark] for mark in sorted(alike)]
    if prod(factorial(len(g)) for g in groups) > WALKS:
        raise TooMany
    return tuple((*seen, *(a for group in chosen for a in group)) for chosen in product(*(permutations(g) for g in groups)))


def serial(outputs: Sequence[Entry], inputs: Sequence[Term], text: Callable[[tuple[Frame, ...]], bytes]) -> bytes:
    """The least serial. `text` writes the sizes of frames, in the order of a walk. Raises TooMany."""
    best: bytes | None = None
    script: list[int] = []
    for _ in range(WALKS):
        walked, frames, counts = _walk(outputs, inputs, script)
        whole = walked + text(frames)
        if best is None or whole < best:
            best = whole
        while counts and script[len(counts) - 1] == counts[-1] - 1:
            counts.pop()
        if not counts:
            return best
        del script[len(counts) :]
        script[-1] += 1
    raise TooMany


@dataclass(slots=True)
class Stretch:
    """A part of a walk: all that is below one term, none of it met before but inputs. It is the same wherever it is walked."""

    text: bytes
    terms: tuple[Term, ...]
    frames: tuple[Frame, ...]
    sized: tuple[Frame, ...]


@dataclass(slots=True)
class _Begun:
    """A stretch that is being walked: where it began, and the first term that it reads."""

    plan: Plan
    depth: int
    written: int
    numbered: int
    sized: int
    counts: int
    lowest: int


WORTH = 6
"""Terms from which a stretch is kept."""


def _walk(outputs: Sequence[Entry], inputs: Sequence[Term], script: list[int]) -> tuple[bytes, tuple[Frame, ...], list[int]]:
    """One walk. `script` says what is taken at each choice, and is filled up; the number of ways at each choice comes out.

    A term that has been numbered is referred to by how many were numbered since, an input by its number.
    """
    numbered: dict[Term, tuple[int, Frame]] = {}
    written: list[bytes] = []
    sized: list[Frame] = []
    counts: list[int] = []
    begun: list[_Begun] = []
    for term in inputs:
        frame = plan(term, term.axes).frame
        numbered[term] = len(numbered), frame
        sized.append(frame)
    first = len(numbered)
    stack = list(reversed(outputs))
    while stack:
        slot, term = stack.pop()
        while begun and len(stack) < begun[-1].depth:
            _end(begun, written, numbered, sized, counts)
        known = numbered.get(term)
        if known is not None:
            n, frame = known
            written.append(slot.codes.get(frame.order) or slot.code(frame.order))
            if n < first:
                written.append((n | 0x80000000).to_bytes(4, "big"))
            else:
                written.append((len(numbered) - n).to_bytes(4, "big"))
                if begun and n < begun[-1].lowest:
                    begun[-1].lowest = n
            continue
        ways = slot.orders.get(term.look)
        if ways is None:
            ways = orders(term, slot.seen)
            if len(ways) == 1 and len(term.axes) < len(slot.seen) + 2:
                slot.orders[term.look] = ways
        order = ways[0] if len(ways) == 1 else ways[_choose(len(ways), script, counts)]
        found = term.plans.get(order) or plan(term, order)
        written.append(slot.codes.get(order) or slot.code(order))
        done = found.stretch
        n = len(numbered)
        if done is not None and numbered.keys().isdisjoint(done.terms):
            written.append(done.text)
            sized += done.sized
            numbered.update(zip(done.terms, zip(range(n, n + len(done.terms)), done.frames, strict=True), strict=True))
            continue
        frame = found.frame
        if found.entries and found.met:
            begun.append(_Begun(found, len(stack), len(written), n, len(sized), len(counts), n))
        found.met = True
        numbered[term] = n, frame
        written.append(frame.head)
        if frame.sizes:
            sized.append(frame)
        stack.extend(_ordered(found, numbered, script, counts) if found.ties else found.entries)
    while begun:
        _end(begun, written, numbered, sized, counts)
    return b"".join(written), tuple(sized), counts


def _end(
    begun: list[_Begun], written: list[bytes], numbered: dict[Term, tuple[int, Frame]], sized: list[Frame], counts: list[int]
) -> None:
    """A stretch has been walked; it is kept where it reads nothing from before, and left no choice."""
    last = begun.pop()
    if begun and last.lowest < begun[-1].lowest:
        begun[-1].lowest = last.lowest
    count = len(numbered) - last.numbered
    if last.plan.stretch is not None or count < WORTH or last.lowest < last.numbered or len(counts) > last.counts:
        return
    text = b"".join(written[last.written :])
    # Written as one piece, so that what is around it is joined faster.
    written[last.written :] = [text]
    items = list(islice(reversed(numbered.items()), count))
    items.reverse()
    last.plan.stretch = Stretch(text, tuple([t for t, _ in items]), tuple([f for _, (_, f) in items]), tuple(sized[last.sized :]))


def _choose(ways: int, script: list[int], counts: list[int]) -> int:
    counts.append(ways)
    if len(script) < len(counts):
        script.append(0)
    return script[len(counts) - 1]


def _ordered(found: Plan, numbered: dict[Term, tuple[int, Frame]], script: list[int], counts: list[int]) -> list[Entry]:
    """The operands of a commutative box: those alike by what has been numbered before, else in every order."""
    entries = found.entries[::-1]
    fresh = len(numbered)
    for start, end in found.ties:
        groups: dict[tuple[int, bytes], list[Entry]] = {}
        for slot, term in entries[start:end]:
            known = numbered.get(term)
            where = (fresh, b"") if known is None else (known[0], slot.code(known[1].order))
            groups.setdefault(where, []).append((slot, term))
        row: list[Entry] = []
        for where in sorted(groups):
            group = groups[where]
            if where[0] == fresh and len(group) > 1:
                ways = _arrangements(group)
                group = ways[0] if len(ways) == 1 else ways[_choose(len(ways), script, counts)]
            row.extend(group)
        entries[start:end] = row
    return entries[::-1]


def _arrangements(group: list[Entry]) -> list[list[Entry]]:
    """The orders of operands, where equal ones are not told apart."""
    kinds: list[list[Entry]] = []
    for e in group:
        near = next((k for k in kinds if same(k[0], e)), None)
        if near is None:
            kinds.append([e])
        else:
            near.append(e)
    if len(group) > 8:
        raise TooMany
    found = sorted(set(permutations([i for i, k in enumerate(kinds) for _ in k])))
    if len(found) > WALKS:
        raise TooMany
    return [[kinds[i][0] for i in way] for way in found]
