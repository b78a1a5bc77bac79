"""Stores of version 1 and of the future, damaged ones, edited configurations: nothing lost, clear words."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from anatomy import sweep
from anatomy.cli import main
from anatomy.errors import AnatomyError
from anatomy.sweep.migration import VERSION
from anatomy.sweep.store import Store

OLD = Path(__file__).resolve().parent / "data" / "sweep_v1"
"""A sweep of the toy space `bad` as version 1 wrote it: no number in the store."""
TOY = "tests.sweep.sweep_toy"


def run(toys: Path, folder: Path, **options: object) -> sweep.Status:
    given = {"transport": "inline", "certify": False, "cache": folder.with_suffix(".cache"), **options}
    return sweep.run(f"{toys}::good", folder, (TOY,), **given)  # type: ignore[arg-type]


@pytest.fixture
def old(tmp_path: Path, toys: Path) -> Path:
    folder = tmp_path / "old"
    shutil.copytree(OLD, folder)
    config = json.loads((folder / "sweep.json").read_text())
    (folder / "sweep.json").write_text(json.dumps({**config, "path": str(toys), "cache": str(tmp_path / "cache")}))
    return folder


def content(path: Path, *tables: str) -> dict[str, list[tuple[object, ...]]]:
    db = sqlite3.connect(path)
    try:
        columns = {"results": "key, result", "failures": "key, class, traceback", "timings": "key, seconds"}
        return {t: sorted(db.execute(f"select {columns[t]} from {t}")) for t in tables}
    finally:
        db.close()


def number(path: Path) -> int:
    db = sqlite3.connect(path)
    try:
        return db.execute("pragma user_version").fetchone()[0]
    finally:
        db.close()


def test_readers_open_version_1_as_it_is(old: Path) -> None:
    before = (old / "store.sqlite").read_bytes()
    found = sweep.status(old)
    assert (found.variants, found.done, found.failed, found.rejected, found.pending) == (9, 11, 3, 5, 0)
    table = json.loads(sweep.export(old, old / "out.json").read_text())
    assert len(table) == 9
    assert "E403" in next(r for r in table if r["state"] == "failed")["failures"][0]["traceback"]
    assert "bad_0" in sweep.report(old).read_text("utf-8")
    assert (old / "store.sqlite").read_bytes() == before
    assert number(old / "store.sqlite") == 0


def test_resume_migrates_version_1_after_a_copy(old: Path) -> None:
    before = content(old / "store.sqlite", "results", "failures", "timings")
    config = json.loads((old / "sweep.json").read_text())
    found = sweep.resume(old, transport="inline")
    assert found.complete
    assert number(old / "store.sqlite") == VERSION
    assert content(old / "store.sqlite.v1", "results", "failures", "timings") == before
    assert number(old / "store.sqlite.v1") == 0
    after = content(old / "store.sqlite", "results", "failures", "timings")
    for name, rows in before.items():
        assert set(rows) <= set(after[name])
    assert json.loads((old / "sweep.json.v1").read_text()) == config
    assert json.loads((old / "sweep.json").read_text())["version"] == 2
    assert "brought to version 2" in found.warnings[0]
    assert sweep.resume(old, transport="inline").warnings == ()


def test_a_migration_that_is_stopped_changes_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from anatomy.sweep import migration

    before = content(old / "store.sqlite", "results", "failures", "timings")
    monkeypatch.setitem(migration.STEPS, 1, (*migration.STEPS[1], "insert into no_such_table values (1)"))
    with pytest.raises(sqlite3.OperationalError):
        sweep.resume(old, transport="inline")
    assert number(old / "store.sqlite") == 0
    assert content(old / "store.sqlite", "results", "failures", "timings") == before
    monkeypatch.undo()
    assert sweep.resume(old, transport="inline").complete


def test_a_migrated_result_is_not_made_again(toys: Path, tmp_path: Path) -> None:
    """A store of this code's keys, taken back to version 1."""
    folder = tmp_path / "a"
    run(toys, folder)
    table = (folder / "table.csv").read_bytes()
    db = sqlite3.connect(folder / "store.sqlite")
    db.executescript(
        "alter table jobs drop column identity; alter table results drop column checksum; delete from notes where name = 'asked'; pragma user_version = 0;"
    )
    db.close()
    shutil.rmtree(folder / "log")
    shutil.rmtree(folder.with_suffix(".cache"))
    assert sweep.resume(folder, transport="inline").complete
    assert (folder / "table.csv").read_bytes() == table
    assert not any(p.read_bytes() for p in (folder / "log").iterdir())


