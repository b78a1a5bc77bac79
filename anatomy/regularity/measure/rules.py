"""The calculus with tokens as a probability measure: what operations may ask for, sound for every number of tokens.

An axis of tokens is a probability space, of mass 1 where n tokens have the mass n; every other axis is counted. Norms are
those of L^p over the product of both, p = 1, 2 and infinity, Euclidean over the features, and Riesz and Thorin hold there too.
In these norms repeating a wire along tokens and taking the mean over tokens have norm 1, so that the rules of the calculus for
products, sums, features and functions of one real hold with an axis of tokens counted once. What holds for counting only
is kept out: (1) an axis of tokens is never a feature; (2) no constant tensor has one; (3) an affine form links every one of
its base, so that a mean begins a form of its own; (4) so does every part of a derivative taken place by place.

A wire of order k is n^-k times a function of points and of the measure: a softmax over tokens has order 1, a sum over
tokens lowers it by one, `size` of tokens has order -1. Only such a wire of order 0 is a function of the measure. What knows the order
of tokens or their number otherwise is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from anatomy.ir.bound import (
    INF,
    Bound,
    Image,
    Interval,
    Steepness,
    Triple,
    Unproved,
    enclose,
    meet,
    mul,
    root,
    slopes_meet,
    up,
)  # fmt: skip
from anatomy.ir.graph import Node
from anatomy.regularity.measure import attention
from anatomy.regularity.measure.product import product
from anatomy.regularity.rules import Rules
from anatomy.regularity.tensor import Ball
from anatomy.regularity.theorems import features
from anatomy.regularity.view import Softmax, mask_of, tighten, widen, with_tokens

HOMOGENEOUS = {"reciprocal": -1, "abs": 1, "relu": 1, "sign": 0}
"""f(c t) = c^k f(t) for c > 0: such a function multiplies the order of a wire by k."""

JUDGED = frozenset({
    "node", "ports", "sizes", "many", "port", "size", "points", "unproved", "single", "unmasked", "open", "finish", "logarithm",
})  # fmt: skip
"""What is taken over from the calculus as it stands; the rest has a rule here, and anything else is refused."""


class MeasureRules(Rules):
    """The `BoundContext` of one node on measures; `many` names the axes of tokens, whose size is 1 here."""

    def __init__(self, node: Node, ports: list[Bound], sizes: dict[str, int], many: set[str], orders: Sequence[int]):
        super().__init__(node, ports, sizes)
        self.many = many
        self._orders = {id(p): (p, k) for p, k in zip(ports, orders, strict=True)}
        self._mixed = any(orders)
        self._free = False
        here = len(self.many & set(node.own))
        # `size` is n^1 times 1 for every axis of tokens; `mean` multiplies by n^-1 before it sums.
        self._number = {"size": -here, "mean": here}.get(node.op.word, 0)

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name not in JUDGED and name not in MeasureRules.__dict__:
            raise Unproved(f"`{name}` has no rule on measures")
        return super().__getattribute__(name)

    # orders -----------------------------------------------------------------------------------

    def order(self, x: Bound) -> int:
        found = self._orders.get(id(x))
        if found is not None:
            return found[1]
        if self._mixed and not self._free:
            raise Unproved("a value that scales with the number of tokens is used in a way that is not followed")
        return 0

    def _as(self, x: Bound, order: int) -> Bound:
        self._orders[id(x)] = (x, order)
        return x

    def _plain(self, *parts: Bound) -> None:
        if any(self.order(p) for p in parts):
            raise Unproved("a sum over tokens that is not divided by their number is no function of the measure")

    def _apart(self, axes: Any, why: str) -> None:
        if self.many & frozenset(axes):
            raise Unproved(why)

    # constants --------------------------------------------------------------------------------

    def fresh(self, axes: frozenset[str]) -> dict[str, str]:
        table = super().fresh(axes)
        self.many.update(new for old, new in table.items() if old in self.many)
        return table

    def known(self, ball: Ball, axes: frozenset[str] | None = None) -> Bound:
        self._apart(ball.axes, "a constant differs between tokens")
        tokens = self.many & (frozenset() if axes is None else axes)
        return replace(super().known(ball, axes), tokens=frozenset(tokens))

    def number(self, value: Any) -> Bound:
        return self._as(super().number(value), self._number)

    def positions(self, axis: str) -> Bound:
        self._apart((axis,), "it knows the positions of tokens, which a measure has not")
        return super().positions(axis)

    def drawn(self, axes: Any, entry: Interval) -> Bound:
        self._apart(axes, "noise of each token is no function of the measure")
        return super().drawn(axes, entry)

    # linear rules -----------------------------------------------------------------------------

    def weighted(self, x: Bound, factor: float) -> Bound:
        return self.product([x, self._as(super().number(factor), 0)])

    def total(self, parts: list[Bound]) -> Bound:
        orders = {self.order(p) for p in parts}
        if len(orders) > 1:
            raise Unproved("a sum of what scales with the number of tokens in different ways is no function of the measure")
        return self._as(super().total(parts), orders.pop())

    def product(self, factors: list[Bound], summed: tuple[str, ...] | frozenset[str] = ()) -> Bound:
        order = sum(self.order(f) for f in factors) - len(self.many & frozenset(summed))
        return self._as(product(self, factors, frozenset(summed)), order)

    def quotient(self, a: Bound, b: Bound, inverse: Bound) -> Bound:
        order = self.order(a) - self.order(b)
        out = self.product([a, inverse])
        self._free = True  # the weights of a mean do not change when all are multiplied by a power of n
        found = features.quotient(self, a, b, out.tokens, attention.mean)
        self._free = False
        if found is None:
            return self._as(out, order)
        slopes, values = found
        radius = mul(root(float(self.points(out.features - (values.features & out.axes)))), values.radius)
        better = replace(out, slopes=slopes_meet(out.slopes, slopes), radius=min(out.radius, radius), entry=meet(out.entry, values.entry))
        return self._as(replace(tighten(better, self.sizes), facts={"method": features.NAME}, form=None), order)

    def linear(self, x: Bound, name: str, **options: Any) -> tuple[Bound, ...]:
        if name != "expand":
            self._apart(self.node.own, f"`{self.node.op.word}` reads the order or the number of the tokens")
        order = self.order(x)
        return tuple(self._as(out, order) for out in super().linear(x, name, **options))

    def join(self, parts: list[Bound]) -> Bound:
        self._plain(*parts)
        self._apart(self.node.own, "it adds tokens, so that masses depend on their number")
        return super().join(parts)

    def spread(self, x: Bound, axes: frozenset[str]) -> Bound:
        order = self.order(x)
        return self._as(widen(x, x.axes | axes, x.tokens | (axes & self.many), self.sizes), order)

    # nonlinear rules --------------------------------------------------------------------------

    def pointwise(self, x: Bound, name: str, image: Image, slope: Steepness) -> Bound:
        order = 0 if self._free else self.order(x)
        if order and name not in HOMOGENEOUS:
            self._plain(x)
        found = super().pointwise(x, name, image, slope)
        # Of its facts only the logarithm is not about a number of keys.
        found = replace(found, facts={k: v for k, v in found.facts.items() if k == "log"})
        return self._as(found, order * HOMOGENEOUS.get(name, 0))

    def selection(self, parts: list[Bound], over: frozenset[str]) -> Bound:
        self._plain(*parts)
        if not self.many & over:
            return super().selection(parts, over)
        if self.node.op.word not in ("max", "min"):
            raise Unproved(f"`{self.node.op.word}` over tokens depends on their number")
        # An extremum over the support: only the maximum norm of a change bounds it.
        found = super().selection(parts, over)
        slopes = {k: Triple() if t.inf == 0 else Triple(INF, INF, t.inf) for k, t in found.slopes.items()}
        return replace(found, slopes=slopes)

    def normalised(self, x: Bound, own: frozenset[str], slope: float, radius: float, entry: Interval) -> Bound:
        self._plain(x)
        self._apart(own, "a norm over tokens has no rule here")
        return super().normalised(x, own, slope, radius, entry)

    def distribution(self, x: Bound, own: frozenset[str]) -> Bound:
        self._plain(x)
        if not own & self.many:
            found = super().distribution(x, own)
            # The theorems that this would call on count the keys of a row, here of features.
            return replace(found, facts={k: v for k, v in found.facts.items() if k != "softmax"})
        if len(own) != 1:
            raise Unproved("weights over tokens and another axis together have no rule here")
        if mask_of(x) is not None:
            raise Unproved("a mask of tokens is no function of the measure")
        x = with_tokens(x, x.axes, self.sizes)
        width = up(x.entry[1] - x.entry[0])
        kappa = attention.density(width)
        low = max(0.0, enclose("exp", -width)[0])
        # dD = D (ds - int D ds), int D = 1, D <= kappa: by the triangle inequality for p = 1 and infinity, a variance for p = 2.
        slopes = {k: Triple.of(mul(2.0, kappa, t.one), mul(kappa, t.two), mul(2.0, kappa, t.inf)) for k, t in x.slopes.items()}
        flow = {own: {key: t.inf for key, t in x.slopes.items()}}
        bound = Bound(x.axes, x.tokens, (low, kappa), INF, slopes, {own: 1.0}, flow)
        found = replace(tighten(bound, self.sizes), facts={"softmax": Softmax(own, replace(x, facts={}), None)})
        return self._as(found, 1)

    def simplex(
        self, x: Bound, own: frozenset[str], slope: Triple, flow: float, top: float, over: frozenset[str] | None = None,
        kind: Any = None,
    ) -> Bound:  # fmt: skip
        self._plain(x)
        self._apart(own, f"`{self.node.op.word}` over tokens has no constant here that holds for every number of them")
        return super().simplex(x, own, slope, flow, top, over)  # no theorem about rows of this kind applies here

    def keys(self, x: Bound, own: frozenset[str]) -> tuple[float, float]:
        if self.node.op.word not in ("max", "min"):
            self._apart(own, f"`{self.node.op.word}` over tokens has no constant here that holds for every number of them")
        return super().keys(x, own)

    def partition(self, x: Bound, own: frozenset[str]) -> Bound:
        self._plain(x)
        self._apart(own, f"`{self.node.op.word}` over tokens depends on their number")
        return replace(super().partition(x, own), facts={})

    def shared(self, x: Bound, out: Bound, own: frozenset[str], eps: float) -> Bound:
        return out

    def length(self, x: Bound) -> None:
        """No theorem about a root of a sum of squares is called on."""

    def filled(self, x: Bound, own: frozenset[str]) -> Bound:
        if mask_of(x) is not None:
            self._apart(own, "a mask of tokens is no function of the measure")
        return super().filled(x, own)

    def masked(self, mask: Bound, x: Bound) -> Bound:
        self._plain(mask, x)
        self._apart(mask.axes, "a mask of tokens is no function of the measure")
        return super().masked(mask, x)

    def chosen(self, mask: Bound, a: Bound, b: Bound) -> Bound:
        self._plain(mask, a, b)
        return super().chosen(mask, a, b)

    def predicate(self, name: str, parts: list[Bound]) -> Bound:
        self._plain(*parts)
        return super().predicate(name, parts)

    # what has no rule -------------------------------------------------------------------------

    def _without(self) -> Unproved:
        return Unproved(f"`{self.node.op.word}` has no rule on measures")

    def picked(self, x: Bound, index: Bound, axis: str) -> Bound:
        raise self._without()

    def ranked(self, x: Bound, whole: str, new: str) -> tuple[Bound, Bound]:
        raise self._without()

    def rounded(self, x: Bound, axis: str) -> Bound:
        raise self._without()

    def substituted(self, a: Bound, b: Bound, rows: str, columns: str, growth: float, size: float) -> Bound:
        raise self._without()

    def loop(self) -> list[Bound]:
        raise self._without()


