"""`scan n (s = s0) { ... next s = e }`: the one box with a carry, a loop along an axis around a body of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.builder import Builder, View
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.graph import Diagram, Kind, Node
from anatomy.ir.op import Op, Problem
from anatomy.ir.poly import Poly


@dataclass(frozen=True, eq=False)
class Scan(Op):
    """`s_(t+1) = f(s_t, x_t, w)` from `s_0`, along one axis.

    `loop` is one step, a diagram without inputs but its operands: first the carries (states before the step), then what
    every step reads, with one entry for each step or shared by all. It gives the next states, then further wires
    (extras). Only what lies on a way from a carry back to a carry belongs in it.

    `Node.own` is the axis of the loop, then the axes of the body in the order of `loop.header`. The operands are the
    initial states, which may lack axes along which they are the same, then those of the body, each with
    the axis of the loop or without. The results are the states before each step, stacked, the extras, stacked, and
    the states after the last step.

    Source: ruling 18 of the language.
    """

    names: ClassVar[tuple[str, ...]] = ()
    arity = (1, None)
    symmetric = False
    knows_position = True
    looks = "past"
    loop: Diagram
    states: int

    @property
    def word(self) -> str:
        return "scan"

    @property
    def body(self) -> Diagram:  # type: ignore[override]
        return self.loop

    @property
    def carries(self) -> int:  # type: ignore[override]
        return self.states

    @cached_property
    def _key(self) -> tuple[object, ...]:
        d = self.loop
        return (self.carries, d.header, tuple(i.layout for i in d.inputs), d.wires, d.nodes, d.outputs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scan) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    # typing -----------------------------------------------------------------------------------

    def _inner(self, axes: Sequence[str], own: tuple[str, ...]) -> tuple[str, ...]:
        table = dict(zip(self.loop.header, own[1:], strict=False))
        return tuple(table.get(a, a) for a in axes)

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        axes = frozenset(self._inner(self.loop.inputs[port].layout, own))
        return (axes, frozenset()) if port < self.carries else (axes | {own[0]}, axes)

    def repeats(self, own: tuple[str, ...], port: int) -> frozenset[str]:
        return frozenset(own[1:]) if port < self.carries else frozenset(own[:1])

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        step, body = own[:1], self.loop
        before = tuple((*step, *self._inner(i.layout, own)) for i in body.inputs[: self.carries])
        extras = tuple((*step, *self._inner(o.layout, own)) for o in body.outputs[self.carries :])
        return (*before, *extras, *(axes[len(step) :] for axes in before))

    def kinds(self, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        body = self.loop
        before = tuple(body.wires[i.wire].kind for i in body.inputs[: self.carries])
        for port, (have, item) in enumerate(zip(kinds, body.inputs, strict=True)):
            want = body.wires[item.wire].kind
            if (have.name == "mask") != (want.name == "mask"):
                raise Problem("E307", f"the loop wants {want} as operand {port + 1}, but it is {have}", port)
        return (*before, *(body.wires[o.port.wire].kind for o in body.outputs[self.carries :]), *before)

    def placed(self, kind: Kind, own: tuple[str, ...]) -> Kind:
        return Kind(kind.name, *self._inner((kind.axis,), own))

    def positional(self, own: tuple[str, ...], used: Sequence[bool]) -> tuple[str, ...]:
        read = self.loop.consumers
        inside = (a for n in self.loop.nodes for a in n.op.positional(n.own, [bool(read[w]) for w in n.outs]))
        return (own[0], *dict.fromkeys(self._inner(tuple(inside), own)))

    # interpretation ---------------------------------------------------------------------------

    def parallel(self, builder: Builder, node: Node, views: Sequence[View], used: Sequence[bool]) -> tuple[View, ...] | None:
        from anatomy.ops.parallel.forms import parallel

        return parallel(builder, node, views, used)

    def lower(self, emit: Emitter) -> list[Operand]:
        return emit.loop()

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return ctx.loop()

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", f"scan {own[0]}")

    def flops(self, work: Poly) -> Poly:
        """Counted step by step on the body: see `anatomy.ir.analysis`."""
        return Poly()

    def within(self, body: Diagram) -> Scan:
        return replace(self, loop=body)
