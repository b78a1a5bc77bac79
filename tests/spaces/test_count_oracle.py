"""The generator against brute force: random small spaces, written as text and listed by an interpreter of their own."""

from itertools import chain, combinations, pairwise, product
from random import Random

import pytest
from brute import PREAMBLE, Drawn, Value, condition, draw, graphs, renamed_alike
from space_texts import program

from anatomy.errors import AnatomyError
from anatomy.spaces import Enumeration, Space

Row = tuple[Value, ...]
QUICK, LONG = range(50), range(50, 2500)


def opened(drawn: Drawn) -> Space:
    definition = program(drawn.text()).space("s")
    assert definition is not None
    return Space(definition)


def shown(drawn: Drawn, row: Row) -> dict[str, str]:
    """The choices of a member as text."""
    return {name: value.text for name, value in drawn.env(row).items()}


def apart(a: Row, b: Row) -> int:
    return sum(x.text != y.text for x, y in zip(a, b, strict=True))


def agrees(space: Space, drawn: Drawn, rows: list[Row]) -> None:
    """Count, order, rank, unrank, shards, and the orders of the members."""
    assert space.count == len(rows)
    assert [space.choices(i) for i in range(space.count)] == [shown(drawn, row) for row in rows]
    for i, row in enumerate(rows):
        assert tuple(map(str, space.values(i))) == tuple(v.text for v in row)
        assert space.index(space.choices(i)) == space.index(space.values(i)) == i
    with pytest.raises(IndexError):
        space.choices(len(rows))
    ranks = list(range(len(rows)))
    for n in (1, 2, 3, 7):
        parts = [list(space.shard(i, n)) for i in range(n)]
        assert [*chain(*parts)] == ranks
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert sorted(m.index for m in space.sample(len(rows) + 3, seed=1)) == ranks
    sizes = [sum(v.size for v in row) for row in rows]
    expected = {"lexicographic": ranks, "size": sorted(ranks, key=sizes.__getitem__), "gray": None, "shuffled": None}
    if rows:
        centre = len(rows) * 2 // 3
        distances = [apart(row, rows[centre]) for row in rows]
        expected["distance"] = sorted(ranks, key=distances.__getitem__)
    for name, listed in expected.items():
        order = space.order(name, str(centre) if name == "distance" else "key")
        found = list(order)
        assert found == listed if listed is not None else sorted(found) == ranks, name
        assert [order.position(rank) for rank in ranks] == [found.index(rank) for rank in ranks], name
        assert [*chain(*(order.shard(i, 3) for i in range(3)))] == found, name
        going = Enumeration(space, name, str(centre) if name == "distance" else "key")
        assert list(going) == found, name


def check(seed: int) -> None:
    rng, drawn = Random(-seed - 1), draw(seed)
    rows = drawn.rows()
    space = opened(drawn)
    agrees(space, drawn, rows)
    assert space.sizes() == {d.name: len(c.values) for d, c in zip(space.decisions, drawn.choices, strict=True)}
    if not drawn.excepts and all(c.when is None for c in drawn.choices):
        gray = [rows[rank] for rank in space.order("gray")]
        assert all(apart(a, b) == 1 for a, b in pairwise(gray))
    if space.orbits is not None:
        assert space.orbits == len({tuple(v.renamed() for v in row) for row in rows})
    outside = [r for r in all_rows(drawn) if not drawn.lawful(drawn.env(r))]
    for row in outside[:20]:
        with pytest.raises(AnatomyError, match="E635"):
            space.index(shown(drawn, row))
    views(drawn, space, rows, rng)


def all_rows(drawn: Drawn) -> list[Row]:
    return list(drawn._rows((), {}))


