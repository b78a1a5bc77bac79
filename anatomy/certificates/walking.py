"""The walk: every node in turn, by its rule, and the constants of the outputs."""

from __future__ import annotations

import base64
import binascii
import hashlib

import numpy as np
from flint import arb

from anatomy.certificates.curves import Undefined
from anatomy.certificates.facts import Fact, Triple, triple
from anatomy.certificates.model import Broken, Certificate, Graph, Node, Step, Values
from anatomy.certificates.numbers import Tape, root, up
from anatomy.certificates.rules import RULES
from anatomy.certificates.state import Lacking, State, accept, taken
from anatomy.certificates.tensors import Tensor, spend, tensor


def start(graph: Graph, weights: tuple[Values, ...], radius: float) -> State:
    """The inputs on their domain, and the weights."""
    s = State(graph, dict(graph.sizes))
    for axis in s.sizes:
        if axis[0] in "<|":
            raise Broken("graph", f"`{axis[:40]}` is no name of an axis")
    for k, wire in enumerate(graph.wires):
        if len(set(wire.axes)) != len(wire.axes) or any(a not in s.sizes for a in wire.axes):
            raise Broken("graph", f"wire {k} has an axis twice, or without a size")
    for item in graph.inputs:
        wire = _wire(graph, item.wire)
        if sorted(item.layout) != sorted(wire.axes):
            raise Broken("graph", f"input `{item.name[:40]}` has other axes than its wire")
        axes = frozenset(wire.axes)
        if wire.kind == "real":
            fact = Fact(axes, frozenset(item.layout[:-1]), arb(-radius), arb(radius), arb(radius), {item.wire: (arb(1), arb(1), arb(1))})
        else:
            if wire.kind == "index" and wire.into not in s.sizes:
                raise Broken("graph", f"input `{item.name[:40]}` points into no axis")
            last = s.sizes[wire.into] - 1 if wire.kind == "index" else 1
            fact = Fact(axes, axes, arb(0), arb(last), arb(last))
        if item.wire in s.forms:
            raise Broken("graph", f"wire {item.wire} is made twice")
        s.base(item.wire, fact)
    s.claims.clear()
    for weight in weights:
        if weight.wire in s.forms:
            raise Broken("graph", f"wire {weight.wire} is made twice")
        s.constant(weight.wire, _values(weight, graph, s.sizes))
    return s


def _wire(graph: Graph, k: int):
    if k >= len(graph.wires):
        raise Broken("graph", f"there is no wire {k}")
    return graph.wires[k]


def _values(weight: Values, graph: Graph, sizes: dict[str, int]) -> Tensor:
    place = f"weight `{weight.key[:60]}`"
    if sorted(weight.layout) != sorted(_wire(graph, weight.wire).axes):
        raise Broken(place, "has other axes than its wire")
    try:
        raw = base64.b64decode(weight.data, validate=True)
    except (binascii.Error, ValueError):
        raise Broken(place, "is not base64") from None
    if hashlib.sha256(raw).hexdigest() != weight.sha256:
        raise Broken(place, "its digest does not fit")
    shape = [sizes[a] for a in weight.layout]
    points = 1
    for size in shape:
        points *= size
    if len(raw) != 8 * points:
        raise Broken(place, f"has {len(raw)} bytes, wanted {8 * points}")
    values = np.frombuffer(raw, dtype="<f8").reshape(shape)
    if not np.all(np.isfinite(values)):
        raise Broken(place, "holds a value that is not finite")
    return tensor(weight.layout, values)


def run(s: State, at: int, node: Node) -> None:
    """One node."""
    rule = RULES.get(node.op)
    if rule is None:
        raise Lacking(f"certificates have no rule for `{node.op[:60]}`")
    spend(300 + 10 * sum(len(p.names) for p in node.ports))
    if len(set(node.outs)) != (2 if node.op in ("halves", "topk") else 1) or len(set(node.outs)) != len(node.outs):
        raise Broken("graph", f"`{node.op[:60]}` has another number of results")
    for out in node.outs:
        if _wire(s.graph, out) and out in s.forms:
            raise Broken("graph", f"wire {out} is made twice")
    expected = shape(s, node)
    s.tape, s.rules, s.claims = s.tape, [], []
    try:
        rule(s, node)
    except Undefined as why:
        raise Lacking(str(why)) from None
    for out in node.outs:
        s.producer[out] = node
        if frozenset(s.graph.wires[out].axes) != expected:
            raise Broken("graph", f"wire {out} has other axes than `{node.op}` gives")


OWNING = frozenset(
    ["dot", "sum", "mean", "max", "min", "logsumexp", "split", "merge", "halves", "cat", "unfold", "expand", "cumsum", "shift", "fft_re", "fft_im", "iota", "size", "index", "gather", "softmax", "layernorm", "rmsnorm", "l2norm", "l1norm", "topk", "entmax", "sparsemax", "sinkhorn"]
)
"""Operations with axes of their own."""


