"""Diagrams for tests: random ones, copies that must be equal to them, and the samples of the language."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from anatomy.errors import Source
from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Frame, Init, Input, Node, Output, Port, Wire
from anatomy.ir.poly import Poly
from anatomy.language.program import Program
from anatomy.ops import (
    Add,
    Cat,
    Compare,
    Contract,
    Cumsum,
    Divide,
    Expand,
    Extremum,
    Fourier,
    Halves,
    Iota,
    Literal,
    Map,
    Mask,
    Merge,
    Multiply,
    Normalise,
    Reduce,
    Shift,
    Size,
    Softmax,
    Split,
    Subtract,
)  # fmt: skip


def read(text: str, name: str = "f") -> Diagram:
    """A diagram of a text; fails on every error."""
    program = Program.of(Source("test.anat", text))
    errors = [d for d in program.check() if d.severity == "error"]
    assert not errors, errors
    return program.get(name)


def codes(text: str) -> list[str]:
    """The codes of the errors of a text."""
    return [d.code for d in Program.of(Source("test.anat", text)).check() if d.severity == "error"]


SAMPLES = (Path(__file__).parents[1] / "language" / "sample.anat").read_text("utf-8") + """
diagram two(x: [n, d]) -> [n, d] { out mha(x + mha(x)) }
diagram odd(x: [n, d], i: index(a)[n], pm: mask[n, m], qm: mask[n, m])
    -> [n, m, d], [n, d, h], mask[n, m], [h, g] where d = 3 * c, j = c * e, r = 2 * f {
  weight t: [n, a] ~ normal(0.5)
  frozen weight s: [a -> d, h] ~ uniform(-1, 0.25)
  weight l: [h; e -> c] ~ lecun
  y = dot[a](t, s) * 0.125 + expand[h](x)
  z = rmsnorm[d, h, eps=1e-6](y)
  o = sum[j](merge[c, e -> j](l))
  u = where(pm and not qm or i == m, max(x, -2.5 * x), cumsum[m](expand[m](x)))
  k = index[a](shift[n](x, -2)) * sum[h](o)
  lo, hi = halves[r -> f](iota[r] * 1.0)
  out u + k * sum[f](hi), fft_re[n, h](z), n + 2 <= m, sum[c](lin L[h; e -> g] ~ kaiming (l))
}
diagram loops(x: [n, h, d], y: [n, e], t: [d]) -> [n, h, d, e], [h, d], [n, h] where d = e {
  frozen weight w: [d -> e] ~ normal(1)
  simd h {
    scan n (s: [d, e] = 0.5, u: [d] = t, k: [d] = 0) {
      v = x * y
      o = s * iota[n] + v * u
      next s = o
      next u = softmax[d](dot[d](u, w)[e -> d] * k + 1)
      next k = u * x
    }
    z = sum[d](u * k)
  }
  out o, u.last, z
}
diagram grid(x: [n, m, d]) -> [n, d], [n, m, d] {
  scan n (s: [d] = -1) {
    scan m (u: [d] = s) { z = tanh(u * x) next u = z }
    next s = u.last
  }
  out s, z
}
diagram twins(x: [n, d], y: [n, d]) -> [n, d] where d = e {
  aa = lin A[d -> e](x)
  bb = lin B[d -> e](y)
  tie A, B
  weight u: [d, e] ~ normal(1)
  w = dot[d](x * u, y)
  out (aa * bb + lin A(aa[e -> d]) * w)[e -> d] - x ^ 2
}
"""
"""The text of the language's design, and diagrams that use what it leaves out."""


def samples() -> dict[str, Diagram]:
    """All diagrams of `SAMPLES` by name."""
    program = Program.of(Source("samples.anat", SAMPLES))
    errors = [d for d in program.check() if d.severity == "error"]
    assert not errors, errors
    return {name: program.get(name) for name in program.names()}


# random diagrams


