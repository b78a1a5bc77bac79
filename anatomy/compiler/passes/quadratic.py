"""Weights that are products under a causal mask, and no softmax: the sum over keys becomes a recurrence in chunks of steps.

    sum_(m <= n) <q_n, k_m> exp(L_n - L_m) v_m = q_n S_n,      S_n = exp(L_n - L_(n-1)) S_(n-1) + k_n v_n^T

Converts: `sum[m](w * v)` and `sum[m](w)` where `w` is made of factors of rows and of keys, products of such summed over features,
`where(m <= n, ., 0)` and `exp(causal[m <= n](p))`; `p` is a difference of one running sum at the row and at the key, or of their
positions times something; `w` may be divided by anything of the rows. Whether others read `w` too does not matter: the sum is
cheaper without it. Two sums with the same weights, one of them without values, become one.
Conditions: rows and keys are of one size. A running sum in `p` never rises, so that no decay from one place to another is
greater than 1 (what would overflow in parts must overflow in whole): its terms are not above 0 by their signs.
Non-goals: masks that are not causal; weights without a mask, which `reassociate` takes; features of keys that values share.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from anatomy.compiler.passes.note import Note
from anatomy.compiler.passes.recurrence import Recurrence
from anatomy.compiler.passes.region import Region, axes
from anatomy.compiler.passes.signs import sign
from anatomy.ir.graph import Diagram, Node, Port
from anatomy.ir.op import Op
from anatomy.ir.solve import Solution

CHUNK = 64
"""Steps of a chunk."""


def quadratic(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """The diagram without causal weights that are no softmax."""
    if not any(n.op.word in ("where", "mask") for n in diagram.nodes):
        return diagram
    work = _Quadratic(Region(diagram), solution, notes)
    for i, node in enumerate(diagram.nodes):
        if len(node.own) == 1 and node.op.contraction() is not None:
            work.region.at = i
            work.sum(i, node)
    if not work.found:
        return diagram
    work.pairs()
    return work.region.built()


@dataclass
class _Weights:
    """What a product is made of, so far."""

    rows: str = ""
    factors: tuple[Port, ...] = ()
    own: tuple[str, ...] = ()
    """Axes that are summed inside."""
    divisors: tuple[tuple[Op, Port], ...] = ()
    inner: tuple[tuple[str, ...], ...] = ()
    """The same, sum by sum."""
    decays: tuple[tuple[Op, Port], ...] = ()
    """Boxes `exp` and what they are of, at the row."""


class _Quadratic:
    def __init__(self, region: Region, solution: Solution, notes: list[Note]):
        self.region, self.solution, self.notes = region, solution, notes
        self.found: list[int] = []
        self.known: dict[tuple[object, ...], Port] = {}

    def sum(self, at: int, node: Node) -> None:
        (key,) = node.own
        parts = self.product(node, key, self.rows(node, key))
        if parts is None:
            return
        row, own = parts.rows, set(parts.own)
        queries = [p for p in parts.factors if row in p.axes]
        other = [p for p in parts.factors if key in p.axes]
        if any(p in other for p in queries) or any(row in p.axes and key in p.axes for _, p in parts.divisors):
            return
        features = tuple(sorted(own & axes(queries) & axes(other)))
        k = [p for p in other if set(p.axes) & set(features)]
        v = [p for p in other if p not in k]
        queries += [p for p in parts.factors if row not in p.axes and key not in p.axes]
        deep = tuple(sorted(axes(v) - axes([*queries, *k, *(p for _, p in parts.decays)]) - own - {key}))
        if not features or any(not set(features) <= axes(ps) for ps in (queries, k)):
            return
        if own & axes([p for _, p in parts.divisors]) or own & axes([p for _, p in parts.decays]) - set(features):
            return
        if not self.worth(row, features, deep, parts.inner):
            return
        contraction = node.op.contraction()
        assert contraction is not None
        inner = {name: tuple(a for a in parts.own if a not in features and a in axes(ps)) for name, ps in (("q", queries), ("k", k), ("v", v))}
        if len({a for axes in inner.values() for a in axes}) < sum(map(len, inner.values())):
            return
        ports = [self.joined(contraction, queries, inner["q"], "q", node), self.moved(self.joined(contraction, k, inner["k"], "k", node), key, row)]
        if v:
            ports.append(self.moved(self.joined(contraction, v, inner["v"], "v", node), key, row))
        decay = None
        for op, port in parts.decays:
            once = self.once(op, (), (port,), "decay", node)
            decay = once if decay is None else self.once(contraction, (), (decay, once), "decay", node)
        ports += [] if decay is None else [decay]
        if (axes(ports) - set(features)) | axes([p for _, p in parts.divisors]) != set(self.region.wires[node.outs[0]].axes):
            return
        box = Recurrence(len(features), len(deep), decay=decay is not None, alone=not v)
        said = ", with decays" if decay is not None else ""
        self.notes.append(Note("quadratic", f"causal weights without a softmax become a recurrence in chunks of steps{said}", node.span))
        self.found.append(at)
        full = (row, *features, *deep)
        if not parts.divisors:
            self.region.nodes[at] = replace(node, op=box, own=full, ports=tuple(ports))
            return
        y = self.region.add(box, full, ports, node, "y")
        *first, (op, port) = parts.divisors
        for division, by in first:
            y = self.region.add(division, (), [y, by], node, "y")
        self.region.nodes[at] = replace(node, op=op, own=(), ports=(y, port))

    def worth(self, row: str, features: tuple[str, ...], deep: tuple[str, ...], inner: tuple[tuple[str, ...], ...]) -> bool:
        """Whether chunks take no more multiplications than the weights: features of several products multiply."""
        n, keys, values = (self.region.count(a, self.solution) for a in ((row,), features, deep))
        size = min(n, CHUNK)
        within, between = size * (keys + values), 2 * keys * values if n > CHUNK else 0
        return within + between <= n * (sum(self.region.count(a, self.solution) for a in inner) + values)

    # what weights are made of -----------------------------------------------------------------------

    def rows(self, node: Node, key: str) -> str:
        """The axis of the rows, where a causal mask tells it."""
        found = self.product(node, key, "")
        return "" if found is None else found.rows

    def product(self, node: Node, key: str, row: str) -> _Weights | None:
        """All factors of what is summed."""
        parts: _Weights | None = _Weights(row)
        for port in node.ports:
            parts = None if parts is None or key not in port.axes else self.parts(port, key, parts)
        return parts if parts is not None and parts.rows else None

    def parts(self, port: Port, key: str, so_far: _Weights) -> _Weights | None:
        """The factors of a wire, added to what there is; None where it is none of these."""
        rows = so_far.rows
        if key not in port.axes or (rows and rows not in port.axes):
            return replace(so_far, factors=(*so_far.factors, port))
        node = self.region.source(port)
        word = "" if node is None else node.op.word
        if node is not None:
            ports = node.ports
            if word in ("*", "dot") and key not in node.own:
                found: _Weights | None = replace(so_far, own=(*so_far.own, *node.own), inner=(*so_far.inner, node.own))
                for p in ports:
                    found = None if found is None else self.parts(p, key, found)
                return found
            if word == "sum" and key not in node.own and node.op.contraction() is not None:
                return self.parts(ports[0], key, replace(so_far, own=(*so_far.own, *node.own), inner=(*so_far.inner, node.own)))
            if word == "/" and key not in ports[1].axes:
                return self.parts(ports[0], key, replace(so_far, divisors=((node.op, ports[1]), *so_far.divisors)))
            if word == "where" and self.region.number(ports[2]) == 0:
                row = self.row(ports[0], key)
                if row and rows in ("", row):
                    return self.parts(ports[1], key, replace(so_far, rows=row))
            if word == "exp":
                masked = self.region.source(ports[0])
                if masked is not None and masked.op.word == "mask":
                    row = self.row(masked.ports[0], key)
                    rate = None if not row or rows not in ("", row) else self.rate(masked.ports[1], key, row)
                    if rate is not None:
                        return replace(so_far, rows=row, decays=(*so_far.decays, (node.op, rate)))
        return replace(so_far, factors=(*so_far.factors, port))

    def row(self, mask: Port, key: str) -> str:
        """The axis of the rows of a mask `key <= row`, or nothing."""
        found = self.region.past(mask, self.solution)
        return found[1] if found is not None and found[0] == key else ""

    def rate(self, power: Port, key: str, row: str) -> Port | None:
        """`r` at the row, where a wire is the sum of `r_i` over key < i <= row, and never has parts that are greater than the whole."""
        node = self.region.source(power)
        if node is None or node.own:
            return None
        if node.op.word in ("*", "dot") and len(node.ports) == 2:
            for k in (0, 1):
                by = node.ports[1 - k]
                if key not in by.axes and row not in by.axes and self.distance(node.ports[k], key, row):
                    return by
        if node.op.word == "-":
            ends = [self.region.source(p) for p in node.ports]
            if all(n is not None and n.op.word == "cumsum" for n in ends):
                there, here = (n for n in ends if n is not None)
                if there.own == (row,) and here.own == (key,) and self.moved(here.ports[0], key, row) == there.ports[0]:
                    found = sign(self.region, there.ports[0])
                    return there.ports[0] if found is not None and found <= 0 else None
        return None

    def distance(self, port: Port, key: str, row: str) -> bool:
        """Whether a wire is the position of the row less that of the key."""
        node = self.region.source(port)
        if node is None or node.op.word != "-":
            return False
        ends = [self.region.source(p) for p in node.ports]
        return [(n.op.word, n.own) for n in ends if n is not None] == [("iota", (row,)), ("iota", (key,))]

    # new boxes --------------------------------------------------------------------------------------

    def moved(self, port: Port, key: str, row: str) -> Port:
        """A wire of keys as one of rows."""
        return Port(port.wire, tuple((a, row if b == key else b) for a, b in port.renames))

    def joined(self, contraction: Op, ports: list[Port], own: tuple[str, ...], name: str, like: Node) -> Port:
        return ports[0] if len(ports) == 1 and not own else self.once(contraction, own, tuple(ports), name, like)

    def once(self, op: Op, own: tuple[str, ...], ports: tuple[Port, ...], name: str, like: Node) -> Port:
        key = (op, own, ports)
        if key not in self.known:
            self.known[key] = self.region.add(op, own, ports, like, name)
        return self.known[key]

    def pairs(self) -> None:
        """Two sums of the same weights, one of them without values, as one box."""
        region = self.region
        boxes = [(i, n) for i in self.found if (n := region.nodes[i]) is not None and isinstance(n.op, Recurrence)]
        for i, plain in boxes:
            for j, other in boxes:
                if not (isinstance(plain.op, Recurrence) and isinstance(other.op, Recurrence) and plain.op.alone and not other.op.alone):
                    continue
                one, two = _placed(plain), _placed(other)
                same = one[:2] == two[:2] and one[2:] == two[3:] and plain.op.keys == other.op.keys
                late = max(i, j)
                free = all(r < 0 or r > late for n in (plain, other) for r, _ in region.diagram.consumers[n.outs[0]])
                if same and free and region.nodes[i] is plain and region.nodes[j] is other:
                    region.nodes[i] = region.nodes[j] = None
                    region.nodes[late] = replace(other, op=replace(other.op, ones=True), outs=(other.outs[0], plain.outs[0]))
                    break


def _placed(node: Node) -> list[tuple[int, tuple[tuple[str, object], ...]]]:
    """The ports of a box with places among its own axes for their names."""
    table: dict[str, object] = {a: k for k, a in enumerate(node.own)}
    return [(p.wire, tuple((a, table.get(b, b)) for a, b in p.renames)) for p in node.ports]
