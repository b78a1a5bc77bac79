"""Several components put together as one, for a hole of their own interface.

Converts: the interface of a hole, a form (`seq`, `bag`, `set`, `dag`) and a diagram for each place into a diagram with the header
of the hole. Each component is a call, checked against the interface as at a hole, with weights under its number: `1.F`.
Non-goals: which components stand there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anatomy.errors import AnatomyError, fail
from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Node, Output
from anatomy.ir.labelling import label
from anatomy.ir.op import Op
from anatomy.language.choices import Join
from anatomy.language.filling import Joining
from anatomy.ops import Add, Extremum, Hole, Multiply

JOINS: dict[Join, Op] = {"add": Add(), "multiply": Multiply(), "max": Extremum("max"), "min": Extremum("min")}


class Composite:
    """A diagram with the header of a hole, in the making."""

    def __init__(self, hole: Hole, parts: Sequence[Diagram] = ()):
        self.hole, self.parts = hole, parts
        count = 1 + max((k for axes in (*hole.takes_axes, *hole.gives_axes) for k in axes), default=-1)
        self.own = tuple(hole.roles) if len(hole.roles) == count else tuple(f"a{k + 1}" for k in range(count))
        self.builder = builder = Builder()
        for axis in self.own:
            builder.axis(axis)
        words = hole.words or tuple(f"x{k + 1}" for k in range(len(hole.takes_axes)))
        self.inputs = [
            builder.input(word, [self.own[k] for k in axes], kind)
            for word, axes, kind in zip(words, hole.takes_axes, hole.takes_kinds, strict=True)
        ]
        self.filling = Joining(builder.finish("composite", ()), {f"{k + 1}": part for k, part in enumerate(parts)})
        self.filling.builder = builder

    def use(self, k: int, views: Sequence[View]) -> tuple[View, ...]:
        """Component `k`, from 1, called."""
        hole = self.hole
        op = Hole(f"{k}", hole.takes_axes, hole.gives_axes, hole.takes_kinds, hole.gives_kinds, f"{k}", hole.words, hole.roles)
        return self.filling.use(Node(op, self.own, (), ()), list(views))

    def join(self, views: Sequence[View], op: Op) -> View:
        total = views[0]
        for view in views[1:]:
            (total,) = self.builder.add(op, (), [total, view])
        return total

    def finish(self, name: str, views: Sequence[View]) -> Diagram:
        """What the components need of the header is the `where` of the whole."""
        hole = self.hole
        outputs = [
            Output(view.port, tuple(self.own[k] for k in axes), None, kind)
            for view, axes, kind in zip(views, hole.gives_axes, hole.gives_kinds, strict=True)
        ]
        return self.builder.finish(name, outputs, header=self.own, where=self.filling.licensed)


def passes(hole: Hole) -> str | None:
    """Why a hole cannot pass its first wire on, or None when it can."""
    if len(hole.gives_axes) != 1 or not hole.takes_axes:
        return "it must take a wire and give one"
    if frozenset(hole.takes_axes[0]) != frozenset(hole.gives_axes[0]) or hole.takes_kinds[0].name != hole.gives_kinds[0].name:
        return "the type of its result is not that of its first operand"
    return None


def composes(hole: Hole) -> str | None:
    """Why what fills a hole cannot be composed with what fills it too, or None when it can."""
    return passes(hole) if len(hole.takes_axes) == 1 else "it must take one wire"


def joins(hole: Hole) -> str | None:
    """Why two results of a hole cannot be joined, or None when they can."""
    if len(hole.gives_axes) != 1:
        return "it must give one wire"
    return None if hole.gives_kinds[0].name == "real" else f"its result is no real but {hole.gives_kinds[0]}"


def cells(hole: Hole) -> str | None:
    """Why a hole cannot hold a cell, or None when it can."""
    return composes(hole) or joins(hole)


def identity(hole: Hole) -> Diagram:
    """What passes the first wire on. Raises AnatomyError E604."""
    _need(hole, "be passed", passes)
    made = Composite(hole)
    return made.finish("none", made.inputs[:1])


def sequence(hole: Hole, parts: Sequence[Diagram], name: str) -> Diagram:
    """The parts, one after the other. Raises AnatomyError E604."""
    _need(hole, "hold a sequence", composes)
    made = Composite(hole, parts)
    views: Sequence[View] = made.inputs
    for k in range(len(parts)):
        views = made.use(k + 1, views)
    return made.finish(name, views)


def beside(hole: Hole, parts: Sequence[Diagram], join: Join, name: str) -> Diagram:
    """The parts on the same operands; `((1 + 2) + 3)` with `+` or another way to join. Raises AnatomyError E604."""
    _need(hole, "hold several components", joins)
    made = Composite(hole, parts)
    return made.finish(name, [made.join([made.use(k + 1, made.inputs)[0] for k in range(len(parts))], JOINS[join])])


def cell(hole: Hole, parts: Sequence[Diagram], marks: Sequence[str], edges: Sequence[tuple[int, int]], name: str) -> Diagram:
    """Vertex 0 is the input, the last the output, each other vertex `k` a part on the sum of what its edges bring.

    A vertex stands once, however many read it. `marks` say what the parts are: a sum is taken in the canonical order
    of the labelled graph, so cells that differ in the numbers of their vertices are one diagram up to isomorphism.
    Raises AnatomyError E604 (the hole holds no cell), E605 (a vertex that nothing reaches).
    """
    _need(hole, "hold a cell", cells)
    made, last = Composite(hole, parts), len(parts) + 1
    values: list[View] = made.inputs[:1]
    order, _ = label(["input", *(f"at {mark}" for mark in marks), "output"], [(a, b, "edge") for a, b in edges])
    place = {v: k for k, v in enumerate(order)}
    for v in range(1, last + 1):
        before = sorted({a for a, b in edges if b == v}, key=lambda a: place[a])
        if not before or max(before) >= v:
            raise fail("E605", f"vertex {v} of the cell has no edge from a vertex before it")
        total = made.join([values[a] for a in before], JOINS["add"])
        values.append(total if v == last else made.use(v, [total])[0])
    return made.finish(name, values[-1:])


def _need(hole: Hole, what: str, test: Callable[[Hole], str | None]) -> None:
    reason = test(hole)
    if reason is not None:
        raise not_able(hole, what, reason)


def not_able(hole: Hole, what: str, reason: str) -> AnatomyError:
    return fail("E604", f"hole `{hole.label}` cannot {what}: {reason}")
