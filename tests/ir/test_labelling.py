"""Canonical labelling against brute force, VF2 and graphs that refinement alone cannot tell apart."""

from __future__ import annotations

import random
from itertools import chain, combinations

import networkx as nx
import pytest

from anatomy.errors import AnatomyError
from anatomy.ir.canonical import canonical
from anatomy.ir.labelling import label
from tests.ir.samples import copy, cycle, of_graph

Coloured = tuple[list[str], list[tuple[int, int, str]]]


def graph(rng: random.Random) -> Coloured:
    """A small coloured graph, sparse and with few colours, so that many pairs are isomorphic."""
    n = rng.randint(1, 7)
    edges = [(rng.randrange(n), rng.randrange(n), rng.choice("xy")) for _ in range(rng.randint(0, 2 * n))]
    return [rng.choice("ab") for _ in range(n)], [e for e in edges if e[0] != e[1]]


def shuffled(given: Coloured, rng: random.Random) -> Coloured:
    names, edges = given
    to = list(range(len(names)))
    rng.shuffle(to)
    moved = [""] * len(names)
    for v, name in enumerate(names):
        moved[to[v]] = name
    turned = [(to[a], to[b], mark) for a, b, mark in edges]
    rng.shuffle(turned)
    return moved, turned


def rewired(given: Coloured, rng: random.Random) -> Coloured:
    """Two edges exchange their ends: degrees stay, the graph may not."""
    names, edges = given
    edges = list(edges)
    if len(edges) > 1:
        i, j = rng.sample(range(len(edges)), 2)
        (a, b, x), (c, d, y) = edges[i], edges[j]
        if a != d and b != c:
            edges[i], edges[j] = (a, d, x), (c, b, y)
    return names, edges


def oracle(left: Coloured, right: Coloured) -> bool:
    def made(given: Coloured) -> nx.DiGraph:
        names, edges = given
        result = nx.DiGraph()
        for v, name in enumerate(names):
            result.add_node(v, name=name)
        for a, b, mark in edges:
            marks = [*result.edges[a, b]["marks"], mark] if result.has_edge(a, b) else [mark]
            result.add_edge(a, b, marks=sorted(marks))
        return result

    same = nx.algorithms.isomorphism
    return same.DiGraphMatcher(
        made(left), made(right), same.categorical_node_match("name", ""), same.categorical_edge_match("marks", [])
    ).is_isomorphic()


def test_small_graphs_against_vf2() -> None:
    seen = {True: 0, False: 0}
    for seed in range(400):
        rng = random.Random(seed)
        left = graph(rng)
        right = shuffled(rewired(left, rng) if rng.random() < 0.7 else left, rng)
        same = oracle(left, right)
        seen[same] += 1
        assert (label(*left)[1] == label(*right)[1]) == same, seed
    assert min(seen.values()) > 40


def test_the_order_writes_the_form() -> None:
    names, edges = ["a", "b", "b"], [(0, 2, "e"), (2, 1, "f")]
    order, form = label(names, edges)
    assert sorted(order) == [0, 1, 2]
    assert [names[v] for v in order] == [form[0][k] for k in form[2]]


SQUARE = [(0, 1), (0, 3), (1, 0), (3, 0), (1, 1), (3, 3)]
PAIRS = [(i, j) for i in range(16) for j in range(i)]
ROOK = [(i, j) for i, j in PAIRS if i // 4 == j // 4 or i % 4 == j % 4]
SHRIKHANDE = [(i, j) for i, j in PAIRS if ((i // 4 - j // 4) % 4, (i % 4 - j % 4) % 4) in SQUARE]


def gadgets(base: nx.Graph, twist: bool) -> list[tuple[int, int]]:
    """The graphs of Cai, Fürer and Immerman (1992): refinement of no fixed dimension tells the twist."""
    number: dict[object, int] = {}
    edges = []

    def vertex(name: object) -> int:
        return number.setdefault(name, len(number))

    for u in base:
        near = list(base[u])
        for even in chain.from_iterable(combinations(near, k) for k in range(0, len(near) + 1, 2)):
            edges += [(vertex((u, even)), vertex((u, w, w in even))) for w in near]
    for u, w in base.edges:
        edges += [(vertex((u, w, bit)), vertex((w, u, bit ^ twist))) for bit in (False, True)]
        twist = False
    return edges


def triangles(count: int) -> list[tuple[int, int]]:
    return [e for k in range(count) for e in cycle(3 * k, 3)]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (cycle(0, 6), triangles(2)),
        (triangles(18), triangles(16) + cycle(48, 6)),
        (cycle(0, 55), cycle(0, 27) + cycle(27, 28)),
        (ROOK, SHRIKHANDE),
        (gadgets(nx.complete_graph(4), False), gadgets(nx.complete_graph(4), True)),
        (list(nx.random_regular_graph(5, 22, 1).edges), list(nx.random_regular_graph(5, 22, 2).edges)),
    ],
    ids=["hexagon", "triangles", "cycles", "rook", "gadgets", "regular"],
)
def test_regular_pairs_differ(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    a, b = of_graph(left), of_graph(right)
    assert len(a.nodes) == len(b.nodes)
    assert canonical(a) != canonical(b)
    assert canonical(a) == canonical(copy(a, random.Random(0)))


def test_a_search_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anatomy.ir.labelling.LIMIT", 1000)
    with pytest.raises(AnatomyError) as refused:
        canonical(of_graph(gadgets(nx.complete_graph(4), False)))
    assert refused.value.diagnostics[0].code == "E505"


@pytest.mark.parametrize("name", ["complete", "bipartite", "petersen", "star", "edges"])
def test_great_symmetry_is_no_obstacle(name: str) -> None:
    edges = {
        "complete": list(nx.complete_graph(11).edges),
        "bipartite": list(nx.complete_bipartite_graph(7, 8).edges),
        "petersen": [(a + 10 * k, b + 10 * k) for k in range(3) for a, b in nx.petersen_graph().edges],
        "star": [(0, i) for i in range(1, 56)],
        "edges": [(2 * i, 2 * i + 1) for i in range(55)],
    }[name]
    diagram = of_graph(edges)
    assert canonical(diagram) == canonical(copy(diagram, random.Random(1)))
    assert canonical(diagram) != canonical(of_graph([*edges[:-1], (edges[0][0], edges[1][1])]))
