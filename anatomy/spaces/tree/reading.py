"""Which places of a node a test is about: by label, by text, by number."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from anatomy.errors import fail
from anatomy.language.choices import Test
from anatomy.spaces.tree.node import Foreign, Node, Ranges
from anatomy.spaces.tree.options import Options
from anatomy.spaces.tree.value import Value

LISTED = 100_000
"""Values that are listed where a test is about one hole of several interchangeable ones."""

COMPARE: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip


def union(ranges: list[tuple[int, int]]) -> Ranges:
    """Sorted, disjoint and merged.

    >>> union([(4, 6), (0, 1), (1, 2), (5, 9)])
    ((0, 2), (4, 9))
    """
    found: list[tuple[int, int]] = []
    for start, stop in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        elif start < stop:
            found.append((start, stop))
    return tuple(found)


def complement(ranges: Ranges, count: int) -> Ranges:
    edges = [0, *(e for r in ranges for e in r), count]
    return tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b)


def places(node: Node, text: str) -> Ranges:
    """The places of the values with this text, or with this outermost label."""
    value = Value.parse(text)
    if not value.parts and not value.edges:
        found = node.labelled(value.label)
        if found:
            return found
    try:
        place = node.rank(value)
    except Foreign:
        return ()
    return ((place, place + 1),)


def tested(node: Node, test: Test) -> Ranges:
    """The places where a test holds; texts that are no value of the node hold nowhere. Raises AnatomyError E633."""
    if test.op in COMPARE:
        return _compared(node, test)
    found = union([r for text in test.values for r in places(node, text)])
    return complement(found, node.count) if test.op == "!=" else found


def tested_at(node: Node, test: Test, position: int) -> Ranges:
    """As `tested`, for the hole at a position of several interchangeable ones."""
    if node.count > LISTED:
        raise fail("E633", f"`{test.name}` is one of several interchangeable holes with {node.count:,} values; test all of them at once")
    wanted = [Value.parse(text) for text in test.values]
    if test.op in COMPARE:
        raise fail("E633", f"`{test.name}` is not a number")
    found = []
    for place in range(node.count):
        part = node.unrank(place).parts[position]
        hit = any(part == w or (part.label == w.label and not w.parts and not w.edges) for w in wanted)
        if hit != (test.op == "!="):
            found.append((place, place + 1))
    return union(found)


def _compared(node: Node, test: Test) -> Ranges:
    bound, found = number(test.values[0]), []
    if bound is None or not isinstance(node, Options):
        raise fail("E633", f"`{test.name} {test.op} {test.values[0]}` does not compare numbers")
    for label in node.labels:
        mine = number(label)
        if mine is None:
            if label == "none":
                continue
            raise fail("E633", f"`{test.name} {test.op} {test.values[0]}`: `{label}` is not a number")
        if COMPARE[test.op](mine, bound):
            found += node.labelled(label)
    return union(found)


def number(text: str) -> Fraction | None:
    if len(text) > 40:
        return None
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None
