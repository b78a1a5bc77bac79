"""What was computed of a mechanism, kept by the hash of all that it depends on: its text, the standard texts, and this package's source."""

from __future__ import annotations

import json
import os
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any


def folder() -> Path:
    """`$ANATOMY_CACHE`, else `anatomy` in the user's folder for caches."""
    named = os.environ.get("ANATOMY_CACHE")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "anatomy"


@cache
def source() -> str:
    """The hash of everything in the package that a normal form depends on."""
    root = Path(__file__).parent.parent
    found = blake2b(digest_size=16)
    for part in ("ir", "ops", "language", "rewrites", "library"):
        for path in sorted((root / part).rglob("*")):
            if path.suffix in (".py", ".anat", ".json"):
                found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def name(*parts: str) -> str:
    """A name for what depends on some texts."""
    return blake2b("\0".join((source(), *parts)).encode(), digest_size=16).hexdigest()


def read(key: str) -> Any:
    """What stands under a name, or None."""
    try:
        return json.loads((folder() / f"{key}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None


def write(key: str, data: Any) -> None:
    """Keep it, whole or not at all; a folder that cannot be written keeps nothing."""
    path = folder() / f"{key}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(f".{os.getpid()}")
        half.write_text(json.dumps(data), "utf-8")
        half.replace(path)
    except OSError:
        return
