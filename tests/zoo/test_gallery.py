"""The page of the zoo and its pictures are those that its files make."""

from __future__ import annotations

import re

from anatomy.library.entry import entries
from zoo import gallery


def test_page_and_pictures_are_current() -> None:
    assert not gallery.stale(), "run `python -m zoo.gallery`"


def test_the_page_holds_every_mechanism_once() -> None:
    text = gallery.page()
    assert sorted(re.findall(r"\*\*\[`(\w+)`\]\(", text)) == [e.name for e in entries()]
    for e in entries():
        assert e.head["idea"], f"{e.name} has no `# idea:`"
        assert e.head["idea"] in text.replace("\\|", "|")


def test_every_folder_is_described() -> None:
    assert {e.folder for e in entries()} <= set(gallery.FOLDERS)
