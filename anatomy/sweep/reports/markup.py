"""Sentences as HTML: everything escaped, words between backticks in a fixed font."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape


def prose(words: str) -> str:
    """
    >>> prose("run `anatomy sweep resume` where a < b")
    'run <code>anatomy sweep resume</code> where a &lt; b'
    """
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", escape(words))


def bullets(items: Iterable[str], kind: str = "") -> str:
    rows = "".join(f"<li>{prose(w)}</li>" for w in items)
    return f"<ul{f' class={kind}' if kind else ''}>{rows}</ul>" if rows else ""
