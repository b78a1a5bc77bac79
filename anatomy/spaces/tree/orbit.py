"""Counts modulo a declared symmetry, by Burnside's lemma: the mean number of members that a permutation fixes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations, product
from math import comb, factorial, gcd, lcm, prod

LARGEST = 9
"""Vertices of a cell that is counted modulo relabelling; the work grows with 4 to the number of its interior."""


def cycle_types(k: int, largest: int | None = None) -> Iterator[tuple[int, ...]]:
    """The cycle lengths of permutations of k things, decreasing.

    >>> list(cycle_types(3))
    [(3,), (2, 1), (1, 1, 1)]
    """
    if k == 0:
        yield ()
        return
    for first in range(min(k, largest or k), 0, -1):
        for rest in cycle_types(k - first, first):
            yield (first, *rest)


def permutations_of(kind: tuple[int, ...]) -> int:
    """How many permutations have these cycle lengths: `k! / prod_l l^{m_l} m_l!`."""
    return factorial(sum(kind)) // prod(length**m * factorial(m) for length, m in Counter(kind).items())


def multiset_orbits(n: int, k: int) -> int:
    """Assignments of n values to k interchangeable holes: `1/k! sum_p n^{cycles of p}`, which is `binomial(n + k - 1, k)`.

    >>> multiset_orbits(3, 2)
    6
    """
    return sum(permutations_of(kind) * n ** len(kind) for kind in cycle_types(k)) // factorial(k)


@lru_cache(512)
def cell_orbits(vertices: int, edges: int, labels: int) -> int:
    """Cells of a number of vertices modulo relabelling of the interior, with at most `edges` edges and `labels` labels.

    The group S_k of the k = vertices - 2 interior vertices acts on acyclic graphs between input and output in which
    every vertex lies on a way between the two; every such graph can be put in topological order, so its orbits are those
    of the labelled cells of `Dag`: `1/k! sum_p fixed(p) labels^{cycles of p}`.
    Source: Burnside's lemma; layers as in R. W. Robinson, Counting unlabeled acyclic digraphs (1977).

    >>> [sum(cell_orbits(v, 9, 3) for v in range(2, n + 1)) for n in range(2, 8)]
    [1, 7, 91, 2532, 64542, 423624]
    """
    k = vertices - 2
    total = sum(permutations_of(kind) * labels ** len(kind) * fixed_cells(kind, edges) for kind in cycle_types(k))
    return total // factorial(k)


@lru_cache(512)
def fixed_cells(cycles: tuple[int, ...], edges: int) -> int:
    """Acyclic graphs between input and output, every vertex on a way, that a permutation with these cycles fixes.

    A fixed graph is stratified by the longest way from the input: layers are unions of cycles, and each vertex has an
    edge from the layer before it, and any from earlier ones. That every vertex has an edge out of it is inclusion and
    exclusion over the set of cycles without one. Between cycles of lengths a and b there are gcd(a, b) orbits of edges,
    each of lcm(a, b) edges; a polynomial in the number of edges is one integer in base 2^width.
    """
    width = sum(cycles) ** 2 + 4 * sum(cycles) + 16
    mask = (1 << width * (edges + 1)) - 1

    def free(size: int, orbits: int) -> int:
        """`(1 + x^size)^orbits`"""
        return sum(comb(orbits, j) << width * size * j for j in range(orbits + 1)) & mask

    total, lengths = 0, Counter(cycles)
    # cycles of one length are alike, so only how many of each have no edge out of them matters
    for dead_counts in product(*(range(m + 1) for m in lengths.values())):
        dead: list[bool] = []
        for (_, m), d in zip(lengths.items(), dead_counts, strict=True):
            dead += [True] * d + [False] * (m - d)
        flat = [length for length, m in lengths.items() for _ in range(m)]
        ways = (-1) ** sum(dead_counts) * prod(comb(m, d) for m, d in zip(lengths.values(), dead_counts, strict=True))
        total += ways * _layered(flat, dead, free, width, mask, edges)
    return total


def _layered(flat: list[int], dead: list[bool], free, width: int, mask: int, edges: int) -> int:  # type: ignore[no-untyped-def]
    """Graphs in which the dead cycles have no edge out of them, summed over all layers; other edges are free."""
    n = len(flat)
    alive = sum(1 << c for c in range(n) if not dead[c])
    into = [[0 if dead[c] else gcd(flat[c], flat[t]) for c in range(n)] for t in range(n)]
    factor = [[free(lcm(flat[c], flat[t]), into[t][c]) if into[t][c] else 1 for c in range(n)] for t in range(n)]

    def arcs(t: int, sources: int) -> int:
        """All choices of edges into cycle t from these cycles."""
        found = 1
        for c in range(n):
            if sources >> c & 1:
                found = found * factor[t][c] & mask
        return found

    every = [[arcs(t, s) for s in range(1 << n)] for t in range(n)]
    full = (1 << n) - 1
    # the first layer has its edge from the input and no other
    layers: dict[tuple[int, int], int] = {}
    for first in range(0 if n == 0 else 1, 1 << n):
        size = sum(flat[c] for c in range(n) if first >> c & 1)
        if size <= edges:
            layers[first, first] = 1 << width * size
    result = 0
    while layers:
        grown: dict[tuple[int, int], int] = {}
        for (used, last), ways in layers.items():
            if used == full:
                result += ways
                continue
            old, rest = used & ~last, full & ~used
            # per cycle: an edge from the input is free, old edges are free, at least one from the last layer
            each = {}
            for t in range(n):
                if rest >> t & 1:
                    new = every[t][last] - 1  # not none of them
                    each[t] = (new * every[t][old] & mask) * (1 + (1 << width * flat[t])) & mask
            chosen = [t for t, poly in each.items() if poly]
            for count in range(1, len(chosen) + 1):
                for layer in combinations(chosen, count):
                    poly, bits = ways, 0
                    for t in layer:
                        poly = poly * each[t] & mask
                        bits |= 1 << t
                    if poly:
                        key = (used | bits, bits)
                        grown[key] = grown.get(key, 0) + poly
        layers = grown
    # edges to the output: none from the dead, any from the others; from the input any where there is an interior
    for c in range(n):
        if alive >> c & 1:
            result = result * (1 + (1 << width * flat[c])) & mask
    direct = 1 + (1 << width) if n else 1 << width
    result = result * direct & mask
    return sum(result >> width * e & ((1 << width) - 1) for e in range(edges + 1))
