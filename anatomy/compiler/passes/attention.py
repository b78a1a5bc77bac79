"""Softmax attention becomes one call of `F.scaled_dot_product_attention`.

Converts: `dot[keys, ...](softmax[keys](score), ...)` where nothing else reads the weights and the score is a product of queries and
keys, up to scales, temperatures, masks, biases, terms that are equal along a row, any order of these, any number of heads, lanes
and lifted axes, and projections that stand in the same contraction. A bias of keys becomes one feature more; a bias
that depends on a row only by a term of its own, as that of ALiBi or of a squared distance, loses the term and becomes one too.
A sink becomes a key without a value. The features of several products of queries and keys stand side by side.

    softmax_j(s_ij + b_j + c_i) = softmax_j(<(q_i, 1), (k_j, b_j)>),       c_i cancels in numerator and denominator.

Non-goals: additive scores, other normalisers, weights that are read twice, differentiating twice (see `DIFFERENTIABLE`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import inf, prod

from anatomy.compiler.passes.kernel import FusedAttention, Scaled
from anatomy.compiler.passes.note import Note
from anatomy.compiler.passes.region import Region, axes
from anatomy.compiler.passes.score import Factor, Product, Score, plain, positive, scores
from anatomy.compiler.passes.weights import Weights, weights
from anatomy.ir.graph import Diagram, Node, Port
from anatomy.ir.solve import Solution

KERNEL, SOFTMAX = 2.5, 250
"""What a score and its value cost in the kernel for every feature, and what the weights cost outside of it, in multiplications."""


def attention(diagram: Diagram, solution: Solution, notes: list[Note]) -> Diagram:
    """The diagram with fused attention."""
    if not any(n.op.word in ("softmax", "logsumexp") for n in diagram.nodes):
        return diagram
    region = Region(diagram)
    found = False
    for i, node in enumerate(diagram.nodes):
        if node.op.algebra == "multilinear" and node.own and node.op.contraction() is not None:
            region.at = i
            found |= _Try(region, solution, notes, node).convert()
    return region.built() if found else diagram


@dataclass(frozen=True)
class Pair:
    """A product with the operands that make its queries and those that make its keys, and the features that these share."""

    product: Product
    queries: list[Port]
    keys: list[Port]
    features: tuple[str, ...]


@dataclass
class _Try:
    """One contraction that may be the last box of an attention."""

    region: Region
    solution: Solution
    notes: list[Note]
    node: Node

    def convert(self) -> bool:
        for j in range(len(self.node.ports)):
            found = weights(self.region, self.node, j)
            if found is None:
                continue
            others = [p for k, p in enumerate(self.node.ports) if k not in found.used]
            if any(self.replaced(found, s, others) for s in scores(self.region, found.score, readers=found.readers)):
                return True
        return False

    # one attention ----------------------------------------------------------------------------------

    def replaced(self, found: Weights, s: Score, others: list[Port]) -> bool:
        keys = found.keys
        lifts = tuple(a for a in found.score.axes if a not in keys)
        products = [self.multiplied(p, s.factors, keys) for p in s.products]
        sides = [None if p is None else self.query_and_key(p, keys, lifts) for p in products]
        pairs: list[Pair] = []
        fused, plain_work = 0.0, SOFTMAX * self.region.count({*lifts, *keys}, self.solution)
        for p, split in zip(products, sides, strict=True):
            if p is None or split is None:
                return False
            queries, k_ports, made = split
            fused += made
            plain_work += self.work(p.operands, {*lifts, *keys})
            pairs.append(Pair(p, queries, k_ports, tuple(a for a in p.own if a in axes(queries) and a in axes(k_ports))))
        wide = sum(self.region.count(set(p.features), self.solution) for p in pairs)
        values = self.value_and_rest(others, keys, lifts, wide)
        if values is None:
            return False
        v_ports, after, v_axes, made = values
        plain_work += self.region.pairs([set(found.score.axes), *(set(p.axes) for p in others)], set(wires_axes(self.region, self.node)), self.solution)
        if fused + made > plain_work:
            return False
        k_axes = {a for p in pairs for a in axes(p.keys) if a not in p.product.own}
        both = {a for a in lifts if a in k_axes or a in v_axes}
        rows = [a for a in lifts if a not in both]
        sink = [] if found.logit is None else [found.logit]
        if any(set(p.axes) & set(rows) for p in sink):
            return False
        if found.sink and any(not set(b.axes) & set(keys) for _, b, _ in s.biases):
            return False  # what is equal along a row moves all scores but the sink's
        hidden = {a for p in (*s.masks, *(b for _, b, _ in s.biases if set(b.axes) & set(keys))) for a in p.axes}
        if set(rows) & hidden:
            rows = [a for a in rows if a in hidden]
        deep = tuple(sorted(v_axes - set(keys) - set(lifts)))
        if any(self.counted(a) for a in (*(a for p in pairs for a in p.features), *deep)):
            return False  # tokens as features: the kernel is not made for that
        if not rows or not all(set(keys) <= axes(p.keys) for p in pairs):
            return False
        if not all(set(rows) & axes(p.queries) for p in pairs):
            return False  # one query for all rows: their scores differ by a bias alone, and the product would be taken for each
        self.build(found, s, tuple(rows), deep, pairs, v_ports, after, axes(v_ports) - v_axes)
        return True

    def multiplied(self, p: Product, outer: tuple[Factor, ...], keys: tuple[str, ...]) -> Product | None:
        """Factors that are tensors become operands of the product; only numbers remain, and tensors that divide."""
        operands, factors = list(p.operands), []
        for f, inner in (*((f, False) for f in outer), *((f, True) for f in p.factors)):
            if f.sign == "*" and f.port is not None and (f.port.axes or not plain(self.region, f.port)):
                operands.append(f.port)
            elif f.sign == "/" and f.port is not None and set(f.port.axes) & set(keys):
                return None
            elif inner or (f.port is not None and (f.port.axes or not plain(self.region, f.port))):
                factors.append(f)
        return replace(p, operands=tuple(operands), factors=tuple(factors))

    def query_and_key(self, p: Product, keys: tuple[str, ...], lifts: tuple[str, ...]) -> tuple[list[Port], list[Port], float] | None:
        """Which operands make the queries and which the keys, so that all the work together is least; and the work of making them."""
        sure = [x for x in p.operands if set(x.axes) & set(keys)]
        open_ = [x for x in p.operands if not set(x.axes) & set(keys)]
        best, found = inf, None
        for sides in product((0, 1), repeat=len(open_)):
            q = [x for x, side in zip(open_, sides, strict=True) if side == 0]
            k = sure + [x for x, side in zip(open_, sides, strict=True) if side == 1]
            shared = {a for a in p.own if a in axes(q) and a in axes(k)}
            if not q or not k or not shared:
                continue
            keep_q, keep_k = shared | (axes(q) - set(p.own)), shared | (axes(k) - set(p.own))
            made = self.work(q, keep_q) + self.work(k, keep_k)
            work = made + self.region.count({*lifts, *keys, *shared}, self.solution)
            if work < best:
                best, found = work, (q, k, made)
        return found

    def value_and_rest(
        self, others: list[Port], keys: tuple[str, ...], lifts: tuple[str, ...], wide: float
    ) -> tuple[list[Port], list[Port], set[str], float] | None:
        """Which operands make the values and which come after the sum over keys, so that all the work together is least.

        Then the values' axes, and all the work: the kernel wants as many features as values, of which `wide` are there."""
        sure = [p for p in others if set(p.axes) & set(keys)]
        open_ = [p for p in others if not set(p.axes) & set(keys)]
        if not sure or not set(keys) <= axes(sure):
            return None
        out = set(wires_axes(self.region, self.node))
        best, found = inf, None
        for sides in product((0, 1), repeat=len(open_)):
            after = [p for p, side in zip(open_, sides, strict=True) if side == 0]
            v = sure + [p for p, side in zip(open_, sides, strict=True) if side == 1]
            keep = {a for a in axes(v) if a in axes(after) or a in out or a in keys or a in lifts}
            mixed = (set(lifts) | keep) - set(keys)
            kernel = KERNEL * self.region.count({*lifts, *keys}, self.solution) * max(wide, self.region.count(keep - {*keys, *lifts}, self.solution))
            work = self.work(v, keep) + kernel + self.region.pairs([mixed, *(set(p.axes) for p in after)], out, self.solution)
            if work < best:
                best, found = work, (v, after, keep, work)
        return found

    def work(self, ports: Sequence[Port], keep: set[str]) -> float:
        return self.region.pairs([set(p.axes) for p in ports], keep, self.solution)

    # building ---------------------------------------------------------------------------------------

    def build(
        self, found: Weights, s: Score, rows: tuple[str, ...], deep: tuple[str, ...],
        pairs: list[Pair], v_ports: list[Port], after: list[Port], summed: set[str],
    ) -> None:  # fmt: skip
        region, node, keys = self.region, self.node, found.keys
        contract = node.op.contraction()
        assert contract is not None
        like = pairs[0].product.node
        factors = [f for f in s.factors if f.port is None or not (f.port.axes or not plain(region, f.port))]
        # The kernel hides scores before it scales them, and biases are divided by the scale: only a scale above 0 is given to it.
        moved = [f for f in factors if f.port is not None and not positive(region, f)]
        whole = prod(f.number for f in factors)
        if whole <= 0:
            moved.append(Factor("*", None, None, whole))
        factors = [f for f in factors if f not in moved and (f.port is not None or whole > 0)]
        ends: list[tuple[Port, Port]] = []
        for pair in pairs:
            ended = [a for a in pair.product.own if a not in pair.features]
            q = self.joined(pair.queries, ended, "q", like)
            k = self.joined(pair.keys, ended, "k", like)
            for f in (*pair.product.factors, *moved):
                q = self.times(q, f, like)
            ends.append((q, k))
        (q, k), *more = ends
        v = self.joined(v_ports, [a for a in node.own if a in summed], "v", node)
        beside, biases, shifted = [], [], False
        for sign, port, outside in s.biases:
            if not set(port.axes) & set(keys):
                continue  # equal along the row
            short = None if found.sink else self.shift(port, set(keys), set(rows))
            if short is not None:
                sign = sign if short[0] == "+" else "-" if sign == "+" else "+"
                port, shifted = short[1], True
            for f in reversed(outside):
                port = self.times(port, f, like)
            (biases if set(port.axes) & set(rows) else beside).append((sign, port))
        masks = list(s.masks)
        causal = not biases and len(masks) == 1 and len(keys) == len(rows) == 1 and region.past(masks[0], self.solution) == (keys[0], rows[0])
        if causal:
            masks = []
        op = FusedAttention(
            len(keys), len(pairs[0].features), len(rows), len(deep), tuple(f.sign for f in factors if f.port is not None), prod(f.number for f in factors), len(masks), causal,
            tuple(sign for sign, _ in biases), tuple(sign for sign, _ in beside), shifted,
            found.sink, found.logit is not None, more=tuple(len(p.features) for p in pairs[1:]),
        )  # fmt: skip
        ports = [q, k, v, *(end for pair in more for end in pair), *(f.port for f in factors if f.port is not None), *masks, *(b for _, b in biases), *(b for _, b in beside)]
        ports += [] if found.logit is None else [found.logit]
        own = (*keys, *pairs[0].features, *rows, *deep, *(a for p in pairs[1:] for a in p.features))
        rest = tuple(a for a in node.own if a not in keys and a not in summed)
        self.notes.append(Note("attention", self.words(causal, len(masks), len(biases), len(beside), shifted, found.sink, len(pairs)), node.span))
        if rest or after:
            mixed = region.add(op, own, ports, node, "mixed")
            region.nodes[region.at] = replace(node, op=contract, own=rest, ports=(mixed, *after))
        else:
            region.nodes[region.at] = replace(node, op=op, own=own, ports=tuple(ports))

    def times(self, port: Port, f: Factor, like: Node) -> Port:
        """A wire under a factor."""
        if f.op is not None:
            return self.region.add(f.op, (), [port] if f.port is None else [port, f.port], like)
        return self.region.add(Scaled(f.number), (), [port], like)

    def joined(self, ports: list[Port], ended: list[str], name: str, like: Node) -> Port:
        """One wire for several operands."""
        own = tuple(a for a in ended if a in axes(ports))
        if len(ports) == 1 and not own:
            return ports[0]
        contract = self.node.op.contraction()
        assert contract is not None
        return self.region.add(contract, own, ports, like, name)

    def counted(self, axis: str) -> bool:
        """Whether the size of an axis is read at run time from an axis of an input that is not its last."""
        rest = self.solution.size(self.region.sizes[axis])
        tokens = {v for i in self.region.diagram.inputs for a in i.layout[:-1] for v in self.region.sizes[a].variables()}
        return any(v in tokens for v in rest.variables())

    def shift(self, port: Port, keys: set[str], rows: set[str]) -> tuple[str, Port] | None:
        """A bias without its part that is equal along each row, with its sign, where no row is left in it."""
        if not set(port.axes) & rows:
            return None
        node = self.region.source(port)
        if node is None or len(node.ports) != 2 or node.own:
            return None
        a, b = node.ports
        word = node.op.word
        if word in ("+", "-"):
            for sign, one, other in (("+", a, b), ("-" if word == "-" else "+", b, a)):
                if not set(other.axes) & keys:
                    rest = ("+", one) if not set(one.axes) & rows else self.shift(one, keys, rows)
                    if rest is not None:
                        return ("+" if rest[0] == sign else "-"), rest[1]
            return None
        for at, (one, other) in enumerate(((a, b), (b, a))):
            if word not in ("*", "dot", "/") or (word == "/" and at) or set(other.axes) & (keys | rows):
                continue
            rest = self.shift(one, keys, rows)
            if rest is not None:
                ports = [rest[1], other] if at == 0 else [other, rest[1]]
                return rest[0], self.region.add(node.op, (), ports, node)
        return None

    def words(self, causal: bool, masks: int, biases: int, beside: int, shifted: bool, sink: bool, products: int) -> str:
        more = ["is_causal" if causal else "a mask" if masks else "", "a bias of rows and keys" if biases else ""]
        if beside:
            more.append("a bias as one more feature" + (", terms of rows alone cancelled" if shifted else ""))
        if products > 1:
            more.append(f"the features of {products} products side by side")
        if sink:
            more.append("a sink as a key without a value")
        said = ", ".join(m for m in more if m)
        return "softmax attention becomes scaled_dot_product_attention" + (f" with {said}" if said else "")


def wires_axes(region: Region, node: Node) -> tuple[str, ...]:
    """The axes of a box's one result."""
    return region.wires[node.outs[0]].axes
