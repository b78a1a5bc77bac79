"""Tasks on a text that the user gives: the next token is asked everywhere, or at the end of the row.

The text is cut into three parts in its order, for training, for choosing and for the report; a folder in the format of the Penn
Treebank (`*.train.txt`, `*.valid.txt`, `*.test.txt`) keeps its own.
"""

from __future__ import annotations

from collections import Counter
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
LARGEST = 1 << 30
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
            found = len(self.corpus.words)
            object.__setattr__(self, "vocabulary", found)
            super().__post_init__()
            for use, part in self.corpus.parts.items():
                if len(part) <= self.length:
                    raise ValueError(f"the part for `{use}` has {len(part)} tokens, and a row {self.length}")

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
        told = f"{self.source()}/{use}/{seed if use == 'train' else 0}/{step}"
        key = blake2b(told.encode(), digest_size=16).digest()
        rng = np.random.Generator(np.random.Philox(key=int.from_bytes(key, "big")))
        part = self.corpus.parts[use]
        places = rng.integers(0, len(part) - self.length, self.batch)[:, None] + np.arange(self.length + 1)
        rows = part[places].astype(np.int64)
        tokens, targets = rows[:, :-1].copy(), rows[:, 1:].copy()
        if self.last:
            targets[:, :-1] = -1
        return tokens, targets


@lru_cache(maxsize=4)
def corpus(path: str, words: bool, most: int) -> Corpus:
    """Read a text. Raises AnatomyError E801 when there is none, or it is no text."""
    texts = _texts(Path(path))
    split = {use: _words(text) if words else list(text) for use, text in texts.items()}
    counts = Counter(split["train"])
    if words:
        kept = [w for w, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if w != UNKNOWN]
        known = dict.fromkeys(kept[: max(most - 1, 1)] if most and most < len(kept) + (UNKNOWN in counts) else kept)
        if any(w not in known for part in split.values() for w in part):
            known[UNKNOWN] = None
    else:
        known = dict.fromkeys(sorted(set().union(*split.values())))
    number = {w: k for k, w in enumerate(known)}
    rest = number.get(UNKNOWN, 0)
    parts = {use: np.array([number.get(w, rest) for w in part], np.int32) for use, part in split.items()}
    digest = blake2b(digest_size=8)
    for part in parts.values():
        digest.update(part.astype("<i4").tobytes() + b"/")
    return Corpus(tuple(known), parts, digest.hexdigest())


def _words(text: str) -> list[str]:
    """Words between spaces; the end of a line is a word, `<eos>`, as in the Penn Treebank format."""
    return [w for line in text.splitlines() if line.strip() for w in (*line.split(), "<eos>")]


def _texts(path: Path) -> dict[str, str]:
    if path.is_dir():
        found = {}
        for use, word in zip(USES, ("train", "valid", "test"), strict=True):
            files = sorted(path.glob(f"*{word}*.txt"))
            if len(files) != 1:
                raise fail("E801", f"`{path}` has {len(files)} files `*{word}*.txt`; a folder of texts has one of each of train, valid and test")
            found[use] = _read(files[0])
        return found
    text = _read(path)
    held = int(len(text) * HELD_OUT)
    cut = len(text) - 2 * held
    return {"train": text[:cut], "choose": text[cut : cut + held], "report": text[cut + held :]}


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise fail("E801", f"`{path}` is larger than {LARGEST:,} bytes")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise fail("E801", f"`{path}` cannot be read as a text: {error}") from None
