"""Hostile and broken input: a clear refusal each, in bounded memory, and never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from anatomy.errors import AnatomyError
from anatomy.language.program import Program
from tests.language.hostile import GOOD, TEXTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    """All texts in one process of at most 1.5 GB; the time limit is for a machine under load."""
    command = [sys.executable, "-m", "tests.language.hostile"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", TEXTS)
def test_hostile_text_is_refused(found, name):
    assert found[name] == TEXTS[name][1]


@pytest.mark.parametrize("name", GOOD)
def test_large_text_is_read(found, name):
    assert found[name] == ""


def refusal(path: Path) -> str:
    with pytest.raises(AnatomyError) as caught:
        Program.of_file(path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E100"
    return diagnostic.message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x7fELF\0\1\2", "is not a text"),
        ("axis n # ö".encode("latin-1"), "is not UTF-8: byte 9 is 0xf6"),
        ("axis n".encode("utf-16"), "is UTF-16 text"),
        ("axis n".encode("utf-16-le"), "is not a text"),
        (b"axis n \xff\xfe", "is not UTF-8: byte 7 is 0xff"),
    ],
)  # fmt: skip
def test_files_that_are_no_text(tmp_path, data, words):
    path = tmp_path / "a.anat"
    path.write_bytes(data)
    assert words in refusal(path)


def test_files_that_are_not_there(tmp_path):
    assert "No such file" in refusal(tmp_path / "missing.anat")
    assert "is a folder" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe.anat")
    assert "is a pipe or a device" in refusal(tmp_path / "pipe.anat")
    assert "is a pipe or a device" in refusal(Path("/dev/zero"))
    assert "cannot be read" in refusal(tmp_path / ("x" * 300))
    assert "cannot be read" in refusal(tmp_path / "a\0b")


def test_a_byte_order_mark_and_carriage_returns_are_read(tmp_path):
    path = tmp_path / "a.anat"
    path.write_bytes(b"\xef\xbb\xbfaxis n\r\ndiagram d(x: [n]) -> [n] { out x }\r\n")
    assert Program.of_file(path).check() == ()


def test_a_file_that_uses_itself(tmp_path):
    (tmp_path / "a.anat").write_text('use "b.anat" as b')
    (tmp_path / "b.anat").write_text('use "a.anat" as a')
    codes = {d.code for d in Program.of_file(tmp_path / "a.anat").check()}
    assert codes <= {"E206", "E207"}
    assert "E206" in codes


def test_a_used_file_that_cannot_be_read(tmp_path):
    (tmp_path / "a.anat").write_text('use "b.anat" as b\nuse "c.anat" as c\naxis n')
    (tmp_path / "b.anat").write_bytes(b"\0")
    found = Program.of_file(tmp_path / "a.anat").check()
    assert [(d.code, d.span.line) for d in found] == [("E100", 1), ("E100", 2)]


def test_a_chain_of_files(tmp_path):
    for k in range(300):
        (tmp_path / f"f{k}.anat").write_text(f'use "f{k + 1}.anat" as next_one\naxis n')
    (tmp_path / "f300.anat").write_text("axis n")
    try:
        found = Program.of_file(tmp_path / "f0.anat").check()
    except AnatomyError as error:
        found = error.diagnostics
    assert {d.code for d in found} <= {"E104", "E206", "E207"}
