"""The vocabulary of regularity: outward-rounded scalars, derivative triples, bounds of a wire, and what an op may ask.

Norms. A wire's axes are parted into *token* axes and *feature* axes. A tensor has the p-norm, over all
tokens jointly, of the Euclidean norms over its features; a triple holds operator norms of the derivative
for p = 1, 2 and infinity. By Riesz and Thorin L2 <= sqrt(L1 Linf) for every such partition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from anatomy.ir.graph import Node

INF = math.inf


class Unproved(Exception):
    """A bound cannot be given: a rule is missing or a condition is not proved. The verdict is `unknown`."""


# scalars: every basic operation of float64 is correctly rounded, so one step outwards encloses it ------


def defined(x: float) -> float:
    """The same, or a refusal of what is not a number: comparisons would let it pass."""
    if x != x:
        raise Unproved("a bound is not a number")
    return x


def up(x: float) -> float:
    return math.nextafter(defined(x), INF)


def down(x: float) -> float:
    return math.nextafter(defined(x), -INF)


def add(*terms: float) -> float:
    """The sum of non-negative bounds, rounded up; exact where one term is left."""
    total = 0.0
    for term in terms:
        total = term if total == 0 else total if term == 0 else up(total + term)
    return defined(total)


def mul(*factors: float) -> float:
    """The product of non-negative bounds, rounded up.

    0 times infinity is 0: both bound what is finite at each point, and a bound of 0 is attained.
    """
    total = 1.0
    for factor in factors:
        if defined(factor) == 0 or total == 0:
            total = 0.0
        else:
            total = factor if total == 1 else total if factor == 1 else up(total * factor)
    return total


def div(a: float, b: float) -> float:
    """`a / b` of non-negative bounds, rounded up; `b` must be a lower bound, and 0 gives infinity."""
    if a == 0:
        return 0.0
    return INF if b <= 0 else a if b == 1 else up(a / b)


def root(x: float) -> float:
    return x if x in (0.0, 1.0, INF) else up(math.sqrt(x))


def geometric(a: float, b: float) -> float:
    """`sqrt(a b)`, rounded up, without overflow."""
    return a if a == b else mul(root(a), root(b))


def arb_up(value: Any) -> float:
    """The upper end of an Arb ball as a float, rounded up."""
    return up(float(value.upper()))


def arb_down(value: Any) -> float:
    return down(float(value.lower()))


def enclose(name: str, x: float) -> tuple[float, float]:
    """Lower and upper bound of a transcendental function at a float, by Arb (ball arithmetic)."""
    from flint import arb

    if x == 0 and name in ("exp", "tanh", "sin", "expm1", "erf"):
        return (1.0, 1.0) if name == "exp" else (0.0, 0.0)
    if math.isinf(x):
        ends = {"exp": (0.0, INF), "tanh": (-1.0, 1.0), "expm1": (-1.0, INF), "sigmoid": (0.0, 1.0), "log": (-INF, INF), "softplus": (0.0, INF)}
        value = ends[name][x > 0]
        return value, value
    ball = arb(x)
    if name == "sigmoid":
        value = 1 / (1 + (-ball).exp()) if x > 0 else ball.exp() / (1 + ball.exp())  # neither overflows
        return max(arb_down(value), 0.0), min(arb_up(value), 1.0)
    # log(1 + e^x) = x + log(1 + e^-x), of which one does not overflow.
    value = (ball + (-ball).exp().log1p() if x > 0 else ball.exp().log1p()) if name == "softplus" else getattr(ball, name)()
    low, high = arb_down(value), arb_up(value)
    if name in ("exp", "softplus"):
        low = max(low, 0.0)
    return low, high


# intervals ------------------------------------------------------------------------------------

Interval = tuple[float, float]


def hull_of_products(a: Interval, b: Interval) -> Interval:
    ends = [_product(x, y) for x in a for y in b]
    return min(e[0] for e in ends), max(e[1] for e in ends)


def _product(x: float, y: float) -> Interval:
    """`x y`, rounded both ways; what underflows keeps its sign."""
    if 0.0 in (x, y):
        return 0.0, 0.0
    p = x * y
    return (max(down(p), 0.0), up(p)) if (x > 0) == (y > 0) else (down(p), min(up(p), 0.0))


def plus(a: Interval, b: Interval) -> Interval:
    low, high = a[0] + b[0], a[1] + b[1]
    low = -INF if low != low else low if 0.0 in (a[0], b[0]) else down(low)
    high = INF if high != high else high if 0.0 in (a[1], b[1]) else up(high)
    return low, high


def times(a: Interval, count: int) -> Interval:
    return a if count == 1 else hull_of_products(a, (float(count), float(count)))


def meet(a: Interval, b: Interval) -> Interval:
    return max(a[0], b[0]), min(a[1], b[1])


def magnitude(a: Interval) -> float:
    return max(abs(a[0]), abs(a[1]))


def gap(a: Interval) -> float:
    """The least magnitude in an interval: 0 where it holds 0."""
    return max(a[0], -a[1], 0.0)


# triples --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Triple:
    """Operator norms for p = 1, 2, infinity over the tokens, Euclidean over the features."""

    one: float = 0.0
    two: float = 0.0
    inf: float = 0.0

    @staticmethod
    def of(one: float, two: float | None, inf: float) -> Triple:
        """A triple closed under L2 <= sqrt(L1 Linf)."""
        between = geometric(one, inf) if 0.0 not in (one, inf) or one == inf else INF
        return Triple(one, between if two is None else min(two, between), inf)

    @staticmethod
    def all(value: float) -> Triple:
        return Triple(value, value, value)

    def after(self, other: Triple) -> Triple:
        """The composition of two derivatives."""
        return Triple.of(mul(self.one, other.one), mul(self.two, other.two), mul(self.inf, other.inf))

    def plus(self, other: Triple) -> Triple:
        return Triple.of(add(self.one, other.one), add(self.two, other.two), add(self.inf, other.inf))

    def meet(self, other: Triple) -> Triple:
        return Triple.of(min(self.one, other.one), min(self.two, other.two), min(self.inf, other.inf))

    @property
    def finite(self) -> bool:
        return max(self.one, self.two, self.inf) < INF


Slopes = Mapping[int, Triple]
"""For every real input wire that a value depends on, the triple of the derivative with respect to it."""


def slopes_sum(a: Slopes, b: Slopes) -> dict[int, Triple]:
    out = dict(a)
    for key, triple in b.items():
        out[key] = out[key].plus(triple) if key in out else triple
    return out


def slopes_after(factor: Triple, slopes: Slopes) -> dict[int, Triple]:
    return {key: factor.after(triple) for key, triple in slopes.items()}


def slopes_meet(a: Slopes, b: Slopes) -> dict[int, Triple]:
    """Both are bounds of one derivative; an input that one of them lacks has derivative 0."""
    return {key: a[key].meet(b[key]) for key in a if key in b}


@dataclass(frozen=True)
class Bound:
    """What is proved of a wire on the whole domain.

    `entry` encloses every entry, `radius` the Euclidean norm over the features at every token. `mass`
    bounds, for a set of axes, the sum of absolute values over them at each point of the others; `flow`
    does so for the derivative, from the max-over-tokens norm of the joint input, per input. `form` is the
    value as an affine function of earlier wires, `local` its derivative place by place, `facts` is what theorems may
    recognise; all three are opaque here. `origin` is the wire that it is, with its axes and their names here.
    """

    axes: frozenset[str]
    tokens: frozenset[str] = frozenset()
    entry: Interval = (-INF, INF)
    radius: float = INF
    slopes: Slopes = field(default_factory=dict)
    mass: Mapping[frozenset[str], float] = field(default_factory=dict)
    flow: Mapping[frozenset[str], Mapping[int, float]] = field(default_factory=dict)
    form: Any = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    local: Any = None
    origin: tuple[int, tuple[tuple[str, str], ...]] | None = None

    @property
    def features(self) -> frozenset[str]:
        return self.axes - self.tokens

    @property
    def constant(self) -> bool:
        """It depends on no real input."""
        return not self.slopes

    def bare(self) -> Bound:
        """The same without anything that holds for this wire only."""
        return replace(self, mass={}, flow={}, form=None, facts={}, local=None, origin=None)


Image = Callable[[Interval], Interval]
Steepness = Callable[[Interval], float]


class BoundContext(Protocol):
    """What a bounding rule may ask for. Every answer is sound for arbitrary lifts."""

    node: Node

    def port(self, k: int) -> Bound:
        """The bound at a port, under the node's axis names."""
        ...

    def size(self, axis: str) -> int: ...

    def points(self, axes: Any) -> int:
        """The number of points of several axes together."""
        ...

    def unproved(self, why: str) -> Unproved:
        """The exception that makes the verdict `unknown` and names this node."""
        ...

    def number(self, value: Any) -> Bound:
        """A constant: an exact rational or integer."""
        ...

    def single(self, x: Bound) -> float | None:
        """The value of a constant that is one exact number."""
        ...

    def positions(self, axis: str) -> Bound:
        """0 .. size - 1 along an axis."""
        ...

    def weighted(self, x: Bound, factor: float) -> Bound:
        """A multiple by an exact small integer, -1 among them."""
        ...

    def total(self, parts: list[Bound]) -> Bound:
        """The sum by name."""
        ...

    def product(self, factors: list[Bound], summed: tuple[str, ...] = ()) -> Bound:
        """The product by name, summed over axes: every product and contraction of the language."""
        ...

    def quotient(self, a: Bound, b: Bound, inverse: Bound) -> Bound:
        """`a / b`, given `1 / b`."""
        ...

    def pointwise(self, x: Bound, name: str, image: Image, slope: Steepness) -> Bound:
        """A function of one real: its image of an interval, and a Lipschitz constant on it."""
        ...

    def linear(self, x: Bound, name: str, **options: Any) -> tuple[Bound, ...]:
        """One of the linear operations that rearrange, accumulate or transform the node's own axes."""
        ...

    def join(self, parts: list[Bound]) -> Bound:
        """Operands laid end to end."""
        ...

    def selection(self, parts: list[Bound], over: frozenset[str]) -> Bound:
        """Any convex combination of the entries of all parts, and of each over the axes named."""
        ...

    def normalised(self, x: Bound, own: frozenset[str], slope: float, radius: float, entry: Interval) -> Bound:
        """A map of the vector over the own axes, given its Euclidean Lipschitz constant and the norm of its values."""
        ...

    def distribution(self, x: Bound, own: frozenset[str]) -> Bound:
        """The softmax over the own axes."""
        ...

    def keys(self, x: Bound, own: frozenset[str]) -> tuple[float, float]:
        """The least and the greatest number of entries that a mask leaves in a row over the own axes that has any."""
        ...

    def simplex(
        self, x: Bound, own: frozenset[str], slope: Triple, flow: float, top: float, over: frozenset[str] | None = None, kind: Any = None
    ) -> Bound:
        """A map from scores over the own axes to weights up to `top` whose sums over `over` (all of own) are at most 1.

        `slope` holds its norms where every score is a token, `flow` that from the greatest change to sums over `over`.
        `kind` says to theorems which map it is: `("entmax", alpha)` or `("sinkhorn", half-steps)`.
        """
        ...

    def shared(self, x: Bound, out: Bound, own: frozenset[str], eps: float) -> Bound:
        """`out = x / (sum over own of |x| + eps)` with what is known of it where x is positive."""
        ...

    def partition(self, x: Bound, own: frozenset[str]) -> Bound:
        """The logarithm of the sum of exponentials over the own axes."""
        ...

    def substituted(self, a: Bound, b: Bound, rows: str, columns: str, growth: float, size: float) -> Bound:
        """The solution of a linear system over `columns`, whose inverse has norms up to `growth` and which has entries up to `size`."""
        ...

    def filled(self, x: Bound, own: frozenset[str]) -> Bound:
        """The operand without its mask, proved to leave something of every row over the own axes."""
        ...

    def loop(self) -> list[Bound]:
        """The results of a loop node, from the bounds of one step of its body."""
        ...

    def spread(self, x: Bound, axes: frozenset[str]) -> Bound:
        """The same repeated along axes that it lacks."""
        ...

    def predicate(self, name: str, parts: list[Bound]) -> Bound:
        """A mask from a comparison or from masks."""
        ...

    def masked(self, mask: Bound, x: Bound) -> Bound:
        """-inf outside the mask."""
        ...

    def unmasked(self, x: Bound) -> tuple[Bound, Bound | None]:
        """What stands inside a mask, and the mask; None where there is none."""
        ...

    def chosen(self, mask: Bound, a: Bound, b: Bound) -> Bound:
        """One of two wires by a mask."""
        ...

    def drawn(self, axes: Any, entry: Interval) -> Bound:
        """Numbers that do not depend on the input and are not known."""
        ...

    def picked(self, x: Bound, index: Bound, axis: str) -> Bound:
        """The entries of an axis that an index points at."""
        ...

    def ranked(self, x: Bound, whole: str, new: str) -> tuple[Bound, Bound]:
        """The entries of an axis in order of size, all or some, and their positions."""
        ...

    def rounded(self, x: Bound, axis: str) -> Bound:
        """Floored and clamped into an axis."""
        ...
