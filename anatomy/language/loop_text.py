"""A loop as text: its operands are bound before it, so that the braces hold one step and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from anatomy.ir.graph import Diagram
from anatomy.ir.loop import opened
from anatomy.language.layout import Path, moved
from anatomy.language.naming import signed
from anatomy.ops import Literal

if TYPE_CHECKING:
    from anatomy.language.unparse import Text


def loop_lines(text: Text, i: int) -> Iterator[tuple[Path, str]]:
    """The lines of the loop at node `i`; names what it gives."""
    diagram, path = text.diagram, text.layout.path[i]
    node = diagram.nodes[i]
    count = node.op.carries
    lanes = text.lanes | {a for axes in path for a in axes}
    inner = _bare(opened(diagram, node), count)
    header = []
    given: dict[int, str] = {}
    for k, (item, port) in enumerate(zip(inner.inputs, node.ports, strict=True)):
        made = diagram.producer.get(port.wire)
        source = diagram.nodes[made[0]].op if made is not None else None
        word = inner.wires[item.wire].name
        if k < count:
            axes = tuple(a for a in item.layout if a not in lanes)
            if isinstance(source, Literal):
                first = signed(source.value)
            else:
                first = text.operand(port, 0)[0]
                missing = [a for a in axes if a not in port.axes]
                if missing:
                    first = f"expand[{text.list(tuple(missing))}]({first})"
            name = given[item.wire] = text.names.new(word, "s")
            header.append(f"{name}: {text.type(inner.wires[item.wire].kind, axes)} = {first}")
        elif isinstance(source, Literal):
            number = signed(source.value)
            given[item.wire] = number if number.isdigit() else f"({number})"
        else:
            operand = text.operand(port, 0)[0]
            if not operand.isidentifier():
                name = text.names.new(word or f"t{i}_{k}")
                yield path, f"{name} = {operand}"
                operand = name
            given[item.wire] = operand
    child = text.child(inner, given, lanes | {node.own[0]})
    lines = [line for j in child.layout.roots for _, line in child.statement(j)]
    lines += [f"next {given[item.wire]} = {child.operand(o.port, 0)[0]}" for item, o in zip(inner.inputs[:count], inner.outputs, strict=False)]
    yield path, f"scan {text.axis(node.own[0])} ({', '.join(header)}) {{"
    for line in lines:
        yield path, f"  {line}"
    yield path, "}"
    before = [given[item.wire] for item in inner.inputs[:count]]
    extras = [child.wires[o.port.wire] for o in inner.outputs[count:]]
    for out, name in zip(node.outs, (*before, *extras, *(f"{b}.last" for b in before)), strict=True):
        text.wires[out] = name
    for out in node.outs:
        if any(moved(text.port(out, k, p)) for k, p in text.layout.readers(out)):
            yield from text.renamings(out, path)


def _bare(inner: Diagram, count: int) -> Diagram:
    """The body without walls, in which an extra has a name, so that it is a statement of its own."""
    wires = list(inner.wires)
    for output in inner.outputs[count:]:
        wire = output.port.wire
        wires[wire] = replace(wires[wire], name=wires[wire].name or f"t{wire}")
    return replace(inner, wires=tuple(wires), nodes=tuple(replace(n, frame=()) for n in inner.nodes))
