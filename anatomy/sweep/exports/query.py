"""Questions in SQL, answered by DuckDB from tables in its memory: it reads no file, writes none, and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from anatomy.errors import fail
from anatomy.sweep.exports.frames import FRAMES, Frame
from anatomy.sweep.results import Results

SEALED = (
    "set temp_directory = ''", "set enable_external_access = false", "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false", "set python_enable_replacements = false", "set lock_configuration = true",
)  # fmt: skip
"""No files, no network, no extensions, no variables of this process, and no way back."""


@dataclass(frozen=True)
class Answer:
    """Names of columns, and rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def ask(found: Results, sql: str) -> Answer:
    """What one statement that only reads answers. Raises AnatomyError E806 where it does not, or DuckDB is not installed.

    The tables are variants, runs, curves, failures and holes.
    """
    duckdb = _duckdb()
    db = connected({name: make(found) for name, make in FRAMES.items()})
    try:
        for line in SEALED:
            db.execute(line)
        statements = db.extract_statements(sql)
        reading = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
        if len(statements) != 1 or statements[0].type not in reading:
            raise fail("E806", "a query is one statement that only reads", help='for example `select variant, score from runs where state = \'done\'`')
        answer = db.execute(statements[0])
        return Answer(tuple(column[0] for column in answer.description), tuple(answer.fetchall()))
    except duckdb.Error as error:
        words = " ".join("".join(c if c.isprintable() else "\n" for c in str(error)).strip().split("\n\n")[0].split("\n"))
        raise fail("E806", words, help=f"the tables are {', '.join(FRAMES)}; `describe runs` lists the columns of one") from None
    finally:
        db.close()


def connected(frames: Mapping[str, Frame]) -> Any:
    """A database in memory with these tables. Raises AnatomyError E806 where DuckDB is not installed."""
    db = _duckdb().connect(":memory:")
    for name, frame in frames.items():
        head = ", ".join(f"{quoted(n)} {kind}" for n, kind in zip(frame.names, frame.kinds, strict=True))
        db.execute(f"create table {quoted(name)} ({head})")
        if frame.columns and frame.columns[0]:
            values = ", ".join(f"unnest(${k}::{kind}[])" for k, kind in enumerate(frame.kinds, 1))
            db.execute(f"insert into {quoted(name)} select {values}", [list(column) for column in frame.columns])
    return db


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _duckdb() -> Any:
    try:
        return import_module("duckdb")
    except ImportError:
        raise fail("E806", "DuckDB is not installed", help="`pip install 'attention-anatomy[export]'`; .csv and .json need nothing") from None
