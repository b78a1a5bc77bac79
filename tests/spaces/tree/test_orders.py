"""Orders, shards, samples, covering arrays and the state of an enumeration."""

import json
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, pairwise

import pytest
from hand_made import definition, hole, is_, members, size, some, space
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import definitions

from anatomy.errors import AnatomyError
from anatomy.language.choices import Both, Component, UnionDefinition
from anatomy.spaces import Enumeration, Permutation, Space
from anatomy.spaces.orders import ORDERS
from anatomy.spaces.tree.value import Value


@settings(max_examples=120, deadline=None)
@given(definitions(3), st.integers(0, 10**6))
def test_every_order_is_a_bijection_with_its_inverse(drawn, pick) -> None:  # type: ignore[no-untyped-def]
    found = Space(drawn)
    if not found.count or found.count > 600:
        return
    for name in ORDERS:
        order = found.order(name, "key", centre=pick % found.count)
        assert sorted(order) == list(range(found.count)) == [order.position(order[j]) for j in range(found.count)]


@settings(max_examples=100, deadline=None)
@given(definitions(3), st.integers(0, 10**6))
def test_orders_by_size_and_distance_are_sorted_then_lexicographic(drawn, pick) -> None:  # type: ignore[no-untyped-def]
    found, listed_ = Space(drawn), members(drawn)
    if not listed_ or len(listed_) > 600:
        return
    centre = listed_[pick % len(listed_)]

    def measure(values: tuple[Value, ...]) -> int:
        total = 0
        for value, d in zip(values, drawn.decisions, strict=True):
            if d.kind == "hole" and value.label not in ("none", "off"):
                inside = d.otherwise is not None and value not in _of(d)
                total += 1 if inside else size(value, d.domain)
            elif d.kind == "hole" and value.label == "off":
                total += 1
        return total

    sizes = list(map(measure, listed_))
    by_size = found.order("size")
    assert list(by_size) == sorted(range(len(listed_)), key=lambda i: (sizes[i], i))
    assert dict(Counter(sizes)) == {s: n for s, n in enumerate(by_size.shells) if n}  # type: ignore[attr-defined]
    away = [sum(str(a) != str(b) for a, b in zip(v, centre, strict=True)) for v in listed_]
    by_distance = found.order("distance", centre=pick % len(listed_))
    assert list(by_distance) == sorted(range(len(listed_)), key=lambda i: (away[i], i))


def _of(d) -> list[Value]:  # type: ignore[no-untyped-def]
    from hand_made import listed

    return listed(d.domain)


@settings(max_examples=60, deadline=None)
@given(definitions(4, conditions=False))
def test_gray_neighbours_differ_in_one_decision_of_a_plain_product(drawn) -> None:  # type: ignore[no-untyped-def]
    found = Space(drawn)
    if found.count > 2_000:
        return
    for a, b in pairwise(map(found.values, found.order("gray"))):
        assert sum(x != y for x, y in zip(a, b, strict=True)) == 1


@settings(max_examples=80, deadline=None)
@given(definitions(4))
def test_gray_under_conditions_keeps_all_before_the_decision_that_steps(drawn) -> None:  # type: ignore[no-untyped-def]
    found = Space(drawn)
    if found.count > 1_000:
        return
    order = found.order("gray")
    for a, b in pairwise(order):
        x, y = found.values(a), found.values(b)
        first = next(k for k in range(len(x)) if x[k] != y[k])
        between = {found.values(i)[: first + 1] for i in range(found.count) if found.values(i)[:first] == x[:first]}
        places = sorted(found.index(next(v for v in map(found.values, range(found.count)) if v[: first + 1] == head)) for head in between)
        heads = [found.values(p)[: first + 1] for p in places]
        assert abs(heads.index(x[: first + 1]) - heads.index(y[: first + 1])) == 1
        break  # one neighbourhood of each space: the listing above is quadratic


