"""The static checks see what a mixer does, not what it claims."""

import pytest

from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from anatomy.sweep.check import examine, header

AXES = "axis n, m = n, d, e = d\n"


def diagram(body: str, head: str = "(x: [n, d]) -> [n, d]") -> Diagram:
    return Program.of(Source("t.anat", f"{AXES}diagram t{head} {{ {body} }}")).get("t")


def attention(scores: str) -> Diagram:
    return diagram(f"z = x[n -> m] simd n, m {{ s = dot[d](x, z) }} out dot[m](softmax[m]({scores}), z)")


@pytest.mark.parametrize("scores", ["causal[m <= n](s)", "causal[m <= n and n - m < 3](s)", "mask(m < n, s)"])
def test_causal_mixers_pass(scores: str) -> None:
    found = examine(attention(scores), 16, 8, {}, 0)
    assert (found["causal"], found["reason"], found["finite"], found["alive"]) == (True, "", True, True)


@pytest.mark.parametrize("scores", ["s", "mask(m <= n + 1, s)", "mask(m <= n or m == 15, s)"])
def test_mixers_that_read_later_tokens_are_caught(scores: str) -> None:
    found = examine(attention(scores), 16, 8, {}, 0)
    assert found["causal"] is False
    assert "changes by" in found["leak"]


@pytest.mark.parametrize("key", [20, 40, 63])
def test_a_key_that_all_may_read_is_caught_wherever_it_stands(key: int) -> None:
    found = examine(attention(f"mask(m <= n or m == {key}, s)"), 64, 8, {}, 0)
    assert found["causal"] is False


def test_a_leak_through_a_normaliser_is_caught() -> None:
    # The values are masked, but the softmax runs over the whole row: the mass of the future leaks.
    body = "z = x[n -> m] simd n, m { s = dot[d](x, z) } w = softmax[m](s) out dot[m](where(m <= n, w, 0 * w), z)"
    assert examine(diagram(body), 16, 8, {}, 0)["causal"] is False


def test_a_faint_leak_is_caught() -> None:
    assert examine(diagram("out x + 0.000001 * (sum[n](x) + 0 * x)"), 16, 8, {}, 0)["causal"] is False


def test_dead_and_infinite_mixers_are_told() -> None:
    dead = examine(diagram("out 0 * x"), 16, 8, {}, 0)
    assert (dead["alive"], dead["finite"], dead["scale"]) == (False, True, 0.0)
    bad = examine(diagram("out log(0 - square(x))"), 16, 8, {}, 0)
    assert bad["finite"] is False
    assert "not finite" in bad["reason"]


@pytest.mark.parametrize(
    ("body", "head", "words"),
    [
        ("out x + y", "(x: [n, d], y: [n, d]) -> [n, d]", "one input"),
        ("out sum[d](x)", "(x: [n, d]) -> [n]", "gives what it takes"),
        ("out x", "(x: [d]) -> [d]", r"\[tokens, features\]"),
    ],
)
def test_what_is_no_mixer_is_refused_with_the_reason(body: str, head: str, words: str) -> None:
    import re

    assert re.search(words, header(diagram(body, head)) or "")
    assert examine(diagram(body, head), 16, 8, {}, 0)["reason"] != ""
