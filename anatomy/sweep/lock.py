"""One coordinator in a folder at a time: a lock that goes with its process, however that ends, and a note of who holds it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from anatomy.errors import fail

LOCK, HOLDER = ".lock", ".holder.json"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, or be refused at once. Raises AnatomyError E804."""
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise fail("E804", f"another process works in `{folder}`{holder(folder)}", help="wait for it, or choose another folder") from None
    note = folder / HOLDER
    try:
        told = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")}
        note.write_text(json.dumps(told), "utf-8")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def holder(folder: Path) -> str:
    """Who holds a folder, in words, as far as it is known."""
    try:
        told = json.loads((folder / HOLDER).read_text("utf-8"))
        return f": process {told['pid']} on {told['host']}, since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
