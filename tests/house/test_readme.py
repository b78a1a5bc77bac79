"""Every command and every output in README.md, and in the pages that it leads to, is run here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text("utf-8")
PAGES = tuple(ROOT / "anatomy" / room / "README.md" for room in ("regularity", "sweep"))


def blocks(language: str, text: str = TEXT) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)


def sessions() -> list[tuple[str, str]]:
    """Each `$ command` of a console block with the output printed below it."""
    pairs = []
    for block in [b for text in (TEXT, *(p.read_text("utf-8") for p in PAGES)) for b in blocks("console", text)]:
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            while command.endswith("\\"):
                more, _, output = output.partition("\n")
                command = command[:-1] + more.strip()
            pairs.append((command, output))
    return pairs


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the examples and an `anatomy` command on the path, shared by the blocks in order."""
    place = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "examples", place / "examples")
    (place / "zoo").symlink_to(ROOT / "zoo")  # derivations name zoo files beside them
    binary = place / "bin"
    binary.mkdir()
    script = binary / "anatomy"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -m anatomy \"$@\"\n")
    script.chmod(0o755)
    for name, text in re.findall(r"^<!-- file: (\S+) -->\n```anat\n(.*?)^```", TEXT, re.S | re.M):
        (place / name).write_text(text, "utf-8")
    return place


@pytest.mark.parametrize(("command", "expected"), sessions(), ids=[c for c, _ in sessions()])
def test_console(command: str, expected: str, workplace: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{workplace / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "COLUMNS": "120",
    }
    done = subprocess.run(
        ["bash", "-c", command], cwd=workplace, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    pattern = "".join(".*?" if piece == "..." else re.escape(piece) for piece in re.split(r"(\.\.\.)", expected.rstrip()))
    assert re.fullmatch(pattern, done.stdout.rstrip(), re.S), f"README says:\n{expected}\nbut it prints:\n{done.stdout}"


def test_python(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)


def test_make_targets_exist() -> None:
    """`make demo` and `make test` cannot run inside themselves; the demonstration has its own test."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for block in blocks("sh"):
        for target in re.findall(r"^make (\S+)", block, re.M):
            assert re.search(rf"^{re.escape(target)}:", makefile, re.M), target


def test_the_picture_is_the_one_that_the_text_draws() -> None:
    from anatomy import draw, load

    drawn = draw(load(ROOT / "examples" / "attention.anat::mha")).svg
    assert (ROOT / "examples" / "mha.svg").read_text("utf-8").splitlines()[3:] == drawn.splitlines()[3:]
