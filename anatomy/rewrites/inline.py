"""Diagrams written in a step of a derivation, `fill score := exp(dot[e](q, k))`: with the header of what they fill."""

from __future__ import annotations

from dataclasses import dataclass

from anatomy.errors import fail
from anatomy.ir.graph import Diagram, Kind
from anatomy.language import syntax as s
from anatomy.language.program import Program
from anatomy.ops import Hole
from anatomy.rewrites.filled import hole_of, missing

Typed = tuple[Kind, tuple[str, ...]]


@dataclass(frozen=True)
class Face:
    """What a hole or a weight takes and gives, with the names by which a text may speak of it."""

    params: tuple[tuple[str, Typed], ...]
    results: tuple[Typed, ...]


def face(diagram: Diagram, name: str) -> Face:
    """The interface of a hole or a weight. Raises AnatomyError E605 where there is none of that name."""
    if name not in diagram.holes:
        weight = next((w for w in diagram.weights if name in w.keys), None)
        if weight is None:
            raise missing(diagram, name)
        return Face((), ((Kind("real"), _plain(weight.layout)),))
    node = hole_of(diagram, name)
    op = node.op
    assert isinstance(op, Hole)
    roles = _plain(op.roles or node.own)
    words = op.words or tuple(f"x{k + 1}" for k in range(len(op.takes_axes)))
    takes, gives = (
        tuple((kind, tuple(roles[i] for i in axes)) for axes, kind in zip(all, kinds, strict=True))
        for all, kinds in ((op.takes_axes, op.takes_kinds), (op.gives_axes, op.gives_kinds))
    )
    return Face(tuple(zip(words, takes, strict=True)), gives)


def _plain(axes: tuple[str, ...]) -> tuple[str, ...]:
    """The names that a text can hold: without the path of a call, where they stay different."""
    short = tuple(a.rpartition(".")[2] for a in axes)
    return short if len(set(short)) == len(short) else tuple(a.replace(".", "_") for a in axes)


def inline(program: Program, filler: s.Expr | s.Written, title: str, at: s.Node, asked: Face) -> Diagram:
    """The diagram of what stands behind `:=`, an expression or statements in braces.

    Axes of the interface need not be declared in the file. Raises AnatomyError with all that is wrong in it.
    """
    module = program.root
    written = filler if isinstance(filler, s.Written) else s.Written(filler.at, None, (), (s.Out(filler.at, (filler,)),))
    signature = written.signature or _signature(asked, at)
    name = s.Name(filler.at, title)
    key = f"{title} at {filler.at[0]}"
    added = [a for t in (*(p.type for p in signature.params), *signature.results) for a in t.axes if a.text not in module.axes]
    if written.signature is not None:
        added = []
    for axis in added:
        module.axes[axis.text] = s.AxisItem(axis.at, axis, None)
    try:
        return program.aside(module, key, s.PartDecl(filler.at, name, signature, written.where, written.body))
    finally:
        for axis in added:
            module.axes.pop(axis.text, None)


def _signature(asked: Face, at: s.Node) -> s.Signature:
    def name(text: str) -> s.Name:
        if not text.isidentifier():
            raise fail("E209", f"`{text}` is no name, so the header must be written: `:= (...) -> [...] {{ ... }}`")
        return s.Name(at.at, text)

    def type(typed: Typed) -> s.Type:
        kind, axes = typed
        word = None if kind.name == "real" else name(kind.name)
        return s.Type(at.at, word, name(kind.axis) if kind.name == "index" else None, tuple(map(name, axes)))

    params = tuple(s.Param(at.at, name(word), type(typed)) for word, typed in asked.params)
    return s.Signature(at.at, params, tuple(map(type, asked.results)))
