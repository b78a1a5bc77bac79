"""The record of a sweep: SQLite keyed by content, written by one coordinator, fed from the workers' journals.

A result belongs to the key of its job, never to the sweep that asked for it. States: pending, done,
failed(class), rejected(reason). CPU times are kept apart, so that the record proper is the same in every run.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from anatomy.sweep.evaluate import Record
from anatomy.sweep.planning import Plan

NAME = "store.sqlite"
SCHEMA = """
create table if not exists variants (
    place integer primary key, variant text, digest text, role text, name text, rank integer, choices text,
    aliases text, text text);
create table if not exists jobs (
    key text, place integer, number integer, stage text, task text, budget integer, seed integer, state text,
    class text, primary key (place, number));
create index if not exists jobs_key on jobs (key);
create table if not exists results (key text primary key, result text);
create table if not exists failures (key text primary key, class text, traceback text);
create table if not exists timings (key text primary key, seconds real);
create table if not exists notes (name text primary key, value text);
"""


class Store:
    """One sweep's database. Only the coordinator opens it for writing; readers open it read-only."""

    def __init__(self, folder: Path, readonly: bool = False):
        path = folder / NAME
        if readonly:
            self.db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)
        else:
            self.db = sqlite3.connect(path, timeout=10)
            self.db.execute("pragma journal_mode = wal")
            self.db.execute("pragma synchronous = normal")
            self.db.executescript(SCHEMA)

    def close(self) -> None:
        self.db.close()

    # planning -----------------------------------------------------------------------------------

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
                    "insert into jobs values (?, ?, ?, ?, ?, ?, ?, 'pending', '')",
                    [(j.key, place, k, j.stage, j.task, j.budget, j.seed) for k, j in enumerate(v.jobs)],
                )
            self.db.execute("update jobs set state = 'done' where key in (select key from results)")
            self.db.execute(
                "update jobs set state = 'failed', class = (select class from failures f where f.key = jobs.key) "
                "where state = 'pending' and key in (select key from failures where class in ('error', 'timeout'))"
            )
            counts = {"derivations": plan.derivations, "typed": plan.typed, "canonical": plan.canonical}
            self.note("counts", json.dumps(counts))
            self.note("evaluator", plan.evaluator)

    def note(self, name: str, value: str) -> None:
        self.db.execute("insert or replace into notes values (?, ?)", (name, value))

    def notes(self) -> dict[str, str]:
        return dict(self.db.execute("select name, value from notes"))

    # records ------------------------------------------------------------------------------------

    def put(self, record: Record) -> None:
        """Take in a finished job; the first result of a key stays, and a result outweighs a failure.

        Failures of class error and timeout are final until the evaluator, and with it the key, changes.
        """
        key = record["key"]
        with self.db:
            self.db.execute("insert or ignore into timings values (?, ?)", (key, record.get("seconds")))
            if record["state"] == "done":
                self.db.execute("insert or ignore into results values (?, ?)", (key, json.dumps(record["result"], sort_keys=True)))
                self.db.execute("delete from failures where key = ?", (key,))
                self.db.execute("update jobs set state = 'done', class = '' where key = ?", (key,))
            elif self.result(key) is None:
                self.db.execute("insert or replace into failures values (?, ?, ?)", (key, record["class"], record["traceback"]))
                self.db.execute("update jobs set state = 'failed', class = ? where key = ? and state = 'pending'", (record["class"], key))

    def reject(self, place: int, number: int, reason: str) -> None:
        with self.db:
            self.db.execute("update jobs set state = 'rejected', class = ? where place = ? and number = ?", (reason, place, number))

    def forget_failures(self) -> int:
        """Make every failure pending again: what `retry` does."""
        with self.db:
            return self.db.execute("delete from failures").rowcount

    def replay(self, journals: Path) -> int:
        """Take in the workers' journals; a line that a kill has torn is skipped, for its job is done again."""
        count = 0
        for path in sorted(journals.glob("*.jsonl")):
            for line in path.read_bytes().split(b"\n"):
                try:
                    record = json.loads(line)
                    known = isinstance(record["key"], str) and record["state"] in ("done", "failed")
                except (ValueError, KeyError, TypeError):
                    continue
                if known:
                    self.put(record)
                    count += 1
        return count

    # reading ------------------------------------------------------------------------------------

    def state(self, key: str) -> str | None:
        row = self.db.execute("select state from jobs where key = ?", (key,)).fetchone()
        return row and row[0]

    def result(self, key: str) -> dict[str, Any] | None:
        row = self.db.execute("select result from results where key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def tally(self) -> dict[str, int]:
        return dict(self.db.execute("select state, count(*) from jobs group by state order by state"))


class Cache:
    """Finished results of other sweeps, one small file for each key, written whole or not at all."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def get(self, key: str) -> Record | None:
        try:
            record = json.loads(self.path(key).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) and record.get("key") == key else None

    def put(self, record: Record) -> None:
        if record["state"] != "done":
            return
        path = self.path(record["key"])
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(f".{os.getpid()}.draft")
            draft.write_text(json.dumps(record, sort_keys=True), "utf-8")
            os.replace(draft, path)
