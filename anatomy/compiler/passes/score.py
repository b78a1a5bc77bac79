"""What a score is made of: factors of one product of queries and keys, and what is added to it or hidden of it.

Converts: the boxes between a contraction and a softmax into a product with scales, biases and masks.
A squared distance |a - b|^2 is -2 <a, b> with two biases, one of them equal along the row.
A sum of products is taken as one: <q, k> + <a, b> = <(q, a), (k, b)>. Non-goals: additive scores; boxes that others read too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from anatomy.compiler.passes.region import Region
from anatomy.ir.graph import Node, Port
from anatomy.ir.op import Op


@dataclass(frozen=True)
class Factor:
    """A multiplier of what is inside: `*` or `/` by a port, or a number without one."""

    sign: str
    port: Port | None = None
    op: Op | None = None
    number: int = 1


@dataclass(frozen=True)
class Product:
    """`factors` times the product of operands summed over own axes."""

    operands: tuple[Port, ...]
    own: tuple[str, ...]
    node: Node
    factors: tuple[Factor, ...] = ()


@dataclass(frozen=True)
class Score:
    """`factors (sum of products) + biases, where masks`."""

    products: tuple[Product, ...] = ()
    factors: tuple[Factor, ...] = ()
    masks: tuple[Port, ...] = ()
    biases: tuple[tuple[str, Port, tuple[Factor, ...]], ...] = ()
    """Sign, port, and the factors outside of it."""


def scores(region: Region, port: Port, so_far: Score | None = None, readers: int = 1) -> Iterator[Score]:
    """The ways to read a wire, which so many boxes read, as a score."""
    s = so_far or Score()
    node = region.maker(port, readers)
    if node is None:
        return
    word, ports = node.op.word, node.ports
    if word == "mask":
        if all(positive(region, f) for f in s.factors):  # -inf times a negative number would be inf
            yield from scores(region, ports[1], replace(s, masks=(*s.masks, ports[0])))
    elif word in ("*", "dot") and node.own:
        yield replace(s, products=(Product(ports, node.own, node),))
    elif word == "neg":
        yield from scores(region, ports[0], replace(s, factors=(*s.factors, Factor("*", None, node.op, -1))))
    elif word == "/":
        yield from scores(region, ports[0], replace(s, factors=(*s.factors, Factor("/", ports[1], node.op))))
    elif word == "sum":
        found = distance(region, node, s)
        if found is not None:
            yield found
    elif len(ports) == 2 and word in ("*", "dot"):
        for at in (0, 1):
            yield from scores(region, ports[at], replace(s, factors=(*s.factors, Factor("*", ports[1 - at], node.op))))
    elif len(ports) == 2 and word in ("+", "-"):
        for at in (0, 1) if word == "+" else (0,):
            second = product(region, ports[1 - at], () if word == "+" else (NEGATIVE,))
            for first in scores(region, ports[at], s) if second is not None else ():
                outer, inner = first.factors[: len(s.factors)], first.factors[len(s.factors) :]
                products = tuple(replace(p, factors=(*inner, *p.factors)) for p in first.products)
                yield replace(first, products=(*products, second), factors=outer)
        yield from scores(region, ports[0], replace(s, biases=(*s.biases, (word, ports[1], s.factors))))
        if word == "+":
            yield from scores(region, ports[1], replace(s, biases=(*s.biases, ("+", ports[0], s.factors))))


NEGATIVE = Factor("*", None, None, -1)


def product(region: Region, port: Port, factors: tuple[Factor, ...]) -> Product | None:
    """A wire as one product, under factors."""
    node = region.maker(port)
    if node is None:
        return None
    word, ports = node.op.word, node.ports
    if word in ("*", "dot") and node.own:
        return Product(ports, node.own, node, factors)
    if word == "neg":
        return product(region, ports[0], (*factors, NEGATIVE))
    if word == "/":
        return product(region, ports[0], (*factors, Factor("/", ports[1], node.op)))
    if word in ("*", "dot") and len(ports) == 2:
        found = (product(region, ports[at], (*factors, Factor("*", ports[1 - at], node.op))) for at in (0, 1))
        return next((p for p in found if p is not None), None)
    return None


def distance(region: Region, total: Node, s: Score) -> Score | None:
    """`sum[own](square(a - b))` as -2 <a, b> with the biases |a|^2 and |b|^2."""
    square = region.maker(total.ports[0])
    if square is None or square.op.word not in ("square", "^ 2"):
        return None
    inside = region.maker(square.ports[0])
    if inside is None or inside.op.word != "-":
        return None
    a, b = inside.ports
    own = total.own
    if not (set(own) <= set(a.axes) & set(b.axes) and set(a.axes) - set(b.axes) and set(b.axes) - set(a.axes)):
        return None  # where one has all axes of the other, the product is as large as the difference
    biases = []
    for port in (a, b):
        squared = region.add(square.op, (), [port], square)
        biases.append(("+", region.add(total.op, own, [squared], total), s.factors))
    factors = (*s.factors, Factor("*", None, None, -2))
    return replace(s, products=(Product((a, b), own, total),), factors=factors, biases=(*s.biases, *biases))


def positive(region: Region, factor: Factor) -> bool:
    """Whether a factor is a number known to be above 0."""
    return factor.port is not None and above_0(region, factor.port)


def above_0(region: Region, port: Port) -> bool:
    """Positive literals, sizes, and their roots, products, quotients and sums."""
    node = region.source(port)
    if node is None:
        return False
    if node.op.word in ("sqrt", "*", "/", "+"):
        return all(above_0(region, p) for p in node.ports)
    value = getattr(node.op, "value", None)
    return node.op.word == "size" or (value is not None and not node.ports and value > 0)


def plain(region: Region, port: Port) -> bool:
    """Whether a wire is a number of the diagram's text and sizes alone."""
    node = region.source(port)
    return node is not None and not port.axes and node.op.body is None and not node.op.random and all(plain(region, p) for p in node.ports)
