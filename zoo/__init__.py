"""The library of attention mechanisms: one `.anat` file each; here only their names, places and claims.

>>> names()[:3]
('alibi', 'bahdanau', 'causal_mha')
>>> metadata("mha")["arxiv"], metadata("mha")["claims"]["cost"]
('1706.03762', 'n^2')
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anatomy.errors import fail
from anatomy.library.entry import entry
from anatomy.target import zoo_files

__all__ = ["metadata", "names", "path"]


def names() -> tuple[str, ...]:
    """The mechanisms by name, sorted: `zoo:NAME` is the diagram NAME of its file. Spaces are not among them."""
    return tuple(sorted(n for n in zoo_files() if "/" not in n))


def path(name: str) -> Path:
    """The file of a mechanism, or of a space named `spaces/NAME`. Raises AnatomyError E203."""
    files = zoo_files()
    if name not in files:
        raise fail("E203", f"the zoo has no `{name}`", help="`zoo.names()` lists its mechanisms")
    return files[name]


def metadata(name: str) -> dict[str, Any]:
    """The head of a file: name, title, authors, year, arXiv id and claims. Raises AnatomyError E203."""
    path(name)
    return entry(name).data()
