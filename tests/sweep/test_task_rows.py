"""Every task's rows against a slow reading of its description."""

from itertools import pairwise
from typing import get_args

import numpy as np
import pytest

from anatomy.errors import AnatomyError
from anatomy.sweep.streamed import Streamed, Use
from anatomy.sweep.task import load_task

NAMES = ["recall", "induction", "copying", "in_context", "noisy", "fuzzy", "memorisation", "compression", "hops"]
PUBLISHED = [
    "recall:vocabulary=8192,length=64,pairs=4,filler=random,power=0.01", "recall:vocabulary=8192,length=512,pairs=64,filler=random,power=0.01",
    "induction:length=256", "copying:length=256,copied=16", "in_context:length=128", "noisy:length=128", "fuzzy:length=128",
    "memorisation:vocabulary=255", "compression", "hops:length=99",
]  # fmt: skip
"""The sizes of README.md, with batches as small as a test needs."""


def rows(spec: str) -> tuple[Streamed, np.ndarray, np.ndarray]:
    task = load_task(spec)
    assert isinstance(task, Streamed)
    return task, *task.draw("train", 0, 0)


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_of_the_vocabulary_and_ask_something(name: str) -> None:
    task, tokens, targets = rows(name)
    assert task.name == name or name == "noisy"
    assert tokens.shape == targets.shape == (task.batch, task.length)
    assert tokens.dtype == targets.dtype == np.int64
    assert 0 <= tokens.min() <= tokens.max() < task.vocabulary
    assert -1 <= targets.min() <= targets.max() < task.vocabulary
    assert ((targets >= 0).sum(1) > 0).all() or name == "hops"


@pytest.mark.parametrize("name", ["recall", "induction", "copying", "memorisation", "compression"])
def test_rows_that_do_not_reveal_their_answers_do_not(name: str) -> None:
    """An answer that could be copied from behind its question would let mixers cheat that read later tokens."""
    task, tokens, targets = rows(f"{name}:vocabulary=60" if name != "memorisation" else name)
    assert not task.revealing
    if name == "compression":  # all of it stands in the row, and must pass through the last token's vector
        return
    for row, asked in zip(tokens, targets, strict=True):
        for place in np.flatnonzero(asked >= 0):
            later = row[place + 1 :]
            # Only what is asked again or filler stands behind: never the answer, unless by being one of the questions.
            assert asked[place] not in later


def test_induction() -> None:
    _, tokens, targets = rows("induction")
    for row, asked in zip(tokens, targets, strict=True):
        (first, last) = np.flatnonzero(row == 0)
        assert last == len(row) - 1
        assert first < len(row) - 2
        assert (asked[:-1] == -1).all()
        assert asked[-1] == row[first + 1]


def test_copying() -> None:
    task, tokens, targets = rows("copying:copied=5,length=20")
    for row, asked in zip(tokens, targets, strict=True):
        mark = list(row).index(1)
        words = [w for w in row[:mark] if w > 1]
        assert len(words) == 5
        assert list(asked[mark + 1 :]) == words
        assert (row[mark + 1 :] == 0).all()
        assert (asked[: mark + 1] == -1).all()
    places = np.nonzero(tokens[:, :14] > 1)[1]
    assert set(places) == set(range(14))  # words stand anywhere in the front
    assert task.chance == 1 / 14


@pytest.mark.parametrize("spec", ["in_context", "in_context:length=63,last=true", "noisy", "noisy:length=63,last=true"])
def test_in_context_recall(spec: str) -> None:
    task, tokens, targets = rows(spec)
    words = task.vocabulary - task.noises  # type: ignore[attr-defined]
    half = words // 2
    asked_at_all = 0
    for row, asked in zip(tokens, targets, strict=True):
        known: dict[int, int] = {}
        for place in range(0, len(row), 2):
            key = int(row[place])
            value = int(row[place + 1]) if place + 1 < len(row) else int(asked[place])
            if key >= words:
                assert asked[place] == -1
                continue
            assert key < half <= value < words
            wanted = known.get(key, -1) if not task.last or place == len(row) - 1 else -1
            assert asked[place] == wanted
            asked_at_all += wanted >= 0
            assert known.setdefault(key, value) == value
        assert (asked[1::2] == -1).all()
    assert asked_at_all >= task.batch
    if spec == "noisy":
        assert 0.1 < (tokens[:, ::2] >= words).mean() < 0.3


def test_memorisation_has_one_dictionary_for_all_uses() -> None:
    task = load_task("memorisation")
    meaning: dict[int, int] = {}
    for use in ("train", "choose", "report"):
        tokens, targets = task.draw(use, 0, 0)  # type: ignore[attr-defined]
        assert (tokens[:, 1::2] == 0).all()
        for key, value in zip(tokens[:, ::2].ravel(), targets[:, 1::2].ravel(), strict=True):
            assert meaning.setdefault(int(key), int(value)) == value
    assert len(set(meaning.values())) == len(meaning) > 60
    other = load_task("memorisation:dictionary=1")
    tokens, targets = other.draw("train", 0, 0)  # type: ignore[attr-defined]
    assert any(meaning[int(k)] != v for k, v in zip(tokens[:, ::2].ravel(), targets[:, 1::2].ravel(), strict=True))


