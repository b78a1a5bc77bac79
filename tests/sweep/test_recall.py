"""The recall task: every batch can be made by any worker, and every target is the answer."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from anatomy.errors import AnatomyError
from anatomy.sweep.task import identity, load_task
from zoo.tasks.recall import Recall

TASK = Recall()


@pytest.mark.parametrize("task", [TASK, Recall(pairs=8, length=64, vocabulary=128), Recall(pairs=1, length=4, vocabulary=4)])
def test_targets_are_the_values_of_the_keys(task: Recall) -> None:
    tokens, targets = task.draw("train", 3, 7)
    assert tokens.shape == targets.shape == (task.batch, task.length)
    for row, asked in zip(tokens, targets, strict=True):
        shown = {int(row[2 * k]): int(row[2 * k + 1]) for k in range(task.pairs)}
        assert len(shown) == len(set(shown.values())) == task.pairs  # keys of a row differ, and so do values
        assert all(1 <= key < task.vocabulary // 2 <= value < task.vocabulary for key, value in shown.items())
        places = np.flatnonzero(asked >= 0)
        assert sorted(int(row[p]) for p in places) == sorted(shown)  # every key is asked for once, after all pairs
        assert places.min() >= 2 * task.pairs
        assert all(asked[p] == shown[int(row[p])] for p in places)
        blank = np.setdiff1d(np.arange(2 * task.pairs, task.length), places)
        assert (row[blank] == 0).all()


def test_published_rows_ask_soon_and_are_filled_at_random() -> None:
    task = Recall(vocabulary=8192, length=64, batch=512, power=0.01, filler="random")
    tokens, targets = task.draw("train", 0, 0)
    gaps = (np.nonzero(targets >= 0)[1] - 2 * task.pairs) // 2
    space = (task.length - 2 * task.pairs) // 2
    weights = np.arange(1, space + 1) ** -0.99
    # Without replacement the first gap is taken more often than with; it is not asked in every row.
    assert weights[0] / weights.sum() < (gaps == 0).sum() / task.batch < 1
    assert (gaps == 0).sum() > 4 * (gaps == space // 2).sum()
    assert len(np.unique(tokens[:, 2 * task.pairs :])) > 6000


def test_the_last_form_asks_once_at_the_end() -> None:
    tokens, targets = replace(TASK, last=True).draw("train", 0, 0)
    assert (targets[:, :-1] == -1).all()
    for row, answer in zip(tokens, targets[:, -1], strict=True):
        assert dict(zip(row[0:8:2], row[1:8:2], strict=True))[row[-1]] == answer


def test_batches_are_streamed_by_data_use_seed_and_step() -> None:
    first = TASK.draw("train", 0, 5)[0]
    assert np.array_equal(first, Recall().draw("train", 0, 5)[0])
    assert np.array_equal(first, replace(TASK, rate=1e-3, depth=4, feedforward="swiglu").draw("train", 0, 5)[0])  # one test for all backbones
    others = [TASK.draw("train", 0, 6), TASK.draw("train", 1, 5), TASK.draw("choose", 0, 5), TASK.draw("report", 0, 5), replace(TASK, power=0.5).draw("train", 0, 5)]
    assert all(not np.array_equal(first, other[0]) for other in others)
    assert np.array_equal(TASK.draw("report", 0, 5)[0], TASK.draw("report", 1, 5)[0])  # held-out rows are the same for all seeds


def test_batches_are_the_same_in_another_process() -> None:
    code = "from zoo.tasks.recall import Recall; print(Recall().data_digest(4), int(Recall().draw('train', 4, 9)[0].sum()))"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert there == [TASK.data_digest(4), str(int(TASK.draw("train", 4, 9)[0].sum()))]


def test_tasks_are_found_by_name_and_take_parameters() -> None:
    assert load_task("recall") == TASK
    other = load_task("recall:pairs=8,length=64,rate=1e-3,last=true,feedforward=swiglu")
    assert other == Recall(pairs=8, length=64, rate=1e-3, last=True, feedforward="swiglu")
    assert identity(other) != identity(TASK)
    for spec in ("recal", "recall:pears=8", "recall:pairs=many", "recall:pairs=40", "recall:last=perhaps", "recall:depth=0"):
        with pytest.raises(AnatomyError, match="E801"):
            load_task(spec)
