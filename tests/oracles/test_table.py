"""The table of second parties says what the tests do, and the pinned packages are those that it needs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import zoo

from .table import DISTRIBUTIONS, NOTES, ORACLES, distribution

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def marks() -> list[tuple[str, str]]:
    text = "\n".join(p.read_text(encoding="utf-8") for p in sorted(HERE.glob("test_*.py")))
    return re.findall(r'^@pytest\.mark\.against\("(\w+)", "([\w.]+)"\)', text, re.MULTILINE)


def test_every_row_has_a_test_and_every_test_a_row() -> None:
    rows = [(entry, path) for entry, paths in ORACLES.items() for path in paths]
    assert sorted(rows) == sorted(set(marks()))


def test_every_row_is_an_entry_of_the_zoo() -> None:
    assert set(ORACLES) <= set(zoo.names())
    assert set(NOTES) <= set(ORACLES)


def test_every_library_is_pinned() -> None:
    pins = {line.partition("==")[0] for line in (ROOT / "requirements-oracles.txt").read_text(encoding="utf-8").splitlines()}
    used = {distribution(path) for paths in ORACLES.values() for path in paths}
    assert used == set(DISTRIBUTIONS.values())
    assert used - {"torch"} <= pins
    assert "torch" not in pins
    assert "torchvision" not in pins


def test_the_extra_names_the_libraries_and_the_readers_of_models() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]["oracles"]
    names = {re.split("[<>=]", requirement)[0] for requirement in extra}
    assert names == set(DISTRIBUTIONS.values()) - {"torch"} | {"accelerate", "gguf"}
