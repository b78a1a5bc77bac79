"""Every mechanism of the zoo as a hand-written float64 formula, in files by the folder of the zoo."""

from __future__ import annotations

from formulas import heads, kernel, mask, mixing, normaliser, pooling, position, recurrent, score, softmax
from formulas.common import Case

FOLDERS = (softmax, score, normaliser, position, mask, heads, kernel, recurrent, mixing, pooling)
CASES: dict[str, Case] = {name: case for folder in FOLDERS for name, case in folder.CASES.items()}
