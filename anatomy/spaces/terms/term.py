"""Terms: boxes without names, interned, and how a reader sees one of them.

Converts: boxes, one by one, into terms; repeats slide towards the outputs as in `anatomy.ir.repeats.slide`, so that a
term holds no repeat but where an axis is worked on.
Non-goals: merging equal boxes. Every box comes with a tag that no other box of its diagram has, so two boxes of one
diagram are always two terms; boxes of different diagrams with one tag and one reading are one term.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from typing import Any, Literal

from anatomy.ir.canonical import FAN_FREE, ROW_MAJOR, op_label
from anatomy.ir.graph import REAL, Kind, Renames, Weight
from anatomy.ir.op import Op
from anatomy.ir.poly import Poly
from anatomy.ir.repeats import is_repeat

Sizes = Callable[[str], Poly]


def number(*words: object) -> int:
    """A number of 60 bits that stands for what is given, the same in every process."""
    return int.from_bytes(blake2b(repr(words).encode(), digest_size=8).digest()) >> 4


class Look:
    """What a term is without what it reads: shared by all boxes with one operation under one naming. Compared by identity.

    `label` stands for the operation, the input or the kind of weight; the same in every process.
    """

    __slots__ = ("axes", "frames", "kinds", "label", "outs", "roles", "sized", "symmetric")

    def __init__(
        self, label: bytes, axes: tuple[str, ...], outs: tuple[tuple[str, ...], ...], kinds: tuple[Kind, ...],
        sized: tuple[tuple[str, Poly], ...], roles: Mapping[str, int], symmetric: bool,
    ):  # fmt: skip
        self.label, self.axes, self.outs, self.kinds, self.sized, self.symmetric = label, axes, outs, kinds, sized, symmetric
        self.roles = roles
        """For each axis a number that says what it is to the operation."""
        self.frames: dict[Any, Any] = {}
        """What the walk has worked out."""


class Term:
    """A box with what it reads; or an input, or a weight. Compared by identity: `Store` interns.

    `axes` are its own axes and its lifts, `outs` those of each result; names are local to the term. `sized` are axes whose
    size is not given by what it reads. `work` are the axes over which the box was written, repeats not slid, with their sizes.
    """

    __slots__ = ("_marks", "axes", "kind", "kinds", "look", "op", "outs", "own", "plans", "ports", "sized", "source", "work")

    def __init__(self, kind: Literal["box", "input", "weight"], look: Look, op: Op, own: tuple[str, ...], ports: Ports, source: Any):
        self.kind, self.look, self.op, self.own, self.ports = kind, look, op, own, ports
        self.source = source
        """The weight, or the number of the input."""
        self.axes, self.outs, self.kinds, self.sized = look.axes, look.outs, look.kinds, look.sized
        self.work: tuple[tuple[str, Poly], ...] = ()
        self.plans: dict[Any, Any] = {}
        """What the walk has worked out."""
        self._marks: tuple[int, dict[str, int]] | None = None

    @property
    def marks(self) -> tuple[int, dict[str, int]]:
        """A number for the term, and one for each axis, that do not depend on names, nor on which weight of a type is read."""
        if self._marks is None:
            stack: list[Term] = [self]
            while stack:
                now = stack[-1]
                waiting = [c for c, _, _ in now.ports if c._marks is None]
                stack.extend(waiting)
                if not waiting:
                    stack.pop()
                    now._marks = now._marks or _marks(now)
        assert self._marks is not None
        return self._marks

    def __repr__(self) -> str:
        word = self.op.word if self.kind == "box" else f"{self.kind} {getattr(self.source, 'key', self.source)}"
        return f"<term {word}[{', '.join(self.axes)}]>"


Ports = tuple[tuple[Term, int, Renames], ...]


class Read:
    """A result of a term as a reader sees it: its axes under the reader's names, and those along which it is repeated."""

    __slots__ = ("axes", "names", "out", "repeated", "term")

    def __init__(self, term: Term, out: int, axes: Renames, repeated: tuple[tuple[str, Poly], ...]):
        self.term, self.out = term, out
        self.axes = axes
        """(reader's name, term's name), sorted."""
        self.repeated = repeated
        """(reader's name, size), sorted."""
        self.names = (*[a for a, _ in axes], *[a for a, _ in repeated])


