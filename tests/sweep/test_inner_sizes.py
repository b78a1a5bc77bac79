"""Sizes of axes that stand inside of parts and calls reach every stage of a sweep, and those of the model keep their own."""

from __future__ import annotations

from pathlib import Path

import pytest

import anatomy
from anatomy.compiler import build
from anatomy.errors import AnatomyError
from anatomy.ir.solve import solve
from anatomy.sweep import plan, run
from anatomy.sweep.backbone import model
from anatomy.sweep.check import lift_name
from anatomy.sweep.fit import Members
from anatomy.sweep.mixer import Mixer
from anatomy.sweep.sizes import model_sizes
from zoo.tasks.recall import Recall

LIBRARY = Path(anatomy.__file__).parent.parent / "zoo"
TEXT = f"""use "{LIBRARY}/mask/sliding_window.anat" as windows
axis n, d, h = 2, e
diagram layer(x: [n, d]) -> [n, d] {{
  hole body(x: [n, d]) -> [n, d]
  out body(x)
}}
diagram near(x: [n, d]) -> [n, d] where d = h * e {{ out windows.sliding_window[h=h, e=e](x) }}
space one of layer {{ choose body in {{ near }} }}
"""
NAMED = """axis n, d, {axis}
diagram low_rank(x: [n, d]) -> [n, d] {{ out lin Up[{axis} -> d](lin Down[d -> {axis}](x)) }}
"""


@pytest.mark.parametrize("name", ["w", "mask.w", "sliding_window.mask.w"])
def test_an_axis_of_a_part_of_a_call_is_given_by_the_end_of_its_name(tmp_path: Path, name: str) -> None:
    file = tmp_path / "near.anat"
    file.write_text(TEXT)
    found = run(f"{file}::one", tmp_path / name, ("recall",), transport="inline", budget=2, sizes={name: 3})
    assert (found.done, found.failed, found.rejected, found.pending) == (17, 0, 0, 0)


def test_the_window_that_is_trained_is_the_one_that_was_asked_for() -> None:
    diagram, task = anatomy.load("zoo:sliding_window"), Recall(length=16, pairs=4, width=8)
    seen = {}
    for width in (1, 4):
        mixer = Mixer(diagram, {"h": 2, "e": 4, "mask.w": width}, task.length, task.width, 0)
        whole = model(mixer, task, task.readout)
        seen[width] = {a: n for a, n in model_sizes(whole, diagram, task.length, task.width, mixer.sizes).items() if a.endswith("mask.w")}
    assert seen == {1: {"0.mixer.mask.w": 1, "1.mixer.mask.w": 1}, 4: {"0.mixer.mask.w": 4, "1.mixer.mask.w": 4}}


@pytest.mark.parametrize("axis", ["c", "v", "p"])
def test_an_axis_of_the_mixer_is_not_one_of_the_model_that_has_the_same_name(tmp_path: Path, axis: str) -> None:
    """The model has features `c` of its feedforward, words `v` and places `p`."""
    file = tmp_path / "low_rank.anat"
    file.write_text(NAMED.format(axis=axis))
    diagram, task = anatomy.load(str(file)), Recall(feedforward="swiglu", rates=1)
    members = Members(task, Mixer(diagram, {axis: 3}, task.length, task.width, 0), 0)
    alone = build(diagram, {"n": task.length, "d": task.width, axis: 3}, (lift_name(diagram),), 0)
    other = Members(task, Mixer(diagram, {axis: 1}, task.length, task.width, 0), 0)
    thin = build(diagram, {"n": task.length, "d": task.width, axis: 1}, (lift_name(diagram),), 0)

    def count(net: object) -> int:
        return sum(p.numel() for p in net.parameters())  # type: ignore[attr-defined]

    assert count(members.net) - count(other.net) == task.depth * (count(alone) - count(thin))


def test_of_two_names_the_longer_counts() -> None:
    diagram = anatomy.load("zoo:sliding_window")
    assert solve(diagram, {"n": 4, "h": 2, "e": 2, "w": 9, "mask.w": 3}).values["mask.w"] == 3
    assert solve(diagram, {"n": 4, "h": 2, "e": 2, "w": 9}).values["mask.w"] == 9
    with pytest.raises(AnatomyError, match=r"mask\.w"):
        solve(diagram, {"n": 4, "h": 2, "e": 2})


@pytest.mark.parametrize("given", [{"n": 99}, {"d": 5}, {"near.e": 3}, {"q": 2}])
def test_a_size_that_no_member_would_have_is_refused(tmp_path: Path, given: dict[str, int]) -> None:
    file = tmp_path / "near.anat"
    file.write_text(TEXT)
    with pytest.raises(AnatomyError, match="E805"):
        plan(f"{file}::one", ("recall",), sizes={"w": 3, **given})
    assert plan(f"{file}::one", ("recall",), sizes={"w": 3, "h": 4}).variants
