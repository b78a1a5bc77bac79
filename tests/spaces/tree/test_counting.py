"""The counting tree against lists: counts, order, rank and unrank, sizes, under arbitrary conditions."""

from collections import Counter

import pytest
from hand_made import hole, is_, listed, members, one, size, some, space
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import definitions, domain

from anatomy.errors import AnatomyError
from anatomy.language.choices import Both, Component, Decision, Domain, Either, Not, Test, Within
from anatomy.spaces import Space
from anatomy.spaces.tree.decisions import Decisions
from anatomy.spaces.tree.domain import node
from anatomy.spaces.tree.node import Foreign
from anatomy.spaces.tree.value import Value


@settings(max_examples=250, deadline=None)
@given(domain(2))
def test_a_domain_is_counted_ordered_and_sized_as_it_is_listed(drawn: Domain) -> None:
    expected = listed(drawn)
    if len(expected) > 2_000:
        return
    tree = node(drawn, "hole", Decisions)
    assert [tree.unrank(i) for i in range(tree.count)] == expected
    assert [tree.rank(v) for v in expected] == list(range(len(expected)))
    assert [tree.rank(Value.parse(str(v))) for v in expected] == list(range(len(expected)))
    sizes = [size(v, drawn) for v in expected]
    for place in {0, len(expected) // 3, len(expected) // 2, len(expected)}:
        below = tree.below(place)
        assert dict(enumerate(below)) == {s: sizes[:place].count(s) for s in range(len(below))}
        assert sum(below) == place
    assert Counter(sizes) == Counter({s: n for s, n in enumerate(tree.sizes) if n})
    for label in {v.label for v in expected}:
        places = [i for start, stop in tree.labelled(label) for i in range(start, stop)]
        assert places == [i for i, v in enumerate(expected) if v.label == label]


@settings(max_examples=300, deadline=None)
@given(definitions())
def test_members_are_those_of_brute_force_in_lexicographic_order(drawn) -> None:  # type: ignore[no-untyped-def]
    found = Space(drawn)
    expected = members(drawn)
    assert found.count == len(expected)
    assert [found.values(i) for i in range(found.count)] == expected
    assert [found.index(v) for v in expected] == list(range(len(expected)))
    assert [found.index(found.choices(i)) for i in range(found.count)] == list(range(len(expected)))


@settings(max_examples=100, deadline=None)
@given(definitions(), st.data())
def test_what_is_no_member_has_no_rank(drawn, data) -> None:  # type: ignore[no-untyped-def]
    found, legal = Space(drawn), set(members(drawn))
    anything = tuple(data.draw(st.sampled_from(listed(d.domain))) for d in drawn.decisions)
    if anything in legal:
        assert found.values(found.index(anything)) == anything
    else:
        with pytest.raises(AnatomyError):
            found.index(anything)


def test_a_huge_constrained_space_counts_shows_and_samples_at_once() -> None:
    decisions = [hole(f"h{k}", [f"o{j}" for j in range(10)]) for k in range(40)]
    conditions = tuple(Not(Both((is_(f"h{k}", "o1"), is_(f"h{k + 1}", "o2")))) for k in range(39))
    found = space(*decisions, where=conditions, excepts=(Both(tuple(is_(f"h{k}", "o0") for k in range(40))),))
    # words over ten letters without 1 before 2, by their recurrence, less the one of zeros alone
    a, b = 1, 10
    for _ in range(39):
        a, b = b, 10 * b - a
    assert found.count == b - 1 > 10**39
    for rank in (0, 1, found.count // 3, found.count - 1):
        assert found.index(found.choices(rank)) == rank
        assert found.index(found.values(rank)) == rank
    assert len({m.index for m in found.sample(200, seed=1)}) == 200
    shell = found.order("distance", centre=found.count // 2)
    assert [shell[j] for j in (0,)] == [found.count // 2]
    for j in (1, 500, found.count // 7):
        assert shell.position(shell[j]) == j


def test_within_counts_a_ball_and_names_that_are_not_given_are_free() -> None:
    decisions = [hole(n, ["a", "b", "c"]) for n in "xyz"]
    assert space(*decisions, within=(Within(1, dict.fromkeys("xyz", "a")),)).count == 1 + 3 * 2
    assert space(*decisions, within=(Within(1, {"x": "a", "y": "a"}),)).count == (1 + 2 * 2) * 3
    assert space(*decisions, within=(Within(9, dict.fromkeys("xyz", "a")),)).count == 27
    ball = space(*decisions).within(2, 13).within(1, dict.fromkeys("xyz", "a"))
    assert ball.count == sum(
        1 for i in range(27)
        if sum(a != b for a, b in zip(_digits(i), _digits(13), strict=True)) <= 2 and sum(a != 0 for a in _digits(i)) <= 1
    )  # fmt: skip


def _digits(i: int) -> tuple[int, int, int]:
    return i // 9, i // 3 % 3, i % 3


def test_interchangeable_holes_are_assigned_without_order() -> None:
    for form, count in (("bag", 6), ("set", 3)):
        names = ("f", "g")
        d = Decision("f, g", "hole", some(form, "a", "b", "c", least=2, most=2), names, names=names)
        found = space(d, hole("h", ["p", "q"]))
        assert (found.derivations, found.count, found.orbits) == (18, 2 * count, 2 * count)
        assert list(found.choices(0)) == ["f", "g", "h"]
        assert [found.index(found.choices(i)) for i in range(found.count)] == list(range(found.count))
        swapped = {"f": found.choices(2)["g"], "g": found.choices(2)["f"], "h": "p"}
        assert found.index(swapped) == 2
        first = found.where(is_("f", "a"))
        assert [first.choices(i)["f"] for i in range(first.count)] == ["a"] * first.count
        assert first.count == 2 * (3 if form == "bag" else 2)


def test_numbers_and_flags_are_compared() -> None:
    r = Decision("r", "param", one("1", "2", "4", "16"))
    fancy = Decision("fancy", "flag", one("false", "true"))
    found = space(r, fancy, where=(Either((Test("r", "<=", ("2",)), is_("fancy", "true"))),))
    assert [tuple(found.choices(i).values()) for i in range(found.count)] == [
        ("1", "false"), ("1", "true"), ("2", "false"), ("2", "true"), ("4", "true"), ("16", "true"),
    ]  # fmt: skip
    with pytest.raises(AnatomyError, match="E633"):
        space(hole("h", ["a"]), where=(Test("h", "<", ("2",)),))


def test_a_dependent_choice_stands_where_it_is_not_open() -> None:
    gate = hole("gate", ["tanh", "sigmoid"], when=is_("score", "dots"), otherwise=Component("open"))
    found = space(hole("score", ["dots", "cosine"]), gate)
    assert [tuple(found.choices(i).values()) for i in range(3)] == [("dots", "tanh"), ("dots", "sigmoid"), ("cosine", "open")]
    assert (found.derivations, found.count) == (4, 3)
    assert found.index({"score": "cosine"}) == 2
    with pytest.raises(AnatomyError, match="E635"):
        found.index({"score": "cosine", "gate": "tanh"})
    with pytest.raises(AnatomyError, match="E203"):
        found.index({"score": "dots", "gate": "open"})
    with pytest.raises(AnatomyError, match="E605"):
        found.index({"score": "dots"})
    with pytest.raises(AnatomyError, match="E633"):
        space(gate, hole("score", ["dots", "cosine"]))


def test_an_excluded_member_is_named() -> None:
    found = space(hole("x", ["a", "b"]), hole("y", ["a", "b"]), excepts=(Both((is_("x", "a"), is_("y", "b"))),))
    assert found.count == 3
    with pytest.raises(AnatomyError, match="E635"):
        found.index({"x": "a", "y": "b"})
    with pytest.raises(AnatomyError, match="E203"):
        found.where(is_("x", "c"))
    with pytest.raises(AnatomyError, match="E633"):
        found.where(is_("z", "a"))
    assert found.where(is_("x", "a")).where(is_("y", "b")).count == 0


def test_conditions_that_leave_too_many_cases_are_refused() -> None:
    decisions = [hole(f"h{k}", [str(j) for j in range(12)]) for k in range(16)]
    # every member of the first half forbids its own copy in the second half: nothing can be forgotten
    far = tuple(Not(Both((is_(f"h{k}", str(j)), is_(f"h{15 - k}", str(j))))) for k in range(8) for j in range(12))
    with pytest.raises(AnatomyError, match="E630"):
        space(*decisions, where=far)
    deep = is_("h0", "1")
    for _ in range(300):
        deep = Not(deep)
    with pytest.raises(AnatomyError, match="E630"):
        space(*decisions, where=(deep,))


@pytest.mark.parametrize(
    "domain", [
        some("seq", *map(str, range(50)), most=100_000), some("seq", *map(str, range(50)), most=2_000),
        some("tree", "leaf", most=100_000), some("dag", "a", least=2, most=64), some("dag", "a", least=2, most=10**9),
        some("bag", *map(str, range(50)), most=10**9),
    ],
)  # fmt: skip
def test_a_hostile_domain_is_refused_at_once(domain: Domain) -> None:
    with pytest.raises(AnatomyError, match="E630"):
        space(hole("h", domain))


def test_decisions_that_nest_too_deep_are_refused() -> None:
    inner = hole("x", ["a"])
    for _ in range(60):
        inner = hole("x", one(Component("w", None, (inner,))))
    with pytest.raises(AnatomyError, match="E630"):
        space(inner)


@settings(max_examples=60, deadline=None)
@given(definitions(), st.integers(0, 3), st.data())
def test_another_component_leaves_the_members_without_it_and_their_order(drawn, k, data) -> None:  # type: ignore[no-untyped-def]
    from dataclasses import replace

    k %= len(drawn.decisions)
    d = drawn.decisions[k]
    place = data.draw(st.integers(0, len(d.domain.components)))
    if d.domain.form == "one" and d.kind == "param":
        return
    grown = (*d.domain.components[:place], Component("zz"), *d.domain.components[place:])
    wider = replace(drawn, decisions=(*drawn.decisions[:k], replace(d, domain=replace(d.domain, components=grown)), *drawn.decisions[k + 1 :]))
    before, after = Space(drawn), Space(wider)
    if after.count > 20_000:
        return
    kept = [v for v in map(after.values, range(after.count)) if not any("zz" in str(x) for x in v)]
    assert kept == [before.values(i) for i in range(before.count)]


def test_a_value_out_of_its_node_is_foreign() -> None:
    tree = node(some("set", "a", "b", "c", most=2), "hole", Decisions)
    for text in ("set(a, a)", "set(a, b, c)", "bag(a)", "set", "set(d)", "a", "set[0>1](a)", "set(a(b))"):
        with pytest.raises(Foreign):
            tree.rank(Value.parse(text))
    cells = node(some("dag", "a", least=2, most=4, edges=4), "hole", Decisions)
    for text in ("dag[0>1](a)", "dag[0>1 1>0]", "dag[0>1 0>1]", "dag[0>1 0>2 0>3 1>2 2>3](a, a)", "dag(a)", "dag[0>9](a)"):
        with pytest.raises(Foreign):
            cells.rank(Value.parse(text))


def test_a_decision_over_several_holes_may_be_called_like_the_first() -> None:
    d = Decision("f", "hole", some("bag", "a", "b", "c", least=2, most=2), ("f", "g"), names=("f", "g"))
    found = space(d)
    assert [found.index(found.choices(i)) for i in range(6)] == list(range(6))
    assert [found.choices(i) for i in (0, 1)] == [{"f": "a", "g": "a"}, {"f": "a", "g": "b"}]
    assert found.where(is_("g", "b")).count == 2
    assert found.within(0, 1).count == 1


def test_shared_holes_are_one_decision_under_either_name() -> None:
    d = Decision("f", "hole", one("a", "b"), ("f", "g"))
    found = space(d)
    assert found.choices(1) == {"f": "b"}
    assert found.index({"g": "b"}) == 1
    assert found.where(is_("g", "b")).count == 1
