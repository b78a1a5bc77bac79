"""Counts modulo declared symmetry, by Burnside and by canonical forms of everything listed."""

from functools import lru_cache
from itertools import permutations
from math import comb

import pytest
from hand_made import cells, hole, is_, one, some, space
from hypothesis import given
from hypothesis import strategies as st

from anatomy.language.choices import Component, Domain
from anatomy.spaces.tree.orbit import cell_orbits, cycle_types, multiset_orbits, permutations_of
from anatomy.spaces.tree.value import Value

NASBENCH = [1, 7, 91, 2_532, 64_542, 423_624]
"""Cells of at most 2 .. 7 vertices, 9 edges and 3 labels modulo isomorphism; the last is the published number."""
LABELLED = 1_293_208
"""Cells in topological order that the published count starts from: exactly the members of ours."""


def canonical(value: Value) -> tuple:  # type: ignore[type-arg]
    """The least edges and labels over all orders of the interior."""
    n = len(value.parts)
    best = None
    for order in permutations(range(1, n + 1)):
        to = (0, *order, n + 1)
        edges = tuple(sorted((to[a], to[b]) for a, b in value.edges))
        labels = tuple(label for _, label in sorted(zip(order, map(str, value.parts), strict=True)))
        key = (n, edges, labels)
        best = key if best is None or key < best else best
    return best or (0, value.edges, ())


def nasbench(most: int) -> Domain:
    return some("dag", "c3", "c1", "mp", least=2, most=most, edges=9)


def test_the_cells_of_nasbench_are_counted_by_burnside() -> None:
    assert [sum(cell_orbits(v, 9, 3) for v in range(2, most + 1)) for most in range(2, 8)] == NASBENCH
    found = space(hole("body", nasbench(7)))
    assert (found.count, found.orbits) == (LABELLED, NASBENCH[-1])


@pytest.mark.parametrize("most", [2, 3, 4, 5])
def test_the_cells_of_nasbench_are_counted_by_enumeration(most: int) -> None:
    found = space(hole("body", nasbench(most)))
    assert len({canonical(found.values(i)[0]) for i in range(found.count)}) == NASBENCH[most - 2]


@pytest.mark.slow
def test_all_cells_of_nasbench_are_counted_by_enumeration() -> None:
    found = space(hole("body", nasbench(7)))
    seen: set[tuple] = set()  # type: ignore[type-arg]
    for i in range(found.count):
        value = found.values(i)[0]
        least, orders = smallest(value.edges, len(value.parts))
        labels = tuple(str(p) for p in value.parts)
        seen.add((least, min(tuple(labels[v] for v in order) for order in orders)))
    interior = [least[0] for least, _ in seen]
    assert [sum(n <= most - 2 for n in interior) for most in range(2, 8)] == NASBENCH


@lru_cache(2)
def smallest(edges: tuple[tuple[int, int], ...], n: int) -> tuple[tuple, list[tuple[int, ...]]]:  # type: ignore[type-arg]
    """The least edges over all orders of the interior, and every order that gives them, as places in the labels."""
    found: dict[tuple, list[tuple[int, ...]]] = {}  # type: ignore[type-arg]
    for order in permutations(range(n)):
        to = {0: 0, n + 1: n + 1, **{v + 1: i for i, v in enumerate(order, 1)}}
        found.setdefault(tuple(sorted((to[a], to[b]) for a, b in edges)), []).append(order)
    least = min(found)
    return (n, least), found[least]


@pytest.mark.parametrize(("labels", "edges"), [(1, 99), (2, 5), (4, 7)])
def test_other_cells_agree_with_enumeration(labels: int, edges: int) -> None:
    domain = some("dag", *map(str, range(labels)), least=2, most=5, edges=edges)
    expected = {canonical(v) for v in cells(domain, [Value(str(k)) for k in range(labels)])}
    assert sum(cell_orbits(v, edges, labels) for v in range(2, 6)) == len(expected)


@given(st.integers(0, 30), st.integers(0, 8))
def test_interchangeable_holes_by_burnside_are_multisets(n: int, k: int) -> None:
    assert multiset_orbits(n, k) == (comb(n + k - 1, k) if n else int(k == 0))
    assert sum(map(permutations_of, cycle_types(k))) == len(list(permutations(range(k))))


def test_symmetry_is_counted_through_products_sums_and_conditions() -> None:
    cell = some("dag", "a", "b", least=2, most=4)
    inside = Component("block", None, (hole("cell", cell),))
    plain = space(hole("body", cell))
    assert plain.orbits is not None
    assert plain.orbits < plain.count
    assert space(hole("body", cell), hole("x", ["p", "q"])).orbits == 2 * plain.orbits
    assert space(hole("body", cell), hole("x", ["p", "q"]), where=(is_("x", "p"),)).orbits == plain.orbits
    assert space(hole("body", one(inside, "c"))).orbits == plain.orbits + 1
    assert space(hole("body", some("seq", inside, "c", least=2, most=2))).orbits == (plain.orbits + 1) ** 2
    assert space(hole("body", some("bag", inside, least=2, most=2))).orbits == comb(plain.orbits + 1, 2)
    # a condition on one writing of a cell tells members of an orbit apart
    assert space(hole("body", cell), excepts=(is_("body", str(plain.values(plain.count - 1)[0])),)).orbits is None
