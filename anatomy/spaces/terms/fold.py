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
from anatomy.spaces.terms.walk import Entry, TooMany, serial

Hole = Callable[[int, Node, tuple[Read, ...]], tuple[Read, ...]]


@dataclass(frozen=True)
class Folded:
    """A closed diagram as terms: what its outputs read, under the axes of their layouts.

    `front` says what inputs and outputs are, without names; `into` are the sizes of axes that inputs point into.
    """

    inputs: tuple[Term, ...]
    outputs: tuple[tuple[Read, tuple[str, ...]], ...]
    front: bytes
    into: tuple[Poly, ...]
    settled: Settled
    equations: tuple[Equation, ...] = ()
    defaults: tuple[tuple[str, Poly], ...] = ()
    weights: tuple[Term, ...] = field(default=(), compare=False)
    """All weights, used or not."""
    shapes: tuple[tuple[Poly, ...], ...] = ()
    """The sizes of the layouts of the outputs."""


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
    >>> folded = terms(load_diagram("zoo:scaled_dot_product"))
    >>> len(folded.inputs), key(folded) == key(terms(load_diagram("zoo:scaled_dot_product")))
    (3, True)
    """
    store = store or Store()
    tag = object()
    sizes = diagram.sizes.__getitem__
    same = {a: a for a in diagram.sizes}
    inputs = inputs_of(store, diagram, tag, sizes)
    weights = [store.weight((tag, "weight", k), w, sizes) for k, w in enumerate(diagram.weights)]
    outs = fold(store, diagram, inputs, weights, same, sizes, tag)
    return closed(store, diagram, tag, inputs, outs, diagram.settled, diagram.equations, diagram.defaults, tuple(w.term for w in weights), sizes)


def inputs_of(store: Store, diagram: Diagram, tag: Hashable, sizes: Sizes) -> list[Read]:
    return [
        store.input((tag, "input", k), k, i.layout, diagram.wires[i.wire].kind, sizes) for k, i in enumerate(diagram.inputs)
    ]


def closed(
    store: Store, diagram: Diagram, tag: Hashable, inputs: Sequence[Read], outs: Sequence[Read], settled: Settled,
    equations: tuple[Equation, ...], defaults: tuple[tuple[str, Poly], ...], weights: tuple[Term, ...],
    sizes: Sizes,
) -> Folded:  # fmt: skip
    """With the ends of the diagram; a repeat that reaches an output stands there."""
    ends = []
    for k, (read, item) in enumerate(zip(outs, diagram.outputs, strict=True)):
        axes = {a for a, _ in read.repeated}
        ends.append((store.spread((tag, "output", k), read, axes) if axes else read, item.layout))
    kinds = [diagram.wires[i.wire].kind for i in diagram.inputs]
    words = [(len(i.layout), kind.name) for i, kind in zip(diagram.inputs, kinds, strict=True)]
    front = f"{words} {[(len(o.layout), o.kind.name == 'index') for o in diagram.outputs]}".encode()
    into = tuple(sizes(kind.axis) for kind in kinds if kind.name == "index")
    shapes = tuple(tuple(map(sizes, o.layout)) for o in diagram.outputs)
    return Folded(tuple(r.term for r in inputs), tuple(ends), front, into, settled, equations, defaults, weights, shapes)


def entries(folded: Folded) -> list[Entry]:
    """The outputs as the walk starts from them."""
    return [
        Entry((r.term, r.out, tuple([(b, a) for a, b in r.axes])), {a: i for i, a in enumerate(layout)}) for r, layout in folded.outputs
    ]


def key(folded: Folded, written: dict[object, bytes] | None = None) -> bytes | None:
    """16 bytes that two foldings share exactly when their diagrams are isomorphic (`anatomy.ir.canonical`); None where the walk gives up.

    Whether it gives up depends on the isomorphism class only. `written` keeps sizes that were written before.
    """
    met = walked(folded, {} if written is None else written)
    return None if met is None else met[0]


def walked(folded: Folded, written: dict[object, bytes]) -> tuple[bytes, tuple[Term, ...]] | None:
    """The key, and the terms that reach an output, inputs first."""

    def text(sizes: tuple[Poly, ...]) -> bytes:
        asked = (sizes, folded.into, folded.equations)
        found = written.get(asked)
        if found is None:
            found = written[asked] = size_serial((*folded.into, *sizes), folded.settled).encode()
        return found

    try:
        whole, met = serial(entries(folded), folded.inputs, text)
    except TooMany:
        return None
    return blake2b(folded.front + b"|" + whole, digest_size=16, person=b"walk").digest(), met


def slow_key(diagram: Diagram) -> bytes:
    """The key of a diagram on which the walk gives up: never that of one on which it does not."""
    return blake2b(digest(diagram).encode(), digest_size=16, person=b"graph").digest()
