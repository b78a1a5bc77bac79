"""Rules are verified before they are used: exactly modulo a prime where that decides, else in float64.

Converts: a typed rule into a `Verification`, at a handful of small sizes, with lifts.
Non-goals: a proof for all sizes; `~=` and `>=` between sides that differ for equal weights (these are `assumed`, with a reason).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from anatomy.ir.loop import boxes
from anatomy.language.program import Rule
from anatomy.rewrites import trial
from anatomy.rewrites.cases import Case, Cases, unusual
from anatomy.rewrites.compare import difference
from anatomy.rewrites.compiled import compiled
from anatomy.rewrites.dual import Duals
from anatomy.rewrites.lowered import masked, rows
from anatomy.rewrites.modular import PRIME, Degrees, Modular
from anatomy.rewrites.tensor import Abstain, Tensor, Unknown
from anatomy.rewrites.trial import Draw
from anatomy.rewrites.verdict import Status, Verification, Witness, assumption

__all__ = ["Status", "Verification", "Witness", "verify"]
DRAWS: tuple[Draw, ...] = (
    Draw("small"), Draw(), Draw("ties"), Draw(scale=0.3), Draw(scale=4.0), Draw(masks=False), Draw(masks=True),
)  # fmt: skip
ZEROS = (Draw("ties"),) * 3
"""Where one side alone may have no value."""
BRIEF = 100
"""Points of a box from which on, as with lifts, only the first two draws are made."""
FEW = 12
"""Entries of all inputs up to which points of the sides' own are drawn as well: 0, literals and what lies beside them."""
OFTEN = 24
"""How many of these."""
PARTIAL = frozenset({"log", "sqrt", "power"})
"""Functions that are not defined everywhere; for these a test in float64 follows the exact one."""
UNDEFINED = frozenset({"Divide", "Power", "Normalise", "Solve"})
"""Operations that are not defined everywhere, besides these."""
WORK = 200_000
"""Points of boxes, over all that is tried, above which a rule is not verified; those of the library need at most 8,000."""


def verify(rule: Rule, seed: int = 0) -> Verification:
    """Decide a rule, or abstain.

    `left - right = 0` as a rational function, at random points modulo a prime p near 2^61; an error of probability
    D / p for a difference of degree D (Schwartz 1980). Where that does not decide, both sides and their derivatives
    along random directions are compared in float64. Sizes: all 1, pairwise coprime, mixed, and every axis
    large in turn. Lifts: one added axis on every
    set of parameters, and one on each, as far as both sides then have one type (ruling 13). Numbers and maps that the rule
    leaves open: several values of each, exactly also random ones. Everything is drawn within the conditions of the rule.
    Where one side alone has no value, be it at zeros only, the rule is false: it lacks a condition.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis e rule r(q: [e], k: [e], t: []): dot[e](q, k) * t == dot[e](q * t, k)"
    >>> verify(Program.of(Source("rules.anat", text)).rule("r")).status
    'proved-mod-p'
    """
    return _Verifier(rule, seed).run()


Lifts = tuple[tuple[str, ...], ...]


