"""Contractions of three factors and more become contractions of two, in the order that opt_einsum finds cheapest.

Converts: `dot[axes](a, b, c, ...)` into a tree, for the sizes that are known and plausible ones for the others; what depends on an
input counts as a batch of them. Later passes then see every product with a weight.
Non-goals: contractions in loops of the text's order; common factors of several trees.
"""

from __future__ import annotations

import string
from dataclasses import replace

from anatomy.compiler.likely import BATCH, Likely
from anatomy.compiler.passes.note import Note
from anatomy.compiler.passes.region import Region
from anatomy.ir.graph import Diagram, Port
from anatomy.ir.solve import Solution


def pairs(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """The diagram with contractions of at most two factors, numbers aside."""
    many = [i for i, n in enumerate(diagram.nodes) if n.op.word == "dot" and sum(bool(p.axes) for p in n.ports) > 2]
    if not many:
        return diagram
    from opt_einsum import contract_path

    region, likely = Region(diagram), Likely(diagram, solution)
    fixed = constant(diagram)
    for i in many:
        node = diagram.nodes[i]
        region.at = i
        ports = [p for p in node.ports if p.axes]
        letters = dict(zip(dict.fromkeys(a for p in ports for a in p.axes), string.ascii_letters, strict=False))
        batch = string.ascii_letters[len(letters)]
        kept = [a for a in letters if a not in node.own]

        ends = [("" if p.wire in fixed else batch) + "".join(letters[a] for a in p.axes) for p in ports]
        shapes = [(() if p.wire in fixed else (BATCH,)) + tuple(likely(region.sizes[a]) for a in p.axes) for p in ports]
        target = ("" if all(p.wire in fixed for p in ports) else batch) + "".join(letters[a] for a in kept)
        path, _ = contract_path(f"{','.join(ends)}->{target}", *shapes, shapes=True)
        steps = [tuple(sorted(pair)) for pair in path]
        left: list[Port] = list(ports)
        for pair in steps[:-1]:
            taken = [left[k] for k in pair]
            left = [p for k, p in enumerate(left) if k not in pair]
            needed = {*kept, *(a for p in left for a in p.axes)}
            own = [a for a in node.own if a not in needed and any(a in p.axes for p in taken)]
            left.append(region.add(node.op, own, taken, node))
        own = tuple(a for a in node.own if any(a in p.axes for p in left))
        region.nodes[i] = replace(node, own=own, ports=(*left, *(p for p in node.ports if not p.axes)))
    return region.built()


def constant(diagram: Diagram) -> set[int]:
    """Wires that depend on no input."""
    found = set(diagram.weight_of)
    for node in diagram.nodes:
        if node.op.body is None and not node.op.random and all(p.wire in found for p in node.ports):
            found.update(node.outs)
    return found
