"""What every sweep rests on: attention beats the mean of the past, and that beats no mixing; a published recipe gives what it gives.

The slow tests of language read the text that the environment names, `ANATOMY_TEXT=tinyshakespeare.txt make test-slow`.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anatomy.api import load
from anatomy.sweep.mixer import Mixer
from anatomy.sweep.task import load_task

CONTROLS = ("baseline", "causal_average", "no_mixing")
TEXT = os.environ.get("ANATOMY_TEXT", "")
language = pytest.mark.skipif(not TEXT, reason="ANATOMY_TEXT names no text")


def trained(spec: str, target: str, seed: int = 0, **sizes: int) -> dict[str, Any]:
    task = load_task(spec)
    return task.train(Mixer(load(target), sizes, task.length, task.width, seed), seed, task.budget)


def losses(spec: str, seed: int) -> list[float]:
    return [trained(spec, f"zoo:spaces/controls::{name}", seed)["loss"] for name in CONTROLS]


@cache
def topics() -> str:
    """Lines of forty letters, out of three that each line chooses from twelve: whoever looks back knows which."""
    rng = np.random.Generator(np.random.Philox(key=0))
    return "\n".join("".join(np.array(list("abcdefghijkl"))[rng.permutation(12)[:3]][rng.integers(0, 3, 40)]) for _ in range(500))


def test_mixing_beats_no_mixing_on_a_text_of_topics(tmp_path: Path) -> None:
    (tmp_path / "topics.txt").write_text(topics())
    found = losses(f"characters:text={tmp_path}/topics.txt,length=24,batch=8,width=32,depth=1,rates=1,rate=1e-2,budget=100", 0)
    assert max(found[:2]) < found[2] - 0.1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_attention_beats_the_average_beats_nothing_on_recall(seed: int) -> None:
    best, middle, floor = (trained("recall:rates=1,budget=200", f"zoo:spaces/controls::{name}", seed)["score"] for name in CONTROLS)
    assert best > 0.9 > 0.5 > middle > 0.2 > 0.1 > floor


@language
@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_attention_beats_the_average_beats_nothing_on_characters(seed: int) -> None:
    best, middle, floor = losses(f"characters:text={TEXT},rates=1,rate=0.005,budget=600", seed)
    assert best < middle - 0.05 < floor - 0.1


@language
@pytest.mark.slow
def test_the_published_recipe_gives_the_published_loss() -> None:
    """On the whole held-out tenth, of which the report is one half and the stream `choose` the other."""
    found = trained(f"nanogpt:text={TEXT}", "zoo:causal_mha", h=4)
    assert abs((found["loss"] + found["rates"][0][2]) / 2 - 1.88) < 0.05
    assert abs(found["loss"] - 1.88) < 0.05
