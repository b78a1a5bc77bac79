"""Masks of positions as formulas: what they say in text and negated, how far they reach, and attention in the blocks that this gives."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch.nn import functional

from anatomy.compiler.passes import reach as reaching
from anatomy.compiler.passes.formula import (
    Every,
    Formula,
    Greater,
    Linear,
    Some,
    at_least_0,
    both,
    code,
    either,
    equals_0,
    floored,
    holds,
    opposite,
)
from anatomy.compiler.passes.reach import APART, Reach, boxes, reach
from anatomy.compiler.runtime import FUNCTIONS

torch.set_num_threads(1)
ENOUGH = "m <= 2 * few + 64"
"""Where the generated code takes the whole mask."""
ROW, KEY = Linear.at("i"), Linear.at("j")


def number(n: int) -> Linear:
    return Linear.of(n)


def size(x: Linear) -> Linear:
    return Linear.at(Greater(x, -x))


CAUSAL = at_least_0(ROW - KEY)
TEXTS = {
    "(j <= i) & (i - j < 128)": (both(CAUSAL, opposite(at_least_0(ROW - KEY - number(128)))), Reach(64, 128, 0)),
    "(i - j < 6) & (j - i < 6)": (at_least_0(number(5) - size(ROW - KEY)), Reach(32, 11, 5)),
    "((i - j) % 4 == 0) & (i - j < 257) & (j - i < 257)": (
        both(equals_0(floored(ROW - KEY, 4) - (ROW - KEY) * Fraction(1, 4)), at_least_0(number(64) - size(ROW - KEY) * Fraction(1, 4))), Reach(64, 64, 64, 4),
    ),
    "i // 128 == j // 128": (equals_0(floored(ROW, 128) - floored(KEY, 128)), Reach(128, 0, 0)),
    "(j // 128 <= i // 128) & (i // 128 - j // 128 < 2)": (
        both(at_least_0(floored(ROW, 128) - floored(KEY, 128)), at_least_0(number(1) + floored(KEY, 128) - floored(ROW, 128))), Reach(128, 128, 0),
    ),
    "(j <= i) & ((j % 64 >= 56) | (i // 64 == j // 64))": (
        both(CAUSAL, either(at_least_0(KEY - floored(KEY, 64) * 64 - number(56)), equals_0(floored(ROW, 64) - floored(KEY, 64)))),
        Reach(64, 0, 0, columns=(64, 56, 64)),
    ),
    "(j <= i) & ((i - j < 128) | (j < 4))": (both(CAUSAL, either(at_least_0(number(127) - ROW + KEY), at_least_0(number(3) - KEY))), Reach(64, 128, 0, first=4)),
    "((i - j < 9) & (j - i < 9)) | (i < 2)": (either(at_least_0(number(8) - size(ROW - KEY)), at_least_0(number(1) - ROW)), Reach(32, 8, 8, rows=2)),
    "(i - j < 128) | (j < 4)": (either(at_least_0(number(127) - ROW + KEY), at_least_0(number(3) - KEY)), None),
    "j <= i": (CAUSAL, None),
}  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_text_and_reach(text: str) -> None:
    formula, near = TEXTS[text]
    assert code(formula) == text
    assert reach(formula) == near


def grown(rng: random.Random, depth: int) -> Formula:
    """A mask of the grammar."""
    if depth and rng.random() < 0.7:
        parts = [grown(rng, depth - 1) for _ in range(rng.choice((1, 2, 2, 3)))]
        return opposite(parts[0]) if len(parts) == 1 else rng.choice((both, either))(*parts)
    apart = rng.choice((ROW - KEY, KEY - ROW, ROW - KEY, KEY, ROW, ROW * 2 - KEY, ROW + KEY))
    c = number(rng.randrange(-3, 9))
    p = rng.choice((2, 3, 4))
    x = rng.choice((
        apart, apart, apart, Linear.at(Greater(apart, -apart)), floored(apart, p), floored(ROW, p) - floored(KEY, p), floored(ROW + number(1), p) - floored(KEY, p),
        apart - floored(apart, p) * p, floored(Linear.at(Greater(apart, -apart)), p), Linear.at(Greater(ROW, KEY * 2)) - KEY, apart * Fraction(1, p),
    ))  # fmt: skip
    return rng.choice((at_least_0(x - c), at_least_0(c - x), equals_0(x - c)))


PLACES = [(i, j) for i in range(17) for j in range(17)]


def checked(formula: Formula) -> None:
    """A formula says the same in text and negated, and its boxes hold all that it does."""
    i, j = torch.tensor(PLACES).unbind(-1)
    truth = [holds(formula, {"i": a, "j": b}) for a, b in PLACES]
    if formula not in (Every(), Some()):
        text = eval(f"lambda i, j: {code(formula)}")(i, j)
        assert text.tolist() == truth
    assert [holds(opposite(formula), {"i": a, "j": b}) for a, b in PLACES] == [not t for t in truth]
    found = boxes(formula)
    for (a, b), true in zip(PLACES, truth, strict=True):
        inside = any(
            box.apart[0] <= a - b <= box.apart[1] and box.row[0] <= a <= box.row[1] and box.key[0] <= b <= box.key[1]
            and box.blocks[0] <= a // box.size - b // box.size <= box.blocks[1] and box.rest[0] <= b % box.period <= box.rest[1]
            and (a - b) % box.divisor == 0
            for box in found
        )  # fmt: skip
        assert inside or not true


def blocked(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a formula give the same attention."""
    for name, most in (("BLOCK", 4), ("SMALL", 3), ("WIDTH", 2)):
        monkeypatch.setattr(reaching, name, most)
    assert ENOUGH in FUNCTIONS["places"]
    monkeypatch.setitem(FUNCTIONS, "places", FUNCTIONS["places"].replace(ENOUGH, "False"))
    rng = random.Random(seed)
    formula = grown(rng, 3)
    if rng.random() < 0.7:
        back, ahead = Linear.of(rng.randrange(5)) - APART, APART + Linear.of(rng.randrange(3))
        formula = both(formula, at_least_0(back), at_least_0(ahead))
    checked(formula)
    near = reach(formula)
    if near is None:
        return
    space: dict[str, Any] = {"torch": torch, "F": functional}
    exec(FUNCTIONS["places"] + FUNCTIONS["window"], space)
    seen = eval(f"lambda i, j: {code(formula)}")
    g = torch.Generator().manual_seed(seed)
    for n in (1, 5, 17):
        places, mask, head = space["_places"](n, n, seen, near.block, near.before, near.after, near.step, near.first, near.columns, near.rows)
        q, k, v = (torch.randn(1, 2, n, 3, dtype=torch.float64, generator=g) for _ in range(3))
        apart = near.first or near.columns or near.step > 1
        told = {"places": places} if apart else {"before": near.before}
        ours = space["_window"](q, k, v, mask, 1.0, step=near.step, head=head if near.rows else None, **told)
        truth = torch.tensor([[holds(formula, {"i": a, "j": b}) for b in range(n)] for a in range(n)])
        want = functional.scaled_dot_product_attention(q, k, v, attn_mask=truth, scale=1.0)
        torch.testing.assert_close(ours, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(60))
def test_random_masks(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked(seed, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60, 2060))
def test_two_thousand_random_masks(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked(seed, monkeypatch)
