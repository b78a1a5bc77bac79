"""From a diagram to a certificate, and back from a text to what it proves."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from flint import ctx
from pydantic import BaseModel, ConfigDict

from anatomy.certificates import walking
from anatomy.certificates.model import (
    Broken,
    Certificate,
    Given,
    Graph,
    Node,
    Port,
    Result,
    Values,
    Wire,
    fits,
    read,
    readable,
)
from anatomy.certificates.numbers import up
from anatomy.certificates.rules import RULES
from anatomy.certificates.state import Lacking
from anatomy.certificates.tensors import METER, Meter
from anatomy.certificates.unrolling import written_out
from anatomy.errors import fail
from anatomy.ir.graph import Diagram
from anatomy.ir.graph import Node as Box
from anatomy.ir.graph import Port as End
from anatomy.ir.solve import solve

PRECISION = 106
"""Bits of the balls: twice those of a float, so that rounding costs nothing that is seen."""
WORK = 40_000_000
"""Units of work (see `Meter`) that one check may spend: about half a minute and a gigabyte."""
ATTRIBUTES = ("value", "eps", "by", "step", "centred", "alpha", "steps")
"""Attributes of operations that are numbers, and stand in a certificate as exact rationals."""


class Checked(BaseModel):
    """The result of a check: whether the certificate holds, the constant that its steps prove, else the step that fails and why."""

    model_config = ConfigDict(frozen=True)

    holds: bool
    upper: float | None
    proved: float | None
    radius: float | None
    norm: Literal["frobenius", "max_token"] | None
    diagram: str | None
    sizes: dict[str, int] | None
    weights: str | None
    """SHA-256 of the digests of all weights, in the order of the diagram."""
    step: str | None
    reason: str | None


def graph_of(diagram: Diagram, sizes: Mapping[str, int]) -> Graph:
    """The diagram at these sizes as plain data. Raises `Lacking` at an operation that certificates do not know."""
    solution = solve(diagram, sizes, run_time=False)
    # Only axes that something has: others may be left without a size.
    full = {a: solution.size(p).evaluate({}) for a, p in diagram.sizes.items()}
    wires = tuple(Wire(axes=tuple(sorted(w.axes)), kind=w.kind.name, into=w.kind.axis) for w in diagram.wires)
    wires, nodes = written_out(diagram, full, wires, _node)
    return Graph(
        name=diagram.name,
        sizes=full,
        wires=wires,
        inputs=tuple(Given(name=i.name, wire=i.wire, layout=i.layout) for i in diagram.inputs),
        nodes=nodes,
        outputs=tuple(Result(port=_port(o.port), layout=o.layout, kind=o.kind.name) for o in diagram.outputs),
    )


def _node(node: Box) -> Node:
    op: Any = node.op
    word = "literal" if hasattr(op, "value") and not node.ports else op.word
    if word in ("max", "min") and not node.own and len(node.ports) == 2:
        word = {"max": "maximum", "min": "minimum"}[word]
    if word not in RULES:
        line = f" (line {node.span.line})" if node.span is not None else ""
        raise Lacking(f"certificates have no rule for `{word}`{line}")
    options = {}
    for name in ATTRIBUTES:
        if hasattr(op, name):
            if getattr(op, name) is None:
                raise Lacking(f"the `{name}` of `{word}` is a wire")
            exact = Fraction(getattr(op, name))
            options[name] = f"{exact.numerator}/{exact.denominator}" if exact.denominator != 1 else str(exact.numerator)
    return Node(op=word, options=options, own=node.own, ports=tuple(_port(p) for p in node.ports), outs=node.outs)


def _port(port: End) -> Port:
    return Port(wire=port.wire, names=tuple(sorted(port.renames)))


def weights_of(diagram: Diagram, weights: Mapping[str, np.ndarray]) -> tuple[Values, ...]:
    """The weights as data, in float64."""
    out = []
    for weight in diagram.weights:
        key = next((k for k in weight.keys if k in weights), None)
        if key is None:
            raise Lacking(f"there is no value for weight `{weight.key}`")
        raw = np.ascontiguousarray(weights[key], dtype="<f8").tobytes()
        data = base64.b64encode(raw).decode()
        out.append(Values(key=weight.key, wire=weight.wire, layout=weight.layout, data=data, sha256=hashlib.sha256(raw).hexdigest()))
    return tuple(out)


def certify(
    diagram: Diagram, sizes: Mapping[str, int], weights: Mapping[str, np.ndarray], radius: float = 1.0,
    norm: Literal["frobenius", "max_token"] = "frobenius",
) -> Certificate:  # fmt: skip
    """A certificate for the Lipschitz constant of a diagram with its weights; `upper` is what its own steps prove.

    Every token of every real input has Euclidean norm at most `radius`, which is finite; the derivative is joint over all
    real inputs, in the Frobenius norm or in that of the largest token. Raises AnatomyError E903 where a rule is missing.
    """
    if not (math.isfinite(radius) and radius >= 0):
        raise fail("E903", "certificates are for a finite radius")
    token = METER.set(Meter(WORK))
    try:
        with ctx.workprec(PRECISION), np.errstate(all="ignore"):
            graph, values = graph_of(diagram, sizes), weights_of(diagram, weights)
            steps, total = walking.prove(graph, values, radius)
            upper = up(total[1] if norm == "frobenius" else total[2])
    except (Lacking, Broken) as why:
        raise fail("E903", f"no certificate: {why}", diagram.span) from None
    finally:
        METER.reset(token)
    found = Certificate(graph=graph, weights=values, radius=float(radius), norm=norm, steps=steps, upper=upper).sealed()
    try:
        fits(found.text.encode())
    except Broken as why:
        raise fail("E903", f"no certificate: {why}", diagram.span) from None
    return found


def verify(text: bytes | str, diagram: Diagram | None = None) -> Checked:
    """Re-checks a certificate step by step, in ball arithmetic, and that it is about `diagram`, where one is given.

    Never raises on what the text holds: the answer names the step that fails.
    """
    token = METER.set(Meter(WORK))
    found: Certificate | None = None
    proved = None
    step = reason = None
    try:
        with ctx.workprec(PRECISION), np.errstate(all="ignore"):
            found = read(text)
            if diagram is not None:
                _about(found, diagram)
            proved = walking.check(found)
        if not found.upper >= proved:
            raise Broken("upper", f"claims {found.upper!r}, but {proved!r} is what is proved")
    except Broken as why:
        step, reason = why.place, why.why
    except Exception as why:
        # Whatever a hostile text brings about: what is not proved does not hold.
        step, reason = "check", readable(f"{type(why).__name__}: {why}")
    finally:
        METER.reset(token)
    return Checked(
        holds=reason is None, upper=None if found is None else found.upper, proved=proved,
        radius=None if found is None else found.radius, norm=None if found is None else found.norm,
        diagram=None if found is None else readable(found.graph.name),
        sizes=None if found is None else {readable(a): n for a, n in found.graph.sizes.items()},
        weights=None if found is None else hashlib.sha256("".join(w.sha256 for w in found.weights).encode("utf-8", "replace")).hexdigest(), step=step, reason=reason,
    )  # fmt: skip


def _about(found: Certificate, diagram: Diagram) -> None:
    sizes = {a: n for a, n in found.graph.sizes.items() if a in diagram.sizes}
    if sizes.keys() != diagram.sizes.keys():
        raise Broken("graph", "it is about another diagram: the axes differ")
    try:
        mine = _at(diagram, found.graph)
    except Lacking as why:
        raise Broken("graph", str(why)) from None
    for name in ("name", "sizes", "wires", "inputs", "nodes", "outputs"):
        if name != "name" and getattr(mine, name) != getattr(found.graph, name):
            raise Broken("graph", f"it is about another diagram: the {name} differ")
    if [(w.wire, w.layout) for w in found.weights] != [(w.wire, w.layout) for w in diagram.weights]:
        raise Broken("graph", "it is about another diagram: the weights differ")


def _at(diagram: Diagram, graph: Graph) -> Graph:
    """The diagram at the sizes of a certificate, which must satisfy the diagram's own equations."""
    from anatomy.errors import AnatomyError

    given = {}
    for a, p in diagram.sizes.items():
        name = p.as_variable()
        if name is not None:
            given[name] = graph.sizes[a]
    known = {v for p in diagram.sizes.values() for v in p.variables()}
    try:
        return graph_of(diagram, {k: v for k, v in given.items() if k in known})
    except AnatomyError as error:
        raise Broken("graph", f"its sizes do not fit the diagram: {error.diagnostics[0].message}") from None
