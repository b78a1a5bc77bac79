"""The zoo as data: its entries with heads and parts, which parts may stand for each other, and what tells two apart."""

from anatomy.library.difference import Difference, difference
from anatomy.library.entry import Entry, Part, entries, entry
from anatomy.library.exchange import Group, groups
from anatomy.library.select import select

__all__ = ["Difference", "Entry", "Group", "Part", "difference", "entries", "entry", "groups", "select"]