class Store:
    """The tables of terms and of readings. Terms live as long as the store."""

    def __init__(self) -> None:
        self._terms: dict[Hashable, Term] = {}
        self._reads: dict[Hashable, Read] = {}
        self._looks: dict[Hashable, Look] = {}
        self._work: dict[Hashable, tuple[tuple[str, Poly], ...]] = {}

    def __len__(self) -> int:
        return len(self._terms)

    # readings -----------------------------------------------------------------------------------

    def read(self, term: Term, out: int, axes: Renames, repeated: tuple[tuple[str, Poly], ...] = ()) -> Read:
        if len(axes) > 1:
            axes = tuple(sorted(axes))
        if len(repeated) > 1:
            repeated = tuple(sorted(repeated, key=lambda pair: pair[0]))
        key = (term, out, axes, repeated)
        found = self._reads.get(key)
        if found is None:
            found = self._reads[key] = Read(term, out, axes, repeated)
        return found

    def renamed(self, read: Read, table: Mapping[str, str]) -> Read:
        """The reading under other names; a name that is not in the table is kept."""
        get = table.get
        for a in read.names:
            if get(a, a) != a:
                axes = tuple([(get(a, a), b) for a, b in read.axes])
                return self.read(read.term, read.out, axes, tuple([(get(a, a), p) for a, p in read.repeated]))
        return read

    def repeat(self, read: Read, axes: Mapping[str, Poly]) -> Read:
        """The reading, repeated along further axes."""
        return self.read(read.term, read.out, read.axes, (*read.repeated, *axes.items()))

    # leaves -------------------------------------------------------------------------------------

    def input(self, tag: Hashable, k: int, layout: Sequence[str], kind: Kind, sizes: Sizes) -> Read:
        return self._leaf(tag, "input", k, b"input %d" % k, {a: p for p, a in enumerate(layout)}, kind, sizes)

    def weight(self, tag: Hashable, weight: Weight, sizes: Sizes) -> Read:
        """A weight whose axes have the names of its layout."""
        label = _digest(f"weight {weight.init} {weight.frozen} {len(weight.layout)}")
        return self._leaf(tag, "weight", weight, label, {a: number(role) for a, role in roles(weight).items()}, REAL, sizes)

    def _leaf(
        self, tag: Hashable, what: Literal["input", "weight"], source: object, label: bytes, roles: Mapping[str, int], kind: Kind,
        sizes: Sizes,
    ) -> Read:  # fmt: skip
        found = self._terms.get(tag)
        if found is None:
            axes = tuple(roles)
            look = Look(label, axes, (axes,), (kind,), tuple([(a, sizes(a)) for a in axes]), roles, False)
            found = self._terms[tag] = Term(what, look, None, (), (), source)  # type: ignore[arg-type]
        return self.read(found, 0, tuple([(a, a) for a in found.axes]))

    # boxes --------------------------------------------------------------------------------------

    def box(self, tag: Hashable, op: Op, own: tuple[str, ...], reads: Sequence[Read], sizes: Sizes) -> tuple[Read, ...]:
        """The results of a box that reads these, under its own names for axes: laws S4 and S9 as in `slide`."""
        if is_repeat(op):
            return (self.repeat(reads[0], {a: sizes(a) for a in own}),)
        simple = not any(r.repeated for r in reads)
        if simple:
            repeated, spread = (), reads
        else:
            mine = set(own)
            known = {a: p for r in reads for a, p in r.repeated}
            spread = []
            for k, r in enumerate(reads):
                here = {a for a, _ in r.repeated}
                spread.append(self.spread((tag, k), r, here & mine - op.repeats(own, k)) if here else r)
            real = {a for r in spread for a, _ in r.axes} | mine
            repeated = tuple([(a, p) for a, p in known.items() if a not in real])
        key = (tag, *reads)
        term = self._terms.get(key)
        if term is None:
            term = self._terms[key] = self._made(op, own, spread, sizes)
            over = (term.look, *[r.names for r in reads])
            work = self._work.get(over)
            if work is None:
                repeats = {a: p for r in reads for a, p in r.repeated}
                written = dict.fromkeys((*own, *(a for r in reads for a in r.names)))
                work = self._work[over] = tuple([(a, repeats[a] if a in repeats else sizes(a)) for a in written])
            term.work = work
        return tuple([self.read(term, k, tuple([(a, a) for a in axes]), repeated) for k, axes in enumerate(term.outs)])

    def spread(self, tag: Hashable, read: Read, axes: set[str]) -> Read:
        """The reading really repeated along some of its axes, by a box of its own."""
        if not axes:
            return read
        key = (tag, read, frozenset(axes))
        term = self._terms.get(key)
        if term is None:
            own = tuple(sorted(axes))
            sizes = dict(read.repeated)
            under = self.read(read.term, read.out, read.axes)
            term = self._terms[key] = self._made(_expand(), own, [under], sizes.__getitem__)
        rest = tuple([(a, p) for a, p in read.repeated if a not in axes])
        return self.read(term, 0, tuple([(a, a) for a in term.axes]), rest)

    def _made(self, op: Op, own: tuple[str, ...], reads: Sequence[Read], sizes: Sizes) -> Term:
        ports = tuple([(r.term, r.out, tuple([(b, a) for a, b in r.axes])) for r in reads])
        held = {a for r in reads for a, _ in r.axes}
        sized = tuple([(a, sizes(a)) for a in own if a not in held])
        # Operations are kept by terms, so none of them has the number of another.
        key = (id(op), own, sized, *[(r.term.kinds[r.out].name, r.out, r.axes) for r in reads])
        look = self._looks.get(key)
        if look is None:
            look = self._looks[key] = _look(op, own, ports, sized)
        return Term("box", look, op, own, ports, None)


