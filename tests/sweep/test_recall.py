"""The recall task: every batch can be made by any worker, and every target is the answer."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from anatomy.errors import AnatomyError
from anatomy.sweep.task import identity, load_task
from zoo.tasks.recall import HELD_OUT, Recall

TASK = Recall()


@pytest.mark.parametrize("task", [TASK, Recall(pairs=8, length=64, vocabulary=128), Recall(pairs=1, length=3, vocabulary=4)])
def test_targets_are_the_values_of_the_keys(task: Recall) -> None:
    tokens, targets = task.draw(3, 7)
    assert tokens.shape == targets.shape == (task.batch, task.length)
    for row, asked in zip(tokens, targets, strict=True):
        shown = {int(row[2 * k]): int(row[2 * k + 1]) for k in range(task.pairs)}
        assert len(shown) == task.pairs  # keys of a row differ
        assert all(1 <= key < task.vocabulary // 2 <= value < task.vocabulary for key, value in shown.items())
        places = np.flatnonzero(asked >= 0)
        assert sorted(int(row[p]) for p in places) == sorted(shown)  # every key is asked for once, after all pairs
        assert places.min() >= 2 * task.pairs
        assert all(asked[p] == shown[int(row[p])] for p in places)
        blank = np.setdiff1d(np.arange(2 * task.pairs, task.length), places)
        assert (row[blank] == 0).all()


def test_batches_are_streamed_by_task_seed_and_step() -> None:
    first = TASK.draw(0, 5)[0]
    assert np.array_equal(first, Recall().draw(0, 5)[0])
    others = [TASK.draw(0, 6), TASK.draw(1, 5), TASK.draw(0, HELD_OUT), replace(TASK, rate=1e-3).draw(0, 5)]
    assert all(not np.array_equal(first, other[0]) for other in others)


def test_batches_are_the_same_in_another_process() -> None:
    code = "from zoo.tasks.recall import Recall; print(Recall().data_digest(4), int(Recall().draw(4, 9)[0].sum()))"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert there == [TASK.data_digest(4), str(int(TASK.draw(4, 9)[0].sum()))]


def test_training_is_deterministic_and_learns_the_marginals() -> None:
    def run() -> dict[str, object]:
        return replace(TASK, batch=16).train(lambda layer: torch.nn.Identity(), seed=1, budget=6)

    first = run()
    assert first == run()
    assert (first["steps"], first["diverged"], first["trials"]) == (6, False, 16 * 16 * 4)


def test_divergence_is_a_result() -> None:
    class Explode(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * float("inf")

    found = replace(TASK, batch=4).train(lambda layer: Explode(), seed=0, budget=5)
    assert found["diverged"] is True
    assert found["steps"] == 0


def test_tasks_are_found_by_name_and_take_parameters() -> None:
    assert load_task("recall") == TASK
    other = load_task("recall:pairs=8,length=64,rate=1e-3")
    assert other == Recall(pairs=8, length=64, rate=1e-3)
    assert identity(other) != identity(TASK)
    for spec in ("recal", "recall:pears=8", "recall:pairs=many", "recall:pairs=40"):
        with pytest.raises(AnatomyError, match="E801"):
            load_task(spec)


@pytest.mark.slow
def test_softmax_beats_average_beats_none() -> None:
    from anatomy.api import compile, load

    def score(name: str, seed: int) -> float:
        mixer = load(f"zoo:spaces/controls::{name}")
        return TASK.train(lambda k: compile(mixer, {"d": 64}, ("b",), seed=17 * k + seed), seed, 200)["score"]

    for seed in (0, 1):
        assert score("baseline", seed) > 0.9 > 0.5 > score("causal_average", seed) > 0.2 > 0.1 > score("no_mixing", seed)
