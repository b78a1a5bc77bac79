"""Counting, ranking and sampling: exact, without building, and without repetition."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from space_texts import LAYER, space

from anatomy.api import space as load
from anatomy.errors import AnatomyError
from anatomy.spaces import Permutation, Space


@pytest.fixture(scope="module")
def scores() -> Space:
    return load("zoo:spaces/scores")


def test_the_count_is_the_number_of_enumerated_members(scores: Space) -> None:
    names = [list(options) for options in scores.options.values()]
    expected = [dict(zip(scores.options, pick, strict=True)) for pick in product(*names)]
    assert len(scores) == scores.count == len(expected) >= 100
    assert [scores.choices(i) for i in range(len(scores))] == expected  # lexicographic, the last hole fastest


def test_rank_and_unrank_are_inverse(scores: Space) -> None:
    assert [scores.index(scores.choices(i)) for i in range(len(scores))] == list(range(len(scores)))


def test_members_carry_their_rank_and_negative_ranks_count_from_the_end(scores: Space) -> None:
    assert scores[-1].index == len(scores) - 1
    assert scores[-1].choices == scores.choices(len(scores) - 1)
    with pytest.raises(IndexError, match="counted from 0"):
        scores[len(scores)]


def test_counting_builds_nothing_and_has_no_limit() -> None:
    holes = "\n".join(f"  hole h{k}(x: [n]) -> [n]" for k in range(80))
    chain = "  y0 = h0(x)\n" + "\n".join(f"  y{k} = h{k}(y{k - 1})" for k in range(1, 80))
    text = f"axis n\ndiagram long(x: [n]) -> [n] {{\n{holes}\n{chain}\n  out y79\n}}\n"
    text += "diagram one(x: [n]) -> [n] { out exp(x) }\ndiagram two(x: [n]) -> [n] { out tanh(x) }\n"
    text += "space big of long {\n" + "\n".join(f"  choose h{k} in {{ one, two }}" for k in range(80)) + "\n}"
    found = space(text, "big")
    assert found.count == 2**80
    assert found.index(found.choices(2**79 + 12345)) == 2**79 + 12345
    assert len({m.index for m in found.sample(50, seed=3)}) == 50
    with pytest.raises(AnatomyError, match="E607"):
        found.funnel()


def test_samples_do_not_repeat_and_grow_at_the_end(scores: Space) -> None:
    sample = [m.index for m in scores.sample(100, seed=5)]
    assert len(set(sample)) == 100
    assert [m.index for m in scores.sample(30, seed=5)] == sample[:30]
    assert [m.index for m in scores.sample(100, seed=6)] != sample
    assert sorted(m.index for m in scores.sample(10_000)) == list(range(len(scores)))


@given(st.integers(1, 3000), st.text(max_size=4))
def test_the_permutation_is_one(count: int, key: str) -> None:
    order = Permutation(count, key)
    assert sorted(order[i] for i in range(count)) == list(range(count))


def test_unknown_holes_and_options_are_named(scores: Space) -> None:
    with pytest.raises(AnatomyError, match="E603"):
        scores.index({"scor": "cosine"})
    with pytest.raises(AnatomyError, match="E605"):
        scores.index({"score": "cosine"})
    with pytest.raises(AnatomyError, match="E203"):
        scores.index({**scores.choices(0), "score": "cosin"})


def test_the_digest_is_that_of_the_enumeration() -> None:
    assert space().digest == space("# a comment\n" + LAYER).digest
    assert space().digest != space(LAYER.replace("{ dots, cosine, additive }", "{ cosine, dots, additive }")).digest
    assert space().digest != space(LAYER.replace("eps=1e-6](x)", "eps=1e-5](x)")).digest
