"""What is known of a diagram for free: the facts that `anatomy show` prints."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from anatomy.ir.causality import reach
from anatomy.ir.graph import Diagram
from anatomy.ir.live import live
from anatomy.ir.loop import opened
from anatomy.ir.poly import Monomial, Poly
from anatomy.ir.strands import Strands, strands, tokens


@dataclass(frozen=True)
class Analysis:
    """Costs as polynomials in the size variables; None where a property is not proved."""

    parameters: Poly
    flops: Poly
    memory: Poly
    length_generic: bool
    equivariant: bool | None
    causal: bool | None
    lane_local: bool | None


def analyse(diagram: Diagram) -> Analysis:
    """All analyses of a diagram, open or closed. Nothing is claimed of tokens where no input has any.

    >>> from anatomy.ir.builder import Builder
    >>> from anatomy.ir.graph import Output
    >>> from anatomy.ops import Softmax
    >>> b = Builder(); x = b.input("x", ["n", "d"]); (y,) = b.add(Softmax(), ["n"], [x])
    >>> found = analyse(b.finish("over_tokens", [Output(y.port, ("n", "d"))]))
    >>> str(found.flops), found.equivariant, found.causal
    ('5 * d * n', True, None)
    """
    if not tokens(diagram):
        nothing = (length_generic(diagram), None, None, None)
        return Analysis(parameters(diagram), flops(diagram), memory(diagram), *nothing)
    found = reach(diagram)
    return Analysis(
        parameters(diagram),
        flops(diagram),
        memory(diagram),
        length_generic(diagram),
        equivariant(diagram) or None,
        found.causal or None,
        found.local or None,
    )


def volume(diagram: Diagram, axes: tuple[str, ...]) -> Poly:
    """The number of points of a product of axes."""
    return prod((diagram.sizes[a] for a in axes), start=Poly.of(1))


def parameters(diagram: Diagram) -> Poly:
    """Learned numbers: the entries of all weights that are not frozen, a tied weight once."""
    return sum((volume(diagram, w.layout) for w in diagram.weights if not w.frozen), start=Poly())


def flops(diagram: Diagram) -> Poly:
    """Floating-point operations of one forward pass for one point of the lifts.

    Each box counts `Op.flops` at the points of its own axes and lifts. A contraction of three or more
    operands counts as one sum over all axes, an upper bound on what the chosen order of contraction costs. A loop
    counts its body once for every step.
    """
    total = Poly()
    for i in live(diagram):
        node = diagram.nodes[i]
        if node.op.body is not None:
            total = total + volume(diagram, node.own[:1]) * flops(opened(diagram, node))
            continue
        total = total + node.op.flops(volume(diagram, tuple(dict.fromkeys((*node.own, *node.lifts)))))
    return total


def memory(diagram: Diagram) -> Poly:
    """An upper bound on the numbers held at once in a forward pass without gradients.

    The model: weights and inputs are held throughout; boxes run in the diagram's order; every box writes
    each result to memory of its own, numbers and sizes excepted; a result is freed after its last reader;
    nothing is fused. The bound takes the greatest coefficient of each monomial over all steps.
    """
    order = live(diagram)
    held = {i.wire for i in diagram.inputs} | {w.wire for w in diagram.weights}
    base = sum((volume(diagram, diagram.wires[w].axes) for w in sorted(held)), start=Poly())
    last = {p.wire: step for step, i in enumerate(order) for p in diagram.nodes[i].ports}
    last.update((o.port.wire, len(order)) for o in diagram.outputs)
    freed: dict[int, list[int]] = {}
    for wire, step in last.items():
        freed.setdefault(step, []).append(wire)
    now, peak = Poly(), dict[Monomial, int]()
    size = {}
    for step, i in enumerate(order):
        node = diagram.nodes[i]
        for wire in node.outs:
            axes = diagram.wires[wire].axes
            size[wire] = volume(diagram, axes) if axes or node.ports else Poly()
            now = now + size[wire]
        for monomial, count in now.terms:
            peak[monomial] = max(peak.get(monomial, 0), count)
        for wire in freed.get(step, ()):
            now = now - size.get(wire, Poly())
        for wire in node.outs:
            if wire not in last:
                now = now - size[wire]
    return base + sum((Poly(((m, c),)) for m, c in peak.items()), start=Poly())


def length_generic(diagram: Diagram) -> bool:
    """Whether one set of weights serves every length.

    The size of each token axis has a variable on which no weight's shape depends and that no equation ties.
    """
    settled = diagram.settled
    tied = {v for p in settled.rest for v in p.variables()}
    for weight in diagram.weights:
        for axis in weight.layout:
            tied |= settled.of(diagram.sizes[axis]).variables()
    return all(settled.of(diagram.sizes[axis]).variables() - tied for _, axis in tokens(diagram))


def equivariant(diagram: Diagram) -> bool:
    """Whether permuting tokens permutes the outputs in the same way: True where it is proved.

    A permutation acts on a token axis, on every axis that is joined with it, and on output axes of the same
    size. Proved when no box that
    knows positions, no hole, no weight and no feature axis of an input has such an axis; comparing
    positions by `==` and `!=` is allowed.
    """
    found = strands(diagram, compared=True)
    token = {found.wire(diagram.inputs[k].wire, axis) for k, axis in tokens(diagram)}
    sizes = {diagram.sizes[axis] for _, axis in tokens(diagram)}
    for k, output in enumerate(diagram.outputs):
        token |= {found.of["out", k, axis] for axis in output.layout if diagram.sizes[axis] in sizes}
    for item in diagram.inputs:
        if diagram.wires[item.wire].kind.name == "real" and item.layout:
            if found.wire(item.wire, item.layout[-1]) in token:
                return False
    for weight in diagram.weights:
        if diagram.consumers[weight.wire] and any(found.wire(weight.wire, a) in token for a in weight.layout):
            return False
    harmless = _compared(diagram, found)
    for i in live(diagram):
        node = diagram.nodes[i]
        axes = node.own if node.op.hole else node.op.positional(node.own, [bool(diagram.consumers[w]) for w in node.outs])
        if i not in harmless and any(found.box(i, a) in token for a in axes):
            return False
    return True


def _compared(diagram: Diagram, found: Strands) -> set[int]:
    """Positions that are only tested for equality with positions of the same strand."""
    iota = {n.outs[0]: i for i, n in enumerate(diagram.nodes) if n.op.word == "iota"}
    alive = set(live(diagram))
    harmless = set()
    for wire, i in iota.items():
        readers = [k for k, _ in diagram.consumers[wire] if k == -1 or k in alive]

        def equality(k: int, i: int = i) -> bool:
            node = diagram.nodes[k]
            if k == -1 or node.op.word not in ("==", "!="):
                return False
            others = [iota.get(p.wire) for p in node.ports]
            mine = found.box(i, diagram.nodes[i].own[0])
            return all(o is not None and found.box(o, diagram.nodes[o].own[0]) == mine for o in others)

        if i in alive and all(map(equality, readers)):
            harmless.add(i)
    return harmless
