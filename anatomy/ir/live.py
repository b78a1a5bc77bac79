"""Which boxes count: those that reach an output."""

from __future__ import annotations

from anatomy.ir.graph import Diagram


def live(diagram: Diagram) -> tuple[int, ...]:
    """The indices of the nodes that reach an output, in the diagram's order."""
    producer = diagram.producer
    found: set[int] = set()
    stack = [o.port.wire for o in diagram.outputs]
    while stack:
        made = producer.get(stack.pop())
        if made is not None and made[0] not in found:
            found.add(made[0])
            stack.extend(p.wire for p in diagram.nodes[made[0]].ports)
    return tuple(sorted(found))