def test_the_future_is_refused(old: Path, toys: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    run(toys, folder)
    db = sqlite3.connect(folder / "store.sqlite")
    db.execute("pragma user_version = 77")
    db.close()
    before = (folder / "store.sqlite").read_bytes()
    for act in (sweep.status, sweep.report, lambda f: sweep.export(f, f / "x.csv"), lambda f: sweep.resume(f, transport="inline")):
        with pytest.raises(AnatomyError, match=r"E810.*version 77"):
            act(folder)
    assert (folder / "store.sqlite").read_bytes() == before
    config = json.loads((old / "sweep.json").read_text())
    (old / "sweep.json").write_text(json.dumps({**config, "version": 9, "field_of_the_future": 1}))
    with pytest.raises(AnatomyError, match=r"E810.*version 9"):
        sweep.status(old)


# damage --------------------------------------------------------------------------------------------


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


def overwrite(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 : 4096 * 4] = random.Random(0).randbytes(4096 * 3)
    path.write_bytes(bytes(data))


def head(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(5000))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def lacking(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("drop table failures")
    db.commit()
    db.close()


@pytest.mark.parametrize("damage", [cut, overwrite, head, lacking, emptied])
def test_a_damaged_store_is_made_again_from_the_journals(damage: Callable[[Path], None], toys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, spent = tmp_path / "a", tmp_path / "spent"
    given = {"transport": "inline", "certify": False, "cache": tmp_path / "cache"}
    sweep.run(f"{toys}::good", folder, (f"{TOY}:spend={spent}",), **given)  # type: ignore[arg-type]
    table, trained = (folder / "table.csv").read_bytes(), spent.read_text()
    shutil.rmtree(tmp_path / "cache")
    damage(folder / "store.sqlite")
    broken = (folder / "store.sqlite").read_bytes()
    with pytest.raises(AnatomyError, match="E825"):
        sweep.status(folder)
    assert main(["sweep", "status", str(folder)]) == 1
    assert "anatomy sweep resume" in capsys.readouterr().err
    found = sweep.resume(folder, transport="inline")
    assert found.complete
    assert spent.read_text() == trained
    assert (folder / "table.csv").read_bytes() == table
    if damage is not emptied:
        assert (folder / "store.sqlite.damaged-1").read_bytes() == broken
        assert "kept as store.sqlite.damaged-1" in found.warnings[0]


def test_a_result_that_was_changed_in_the_file_is_found(toys: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    run(toys, folder)
    table = (folder / "table.csv").read_bytes()
    db = sqlite3.connect(folder / "store.sqlite")
    db.execute("update results set result = json_set(result, '$.score', 0.999) where key = (select key from jobs where stage = 'train' limit 1)")
    db.commit()
    db.close()
    found = sweep.resume(folder, transport="inline", progress=False)
    assert "1 results in the store were damaged" in found.warnings[0]
    assert (folder / "table.csv").read_bytes() == table


def test_journals_hold_what_came_from_the_cache(toys: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    run(toys, tmp_path / "a", cache=cache)
    run(toys, tmp_path / "b", cache=cache)
    table = (tmp_path / "b" / "table.csv").read_bytes()
    shutil.rmtree(cache)
    head(tmp_path / "b" / "store.sqlite")
    found = sweep.resume(tmp_path / "b", transport="inline")
    assert found.complete
    assert (tmp_path / "b" / "table.csv").read_bytes() == table == (tmp_path / "a" / "table.csv").read_bytes()
    assert not any(p.read_bytes() for p in (tmp_path / "b" / "log").glob("0*.jsonl"))


# configurations and places --------------------------------------------------------------------------


def test_an_edited_configuration_is_noticed(toys: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    run(toys, folder)
    config = json.loads((folder / "sweep.json").read_text())
    (folder / "sweep.json").write_text(json.dumps({**config, "seed": 5}))
    with pytest.raises(AnatomyError, match=r"E802.*`seed` was 0 and is 5"):
        sweep.resume(folder, transport="inline")
    for text in ("{", "[]", "null", json.dumps({**config, "colour": 1}), json.dumps({**config, "radius": "wide"}), "\x00"):
        (folder / "sweep.json").write_text(text)
        with pytest.raises(AnatomyError, match="E803"):
            sweep.resume(folder, transport="inline")
    (folder / "sweep.json").write_text(json.dumps(config))
    assert sweep.resume(folder, transport="inline").complete


def test_a_folder_that_is_a_file(toys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(AnatomyError, match="E813"):
            run(toys, folder)
        with pytest.raises(AnatomyError, match="E803"):
            sweep.status(folder)
    assert main(["sweep", "run", f"{toys}::good", "--out", str(tmp_path / "file"), "--tasks", TOY]) == 1
    assert "E813" in capsys.readouterr().err


def mounted(place: Path, options: str) -> bool:
    if os.name != "posix" or os.geteuid() != 0:
        return False
    return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True).returncode == 0


def test_a_place_that_can_only_be_read(toys: Path, tmp_path: Path) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    if not mounted(place, "size=8m"):
        pytest.skip("only root can mount a file system here")
    try:
        folder = place / "a"
        run(toys, folder, cache=tmp_path / "cache")
        left = place / "left"
        shutil.copytree(folder, left)
        writer = sqlite3.connect(left / "store.sqlite")  # as a kill leaves it: with a log of what was written last
        writer.execute("pragma journal_mode = wal")
        writer.execute("insert into notes values ('last', 'word')")
        writer.commit()
        killed = place / "killed"
        shutil.copytree(left, killed)
        (killed / "store.sqlite-shm").unlink()
        writer.close()
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        for there in (folder, killed):
            assert sweep.status(there).complete
            assert sweep.export(there, tmp_path / "out.csv").read_bytes() == (folder / "table.csv").read_bytes()
            with pytest.raises(AnatomyError, match="E813"):
                sweep.resume(there, transport="inline")
        store = Store(killed, readonly=True)
        assert store.notes()["last"] == "word"
        store.close()
        with pytest.raises(AnatomyError, match="E813"):
            sweep.report(folder)
        with pytest.raises(AnatomyError, match="E813"):
            run(toys, place / "new")
    finally:
        subprocess.run(["umount", str(place)], check=True)
