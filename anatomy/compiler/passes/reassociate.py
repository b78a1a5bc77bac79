"""Products that several sums read are taken apart where that is cheaper, and what is equal for all terms of a sum leaves it.

    sum_m (<q_n, k_m> / z_n) v_m = (sum_m <q_n, k_m> v_m) / z_n = <q_n, sum_m k_m v_m> / z_n

Converts: a contraction whose factor is divided by something without the summed axes; a contraction that only contractions read,
into each of them, where all together cost less so: linear attention that is written with its weights becomes linear.
Costs are multiplications, a size that is read at run time counted as 512.
A divisor moves where the sum has half as many places or fewer (`LESS`), and only from under products: what is divided by its own sum
is no greater than 1, and exponentials that are not yet divided may be beyond all numbers when they are summed with values.
Non-goals: one reader, which `multilinear` merges whatever it costs, as the order of the merged one is chosen anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anatomy.compiler.passes.multilinear import multilinear
from anatomy.compiler.passes.note import Note
from anatomy.compiler.passes.region import Region
from anatomy.ir.graph import Diagram, Node, Port
from anatomy.ir.op import Op
from anatomy.ir.solve import Solution

LESS = 2


def reassociate(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """The diagram with divisors outside of sums and with cheaper products."""
    made = _divided(diagram, solution, notes)
    merged = multilinear(made, solution, [])
    taken = _inlined(merged, solution, notes)
    return made if taken is merged else taken


def _divided(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """Divisors that are equal for all terms of a sum divide the sum."""
    if not any(n.op.word == "/" for n in diagram.nodes):
        return diagram
    region, found = Region(diagram), False
    for i, node in enumerate(diagram.nodes):
        contraction = node.op.contraction()
        if not node.own or contraction is None:
            continue
        region.at = i
        ports, divisors = _factors(region, node.ports, node, solution)
        if divisors:
            total = region.add(contraction, node.own, ports, node, diagram.wires[node.outs[0]].name)
            for division, port in divisors[:-1]:
                total = region.add(division, (), [total, port], node)
            division, port = divisors[-1]
            region.nodes[i] = replace(node, op=division, own=(), ports=(total, port))
            notes.append(Note("reassociate", "a divisor that is equal for all terms leaves their sum", node.span))
            found = True
    return region.built() if found else diagram


def _factors(region: Region, ports: Sequence[Port], node: Node, solution: Solution) -> tuple[list[Port], list[tuple[Op, Port]]]:
    """The factors of what is summed, without divisors that have no axis of the sum, and these."""
    factors: list[Port] = []
    divisors: list[tuple[Op, Port]] = []
    result = region.count(region.wires[node.outs[0]].axes, solution)
    for port in ports:
        made = region.maker(port)
        worth = made is not None and LESS * result <= region.count(port.axes, solution)
        if made is not None and worth and made.op.word == "/" and _product(region, made.ports[0]) and not set(made.ports[1].axes) & set(node.own):
            inner = _factors(region, made.ports[:1], node, solution)
            factors += inner[0]
            divisors += [*inner[1], (made.op, made.ports[1])]
        elif made is not None and not made.own and made.op.contraction() is not None:
            inner = _factors(region, made.ports, node, solution)
            factors += inner[0] if inner[1] else [port]
            divisors += inner[1]
        else:
            factors.append(port)
    return factors, divisors


def _product(region: Region, port: Port) -> bool:
    """Whether a wire is a product or a sum of products, perhaps divided."""
    made = region.source(port)
    if made is not None and made.op.word == "/":
        return _product(region, made.ports[0])
    return made is not None and made.op.algebra == "multilinear"


def _inlined(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """Contractions that several read, taken into each, where it is cheaper."""
    region, found = Region(diagram), False
    for i in reversed(range(len(diagram.nodes))):
        node = diagram.nodes[i]
        if not node.own or node.op.algebra != "multilinear":
            continue
        readers = diagram.consumers[node.outs[0]]
        places = sorted({j for j, _ in readers})
        if len(places) < 2 or len(places) < len(readers) or places[0] < 0:
            continue
        taken = {j: _taken(region, j, node.outs[0]) for j in places}
        new = {j: n for j, n in taken.items() if n is not None}
        if len(new) < len(places):
            continue
        before = region.work(node, solution) + sum(region.work(n, solution) for j in places if (n := region.nodes[j]) is not None)
        if sum(region.work(n, solution) for n in new.values()) >= before:
            continue
        for j, n in new.items():
            region.nodes[j] = n
        notes.append(Note("reassociate", "a product that several sums read is taken apart in each, which is cheaper", node.span))
        found = True
    return region.built() if found else diagram


def _taken(region: Region, at: int, wire: int) -> Node | None:
    """A contraction with the factors of one of its operands in place of it."""
    reader = region.nodes[at]
    if reader is None or not reader.own or reader.op.contraction() is None:
        return None
    k = next(k for k, p in enumerate(reader.ports) if p.wire == wire)
    source = region.source(reader.ports[k])
    if source is None:
        return None
    ports: Sequence[Port] = (*reader.ports[:k], *source.ports, *reader.ports[k + 1 :])
    return replace(reader, op=reader.op.contraction() or reader.op, own=(*reader.own, *source.own), ports=tuple(ports))
