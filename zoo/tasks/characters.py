"""A small language model of characters: half a minute on one core tells mixers apart.

`characters:text=FILE`; two blocks of width 64, rows of 64 characters.
"""

from __future__ import annotations

from dataclasses import dataclass

from anatomy.sweep.text import Text


@dataclass(frozen=True, kw_only=True)
class Characters(Text):
    """Every character asks for the next one."""

    length: int = 64
    batch: int = 16
    budget: int = 600
    rates: int = 2


task = Characters()