def test_compression_asks_for_the_row() -> None:
    task, tokens, targets = rows("compression")
    assert (tokens[:, -1] == task.vocabulary - 1).all()
    assert np.array_equal(tokens[:, :-1], targets[:, :-1])
    assert (targets[:, -1] == -1).all()
    assert task.readout == "last"
    assert not task.causal


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_hops(hops: int) -> None:
    _, tokens, targets = rows(f"hops:hops={hops},length=20")

    def find(row: np.ndarray, i: int) -> int | None:
        return next((j for j in range(i, 0, -1) if row[j - 1] == row[i]), None)

    for row, asked in zip(tokens[:16], targets[:16], strict=True):
        assert (row[1:] != row[:-1]).all()
        for i in range(len(row)):
            at: int | None = i
            for _ in range(hops):
                at = find(row, at) if at is not None else None
            assert asked[i] == (-1 if at is None else row[at])


@pytest.mark.parametrize("spec", ["fuzzy", "fuzzy:length=128", "fuzzy:last=true", "fuzzy:motif=1,pairs=5", "fuzzy:vocabulary=7,pairs=3"])
def test_fuzzy_recall(spec: str) -> None:
    task, tokens, targets = rows(spec)
    most, words = task.motif, (task.vocabulary - 1) // 2  # type: ignore[attr-defined]
    lengths: set[int] = set()
    for row, asked in zip(tokens, targets, strict=True):
        told = [int(w) for w in row if w]
        blanks = len(row) - len(told)
        assert (row[:blanks] == 0).all()
        assert not blanks or task.last
        # Where a word of a key follows one of a value, a pair begins; the last pair of a row may be cut.
        starts = [0, *(k for k in range(1, len(told)) if told[k] <= words < told[k - 1]), len(told)]
        wanted = dict.fromkeys(range(len(told)), -1)
        known: dict[tuple[int, ...], tuple[int, ...]] = {}
        for place, end in pairwise(starts):
            key = tuple(w for w in told[place:end] if w <= words)
            value = tuple(told[place + len(key) : end])
            assert len(set(key)) == len(key) <= most
            assert len(set(value)) == len(value) <= most
            if key in known:
                assert known[key][: len(value)] == value
                for k, word in enumerate(known[key][: len(value) + (end == len(told))]):
                    wanted[place + len(key) - 1 + k] = word
            elif end < len(told):
                known[key] = value
        lengths |= {len(key) for key in known}
        assert len(known) <= task.pairs  # type: ignore[attr-defined]
        if task.last:
            assert asked[-1] == wanted[len(told) - 1] > 0
            assert (asked[:-1] == -1).all()
        else:  # the key of the last pair may go on behind the row, and then is another
            until = starts[-2] if told[-1] <= words else len(told)
            assert list(asked[:until]) == [wanted[k] for k in range(until)]
    assert lengths == set(range(1, most + 1))


@pytest.mark.parametrize("name", NAMES)
def test_no_row_is_used_twice(name: str) -> None:
    """Streams are disjoint: in forty batches of each use no row comes again, but for memorisation, whose dictionary is one by design."""
    task = load_task(name)
    assert isinstance(task, Streamed)
    seen: dict[bytes, tuple[str, int, int]] = {}
    for use in get_args(Use):
        for step in range(40):
            for k, row in enumerate(task.draw(use, 0, step)[0]):
                assert seen.setdefault(row.tobytes(), (use, step, k)) == (use, step, k)


@pytest.mark.parametrize("spec", PUBLISHED)
def test_published_sizes_are_options(spec: str) -> None:
    task, tokens, targets = rows(f"{spec}{',' if ':' in spec else ':'}batch=4")
    assert tokens.shape == (4, task.length)
    assert ((targets >= 0).sum(1) > 0).all()
    assert 0 <= tokens.min() <= max(tokens.max(), targets.max()) < task.vocabulary


@pytest.mark.slow
@pytest.mark.parametrize("spec", PUBLISHED)
def test_published_sizes_train(spec: str) -> None:
    from anatomy.api import load
    from anatomy.sweep.mixer import Mixer

    task = load_task(f"{spec}{',' if ':' in spec else ':'}batch=4,rates=1")
    found = task.train(Mixer(load("zoo:spaces/controls::baseline"), {}, task.length, task.width, 0), 0, 5)
    assert (found["steps"], found["diverged"]) == (5, False)
    assert 0 < found["loss"] < 20


def test_rows_are_those_of_earlier_versions() -> None:
    """The same rows today as in results that are kept: a change here makes them stale."""
    found = {spec: load_task(spec).data_digest(5) for spec in ("recall", "recall:last=true", "induction", "copying", "in_context", "noisy", "memorisation", "compression", "hops")}
    assert found == {
        "recall": "55760d78a9eda965", "recall:last=true": "b5d09ade36ef5ba9", "induction": "c52b392bdf3a7dfb", "copying": "00e0a8b5dd8c4e49",
        "in_context": "0b1ec68294615b99", "noisy": "2684e1b247b54733", "memorisation": "59c79cf8cbe90b1a",
        "compression": "1f09e467e3eefd13", "hops": "4277395be18f716f",
    }  # fmt: skip


@pytest.mark.parametrize(
    "spec",
    ["hops:vocabulary=2", "in_context:length=63", "noisy:noise=0.2,noises=0", "copying:copied=40", "induction:rates=0", "compression:last=true",
     "fuzzy:pairs=6", "fuzzy:motif=8", "fuzzy:length=30", "fuzzy:motif=0"],
)  # fmt: skip
def test_what_cannot_be_is_refused(spec: str) -> None:
    with pytest.raises(AnatomyError, match="E801"):
        load_task(spec).data_digest(0)
