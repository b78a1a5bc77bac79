"""The wheel holds everything and works from elsewhere, without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel, and nothing else, is installed."""
    place = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(place), str(ROOT)], check=True)
    (wheel,) = place.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(place / "site"), str(wheel)], check=True)
    return place


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed / "site")}
    code = (
        "import sys, anatomy; assert anatomy.__file__.startswith(sys.argv[1]), anatomy.__file__; "
        "from anatomy.cli import main; sys.exit(main(sys.argv[2:]))"
    )
    site = str(installed / "site")
    return subprocess.run(
        [sys.executable, "-P", "-c", code, site, *arguments], cwd=installed, env=environment, capture_output=True, text=True
    )


def test_the_wheel_ships_grammar_zoo_and_pages(installed: Path) -> None:
    (wheel,) = installed.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "anatomy/grammar/anat.lark" in names
    assert any(n.startswith("zoo/") and n.endswith("/mha.anat") for n in names)
    assert "zoo/spaces/scores.anat" in names
    assert "anatomy/errors/pages/E305.md" in names
    assert "anatomy/language/std/attn.anat" in names
    assert "anatomy/rewrites/rules.anat" in names
    assert not any(n.startswith(("tests/", "examples/", "benchmarks/")) for n in names)


@pytest.mark.parametrize("arguments", [["check", "zoo:mha"], ["hash", "zoo:mha"], ["explain", "E305"], ["space", "count", "zoo:spaces/scores"]])
def test_the_command_works_from_elsewhere(installed: Path, arguments: list[str]) -> None:
    done = run(installed, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout
