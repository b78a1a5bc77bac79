"""Stamping a diagram gives, box by box, what splicing it with all checks gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Output
from anatomy.language.stamping import stamp
from anatomy.library.entry import entries
from anatomy.spaces import Space
from anatomy.spaces.assembly import Assembler, assemble
from anatomy.target import load_diagram, load_space


def called(filler: Diagram, how: Callable[..., list[View]], lifted: int) -> Diagram:
    """A call of the diagram in which the inputs of even number have `lifted` axes more."""
    builder = Builder()
    axis = {a: f"here.{a}" for a in filler.sizes}
    lifts = [f"t{k}" for k in range(lifted)]
    views = []
    for k, item in enumerate(filler.inputs):
        kind = filler.wires[item.wire].kind
        views.append(builder.input(item.name, [*(() if k % 2 else lifts), *(axis[a] for a in item.layout)], kind))
    outs = how(builder, filler, views, axis, lambda key: f"here.{key}", (builder.frame("call", "here"),))
    return builder.finish("caller", [Output(v.port, v.axes) for v in outs])


def test_every_mechanism_of_the_zoo() -> None:
    for entry in entries():
        filler = load_diagram(f"zoo:{entry.name}")
        for lifted in (0, 2):
            if lifted and any(filler.wires[i.wire].kind.name == "index" for i in filler.inputs):
                continue
            one, other = (called(filler, how, lifted) for how in (stamp, Builder.splice))
            assert one == other, entry.name
            assert [w.name for w in one.wires] == [w.name for w in other.wires]
            assert [n.frame for n in one.nodes] == [n.frame for n in other.nodes]


def test_every_part_of_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    space = Space(load_space("zoo:spaces/scores"))  # type: ignore[arg-type]
    definition, picked = space.definition, [m.index for m in space.sample(40, 1)]
    stamped = [assemble(definition, space.values(k), "x") for k in picked]  # type: ignore[arg-type]
    monkeypatch.setattr("anatomy.language.filling.stamp", lambda builder, *rest: builder.splice(*rest))
    fresh = Assembler(definition.base, definition.decisions)  # type: ignore[union-attr]
    for k, one in zip(picked, stamped, strict=True):
        other = fresh.diagram(space.values(k), "x")
        assert one == other
        assert [w.name for w in one.wires] == [w.name for w in other.wires]
        assert [n.frame for n in one.nodes] == [n.frame for n in other.nodes]
