"""Requests that no sweep can be made of are refused before anything is written, and odd ones that can be are kept exactly."""

from __future__ import annotations

import os
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest

from anatomy import sweep
from anatomy.errors import AnatomyError
from anatomy.sweep import config as settings
from anatomy.sweep.task import load_task

TOY = "tests.sweep.sweep_toy"


def run(toys: Path, folder: Path, *tasks: str, **options: Any) -> sweep.Status:
    given = {"transport": "inline", "certify": False, "cache": folder.with_suffix(".cache"), "members": [0], **options}
    return sweep.run(f"{toys}::good", folder, tasks or (TOY,), **given)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"seed": 2**64}, "E805"), ({"seed": -(2**64)}, "E805"), ({"budget": 10**20}, "E805"), ({"seeds": 10**20}, "E805"), ({"radius": nan}, "E805"),
        ({"radius": -1.0}, "E805"), ({"norm": "taxicab"}, "E805"), ({"halving": 2, "rungs": 10**9}, "E807"),
    ],
)  # fmt: skip
def test_numbers_beyond_use(toys: Path, tmp_path: Path, asked: dict[str, Any], code: str) -> None:
    with pytest.raises(AnatomyError, match=code):
        run(toys, tmp_path / "a", **asked)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("timeout", [0, -1, nan])
def test_a_timeout_without_time(toys: Path, tmp_path: Path, timeout: float) -> None:
    with pytest.raises(AnatomyError, match="E805"):
        run(toys, tmp_path / "a", timeout=timeout)


def test_the_whole_space_as_a_ball_can_be_taken_up_again(toys: Path, tmp_path: Path) -> None:
    run(toys, tmp_path / "a", radius=inf)
    assert settings.read(tmp_path / "a").radius == inf
    assert sweep.resume(tmp_path / "a", transport="inline").complete
    assert run(toys, tmp_path / "a", radius=inf).complete


def test_the_command_keeps_every_digit(toys: Path, tmp_path: Path) -> None:
    run(toys, tmp_path / "a", radius=1.23456789012)
    assert "--radius 1.23456789012 " in settings.read(tmp_path / "a").command()


@pytest.mark.parametrize("name", ["..recall", ".", "", "os.path", "../../etc/passwd", "a b", "recall.", "json.tool", "no.such.module"])
def test_what_is_no_task(name: str) -> None:
    with pytest.raises(AnatomyError, match="E801"):
        load_task(name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_text_without_an_end(toys: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(AnatomyError, match="neither a file nor a folder"):
            run(toys, tmp_path / "a", "characters", text=place)


def test_a_text_that_is_edited_between_two_runs_of_one_session(toys: Path, tmp_path: Path) -> None:
    """It is another text: nothing of what was learnt from the first is told of it."""
    text = tmp_path / "text.txt"
    keys = []
    for line in ("to be or not to be, that is the question\n", "whether it is nobler in the mind to suffer\n"):
        text.write_text(line * 60, "utf-8")
        made = sweep.plan(f"{toys}::good", ("characters",), members=[0], budget=1, text=text, certify=False)
        keys.append({j.key for j in made.jobs if j.stage == "train"})
    assert not keys[0] & keys[1]


@pytest.mark.parametrize("transport", ["inline", "ray", "pull"])
def test_a_timeout_that_nothing_would_keep_is_refused(toys: Path, tmp_path: Path, transport: str) -> None:
    with pytest.raises(AnatomyError, match="E805") as caught:
        run(toys, tmp_path / "a", transport=transport, timeout=5.0)
    assert transport in str(caught.value)
