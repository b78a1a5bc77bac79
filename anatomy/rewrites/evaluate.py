"""Evaluates diagrams on small tensors over any numbers, independently of the compiler and without torch.

Converts: a diagram, the sizes of its axes and a tensor for every input and weight into the tensors of its outputs.
Inputs may have further axes: every box is vectorised over what it does not name.
Non-goals: speed beyond a thousand entries; noise and holes (Abstain); `entmax` with a wire as its order (Unknown).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

from anatomy.ir.graph import Diagram, Node, Port, Renames
from anatomy.ir.live import live
from anatomy.ir.loop import opened
from anatomy.rewrites.structure import STRUCTURE
from anatomy.rewrites.tensor import Abstain, Tensor, Unknown, by_rows
from anatomy.rewrites.values import VALUES


@lru_cache(maxsize=4096)
def _renaming(renames: Renames) -> dict[str, str]:
    """What changes its name at a port."""
    return {a: b for a, b in renames if a != b}


BITS = 1000
"""Length of an exact number; greater ones overflow in float64."""


@dataclass
class Machine:
    """One diagram at one size assignment; `wires` holds what is known so far."""

    diagram: Diagram
    sizes: Mapping[str, int]
    numbers: Any
    wires: dict[int, Tensor]
    exact: dict[int, Fraction] = field(default_factory=dict)
    """Wires that are a known number: literals, sizes and what is made of them."""
    memo: dict[tuple[int, int], tuple[Any, ...]] = field(default_factory=dict)
    """What is the same at every run of a diagram: the order of its boxes, the bodies of its loops."""
    node: Node = None  # type: ignore[assignment]

    def run(self) -> list[Tensor]:
        """The outputs, each with the axes of its header where it has them, then the others. Raises Abstain."""
        for node in self.remembered(self.diagram, None, lambda: [self.diagram.nodes[i] for i in live(self.diagram)]):
            self.node = node
            rule = BOXES.get(type(self.node.op).__name__)
            if rule is None:
                raise (Abstain if self.node.op.random or self.node.op.hole else Unknown)(f"`{self.node.op.word}` is not evaluated here")
            self.wires.update(zip(self.node.outs, rule(self), strict=True))
        return [self.real_if(self.seen(o.port), o.port, o.kind.name == "real") for o in self.diagram.outputs]

    # what the rules ask -------------------------------------------------------------------------

    def kind(self, port: Port) -> str:
        return self.diagram.wires[port.wire].kind.name

    def seen(self, port: Port) -> Tensor:
        value, table = self.wires[port.wire], _renaming(port.renames)
        return value.renamed(table) if table else value

    def real_if(self, value: Tensor, port: Port, wanted: bool) -> Tensor:
        if wanted and self.kind(port) == "index":
            return Tensor(value.axes, value.shape, [self.numbers.number(e) for e in value.data])
        return value

    def raw(self, k: int) -> Tensor:
        return self.seen(self.node.ports[k])

    def real(self, k: int) -> Tensor:
        return self.real_if(self.raw(k), self.node.ports[k], True)

    def reals(self) -> list[Tensor]:
        return [self.real(k) for k in range(len(self.node.ports))]

    def known(self, k: int) -> Fraction | None:
        return self.exact.get(self.node.ports[k].wire)

    @property
    def own(self) -> tuple[str, ...]:
        return self.node.own

    def scalar(self, value: Fraction) -> list[Tensor]:
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > BITS:
            raise Abstain("a number is longer than a float can hold")
        self.exact[self.node.outs[0]] = value
        return [Tensor((), (), [self.numbers.number(value)])]

    def named(self, *axes: str) -> dict[str, int]:
        return {a: self.sizes[a] for a in axes}

    def pick(self, x: Tensor, axis: str, made: Mapping[str, int], places: list[int | None]) -> Tensor:
        """Entries of an axis by position, 0 where there is none."""
        nil = self.numbers.number(0)
        return by_rows(x, (axis,), lambda r: [nil if p is None else r[p] for p in places], made)

    def remembered(self, diagram: Diagram, node: Node | None, make: Callable[[], Any]) -> Any:
        key = (id(diagram), id(node))
        if key not in self.memo:
            self.memo[key] = (make(), diagram, node)  # which keeps both alive, and so their ids
        return self.memo[key][0]

    @property
    def body(self) -> Diagram:
        """One step of the loop at hand."""
        return self.remembered(self.diagram, self.node, lambda: opened(self.diagram, self.node))

    def inner(self, body: Diagram, wires: dict[int, Tensor]) -> list[Tensor]:
        """The results of one step of a loop."""
        return Machine(body, self.sizes, self.numbers, wires, memo=self.memo).run()


BOXES = {**VALUES, **STRUCTURE}
