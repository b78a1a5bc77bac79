"""Sums and products as what they are, whatever their brackets: operands of a box shared out among those of a pattern."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, permutations

from anatomy.ir.graph import MASK, REAL, Diagram, Node, Port, Wire
from anatomy.ir.op import Op
from anatomy.ops import Add, Both, Contract, Extremum, Multiply

ASSOCIATIVE = (Add, Multiply, Extremum, Both)
MOST = 10
"""Operands of one sum that are shared out; a longer one is matched with its brackets as they are."""

ORDERS = 40_000
"""Orders of operands of one box that are tried."""


@dataclass(frozen=True)
class Group:
    """Operands of one box taken together, as one wire that is not in the diagram yet."""

    wire: int
    op: Op
    ports: tuple[Port, ...]

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(a for p in self.ports for a in p.axes))

    @property
    def named(self) -> dict[str, str]:
        """For each axis, an axis of the diagram that has its size."""
        return {inner: outer for p in self.ports for outer, inner in p.renames}


@dataclass
class Groups:
    """The groups that a search has made, numbered after the wires of the diagram."""

    diagram: Diagram
    made: dict[object, Group] = field(default_factory=dict)
    wires: list[Wire] = field(default_factory=list)
    by_wire: dict[int, Group] = field(default_factory=dict)

    def wire(self, number: int) -> Wire:
        count = len(self.diagram.wires)
        return self.diagram.wires[number] if number < count else self.wires[number - count]

    def port(self, op: Op, ports: Sequence[Port]) -> Port:
        """A port that reads the group of some operands, under the names of the box."""
        key = (op, tuple(sorted((p.wire, tuple(sorted(p.renames))) for p in ports)))
        group = self.made.get(key)
        if group is None:
            axes = tuple(dict.fromkeys(a for p in ports for a in p.axes))
            kind = MASK if isinstance(op, Both) else REAL
            group = self.made[key] = Group(len(self.diagram.wires) + len(self.wires), op, tuple(ports))
            self.by_wire[group.wire] = group
            self.wires.append(Wire(axes, kind))
        return Port(group.wire, tuple((a, a) for a in self.wire(group.wire).axes))


def flat(diagram: Diagram, node: Node, once: bool = False) -> tuple[Port, ...]:
    """The operands of a sum, those of sums in it included, all under the axes of the box.

    With `once` a sum that something else reads too is one operand.

    >>> from anatomy.ir.builder import Builder
    >>> b = Builder(); x, y = b.input("x", ["n"]), b.input("y", ["n"])
    >>> (s,) = b.add(Add(), (), [x, y])
    >>> (t,) = b.add(Add(), (), [s, x])
    >>> [p.wire for p in flat(b.finish("f", ()), b.nodes[1])]
    [0, 1, 0]
    """
    if not isinstance(node.op, ASSOCIATIVE):
        return node.ports
    found: list[Port] = []
    stack = list(reversed(node.ports))
    while stack:
        port = stack.pop()
        made = diagram.producer.get(port.wire)
        inner = None if made is None else diagram.nodes[made[0]]
        if inner is None or inner.op != node.op or (once and len(diagram.consumers[port.wire]) > 1):
            found.append(port)
            continue
        table = dict(port.renames)
        stack.extend(Port(p.wire, tuple((a, table[b]) for a, b in p.renames)) for p in reversed(inner.ports))
    return tuple(found)


def shared_out(
    groups: Groups, node: Node, operands: Sequence[Port], taking: Sequence[bool], rest: bool
) -> Iterator[tuple[tuple[Port, ...], tuple[Port, ...]]]:
    """Ways to give operands of a box to places of a pattern, one each, and what is left to one more: a place that takes
    several (a parameter), as a group, or with `rest` to none."""
    count = len(taking)
    op = Multiply() if isinstance(node.op, Contract) else node.op
    own = set(node.own)
    for chosen in islice(permutations(range(len(operands)), count), ORDERS):
        left = tuple(p for k, p in enumerate(operands) if k not in chosen)
        given = tuple(operands[k] for k in chosen)
        if not left:
            yield given, ()
            continue
        if rest and not any(own.intersection(p.axes) for p in left):
            yield given, left
        for k, several in enumerate(taking):
            # The least operand stands for its group, so that each group comes once.
            if several and chosen[k] < min(j for j in range(len(operands)) if j not in chosen):
                yield (*given[:k], groups.port(op, (given[k], *left)), *given[k + 1 :]), ()
