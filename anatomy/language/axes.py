"""Axes and sizes in print: what each axis is called, and which text declares what is known of its size."""

from __future__ import annotations

from collections.abc import Iterator

from anatomy.ir.graph import Diagram
from anatomy.ir.poly import Poly
from anatomy.language.layout import Layout
from anatomy.language.naming import Names, size, tail


class Axes:
    """The axes of a printed diagram; every one that the text mentions is named through it."""

    def __init__(self, diagram: Diagram, layout: Layout, free: Names):
        self.diagram, self.layout, self.free = diagram, layout, free
        self.settled = diagram.settled
        self.known: dict[str, str] = {}
        self.variables: dict[str, str] = {}
        for axis in self.used():
            self.axis(axis)

    def names(self) -> list[str]:
        return [*self.known.values(), *self.variables.values()]

    def used(self) -> Iterator[str]:
        diagram = self.diagram
        for item in diagram.inputs:
            kind = diagram.wires[item.wire].kind
            yield from ((kind.axis,) if kind.name == "index" else ())
            yield from item.layout
        for output in diagram.outputs:
            yield from output.layout
        for weight in diagram.weights:
            if self.layout.readers(weight.wire):
                yield from weight.layout
        for i in self.layout.nodes:
            yield from diagram.nodes[i].own
            yield from diagram.nodes[i].lifts
            for kind in getattr(diagram.nodes[i].op, "takes_kinds", ()) + getattr(diagram.nodes[i].op, "gives_kinds", ()):
                if kind.name == "index" and kind.axis in diagram.sizes:
                    yield kind.axis

    def axis(self, name: str) -> str:
        if name not in self.known:
            if name in self.variables and self.diagram.sizes[name] == Poly.var(name):
                self.known[name] = self.variables[name]
            else:
                self.known[name] = self.free.new(tail(name), name)
        return self.known[name]

    def variable(self, name: str) -> str:
        """A size variable is the axis of its name, where that axis is free."""
        if name not in self.variables:
            free = self.diagram.sizes.get(name) == Poly.var(name)
            self.variables[name] = self.axis(name) if free else self.free.new(tail(name), name)
        return self.variables[name]

    def poly(self, poly: Poly) -> Poly:
        return self.settled.of(poly).rename(self.variable)

    def equations(self) -> tuple[list[str], dict[str, str], list[str], list[str]]:
        """The `where` clause, the right sides in the `axis` declaration, helper diagrams, and their uses."""
        where: list[str] = []
        licences: dict[str, str] = {}
        renamed = self.renamed()
        header = {a for i in self.diagram.inputs for a in i.layout} | {a for o in self.diagram.outputs for a in o.layout}
        for axis, name in list(self.known.items()):
            value = self.poly(self.diagram.sizes[axis])
            other = value.as_variable()
            if other == name:
                continue
            if other and axis not in header and frozenset({name, other}) in renamed:
                licences[name] = other
            else:
                where.append(f"{name} = {size(value)}")
        helpers, uses = [], []
        for k, rest in enumerate(self.settled.rest):
            rest = rest.rename(self.variable)
            left = Poly(tuple(t for t in rest.terms if t[1] > 0))
            right = -Poly(tuple(t for t in rest.terms if t[1] < 0))
            if right.as_variable():
                left, right = right, left
            if not left.terms or not right.terms:
                continue
            axis = left.as_variable()
            if axis is None or axis in right.variables():
                axis = self.free.new("q")
                where.append(f"{axis} = {size(left)}")
                self.variables[axis] = axis
            law, x = self.free.new(f"law{k + 1}"), self.free.new("x")
            helpers.append(f"diagram {law}({x}: [{axis}]) -> [{axis}] where {axis} = {size(right)} {{ out {x} }}\n")
            bound = ", ".join(f"{v}={v}" for v in sorted(right.variables()))
            bound = f"[{bound}]" if bound else ""
            uses.append(f"{self.free.new('_' + law)} = {law}{bound}(iota[{axis}])")
        for axis, value in self.diagram.defaults:
            name = self.known.get(axis)
            if name and self.settled.of(self.diagram.sizes[axis]) == Poly.var(axis) and name not in licences:
                if all(v in self.variables for v in value.variables()):
                    licences[name] = size(value.rename(self.variable))
        return where, licences, helpers, uses

    def renamed(self) -> set[frozenset[str]]:
        """Pairs of axes of which the text renames one to the other."""
        ports = [p for i in self.layout.nodes if i not in self.layout.absorbed for p in self.layout.ports(i)]
        ports += [o.port for o in self.diagram.outputs]
        return {frozenset({self.axis(a), self.axis(b)}) for p in ports for a, b in p.renames}
