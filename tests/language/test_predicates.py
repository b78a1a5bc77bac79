"""Causal predicates against brute force over positions; weights and calls share one name space of paths."""

from __future__ import annotations

import pytest

import anatomy
from anatomy.errors import Source
from anatomy.language.program import Program


def codes(predicate: str) -> list[str]:
    text = f"axis n, m = n\ndiagram f(s: [n, m]) -> [n, m] {{ out causal[{predicate}](s) }}"
    return [d.code for d in Program.of(Source("f.anat", text)).check()]


def holds_only_in_the_past(predicate: str) -> bool:
    """Whether, on 12 positions, every pair that it allows has m <= n, or every pair has n <= m."""
    pairs = [(n, m) for n in range(12) for m in range(12) if eval(predicate, {"abs": abs}, {"n": n, "m": m})]
    return all(m <= n for n, m in pairs) or all(n <= m for n, m in pairs)


ACCEPTED = [
    "m <= n", "m < n", "n >= m", "m == n", "m < n + 1", "n > m - 1", "n - m > -1", "m - n < 0.5", "2 * m < 2 * n + 2",
    "m <= n and n - m < 3", "m <= n or m == n", "n - m >= 0", "m <= n - 2",
]  # fmt: skip
REFUSED = [
    "abs(n - m) <= 2", "m <= n + 1", "m < n + 1.5", "m <= n or m < 2", "m != n", "n - m > -2", "m <= 2 * n", "m < 5",
]  # fmt: skip


@pytest.mark.parametrize("predicate", ACCEPTED)
def test_accepted_predicates_are_causal(predicate: str) -> None:
    assert codes(predicate) == []
    assert holds_only_in_the_past(predicate)


@pytest.mark.parametrize("predicate", REFUSED)
def test_predicates_that_let_the_future_in_are_refused(predicate: str) -> None:
    assert codes(predicate) == ["E312"]
    assert not holds_only_in_the_past(predicate)


def test_a_learner_cannot_take_the_path_of_an_earlier_call() -> None:
    text = """axis d, e
diagram foo(x: [d]) -> [d] { weight bias: [d] ~ normal(1) out x * bias }
diagram f(x: [d]) -> [e] { y = foo(x) out lin foo[d -> e](y) }
"""
    (found,) = Program.of(Source("f.anat", text)).check()
    assert (found.code, found.span and found.span.line) == ("E204", 3)


def test_a_call_after_a_learner_of_its_name_gets_a_path_of_its_own() -> None:
    text = """axis d, e
diagram foo(x: [d]) -> [d] { weight bias: [d] ~ normal(1) out x * bias }
diagram f(x: [d]) -> [e] { y = lin foo[d -> e](x)[e -> d] out foo(y)[d -> e] }
""".replace("axis d, e", "axis d, e = d")
    keys = [w.key for w in anatomy.parse(text)["f"].weights]
    assert keys == ["foo", "foo.bias", "foo_2.bias"]
