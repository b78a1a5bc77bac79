"""The code of a loop: a Python `for` over the steps, with the operands unbound along the axis and the results stacked.

Converts: one `scan` node, whatever its body is, into lines that autograd differentiates.
Non-goals: speed along the axis, which parallel forms give where the body has one (`Op.parallel`). The number of steps is the
size that the operand has when the module runs; a traced or exported module keeps the one that it was traced with.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from anatomy.compiler.passes import optimised
from anatomy.compiler.tables import Line
from anatomy.ir.code import Operand
from anatomy.ir.loop import under

if TYPE_CHECKING:
    from anatomy.compiler.emit import Emission


def lower_loop(emit: Emission) -> list[Operand]:
    """Write the loop of `emit.node`; returns its results."""
    from anatomy.compiler.emit import Emission

    node = emit.node
    along, count = node.own[0], node.op.carries
    lifts = emit.lifts
    body = replace(under(node), sizes={a: emit.diagram.sizes[a] for a in node.own})
    body = optimised(body, emit.solution, emit.passes, [])
    inner = Emission(
        body, emit.solution, emit.names, emit.lift, emit.like_name, helpers=emit.helpers, size_names=emit.size_names, passes=emit.passes,
        tables=emit.tables, outer=(*emit.outer, emit.lines),
    )  # fmt: skip
    inner.rank, inner.inside = emit.rank, True

    def shape(axes: tuple[str, ...]) -> str:
        return ", ".join(map(emit.extent, axes))

    def full(value: Operand, axes: tuple[str, ...]) -> Operand:
        """With exactly these dimensions, repeated where it lacks one."""
        if set(value.axes) == set(axes):
            return emit.permute(value, axes)
        aligned = emit.align(value, axes)
        aligned = replace(aligned, code=aligned.atom, bare=True)
        return Operand(f"{aligned.code}.expand({shape(axes)})", axes)

    states: list[Operand] = []
    for k in range(count):
        item, init = body.inputs[k], emit.real(k)
        wire = body.wires[item.wire]
        axes = emit.order((*lifts, *item.layout))
        if init.scalar:
            zero = init.code in ("0", "0.0")
            dims = shape(axes) + ("," if len(axes) == 1 else "")
            make = f"torch.zeros(({dims}), {emit.like})" if zero else f"torch.full(({dims}), {init.code}, {emit.like})"
            init = Operand(make, axes)
        name = emit.names.new(wire.name.rpartition(".")[2], "state")
        emit.lines.append(Line(f"{name} = {full(emit.fresh(init), axes).code}", emit.comment))
        states.append(Operand(name, axes))
        inner.wires[item.wire] = states[-1]
        if emit.masked(k):
            inner.masks.add(item.wire)
    steps: list[tuple[str, str]] = []
    for k in range(count, len(node.ports)):
        item, value = body.inputs[k], emit.operand(k)
        if not value.scalar:
            value = emit.named(value)
        if along in value.axes:
            entry = emit.names.new(f"{value.code}_t" if "." not in value.code else "x_t", "x_t")
            steps.append((entry, f"{value.code}.unbind({value.axes.index(along)})"))
            value = Operand(entry, tuple(a for a in value.axes if a != along), integer=value.integer)
        else:
            inner.level[item.wire] = emit.level.get(node.ports[k].wire, emit.depth)
        inner.wires[item.wire] = value
        if emit.masked(k):
            inner.masks.add(item.wire)
    inner.run()
    ends = [full(emit.fresh(inner.value(o.port)), s.axes) for o, s in zip(body.outputs, states, strict=False)]
    read = [bool(emit.diagram.consumers[w]) for w in node.outs]
    kept: list[tuple[int, str, Operand]] = []
    values = [*states, *(inner.value(o.port) for o in body.outputs[count:])]
    for k, value in enumerate(values):
        if read[k]:
            base = value.code if value.code.isidentifier() else "x"
            kept.append((k, emit.names.new(f"{base}_steps", "steps"), value))
    for _, name, _ in kept:
        emit.lines.append(Line(f"{name} = []", emit.comment))
    names = ", ".join(entry for entry, _ in steps) or "_"
    source = steps[0][1] if len(steps) == 1 else f"zip({', '.join(code for _, code in steps)})" if steps else f"range({emit.size(along)})"
    emit.lines.append(Line(f"for {names} in {source}:", emit.comment))
    lines = [Line(f"{name}.append({value.code})", emit.comment) for k, name, value in kept if k < count]
    lines += inner.lines
    lines += [Line(f"{name}.append({value.code})", emit.comment) for k, name, value in kept if k >= count]
    lines.append(Line(f"{', '.join(s.code for s in states)} = {', '.join(e.code for e in ends)}", emit.comment))
    emit.lines += [Line(f"    {line.code}", line.note) for line in lines]
    results = [Operand("None")] * (count + len(body.outputs) - count) + states
    for k, name, value in kept:
        order = emit.order((along, *value.axes))
        at = order.index(along) if value.axes == tuple(a for a in order if a != along) else 0
        axes = (*value.axes[:at], along, *value.axes[at:])
        target = emit.names.new(name.removesuffix("_steps") + "_all", "t")
        emit.lines.append(Line(f"{target} = torch.stack({name}, {at})", emit.comment))
        results[k] = Operand(target, axes)
    return results
