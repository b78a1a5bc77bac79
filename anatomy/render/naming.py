"""What axes are called in a picture, and in what order: a callee's axis goes by its caller's name where nothing is lost by it."""

from __future__ import annotations

from collections.abc import Mapping, Set

from anatomy.ir.graph import Diagram


def axis_names(diagram: Diagram, full: bool) -> dict[str, str]:
    """Axis to the name that is drawn; the identity at full detail.

    An axis of a callee (`sdpa.f`) that is always the same axis of the caller under a new name is
    drawn as that axis (`e`); else it loses its prefix, so that equal calls look equal. Neither is done where
    two axes of one box or wire would get one name, nor where an axis drawn for the caller has that name and
    another size. Two calls may each have an inner axis `c`, as in the text: its size is then each call's own.
    """
    shown = {axis: axis for axis in diagram.sizes}
    if full:
        return shown
    meetings = _meetings(diagram)
    renames: dict[str, set[str]] = {}
    for port in [p for n in diagram.nodes for p in n.ports] + [o.port for o in diagram.outputs]:
        for outer, inner in port.renames:
            if outer != inner:
                renames.setdefault(inner, set()).add(outer)
    free_first = sorted(shown, key=lambda a: diagram.sizes[a].as_variable() != a)
    for axis in free_first:
        if "." not in axis:
            continue
        before = {shown[a] for a in renames.get(axis, ())}
        names = [next(iter(before))] if len(before) == 1 else []
        for name in [*names, axis.rpartition(".")[2]]:
            if _fits(shown, axis, name, meetings, diagram):
                shown[axis] = name
                break
    return shown


def _meetings(diagram: Diagram) -> dict[str, list[set[str]]]:
    """For each axis the sets of axes, of a box or a wire, in which it stands."""
    table: dict[str, list[set[str]]] = {a: [] for a in diagram.sizes}
    sets = [{*n.own, *n.lifts, *(a for w in n.outs for a in diagram.wires[w].axes)} for n in diagram.nodes]
    sets += [set(w.axes) for w in diagram.wires]
    for group in sets:
        for axis in group:
            table.setdefault(axis, []).append(group)
    return table


def _fits(
    shown: Mapping[str, str], axis: str, name: str, meetings: Mapping[str, list[set[str]]], diagram: Diagram
) -> bool:
    size = diagram.sizes[axis].rename(lambda v: name if v == axis else shown.get(v, v))
    for other, label in shown.items():
        if label == name and other != axis:
            if "." not in other:
                if meetings[other] and diagram.sizes[other] != diagram.sizes[axis]:
                    return False
                continue
            theirs = diagram.sizes[other].rename(lambda v, o=other: name if v == o else shown.get(v, v))
            if theirs != size:
                return False
    return all(shown.get(other, other) != name for group in meetings[axis] for other in group if other != axis)


def axis_sizes(diagram: Diagram, names: Mapping[str, str], used: Set[str]) -> dict[str, str]:
    """Drawn axes with their sizes: those of the header, then the caller's, then callees', each as first met."""
    d = diagram
    met = dict.fromkeys([*d.header, *_met(d)])
    order = [*d.header, *(a for a in met if "." not in a), *(a for a in met if "." in a), *d.sizes]
    sizes = {}
    for axis in order:
        if axis in names and names[axis] in used:
            size = str(d.sizes[axis].rename(lambda v: names.get(v, v)))
            sizes.setdefault(names[axis], size.replace(" * ", "·"))
    for equation in d.equations:
        axis = names.get(equation.left.as_variable() or "", "")
        if sizes.get(axis) == axis:
            size = str(equation.right.rename(lambda v: names.get(v, v))).replace(" * ", "·")
            sizes[axis] = size
    return sizes | {a: a for a in sorted(used - sizes.keys())}


def _met(diagram: Diagram) -> list[str]:
    """Axes as a walk back from the outputs meets them: no order of statements, no folding changes it."""
    d = diagram
    result: list[str] = []
    done: set[int] = set()
    stack = [(port.wire, False) for port in reversed([o.port for o in d.outputs])]
    while stack:
        wire, ready = stack.pop()
        maker = d.producer.get(wire)
        if maker is None or (not ready and maker[0] in done):
            continue
        node = d.nodes[maker[0]]
        if ready:
            result += [a for port in node.ports for a in port.axes] + list(node.own)
        else:
            done.add(maker[0])
            stack.append((wire, True))
            stack += [(port.wire, False) for port in reversed(node.ports)]
    return result
