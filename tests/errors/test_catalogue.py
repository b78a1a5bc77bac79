"""Every code has a page, every page a code, and every example of a page does what the page says."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
from pathlib import Path

import pytest

from anatomy.errors import AnatomyError, Diagnostic, Source
from anatomy.errors.catalogue import codes, examples, page, title
from anatomy.errors.printer import plain
from anatomy.language.program import Program
from anatomy.rewrites.derive import derive_all
from anatomy.rewrites.statuses import verify_all

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "diagnostics"
UNTRIGGERED = {
    "E505": "needs a graph with millions of automorphisms",
    "E702": "an engine for pictures fails",
    "E703": "a package is not installed",
    "E802": "a sweep is taken up after its space has changed",
    "E803": "a folder holds no sweep",
    "E806": "a finished sweep is exported",
    "E804": "two processes work in one folder",
    "E810": "a sweep of a newer version is opened",
    "E825": "a store is damaged",
    "E812": "a disk is full",
    "E813": "a folder cannot be written",
    "E814": "a finished sweep is asked",
    "E815": "a worker runs another version",
    "E901": "a defect of the checker",
}
"""Codes whose cause is a state of the machine, and not a text."""


def checked(text: str, code: str) -> list[Diagnostic]:
    """As `anatomy check` does: rules are verified where the file has no errors."""
    try:
        program = Program.of(Source(f"{code}.anat", text))
        found = list(program.check())
    except AnatomyError as error:
        return list(error.diagnostics)
    found = found or [c.diagnostic for c in verify_all(program) if c.diagnostic]
    return found or [d for derivation in derive_all(program) for d in derivation.diagnostics]


def compiled(text: str, code: str, run: str) -> list[Diagnostic]:
    """Compile the last diagram at `name=size` sizes; `lift=b` lifts."""
    from anatomy.compiler.module import generate

    given = dict(word.split("=") for word in run.split()[1:])
    lift = tuple(filter(None, given.pop("lift", "").split(",")))
    program = Program.of(Source(f"{code}.anat", text))
    assert not program.check()
    try:
        generate(program.get(program.names()[-1]), {k: int(v) for k, v in given.items()}, lift)
    except AnatomyError as error:
        return list(error.diagnostics)
    return []


def executed(text: str) -> list[Diagnostic]:
    try:
        exec(compile(text, "page", "exec"), {})
    except AnatomyError as error:
        return list(error.diagnostics)
    return []


def commanded(text: str) -> list[Diagnostic]:
    from anatomy.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(shlex.split(text)[1:])
    found = [Diagnostic(*m) for m in re.findall(r"error\[(E\d+)\]: (.*)", err.getvalue())]
    assert bool(found) == bool(status), err.getvalue()
    return found


def outcome(code: str, example) -> list[Diagnostic]:
    if example.language == "sh":
        return commanded(example.text)
    if example.language == "python":
        return executed(example.text)
    if example.run.startswith("compile"):
        return compiled(example.text, code, example.run)
    return checked(example.text, code)


def test_every_code_of_the_source_has_a_page_and_every_page_a_code():
    found: set[str] = set()
    for path in (ROOT / "anatomy").rglob("*.py"):
        found.update(re.findall(r'"([EW][0-9]{3})"', path.read_text("utf-8")))
    assert found == set(codes())


@pytest.mark.parametrize("code", codes())
def test_page(code, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = page(code)
    assert text.startswith(f"# {code}: {title(code)}\n")
    found = {e.verdict: e for e in examples(text)}
    if code in UNTRIGGERED:
        assert not found
        return
    assert set(found) == {"wrong", "right"}
    assert outcome(code, found["right"]) == []
    wrong = outcome(code, found["wrong"])
    assert [d.code for d in wrong] == [code]
    compare(GOLDEN / f"{code}.txt", plain(wrong) + "\n")


def compare(path: Path, text: str) -> None:
    """`ANATOMY_UPDATE_GOLDEN=1` writes the golden files anew."""
    if os.environ.get("ANATOMY_UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    assert path.read_text("utf-8") == text


def test_no_golden_file_is_left_over():
    assert {p.stem for p in GOLDEN.glob("[EW][0-9][0-9][0-9].txt")} == set(codes()) - UNTRIGGERED.keys()


def test_an_unknown_code_is_refused():
    with pytest.raises(AnatomyError, match="E203"):
        page("E999")
    with pytest.raises(AnatomyError, match="E203"):
        page("../diagnostic")