def roles(weight: Weight) -> dict[str, str]:
    """What each axis of a weight is to its initialiser."""
    plain = weight.init.name in FAN_FREE
    found: dict[str, str] = {}
    for axes, role in ((weight.lanes, "lane"), (weight.fan_in, "in"), (weight.fan_out, "out")):
        for k, axis in enumerate(axes):
            place = f" {k}" if weight.init.name in ROW_MAJOR and k else ""
            found[axis] = "axis" if plain else role + place
    return found


def _look(op: Op, own: tuple[str, ...], ports: Ports, sized: tuple[tuple[str, Poly], ...]) -> Look:
    lifts = tuple(sorted({b for _, _, renames in ports for _, b in renames} - set(own)))
    axes = (*own, *lifts)
    gives = op.gives(own)
    given = op.kinds([child.kinds[out] for child, out, _ in ports])
    kinds = tuple(op.placed(kind, own) for kind in given) if len(given) == len(gives) else (REAL,) * len(gives)
    role = {a: 1 if op.symmetric else 2 + k for k, a in enumerate(own)}
    outs = tuple([(*lifts, *g) for g in gives])
    return Look(label_of(op), axes, outs, kinds, sized, {a: role.get(a, 0) for a in axes}, op.symmetric)


def _marks(term: Term) -> tuple[int, dict[str, int]]:
    look = term.look
    if term.kind != "box":
        return number(look.label), {a: number(n) for a, n in look.roles.items()}
    loose = term.op.commutative
    seen: dict[str, list[tuple[int, ...]]] = {a: [] for a in term.axes}
    for k, (child, out, renames) in enumerate(term.ports):
        code, marks = child.marks
        for outer, inner in renames:
            seen[inner].append((0 if loose else k, code, out, marks[outer]))
    fixed = {a: p.constant() or 0 for a, p in term.sized}
    mine = {a: number(look.roles[a], fixed.get(a, 0), sorted(found)) for a, found in seen.items()}
    read = [(c.marks[0], out, sorted((c.marks[1][a], mine[b]) for a, b in renames)) for c, out, renames in term.ports]
    return number(look.label, len(term.outs), sorted(read) if loose else read), mine


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=12).digest()


_LABELS: dict[Op, bytes] = {}


def label_of(op: Op) -> bytes:
    """The operation with its attributes as 12 bytes; all loops are one."""
    if op.body is not None:
        return bytes(12)
    found = _LABELS.get(op)
    if found is None:
        found = _LABELS[op] = _digest(op_label(op))
    return found


@cache
def _expand() -> Op:
    from anatomy.ops import Expand

    return Expand()


def postorder(term: Term, known: Container[Term]) -> Iterator[Term]:
    """The term and all that it reads, what is read first, without what is known; the caller makes each known before the next."""
    stack = [term]
    while stack:
        now = stack[-1]
        if now in known:
            stack.pop()
            continue
        waiting = [child for child, _, _ in now.ports if child not in known]
        if waiting:
            stack.extend(waiting)
        else:
            yield stack.pop()