@dataclass
class _Verifier:
    rule: Rule
    seed: int

    def __post_init__(self) -> None:
        sides = (self.rule.left, self.rule.right)
        self.kinds = {d.wires[i.wire].kind.name for d in sides for i in d.inputs}
        self.weights = any(d.weights for d in sides)
        self.cases = Cases(self.rule, self.seed)
        self.tried: list[Case] = []
        self.lifts: list[Lifts] = []
        self.opaque: frozenset[str] = frozenset()
        self.memo: dict[Any, Any] = {}
        self.refuted = False
        """The sides differ exactly."""
        self.torch = False
        """Some operation is known to the compiler only."""

    def run(self) -> Verification:
        try:
            self._possible()
            try:
                error = self._exact()
            except Abstain:
                error = None
            if error is not None and not self._float_too():
                return self._proved(error)
            witness = self._float()
            if witness is None:
                if error is None and self.refuted:
                    raise Abstain("the sides differ modulo a prime, but not visibly in float64")
                return self._result("tested")
            if self.rule.relation != "==" and self.weights:
                raise Abstain(f"the sides differ for equal weights, and `{self.rule.relation}` is not decided")
            return self._result("false", witness=witness)
        except Abstain as stop:
            reason = assumption(self.rule)
            return self._result("assumed" if reason else "unverified", reason=reason or str(stop))

    def _float_too(self) -> bool:
        """Whether the exact test does not see all: functions without a value somewhere, scores of -inf."""
        real = {i.name for i in self.rule.left.inputs if self.rule.left.wires[i.wire].kind.name == "real"}
        return bool(self.opaque & PARTIAL) or any(c.sign == "some" and c.wire in real for c in self.rule.conditions)

    def _proved(self, error: float) -> Verification:
        """What the exact test says, unless one side alone has no value at some zeros, or for numbers without any property."""
        witness = self._float(ZEROS) if self._undefined() else None
        if witness is not None:
            return self._result("false", witness=witness)
        sampled = sorted(self.kinds - {"real"}) and ["masks and indices"]
        if any(v.kind != "map" for v in self.rule.variables) and not self._generic():
            sampled.append("numbers")
        if sampled:
            return self._result("tested", reason=f"exact in the reals; {' and '.join(sampled)} were sampled")
        most, place = max((n for c in self.tried for n in c.shown.values()), default=0), trial.largest_place(self.rule.left, self.rule.right)
        if place > most > 0:
            return self._result("tested", reason=f"exact in the reals; sizes up to {most} were tried, and the rule mentions {place}")
        names = sorted(name.split()[-1] for name in self.opaque)
        return self._result("proved-mod-p", error=error, reason=f"for any function as {', '.join(names)}" if names else "")

    def _undefined(self) -> bool:
        nodes = [n for d in (self.rule.left, self.rule.right) for n in boxes(d, d.nodes)]
        return any(type(n.op).__name__ in UNDEFINED or n.op.word in PARTIAL for n in nodes)

    def _generic(self) -> bool:
        """Whether the sides agree exactly for random numbers too; whole numbers are not of this kind.

        Raises Abstain where they do not, though the numbers satisfy the conditions: those that were tried have some property.
        """
        if any(v.kind == "integer" for v in self.rule.variables):
            return False
        for turn, case in enumerate(self.cases.generic()):
            numbers = Modular(self.seed)
            given = case.inputs(numbers, random.Random(f"{self.seed} {turn}"), Draw(), {})
            try:
                pairs = self._both(numbers, case, given, {}) or ()
            except Abstain:
                return False
            if any(left.data != right.data for left, right in pairs):
                if not numbers.opaque and all(c.at(case.numbers, case.shown) is not False for c in self.rule.conditions):
                    raise Abstain("the sides agree for the numbers that were tried, and differ for others")
                return False
        return True

    def _result(self, status: Status, **more: Any) -> Verification:
        good = status in ("proved-mod-p", "tested") and not self.torch
        cases = self.cases.of(exact=False) if good else []
        low = masked(cases, self._both, self.seed) if good else ()
        kept = rows(cases, self._both, self.seed, low) if good else ()
        shown = list({str(c.shown): c.shown for c in self.tried}.values()) or [{**b, **a} for a, b in self.cases.sizes if self.rule.left.nodes or self.rule.right.nodes]
        chosen = [{**{n: str(v) for n, v in c.numbers.items()}, **c.maps} for c in self.tried]
        return Verification(
            self.rule.name, self.rule.relation, status, tuple(shown), tuple(dict.fromkeys(self.lifts)), masked=low, rows=kept,
            numbers=tuple({str(c): c for c in chosen if c}.values()), **more,
        )  # fmt: skip

    def _possible(self) -> None:
        count = sum(1 for d in (self.rule.left, self.rule.right) for _ in boxes(d, d.nodes))
        if count * (1 + len(self.rule.left.inputs) ** 2 // 2) > WORK:
            raise Abstain("it is too large to be tried")
        self.tried = self.cases.of(exact=True)
        if not self.cases.sizes:
            raise Abstain("no small sizes satisfy its equations and conditions")
        if not self.tried:
            raise Abstain("no boxes have the numbers that were tried")
        left, right = (sorted((w.key, len(w.lanes), len(w.fan_in), len(w.fan_out)) for w in d.weights) for d in (self.rule.left, self.rule.right))
        if left != right:
            raise Abstain("the sides have different weights")
        work = sum(_points(case) * 2 ** len(some) for case, some in self._plan(self.tried))
        if work > WORK:
            raise Abstain(f"it is too large to be tried: {work:,} points of boxes, and at most {WORK:,} are computed")

    def _plan(self, cases: list[Case]) -> list[tuple[Case, Lifts]]:
        """Every case without lifts, then the lifts at the smallest that is not all 1."""
        plan: list[tuple[Case, Lifts]] = [(c, ()) for c in cases]
        weighed = [(trial.volume(c.left, c.sizes[0]), k) for k, c in enumerate(cases)]
        chosen = cases[min((w for w in weighed if w[0] > 1), default=weighed[0])[1]]
        return plan + [(chosen, some) for some in trial.lifts(self.rule.left)]

    def _both(
        self, numbers: Any, case: Case, given: Mapping[str, Tensor], added: Mapping[str, tuple[str, ...]]
    ) -> list[tuple[Tensor, Tensor]] | None:
        """The results of both sides in one order of axes; None where a match with these lifts would be refused."""
        results = self._run(numbers, case, given, added)
        pairs = []
        for left, right in zip(*results, strict=True):
            if {a for a in left.axes if a in added} != {a for a in right.axes if a in added}:
                return None
            sizes = {a: n for t in (left, right) for a, n in zip(t.axes, t.shape, strict=True)}
            pairs.append((left.laid(tuple(sizes), sizes), right.laid(tuple(sizes), sizes)))
        return pairs

    def _run(
        self, numbers: Any, case: Case, given: Mapping[str, Tensor], added: Mapping[str, tuple[str, ...]]
    ) -> list[list[Tensor]]:
        if not self.torch:
            try:
                return [trial.run(d, s, numbers, given, self.memo) for d, s in zip(case.sides, case.sizes, strict=True)]
            except Unknown:
                self.torch = isinstance(numbers, Duals)
                if not self.torch:
                    raise
        return compiled(case.sides, case.sizes, given, added)

    # exactly ------------------------------------------------------------------------------------

    def _exact(self) -> float | None:
        """The probability of error if the sides agree modulo the prime, None if they do not."""
        error = 0.0
        for turn, (case, some) in enumerate(self._plan(self.tried)):
            numbers, given = Modular(self.seed), {}
            rng = random.Random(f"{self.seed} {turn}")
            added = trial.sized_lifts(some)
            for masks in (None, True, False) if "mask" in self.kinds else (None,):
                given = case.inputs(numbers, rng, Draw(masks=masks), added)
                pairs = self._both(numbers, case, given, added)
                self.opaque |= numbers.opaque
                if pairs is None:
                    break
                if any(left.data != right.data for left, right in pairs):
                    self.refuted = not self.opaque
                    return None
            else:
                if some:
                    self.lifts.append(some)
                else:
                    error = max(error, self._error(case, given, len(numbers.asked)))
        return error

    def _error(self, case: Case, given: Mapping[str, Tensor], asked: int) -> float:
        """D / p, and as much for each two arguments of a random function that may have met by chance."""
        shapes = {
            name: t if (t.data and type(t.data[0]) is bool) or self._is_index(name) else Tensor(t.axes, t.shape, [(1, 0)] * len(t.data))
            for name, t in given.items()
        }
        pairs = self._both(Degrees(), case, shapes, {}) or []
        degree = 1
        for left, right in pairs:
            for a, b in zip(left.data, right.data, strict=True):
                if isinstance(a, tuple) and isinstance(b, tuple):
                    degree = max(degree, max(a[0] + b[1], b[0] + a[1]) + a[1] + b[1])
        return degree * (1 + asked * asked) / PRIME

    def _is_index(self, name: str) -> bool:
        item = next((i for i in self.rule.left.inputs if i.name == name), None)
        return item is not None and self.rule.left.wires[item.wire].kind.name == "index"

    # in float64 ---------------------------------------------------------------------------------

    def _float(self, only: tuple[Draw, ...] = ()) -> Witness | None:
        """A point at which the sides differ, from the smallest sizes on. Raises Abstain where nothing was compared."""
        numbers = Duals()
        compared = 0
        cases = self.cases.of(exact=False)
        self.tried = cases
        draws = (*(DRAWS if "mask" in self.kinds else DRAWS[:5]), *(ZEROS[1:] if self._undefined() else ()))
        plan = self._plan(cases) if not only else [(c, ()) for c in cases]
        if not only:
            self.lifts.clear()
        for turn, (case, some) in enumerate(plan):
            if self.torch and unusual(case):
                continue
            added = trial.sized_lifts(some)
            brief = some or trial.volume(case.left, case.sizes[0]) > BRIEF
            for number, draw in enumerate(only or (draws[:2] if brief else (*draws, *self._marked(case)))):
                rng = random.Random(f"{self.seed} {turn} {number}")
                given = case.inputs(numbers, rng, draw, added)
                pairs = self._both(numbers, case, given, added)
                if pairs is None:
                    break
                for left, right in pairs:
                    found, count = difference(left, right, draw.how != "generic")
                    compared += count
                    if found is not None:
                        return self._witness(case, some, given, *found)
            else:
                if some:
                    self.lifts.append(some)
        if not compared and not only:
            raise Abstain("both sides are undefined at all points tried")
        return None

    def _marked(self, case: Case) -> tuple[Draw, ...]:
        entries = sum(prod(case.sizes[0][a] for a in i.layout) for i in self.rule.left.inputs)
        if entries > FEW:
            return ()
        ends = {float(x) for d in case.domains.values() for x in (d.low, d.high) if x is not None}
        marks = (*trial.marks(*case.sides), *sorted(ends))
        alike = [Draw("marks", marks=(marks[k * len(marks) // (OFTEN // 3)],)) for k in range(OFTEN // 3)]
        return (*alike, *(Draw("marks", marks=marks),) * (OFTEN - len(alike)))

    def _witness(
        self, case: Case, some: Lifts, given: Mapping[str, Tensor], at: dict[str, int],
        what: Literal["value", "derivative"], left: float, right: float,
    ) -> Witness:  # fmt: skip
        inputs = {name: tuple(float(e[0] if isinstance(e, tuple) else e) for e in t.data) for name, t in given.items()}
        chosen = {**{n: str(v) for n, v in case.numbers.items()}, **case.maps}
        return Witness(case.shown, inputs, at, what, left, right, some, chosen)


def _points(case: Case) -> int:
    """The points of all boxes of both sides; of a loop, of all boxes in it, at every step."""
    total = 0
    for d, sizes in zip(case.sides, case.sizes, strict=True):
        for node in d.nodes:
            axes = dict.fromkeys((*node.own, *node.lifts))
            inside = sum(1 for _ in boxes(d, [node])) if node.op.body is not None else 1
            total += inside * prod(sizes[a] for a in axes)
    return total
