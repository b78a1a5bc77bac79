"""A language model of words, rows of 35: the setting of "On the Anatomy of Attention" (2024, arXiv:2407.02423), on a text that the user gives.

`words:text=FOLDER` reads the Penn Treebank format (`ptb.train.txt`, `ptb.valid.txt`, `ptb.test.txt`); `words:text=FILE` any text. What the paper
measured is not known in numbers, so none are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

from anatomy.sweep.text import Text


@dataclass(frozen=True, kw_only=True)
class Words(Text):
    """Every word asks for the next one; `vocabulary` keeps the most frequent."""

    length: int = 35
    batch: int = 20
    budget: int = 1000
    vocabulary: int = 10_000
    words = True


task = Words()
