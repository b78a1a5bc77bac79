"""Every task's rows against a slow reading of its description."""

from pathlib import Path

import numpy as np
import pytest

from anatomy.errors import AnatomyError
from anatomy.sweep.streamed import Streamed
from anatomy.sweep.task import load_task

NAMES = ["recall", "induction", "copying", "in_context", "noisy", "memorisation", "compression", "hops"]


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


def test_characters_read_a_text_in_three_parts(tmp_path: Path) -> None:
    text = "".join(chr(97 + (k * k + k // 7) % 26) for k in range(4000)) + "é\n"
    file = tmp_path / "a.txt"
    file.write_text(text, "utf-8")
    task = load_task(f"characters:text={file}")
    assert isinstance(task, Streamed)
    corpus = task.corpus  # type: ignore[attr-defined]
    assert task.vocabulary == len(set(text))
    letters = "".join("".join(corpus.words[k] for k in corpus.parts[use]) for use in ("train", "choose", "report"))
    assert letters == text
    tokens, targets = task.draw("report", 0, 3)
    assert np.array_equal(tokens[:, 1:], targets[:, :-1])
    held = "".join(corpus.words[k] for k in corpus.parts["report"])
    assert all("".join(corpus.words[k] for k in row) in held for row in tokens)
    assert task.causal
    assert not load_task(f"characters:text={file},last=true").causal
    moved = tmp_path / "b.txt"
    moved.write_text(text, "utf-8")
    assert load_task(f"characters:text={moved}").data_digest(0) == task.data_digest(0)  # the text counts, not where it lies


def test_words_understand_the_treebank_format(tmp_path: Path) -> None:
    for part, text in (("train", " the cat <unk> sat \n\n the mat \n" * 30), ("valid", " the dog sat \n" * 20), ("test", " a cat \n" * 20)):
        (tmp_path / f"ptb.{part}.txt").write_text(text)
    task = load_task(f"words:text={tmp_path},length=5")
    corpus = task.corpus  # type: ignore[attr-defined]
    assert set(corpus.words) == {"the", "<eos>", "cat", "<unk>", "sat", "mat"}
    assert [corpus.words[k] for k in corpus.parts["train"][:8]] == ["the", "cat", "<unk>", "sat", "<eos>", "the", "mat", "<eos>"]
    assert [corpus.words[k] for k in corpus.parts["choose"][:4]] == ["the", "<unk>", "sat", "<eos>"]  # `dog` is not known
    few = load_task(f"words:text={tmp_path},length=5,vocabulary=3").corpus  # type: ignore[attr-defined]
    assert len(few.words) == 3
    assert "<unk>" in few.words


@pytest.mark.parametrize(
    "spec",
    ["characters:text=/nowhere", "words:text={0}", "characters:text={0}/short.txt", "characters:text={0}/bytes", "characters:length=1", "hops:vocabulary=2",
     "in_context:length=63", "noisy:noise=0.2,noises=0", "copying:copied=40", "induction:rates=0"],
)  # fmt: skip
def test_what_cannot_be_is_refused(spec: str, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("short")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00" * 100)
    with pytest.raises(AnatomyError, match="E801"):
        load_task(spec.format(tmp_path)).data_digest(0)
