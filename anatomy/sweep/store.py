"""The record of a sweep: SQLite keyed by content, written by one coordinator, fed from the workers' journals.

A result belongs to the key of its job, never to the sweep that asked for it. States: pending, done,
failed(class), rejected(reason), pruned(rung). CPU times are kept apart, so that the record proper is the same in every run.
Older versions are opened as they are by readers and migrated by the coordinator (`migration.py`); a damaged store is set aside and made
again from the journals.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from anatomy.errors import fail
from anatomy.sweep import migration
from anatomy.sweep.config import Config
from anatomy.sweep.evaluate import Record
from anatomy.sweep.migration import VERSION, checksum
from anatomy.sweep.planning import Plan
from anatomy.sweep.replay import Replay
from anatomy.sweep.transports.records import UnsoundError, lines, read, result_of, torn

NAME = "store.sqlite"
SCHEMA = """
create table if not exists variants (
    place integer primary key, variant text, digest text, role text, name text, rank integer, choices text,
    aliases text, text text);
create table if not exists jobs (
    key text, place integer, number integer, stage text, task text, budget integer, seed integer, state text,
    class text, identity text not null default '', primary key (place, number));
create index if not exists jobs_key on jobs (key);
create table if not exists results (key text primary key, result text, checksum text not null default '');
create table if not exists failures (key text primary key, class text, traceback text);
create table if not exists timings (key text primary key, seconds real);
create table if not exists notes (name text primary key, value text);
"""


class Store:
    """One sweep's database. Only the coordinator, who holds the folder, opens it for writing; readers open it read-only.

    As a context it closes itself and says in clear words what the disk, the file or its permissions refuse.
    Raises AnatomyError E810 (of a newer version), E825 (damaged), E812 (no room), E813 (cannot be opened).
    """

    def __init__(self, folder: Path, readonly: bool = False):
        self.folder, self.path = folder, folder / NAME
        self.readonly = readonly
        self.warnings: tuple[str, ...] = ()
        """What was done to open it."""
        self.copy: Path | None = None
        with migration.plainly(folder):
            self.db = self._reading() if readonly else self._writing()

    def _writing(self) -> sqlite3.Connection:
        self.warnings = migration.prepare(self.path)
        db = sqlite3.connect(self.path, timeout=10)
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = normal")
        if migration.version(db) == 0:
            db.executescript(f"begin; {SCHEMA} pragma user_version = {VERSION}; commit;")
        return db

    def _reading(self) -> sqlite3.Connection:
        """Where the place cannot be written, a store that was not closed is read from a copy."""
        try:
            db, found = _readable(self.path)
        except sqlite3.OperationalError:
            if not self.path.is_file():
                raise
            self.copy = Path(tempfile.mkdtemp(prefix="anatomy-"))
            for suffix in ("", "-wal"):
                with suppress(FileNotFoundError):
                    shutil.copyfile(self.path.with_name(NAME + suffix), self.copy / (NAME + suffix))
            db, found = _readable(self.copy / NAME)
        if found > VERSION:
            db.close()
            raise migration.newer(f"`{self.path}`", found)
        missing = migration.lacking(db)
        if missing:
            db.close()
            raise sqlite3.DatabaseError(missing)
        return db

    def close(self) -> None:
        """A store that is closed in good order is one plain file, which can be read from any place."""
        if not self.readonly:
            with suppress(sqlite3.Error):
                self.db.execute("pragma busy_timeout = 0")  # a reader that looks on just now is no reason to wait
                self.db.execute("pragma journal_mode = delete")
        self.db.close()
        if self.copy is not None:
            shutil.rmtree(self.copy, ignore_errors=True)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        if error is not None:
            with migration.plainly(self.folder):
                raise error

    # planning -----------------------------------------------------------------------------------

    def same(self, config: Config) -> None:
        """Hold the configuration against the one that the store was made for. Raises AnatomyError E802."""
        asked, made = config.asked(), json.loads(self.notes().get("asked", "{}"))
        edited = [f"`{name}` was {made[name]!r} and is {value!r}" for name, value in asked.items() if name in made and made[name] != value]
        if edited:
            raise fail(
                "E802", f"the configuration in `{self.folder}` is not the one that this sweep began with: {'; '.join(edited)}",
                help="put it back, or start a new sweep in another folder; what both need is taken from the cache",
            )  # fmt: skip

    def install(self, plan: Plan, texts: Iterable[str]) -> None:
        """Write what is to be done; results stay, and rejections are decided anew."""
        with self.db:
            self.db.execute("delete from variants")
            self.db.execute("delete from jobs")
            for place, (v, text) in enumerate(zip(plan.variants, texts, strict=True)):
                aliases = [[a.index, a.reason] for a in v.aliases]
                self.db.execute(
                    "insert into variants values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (place, v.code, v.digest, v.role, v.name, v.rank, json.dumps(dict(v.choices)), json.dumps(aliases), text),
                )
                self.db.executemany(
                    "insert into jobs values (?, ?, ?, ?, ?, ?, ?, 'pending', '', ?)",
                    [(j.key, place, k, j.stage, j.task, j.budget, j.seed, j.identity) for k, j in enumerate(v.jobs)],
                )
            self.db.execute("update jobs set state = 'done' where key in (select key from results)")
            self.db.execute(
                "update jobs set state = 'failed', class = (select class from failures f where f.key = jobs.key) "
                "where state = 'pending' and key in (select key from failures where class in ('error', 'timeout'))"
            )
            self.note("counts", json.dumps(plan.counts))
            self.note("same_as", json.dumps({place: v.same_as for place, v in enumerate(plan.variants) if v.same_as}))
            self.note("evaluator", plan.evaluator)
            self.note("asked", json.dumps(plan.config.asked()))

    def note(self, name: str, value: str) -> None:
        self.db.execute("insert or replace into notes values (?, ?)", (name, value))

    def notes(self) -> dict[str, str]:
        return dict(self.db.execute("select name, value from notes"))

    # records ------------------------------------------------------------------------------------

    def put(self, record: Record) -> None:
        """Take in a finished job; the first result of a key stays, and a result outweighs a failure.

        Failures of class error and timeout are final until the evaluator, and with it the key, changes.
        """
        with self.db:
            self._put(record)

    def _put(self, record: Record) -> None:
        key, seconds = record["key"], record.get("seconds")
        seconds = None if seconds is None else float(seconds)
        self.db.execute("insert or ignore into timings values (?, ?)", (key, seconds))
        if record["state"] == "done":
            text = json.dumps(record["result"], sort_keys=True)
            new = self.db.execute("insert or ignore into results values (?, ?, ?)", (key, text, checksum(text))).rowcount
            if new:  # the time is that of the result, not of a failure before it
                self.db.execute("insert or replace into timings values (?, ?)", (key, seconds))
            self.db.execute("delete from failures where key = ?", (key,))
            self.db.execute("update jobs set state = 'done', class = '' where key = ? and state not in ('rejected', 'pruned')", (key,))
        elif not self.db.execute("select 1 from results where key = ?", (key,)).fetchone():
            kind, words = map(_storable, (record["class"], record["traceback"]))
            self.db.execute("insert or replace into failures values (?, ?, ?)", (key, kind, words))
            self.db.execute("update jobs set state = 'failed', class = ? where key = ? and state = 'pending'", (kind, key))

    def end(self, wheres: Iterable[tuple[int, int]], state: str, reason: str) -> None:
        """Jobs, by the place of their variant and their number, that are not run: rejected or pruned."""
        with self.db:
            self.db.executemany("update jobs set state = ?, class = ? where place = ? and number = ?", [(state, reason, *where) for where in wheres])

    def forget_failures(self) -> int:
        """Make every failure pending again: what `retry` does."""
        with self.db:
            return self.db.execute("delete from failures").rowcount

    def replay(self, journals: Path, stages: Mapping[str, str]) -> Replay:
        """Take in the workers' journals, as far as they belong to the plan, whose keys have these stages.

        A line that a kill has torn, or that is no record, is skipped: its job is done again. Records of other keys, of another plan or of
        older code, stay in their journals.
        """
        told = Replay()
        with self.db:
            for path in sorted(journals.glob("*.jsonl")):
                told.torn += torn(path)
                for line, end in lines(path):
                    told.ends[path] = end
                    try:
                        record = read(line, stages)
                    except UnsoundError as error:
                        told.skipped[str(error)] = told.skipped.get(str(error), 0) + 1
                        continue
                    if record["key"] in stages:
                        self._put(record)
                        told.taken += 1
                    else:
                        told.foreign += 1
        return told

    def cleanse(self, stages: Mapping[str, str]) -> int:
        """Forget results whose text is not what was written, so that they come from the journals or are made again; how many."""
        wrong = []
        for key, text, found in self.db.execute("select key, cast(result as blob), checksum from results"):
            try:
                if checksum(text) != found:
                    raise UnsoundError("checksum")
                result_of(stages.get(key, ""), json.loads(text))
            except ValueError:
                wrong.append((key,))
        with self.db:
            self.db.executemany("delete from results where key = ?", wrong)
        return len(wrong)

    # reading ------------------------------------------------------------------------------------

    def state(self, key: str) -> str | None:
        row = self.db.execute("select state from jobs where key = ?", (key,)).fetchone()
        return row and row[0]

    def result(self, key: str) -> dict[str, Any] | None:
        row = self.db.execute("select result from results where key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def tally(self) -> dict[str, int]:
        return dict(self.db.execute("select state, count(*) from jobs group by state order by state"))


def _readable(path: Path) -> tuple[sqlite3.Connection, int]:
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)
    try:
        return db, migration.version(db)
    except BaseException:
        db.close()
        raise


def _storable(words: str) -> str:
    """Lone surrogates, as names of files that are no text give them, cannot be stored."""
    return words.encode("utf-8", "backslashreplace").decode()
