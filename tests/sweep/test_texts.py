"""What tasks of language read: a file in three parts, a folder in the Penn Treebank format, and clear words about what is neither."""

from pathlib import Path

import numpy as np
import pytest

from anatomy import sweep
from anatomy.errors import AnatomyError
from anatomy.sweep.streamed import Streamed
from anatomy.sweep.task import load_task
from anatomy.sweep.text import corpus


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


def ptb(folder: Path, part: str, text: str = " a cat \n") -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"ptb.{part}.txt").write_text(text * 40)
    (folder / f"ptb.char.{part}.txt").write_text(" a _ c a t \n" * 40)  # the distribution has these as well


def test_the_folder_of_the_distribution_is_read_by_words_and_by_characters(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        ptb(tmp_path, part)
    assert set(load_task(f"words:text={tmp_path}").corpus.words) == {"a", "cat", "<eos>"}  # type: ignore[attr-defined]
    assert set(load_task(f"characters:text={tmp_path}").corpus.words) == set(" act\n")  # type: ignore[attr-defined]


def test_a_text_is_cut_between_words(tmp_path: Path) -> None:
    told = "alpha beta gamma delta epsilon zeta\n" * 37
    (tmp_path / "a.txt").write_text(told)
    corpus = load_task(f"words:text={tmp_path}/a.txt,length=5").corpus  # type: ignore[attr-defined]
    assert set(corpus.words) == {*told.split(), "<eos>"}
    assert [len(part) for part in corpus.parts.values()] == [259 - 24, 12, 12]


@pytest.mark.parametrize("name", ["characters:length=8", "words:length=8"])
def test_a_mark_of_byte_order_and_the_ends_of_lines_do_not_count(name: str, tmp_path: Path) -> None:
    told = "one two\nthree four five\n" * 50
    files = {"unix": told.encode(), "windows": told.replace("\n", "\r\n").encode("utf-8-sig"), "old": told.replace("\n", "\r").encode()}
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    assert len({load_task(f"{name},text={tmp_path}/{file}").data_digest(0) for file in files}) == 1


def test_a_line_may_be_as_long_as_it_likes(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("to be or not to be " * 40_000)
    for name in ("characters", "words"):
        task = load_task(f"{name}:text={tmp_path}/long.txt")
        assert task.draw("train", 0, 0)[0].shape == (task.batch, task.length)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no text at"), (b"", "is empty"), (b" \n\n", "is empty"), (b"aaaa" * 100, "fewer than two different"),
        (b"\xff\xfe\x00" * 100, "no text in UTF-8: byte 0"), ("caf\u00e9 noir".encode("latin1") * 100, "byte 3"), (b"abc\0" * 100, "NUL bytes"),
        (b"short text", "too short: the part for `train` has"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["characters", "words", "nanogpt"])
def test_what_is_no_text_is_told(name: str, content: bytes | None, words: str, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    if content is not None:
        file.write_bytes(content)
    if name == "words" and content == b"aaaa" * 100:
        words = "too short"
    with pytest.raises(AnatomyError, match=f"(?s)E801.*{words}"):
        load_task(f"{name}:text={file}")


def test_a_folder_that_lacks_a_part_is_told(tmp_path: Path) -> None:
    ptb(tmp_path / "a", "train")
    with pytest.raises(AnatomyError, match=r"one file `\*valid\*\.txt`, and has none"):
        load_task(f"words:text={tmp_path}/a")
    ptb(tmp_path / "a", "valid")
    ptb(tmp_path / "a", "test")
    load_task(f"words:text={tmp_path}/a")
    (tmp_path / "a" / "test2.txt").write_text("a cat")
    with pytest.raises(AnatomyError, match=r"`ptb\.test\.txt`, `test2\.txt`"):
        load_task(f"words:text={tmp_path}/a/../a")


def test_a_task_without_its_text_says_how_to_give_one() -> None:
    with pytest.raises(AnatomyError, match=r"(?s)needs a text.*--text FILE"):
        load_task("words").data_digest(0)


def test_a_sweep_of_a_text_is_read_from_any_folder(tmp_path: Path, toys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").write_text("to be or not to be, that is the question\n" * 99, "utf-8")
    monkeypatch.chdir(tmp_path)
    tasks = ("characters:text=notes.txt,length=8,batch=2,rates=1,width=4",)
    sweep.run(f"{toys}::good", tmp_path / "out", tasks, transport="inline", sample=0, budget=1, certify=False)
    monkeypatch.chdir("/")
    table = (tmp_path / "out" / "table.csv").read_text()
    assert "characters:length=8,batch=2,rates=1,width=4.score" in table
    sweep.export(tmp_path / "out", tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_text() == table
    (tmp_path / "notes.txt").unlink()
    corpus.cache_clear()
    assert sweep.report(tmp_path / "out").exists()
    with pytest.raises(AnatomyError, match="E801"):
        sweep.resume(tmp_path / "out", transport="inline")