def views(drawn: Drawn, space: Space, rows: list[Row], rng: Random) -> None:
    """`where`, `within`, `pairs` and unions, as text and in Python."""
    more, k = condition(rng, drawn.choices), rng.randint(0, 2)
    centre = tuple(rng.choice(c.values) for c in drawn.choices)  # conditions may leave it out
    ball = f"within {k} of {{ {', '.join(f'{name}: {text}' for name, text in shown(drawn, centre).items())} }}"
    found = program(drawn.text() + f"space t = s where {more.text}\nspace u = s {ball}\nspace w = s where {more.text} {ball}\nspace v = pairs s\nspace b = {{ t, s }}\n")

    def view(name: str) -> Space:
        definition = found.space(name)
        assert definition is not None
        return Space(definition)

    kept = [row for row in rows if more.holds(drawn.env(row))]
    near = [row for row in rows if apart(row, centre) <= k]
    agrees(view("t"), drawn, kept)
    agrees(view("u"), drawn, near)
    agrees(view("w"), drawn, [row for row in near if row in kept])
    agrees(view("v"), drawn, covered(drawn, view("v"), rows))
    both = view("b")
    listed = [{"space": "t"} | shown(drawn, r) for r in kept] + [{"space": "s"} | shown(drawn, r) for r in rows]
    assert both.count == len(listed)
    assert [both.choices(i) for i in range(both.count)] == listed
    assert [both.index(c) for c in listed] == list(range(both.count))
    narrowed = space.where(more.text)
    assert [narrowed.choices(i) for i in range(narrowed.count)] == [shown(drawn, row) for row in kept]
    if rows:
        rank = rng.randrange(len(rows))
        agrees(space.within(k, rank), drawn, [row for row in rows if apart(row, rows[rank]) <= k])
        free = rng.choice([c for c in drawn.choices if not c.several]).names[0]  # what a centre does not name may differ
        loose = [row for row in rows if apart(row, rows[rank]) - (drawn.env(row)[free].text != drawn.env(rows[rank])[free].text) <= k]
        agrees(space.within(k, {n: t for n, t in shown(drawn, rows[rank]).items() if n != free}), drawn, loose)


def covered(drawn: Drawn, array: Space, rows: list[Row]) -> list[Row]:
    """Each pair of values that some member has is had by one of the array, and all its members are members."""
    texts = [shown(drawn, row) for row in rows]
    ranks = [texts.index(array.choices(i)) for i in range(array.count)]
    assert ranks == sorted(set(ranks))
    assert meetings(rows) == meetings([rows[rank] for rank in ranks])
    return [rows[rank] for rank in ranks]


def meetings(rows: list[Row]) -> set[tuple[int, str, int, str]]:
    return {(i, a.text, j, b.text) for row in rows for (i, a), (j, b) in combinations(enumerate(row), 2)}


@pytest.mark.parametrize("seed", QUICK)
def test_a_random_space_is_what_brute_force_lists(seed: int) -> None:
    check(seed)


@pytest.mark.slow
def test_many_random_spaces_are_what_brute_force_lists() -> None:
    for seed in LONG:
        try:
            check(seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {draw(seed).text().partition('space s')[2]}") from error


def test_the_draws_reach_every_form() -> None:
    texts = [draw(seed).text().partition("space s")[2] for seed in QUICK]
    for word in ("seq ", "bag ", "set ", "tree ", "dag ", "param ", "bool ", "when ", "except ", "optional ", "share ", "tie ", "bag of", "set of"):
        assert any(word in text for text in texts), word
    counts = [len(draw(seed).rows()) for seed in QUICK]
    assert max(counts) > 500
    assert 0 < counts.count(0) < len(counts) / 4


@pytest.mark.parametrize(("most", "edges"), [(3, 3), (4, 4), (4, 6), (5, 6)])
def test_cells_modulo_numbering_are_counted_as_they_are_listed(most: int, edges: int) -> None:
    text = PREAMBLE + f"space s of base {{ choose h0 in dag 2 to {most} of {{ a0, a1 }} edges {edges} {''.join(f'choose h{k} in {{ a0 }} ' for k in (1, 2, 3))} }}"
    definition = program(text).space("s")
    assert definition is not None
    found = Space(definition)
    cells = [(v, g, labels) for v in range(2, most + 1) for g in graphs(v, edges) for labels in product("ab", repeat=v - 2)]
    assert found.count == len(cells)
    assert found.orbits == len({renamed_alike(*cell) for cell in cells})