def random_diagram(rng: random.Random, boxes: int) -> Diagram:
    """A typed diagram with renamings, shared weights, masks, several outputs and many near-symmetries."""
    b = Builder()
    sizes = {"v": "u", "q": "2*p", "s": "u*w"}
    for axis in ("u", "w", "p", "h"):
        b.axis(axis)
    b.sizes.define("v", Poly.var("u"))
    b.sizes.define("q", 2 * Poly.var("p"))
    b.sizes.define("s", Poly.var("u") * Poly.var("w"))
    for axis in sizes:
        b.axis(axis)
    views = [b.input("x", ("u", "w")), b.input("y", rng.choice([("u", "q"), ("v", "w"), ("s",)]))]
    for k in range(rng.randint(1, 4)):
        axes = rng.sample(["u", "w", "v", "p", "h", "q"], rng.randint(1, 3))
        cut = rng.randint(0, max(len(axes) - 1, 1))  # `[a, b]` alone would read as `[a -> b]`
        init = rng.choice([Init("normal", (0.02,)), Init("normal", (0.02,)), Init("xavier")])
        views.append(b.weight(f"k{k}", (), axes[:cut], axes[cut:], init, rng.random() < 0.1))
    made = 0
    while made < boxes:
        count = len(b.nodes)
        try:
            views.extend(_random_box(rng, b, views))
        except _Skip:
            continue
        made += len(b.nodes) - count
    outputs = []
    for view in rng.sample(views[-6:], rng.randint(1, 2)):
        layout = list(view.axes)
        rng.shuffle(layout)
        outputs.append(Output(view.port, tuple(layout)))
    return b.finish("random", outputs)


class _Skip(Exception):
    pass


def _random_box(rng: random.Random, b: Builder, views: list[View]) -> tuple[View, ...]:
    from anatomy.ir.op import Problem

    def pick() -> View:
        view = rng.choice(views[-5:] if rng.random() < 0.6 else views)
        axes = set(view.axes)
        if rng.random() < 0.25 and {"u", "v"} <= axes:
            return view.rename({"u": "v", "v": "u"})
        if rng.random() < 0.25 and len(axes & {"u", "v"}) == 1:
            return view.rename({"u": "v"} if "u" in axes else {"v": "u"})
        return view

    def axis(view: View) -> str:
        if not view.axes:
            raise _Skip
        return rng.choice(view.axes)

    x = pick()
    try:
        match rng.randrange(19):
            case 0 | 1:
                return b.add(Map(rng.choice(["exp", "tanh", "neg"])), (), [x])
            case 2 | 3 | 4:
                op = rng.choice([Add(), Multiply(), Add(), Extremum("max"), Subtract(), Divide()])
                return b.add(op, (), [x, pick()])
            case 5 | 6:
                operands = [x, *(pick() for _ in range(rng.randint(1, 2)))]
                shared = [a for a in x.axes if sum(a in o.axes for o in operands) > 1]
                if not shared:
                    raise _Skip
                return b.add(Contract(), rng.sample(shared, rng.randint(1, len(shared))), operands)
            case 7:
                return b.add(Reduce(rng.choice(["sum", "max"])), (axis(x),), [x])
            case 8:
                return b.add(Softmax(), rng.sample(x.axes, min(len(x.axes), 2)) or [axis(x)], [x])
            case 9:
                return b.add(rng.choice([Normalise("rmsnorm"), Cumsum(), Shift(1), Fourier("re")]), (axis(x),), [x])
            case 10:
                return b.add(Halves(), ("q", "p"), [x])
            case 11:
                return b.add(Cat(), ("p", "q"), [x, pick()])
            case 12:
                return b.add(*((Split(), ("s", "u", "w")) if "s" in x.axes else (Merge(), ("u", "w", "s"))), [x])
            case 13:
                return b.add(*rng.choice([(Iota(), ("u",)), (Literal(Fraction(2)), ()), (Size(), ("w",))]), [])
            case 14 | 18:
                return b.add(Expand(), (rng.choice(["h", "u", "v"]),), [x])
            case 15:
                (i,), (j,) = b.add(Iota(), ("v",), []), b.add(Iota(), ("u",), [])
                (p,) = b.add(Compare(rng.choice(["<=", "=="])), (), [i, j])
                return b.add(Mask(), (), [p, x])
            case _:
                return b.add(rng.choice([Add(), Multiply()]), (), [x, rng.choice([x, pick()])])
    except Problem:
        raise _Skip from None


# copies that must be equal


