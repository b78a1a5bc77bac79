"""The canonical form: what counts, what does not, random graphs, an independent oracle, and processes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace

import networkx as nx
import pytest

from anatomy.ir.canonical import canonical, digest
from anatomy.ir.graph import Diagram, Port
from anatomy.ir.repeats import slide
from tests.ir.samples import copy, random_diagram, read, samples

SAMPLES = samples()


def check_random(seeds: range) -> None:
    for seed in seeds:
        rng = random.Random(seed)
        diagram = random_diagram(rng, rng.randint(2, 40))
        form = canonical(diagram)
        assert canonical(copy(diagram, rng)) == form, seed
        for other in (swapped(diagram, rng), untied(diagram, rng)):
            assert other is None or canonical(other) != form, seed


def swapped(diagram: Diagram, rng: random.Random) -> Diagram | None:
    """Two operands of a non-commutative live box exchanged, where they read different wires."""
    places = [
        i for i in canonical(diagram).nodes
        if len((n := diagram.nodes[i]).ports) == 2 and not n.op.commutative and n.op.word in ("-", "/")
        and _unlike(diagram, n.ports)
    ]  # fmt: skip
    if not places:
        return None
    i = rng.choice(places)
    node = replace(diagram.nodes[i], ports=diagram.nodes[i].ports[::-1])
    return replace(diagram, nodes=(*diagram.nodes[:i], node, *diagram.nodes[i + 1 :]))


def _unlike(diagram: Diagram, ports: tuple[Port, ...]) -> bool:
    """Operands that no automorphism can exchange: they are made by boxes of different operations."""
    made = [diagram.producer.get(p.wire) for p in ports]
    words = [diagram.nodes[m[0]].op.word if m else None for m in made]
    return None not in words and words[0] != words[1] and "expand" not in words


def untied(diagram: Diagram, rng: random.Random) -> Diagram | None:
    """One live reader of a shared weight gets a copy of it."""
    alive = set(canonical(diagram).nodes)
    readers = {
        w: [(i, k) for i, k in diagram.consumers[weight.wire] if i in alive] for w, weight in enumerate(diagram.weights)
    }
    shared = [w for w, found in readers.items() if len({i for i, _ in found}) > 1]
    if not shared:
        return None
    w = rng.choice(shared)
    weight = diagram.weights[w]
    i = rng.choice(readers[w])[0]
    wire = len(diagram.wires)
    node = diagram.nodes[i]
    ports = tuple(Port(wire, p.renames) if p.wire == weight.wire else p for p in node.ports)
    return replace(
        diagram,
        wires=(*diagram.wires, diagram.wires[weight.wire]),
        weights=(*diagram.weights, replace(weight, keys=("copy",), wire=wire)),
        nodes=(*diagram.nodes[:i], replace(node, ports=ports), *diagram.nodes[i + 1 :]),
    )


def test_random_graphs() -> None:
    check_random(range(500))


@pytest.mark.slow
def test_ten_thousand_random_graphs() -> None:
    check_random(range(10_000))


@pytest.mark.parametrize("name", SAMPLES)
def test_copies_of_samples(name: str) -> None:
    form = canonical(SAMPLES[name])
    for seed in range(5):
        assert canonical(copy(SAMPLES[name], random.Random(seed))) == form


def test_samples_all_differ() -> None:
    assert len({digest(d) for d in SAMPLES.values()}) == len(SAMPLES)


# an independent oracle ------------------------------------------------------------------------


def plain_graph(diagram: Diagram) -> nx.Graph:
    """The diagram as a networkx graph in which every port and every axis of every port is a vertex."""
    g = nx.Graph()
    alive = set(canonical(diagram).nodes)

    def vertex(key: object, name: object) -> object:
        g.add_node(key, name=name)
        return key

    def joined(a: object, b: object) -> None:
        g.add_edge(a, b)

    def sized(key: object, axis: str) -> None:
        for monomial, c in diagram.sizes[axis].terms:
            term = vertex((key, "term", monomial), ("term", c))
            joined(key, term)
            for v, e in monomial:
                power = vertex((key, "power", monomial, v), ("power", e))
                joined(term, power)
                joined(power, vertex(("variable", v), "variable"))

    def wired(wire: int, name: object) -> None:
        vertex(("wire", wire), name)
        for a in diagram.wires[wire].axes:
            joined(("wire", wire), vertex(("wire", wire, a), "axis"))

    def ported(owner: object, port: Port, name: object) -> None:
        p = vertex((owner, "port", name, len(g)), ("port", name))
        joined(owner, p)
        joined(p, ("wire", port.wire))
        for a, b in port.renames:
            end = vertex((p, a), "end")
            joined(p, end)
            joined(end, ("wire", port.wire, a))
            joined(end, (owner, "axis", b))

    used = {p.wire for i in alive for p in diagram.nodes[i].ports} | {o.port.wire for o in diagram.outputs}
    for k, item in enumerate(diagram.inputs):
        wired(item.wire, ("input", k))
        for j, a in enumerate(item.layout):
            place = vertex(("input", k, j), ("place", j))
            joined(place, ("wire", item.wire, a))
            sized(place, a)
    for weight in diagram.weights:
        if weight.wire in used:
            wired(weight.wire, ("weight", str(weight.init), weight.frozen))
            for role, axes in enumerate((weight.lanes, weight.fan_in, weight.fan_out)):
                for a in axes:
                    role = role if str(weight.init) == "xavier" else 0
                    place = vertex(("weight", weight.wire, a), ("role", role))
                    joined(place, ("wire", weight.wire, a))
                    sized(place, a)
    for i in sorted(alive):
        node = diagram.nodes[i]
        owner = vertex(("box", i), ("box", repr(node.op)))
        held = {a for p in node.ports for a in p.axes}
        for role, a in enumerate(node.own):
            joined(owner, vertex((owner, "axis", a), ("own", 0 if node.op.symmetric else role)))
            if a not in held:
                sized((owner, "axis", a), a)
        for a in node.lifts:
            joined(owner, vertex((owner, "axis", a), "lift"))
        for k, wire in enumerate(node.outs):
            wired(wire, ("out", k))
            joined(owner, ("wire", wire))
            for a in diagram.wires[wire].axes:
                joined((owner, "axis", a), ("wire", wire, a))
        for k, port in enumerate(node.ports):
            ported(owner, port, "any" if node.op.commutative else k)
    for k, output in enumerate(diagram.outputs):
        owner = vertex(("output", k), ("output", k))
        for j, a in enumerate(output.layout):
            joined(owner, vertex((owner, "axis", a), ("at", j)))
        ported(owner, output.port, 0)
    return g


def _expands(diagram: Diagram) -> bool:
    return any(n.op.word == "expand" for n in diagram.nodes)


def test_against_vf2() -> None:
    """Pairs that differ by one operand, one tie or nothing, decided by VF2 on a graph drawn independently."""
    seen = {True: 0, False: 0}
    for seed in range(300):
        rng = random.Random(seed)
        left = random_diagram(rng, rng.randint(2, 7))
        if _expands(left):
            continue
        right = copy(left, rng)
        change = rng.choice([swap_any, swap_any, untied, lambda d, r: d])
        right = change(right, rng) or right
        same = nx.algorithms.isomorphism
        matcher = same.GraphMatcher(plain_graph(left), plain_graph(right), same.categorical_node_match("name", None))
        truth = matcher.is_isomorphic()
        seen[truth] += 1
        assert (canonical(left) == canonical(right)) == truth, seed
    assert min(seen.values()) > 10, seen


def swap_any(diagram: Diagram, rng: random.Random) -> Diagram | None:
    """Reverse the operands of some box: a change or not, for the oracle to say."""
    places = [i for i in canonical(diagram).nodes if len(diagram.nodes[i].ports) == 2]
    places = [i for i in places if diagram.nodes[i].op.word in "+*-/" or diagram.nodes[i].op.word == "max"]
    if not places:
        return None
    i = rng.choice(places)
    node = replace(diagram.nodes[i], ports=diagram.nodes[i].ports[::-1])
    return replace(diagram, nodes=(*diagram.nodes[:i], node, *diagram.nodes[i + 1 :]))


# what counts ----------------------------------------------------------------------------------


def same(left: str, right: str) -> bool:
    return digest(read("axis n, m = n, d, e, c, h, r " + left)) == digest(read("axis n, m = n, d, e, c, h, r " + right))


SAME = {
    "names": (
        "diagram f(x: [n, d]) -> [n, e] { y = lin W[d -> e](x) out tanh(y) }",
        "diagram f(z: [m, c]) -> [m, h] { out tanh(lin V[c -> h](z)) }",
    ),
    "axes are local": (
        "diagram f(x: [n, d]) -> [n, d] { out softmax[n](x) }",
        "diagram f(x: [n, d]) -> [n, d] where m = n { out softmax[m](x[n -> m])[m -> n] }",
    ),
    "statement order": (
        "diagram f(x: [n], y: [n]) -> [n] { a = exp(x) b = tanh(y) out a - b }",
        "diagram f(x: [n], y: [n]) -> [n] { b = tanh(y) a = exp(x) out a - b }",
    ),
    "commutative operands": (
        "diagram f(x: [n, d], y: [m, d]) -> [n, m] { out dot[d](x, y) + dot[d](exp(x), y) }",
        "diagram f(x: [n, d], y: [m, d]) -> [n, m] { out dot[d](y, exp(x)) + dot[d](y, x) }",
    ),
    "symmetric axes": (
        "diagram f(x: [n, d]) -> [] { out sum[n, d](x) }",
        "diagram f(x: [n, d]) -> [] { out sum[d, n](x) }",
    ),
    "dead boxes and weights": (
        "diagram f(x: [n, d]) -> [n, d] { out exp(x) }",
        "diagram f(x: [n, d]) -> [n, d] { weight w: [d] ~ ones _y = x * w out exp(x) }",
    ),
    "calls are unfolded": (
        "diagram g(x: [n], y: [n]) -> [n] { out x - y } diagram f(x: [d, n]) -> [d, n] { out g(exp(x), x) }",
        "diagram f(x: [d, n]) -> [d, n] { out exp(x) - x }",
    ),
    "equations of calls": (
        "diagram g(x: [d]) -> [] where d = 2 * r { a, b = halves[d -> r](x) out sum[r](a + b) } "
        "diagram f(x: [n, d]) -> [n] { out g(x) }",
        "diagram f(x: [n, d]) -> [n] where d = 2 * r { a, b = halves[d -> r](x) out sum[r](a + b) }",
    ),
    "weight keys and axes order": (
        "diagram f(x: [n, d]) -> [n, c, h] { weight u: [d, c, h] ~ normal(1) out dot[d](x, u) }",
        "diagram f(x: [n, d]) -> [n, c, h] { weight v: [h, c, d] ~ normal(1) out dot[d](x, v) }",
    ),
    "greater is less reversed": (
        "diagram f(x: [n], y: [n]) -> mask[n] { out x < y }",
        "diagram f(x: [n], y: [n]) -> mask[n] { out y > x }",
    ),
}
DIFFERENT = {
    "non-commutative operands": (
        "diagram f(x: [n], y: [n]) -> [n] { out x - y }",
        "diagram f(x: [n], y: [n]) -> [n] { out y - x }",
    ),
    "input order": (
        "diagram f(x: [n], y: [n]) -> [n] { out exp(x) + y }",
        "diagram f(y: [n], x: [n]) -> [n] { out exp(x) + y }",
    ),
    "layout of an input": (
        "diagram f(x: [n, d]) -> [n] { out sum[d](x) }",
        "diagram f(x: [d, n]) -> [n] { out sum[d](x) }",
    ),
    "layout of the output": (
        "diagram f(x: [n, d]) -> [n, d] { out exp(x) }",
        "diagram f(x: [n, d]) -> [d, n] { out exp(x) }",
    ),
    "transpose": (
        "diagram f(x: [n, d], y: [n, d]) -> [n, m] { out dot[d](x, y[n -> m]) }",
        "diagram f(x: [n, d], y: [n, d]) -> [m, n] { out dot[d](x, y[n -> m]) }",
    ),
    "unused input": (
        "diagram f(x: [n]) -> [n] { out exp(x) }",
        "diagram f(x: [n], _y: [n]) -> [n] { out exp(x) }",
    ),
    "tying": (
        "diagram f(x: [n, d]) -> [n, e] { out lin W[d -> e](x) + lin W(exp(x)) }",
        "diagram f(x: [n, d]) -> [n, e] { out lin W[d -> e](x) + lin V[d -> e](exp(x)) }",
    ),
    "initialiser": (
        "diagram f(x: [n, d]) -> [n, e] { out lin W[d -> e](x) }",
        "diagram f(x: [n, d]) -> [n, e] { out lin W[d -> e] ~ kaiming (x) }",
    ),
    "arguments of an initialiser": (
        "diagram f(x: [n, d]) -> [n, d] { weight w: [d] ~ normal(0.1) out x * w }",
        "diagram f(x: [n, d]) -> [n, d] { weight w: [d] ~ normal(0.2) out x * w }",
    ),
    "frozen": (
        "diagram f(x: [n, d]) -> [n, d] { weight w: [d] ~ ones out x * w }",
        "diagram f(x: [n, d]) -> [n, d] { frozen weight w: [d] ~ ones out x * w }",
    ),
    "fan of a weight": (
        "diagram f(x: [d, c]) -> [] { weight u: [d -> c] ~ kaiming out dot[d, c](x, u) }",
        "diagram f(x: [d, c]) -> [] { weight u: [c -> d] ~ kaiming out dot[d, c](x, u) }",
    ),
    "attributes": (
        "diagram f(x: [n, d]) -> [n, d] { out rmsnorm[d](x) }",
        "diagram f(x: [n, d]) -> [n, d] { out rmsnorm[d, eps=1e-6](x) }",
    ),
    "numbers and sizes": (
        "diagram f(x: [n, d]) -> [n, d] where d = 4 { out x * size[d] }",
        "diagram f(x: [n, d]) -> [n, d] where d = 4 { out x * 4 }",
    ),
    "which size": (
        "diagram f(x: [n, d]) -> [n, d] { out x * size[n] }",
        "diagram f(x: [n, d]) -> [n, d] { out x * size[d] }",
    ),
    "an equation": (
        "diagram f(x: [n, d]) -> [n, d] { out exp(x) }",
        "diagram f(x: [n, d]) -> [n, d] where d = 2 * r { out exp(x) }",
    ),
    "equal sizes": (
        "diagram f(x: [n, d], y: [m, d]) -> [n, m] { out dot[d](x, y) }",
        "diagram f(x: [n, d], y: [m, d]) -> [n, m] where m = n { out dot[d](x, y) }",
    ),
    "an inherited equation": (
        "diagram g(x: [d]) -> [d] where d = c * e { out exp(x) } diagram f(x: [d]) -> [d] { out g(x) }",
        "diagram f(x: [d]) -> [d] { out exp(x) }",
    ),
    "kinds": (
        "diagram f(x: [n], i: index(d)[n]) -> [n] { out x + i * size[d] }",
        "diagram f(x: [n], i: [n]) -> [n] { out x + i * size[d] }",
    ),
    "what an index points into": (
        "diagram f(x: [n, d], i: index(d)[n]) -> [n, d] { out x * i }",
        "diagram f(x: [n, d], i: index(n)[n]) -> [n, d] { out x * i }",
    ),
    "order of axes in a merge": (
        "diagram f(x: [n, c, e]) -> [n, d] where d = c * e { out merge[c, e -> d](x) }",
        "diagram f(x: [n, c, e]) -> [n, d] where d = c * e { out merge[e, c -> d](x) }",
    ),
    "halves": (
        "diagram f(x: [d]) -> [r] where d = 2 * r { a, _b = halves[d -> r](x) out a }",
        "diagram f(x: [d]) -> [r] where d = 2 * r { _a, b = halves[d -> r](x) out b }",
    ),
    "a shared box": (
        "diagram f(x: [n]) -> [n] { a = exp(x) out a * a }",
        "diagram f(x: [n]) -> [n] { out exp(x) * exp(x) }",
    ),
    "no folding": (
        "diagram f(x: [n]) -> [n] { out x * 2 * 3 }",
        "diagram f(x: [n]) -> [n] { out x * 6 }",
    ),
    "no reassociation": (
        "diagram f(x: [n], y: [n], z: [n]) -> [n] { out x + y + z }",
        "diagram f(x: [n], y: [n], z: [n]) -> [n] { out x + (y + z) }",
    ),
}


@pytest.mark.parametrize("what", SAME)
def test_does_not_count(what: str) -> None:
    assert same(*SAME[what])


@pytest.mark.parametrize("what", DIFFERENT)
def test_counts(what: str) -> None:
    assert not same(*DIFFERENT[what])


def test_numbers_correspond() -> None:
    """Nodes, weights, their axes and sizes of two copies correspond place by place."""
    left = SAMPLES["gqa"]
    right = copy(left, random.Random(5))
    a, b = canonical(left), canonical(right)
    assert [left.nodes[i].op for i in a.nodes] == [right.nodes[i].op for i in b.nodes]
    assert [str(left.weights[w].init) for w in a.weights] == [str(right.weights[w].init) for w in b.weights]
    table = dict(zip(b.sizes, a.sizes, strict=True))
    for w, v, mine, theirs in zip(a.weights, b.weights, a.axes, b.axes, strict=True):
        assert set(mine) == set(left.weights[w].layout)
        assert set(theirs) == set(right.weights[v].layout)
    assert len(table) == len(a.sizes)
    place = {i: k for k, i in enumerate(a.nodes)}
    for i in a.nodes:
        for port in left.nodes[i].ports:
            if port.wire in left.producer:
                assert place[left.producer[port.wire][0]] < place[i]


def test_repeats_slide() -> None:
    diagram = read("axis n, d diagram f(x: [d]) -> [n] { out sum[d](exp(expand[n](x))) }")
    words = [n.op.word for n in slide(diagram).nodes]
    assert words == ["exp", "sum", "expand"]


SCRIPT = """
from tests.ir.samples import samples
from anatomy.ir.canonical import digest
print([digest(d) for d in samples().values()])
"""


def test_stable_across_processes() -> None:
    found = set()
    for seed in ("0", "1", "12345"):
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True,
            cwd=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), check=True,
        )  # fmt: skip
        found.add(run.stdout)
    assert found == {str([digest(d) for d in SAMPLES.values()]) + "\n"}


def test_pinned() -> None:
    """The hash of a file does not change with the version of Python or the platform."""
    diagram = read("axis n, m, d diagram f(x: [n, d], y: [m, d]) -> [n, m] { out softmax[m](dot[d](x, y)) }")
    assert digest(diagram) == PINNED


PINNED = "541d793d088cb89170f99f97c42d58c7"
