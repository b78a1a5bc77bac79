"""A value times a weight, plus a bias, is one matrix product that starts from the bias.

Converts: `dot[s](x, w) + b`, where `w` and `b` are weights, nothing else reads the product, and `b` has all axes of the product that are
those of `w`, into one call of `torch.addmm`; of `torch.baddbmm` where `x` and `w` share axes, such as that of an ensemble.
Against `einsum` and a sum this spares one pass over the result, and on small tensors the work of `einsum` round its product.
Non-goals: biases that are computed; products without one; bodies of loops, in which such a product may stand before the loop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from anatomy.compiler.passes.note import Note
from anatomy.compiler.passes.region import Region
from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.graph import Diagram
from anatomy.ir.op import Op
from anatomy.ir.solve import Solution


def linear(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """The diagram in which products with weights take their biases in."""
    region = Region(diagram)
    found = 0
    for i, node in enumerate(diagram.nodes):
        if node.op.word != "+":
            continue
        for product, bias in (node.ports, node.ports[::-1]):
            made = region.maker(product)
            if bias.wire not in diagram.weight_of or made is None or made.op.contraction() is None or len(made.ports) != 2:
                continue
            for x, w in (made.ports, made.ports[::-1]):
                if w.wire in diagram.weight_of and fits(set(made.own), set(x.axes), set(w.axes), set(bias.axes)):
                    region.nodes[i] = replace(node, op=Linear(), own=made.own, ports=(x, w, bias))
                    region.nodes[diagram.producer[product.wire][0]] = None
                    found += 1
                    break
            else:
                continue
            notes.append(Note("linear", "the product with a weight starts from the bias", node.span))
            break
    return region.built() if found else diagram


def fits(own: set[str], x: set[str], w: set[str], bias: set[str]) -> bool:
    """Whether both factors have what is summed, and the bias has what else the weight has."""
    return bool(own) and own <= x & w and bias == w - own


@dataclass(frozen=True)
class Linear(Op):
    """`y = b + sum_own x w`; ports x, w, b."""

    arity: ClassVar[tuple[int, int | None]] = (3, 3)

    @property
    def word(self) -> str:
        return "linear"

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        axes = frozenset(own) if port < 2 else frozenset()
        return axes, axes

    def lower(self, emit: Emitter) -> list[Operand]:
        own = emit.node.own
        x, w, bias = (emit.tensor(k) for k in range(3))
        zipped = tuple(a for a in w.axes if a in x.axes and a not in own)
        rows = tuple(a for a in x.axes if a not in w.axes)
        columns = tuple(a for a in w.axes if a not in x.axes)
        summed = tuple(a for a in w.axes if a in own)
        x, w = emit.permute(x, (*zipped, *rows, *summed)), emit.permute(w, (*zipped, *summed, *columns))
        bias = emit.permute(bias, (*zipped, *columns))
        code = f"{emit.helper('linear')}({x.code}, {w.code}, {bias.code}, {len(summed)}{f', {len(zipped)}' if zipped else ''})"
        y = Operand(code, (*zipped, *rows, *columns))
        return [emit.permute(y, emit.order(y.axes))]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        raise ctx.unproved("a box of the compiler has no bound; the diagram that it was made from has")

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("contract", "linear")
