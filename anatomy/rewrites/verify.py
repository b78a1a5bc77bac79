"""Rules are verified before they are used: exactly modulo a prime where that decides, else in float64.

Converts: a typed rule into a `Verification`, at a handful of small sizes, with lifts.
Non-goals: a proof for all sizes; `~=` and `>=` between sides that differ for equal weights (these are `assumed`, with a reason).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from anatomy.language.program import Rule
from anatomy.rewrites import trial
from anatomy.rewrites.compiled import compiled
from anatomy.rewrites.dual import Duals
from anatomy.rewrites.modular import PRIME, Degrees, Modular
from anatomy.rewrites.tensor import Abstain, Tensor, Unknown
from anatomy.rewrites.trial import Draw
from anatomy.rewrites.verdict import Status, Verification, Witness, assumption

__all__ = ["Status", "Verification", "Witness", "verify"]
TOLERANCE = 1e-9
"""Difference in float64 up to which two numbers count as one, relative to 1 plus the greatest entry."""
DRAWS: tuple[Draw, ...] = (
    Draw("small"), Draw(), Draw("ties"), Draw(scale=0.3), Draw(scale=4.0), Draw(masks=False), Draw(masks=True),
)  # fmt: skip
BRIEF = 100
"""Points of a box from which on, as with lifts, only the first two draws are made."""
PARTIAL = frozenset({"log", "sqrt", "power"})
"""Functions that are not defined everywhere; for these a test in float64 follows the exact one."""


def verify(rule: Rule, seed: int = 0) -> Verification:
    """Decide a rule, or abstain.

    `left - right = 0` as a rational function, at random points modulo a prime p near 2^61; an error of probability
    D / p for a difference of degree D (Schwartz 1980). Where that does not decide, both sides and their derivatives
    along random directions are compared in float64. Sizes: all 1, pairwise coprime, mixed, and every axis
    large in turn. Lifts: one added axis on every
    set of parameters, and one on each, as far as both sides then have one type (ruling 13).

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis e rule r(q: [e], k: [e], t: []): dot[e](q, k) * t == dot[e](q * t, k)"
    >>> verify(Program.of(Source("rules.anat", text)).rule("r")).status
    'proved-mod-p'
    """
    return _Verifier(rule, seed).run()


@dataclass
class _Verifier:
    rule: Rule
    seed: int

    def __post_init__(self) -> None:
        self.sides = (self.rule.left, self.rule.right)
        self.kinds = {d.wires[i.wire].kind.name for d in self.sides for i in d.inputs}
        self.weights = any(d.weights for d in self.sides)
        self.assignments = trial.assignments(*self.sides, random.Random(f"{self.seed} sizes"))
        self.lifts: list[tuple[tuple[str, ...], ...]] = []
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
            if error is not None and not self.opaque & PARTIAL:
                if self.kinds <= {"real"}:
                    words = f"for any function as {', '.join(sorted(self.opaque))}" if self.opaque else ""
                    return self._result("proved-mod-p", error=error, reason=words)
                return self._result("tested", reason="exact in the reals; masks and indices were sampled")
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

    def _result(self, status: Status, **more: Any) -> Verification:
        shown = self._shown()
        masked = self._masked() if status in ("proved-mod-p", "tested") else ()
        lifts = tuple(dict.fromkeys(self.lifts))
        return Verification(self.rule.name, self.rule.relation, status, tuple(shown), lifts, masked=masked, **more)

    def _shown(self) -> list[dict[str, int]]:
        return [{**right, **left} for left, right in self.assignments]

    def _possible(self) -> None:
        if not self.assignments:
            raise Abstain("no small sizes satisfy its equations")
        left, right = (sorted((w.key, len(w.lanes), len(w.fan_in), len(w.fan_out)) for w in d.weights) for d in self.sides)
        if left != right:
            raise Abstain("the sides have different weights")

    def _plan(self) -> list[tuple[int, tuple[tuple[str, ...], ...]]]:
        """Every assignment without lifts, then the lifts at the smallest that is not all 1."""
        plan: list[tuple[int, tuple[tuple[str, ...], ...]]] = [(k, ()) for k in range(len(self.assignments))]
        weighed = [(trial.volume(self.rule.left, s), k) for k, (s, _) in enumerate(self.assignments)]
        chosen = min((w for w in weighed if w[0] > 1), default=weighed[0])[1]
        return plan + [(chosen, some) for some in trial.lifts(self.rule.left)]

    def _both(
        self, numbers: Any, k: int, given: Mapping[str, Tensor], added: Mapping[str, tuple[str, ...]]
    ) -> list[tuple[Tensor, Tensor]] | None:
        """The results of both sides in one order of axes; None where a match with these lifts would be refused."""
        results = self._run(numbers, k, given, added)
        pairs = []
        for left, right in zip(*results, strict=True):
            if {a for a in left.axes if a in added} != {a for a in right.axes if a in added}:
                return None
            sizes = {a: n for t in (left, right) for a, n in zip(t.axes, t.shape, strict=True)}
            pairs.append((left.laid(tuple(sizes), sizes), right.laid(tuple(sizes), sizes)))
        return pairs

    def _run(
        self, numbers: Any, k: int, given: Mapping[str, Tensor], added: Mapping[str, tuple[str, ...]]
    ) -> list[list[Tensor]]:
        sizes = self.assignments[k]
        if not self.torch:
            try:
                return [trial.run(d, s, numbers, given, self.memo) for d, s in zip(self.sides, sizes, strict=True)]
            except Unknown:
                self.torch = isinstance(numbers, Duals)
                if not self.torch:
                    raise
        return compiled(self.sides, sizes, given, added)

    # exactly ------------------------------------------------------------------------------------

    def _exact(self) -> float | None:
        """The probability of error if the sides agree modulo the prime, None if they do not."""
        error = 0.0
        for turn, (k, some) in enumerate(self._plan()):
            numbers, given = Modular(self.seed), {}
            rng = random.Random(f"{self.seed} {turn}")
            added = trial.sized_lifts(some)
            for masks in (None, True, False) if "mask" in self.kinds else (None,):
                given = trial.inputs(self.rule.left, self.assignments[k][0], numbers, rng, Draw(masks=masks), added)
                pairs = self._both(numbers, k, given, added)
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
                    error = max(error, self._error(k, given, len(numbers.asked)))
        return error

    def _error(self, k: int, given: Mapping[str, Tensor], asked: int) -> float:
        """D / p, and as much for each two arguments of a random function that may have met by chance."""
        shapes = {
            name: t if (t.data and type(t.data[0]) is bool) or self._is_index(name) else Tensor(t.axes, t.shape, [(1, 0)] * len(t.data))
            for name, t in given.items()
        }
        pairs = self._both(Degrees(), k, shapes, {}) or []
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

    def _float(self) -> Witness | None:
        """A point at which the sides differ, from the smallest sizes on. Raises Abstain where nothing was compared."""
        numbers = Duals()
        compared = 0
        self.lifts.clear()
        draws = DRAWS if "mask" in self.kinds else DRAWS[:5]
        for turn, (k, some) in enumerate(self._plan()):
            added = trial.sized_lifts(some)
            brief = some or trial.volume(self.rule.left, self.assignments[k][0]) > BRIEF
            for number, draw in enumerate(draws[:2] if brief else draws):
                rng = random.Random(f"{self.seed} {turn} {number}")
                given = trial.inputs(self.rule.left, self.assignments[k][0], numbers, rng, draw, added)
                pairs = self._both(numbers, k, given, added)
                if pairs is None:
                    break
                for left, right in pairs:
                    found, count = _difference(left, right, draw.how != "generic")
                    compared += count
                    if found is not None:
                        return self._witness(k, some, given, *found)
            else:
                if some:
                    self.lifts.append(some)
        if not compared:
            raise Abstain("both sides are undefined at all points tried")
        return None

    def _masked(self) -> tuple[str, ...]:
        """The parameters that may hold -inf, some entries or all."""
        numbers, found = Duals(), []
        for item in self.rule.left.inputs:
            if self.rule.left.wires[item.wire].kind.name == "real" and not self.torch:
                try:
                    if all(self._keeps(item.name, k, share, numbers) for k in range(min(3, len(self.assignments))) for share in (0.4, 1.0)):
                        found.append(item.name)
                except Abstain:
                    break
        return tuple(found)

    def _keeps(self, name: str, k: int, share: float, numbers: Duals) -> bool:
        rng = random.Random(f"{self.seed} {name} {k}")
        given = trial.inputs(self.rule.left, self.assignments[k][0], numbers, rng, Draw(), {})
        low = [numbers.low() if rng.random() < share else e for e in given[name].data]
        given[name] = Tensor(given[name].axes, given[name].shape, low)
        return all(_difference(left, right, False)[0] is None for left, right in self._both(numbers, k, given, {}) or ())

    def _witness(
        self, k: int, some: tuple[tuple[str, ...], ...], given: Mapping[str, Tensor], at: dict[str, int],
        what: Literal["value", "derivative"], left: float, right: float,
    ) -> Witness:  # fmt: skip
        shown = self._shown()[k]
        inputs = {name: tuple(float(e[0] if isinstance(e, tuple) else e) for e in t.data) for name, t in given.items()}
        return Witness(shown, inputs, at, what, left, right, some)


def _difference(left: Tensor, right: Tensor, small: bool) -> tuple[tuple[dict[str, int], Literal["value", "derivative"], float, float] | None, int]:
    """The first entry in which they differ, and how many entries were finite on both sides.

    At small integers, where quotients and roots may be undefined and maxima have ties, entries that are
    not numbers and derivatives are passed over.
    """
    pairs = list(zip(left.data, right.data, strict=True))
    if any(isinstance(a, bool | int) for pair in pairs for a in pair):
        pairs = [((float(a), 0.0), (float(b), 0.0)) for a, b in pairs]
    count = sum(math.isfinite(a[0]) and math.isfinite(b[0]) for a, b in pairs)
    whats: tuple[Literal["value", "derivative"], ...] = ("value",) if small else ("value", "derivative")
    for part, what in enumerate(whats):
        scale = max((abs(e[part]) for pair in pairs for e in pair if math.isfinite(e[part])), default=0.0)
        for place, (a, b) in enumerate(pairs):
            x, y = a[part], b[part]
            if x == y or (x != x and y != y) or abs(x - y) <= TOLERANCE * (1 + scale):
                continue
            if (small or what == "derivative") and (x != x or y != y):
                continue
            at = {}
            for axis, size in reversed(list(zip(left.axes, left.shape, strict=True))):
                place, at[axis] = divmod(place, size)
            return (dict(reversed(at.items())), what, x, y), count
    return None, count
