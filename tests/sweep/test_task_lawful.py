"""Mixers that read later tokens are let in only where it helps them nothing: what the rows of a task tell, and to whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anatomy.api import load
from anatomy.compiler import build
from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from anatomy.sweep.backbone import model
from anatomy.sweep.check import examine
from anatomy.sweep.engine import verdict
from anatomy.sweep.job import job
from anatomy.sweep.mixer import Mixer
from anatomy.sweep.streamed import Streamed
from anatomy.sweep.task import load_task

REVEALING = ["in_context", "noisy", "fuzzy", "characters", "words"]
HIDING = ["recall", "recall:filler=random", "induction", "copying", "memorisation", "hops", "hops:hops=1"]
PEEKING = "axis n, d diagram peek(x: [n, d]) -> [n, d] { out shift[n](x, -1) }"
Row = list[int]


def rows(task: Streamed, batches: int) -> tuple[np.ndarray, np.ndarray]:
    drawn = [task.draw("train", 0, step) for step in range(batches)]
    return np.concatenate([t for t, _ in drawn]), np.concatenate([a for _, a in drawn])


@pytest.fixture
def named(tmp_path: Path) -> Callable[..., Streamed]:
    text = tmp_path / "a.txt"
    text.write_text("".join(f"{'abcdefgh'[k * k % 8]} {'xyzuvw'[k // 3 % 6]}\n" for k in range(3000)))

    def task(name: str, **more: Any) -> Streamed:
        found = load_task(f"{name}:text={text}" if name in ("characters", "words") else name)
        assert isinstance(found, Streamed)
        return replace(found, **more)

    return task


def peek() -> Diagram:
    """A cheat: it passes every token the next one."""
    return Program.of(Source("t.anat", PEEKING)).get("peek")


def admitted(spec: str) -> bool:
    task = load_task(spec)
    diagram = peek()
    item = job("train", "peek", diagram, {}, "", spec, task.digest(), "", 1, 0)
    return verdict(examine(diagram, task.length, task.width, {}, 0), item) == ""


@pytest.mark.parametrize("name", REVEALING)
def test_where_copying_the_next_token_answers_everything_who_copies_is_rejected(name: str, named: Callable[..., Streamed]) -> None:
    task = named(name)
    tokens, targets = rows(task, 4)
    asked = targets[:, :-1] >= 0  # what stands behind the row is not in it
    assert (tokens[:, 1:][asked] == targets[:, :-1][asked]).all()  # the cheat's score is 1
    assert task.causal
    text = f":text={task.text}" if hasattr(task, "text") else ""
    assert not admitted(f"{name}{text}")
    length = task.length - (name in ("in_context", "noisy"))
    last = named(name, last=True, length=length)
    assert not last.causal
    assert (rows(last, 4)[1][:, :-1] == -1).all()  # nothing stands behind what is asked
    assert admitted(f"{name}{text}{',' if text else ':'}last=true,length={length}")


def recall(row: Row) -> int:
    return row[row.index(row[-1]) + 1]


def induction(row: Row) -> int:
    return row[row.index(0) + 1]


def copying(row: Row) -> int:
    mark = row.index(1)
    return [w for w in row[:mark] if w > 1][len(row) - mark - 2]


def hops(count: int) -> Callable[[Row], int]:
    def answer(row: Row) -> int:
        at = len(row) - 1
        for _ in range(count):
            at = max(j for j in range(at) if row[j] == row[at]) + 1
        return row[at]

    return answer


def memorisation(row: Row) -> int:
    meaning = np.random.Generator(np.random.Philox(key=0)).permutation(64)
    return int(meaning[row[-2] - 1]) + 65


def following(row: Row) -> int:
    """A dictionary of every row: what stood behind the word when it was last a key."""
    at = max(j for j in range(0, len(row) - 1, 2) if row[j] == row[-1])
    return row[at + 1]


SOLVERS: dict[str, Callable[[Row], int]] = {
    "recall": recall, "recall:filler=random": recall, "induction": induction, "copying": copying, "hops": hops(2), "hops:hops=1": hops(1),
    "memorisation": memorisation, "in_context": following, "noisy": following,
}  # fmt: skip


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("last", [False, True])
def test_what_stands_before_a_question_answers_it(name: str, last: bool) -> None:
    """Whoever reads the past alone can score 1, so that nothing is left to gain from the future."""
    odd = last and name in ("in_context", "noisy")
    task = load_task(f"{name}{',' if ':' in name else ':'}last={str(last).lower()}{',length=63' if odd else ''}")
    assert isinstance(task, Streamed)
    tokens, targets = rows(task, 1)
    asked = np.argwhere(targets >= 0)
    assert len(asked) > 0
    for row, place in asked[:400]:
        assert SOLVERS[name](tokens[row, : place + 1].tolist()) == targets[row, place]


@pytest.mark.parametrize("name", HIDING)
def test_the_future_does_not_tell_the_answer(name: str) -> None:
    """A later word is the answer as often as it is the answer of another row with the same word at the question: it tells nothing of it."""
    task = load_task(name)
    assert isinstance(task, Streamed)
    assert not task.causal
    tokens, targets = rows(task, 60)
    rng = np.random.default_rng(0)
    for ahead in (1, 2, 3, 5, 8):
        told = mixed = trials = 0
        for place in range(task.length - ahead):
            asked = np.flatnonzero(targets[:, place] >= 0)
            later = tokens[asked, place + ahead]
            for word in np.unique(tokens[asked, place]):
                here = np.flatnonzero(tokens[asked, place] == word)
                wanted = targets[asked[here], place]
                told += int((later[here] == wanted).sum())
                mixed += int((later[here] == rng.permutation(wanted)).sum())
                trials += len(here)
        share = max(told, mixed, 1) / max(trials, 1)
        assert abs(told - mixed) <= 5 * np.sqrt(2 * trials * share * (1 - share)) + 5


def test_compression_has_no_future() -> None:
    task = load_task("compression")
    assert isinstance(task, Streamed)
    assert task.readout == "last"  # all is told from the vector of the last token, which has nothing behind it
    assert not task.causal
    assert admitted("compression")


@pytest.mark.parametrize("readout", ["each", "last"])
@pytest.mark.parametrize("factors", [{}, {"place": "sinusoidal", "norm": "rms", "convolution": "direct", "feedforward": "swiglu"}, {"feedforward": "gelu_mlp", "norm": "scaled"}])  # fmt: skip
def test_the_backbone_itself_reads_no_later_token(factors: dict[str, str], readout: str) -> None:
    """Around a causal mixer no logit changes with later tokens; around one that peeks they do."""
    task = load_task("recall")
    assert isinstance(task, Streamed)
    sizes = {"n": 12, "d": 16, "v": 20}
    tokens = torch.randint(0, 20, (1, 12), generator=torch.Generator().manual_seed(0))
    other = tokens.clone()
    other[:, 7:] = (other[:, 7:] + 3) % 20
    for diagram, leaks in ((load("zoo:spaces/controls::baseline"), False), (peek(), True)):
        mixer = Mixer(diagram, {}, 12, 16, 0)
        net = build(model(mixer, replace(task, **factors), readout), sizes, ("b",), 0, torch.float64)
        moved = (net(tokens) - net(other)).abs().amax(-1)[0]
        if readout == "last":
            assert (moved > 0).all()
        else:
            assert bool((moved[:7] > 1e-12).any()) is leaks
            assert (moved[7:] > 0).any()
