"""Choosing mechanisms by what they claim, hold and say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from anatomy.errors import fail
from anatomy.language.scope import suggestion
from anatomy.library.entry import Entry


@dataclass(frozen=True)
class Wanted:
    """What is asked of a mechanism; None asks nothing."""

    causal: bool | None = None
    equivariant: bool | None = None
    length_generic: bool | None = None
    cost: str | None = None
    lipschitz: str | None = None
    folder: str | None = None
    part: str | None = None
    years: str | None = None
    words: Sequence[str] = ()


def select(found: Iterable[Entry], wanted: Wanted) -> list[Entry]:
    """Those that claim and hold all that is wanted.

    Raises AnatomyError E203 for a range of years that is none, and for a cost, folder or part that no mechanism has.
    """
    first, last = _years(wanted.years)
    found = list(found)
    _known("cost", wanted.cost, (e.head.values().get("cost") for e in found))
    _known("folder", wanted.folder, (e.folder for e in found))
    _known("part", wanted.part, (p.name for e in found for p in e.parts))
    return [e for e in found if first <= (e.head.year or 0) <= last and _claims(e, wanted) and _holds(e, wanted)]


def _claims(entry: Entry, wanted: Wanted) -> bool:
    have = entry.head.values()
    asked = {
        "causal": wanted.causal,
        "permutation-equivariant": wanted.equivariant,
        "length-generic": wanted.length_generic,
    }
    flags = all(v is None or have.get(k) == ("yes" if v else "no") for k, v in asked.items())
    return flags and wanted.cost in (None, have.get("cost")) and wanted.lipschitz in (None, have.get("lipschitz"))


def _holds(entry: Entry, wanted: Wanted) -> bool:
    if wanted.folder is not None and entry.folder != wanted.folder:
        return False
    if wanted.part is not None and all(p.name != wanted.part for p in entry.parts):
        return False
    head = entry.head
    text = " ".join((entry.name, entry.folder, head["title"], head["authors"], head["idea"], head["letters"], head.reference)).lower()
    return all(w.lower() in text for w in wanted.words)


def _known(what: str, word: str | None, have: Iterable[str | None]) -> None:
    known = sorted({h for h in have if h})
    if word is not None and known and word not in known:
        near = suggestion(word, known)
        some = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
        raise fail("E203", f"no mechanism has the {what} `{word}`", help=f"did you mean `{near}`?" if near else f"there are: {some}")


def _years(text: str | None) -> tuple[int, int]:
    if text is None:
        return 0, 9999
    first, dash, last = text.partition("-")
    if not (first or last) or not all(p.isdigit() or not p for p in (first, last)):
        raise fail("E203", f"`{text}` is no year and no range of years", help="for example `--years 2020-` or `--years 2017-2019`")
    return int(first or 0), int(last or 9999) if dash else int(first)
