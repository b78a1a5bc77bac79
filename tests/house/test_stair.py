"""The house: import stair, start-up without torch, file sizes, no left-over files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_import_stair_holds() -> None:
    from importlinter.cli import lint_imports

    assert lint_imports(str(ROOT / "pyproject.toml"), cache_dir=None) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "examples/attention.anat"],
        ["hash", "examples/attention.anat::mha"],
        ["show", "examples/attention.anat::mha"],
        ["render", "examples/attention.anat::sdpa", "-o", "-"],
        ["compile", "examples/attention.anat::sdpa"],
        ["space", "count", "zoo:spaces/scores"],
        ["zoo", "list"],
        ["explain", "E305"],
    ],
)
def test_torch_is_not_imported_where_no_tensor_runs(arguments: list[str]) -> None:
    code = (
        "import sys; from anatomy.cli import main; status = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules, 'torch was imported'; sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_room_is_called_utils() -> None:
    assert not [p for p in ROOT.rglob("utils.py") if not any(part.startswith(".venv") for part in p.parts)]


def test_grammar_folder_holds_no_python() -> None:
    """`grammar/` is installed as `anatomy/grammar`, which must not look like a package."""
    assert not list((ROOT / "grammar").glob("*.py"))
