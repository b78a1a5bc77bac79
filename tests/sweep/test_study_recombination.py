"""examples/study_recombination: its counts, its commands, and that every number of its README comes from its results."""

import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from anatomy.cli.main import parser_for
from anatomy.language.program import Program
from anatomy.spaces import Space
from anatomy.sweep.check import header

FOLDER = Path(__file__).parents[2] / "examples" / "study_recombination"
README = (FOLDER / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def tables() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield importlib.import_module("tables")
        for name in ("tables", "saved", "shown"):
            sys.modules.pop(name, None)


def space(name: str) -> Space:
    definition = Program.of_file(FOLDER / "study.anat").space(name)
    assert definition is not None
    return Space(definition)


@pytest.mark.parametrize(("name", "count"), [("fourteen", 14), ("recombined", 32), ("literature", 20), ("study", 66)])
def test_counts(name: str, count: int) -> None:
    assert space(name).count == count


def test_members_are_mixers() -> None:
    members = space("study")
    assert not [members[k].choices for k in range(members.count) if header(members[k].diagram) is not None]


def test_literature_is_of_the_library() -> None:
    folder = FOLDER.parents[1] / "zoo"
    members = space("literature")
    names = {members[k].choices["mechanism"] for k in range(members.count)}
    assert len(names) == 20
    assert names <= {p.stem for p in folder.glob("*/*.anat")}


def test_results_are_of_this_space(tables: ModuleType) -> None:
    told = tables.load()
    members = space("study")
    assert [e.rank for e in told.members] == list(range(66))
    assert [dict(e.choices) for e in told.members] == [dict(members[k].choices) for k in range(66)]
    assert told.config.digest == members.digest
    assert {e.name for e in told.entries if e.role == "control"} == {"baseline", "no_mixing", "causal_average"}


def test_every_job_of_two_tasks_and_two_seeds_is_done(tables: ModuleType) -> None:
    told = tables.load()
    assert {t.family for t in told.tasks} == {"recall", "language"}
    for entry in told.members:
        assert entry.check["causal"] is True
        assert entry.bounds
        assert [(r.task, r.seed, r.state) for r in entry.runs] == [
            (t.label, seed, "done") for t in told.tasks for seed in (0, 1)
        ], entry.name


def test_readme_is_what_the_results_say(tables: ModuleType) -> None:
    assert set(re.findall(r"<!-- table (\w+) -->", README)) <= set(tables.TABLES)
    assert tables.filled(README) == README


def test_table_and_results_agree(tables: ModuleType) -> None:
    import csv

    with (FOLDER / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    told = tables.load()
    assert set(rows) == {e.name for e in told.entries}
    for entry in told.entries:
        for task in told.tasks:
            shown = next(v for k, v in rows[entry.name].items() if k == f"{task.label}.score")
            assert float(shown) == pytest.approx(entry.score(task), abs=1e-9)


def test_commands_parse() -> None:
    commands = [
        line
        for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
        for line in block.replace("\\\n", " ").splitlines()
    ]
    ours = [shlex.split(c)[1:] for c in commands if c.startswith("anatomy ")]
    assert ours
    for words in ours:
        parser_for(words).parse_args(words)


def test_no_place_of_a_machine_and_less_than_two_megabytes() -> None:
    files = [p for p in FOLDER.iterdir() if p.is_file()]
    assert sum(p.stat().st_size for p in files) < 2_000_000
    for path in files:
        text = path.read_text("utf-8")
        assert not re.search(r"/(tmp|work|home|root)/", text), path.name
