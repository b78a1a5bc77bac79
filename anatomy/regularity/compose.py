"""The composition: bounds along a diagram, node by node, and the constants of its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from anatomy.errors import AnatomyError
from anatomy.ir.bound import INF, Bound, Slopes, Triple, Unproved, add, mul, root
from anatomy.ir.graph import Diagram, Node
from anatomy.ir.solve import concerning, solve
from anatomy.regularity.affine import Form
from anatomy.regularity.tensor import Ball, TooLarge
from anatomy.regularity.threads import alone
from anatomy.regularity.view import rename, with_tokens
from anatomy.regularity.wires import results, wired


@dataclass(frozen=True)
class Composition:
    """The constants of a diagram on a domain: the triple of all outputs by all real inputs together."""

    triple: Triple
    method: str
    responsible: str | None
    trail: list[dict[str, Any]]
    explodes: bool = False
    bounds: Mapping[int, Bound] = field(default_factory=dict, repr=False)


class Stuck(Exception):
    """A rule is missing or a condition is not proved; says where."""

    def __init__(self, place: str, why: str):
        super().__init__(f"{place}: {why}")
        self.place, self.why = place, why


def place(node: Node) -> str:
    """A node in words."""
    own = f"[{', '.join(node.own)}]" if node.own else ""
    line = f" (line {node.span.line})" if node.span is not None else ""
    return f"`{node.op.word}{own}`{line}"


def sizes_of(diagram: Diagram, given: Mapping[str, int]) -> dict[str, int]:
    """The size of every axis from what is given, the equations and the defaults; refuses with `Stuck`.

    What is given for axes that the diagram lacks is left aside, so that one mapping serves many variants.
    """
    try:
        solution = solve(diagram, {a: int(v) for a, v in concerning(diagram, given).items()}, run_time=False)
    except AnatomyError as error:
        raise Stuck("sizes", error.diagnostics[0].message) from None
    return {a: solution.size(p).evaluate({}) for a, p in diagram.sizes.items()}


def compose(diagram: Diagram, sizes: Mapping[str, int], weights: Mapping[str, np.ndarray], radius: float) -> Composition:
    """Bounds every wire on the domain where each token of each real input has norm at most `radius`.

    `sizes` has every axis (`sizes_of`). Raises `Stuck` where a rule is missing or a condition is not proved.
    """
    with alone(max(sizes.values(), default=1)):
        return _composed(diagram, dict(sizes), weights, radius)


def _composed(diagram: Diagram, sizes: dict[str, int], weights: Mapping[str, np.ndarray], radius: float) -> Composition:
    bounds: dict[int, Bound] = {}
    real: list[int] = []
    for item in diagram.inputs:
        wire = diagram.wires[item.wire]
        axes = frozenset(wire.axes)
        if wire.kind.name == "real":
            real.append(item.wire)
            tokens = frozenset(item.layout[:-1])
            bound = Bound(axes, tokens, (-radius, radius), radius, {item.wire: Triple.all(1.0)})
            bounds[item.wire] = wired(bound, item.wire)
        else:
            last = float(sizes[wire.kind.axis] - 1) if wire.kind.name == "index" and wire.kind.axis in sizes else INF
            top = 1.0 if wire.kind.name == "mask" else last
            bounds[item.wire] = Bound(axes, axes, (0.0, top), top)
    for weight in diagram.weights:
        bounds[weight.wire] = _weight(weight, weights, sizes)
    trail: list[dict[str, Any]] = []
    responsible, greatest, method = None, 0.0, "composition"
    jump: str | None = None
    for node in diagram.nodes:
        try:
            ports, outs = results(node, bounds, sizes)
        except Unproved as why:
            raise Stuck(place(node), str(why)) from None
        except TooLarge:
            raise Stuck(place(node), "a constant is too large to be made explicit") from None
        before = max((_size(p.slopes) for p in ports), default=0.0)
        for out in outs:
            jump = place(node) if jump is None and "looked" in out.facts else jump
            after = _size(out.slopes)
            if out.facts.get("method"):
                method = out.facts["method"]
            growth = INF if after == INF > before else after / before if 0 < before < INF and after < INF else 0.0
            if not out.constant:
                trail.append({"op": place(node), "radius": out.radius, "entry": list(out.entry), "lipschitz": after, "factor": growth})
            if growth > greatest:
                responsible, greatest = place(node), growth
    one, two, inf = [], [], []
    explodes = False
    for output in diagram.outputs:
        wire = diagram.wires[output.port.wire]
        bound = rename(bounds[output.port.wire], dict(output.port.renames))
        if "mask" in bound.facts:
            raise Stuck("output", "an output holds masked values")
        bound = with_tokens(bound, frozenset(output.layout[:-1]), sizes)
        triple = joint(bound.slopes)
        if wire.kind.name == "mask" or output.kind.name == "index":
            continue
        one.append(triple.one)
        two.append(triple.two)
        inf.append(triple.inf)
        explodes = explodes or _explodes(bounds[output.port.wire], sizes, set(real))
    squares = root(add(*(mul(x, x) for x in two))) if len(two) > 1 else add(*two)
    total = Triple.of(add(*one), squares, max(inf, default=0.0))
    if jump is not None and total.two == INF and radius < INF:
        raise Stuck(jump, "it is not continuous: the index depends on the input, so values jump")
    if all(_linear(bounds[o.port.wire], set(real)) for o in diagram.outputs):
        method = "linear: product matrix"
    return Composition(total, method, responsible, trail, explodes, bounds)


def joint(slopes: Slopes) -> Triple:
    """All real inputs together: their tokens are one sequence."""
    triples = list(slopes.values())
    if len(triples) == 1:
        return triples[0]
    return Triple.of(
        max((t.one for t in triples), default=0.0),
        root(add(*(mul(t.two, t.two) for t in triples))),
        add(*(t.inf for t in triples)),
    )


def _size(slopes: Slopes) -> float:
    return max((t.two for t in slopes.values()), default=0.0)


def _weight(weight: Any, weights: Mapping[str, np.ndarray], sizes: Mapping[str, int]) -> Bound:
    value = next((weights[k] for k in weight.keys if k in weights), None)
    if value is None:
        raise Stuck("weights", f"no value for weight `{weight.key}`")
    value = np.asarray(value)
    shape = tuple(sizes[a] for a in weight.layout)
    if value.shape != shape:
        raise Stuck("weights", f"weight `{weight.key}` has shape {value.shape}, wanted {shape}")
    value = value.astype(np.float64)
    if not np.all(np.isfinite(value)):
        raise Stuck("weights", f"weight `{weight.key}` holds a value that is not finite")
    ball = Ball(weight.layout, value)
    top = ball.top
    radius = mul(top, root(float(value.size)))
    return Bound(frozenset(weight.layout), frozenset(), ball.interval, radius, {}, form=Form((), ball))


def _linear(bound: Bound, real: set[int]) -> bool:
    return bound.form is not None and all(t.base.wire in real for t in bound.form.terms)


def _explodes(bound: Bound, sizes: dict[str, int], real: set[int]) -> bool:
    """Whether one attention of an input dominates this output on the whole space."""
    if bound.form is None:
        return False
    found = None
    for term in bound.form.terms:
        fold = term.base.bound.facts.get("attention")
        if fold is not None:
            if found is not None:
                return False
            found = (term, fold.__self__)
        elif not all(t.finite for t in term.base.bound.slopes.values()):
            return False
    if found is None:
        return False
    term, attention = found
    if attention.bases[0].wire not in real:
        return False
    folded = attention.folded(term, bound.axes, sizes)
    values = folded[0] if folded is not None else None
    if values is None:
        identity = set(dict(term.links)) == set(term.base.bound.axes) and np.all(term.map.mid != 0)
        return bool(identity) and attention.explodes(attention.values)
    return attention.explodes(values)
