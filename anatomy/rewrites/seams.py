"""Wires made of parts: several end to end, or axes that are one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anatomy.ir.builder import View
from anatomy.ir.poly import Poly
from anatomy.ops import Gather, Split
from anatomy.rewrites.chosen import Chosen


@dataclass(frozen=True)
class Seam:
    """Wires end to end: a case for each part of an axis, each with a name for its part."""

    axis: str
    parts: tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Joined:
    """A wire whose axes `names` are one axis, row-major."""

    axis: str
    names: tuple[str, ...]
    inner: Value


Value = View | Seam | Joined


def axes_of(value: Value) -> set[str]:
    match value:
        case View():
            return set(value.axes)
        case Seam(axis, parts):
            return {axis}.union(*(axes_of(v) - {p} for p, v in parts))
        case Joined(axis, names, inner):
            return {axis} | (axes_of(inner) - set(names))


def renamed(value: Value, table: Mapping[str, str]) -> Value:
    match value:
        case View():
            return value.rename(table)
        case Seam(axis, parts):
            return Seam(table.get(axis, axis), tuple((p, renamed(v, table)) for p, v in parts))
        case Joined(axis, names, inner):
            return Joined(table.get(axis, axis), names, renamed(inner, table))



def unparted(chosen: Chosen, view: View, names: Sequence[str], whole: str) -> View | None:
    """A view with its parts put together, where they were apart in all that it is made of."""
    if not set(names) & set(view.axes):
        return view
    node = chosen.node(view.wire)
    if node is None or node.op.body is not None or node.op.hole or node.op.random or not set(names) <= set(view.axes):
        return None
    table = dict(view.renames)
    outer = {b: a for a, b in view.renames}
    here = [outer[a] for a in names]
    if isinstance(node.op, Split) and here == list(node.own[1:]):
        chosen.laws["merge_split"] = None
        back = {**{a: b for a, b in table.items() if a not in here}, node.own[0]: whole}
        (port,) = node.ports
        return View(port.wire, port.renames).rename(back)
    if set(here) & set(node.own) or whole in node.own or whole in node.lifts:
        return None
    found = [unparted(chosen, View(p.wire, p.renames), here, whole) for p in node.ports]
    if any(v is None for v in found):
        return None
    return chosen.one(node.op, node.own, [v for v in found if v is not None]).rename(table)


def uncut(chosen: Chosen, axis: str, parts: Sequence[str], views: Sequence[View]) -> View | None:
    """The wire of which all parts are cut, in their order."""
    start, common = Poly(), None
    for part, view in zip(parts, views, strict=True):
        node = chosen.node(view.wire)
        if node is None or not isinstance(node.op, Gather):
            return None
        index = View(node.ports[1].wire, node.ports[1].renames)
        found = chosen.reader.affine(index)
        back = {b: a for a, b in view.renames}
        if found is None or found != (start, {back[part]: 1}) or part not in back or len(index.axes) != 1:
            return None
        table = {**dict(view.renames), node.own[0]: axis}
        source = View(node.ports[0].wire, tuple((a, table[b]) for a, b in node.ports[0].renames))
        if common is not None and (common.wire, sorted(common.renames)) != (source.wire, sorted(source.renames)):
            return None
        start, common = start + chosen.sizes[part], source
    ((outer, _),) = [p for p in common.renames if p[1] == axis] if common else [("", "")]
    if common is None or start != chosen.sizes[outer]:
        return None
    chosen.laws["cat_halves"] = None
    return common


def together(chosen: Chosen, own: Sequence[str], views: Sequence[View]) -> tuple[list[str], list[View]]:
    """Operands of a sum over all parts of an axis that is split in each of them, before the split."""
    names, found = list(own), list(views)
    for view in views:
        for axis in own:
            parts, whole = _split(chosen, view, axis) if axis in view.axes else ((), "")
            if not parts or not set(parts) <= set(names):
                continue
            new = chosen.fresh(whole, chosen.sizes[whole])
            joined = [unparted(chosen, v, parts, new) for v in found]
            if all(v is not None for v in joined):
                names = [new, *(a for a in names if a not in parts)]
                found = [v for v in joined if v is not None]
                chosen.laws["split_sum"] = None
    return names, found


def _split(chosen: Chosen, view: View, axis: str) -> tuple[tuple[str, ...], str]:
    """Of which split an axis is a part, with all its parts and the whole; nothing where it is of none."""
    node = chosen.node(view.wire)
    if node is None:
        return (), ""
    table = dict(view.renames)
    ((outer, _),) = [pair for pair in view.renames if pair[1] == axis]
    if isinstance(node.op, Split) and outer in node.own:
        return tuple(table[a] for a in node.own[1:]), node.own[0]
    for port in node.ports:
        if outer in port.axes and outer not in node.own:
            parts, whole = _split(chosen, View(port.wire, port.renames), outer)
            if parts:
                return (tuple(table[a] for a in parts), whole) if set(parts) <= table.keys() else ((), "")
    return (), ""
