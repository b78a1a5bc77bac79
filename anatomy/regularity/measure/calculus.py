"""The composition on measures: whether a diagram is a map of measures, and its constants for W1, W2 and W_infinity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from anatomy.ir.bound import Bound, Slopes, Triple, Unproved, mul
from anatomy.ir.graph import Diagram, Input, Node, Port
from anatomy.regularity.compose import Stuck, _weight, place
from anatomy.regularity.measure.rules import MeasureRules
from anatomy.regularity.tensor import TooLarge
from anatomy.regularity.view import rename, with_tokens
from anatomy.regularity.wires import wired

OVER_TOKENS = frozenset({"dot", "sum", "mean", "max", "min", "softmax", "expand", "size"})
"""The operations that may work on an axis of tokens itself; all others act on every token alike."""


@dataclass(frozen=True)
class Transport:
    """What a diagram does to measures on the ball of radius `radius`: W_p(F(mu), F(nu)) <= constant * W_p(mu, nu).

    `one`, `two` and `inf` are the constants for p = 1, 2 and infinity, for every number of tokens; `output` bounds the norm of
    a token of every output, `points` tells whether each output is a measure (else it is one vector).
    """

    radius: float
    one: float
    two: float
    inf: float
    output: tuple[float, ...]
    points: tuple[bool, ...]
    method: str
    responsible: str | None
    trail: list[dict[str, Any]] = field(repr=False)

    def constant(self, p: float) -> float:
        """The constant of W_p, for p >= 1: between 1, 2 and infinity by Riesz and Thorin the greater neighbour serves."""
        if not p >= 1:
            raise ValueError(f"W_p needs p >= 1, not {p}")
        if p <= 1:
            return self.one
        if p <= 2:
            return self.two if p == 2 else max(self.one, self.two)
        return self.inf if p == float("inf") else max(self.two, self.inf)

    def error(self, distance: float, p: float = 1.0) -> float:
        """How far, in W_p, the output for a mis-specified input is from that for the right one, given their distance in W_p."""
        return mul(self.constant(p), distance)


def measured(diagram: Diagram, sizes: Mapping[str, int], weights: Mapping[str, np.ndarray], radius: float) -> Transport:
    """The constants of a diagram as a map of measures of tokens in the ball of a radius; raises `Stuck` where it is none or none is proved.

    `sizes` has every axis (`compose.sizes_of`); the number of tokens in it is not used. With several inputs the distance of
    two of them together is the greatest W_p of their parts (of one coupling where they share their tokens).
    """
    many, derived = _tokens(diagram)
    unit = {a: 1 if a in many else s for a, s in sizes.items()}
    bounds: dict[int, Bound] = {}
    orders: dict[int, int] = {}
    for item in diagram.inputs:
        axes = frozenset(item.layout)
        start = Bound(axes, frozenset(item.layout[:-1]), (-radius, radius), radius, {item.wire: Triple.all(1.0)})
        bounds[item.wire], orders[item.wire] = wired(start, item.wire), 0
    for weight in diagram.weights:
        if (many | derived) & set(weight.layout):
            raise Stuck("weights", f"weight `{weight.key}` has an axis of tokens")
        bounds[weight.wire], orders[weight.wire] = _weight(weight, weights, unit), 0
    trail: list[dict[str, Any]] = []
    method, responsible, greatest = "composition", None, 0.0
    for node in diagram.nodes:
        before = max((_size(bounds[p.wire].slopes) for p in node.ports), default=0.0)
        for out in _step(node, bounds, orders, unit, many, derived):
            method = out.facts.get("method") or method
            after = _size(out.slopes)
            if not out.constant:
                trail.append({"op": place(node), "radius": out.radius, "lipschitz": after})
            growth = after / before if 0 < before < float("inf") else 0.0
            if growth > greatest:
                responsible, greatest = place(node), growth
    return _whole(diagram, bounds, orders, unit, many, derived, radius, method, responsible, trail)


def _whole(
    diagram: Diagram, bounds: dict[int, Bound], orders: dict[int, int], unit: dict[str, int], many: set[str], derived: set[str],
    radius: float, method: str, responsible: str | None, trail: list[dict[str, Any]],
) -> Transport:  # fmt: skip
    """All outputs at the nodes of one measure: their vectors are laid end to end."""
    total, reach, points = Triple(), [], []
    for output in diagram.outputs:
        _linked(output.port, many, derived, "output")
        mine = many & set(output.layout)
        if len(mine) > 1 or derived & set(output.layout):
            raise Stuck("output", "an output has more than one axis of tokens, so it is no measure of tokens")
        if output.kind.name != "real" or diagram.wires[output.port.wire].kind.name != "real":
            raise Stuck("output", "an output is not real")
        if orders[output.port.wire]:
            raise Stuck("output", "an output scales with the number of tokens, so it is no function of the measure")
        bound = rename(bounds[output.port.wire], dict(output.port.renames))
        if "mask" in bound.facts:
            raise Stuck("output", "an output holds masked values")
        bound = with_tokens(bound, frozenset(mine), unit)
        for triple in bound.slopes.values():
            total = total.plus(triple)
        reach.append(bound.radius)
        points.append(bool(mine))
    return Transport(radius, total.one, total.two, total.inf, tuple(reach), tuple(points), method, responsible, trail)


def _step(
    node: Node, bounds: dict[int, Bound], orders: dict[int, int], unit: dict[str, int], many: set[str], derived: set[str]
) -> tuple[Bound, ...]:
    where = place(node)
    for port in node.ports:
        _linked(port, many, derived, where)
    if derived & {*node.own, *(a for p in node.ports for a in p.axes)}:
        raise Stuck(where, "it changes the number of tokens, so it depends on more than their measure")
    ports = [rename(bounds[p.wire], dict(p.renames)) for p in node.ports]
    rules = MeasureRules(node, ports, unit, many, [orders[p.wire] for p in node.ports])
    try:
        outs = node.op.bound(rules)
        found = tuple(wired(out, wire) for wire, out in zip(node.outs, outs, strict=True))
        orders.update({wire: rules.order(out) for wire, out in zip(node.outs, outs, strict=True)})
    except Unproved as why:
        raise Stuck(where, str(why)) from None
    except TooLarge:
        raise Stuck(where, "a constant is too large to be made explicit") from None
    if many & set(node.own) and node.op.word not in OVER_TOKENS:
        raise Stuck(where, f"`{node.op.word}` over tokens has no rule on measures")
    bounds.update(zip(node.outs, found, strict=True))
    return found


def _linked(port: Port, many: set[str], derived: set[str], where: str) -> None:
    """An axis is one of tokens under each of its names."""
    for outer, inner in port.renames:
        if (outer in many, outer in derived) != (inner in many, inner in derived):
            raise Stuck(where, f"the axes `{outer}` and `{inner}` have one size, that of the tokens, by chance")


def _tokens(diagram: Diagram) -> tuple[set[str], set[str]]:
    """The axes that count tokens, and those whose sizes follow from their number; refuses what is no map of measures."""
    variables: set[str] = set()
    for item in diagram.inputs:
        variables.add(_token_variable(diagram, item))
    for equation in diagram.equations:
        if (equation.left - equation.right).variables() & variables:
            raise Stuck("sizes", f"`{equation.left} = {equation.right}` ties the number of tokens")
    many = {a for a, size in diagram.sizes.items() if size.as_variable() in variables}
    derived = {a for a, size in diagram.sizes.items() if a not in many and size.variables() & variables}
    for item in diagram.inputs:
        if item.layout[-1] in many | derived:
            raise Stuck(f"input `{item.name}`", "its features are as many as its tokens")
    return many, derived


def _token_variable(diagram: Diagram, item: Input) -> str:
    where = f"input `{item.name}`"
    if diagram.wires[item.wire].kind.name != "real":
        raise Stuck(where, "an input that is not real has no part in a map of measures")
    if len(item.layout) != 2:
        raise Stuck(where, "a measure of tokens needs one axis of tokens and one of features")
    variable = diagram.sizes[item.layout[0]].as_variable()
    if variable is None:
        raise Stuck(where, "the number of its tokens is not free")
    return variable


def _size(slopes: Slopes) -> float:
    return max((t.two for t in slopes.values()), default=0.0)


