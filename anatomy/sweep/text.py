"""Tasks on a text that the user gives: the next token is asked everywhere, or at the end of the row.

The text is cut into three parts in its order, for training, for choosing and for the report; a folder in the format of the Penn
Treebank (`*.train.txt`, `*.valid.txt`, `*.test.txt`) keeps its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import ClassVar

import numpy as np

from anatomy.errors import fail
from anatomy.sweep.streamed import Rows, Streamed, Use

HELD_OUT = 0.05
"""Share of the text for choosing, and again for the report."""
LARGEST = 1 << 28
UNKNOWN = "<unk>"
USES: tuple[Use, ...] = ("train", "choose", "report")


@dataclass(frozen=True)
class Corpus:
    """A text as numbers: the words by number, and the three parts."""

    words: tuple[str, ...]
    parts: dict[str, np.ndarray]
    digest: str


@dataclass(frozen=True, kw_only=True)
class Text(Streamed):
    """Windows of a text at random places. `text` is a file or a folder. The score is exp(-loss), the probability of a token."""

    text: str = ""
    vocabulary: int = 0
    """Given by the text; a number keeps so many of its most frequent words and calls the others `<unk>`."""
    stop: float = 1.0
    feedforward: str = "gelu_mlp"
    convolution: str = "direct"
    family: ClassVar[str] = "language"
    smooth: ClassVar[bool] = True
    revealing: ClassVar[bool] = True
    likely: ClassVar[bool] = True
    words: ClassVar[bool] = False
    """Whether tokens are words, or characters."""

    def __post_init__(self) -> None:
        if self.text:
            object.__setattr__(self, "vocabulary", len(self.corpus.words))
            super().__post_init__()
            for use, part in self.corpus.parts.items():
                if len(part) <= self.length:
                    raise ValueError(f"its text is too short: the part for `{use}` has {len(part)} tokens, and a row of {self.length} takes one more than that")

    @property
    def corpus(self) -> Corpus:
        if not self.text:
            raise fail("E801", f"task `{self.name}` needs a text", help=f"`--tasks {self.name} --text FILE`, or `{self.name}:text=FILE`")
        return corpus(self.text, self.words, self.vocabulary)

    @property
    def chance(self) -> float:
        return 1 / max(1, self.vocabulary)

    def digest(self) -> str:
        told = {**asdict(self), "text": self.corpus.digest}
        return blake2b(repr(sorted(told.items())).encode(), digest_size=8).hexdigest()

    def source(self) -> str:
        return f"{self.name}/{self.corpus.digest}"

    def draw(self, use: Use, seed: int, step: int) -> Rows:
        part = self.corpus.parts[use]
        places = self.generator(use, seed, step).integers(0, len(part) - self.length, self.batch)[:, None] + np.arange(self.length + 1)
        rows = part[places].astype(np.int64)
        tokens, targets = rows[:, :-1].copy(), rows[:, 1:].copy()
        if self.last:
            targets[:, :-1] = -1
        return tokens, targets


@lru_cache(maxsize=4)
def corpus(path: str, words: bool, most: int) -> Corpus:
    """Read a text. Raises AnatomyError E801 when there is none, or it is no text."""
    texts = _parts(Path(path), _words if words else str)
    known = _frequent(texts, most) if words else tuple(sorted(set().union(*texts.values())))
    if len(known) < 2:
        raise fail("E801", f"`{path}` has fewer than two different {'words' if words else 'characters'}", help="a task of language needs a text")
    if words:
        number = {w: k for k, w in enumerate(known)}
        rest = number.get(UNKNOWN, 0)
        parts = {use: np.array([number.get(w, rest) for w in part], np.int32) for use, part in texts.items()}
    else:
        codes = np.array([ord(c) for c in known])
        parts = {use: np.searchsorted(codes, np.frombuffer(str(part).encode("utf-32-le"), "<u4")).astype(np.int32) for use, part in texts.items()}
    digest = blake2b(digest_size=8)
    for part in parts.values():
        digest.update(part.astype("<i4").tobytes() + b"/")
    return Corpus(known, parts, digest.hexdigest())


def _frequent(texts: dict[str, Sequence[str]], most: int) -> tuple[str, ...]:
    """The words of the part for training, by frequency, `most` of them at most (0: all); and `<unk>`, where there are others."""
    counts = Counter(texts["train"])
    kept = [w for w, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if w != UNKNOWN]
    known = dict.fromkeys(kept[: max(most - 1, 1)] if most and most < len(kept) + (UNKNOWN in counts) else kept)
    if any(w not in known for part in texts.values() for w in part):
        known[UNKNOWN] = None
    return tuple(known)


def _words(text: str) -> list[str]:
    """Words between spaces; the end of a line is a word, `<eos>`, as in the Penn Treebank format."""
    return [w for line in text.splitlines() if line.strip() for w in (*line.split(), "<eos>")]


def _parts(path: Path, split: Callable[[str], Sequence[str]]) -> dict[str, Sequence[str]]:
    """Words, or characters, for each use; a text in one file is cut between two of them."""
    if path.is_dir():
        return {use: split(_read(_part(path, word))) for use, word in zip(USES, ("train", "valid", "test"), strict=True)}
    told = split(_read(path))
    held = int(len(told) * HELD_OUT)
    cut = len(told) - 2 * held
    return {"train": told[:cut], "choose": told[cut : cut + held], "report": told[cut + held :]}


def _part(folder: Path, word: str) -> Path:
    """The file of a part; those with `char` in their names, which the distribution adds, are the same text letter by letter."""
    files = sorted(folder.glob(f"*{word}*.txt"))
    files = [f for f in files if "char" not in f.name] if len(files) > 1 else files
    if len(files) != 1:
        found = ", ".join(f"`{f.name}`" for f in files) or "none"
        raise fail(
            "E801", f"the folder `{folder}` should have one file `*{word}*.txt`, and has {found}",
            help="a folder of texts is as the Penn Treebank comes: `ptb.train.txt`, `ptb.valid.txt`, `ptb.test.txt`; any other text is given as a file",
        )  # fmt: skip
    return files[0]


def _read(path: Path) -> str:
    """A file as text: UTF-8 with or without a byte order mark, lines ended in any way."""
    if not path.exists():
        raise fail("E801", f"there is no text at `{path}`", help="`--text` takes a file, or a folder in the Penn Treebank format")
    try:
        if path.stat().st_size > LARGEST:
            raise fail("E801", f"`{path}` is larger than {LARGEST:,} bytes")
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise fail("E801", f"`{path}` is no text in UTF-8: byte {error.start:,} cannot be read", help="`iconv -f latin1 -t utf-8` turns older texts into it") from None
    except OSError as error:
        raise fail("E801", f"`{path}` cannot be read: {error.strerror}") from None
    if not text.strip():
        raise fail("E801", f"`{path}` is empty", help="a task of language needs a text")
    if "\0" in text:
        raise fail("E801", f"`{path}` is no text: it holds NUL bytes", help="texts in UTF-16 are turned into UTF-8 by `iconv -f utf-16 -t utf-8`")
    return text
