"""The two tabular benchmarks counted from scratch, without the language: graphs with labels, and strings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations, permutations, product
from math import gcd

OPS_201 = ("zero", "skip", "conv1", "conv3", "pool")
EDGES_201 = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""In the order of the holes `e1` to `e6`."""


# NAS-Bench-101 ----------------------------------------------------------------------------------------


def graphs(vertices: int, most: int) -> Iterator[frozenset[tuple[int, int]]]:
    """Upper triangular graphs in which every vertex lies on a way from the first to the last."""
    pairs = list(combinations(range(vertices), 2))
    for count in range(vertices - 1, most + 1):
        for edges in combinations(pairs, count):
            if {a for a, _ in edges} >= {*range(vertices - 1)} and {b for _, b in edges} >= {*range(1, vertices)}:
                yield frozenset(edges)


def cells(vertices: int, labels: int = 3, most: int = 9) -> tuple[int, int]:
    """How many labelled graphs there are, and how many up to a renumbering of the vertices between input and output.

    The canonical form: the least set of edges under all renumberings, then the least row of labels under those that give it.
    """
    inner = range(1, vertices - 1)
    moves = [(0, *p, vertices - 1) for p in permutations(inner)]
    rows = list(product(range(labels), repeat=vertices - 2))
    bit = [[1 << (vertices * a + b) for b in range(vertices)] for a in range(vertices)]
    forms: dict[int, set[tuple[int, ...]]] = {}
    raw = 0
    for edges in graphs(vertices, most):
        codes = [sum(bit[move[a]][move[b]] for a, b in edges) for move in moves]
        least = min(codes)
        kept = [move for move, code in zip(moves, codes, strict=True) if code == least]
        back = [[move.index(v) - 1 for v in inner] for move in kept]
        found = forms.setdefault(least, set())
        for row in rows:
            found.add(min([tuple([row[k] for k in places]) for places in back]))
        raw += len(rows)
    return raw, sum(map(len, forms.values()))


# NAS-Bench-201 ----------------------------------------------------------------------------------------


def published(ops: tuple[str, ...], zero: bool = True) -> str:
    """A name for the last vertex as text: an edge is its operation around the name of its source, a vertex its edges, sorted and joined.

    An edge that passes on is the name of its source. With `zero`, an edge that is zero, or whose source is the name of
    one zero edge, is the mark of zero; a vertex that adds two marks has another name, and counts as no zero.
    """
    names = {0: "x"}
    for vertex in (1, 2, 3):
        parts = []
        for op, (a, b) in zip(ops, EDGES_201, strict=True):
            if b != vertex:
                continue
            if zero and (op == "zero" or names[a] == "#"):
                parts.append("#")
            else:
                parts.append(names[a] if op == "skip" else f"({names[a]}){op}")
        names[vertex] = "+".join(sorted(parts))
    return names[3]


Sum = tuple[tuple[str, "Sum"], ...]  # type: ignore[misc]


def sound(ops: tuple[str, ...]) -> object:
    """The last vertex as a sum of trees: zeros are gone, sums are flat and sorted, what is read twice is written twice."""
    sums: dict[int, Sum] = {0: (("x", ()),)}
    for vertex in (1, 2, 3):
        terms: list[tuple[str, Sum]] = []
        for op, (a, b) in zip(ops, EDGES_201, strict=True):
            if b == vertex and op != "zero" and sums[a]:
                terms += sums[a] if op == "skip" else ((op, sums[a]),)
        sums[vertex] = tuple(sorted(terms))
    return sums[3]


def learners(ops: tuple[str, ...], homogeneous: bool = False) -> object:
    """As `sound`, but the convolution of each edge is a learner of its own: which of them is which is all one, how often each is used is not.

    `homogeneous`: what is applied to g times a sum gives g times what it gives of the sum, as `relu` and `max` do.
    """
    edges = [k for k, op in enumerate(ops) if op.startswith("conv")]
    best = None
    for order in permutations(range(len(edges))):
        number = dict(zip(edges, order, strict=True))
        sums: dict[int, Sum] = {0: (("x", ()),)}
        for vertex in (1, 2, 3):
            terms: list[tuple[str, Sum]] = []
            for k, (op, (a, b)) in enumerate(zip(ops, EDGES_201, strict=True)):
                if b != vertex or op == "zero" or not sums[a]:
                    continue
                times, below = _shared(sums[a]) if homogeneous and op != "skip" else (1, sums[a])
                terms += below if op == "skip" else ((f"{op}{number[k]:02}" if k in number else op, below),) * times
            sums[vertex] = tuple(sorted(terms))
        used = sorted({word[-2:] for word in _learners(sums[3])})
        if used == [f"{j:02}" for j in range(len(used))]:
            best = sums[3] if best is None else min(best, sums[3])
    return best


def _shared(terms: Sum) -> tuple[int, Sum]:
    """How often a sum holds a smaller one, and that."""
    times = gcd(*Counter(terms).values())
    return times, terms[::times]


def _learners(terms: Sum) -> Iterator[str]:
    for word, below in terms:
        if word.startswith("conv"):
            yield word
        yield from _learners(below)
