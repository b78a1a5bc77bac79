"""The body of a loop as the rest of the graph sees it: under the names of its node, with the node's lifts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from anatomy.ir.graph import Diagram, Kind, Node, Port


@lru_cache(maxsize=4096)
def under(node: Node) -> Diagram:
    """The body of a loop node with its axes named as at the node, without the lifts."""
    inner = node.op.body
    assert inner is not None
    return relabelled(inner, dict(zip(inner.header, node.own[1:], strict=True)))


def opened(diagram: Diagram, node: Node, along: bool = False) -> Diagram:
    """The body of a loop node as a diagram of its own, in which every wire has the axes that it has in one step.

    Its axes are those of the node, so the node's operand on port k is its input k. A carry has all lifts of the
    node, every other wire those of what it is made from. With `along` every wire of the loop has the axis
    of the loop too, as outside.
    """
    base = under(node)
    own = set(node.own)
    step = node.own[:1] if along else ()
    more: dict[int, tuple[str, ...]] = {}
    inputs = []
    for k, (item, port) in enumerate(zip(base.inputs, node.ports, strict=True)):
        lifts = node.lifts if k < node.op.carries else tuple(a for a in port.axes if a not in own)
        if along and (k < node.op.carries or node.own[0] in port.axes):
            lifts = (*step, *lifts)
        more[item.wire] = lifts
        inputs.append(replace(item, layout=(*lifts, *item.layout)))
    wires = list(base.wires)
    nodes = []
    for inner in base.nodes:
        nodes.append(replace(inner, ports=tuple(_wider(p, more) for p in inner.ports)))
        lifts = tuple(dict.fromkeys(a for p in inner.ports for a in more[p.wire]))
        more.update(dict.fromkeys(inner.outs, lifts))
    for w, lifts in more.items():
        wires[w] = replace(wires[w], axes=(*lifts, *wires[w].axes))
    outputs = tuple(
        replace(o, port=_wider(o.port, more), layout=(*more[o.port.wire], *o.layout)) for o in base.outputs
    )
    used = dict.fromkeys((*node.own, *node.lifts))
    return replace(
        base, name=diagram.name, inputs=tuple(inputs), outputs=outputs, wires=tuple(wires), nodes=tuple(nodes),
        sizes={a: diagram.sizes[a] for a in used}, equations=diagram.equations,
    )  # fmt: skip


def _wider(port: Port, more: Mapping[int, tuple[str, ...]]) -> Port:
    return Port(port.wire, (*((a, a) for a in more[port.wire]), *port.renames))


def relabelled(diagram: Diagram, table: Mapping[str, str]) -> Diagram:
    """The diagram of a loop's body with its axes renamed, injectively."""
    if all(a == b for a, b in table.items()):
        return diagram

    def axes(given: Iterable[str]) -> tuple[str, ...]:
        return tuple(table.get(a, a) for a in given)

    def port(p: Port) -> Port:
        return Port(p.wire, tuple((table.get(a, a), table.get(b, b)) for a, b in p.renames))

    def kind(k: Kind) -> Kind:
        return Kind(k.name, table.get(k.axis, k.axis))

    return replace(
        diagram,
        inputs=tuple(replace(i, layout=axes(i.layout)) for i in diagram.inputs),
        outputs=tuple(replace(o, port=port(o.port), layout=axes(o.layout)) for o in diagram.outputs),
        wires=tuple(replace(w, axes=axes(w.axes), kind=kind(w.kind)) for w in diagram.wires),
        nodes=tuple(replace(n, own=axes(n.own), ports=tuple(map(port, n.ports))) for n in diagram.nodes),
        sizes={table.get(a, a): p.rename(lambda v: table.get(v, v)) for a, p in diagram.sizes.items()},
        header=axes(diagram.header),
    )


def boxes(diagram: Diagram, nodes: Iterable[Node]) -> Iterator[Node]:
    """Nodes of a diagram, each followed by those of its body where it is a loop, all under axes of the diagram."""
    for node in nodes:
        yield node
        if node.op.body is not None:
            inner = opened(diagram, node)
            yield from boxes(inner, inner.nodes)
