"""The core: one typed open hypergraph, flat and frozen; SIMD boxes and calls are a view on it (`frame`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from anatomy.errors import Span
from anatomy.ir.equations import Settled, settle
from anatomy.ir.poly import Poly

if TYPE_CHECKING:
    from anatomy.ir.op import Op

Renames = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a wire holds: reals, truth values, or indices into an axis."""

    name: Literal["real", "mask", "index"] = "real"
    axis: str = ""

    def __str__(self) -> str:
        return f"index({self.axis})" if self.name == "index" else self.name


REAL, MASK = Kind("real"), Kind("mask")


def index_into(axis: str) -> Kind:
    return Kind("index", axis)


@dataclass(frozen=True, slots=True)
class Wire:
    """A tensor with a set of named axes (the order of the tuple means nothing) and a kind."""

    axes: tuple[str, ...]
    kind: Kind = REAL
    name: str = field(default="", compare=False)
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Port:
    """One end of a wire at a node: which wire, and under which names the node sees its axes.

    `renames` lists every axis of the wire as (axis of the wire, axis of the node), injectively;
    a rename in the text composes into this map and is no node (ruling 2).
    """

    wire: int
    renames: Renames

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(inner for _, inner in self.renames)


@dataclass(frozen=True, slots=True)
class Frame:
    """One wall that a node was written inside of: a SIMD box, a call, a `lin`, a part, a turn of a loop. For drawing only."""

    kind: Literal["simd", "call", "lin", "part", "scan", "repeat"]
    label: str
    serial: int

    @property
    def lanes(self) -> tuple[str, ...]:
        """The axes that are lanes inside."""
        return tuple(self.label.split(", ")) if self.kind in ("simd", "scan") else ()


@dataclass(frozen=True, slots=True)
class Node:
    """A box: an operation, its own axes in role order, ordered input ports and ordered output wires."""

    op: Op
    own: tuple[str, ...]
    ports: tuple[Port, ...]
    outs: tuple[int, ...]
    span: Span | None = field(default=None, compare=False)
    frame: tuple[Frame, ...] = field(default=(), compare=False)

    @property
    def lifts(self) -> tuple[str, ...]:
        """The axes of the inputs that are not the node's own: it is vectorised over them."""
        own = set(self.own)
        return tuple(dict.fromkeys(a for port in self.ports for a in port.axes if a not in own))


@dataclass(frozen=True, slots=True)
class Input:
    """A named input: its wire and the order of its axes outside."""

    name: str
    wire: int
    layout: tuple[str, ...]
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Output:
    """An output: a wire seen under the header's axis names, in the header's order."""

    port: Port
    layout: tuple[str, ...]
    span: Span | None = field(default=None, compare=False)
    kind: Kind = REAL
    """As the header declares it: an index that is declared as a real comes out as one."""


@dataclass(frozen=True, slots=True)
class Init:
    """An initialiser by name with exact arguments; fan-in and fan-out come from the weight's axes."""

    name: str
    args: tuple[float, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{a:g}' for a in self.args)})" if self.args else self.name


@dataclass(frozen=True, slots=True)
class Weight:
    """A learned (or frozen) tensor: keys (several when tied), layout = lanes + fan-in + fan-out axes."""

    keys: tuple[str, ...]
    wire: int
    lanes: tuple[str, ...]
    fan_in: tuple[str, ...]
    fan_out: tuple[str, ...]
    init: Init
    frozen: bool = False
    span: Span | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        return self.keys[0]

    @property
    def layout(self) -> tuple[str, ...]:
        return self.lanes + self.fan_in + self.fan_out


@dataclass(frozen=True, slots=True)
class Equation:
    """A size equation that sizes must satisfy, with where it was written."""

    left: Poly
    right: Poly
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Diagram:
    """A typed diagram: inputs, weights, wires, nodes in an order that respects the wires, outputs, sizes.

    `sizes` gives every axis its polynomial in the free size variables, with the diagram's own equations
    already substituted. `equations` are those inherited from callees, to be solved when sizes are known.
    `defaults` are licences such as `axis m = n` that give a size where none is given (ruling 3).
    """

    name: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    weights: tuple[Weight, ...]
    wires: tuple[Wire, ...]
    nodes: tuple[Node, ...]
    sizes: Mapping[str, Poly]
    equations: tuple[Equation, ...] = ()
    defaults: tuple[tuple[str, Poly], ...] = ()
    declared: frozenset[str] = frozenset()
    header: tuple[str, ...] = ()
    where: tuple[Equation, ...] = ()
    span: Span | None = field(default=None, compare=False)

    @cached_property
    def producer(self) -> dict[int, tuple[int, int]]:
        """For a wire made by a node: (node index, output number)."""
        return {w: (i, k) for i, node in enumerate(self.nodes) for k, w in enumerate(node.outs)}

    @cached_property
    def by_op(self) -> dict[type[Op], list[int]]:
        """The nodes of every kind of operation."""
        table: dict[type[Op], list[int]] = {}
        for i, node in enumerate(self.nodes):
            table.setdefault(type(node.op), []).append(i)
        return table

    @cached_property
    def settled(self) -> Settled:
        """What the inherited equations say of the sizes."""
        return settle((e.left, e.right) for e in self.equations)

    @cached_property
    def consumers(self) -> dict[int, list[tuple[int, int]]]:
        """For a wire: the (node index, port number) pairs that read it; an output reads as node -1."""
        table: dict[int, list[tuple[int, int]]] = {w: [] for w in range(len(self.wires))}
        for i, node in enumerate(self.nodes):
            for k, port in enumerate(node.ports):
                table[port.wire].append((i, k))
        for k, output in enumerate(self.outputs):
            table[output.port.wire].append((-1, k))
        return table

    @cached_property
    def weight_of(self) -> dict[int, Weight]:
        return {w.wire: w for w in self.weights}

    @cached_property
    def input_of(self) -> dict[int, Input]:
        return {i.wire: i for i in self.inputs}

    @property
    def holes(self) -> tuple[str, ...]:
        """The names of the holes left open, in the order of their first use, those inside loops too."""
        found: dict[str, None] = {}
        for node in self.nodes:
            names = node.op.body.holes if node.op.body is not None else (node.op.hole,)
            found.update((name, None) for name in names if name)
        return tuple(found)

    def free_sizes(self) -> frozenset[str]:
        polys = [*self.sizes.values(), *(p for e in self.equations for p in (e.left, e.right))]
        return frozenset().union(*(p.variables() for p in polys)) if polys else frozenset()

    def __repr__(self) -> str:
        return f"<diagram {self.name}: {len(self.nodes)} boxes, {len(self.weights)} weights>"

    def renamed(self, name: str) -> Diagram:
        return replace(self, name=name)

    def _repr_svg_(self) -> str:
        import importlib

        # Pictures live above the graph in the stair, so they are asked for by name, and only by a notebook.
        return importlib.import_module("anatomy.render").draw(self).svg

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)