def shape(s: State, node: Node) -> frozenset[str]:
    """The axes of the results; refuses a node whose ports or own axes do not fit its operation."""
    own, ports = node.own, [frozenset(b for _, b in p.names) for p in node.ports]
    if any(a[0] in "<|" for a in (*own, *(b for p in ports for b in p))):
        raise Broken("graph", "a name that is no name of an axis")
    if any(a not in s.sizes for a in (*own, *(b for p in ports for b in p))) or len(set(own)) != len(own):
        raise Broken("graph", f"`{node.op[:60]}` has an axis twice, or without a size")
    arity = {"literal": 0, "size": 0, "iota": 0, "+": 2, "-": 2, "*": 2, "/": 2, "^": 2, "mask": 2, "where": 3, "gather": 2, "maximum": 2, "minimum": 2}
    arity |= dict.fromkeys(("<", "<=", "==", "!=", "and", "or"), 2)
    many = node.op in ("dot", "cat")
    if len(ports) < 1 + many if many else len(ports) != arity.get(node.op, 1):
        raise Broken("graph", f"`{node.op[:60]}` has another number of operands")
    if own and node.op not in OWNING:
        raise Broken("graph", f"`{node.op[:60]}` has no own axes")
    if not own and node.op in ("max", "min", "logsumexp"):
        raise Broken("graph", f"`{node.op}` has no axes")
    wanted = {"split": 2, "merge": 2, "halves": 2, "cat": 2, "unfold": 2, "iota": 1, "cumsum": 1, "shift": 1, "gather": 1, "index": 1, "topk": 2, "sinkhorn": 2}
    if len(own) < wanted.get(node.op, 0) or (node.op in ("halves", "unfold", "iota", "cumsum", "shift", "gather", "index", "topk", "sinkhorn") and len(own) != wanted[node.op]):
        raise Broken("graph", f"`{node.op}` has another number of own axes")
    union = frozenset().union(*ports)
    gone, new = frozenset[str](), frozenset[str]()
    match node.op:
        case "dot" | "sum" | "mean" | "max" | "min" | "logsumexp":
            gone = frozenset(own)
        case "topk":
            gone, new = frozenset(own[:1]), frozenset(own[1:])
        case "split" | "halves":
            gone, new = frozenset(own[:1]), frozenset(own[1:])
        case "merge":
            gone, new = frozenset(own[:-1]), frozenset(own[-1:])
        case "cat":
            gone, new = frozenset(own[:-1]), frozenset(own[-1:])
        case "unfold":
            new = frozenset(own[1:])
        case "expand":
            new = frozenset(own)
        case "iota":
            return frozenset(own[:1])
        case "size":
            return frozenset()
        case "gather":
            return (ports[0] - set(own)) | ports[1]
    needs = {"unfold": own[:1], "softmax": own, "entmax": own, "sparsemax": own, "sinkhorn": own, "cumsum": own, "shift": own, "fft_re": own, "fft_im": own, "layernorm": own, "rmsnorm": own, "l2norm": own, "l1norm": own}
    if not gone | set(needs.get(node.op, ())) <= union or (new & (union - gone)):
        raise Broken("graph", f"`{node.op}` does not find its axes")
    return (union - gone) | new


def finish(s: State) -> Triple:
    """All outputs by all real inputs together."""
    one, two, inf = arb(0), arb(0), arb(0)
    for k, output in enumerate(s.graph.outputs):
        view = s.view(output.port)
        if frozenset(output.layout) != view.axes or len(output.layout) != len(view.axes):
            raise Broken("graph", f"output {k} has other axes than its wire")
        gains = list(s.read(view.form, view.axes, frozenset(output.layout[:-1])).gains.values())
        most = arb(0)
        for g in gains:
            most = most.max(g[0])
        pair = root(sum((g[1] ** 2 for g in gains), arb(0)))
        reach = sum((g[2] for g in gains), arb(0))
        joint = triple(most, pair, reach)
        one, two, inf = one + joint[0], root(two**2 + joint[1] ** 2), inf.max(joint[2])
    return triple(one, two, inf)


def prove(graph: Graph, weights: tuple[Values, ...], radius: float) -> tuple[tuple[Step, ...], Triple]:
    """The steps of a proof, and what it proves."""
    s = start(graph, weights, radius)
    steps = []
    for at, node in enumerate(graph.nodes):
        s.tape = Tape()
        run(s, at, node)
        if s.claims or s.tape.numbers:
            step = Step(node=at, rules=tuple(s.rules), numbers=tuple(s.tape.numbers), claims=tuple(s.claims))
            steps.append(step)
            _take(s, step)
    s.tape = Tape()
    total = finish(s)
    steps.append(Step(node=-1, rules=(), numbers=tuple(s.tape.numbers), claims=()))
    return tuple(steps), total


def check(certificate: Certificate) -> float:
    """The constant that the steps prove, in the norm of the certificate; raises `Broken` at the first that does not hold."""
    graph = certificate.graph
    s = start(graph, certificate.weights, certificate.radius)
    steps = {step.node: step for step in certificate.steps}
    if len(steps) != len(certificate.steps) or steps.keys() - set(range(-1, len(graph.nodes))):
        raise Broken("steps", "a node has two steps, or there is no such node")
    nothing = Step(node=0, rules=(), numbers=(), claims=())
    for at, node in enumerate(graph.nodes):
        step = steps.get(at, nothing)
        s.tape, s.expected = Tape(step.numbers), step.rules
        try:
            run(s, at, node)
        except Lacking as why:
            raise Broken(f"node {at} (`{node.op[:60]}`)", str(why)) from None
        except Broken as why:
            raise Broken(f"node {at} (`{node.op[:60]}`), {why.place}", why.why) from None
        if not s.tape.spent or tuple(s.rules) != step.rules:
            raise Broken(f"node {at} (`{node.op[:60]}`)", "its step has other numbers or rules than the proof needs")
        accept(replace_node(step, at), s.claims)
        _take(s, step)
    s.tape = Tape(steps[-1].numbers if -1 in steps else ())
    total = finish(s)
    if not s.tape.spent:
        raise Broken("outputs", "their step has other numbers than the proof needs")
    return up(total[1] if certificate.norm == "frobenius" else total[2])


def replace_node(step: Step, at: int) -> Step:
    return step.model_copy(update={"node": at})


def _take(s: State, step: Step) -> None:
    """What was claimed is what later steps build on."""
    for claim in step.claims:
        s.facts[claim.wire] = taken(claim, s.facts[claim.wire])
