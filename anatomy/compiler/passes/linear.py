"""A value times a weight is one matrix product, which starts from the bias where there is one.

Converts: `dot[s](x, w) + b`, where `w` and `b` are weights, nothing else reads the product, and `b` has all axes of the product that are
those of `w`, into one call of `torch.addmm`; of `torch.baddbmm` where `x` and `w` share axes, such as that of an ensemble.
Without a bias it becomes `@`, or `torch.mm` or `torch.bmm` of several axes together, where the weight lies as that wants it.
Against `einsum` and a sum this spares one pass over the result, and on small tensors the work of `einsum` round its product.
Non-goals: biases that are computed; bodies of loops, in which such a product may stand before the loop.
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
    for i, node in enumerate(diagram.nodes):
        if node.op.word != "+":
            continue
        for total, bias in (node.ports, node.ports[::-1]):
            made = region.maker(total)
            if bias.wire not in diagram.weight_of or made is None or made.op.contraction() is None or len(made.ports) != 2:
                continue
            for x, w in (made.ports, made.ports[::-1]):
                if w.wire in diagram.weight_of and fits(set(made.own), set(x.axes), set(w.axes), set(bias.axes)):
                    region.nodes[i] = replace(node, op=Linear(), own=made.own, ports=(x, w, bias))
                    region.nodes[diagram.producer[total.wire][0]] = None
                    break
            else:
                continue
            notes.append(Note("linear", "the product with a weight starts from the bias", node.span))
            break
    for i, node in enumerate(region.nodes):
        contraction = None if node is None else node.op.contraction()
        if node is None or contraction is None or len(node.ports) != 2:
            continue
        for x, w in (node.ports[::-1], node.ports):
            if w.wire in diagram.weight_of and node.own and set(node.own) == set(x.axes) & set(w.axes):
                region.nodes[i] = replace(node, op=Product(contraction), ports=(x, w))
    return region.built()


def fits(own: set[str], x: set[str], w: set[str], bias: set[str]) -> bool:
    """Whether both factors have what is summed, the weight has axes of its own, and the bias has what the weight has beside the sum."""
    return bool(own) and own <= x & w and bool(w - x) and bias == w - own


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
        return [product(emit, emit.tensor(0), emit.tensor(1), emit.tensor(2))]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        raise ctx.unproved("a box of the compiler has no bound; the diagram that it was made from has")

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("contract", "linear")


@dataclass(frozen=True)
class Product(Op):
    """`y = sum_own x w`; ports x, w, which share no axis of the diagram but these."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)
    algebra = "multilinear"
    plain: Op
    """The same as a contraction."""

    @property
    def word(self) -> str:
        return "product"

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(own), frozenset(own)

    def contraction(self) -> Op:
        return self.plain

    def lower(self, emit: Emitter) -> list[Operand]:
        x, w = emit.tensor(0), emit.tensor(1)
        zipped = tuple(a for a in w.axes if a in x.axes and a not in emit.node.own)
        summed = tuple(a for a in w.axes if a in emit.node.own)
        columns = tuple(a for a in w.axes if a not in x.axes)
        rows = tuple(a for a in x.axes if a not in w.axes)
        if w.axes != (*zipped, *summed, *columns) or emit.order((*zipped, *rows, *columns))[-1:] != columns[-1:]:
            return self.plain.lower(emit)
        if rows and not zipped and len(summed) == len(columns) == 1 and x.axes[-1:] == summed:
            y = Operand(f"{x.atom} @ {w.atom}", (*rows, *columns), bare=False)
            return [emit.permute(y, emit.order(y.axes))]
        return [product(emit, x, w, None)]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return self.plain.bound(ctx)

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return self.plain.glyph(own)


def product(emit: Emitter, x: Operand, w: Operand, bias: Operand | None) -> Operand:
    """The call of the helper, with every operand's dimensions in the order that it wants."""
    own = emit.node.own
    zipped = tuple(a for a in w.axes if a in x.axes and a not in own)
    rows = tuple(a for a in x.axes if a not in w.axes)
    columns = tuple(a for a in w.axes if a not in x.axes)
    summed = tuple(a for a in w.axes if a in own)
    x, w = emit.permute(x, (*zipped, *rows, *summed)), emit.permute(w, (*zipped, *summed, *columns))
    first = "None" if bias is None else emit.permute(bias, (*zipped, *columns)).code
    code = f"{emit.helper('linear')}({x.code}, {w.code}, {first}, {len(summed)}{f', {len(zipped)}' if zipped else ''})"
    y = Operand(code, (*zipped, *rows, *columns))
    return emit.permute(y, emit.order(y.axes))
