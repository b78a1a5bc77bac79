"""Stores of other versions and damaged ones: what is opened as it is, what is brought up to date, what is set aside, what is refused.

Version 1 has no number in its store (`user_version` 0); its `jobs` do not say what their keys hash, its results have no checksum.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from anatomy.errors import fail

VERSION = 2
TABLES = frozenset(("variants", "jobs", "results", "failures", "timings", "notes"))
FULL = frozenset((sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR))
DAMAGED = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
BUSY = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))
NO_ROOM = frozenset((errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)))
NO_ENTRY = frozenset((errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR))
ROOM = "make room, then `anatomy sweep resume` goes on; everything that was finished is kept"
REBUILD = "`anatomy sweep resume` sets it aside and makes it again from the journals in `log`"


def checksum(text: str | bytes) -> str:
    return blake2b(text if isinstance(text, bytes) else text.encode(), digest_size=8).hexdigest()


def newer(what: str, found: Any, known: int = VERSION) -> Exception:
    return fail(
        "E810", f"{what} was written by a newer version of anatomy: it has version {found}, and this one reads up to {known}",
        help="use the version of anatomy that made it, or a later one; nothing was changed",
    )  # fmt: skip


def version(db: sqlite3.Connection) -> int:
    """The version of a store; 0 where nothing has been written. Raises sqlite3.DatabaseError when it cannot be read."""
    (told,) = db.execute("pragma user_version").fetchone()
    if told:
        return told
    return int(bool(db.execute("select 1 from sqlite_master where name = 'jobs'").fetchone()))


def prepare(path: Path) -> tuple[str, ...]:
    """Make what lies at `path` a store of this version, or nothing; what was done, in words. Raises AnatomyError E810.

    Only the coordinator may call it, who holds the folder. A damaged store is set aside; an older one is copied and migrated in one transaction.
    """
    if not path.exists():
        return ()
    try:
        with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as db:
            found = version(db)
            if found > VERSION:
                raise newer(f"`{path}`", found)
            trouble = _trouble(db) if found else ""
            if not trouble and 0 < found < VERSION:
                return (_migrate(db, path, found),)
    except sqlite3.DatabaseError as error:
        if _kind(error) not in DAMAGED:
            raise
        trouble = str(error)
    if not trouble:
        return ()
    aside = _aside(path)
    return (f"the store was damaged ({trouble}); it is kept as {aside.name}, and a new one was made from the journals",)


def _trouble(db: sqlite3.Connection) -> str:
    """What is wrong with the file, or nothing."""
    words = [row[0] for row in db.execute("pragma integrity_check(1)")]
    if words != ["ok"]:
        return str(words[0]).splitlines()[-1]
    return lacking(db)


def lacking(db: sqlite3.Connection) -> str:
    """A table that a store of any version has and this one has not, in words, or nothing."""
    missing = TABLES - {name for (name,) in db.execute("select name from sqlite_master where type = 'table'")}
    return f"it has no table `{min(missing)}`" if missing else ""


def _migrate(db: sqlite3.Connection, path: Path, found: int) -> str:
    """Copy first; then all steps or none, as the number is part of the transaction."""
    copy = path.with_name(f"{path.name}.v{found}")
    if not copy.exists():
        draft = copy.with_name(copy.name + ".draft")
        draft.unlink(missing_ok=True)
        with closing(sqlite3.connect(draft)) as other:
            db.backup(other)
            other.execute("pragma journal_mode = delete")
        os.replace(draft, copy)
    db.create_function("checksum", 1, checksum, deterministic=True)
    db.execute("begin immediate")
    try:
        for step in STEPS[found]:
            db.execute(step)
        db.execute(f"pragma user_version = {VERSION}")
        db.execute("commit")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("rollback")
        raise
    return f"the store of version {found} was brought to version {VERSION}; the old one is kept as {copy.name}"


STEPS = {
    1: (
        "alter table jobs add column identity text not null default ''",
        "alter table results add column checksum text not null default ''",
        "update results set checksum = checksum(result)",
    )
}


def keep(path: Path, known: int) -> None:
    """Copy a configuration of an older version before it is written anew."""
    try:
        found = json.loads(path.read_text("utf-8")).get("version", 1)
    except (OSError, ValueError, AttributeError):
        return
    copy = path.with_name(f"{path.name}.v{found}")
    if isinstance(found, int) and found < known and not copy.exists():
        shutil.copyfile(path, copy)


def _aside(path: Path) -> Path:
    """Move a store and what belongs to it out of the way."""
    number = next(k for k in range(1, 10_000) if not path.with_name(f"{path.name}.damaged-{k}").exists())
    goal = path.with_name(f"{path.name}.damaged-{number}")
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.replace(path.with_name(path.name + suffix), goal.with_name(goal.name + suffix))
    os.replace(path, goal)
    return goal


@contextmanager
def plainly(folder: Path) -> Iterator[None]:
    """Faults of the disk, of the store and of permissions in clear words: E804, E825, E812, E813."""
    try:
        yield
    except sqlite3.Error as error:
        kind = _kind(error)
        if kind in FULL:
            raise fail("E812", f"cannot write the store in `{folder}`: {error}", help=ROOM) from error
        if kind in BUSY:
            raise fail("E804", f"another process works on the store in `{folder}`: {error}", help="wait for it, or choose another folder") from error
        if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            raise fail("E813", f"the store in `{folder}` cannot be opened: {error}", help="is the folder readable, and for a run writable?") from error
        if kind in DAMAGED or type(error) is sqlite3.DatabaseError:
            raise fail("E825", f"the store in `{folder}` is damaged: {error}", help=REBUILD) from error
        raise
    except OSError as error:
        words = f"`{error.filename or folder}`: {error.strerror or error}"
        if error.errno in NO_ROOM:
            raise fail("E812", f"cannot write {words}", help=ROOM) from error
        if error.errno in NO_ENTRY:
            raise fail("E813", f"the folder cannot be used: {words}", help="choose a folder that can be written") from error
        raise


def _kind(error: sqlite3.Error) -> int:
    """The primary code of a fault; texts that are no text are damage, for which the module has no code."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return sqlite3.SQLITE_CORRUPT if "decode" in str(error).lower() else sqlite3.SQLITE_ERROR
    return code & 0xFF
