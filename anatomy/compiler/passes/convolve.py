"""A window of entries times taps becomes a convolution.

Converts: `dot[c](w, unfold[n -> c](x))`, where nothing else reads the window, into `F.conv1d` where the taps w are the same at all positions
and of all inputs (every feature is a group of its own), else into a sum of shifted products, tap by tap. Neither makes the window.
Conditions: the number of taps, and for `conv1d` of features, is known.
Non-goals: windows whose entries are mixed otherwise (attention in them); two-dimensional windows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from anatomy.compiler.passes.note import Note
from anatomy.compiler.passes.region import Region
from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.graph import Diagram
from anatomy.ir.op import Op
from anatomy.ir.solve import Solution

MOST = 64
"""More taps than this are a matter for other algorithms."""


@dataclass(frozen=True)
class Convolve(Op):
    """`y[n] = sum_c w[c] x[n + step (c - back)]`, 0 outside; own axes: n, c. Ports: w and x."""

    step: int = 1
    centred: bool = False
    arity = (2, 2)

    @property
    def word(self) -> str:
        return "convolve"

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own[:1],)

    def bound(self, ctx: BoundContext) -> list[Bound]:
        raise ctx.unproved("a box of the compiler has no bound; the diagram that it was made from has")

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("structure", "convolve")

    def lower(self, emit: Emitter) -> list[Operand]:
        along, tap = emit.node.own
        w, x = emit.tensor(0), emit.tensor(1)
        taps = int(emit.size(tap))
        back = taps // 2 if self.centred else taps - 1
        groups = tuple(a for a in x.axes if a != along and a not in emit.lift and emit.extent(a).isdigit())
        if along in w.axes or not set(w.axes) - {tap} <= set(groups):
            axes = emit.order(tuple(a for a in (*w.axes, *x.axes) if a != tap))
            w, x = emit.align(w, (*axes, tap)), emit.align(x, axes)
            code = f"{emit.helper('taps')}({w.code}, {x.code}, {axes.index(along) - len(axes)}, {back}, {self.step})"
            return [Operand(code, axes)]
        rest = tuple(a for a in x.axes if a != along and a not in groups)
        count = prod(int(emit.extent(a)) for a in groups)
        lacks = [a for a in groups if a not in w.axes]
        w = emit.permute(w, (*(a for a in groups if a in w.axes), tap))
        if lacks:
            index = ", ".join("None" if a in lacks else ":" for a in groups)
            sizes = ", ".join(emit.extent(a) for a in groups)
            w = Operand(f"{w.atom}[{index}].expand({sizes}, -1)", (*groups, tap))
        weight = f"{w.atom}.reshape({count}, 1, {taps})"
        x = emit.permute(x, (*rest, *groups, along))
        code, lead = x.atom, len(rest)
        if len(groups) > 1:
            code += f".flatten({lead}, {lead + len(groups) - 1})"
        elif not groups:
            code += f"[{':, ' * lead}None]"
        if lead > 1:
            code += f".flatten(0, {lead - 1})"
        before, after = back * self.step, (taps - 1 - back) * self.step
        if before != after:
            code = f"F.pad({code}, ({before}, {after}))"
        more = f", padding={before}" * (before == after and before > 0) + f", dilation={self.step}" * (self.step > 1) + f", groups={count}" * (count > 1)
        code = f"F.conv1d({code}, {weight}{more})"
        at = min(lead, 1)
        if len(groups) > 1:
            code += f".unflatten({at}, ({', '.join(map(emit.extent, groups))}))"
        elif not groups:
            code += f".squeeze({at})"
        if lead > 1:
            code += f".unflatten(0, ({', '.join(map(emit.extent, rest))}))"
        y = Operand(code, (*rest, *groups, along))
        return [emit.permute(y, emit.order(y.axes))]


def convolve(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """The diagram with windows under taps as convolutions."""
    if not any(n.op.word == "unfold" for n in diagram.nodes):
        return diagram
    region = Region(diagram)
    found = False
    for i, node in enumerate(diagram.nodes):
        if node.op.contraction() is None or len(node.ports) != 2 or len(node.own) != 1:
            continue
        for w, u in (node.ports, node.ports[::-1]):
            made = region.maker(u)
            (tap,) = node.own
            if made is None or made.op.word != "unfold" or made.own[1] != tap or tap not in w.axes or made.own[0] not in u.axes:
                continue
            taps = solution.size(region.sizes[tap]).constant()
            if taps is None or taps > MOST:
                continue
            op = Convolve(getattr(made.op, "step", 1), bool(getattr(made.op, "centred", False)))
            region.nodes[i] = replace(node, op=op, own=made.own, ports=(w, made.ports[0]))
            notes.append(Note("convolve", f"a window of {taps} entries times taps becomes a convolution", node.span))
            found = True
            break
    return region.built() if found else diagram
