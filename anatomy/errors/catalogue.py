"""The page of every code: why it is an error, a wrong example and a right one.

A page is Markdown in `pages/CODE.md`. Its first line is the title; a fence `anat wrong` holds text that gives exactly
this code when it is checked (`anat wrong compile d=512 h=7`: when it is compiled at these sizes), `anat right` text that
gives none; `python wrong` and `python right` hold code that raises it or does not, `sh wrong` a command. All are executed by a test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from anatomy.errors.diagnostic import fail

PAGES = Path(__file__).resolve().parent / "pages"


@dataclass(frozen=True)
class Example:
    """One fenced block of a page: its language, whether it is `wrong` or `right`, how it is run, and its text."""

    language: str
    verdict: str
    run: str
    text: str


@cache
def codes() -> tuple[str, ...]:
    """All codes in order, errors before warnings.

    >>> "E305" in codes()
    True
    """
    return tuple(sorted(path.stem for path in PAGES.glob("[EW][0-9][0-9][0-9].md")))


def page(code: str) -> str:
    """The page of a code, in Markdown. Raises AnatomyError: E203 where there is no such code.

    >>> page("E303").splitlines()[0]
    '# E303: a box names a lane'
    """
    if code not in codes():
        raise fail("E203", f"there is no code `{code}`", help="`anatomy explain` lists all")
    return (PAGES / f"{code}.md").read_text("utf-8")


def title(code: str) -> str:
    """What a code says, in a few words."""
    return page(code).splitlines()[0].partition(": ")[2]


def examples(text: str) -> list[Example]:
    """The fenced blocks of a Markdown text that are to be run."""
    found = re.findall(r"^```(anat|python|sh) *(wrong|right)? *([^\n]*)\n(.*?)^```$", text, re.M | re.S)
    return [Example(*parts) for parts in found]
