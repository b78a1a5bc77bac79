"""What a rule is tried with: sizes, numbers and maps together, and the entries that its conditions allow."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

from anatomy.ir.graph import Diagram
from anatomy.language.rules import Condition, Rule, samples
from anatomy.ops import Map
from anatomy.rewrites import trial
from anatomy.rewrites.instance import Unary, Unfit, free, instance
from anatomy.rewrites.tensor import Tensor

TRIED: tuple[str, ...] = ("map 1", "relu", "exp", "map 2", "square", "neg", "sign", "tanh")
"""Functions that stand for a map in float64, the first and the fourth without any property."""
TRIED_AT_ZERO: tuple[str, ...] = ("map0 1", "relu", "map0 2", "square", "neg", "sign", "tanh")
"""The same for a map that is 0 at 0."""
NUMBERS = 8
"""Values of the numbers of a rule that are tried."""


@dataclass(frozen=True)
class Domain:
    """Which reals a parameter may hold."""

    low: Fraction | None = None
    high: Fraction | None = None
    low_open: bool = False
    high_open: bool = False
    without: frozenset[Fraction] = frozenset()

    def holds(self, x: float) -> bool:
        if self.low is not None and (x < self.low or (self.low_open and x == self.low)):
            return False
        if self.high is not None and (x > self.high or (self.high_open and x == self.high)):
            return False
        return not any(x == w for w in self.without)

    def draw(self, x: float, rng: random.Random) -> float:
        """A real of the domain, `x` where it is one."""
        for _ in range(20):
            if self.holds(x):
                return x
            if self.low is not None and self.high is not None:
                x = float(self.low) + rng.random() * float(self.high - self.low)
            elif self.low is not None:
                x = float(self.low) + abs(rng.gauss(0, 1))
            elif self.high is not None:
                x = float(self.high) - abs(rng.gauss(0, 1))
            else:
                x = rng.gauss(0, 1)
        return x


@dataclass(frozen=True)
class Case:
    """One choice of sizes (for either side), numbers and maps, with both sides as they are then."""

    sizes: tuple[Mapping[str, int], Mapping[str, int]]
    sides: tuple[Diagram, Diagram]
    numbers: Mapping[str, Fraction]
    maps: Mapping[str, str]
    conditions: tuple[Condition, ...] = ()

    @property
    def left(self) -> Diagram:
        return self.sides[0]

    @property
    def shown(self) -> dict[str, int]:
        return {**self.sizes[1], **self.sizes[0]}

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """The reals that each parameter may hold, where a condition speaks of it."""
        found: dict[str, Domain] = {}
        for c in self.conditions:
            name = c.wire
            if name is None or c.sign in ("some", "vanishes"):
                continue
            before = found.get(name, Domain())
            first = c.left.form == "wire"
            bound = (c.right if first else c.left).at(self.numbers, self.shown)
            assert bound is not None
            found[name] = _narrowed(before, c.sign, bound, first)
        return found

    @cached_property
    def rows(self) -> dict[str, list[tuple[str, ...]]]:
        """The axes along which each row of a parameter has a true or finite entry."""
        found: dict[str, list[tuple[str, ...]]] = {}
        for c in self.conditions:
            if c.sign == "some" and c.wire is not None:
                found.setdefault(c.wire, []).append(c.axes)
        return found

    def inputs(self, numbers: Any, rng: random.Random, draw: trial.Draw, added: Mapping[str, tuple[str, ...]]) -> dict[str, Tensor]:
        """Random tensors that satisfy the conditions."""
        given = trial.inputs(self.left, self.sizes[0], numbers, rng, draw, added, self.domains)
        for name, rows in self.rows.items():
            t = given[name]
            mask = not t.data or isinstance(t.data[0], bool)
            if not mask and numbers.name != "dual":
                continue
            here = [e if mask else rng.random() < 0.6 for e in t.data]
            for axes in rows:
                for row in groups(t, axes):
                    if not any(here[i] for i in row):
                        here[rng.choice(row)] = True
            given[name] = Tensor(t.axes, t.shape, here if mask else [e if k else numbers.low() for e, k in zip(t.data, here, strict=True)])
        return given


def _narrowed(d: Domain, sign: str, bound: Fraction, first: bool) -> Domain:
    if sign == "!=":
        return Domain(d.low, d.high, d.low_open, d.high_open, d.without | {bound})
    strictly = sign == "<"
    if first:  # the parameter is the lesser
        if d.high is not None and (d.high < bound or (d.high == bound and d.high_open)):
            return d
        return Domain(d.low, bound, d.low_open, strictly, d.without)
    if d.low is not None and (d.low > bound or (d.low == bound and d.low_open)):
        return d
    return Domain(bound, d.high, strictly, d.high_open, d.without)


def groups(t: Tensor, axes: tuple[str, ...]) -> list[list[int]]:
    """The places of the entries of each row along some axes."""
    places = Tensor(t.axes, t.shape, list(range(len(t.data))))
    rest = tuple(a for a in t.axes if a not in axes)
    order = (*rest, *(a for a in t.axes if a in axes))
    laid = places.laid(order).data
    width = 1
    for a in t.axes:
        if a in axes:
            width *= t.size(a)
    return [laid[i : i + width] for i in range(0, len(laid), width)]


@dataclass
class Cases:
    """All that one rule is tried with. `exact` leaves maps random functions, and tries numbers without any property too."""

    rule: Rule
    seed: int
    made: dict[object, tuple[Diagram, Diagram] | None] = field(default_factory=dict)

    @cached_property
    def sizes(self) -> list[tuple[dict[str, int], dict[str, int]]]:
        plain = [c for c in self.rule.conditions if c.wire is None]

        def allowed(tables: tuple[dict[str, int], dict[str, int]]) -> bool:
            shown = {**tables[1], **tables[0]}
            return not plain or bool(samples(self.rule.variables, plain, 1, shown))

        return trial.assignments(self.rule.left, self.rule.right, random.Random(f"{self.seed} sizes"), allowed)

    def of(self, exact: bool) -> list[Case]:
        """Each choice of sizes with one of numbers and maps, then, at the smallest sizes that are not all 1, the others."""
        found: list[Case] = []
        chosen = self._chosen(exact)
        weighed = [(trial.volume(self.rule.left, s), k) for k, (s, _) in enumerate(self.sizes)]
        for k, sizes in enumerate(self.sizes):
            numbers = self._numbers(sizes)
            if numbers:
                found += self._case(sizes, numbers[k % len(numbers)], chosen[k % len(chosen)])
        small = min((w for w in weighed if w[0] > 1), default=weighed[0] if weighed else (0, 0))[1]
        if self.sizes and (self.rule.variables):
            sizes = self.sizes[small]
            numbers = self._numbers(sizes)
            for k in range(max(len(numbers), len(chosen))):
                if numbers:
                    found += self._case(sizes, numbers[k % len(numbers)], chosen[(k + 1) % len(chosen)])
        return [c for k, c in enumerate(found) if not any(_like(c, d) for d in found[:k])]

    def generic(self) -> list[Case]:
        """Numbers without any property, for the exact test: an identity that is rational in them holds there too."""
        rng = random.Random(f"{self.seed} generic")
        numbers = {v.name: Fraction(rng.getrandbits(60)) for v in self.rule.variables if v.kind != "map"}
        return [c for sizes in self.sizes for c in self._case(sizes, numbers, self._chosen(True)[0])]

    def _numbers(self, sizes: tuple[dict[str, int], dict[str, int]]) -> list[dict[str, Fraction]]:
        return samples(self.rule.variables, self.rule.conditions, NUMBERS, {**sizes[1], **sizes[0]})

    def _chosen(self, exact: bool) -> list[dict[str, str]]:
        names = [v.name for v in self.rule.variables if v.kind == "map"]
        zero = {str(c.left.parts[0]) for c in self.rule.conditions if c.sign == "vanishes"}
        if exact:
            return [{n: f"{'map0' if n in zero else 'map'} {n}" for n in names}]
        tried = {n: TRIED_AT_ZERO if n in zero else TRIED for n in names}
        count = max(map(len, tried.values()), default=1)
        return [{n: tried[n][(k + j) % len(tried[n])] for j, n in enumerate(names)} for k in range(count)]

    def _case(self, sizes: tuple[dict[str, int], dict[str, int]], numbers: Mapping[str, Fraction], maps: Mapping[str, str]) -> Iterator[Case]:
        """The case, if its boxes exist."""
        key = (tuple(sorted(numbers.items())), tuple(sorted(maps.items())))
        if key not in self.made:
            table = {n: Unary(Map(f)) for n, f in maps.items()}
            try:
                self.made[key] = (instance(self.rule.left, numbers, table)[0], instance(self.rule.right, numbers, table)[0])
            except Unfit:
                self.made[key] = None
        sides = self.made[key]
        if sides is not None:
            yield Case(sizes, sides, numbers, maps, self.rule.conditions)


def _like(a: Case, b: Case) -> bool:
    return a.sizes == b.sizes and a.numbers == b.numbers and a.maps == b.maps


def unusual(case: Case) -> bool:
    """Whether a map has no name in PyTorch."""
    return any(free(n.op) for d in case.sides for n in d.nodes)




def sides(rule: Rule) -> tuple[Diagram, Diagram]:
    """Both sides with one choice of the numbers and maps that the rule leaves open."""
    if not rule.variables:
        return rule.left, rule.right
    found = Cases(rule, 0).of(exact=False)
    return found[0].sides if found else (rule.left, rule.right)