def copy(diagram: Diagram, rng: random.Random) -> Diagram:
    """The same diagram: every node with axis names of its own, everything renamed, reordered and re-nested."""

    def name() -> str:
        return f"a{rng.getrandbits(48)}"

    variables: dict[str, str] = {}
    sizes: dict[str, Poly] = {}

    def axis(old: str) -> str:
        new = name()
        sizes[new] = diagram.sizes[old].rename(lambda v: variables.setdefault(v, name()))
        return new

    number = list(range(len(diagram.wires)))
    rng.shuffle(number)
    wires: list[Wire] = [Wire(())] * len(number)
    seen: dict[int, dict[str, str]] = {}

    def wire(old: int, to: dict[str, str]) -> int:
        given = diagram.wires[old]
        kind = given.kind
        if kind.name == "index" and kind.axis in diagram.sizes:
            kind = replace(kind, axis=axis(kind.axis))
        axes = [to[a] for a in given.axes]
        rng.shuffle(axes)
        wires[number[old]] = Wire(tuple(axes), kind, name())
        seen[old] = to
        return number[old]

    def port(old: Port, to: dict[str, str]) -> Port:
        renames = [(seen[old.wire][outer], to[inner]) for outer, inner in old.renames]
        rng.shuffle(renames)
        return Port(number[old.wire], tuple(renames))

    inputs, weights, nodes, outputs = [], [], [], []
    for item in diagram.inputs:
        to = {a: axis(a) for a in item.layout}
        inputs.append(Input(name(), wire(item.wire, to), tuple(to[a] for a in item.layout)))
    for weight in diagram.weights:
        to = {a: axis(a) for a in weight.layout}
        given = wire(weight.wire, to)
        roles = [[to[a] for a in axes] for axes in (weight.lanes, weight.fan_in, weight.fan_out)]
        for axes in roles:
            rng.shuffle(axes)
        lanes, fan_in, fan_out = map(tuple, roles)
        weights.append(replace(weight, keys=(name(),), wire=given, lanes=lanes, fan_in=fan_in, fan_out=fan_out))
    rng.shuffle(weights)
    waiting = list(diagram.nodes)
    while waiting:
        ready = [k for k, n in enumerate(waiting) if all(p.wire in seen for p in n.ports)]
        node = waiting.pop(rng.choice(ready))
        to = {a: axis(a) for a in (*node.own, *node.lifts)}
        ports = [port(p, to) for p in node.ports]
        own = [to[a] for a in node.own]
        if node.op.commutative:
            rng.shuffle(ports)
        if node.op.symmetric:
            rng.shuffle(own)
        lanes = rng.sample(sorted(to.values()), min(len(to), rng.randrange(3)))
        frame = tuple(Frame(rng.choice(["simd", "simd", "call", "lin"]), a, rng.randrange(9)) for a in lanes)
        outs = tuple(wire(w, to) for w in node.outs)
        nodes.append(Node(node.op, tuple(own), tuple(ports), outs, None, frame))
    for output in diagram.outputs:
        to = {a: axis(a) for a in output.layout}
        outputs.append(Output(port(output.port, to), tuple(to[a] for a in output.layout)))
    rename = lambda v: variables.setdefault(v, name())  # noqa: E731
    equations = [replace(e, left=e.right.rename(rename), right=e.left.rename(rename)) for e in diagram.equations]
    rng.shuffle(equations)
    return Diagram(
        name(), tuple(inputs), tuple(outputs), tuple(weights), tuple(wires), tuple(nodes), sizes, tuple(equations)
    )


# symmetric diagrams


def of_graph(edges: list[tuple[int, int]]) -> Diagram:
    """An undirected graph as a closed diagram: vertices are equal weights, edges are products, all in one contraction."""
    b = Builder()
    b.axis("a")
    init = Init("normal", (1.0,))
    weights = {v: b.weight(f"w{v}", (), ("a",), (), init) for v in sorted({v for edge in edges for v in edge})}
    products = [b.add(Multiply(), (), [weights[u], weights[v]])[0] for u, v in edges]
    (y,) = b.add(Contract(), ("a",), products)
    return b.finish("graph", [Output(y.port, ())])


def cycle(start: int, length: int) -> list[tuple[int, int]]:
    """The edges of a cycle through `start, start + 1, ...`."""
    return [(start + i, start + (i + 1) % length) for i in range(length)]
