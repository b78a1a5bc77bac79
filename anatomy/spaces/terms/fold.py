"""Diagrams folded into terms: any closed diagram as it is, or a callee in place of a hole.

Converts: a diagram and what its inputs read into what its outputs read, as `Builder.splice` copies a callee in.
Non-goals: typing; a filler is known to fit.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from anatomy.ir.canonical import digest
from anatomy.ir.equations import Settled
from anatomy.ir.graph import Diagram, Equation, Node, Port
from anatomy.ir.live import live
from anatomy.ir.poly import Poly
from anatomy.spaces.terms.sizes import size_serial
from anatomy.spaces.terms.term import Read, Sizes, Store, Term
from anatomy.spaces.terms.walk import Entry, Frame, Slot, TooMany, serial

Hole = Callable[[int, Node, tuple[Read, ...]], tuple[Read, ...]]


@dataclass(frozen=True, eq=False)
class Context:
    """What many members have in common beside their terms. Compared by identity.

    `front` says what inputs and outputs are, without names; `into` are the sizes of axes that inputs point into; `shapes`
    the sizes of the layouts of the outputs.
    """

    front: bytes
    into: tuple[Poly, ...]
    shapes: tuple[tuple[Poly, ...], ...]
    settled: Settled
    equations: tuple[Equation, ...]
    defaults: tuple[tuple[str, Poly], ...]
    written: dict[tuple[Frame, ...], bytes] = field(default_factory=dict)
    slots: dict[object, Slot] = field(default_factory=dict)
    sizes: dict[int, tuple[Poly, Poly]] = field(default_factory=dict)

    def size(self, p: Poly) -> Poly:
        """What the equations make of a size."""
        found = self.sizes.get(id(p))
        if found is None:
            found = self.sizes[id(p)] = self.settled.of(p), p  # which keeps it, and so its number
        return found[0]


@dataclass(frozen=True, eq=False)
class Folded:
    """A closed diagram as terms: what its outputs read, under the axes of their layouts, and all its weights, used or not."""

    inputs: tuple[Term, ...]
    outputs: tuple[tuple[Read, tuple[str, ...]], ...]
    weights: tuple[Term, ...]
    context: Context


def fold(
    store: Store, diagram: Diagram, reads: Sequence[Read], weights: Sequence[Read], axis: Mapping[str, str],
    sizes: Sizes, tag: Hashable, hole: Hole | None = None,
) -> list[Read]:  # fmt: skip
    """What the outputs of a diagram read when it stands where its inputs read `reads`, under the names `axis`.

    `tag` and the number of a box are the box's own in the whole.
    """
    return folded_along(store, plan_of(diagram, axis), reads, weights, sizes, tag, hole)


@dataclass(frozen=True)
class Copying:
    """A diagram under other names, ready to be folded again and again."""

    inputs: tuple[int, ...]
    weights: tuple[int, ...]
    boxes: tuple[tuple[int, Node, tuple[str, ...], tuple[tuple[int, dict[str, str]], ...]], ...]
    """(number, node, its own axes, for each port the wire and what its axes are called)."""
    outputs: tuple[tuple[int, dict[str, str]], ...]


def plan_of(diagram: Diagram, axis: Mapping[str, str]) -> Copying:
    def port(p: Port) -> tuple[int, dict[str, str]]:
        return p.wire, {axis[a]: axis[b] for a, b in p.renames}

    boxes = []
    for i in live(diagram):
        node = diagram.nodes[i]
        boxes.append((i, node, tuple(axis[a] for a in node.own), tuple(map(port, node.ports))))
    return Copying(
        tuple(i.wire for i in diagram.inputs), tuple(w.wire for w in diagram.weights), tuple(boxes), tuple(port(o.port) for o in diagram.outputs)
    )


def folded_along(
    store: Store, plan: Copying, reads: Sequence[Read], weights: Sequence[Read], sizes: Sizes, tag: Hashable, hole: Hole | None = None
) -> list[Read]:
    """As `fold`."""
    wires: dict[int, Read] = dict(zip(plan.inputs, reads, strict=True))
    wires.update(zip(plan.weights, weights, strict=True))
    renamed = store.renamed
    for i, node, own, ports in plan.boxes:
        given = [renamed(wires[w], table) for w, table in ports]
        if hole is not None and node.op.hole:
            made = hole(i, node, tuple(given))
        else:
            made = store.box((tag, i), node.op, own, given, sizes)
        for wire, read in zip(node.outs, made, strict=True):
            wires[wire] = read
    return [renamed(wires[w], table) for w, table in plan.outputs]


def terms(diagram: Diagram, store: Store | None = None) -> Folded:
    """Any diagram as terms that it shares with no other.

    >>> from anatomy.target import load_diagram
    >>> folded = terms(load_diagram("zoo:alibi"))
    >>> len(folded.inputs), key(folded) == key(terms(load_diagram("zoo:alibi")))
    (1, True)
    """
    store = store or Store()
    tag = object()
    sizes = diagram.sizes.__getitem__
    same = {a: a for a in diagram.sizes}
    inputs = inputs_of(store, diagram, tag, sizes)
    weights = [store.weight((tag, "weight", k), w, sizes) for k, w in enumerate(diagram.weights)]
    outs = fold(store, diagram, inputs, weights, same, sizes, tag)
    around = context(diagram, diagram.settled, diagram.equations, diagram.defaults, sizes)
    return closed(store, diagram, tag, inputs, outs, tuple(w.term for w in weights), around)


def inputs_of(store: Store, diagram: Diagram, tag: Hashable, sizes: Sizes) -> list[Read]:
    return [
        store.input((tag, "input", k), k, i.layout, diagram.wires[i.wire].kind, sizes) for k, i in enumerate(diagram.inputs)
    ]


def context(
    diagram: Diagram, settled: Settled, equations: tuple[Equation, ...], defaults: tuple[tuple[str, Poly], ...], sizes: Sizes
) -> Context:
    kinds = [diagram.wires[i.wire].kind for i in diagram.inputs]
    words = [(len(i.layout), kind.name) for i, kind in zip(diagram.inputs, kinds, strict=True)]
    front = f"{words} {[(len(o.layout), o.kind.name == 'index') for o in diagram.outputs]}".encode()
    into = tuple(sizes(kind.axis) for kind in kinds if kind.name == "index")
    shapes = tuple(tuple(map(sizes, o.layout)) for o in diagram.outputs)
    return Context(front, into, shapes, settled, equations, defaults)


def closed(
    store: Store, diagram: Diagram, tag: Hashable, inputs: Sequence[Read], outs: Sequence[Read], weights: tuple[Term, ...], around: Context
) -> Folded:
    """With the ends of the diagram; a repeat that reaches an output stands there."""
    ends = []
    for k, (read, item) in enumerate(zip(outs, diagram.outputs, strict=True)):
        axes = {a for a, _ in read.repeated}
        ends.append((store.spread((tag, "output", k), read, axes) if axes else read, item.layout))
    return Folded(tuple([r.term for r in inputs]), tuple(ends), weights, around)


def entries(folded: Folded) -> list[Entry]:
    """The outputs as the walk starts from them."""
    found = []
    for read, layout in folded.outputs:
        key = (read.out, read.axes, layout)
        slot = folded.context.slots.get(key)
        if slot is None:
            renames = tuple([(b, a) for a, b in read.axes])
            slot = folded.context.slots[key] = Slot(read.out, renames, {a: i for i, a in enumerate(layout)})
        found.append((slot, read.term))
    return found


def key(folded: Folded) -> bytes | None:
    """16 bytes that two foldings share exactly when their diagrams are isomorphic (`anatomy.ir.canonical`); None where the walk gives up.

    Whether it gives up depends on the isomorphism class only.
    """
    context = folded.context

    def text(frames: tuple[Frame, ...]) -> bytes:
        found = context.written.get(frames)
        if found is None:
            sizes = [context.size(p) for frame in frames for p in frame.sizes]
            found = context.written[frames] = size_serial((*map(context.size, context.into), *sizes), context.settled.rest).encode()
        return found

    try:
        whole = serial(entries(folded), folded.inputs, text)
    except TooMany:
        return None
    return blake2b(context.front + b"|" + whole, digest_size=16, person=b"walk").digest()


def slow_key(diagram: Diagram) -> bytes:
    """The key of a diagram on which the walk gives up: never that of one on which it does not."""
    return blake2b(digest(diagram).encode(), digest_size=16, person=b"graph").digest()
