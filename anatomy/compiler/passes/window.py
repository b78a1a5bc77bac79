"""Attention under a mask that lets every row read few keys is computed in blocks: windows, blocks, prefixes, dilation.

    sum_j softmax_j(s_ij, where 0 <= i - j < w) v_j:   64 queries read 64 + w - 1 keys, not n.

Converts: a fused attention whose masks are all of positions, where `reach` proves which keys a block of queries can see: near ones, by
a bound on i - j or on blocks of positions; those of the same residue, by a divisor of i - j; the first ones, or the same places of every
period; and a few first rows that see all. The masks themselves are evaluated inside the blocks, so that a bound that is too wide
costs time and nothing else.
Conditions: one axis of rows and one of keys; no bias of rows and keys. Lengths may be read at run time: where few
are too few for a gain, the code that is written asks for the whole mask.
Non-goals: masks of values or indices beside those of positions; a random choice of blocks; unions of a window and a stride.
"""

from __future__ import annotations

from dataclasses import replace

from anatomy.compiler.passes.chosen_rows import narrowed
from anatomy.compiler.passes.formula import Formula, both
from anatomy.compiler.passes.kernel import FusedAttention
from anatomy.compiler.passes.note import Note
from anatomy.compiler.passes.places import Places
from anatomy.compiler.passes.positions import Positions
from anatomy.compiler.passes.reach import Reach, reach
from anatomy.compiler.passes.region import Region
from anatomy.ir.graph import REAL, Diagram, Node, Port, Wire
from anatomy.ir.solve import Solution

FREE = 64
"""So many keys more than twice those of a block there must be for a gain; `_places` asks the same at run time.

Measured for w = 8, 32, 128, 512 and 1, 4 and 32 heads: with twice as many keys as a block reads, blocks take 0.6 to 2.0 times the
time of the whole mask, with three times 0.4 to 1.1, the shortest being the slowest.
"""
DENSE = 4
"""Keys that all rows read from afar may be one of so many, at most."""


def window(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """The diagram with attention in blocks."""
    region = Region(diagram)
    found = False
    for at, node in enumerate(diagram.nodes):
        op = node.op
        found |= narrowed(region, solution, node, notes)
        if not isinstance(op, FusedAttention) or not op.masks or op.biases or op.keys != 1 or op.rows != 1:
            continue
        (key,), _, (row,), *_ = op.parts(node.own)
        first = 3 + 2 * len(op.more) + len(op.factors)
        positions = Positions(region, solution, row, key)
        masks = [positions.formula(p) for p in node.ports[first : first + op.masks]]
        if any(m is None for m in masks):
            continue
        seen = both(*(m for m in masks if m is not None))
        near = reach(seen)
        if near is None or not worth(near, solution.size(region.sizes[key]).constant()):
            continue
        region.at = at
        written = region.source(node.ports[first])
        made = places(region, written or node, seen, near, (row, key), op.sink)
        apart = bool(near.first or near.columns or near.step > 1 or op.sink)  # else the keys of a block are a slice
        blocks = {**({"places": made[0]} if apart else {}), "mask": made[1], **({"head": made[2]} if near.rows else {})}
        told = f"step={near.step}" if near.step > 1 else f"before={near.before}" if not apart and near.before else ""
        ports = (*node.ports[:first], *node.ports[first + op.masks :], *blocks.values())
        region.nodes[at] = replace(node, op=replace(op, masks=0, blocks=tuple(blocks), told=told), ports=ports)
        notes.append(Note("window", words(near), node.span))
        found = True
    return region.built() if found else diagram


def worth(near: Reach, keys: int | None) -> bool:
    """Whether blocks are faster than a mask, as far as that can be known before the lengths are."""
    period, low, high = near.columns or (1, 0, 0)
    if DENSE * (high - low) > period:
        return False
    if keys is None:
        return True
    read = (near.span if near.block else -(-keys // near.step)) + near.first + -(-keys // period) * (high - low)
    return keys > 2 * read + FREE


def places(region: Region, like: Node, seen: Formula, near: Reach, own: tuple[str, str], sink: bool) -> list[Port]:
    """A new box, and its results."""
    wires = range(len(region.wires), len(region.wires) + 3)
    region.wires += [Wire((), REAL, name, like.span) for name in ("places", "seen", "head")]
    region.before.setdefault(region.at, []).append(Node(Places(seen, near, sink), own, (), tuple(wires), like.span, like.frame))
    return [Port(w, ()) for w in wires]


def words(near: Reach) -> str:
    """What is told of one attention."""
    of = "all" if not near.block else f"{near.block}"
    text = f"{of} queries of one residue modulo {near.step} read" if near.step > 1 else f"blocks of {near.block} queries read"
    text += " the keys of that residue" if not near.block else f" {near.span} keys each"
    if near.first:
        text += f" and the first {near.first}"
    if near.columns:
        text += f" and places {near.columns[1]} to {near.columns[2] - 1} of every {near.columns[0]}"
    if near.rows:
        text += f"; the first {near.rows} queries read all"
    return text
