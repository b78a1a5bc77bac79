"""Names, places and text of the zoo."""

from __future__ import annotations

import pytest

import zoo
from anatomy import AnatomyError
from anatomy.language.program import Program
from anatomy.target import zoo_folder

FOLDERS = {"softmax", "score", "normaliser", "position", "mask", "heads", "kernel", "recurrent", "mixing", "pooling", "spaces"}


def test_no_two_files_share_a_name_and_all_are_in_known_folders() -> None:
    files = [p.relative_to(zoo_folder()) for p in zoo_folder().rglob("*.anat")]
    assert {p.parts[0] for p in files} <= FOLDERS
    stems = [p.stem for p in files if p.parts[0] != "spaces"]
    assert sorted(stems) == list(zoo.names())


@pytest.mark.parametrize("name", zoo.names())
def test_a_file_checks_without_a_word_and_ends_with_the_diagram_of_its_name(name: str) -> None:
    program = Program.of_file(zoo.path(name))
    assert program.check() == ()
    assert program.names()[-1] == name


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AnatomyError, match="E203"):
        zoo.path("mhaa")


@pytest.mark.parametrize("diagram", ["sdpa", "causal_sdpa", "rope", "alibi_bias"])
def test_the_standard_library_checks(diagram: str) -> None:
    from anatomy.language.scope import STD

    program = Program.of_file(STD / "attn.anat")
    assert program.check() == ()
    assert diagram in program.names()