@given(st.integers(1, 400), st.integers(1, 50))
def test_shards_partition_and_are_even(count: int, n: int) -> None:
    found = space(hole("x", [str(i) for i in range(count)]))
    shards = [list(found.shard(i, n)) for i in range(n)]
    assert [r for s in shards for r in s] == list(range(count))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    shuffled = [r for i in range(n) for r in found.order("shuffled", "k").shard(i, n)]
    assert sorted(shuffled) == list(range(count))


@given(st.integers(1, 2_000), st.text(max_size=4), st.integers(0, 10**9))
def test_the_permutation_has_its_inverse(count: int, key: str, index: int) -> None:
    order = Permutation(count, key)
    assert order.index(order[index % count]) == index % count


def test_the_permutation_reaches_beyond_what_one_hash_gives() -> None:
    order = Permutation(10**3_500, "k")
    for index in (0, 1, 10**3_499 + 7):
        assert order.index(order[index]) == index
    assert order[0] != 0


HUGE = [hole(f"h{k}", [f"o{j}" for j in range(10)]) for k in range(30)]


def test_all_orders_of_a_huge_space_work_at_once() -> None:
    found = space(*HUGE, hole("phi", some("seq", "a", "b", "none", most=5)), excepts=(Both((is_("h3", "o1"), is_("h20", "o2"))),))
    assert found.count == (10**30 - 10**28) * (3 + 9 + 27 + 81 + 243)
    for name in ORDERS:
        order = found.order(name, "key", centre=found.count // 3)
        assert order.count == found.count
        for j in (0, 1, found.count // 2, found.count - 1):
            assert order.position(order[j]) == j
    assert sum(found.order("size").shells) == found.count  # type: ignore[attr-defined]
    with pytest.raises(OverflowError):
        len(found)


def test_unknown_orders_and_missing_centres_are_named() -> None:
    found = space(hole("x", ["a", "b"]))
    for name, key in (("sorted", ""), ("distance", ""), ("distance", "x")):
        with pytest.raises(AnatomyError, match="E637"):
            found.order(name, key)
    with pytest.raises(AnatomyError, match="E606"):
        found.order("distance", centre=2)
    with pytest.raises(IndexError, match="counted from 0"):
        found.order()[2]


# samples ----------------------------------------------------------------------------------------


def weighted(**more):  # type: ignore[no-untyped-def]
    score = hole("score", ["dots", "cosine", "never"], prefer={"dots": 3, "never": 0})
    return space(score, hole("gate", ["open", "shut"], prefer={"shut": 2}), hole("x", ["a", "b"]), **more)


def test_weighted_draws_are_exact() -> None:
    found = weighted()
    line = found._line()
    assert line is not None
    ranks = [line.at(u)[0] for u in range(line.total)]
    expected = {}
    for i in range(found.count):
        c = found.choices(i)
        expected[i] = {"dots": 3, "cosine": 1, "never": 0}[c["score"]] * {"open": 1, "shut": 2}[c["gate"]]
    assert line.total == sum(expected.values()) == 24
    assert Counter(ranks) == Counter({i: w for i, w in expected.items() if w})
    assert ranks == sorted(ranks)
    for u in range(line.total):
        rank, start, mass = line.at(u)
        assert ranks.index(rank) == start
        assert mass == expected[rank]


def test_weighted_samples_do_not_repeat_and_are_fixed_by_the_seed() -> None:
    found = weighted(excepts=(Both((is_("score", "dots"), is_("x", "b"))),))
    every = [m.index for m in found.sample(100, seed=4)]
    assert len(every) == len(set(every)) == 6  # those of weight 0 never come
    assert [m.index for m in found.sample(3, seed=4)] == every[:3]
    assert all(found.choices(i)["score"] != "never" for i in every)
    firsts = Counter(found.sample(1, seed=s)[0].choices["score"] for s in range(2_000))
    share = Fraction(9, 15)  # dots: 3 * (1 + 2) of 9 + 2 * (1 + 2)
    assert abs(firsts["dots"] / 2_000 - share) < 5 * (float(share) * 0.4 / 2_000) ** 0.5


def test_the_second_draw_is_in_proportion_to_what_is_left() -> None:
    found = space(hole("x", ["a", "b", "c"], prefer={"a": 3, "b": 2}))
    pairs = Counter(tuple(m.index for m in found.sample(2, seed=s)) for s in range(6_000))
    weights = (3, 2, 1)
    for (i, j), n in pairs.items():
        p = weights[i] / 6 * weights[j] / (6 - weights[i])
        assert abs(n / 6_000 - p) < 5 * (p * (1 - p) / 6_000) ** 0.5
    assert len(pairs) == 6


def test_weights_that_leave_nothing_are_refused() -> None:
    with pytest.raises(AnatomyError, match="E638"):
        space(hole("x", ["a"], prefer={"a": 0})).sample(1)


# covering arrays --------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(definitions(4))
def test_every_two_values_that_may_meet_do(drawn) -> None:  # type: ignore[no-untyped-def]
    found = Space(drawn)
    if not 0 < found.count <= 600:
        return

    def met(s: Space) -> set[tuple[int, Value, int, Value]]:
        return {(i, v[i], j, v[j]) for v in map(s.values, range(s.count)) for i, j in combinations(range(len(v)), 2)}

    array = found.pairs()
    assert met(array) == met(found)
    assert array.count == len(array) <= found.count
    legal = [found.index(array.values(i)) for i in range(array.count)]
    assert legal == sorted(set(legal))
    assert [array.index(array.choices(i)) for i in range(array.count)] == list(range(array.count))


def test_a_covering_array_is_small_and_the_same_each_time() -> None:
    decisions = [hole(f"h{k}", [f"o{j}" for j in range(5)]) for k in range(10)]
    array = space(*decisions, excepts=(Both((is_("h0", "o0"), is_("h1", "o0"))),)).pairs()
    assert 25 <= array.count <= 60
    again = space(*decisions, excepts=(Both((is_("h0", "o0"), is_("h1", "o0"))),)).pairs()
    assert [array.choices(i) for i in range(array.count)] == [again.choices(i) for i in range(again.count)]
    # what never meets is left out, and may provably not: the space with both has no members
    assert space(*decisions, excepts=(Both((is_("h0", "o0"), is_("h1", "o0"))),), where=(is_("h0", "o0"), is_("h1", "o0"))).count == 0
    with pytest.raises(AnatomyError, match="E636"):
        space(hole("x", some("seq", "a", "b", most=30)), hole("y", ["a", "b"])).pairs().count  # noqa: B018


# unions -----------------------------------------------------------------------------------------


def test_a_union_is_the_spaces_side_by_side() -> None:
    a = replace(definition(hole("x", ["a", "b"]), hole("y", ["p", "q"])), name="A")
    b = replace(definition(hole("x", ["b", "c", "none"], prefer={"c": 5})), name="B")
    found = Space(UnionDefinition("W", (a, b)))
    assert (found.count, found.derivations, found.orbits, found.sizes()) == (7, 7, 7, {"A": 4, "B": 3})
    assert found.choices(5) == {"space": "B", "x": "c"}
    assert str(found.values(1)[0]) == "A(a, q)"
    assert [found.index(found.choices(i)) for i in range(7)] == list(range(7)) == [found.index(found.values(i)) for i in range(7)]
    for name in ("lexicographic", "gray", "shuffled", "size"):
        order = found.order(name, "k")
        assert sorted(order) == list(range(7)) == [order.position(order[j]) for j in range(7)]
    assert list(found.order("size")) == [6, 4, 5, 0, 1, 2, 3]
    assert sorted(m.index for m in found.sample(9)) == list(range(7))
    assert found.where(is_("x", "b")).count == 3
    assert found.pairs().count == 7
    assert [found.within(1, found[1]).choices(i) for i in range(3)] == [{"x": "a", "y": "p"}, {"x": "a", "y": "q"}, {"x": "b", "y": "q"}]
    for wrong, code in (({"x": "a"}, "E605"), ({"space": "C"}, "E203"), ({"space": "B", "y": "p"}, "E603")):
        with pytest.raises(AnatomyError, match=code):
            found.index(wrong)
    assert found.digest != Space(UnionDefinition("W", (b, a))).digest


# enumeration ------------------------------------------------------------------------------------


@given(st.sampled_from(ORDERS), st.integers(1, 5), st.data())
def test_an_enumeration_goes_on_where_it_stopped(order: str, n: int, data: st.DataObject) -> None:
    found = space(hole("x", ["a", "b", "c"]), hole("y", ["p", "q"]), excepts=(Both((is_("x", "a"), is_("y", "q"))),))
    key = "2" if order == "distance" else "k"
    seen = []
    for i in range(n):
        whole = list(Enumeration(found, order, key, (i, n)))
        current, mine = Enumeration(found, order, key, (i, n)), []
        stop = data.draw(st.integers(0, len(whole)))
        for _ in range(stop):
            mine.append(next(current))
        assert "\n" not in current.state
        assert mine + list(Enumeration.resume(found, current.state)) == whole
        seen += whole
    assert sorted(seen) == list(range(found.count))


def test_a_state_of_another_space_is_refused() -> None:
    found = space(hole("x", ["a", "b"]))
    state = Enumeration(found).state
    other = space(hole("x", ["a", "b", "c"]))
    with pytest.raises(AnatomyError, match="E631"):
        Enumeration.resume(other, state)
    data = json.loads(state)
    for broken in (
        "", "[]", "{}", "x" * 200_000, "[" * 50_000, json.dumps({**data, "version": 2}), json.dumps({**data, "counter": 99}),
        json.dumps({**data, "counter": -1}), json.dumps({**data, "shard": [2, 2]}), json.dumps({**data, "shard": [0, "1"]}),
        json.dumps({**data, "counter": True}),
    ):  # fmt: skip
        with pytest.raises(AnatomyError, match="E631"):
            Enumeration.resume(found, broken)


def test_the_digest_covers_decisions_and_conditions() -> None:
    plain = definition(hole("x", ["a", "b"]), hole("y", ["p", "q"]))
    different = [
        plain,
        replace(plain, where=(is_("x", "a"),)),
        replace(plain, excepts=(is_("x", "a"),)),
        replace(plain, pairs=True),
        definition(hole("x", ["b", "a"]), hole("y", ["p", "q"])),
        definition(hole("x", some("seq", "a", "b")), hole("y", ["p", "q"])),
        definition(hole("x", some("bag", "a", "b")), hole("y", ["p", "q"])),
        definition(hole("x", ["a", "b"]), hole("y", ["p", "q"], when=is_("x", "a"), otherwise=Component("p"))),
        definition(hole("x", [Component("a", None, (hole("z", ["u"]),)), "b"]), hole("y", ["p", "q"])),  # type: ignore[list-item]
    ]
    assert len({Space(d).digest for d in different}) == len(different)


def test_weights_of_what_is_no_value_are_refused() -> None:
    for prefer in ({"relu": 3}, {"a": 3}, {"seq": -1}):
        with pytest.raises(AnatomyError, match="E638"):
            space(hole("phi", some("seq", "a", "b", most=2), prefer=prefer)).sample(1)


def test_an_empty_space_has_nothing_in_any_order() -> None:
    found = space(hole("x", ["a", "b"]), hole("y", ["p", "q"]), where=(is_("x", "a"), is_("x", "b")))
    assert (found.count, found.orbits, found.sample(3), found.pairs().count) == (0, 0, [], 0)
    for name in ("lexicographic", "gray", "shuffled", "size"):
        assert list(found.order(name)) == []
    assert list(Enumeration(found)) == []
