"""What was merged, or said, and should not have been."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from space_texts import space

from anatomy.errors import AnatomyError, Source
from anatomy.language.program import Program
from anatomy.spaces.funnel import explain, scan
from anatomy.spaces.rung import Rung

HEAD = """axis n, d
diagram net(x: [n, d]) -> [n, d] {
  hole f(x: [n, d]) -> [n, d]
  out f(x)
}
diagram same(x: [n, d]) -> [n, d] { out x }
diagram zero(x: [n, d]) -> [n, d] { out 0 * x }
"""


@pytest.mark.parametrize(
    ("body", "like"),
    [
        ("where(iota[d] < 9, x, 2 * x)", "same"),
        ("where(iota[d] == 8, 2 * x, x)", "same"),
        ("where(size[d] < 9, x, 2 * x)", "same"),
        ("where(size[d] == 7, 2 * x, x)", "same"),
        ("where(size[n] == 2, 0 * x, x)", "same"),
        ("where(iota[n] < 9 * size[d], x, 2 * x)", "same"),
        ("shift[d](x, 9)", "zero"),
        ("shift[n](shift[n](shift[n](x, 12), 12), 12)", "zero"),
        ("x * x / x", "same"),
    ],
)
def test_algebra_says_nothing_of_what_its_sizes_do_not_show(body: str, like: str) -> None:
    made = space(f"{HEAD} diagram far(x: [n, d]) -> [n, d] {{ out {body} }} space s of net {{ choose f in {{ {like}, far }} }}", "s")
    assert (scan(made).found.algebra == np.arange(2)).all()
    assert not explain(made, 0, 1).merged


def test_delays_that_add_up_are_told_apart() -> None:
    made = space(f"{HEAD} diagram back(x: [n, d]) -> [n, d] {{ out shift[n](x, 4) }} space s of net {{ choose f in seq 1 to 6 of {{ back }} }}", "s")
    assert (scan(made).found.algebra == np.arange(6)).all()
    assert not explain(made, 3, 4).merged


def test_algebra_still_merges_what_looks_as_far_as_its_sizes_show() -> None:
    made = space(
        f"{HEAD} diagram a(x: [n, d]) -> [n, d] {{ out tanh(x + shift[n](x, 2)) * x * shift[d](x, 1) }}"
        f" diagram b(x: [n, d]) -> [n, d] {{ out shift[d](x, 1) * (x * tanh(shift[n](x, 2) + x)) }}"
        " space s of net { choose f in { a, b } }",
        "s",
    )
    assert (scan(made).found.algebra == 0).all()


@pytest.mark.parametrize("line", ["choose bool z when z choose f in { same }", "choose f in { same } when not f == same", "choose f in { same } when f == same and f != zero"])
def test_a_decision_that_tests_itself_is_told(line: str) -> None:
    found = Program.of(Source("test.anat", f"{HEAD} space s of net {{ {line} }}")).check()
    assert [d.code for d in found if d.severity == "error"] == ["E611"]


def test_nothing_is_measured_of_a_member_whose_sizes_contradict() -> None:
    made = space(
        f"{HEAD.replace('n, d', 'n, d, e', 1)} diagram half(x: [n, d]) -> [n, d] where d = 2 * e {{ out lin V[e -> d](lin W[d -> e](x)) }}"
        " space s of net { param d in { 3, 4 } choose f in { half { param e in { 1, 2 } } } }",
        "s",
    )
    facts = Rung(made).chunk(range(4))
    assert [(f.alive, f.finite) for f in facts] == [(None, None)] * 3 + [(True, True)]


def test_a_damaged_chunk_is_done_again_and_a_damaged_head_is_refused(tmp_path: Path) -> None:
    made = space(f"{HEAD} space s of net {{ choose f in {{ same, zero }} }}", "s")
    before = scan(made, tmp_path).as_data()
    for chunk, text in zip(sorted(tmp_path.rglob("*.npy")), ("junk", "", "\x93NUMPY"), strict=False):
        chunk.write_text(text, "latin-1")
    assert scan(made, tmp_path).as_data() == before
    (tmp_path / "scan.json").write_text("{")
    with pytest.raises(AnatomyError, match="E650"):
        scan(made, tmp_path)


@pytest.mark.parametrize("words", [("funnel", "--limit", "-1"), ("funnel", "--limit", "0"), ("sample", "-k", "-1")])
def test_numbers_of_members_below_one_are_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    from anatomy.cli import main

    assert main(["space", words[0], "zoo:spaces/scores", *words[1:]]) == 1
    assert "error[E6" in capsys.readouterr().err
