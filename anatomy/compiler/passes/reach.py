"""How far apart a row and the keys that a mask lets it read can be.

    0 <= i - j and (i - j <= 127 or j <= 3)    reaches 127 back, and the first 4 keys.

Converts: a `Formula` into bounds on i - j, on i, on j, on blocks of positions and on residues, one `Box` for every part of an `or`;
and boxes into a `Reach`: blocks of queries with one range of keys each, and keys that all read. Both hold more pairs than the
formula, never fewer; the formula itself says which of them are seen.
Non-goals: bounds that depend on a length that is read at run time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from itertools import product
from math import gcd, inf, lcm

from anatomy.compiler.passes.formula import Atom, Every, Floor, Formula, Linear, whole

MOST = 32
"""Boxes of one formula that are looked at."""
BLOCK, SMALL, WIDTH = 64, 32, 16
"""Queries of one block, of one that reads no more than that beside its own keys, and what the keys of a block are a multiple of.

Measured with PyTorch 2.13 on a processor, 4 heads of 64 features, n = 2048, forward, and forward and backward, in the time of the
whole mask: w = 128 with blocks of 32, 64, 128 and 256: 0.15, 0.12, 0.16, 0.21 and 0.17, 0.14, 0.17, 0.21; w = 32 with 16, 32, 64, 128: 0.09,
0.10, 0.12, 0.14; w = 512 with 64, 128, 256: 0.31, 0.37, 0.41. One key less than a multiple of 16 costs a tenth.
"""

Interval = tuple[float, float]
ALL: Interval = (-inf, inf)
APART = Linear.at("i") - Linear.at("j")


@dataclass(frozen=True)
class Box:
    """Bounds that hold together: on i - j, i, j, on floor(i / size) - floor(j / size), on j % period, and a divisor of i - j."""

    apart: Interval = ALL
    row: Interval = (0, inf)
    key: Interval = (0, inf)
    size: int = 1
    blocks: Interval = ALL
    period: int = 1
    rest: Interval = ALL
    divisor: int = 1

    def meet(self, other: Box) -> Box:
        """Both at once; of two kinds of blocks or periods the greater."""
        a, b = (self, other) if self.size >= other.size else (other, self)
        c, d = (self, other) if self.period >= other.period else (other, self)
        return Box(
            cut(self.apart, other.apart), cut(self.row, other.row), cut(self.key, other.key),
            a.size, cut(a.blocks, b.blocks) if a.size == b.size else a.blocks,
            c.period, cut(c.rest, d.rest) if c.period == d.period else c.rest, lcm(self.divisor, other.divisor),
        ).settled()  # fmt: skip

    def settled(self) -> Box:
        """Bounds on i - j that follow from the others."""
        (low, high), p = self.blocks, self.size
        apart = cut(self.apart, (p * (low - 1) + 1, p * (high + 1) - 1))
        return replace(self, apart=cut(apart, (self.row[0] - self.key[1], self.row[1] - self.key[0])))

    @property
    def empty(self) -> bool:
        return any(low > high for low, high in (self.apart, self.row, self.key, self.blocks, self.rest))


@dataclass(frozen=True)
class Reach:
    """Blocks of so many queries, the keys in front of and behind each, and keys and rows that are apart.

    With a step, blocks are made of every so manieth query and key, and `before` and `after` count these; `block` 0 is all of them.
    """

    block: int
    before: int
    after: int
    step: int = 1
    first: int = 0
    """So many keys from the first on are read from afar."""
    columns: tuple[int, int, int] | None = None
    """Or those whose place in a period, the first number, is from the second number to before the third."""
    rows: int = 0
    """So many rows from the first on read keys of any distance."""

    @property
    def span(self) -> int:
        return self.before + self.block + self.after


def cut(a: Interval, b: Interval) -> Interval:
    return max(a[0], b[0]), min(a[1], b[1])


def boxes(formula: Formula) -> list[Box]:
    """Boxes that hold all pairs of which a formula is true; too many of them become one without bounds."""
    if isinstance(formula, Atom):
        return [bounds(formula)]
    if isinstance(formula, Every):
        found = [Box()]
        for part in formula.parts:
            found = [met for a, b in product(found, boxes(part)) if not (met := a.meet(b)).empty]
            if len(found) > MOST:
                return [Box()]
        return list(dict.fromkeys(found))
    return list(dict.fromkeys(b for part in formula.parts for b in boxes(part)))


def bounds(atom: Atom) -> Box:
    """What one comparison says; the box without bounds where it is of no known form."""
    one = half(atom.of)
    return one.meet(half(-atom.of)) if atom.equal else one


def half(x: Linear) -> Box:
    """What `x >= 0` says."""
    found = straight(x)
    floors = [(t, int(f)) for t, f in x.terms if isinstance(t, Floor)]
    if len(floors) == len(x.terms) == 2 and floors[0][0].by == floors[1][0].by:
        sides = {side: f for side in ("i", "j") for t, f in floors if t.of == Linear.at(side)}  # type: ignore[arg-type]
        if len(sides) == 2 and sides["i"] + sides["j"] == 0:
            found = found.meet(Box(size=floors[0][0].by, blocks=above(sides["i"], int(x.constant))))
    if len(floors) == 1:
        (term, factor), c = floors[0], int(x.constant)
        times = -factor // term.by  # times (y % by) + c >= 0
        if factor % term.by == 0 and x + Linear.at(term) * (times * term.by) - term.of * times == Linear.of(c):
            rest = cut((0, term.by - 1), above(times, c))
            if term.of == Linear.at("j"):
                found = found.meet(Box(period=term.by, rest=rest))
            elif term.of in (APART, -APART) and rest == (0, 0):
                found = found.meet(Box(divisor=term.by))
    return found


def straight(x: Linear) -> Box:
    """What `x >= 0` says of i, of j or of i - j, where every floor is taken for what it is at most."""
    while floors := [(t, f) for t, f in x.terms if isinstance(t, Floor)]:
        for term, factor in floors:
            most = term.of if factor > 0 else term.of - Linear.of(term.by - 1)
            x += (most * Fraction(1, term.by) - Linear.at(term)) * factor
    if x.maximum() is not None:
        return Box()
    x = whole(x)
    i, j, c = int(x.factor("i")), int(x.factor("j")), int(x.constant)
    if i and j:
        return Box(apart=above(i, c)).settled() if i + j == 0 else Box()
    if not i and not j:
        return Box() if c >= 0 else Box(apart=(1, 0))
    return Box(row=cut((0, inf), above(i, c))).settled() if i else Box(key=cut((0, inf), above(j, c))).settled()


def above(factor: int, constant: int) -> Interval:
    """x, where `factor x + constant >= 0`."""
    return (-(constant // factor), inf) if factor > 0 else (-inf, constant // -factor)


def reach(formula: Formula) -> Reach | None:
    """Blocks for a mask, where it bounds what most rows read."""
    found = [b for b in boxes(formula) if not b.empty]
    step = reduce(gcd, (b.divisor for b in found), 0)
    if not found:
        return None
    return (dilated(found, step) if step > 1 else None) or near_and_far(found)


def dilated(found: list[Box], step: int) -> Reach:
    """Rows that read only keys at multiples of a step."""
    low, high = hull(b.apart for b in found)
    if low == -inf or high == inf:
        return Reach(0, 0, 0, step)
    before, after = max(0, int(high) // step), max(0, -int(low) // step)
    return even(queries(before + after), before, after, step)


def near_and_far(found: list[Box]) -> Reach | None:
    """Rows that read keys near to them, and a few others that all rows read; a few rows may read more."""
    near: list[Box] = []
    columns: tuple[int, int, int] | None = None
    first = rows = 0
    for b in found:
        if b.apart[0] > -inf and b.apart[1] < inf:
            near.append(b)
        elif b.key[1] < inf:
            first = max(first, int(b.key[1]) + 1)
        elif b.row[1] < inf:
            rows = max(rows, int(b.row[1]) + 1)
        elif b.period > 1 and columns in (None, (b.period, int(b.rest[0]), int(b.rest[1]) + 1)):
            columns = (b.period, int(b.rest[0]), int(b.rest[1]) + 1)
        else:
            return None
    if not near or (first and columns):
        return None
    ways = [placed(near, size) for size in dict.fromkeys((1, *(b.size for b in near)))]
    return replace(min(ways, key=lambda r: r.span), first=first, columns=columns, rows=rows)


def placed(near: list[Box], size: int) -> Reach:
    """Blocks of queries that are whole blocks of so many positions, and the keys that they reach."""
    before = after = 0
    for b in near:
        ahead, back = -b.apart[0], b.apart[1]
        if b.size == size > 1:
            ahead, back = min(ahead, -size * b.blocks[0]), min(back, size * b.blocks[1])
        before, after = max(before, int(back)), max(after, int(ahead))
    block = queries(before + after)
    return even(block, before, after) if size == 1 else Reach(size * max(1, round(block / size)), before, after)


def queries(others: int) -> int:
    """How many make a block that reads so many keys beside its own."""
    return SMALL if others <= SMALL else BLOCK


def even(block: int, before: int, after: int, step: int = 1) -> Reach:
    """Keys of a block rounded up to a multiple that the kernel is fast at."""
    return Reach(block, before - (before + block + after) % -WIDTH, after, step)


def hull(intervals: Iterable[Interval]) -> Interval:
    lows, highs = zip(*intervals, strict=True)
    return min(lows), max(highs)
