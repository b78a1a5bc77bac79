"""Wires near a centre: derivatives there, enclosed, and bounds of the next ones on a ball.

Statement. Let all real inputs be one vector in R^N and B the Euclidean ball of radius r round a centre. For a wire T,
a set g of its axes and k >= 0 let

    |T|_k,g  =  sup over x in B, unit u, and the places of the axes outside g, of the Euclidean norm over g of T^(k)(x)[u, .., u].

On a Hilbert space a symmetric multilinear map has the norm of its diagonal (Banach; Bochnak and Siciak, Studia Math. 39,
1971; for values in a Euclidean space apply it to every functional), so |T|_k,g bounds T^(k) in all directions. Hence

    anchor:   |T|_k,g <= sum_(k <= j < l) r^(j-k) / (j-k)! (|T|_j,g at the centre alone) + r^(l-k) / (l-k)! |T|_l,g   (Taylor)
    linear:   |L T|_k,g <= ||L|| |T|_k,g',  the spectral norm of the block of L from g' to g
    product:  |sum_S A B|_k,g <= sum_j C(k, j) |A|_j,ga |B|_k-j,gb               (Leibniz; Cauchy and Schwarz over S)
              where S is part of ga and gb, an axis that both have and that is kept goes to either;
              for j = 0 also ||A|| |B|_k,gb with the spectral norm of A as a matrix from S to its part of g
    function: Faa di Bruno, one factor normed over g and the others entry by entry
    softmax:  p' = p l', l' = s' - sum p s', with Leibniz; sum_S p = 1, so that B above may be centred where j >= 1.

The derivatives at the centre up to order K are explicit tensors with a proved error (`Ball`); at the order K + 1 the
rules stand alone. Proof: each rule is the triangle inequality with the inequality it names. Source: this project's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from itertools import combinations
from typing import Any

import numpy as np

from anatomy.ir.bound import Unproved
from anatomy.regularity import tensor
from anatomy.regularity.affine import Form, Term, inside
from anatomy.regularity.around import outward
from anatomy.regularity.around.outward import Array
from anatomy.regularity.tensor import Ball, frobenius
from anatomy.regularity.tensor import (
    _spectral as spectral,  # every norm is asked for once, so that none is worth remembering
)

Axes = frozenset[str]
CELL = "@"
"""The axis of centres: many balls are treated at once."""


def direction(k: int) -> str:
    """The axis of the k-th derivative."""
    return f"\N{PARTIAL DIFFERENTIAL}{k}"


@dataclass(eq=False)
class Cells:
    """Balls round centres: the inputs at each [cells, ...] by wire, their radii [cells], and the order K of the tensors."""

    centres: dict[int, np.ndarray]
    radii: Array
    order: int
    sizes: dict[str, int]
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)
    where: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        at = 0
        for wire, value in self.centres.items():
            self.where[wire] = at
            at += math.prod(value.shape[1:])
        self.length = at
        self.count = len(self.radii)
        for k in range(1, self.order + 3):
            self.sizes[direction(k)] = at
        self.sizes[CELL] = self.count

    def all(self, value: float) -> Array:
        return np.full(self.count, value)

    def points(self, axes: Axes) -> float:
        return float(math.prod(self.sizes[a] for a in axes))


def _remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Once for every node, cells and arguments."""

    @wraps(function)
    def run(self: Any, cells: Cells, *key: Any) -> Any:
        name = (self, function.__name__, *key)
        if name not in cells.memo:
            cells.memo[name] = function(self, cells, *key)
        return cells.memo[name]

    return run


def plus(a: Ball | None, b: Ball | None) -> Ball | None:
    return b if a is None else a if b is None else tensor.plus(a, b)


def subsets(items: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Every subset with its complement."""
    for count in range(len(items) + 1):
        for some in combinations(items, count):
            yield some, tuple(i for i in items if i not in some)


def along(ball: Ball | None, which: tuple[int, ...]) -> Ball | None:
    """A derivative whose directions are those numbered."""
    return None if ball is None else ball.rename({direction(k + 1): direction(i) for k, i in enumerate(which)})


def times(a: Ball | None, b: Ball | None, summed: Axes = frozenset()) -> Ball | None:
    return None if a is None or b is None else tensor.times(a, b, summed)


class Node:
    """A wire that is not an affine function of others, or a view of some that is."""

    axes: Axes

    def zero(self, k: int) -> bool:
        """Whether the derivative of that order vanishes by structure."""
        return False

    def jet(self, cells: Cells, k: int) -> Ball | None:
        """The derivative of order k at the centres, k <= K; None where it vanishes."""
        raise NotImplementedError

    def deep(self, cells: Cells, k: int, g: Axes) -> Array:
        """|T|_k,g by the rules."""
        raise NotImplementedError

    @_remembered
    def centre(self, cells: Cells, k: int, g: Axes) -> Array:
        """The norm at the centres alone."""
        ball = self.jet(cells, k)
        return cells.all(0.0) if ball is None else size(ball, cells, k, self.axes, g)

    @_remembered
    def norm(self, cells: Cells, k: int, g: Axes) -> Array:
        """The least bound of |T|_k,g that is known."""
        if self.zero(k):
            return cells.all(0.0)
        if k > cells.order:
            return self.deep(cells, k, g)
        anchored = self._anchored(cells, k, lambda j: self.centre(cells, j, g), lambda j: self.norm(cells, j, g))
        return np.minimum(anchored, self.deep(cells, k, g)) if k else anchored

    def _anchored(self, cells: Cells, k: int, here: Callable[[int], Array], bound: Callable[[int], Array]) -> Array:
        """What the derivatives at the centre from order k on say, with a bound of the next, or of the one after all of them."""
        options = []
        for last in {k + 1, cells.order + 1}:
            power, terms = cells.all(1.0), []
            for j in range(k, last):
                terms.append(outward.mul(power, here(j)))
                power = outward.mul(power, cells.radii, float(np.nextafter(1 / (j + 1 - k), 1.0)) if j > k else 1.0)
            options.append(outward.add(*terms, outward.mul(power, bound(last))))
        return outward.least(options)

    @_remembered
    def operator(self, cells: Cells, rows: Axes, columns: Axes, centred: bool = False) -> Array:
        """The spectral norm on the ball of the value as a matrix, the greatest over the axes left."""
        ball = self.jet(cells, 0)
        if ball is None:
            return cells.all(0.0)
        if centred:
            ball = _centred(ball, cells, columns)
        here = _matrix(ball, cells, self.axes, rows, columns)
        return outward.add(here, outward.mul(cells.radii, self.norm(cells, 1, rows | columns)))

    def interval(self, cells: Cells) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        """Every entry on every ball: least, greatest, and the axes of both."""
        ball = self.jet(cells, 0)
        axes = (CELL, *sorted(self.axes))
        if ball is None:
            zero = np.zeros([cells.sizes[a] for a in axes])
            return zero, zero, axes
        mid = np.broadcast_to(ball.order(axes).mid, [cells.sizes[a] for a in axes])
        reach = outward.add(outward.mul(cells.radii, self.norm(cells, 1, frozenset())), cells.all(ball.rad))
        reach = reach.reshape(-1, *(1 for _ in axes[1:]))
        return np.nextafter(mid - reach, -np.inf), np.nextafter(mid + reach, np.inf), axes


def _centred(ball: Ball, cells: Cells, columns: Axes) -> Ball:
    """Less its mean over some axes: any number would do."""
    have = [a for a in ball.axes if a in columns]
    mean = np.mean(ball.mid, axis=tuple(ball.axes.index(a) for a in have))
    rest = tuple(a for a in ball.axes if a not in have)
    return tensor.plus(ball, Ball(rest, -mean).spread(cells.sizes, have))


def _blocks(ball: Ball, cells: Cells, axes: Axes, groups: list[list[str]]) -> tuple[np.ndarray, float]:
    """The tensor as [cells, places, group, group, ...], with what repeats along lacking axes of the groups as a factor."""
    have = set(ball.axes)
    taken = {a for group in groups for a in group}
    lacking = float(math.prod(cells.sizes[a] for a in taken if a not in have))
    outer = [a for a in ball.axes if a not in taken and a != CELL]
    inner = [[a for a in group if a in have] for group in groups]
    mid = ball.order([CELL, *outer, *(a for group in inner for a in group)]).mid
    shape = [math.prod(cells.sizes[a] for a in group) for group in (outer, *inner)]
    return mid.reshape(-1, *shape), math.sqrt(lacking)


def size(ball: Ball, cells: Cells, k: int, axes: Axes, g: Axes) -> Array:
    """The norm of a derivative tensor over the axes g, the greatest over the other places: from its unfoldings."""
    dims = [direction(i + 1) for i in range(k)]
    blocks, repeat = _blocks(ball, cells, axes, [sorted(g), *([d] for d in dims)])
    c, o, width, *ns = blocks.shape
    if k == 0:
        extra = ball.rad * math.sqrt(width) * (1 + 1e-15)
        found = frobenius(blocks, 1) + extra
    else:
        n = ns[0]
        options = [spectral(_stack(blocks, width * n ** (k - 1), n), ball.rad)]
        if width > 1 and k > 1:
            options.append(spectral(_stack(blocks, width, n**k), ball.rad))
        if k > 2:
            options.append(spectral(_stack(blocks, width * n, n ** (k - 1)), ball.rad))
        found = outward.least(options).reshape(c, o)
    top = np.max(found, axis=1, initial=0.0) * repeat * (1 + 1e-15)
    return outward.up(np.broadcast_to(top, (cells.count,)))


def _stack(blocks: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return np.ascontiguousarray(blocks).reshape(-1, rows, columns)


def _matrix(ball: Ball, cells: Cells, axes: Axes, rows: Axes, columns: Axes) -> Array:
    blocks, repeat = _blocks(ball, cells, axes, [sorted(rows), sorted(columns)])
    c, o, a, b = blocks.shape
    found = spectral(_stack(blocks, a, b), ball.rad).reshape(c, o)
    top = np.max(found, axis=1, initial=0.0) * repeat * (1 + 1e-15)
    return outward.up(np.broadcast_to(top, (cells.count,)))


class Given(Node):
    """A real input."""

    def __init__(self, wire: int, layout: tuple[str, ...]):
        self.wire, self.layout, self.axes = wire, layout, frozenset(layout)

    def zero(self, k: int) -> bool:
        return k >= 2

    @_remembered
    def jet(self, cells: Cells, k: int) -> Ball | None:
        value = cells.centres[self.wire]
        if k == 0:
            return Ball((CELL, *self.layout), value)
        if k >= 2:
            return None
        count = math.prod(value.shape[1:])
        eye = np.zeros((count, cells.length))
        eye[np.arange(count), cells.where[self.wire] + np.arange(count)] = 1.0
        return Ball((*self.layout, direction(1)), eye.reshape(*value.shape[1:], cells.length))

    def deep(self, cells: Cells, k: int, g: Axes) -> Array:
        return cells.all(1.0)


class Affine(Node):
    """A wire as an affine function of nodes: linear chains are folded into one tensor each."""

    def __init__(self, form: Form, axes: Axes, nodes: dict[int, Node], sizes: dict[str, int]):
        self.form, self.axes, self.sizes = form, axes, sizes
        self.terms = [(t, nodes[t.base.wire]) for t in form.terms]

    def zero(self, k: int) -> bool:
        return k > 0 and all(node.zero(k) for _, node in self.terms)

    @_remembered
    def jet(self, cells: Cells, k: int) -> Ball | None:
        start = self.form.constant if not self.form.terms else self.form.offset
        out = start if k == 0 else None
        for term, node in self.terms:
            ball = node.jet(cells, k)
            if ball is None:
                continue
            links = dict(term.links)
            ins = [a for a in sorted(node.axes) if a not in links]
            ball = ball.rename({a: links.get(a, inside(a)) for a in node.axes})
            if term.map.axes == () and term.map.mid == 1 and not term.map.rad and not ins:
                piece = ball
            else:
                wide = {inside(a): cells.sizes[a] for a in ins}
                piece = tensor.times(term.map.spread(wide, [inside(a) for a in ins]), ball, [inside(a) for a in ins])
            out = plus(out, piece)
        return out

    def deep(self, cells: Cells, k: int, g: Axes) -> Array:
        if k == 0:
            return cells.all(math.inf)
        found = [cells.all(0.0)]
        for term, node in self.terms:
            if node.zero(k):
                continue
            links = dict(term.links)
            group = frozenset(a for a in node.axes if a not in links or links[a] in g)
            found.append(outward.mul(node.norm(cells, k, group), self._gain(cells, term, node, g)))
        return outward.add(*found)

    @_remembered
    def _gain(self, cells: Cells, term: Term, node: Node, g: Axes) -> float:
        links = dict(term.links)
        ins = [inside(a) for a in sorted(node.axes) if a not in links]
        wide = {**cells.sizes, **{i: cells.sizes[i[1:]] for i in ins}}
        map_ = term.map.spread(wide, ins)
        zipped = set(links.values())
        outs = [a for a in map_.axes if a in g and a not in zipped]
        rest = [a for a in map_.axes if a not in outs and a not in ins]
        rows, columns = (math.prod(wide[a] for a in group) for group in (outs, ins))
        block = np.ascontiguousarray(map_.order([*rest, *outs, *ins]).mid).reshape(-1, rows, columns)
        repeated = math.prod(cells.sizes[a] for a in g if a not in map_.axes and a not in zipped)
        return float(np.max(spectral(block, map_.rad), initial=0.0)) * math.sqrt(repeated) * (1 + 1e-15)


class Product(Node):
    """`sum over summed of a b`; `weights` says that a is a softmax over part of what is summed."""

    def __init__(self, a: Node, b: Node, summed: Axes, weights: Axes = frozenset()):
        self.a, self.b, self.summed, self.weights = a, b, summed, weights
        self.axes = (a.axes | b.axes) - summed

    def zero(self, k: int) -> bool:
        return all(self.a.zero(j) or self.b.zero(k - j) for j in range(k + 1))

    @_remembered
    def jet(self, cells: Cells, k: int) -> Ball | None:
        out = None
        for some, rest in subsets(tuple(range(1, k + 1))):
            if self.a.zero(len(some)) or self.b.zero(len(rest)):
                continue
            a, b = along(self.a.jet(cells, len(some)), some), along(self.b.jet(cells, len(rest)), rest)
            if a is None or b is None:
                continue
            absent = [x for x in self.summed if x not in a.axes and x not in b.axes]
            out = plus(out, times(a.spread(cells.sizes, absent), b, self.summed))
        return out

    def deep(self, cells: Cells, k: int, g: Axes) -> Array:
        total = [cells.all(0.0)]
        for j in range(k + 1):
            if not (self.a.zero(j) or self.b.zero(k - j)):
                total.append(outward.mul(self._term(cells, j, k - j, g), float(math.comb(k, j))))
        return outward.add(*total)

    def _term(self, cells: Cells, j: int, i: int, g: Axes) -> Array:
        a, b, s = self.a, self.b, self.summed
        both = (a.axes & b.axes) - s
        once = cells.points(s & (a.axes ^ b.axes))
        ga, gb = (g & a.axes) - both, (g & b.axes) - both
        sa, sb, z = s & a.axes, s & b.axes, g & both
        options = []
        for za, zb in {(z, frozenset()), (frozenset(), z)}:
            options.append(outward.mul(a.norm(cells, j, ga | sa | za), b.norm(cells, i, gb | sb | zb)))
        if sa == sb:
            if j == 0 and ga:
                options.append(outward.mul(a.operator(cells, ga, sa), b.norm(cells, i, gb | sb | z)))
            if i == 0 and gb:
                options.append(outward.mul(a.norm(cells, j, ga | sa | z), b.operator(cells, gb, sb)))
            if i == 0 and j and self.weights and self.weights == sb:
                options.append(outward.mul(a.norm(cells, j, ga | sa | z), b.operator(cells, gb, sb, True)))
        return outward.mul(outward.least(options), float(np.nextafter(math.sqrt(once), np.inf)) if once > 1 else 1.0)


class Curve(Node):
    """A function of one real, entry by entry; `entry` encloses its argument on the whole domain."""

    def __init__(self, x: Node, name: str, entry: tuple[float, float]):
        self.x, self.name, self.entry, self.axes = x, name, entry, x.axes

    @_remembered
    def _here(self, cells: Cells) -> list[Ball]:
        """The derivatives of the function at the argument at the centres."""
        from anatomy.regularity.around import curves

        x = self.x.jet(cells, 0)
        if x is None:
            x = tensor.scalar(0.0)
        mids, rads = curves.derivatives(self.name, x.mid, x.rad, cells.order)
        return [Ball(x.axes, mid, rad) for mid, rad in zip(mids, rads, strict=True)]

    @_remembered
    def _most(self, cells: Cells) -> np.ndarray:
        """For every order and cell the greatest size of the function's derivative on the ball."""
        from anatomy.regularity.around import curves

        low, high, _ = self.x.interval(cells)
        low, high = np.maximum(low, self.entry[0]), np.minimum(high, self.entry[1])
        found = curves.suprema(self.name, np.minimum(low, high), np.maximum(low, high), cells.order + 1)
        return found.reshape(cells.order + 2, cells.count, -1).max(axis=2)

    @_remembered
    def jet(self, cells: Cells, k: int) -> Ball | None:
        here = self._here(cells)
        if k == 0:
            return here[0]
        out = None
        for blocks in partitions(tuple(range(1, k + 1))):
            piece: Ball | None = here[len(blocks)]
            for block in blocks:
                piece = times(piece, None if self.x.zero(len(block)) else along(self.x.jet(cells, len(block)), block))
            out = plus(out, piece)
        return out

    def deep(self, cells: Cells, k: int, g: Axes) -> Array:
        most = self._most(cells)
        if k == 0:
            return cells.all(math.inf)
        total = [cells.all(0.0)]
        none: Axes = frozenset()
        for blocks in partitions(tuple(range(1, k + 1))):
            lengths = [len(b) for b in blocks]
            if any(self.x.zero(n) for n in lengths):
                continue
            options = []
            for at in range(len(lengths)):
                factors = [self.x.norm(cells, n, g if i == at else none) for i, n in enumerate(lengths)]
                options.append(outward.mul(most[len(blocks)], *factors))
            total.append(outward.least(options))
        return outward.add(*total)


def partitions(items: tuple[int, ...]) -> Iterator[list[tuple[int, ...]]]:
    """All ways to part a set into blocks."""
    if not items:
        yield []
        return
    first, *rest = items
    for with_first, others in subsets(tuple(rest)):
        for blocks in partitions(others):
            yield [(first, *with_first), *blocks]


class Softmax(Node):
    """The weights `p` over some axes of scores, with the logarithm's derivatives beside them; `allowed` is a 0/1 constant."""

    PASSES = 10

    def __init__(self, x: Node, own: Axes, allowed: Ball | None):
        self.x, self.own, self.allowed = x, own, allowed
        self.axes = x.axes
        if not own <= x.axes or (allowed is not None and not set(allowed.axes) <= x.axes):
            raise Unproved("a softmax over axes that its scores lack")

    @_remembered
    def jet(self, cells: Cells, k: int) -> Ball | None:
        from anatomy.regularity.rows import softmax_of

        if k == 0:
            scores = self.x.jet(cells, 0)
            return softmax_of(scores or tensor.scalar(0.0), self.allowed, self.own, cells.sizes)
        *before, last = range(1, k + 1)
        out = None
        for some, rest in subsets(tuple(before)):
            out = plus(out, times(along(self.jet(cells, len(some)), some), along(self.logarithm(cells, len(rest) + 1), (*rest, last))))
        return out

    @_remembered
    def logarithm(self, cells: Cells, k: int) -> Ball | None:
        """The derivative of order k >= 1 of log p at the centres, 0 where a mask allows nothing."""
        *before, last = range(1, k + 1)
        out = None if self.x.zero(k) else self.x.jet(cells, k)
        for some, rest in subsets(tuple(before)):
            if self.x.zero(len(rest) + 1):
                continue
            mean = times(along(self.jet(cells, len(some)), some), along(self.x.jet(cells, len(rest) + 1), (*rest, last)), self.own)
            if mean is not None:
                out = plus(out, Ball(mean.axes, -mean.mid, mean.rad))
        return out if self.allowed is None else times(out, self.allowed)

    @_remembered
    def _log_centre(self, cells: Cells, k: int, g: Axes) -> Array:
        ball = self.logarithm(cells, k)
        return cells.all(0.0) if ball is None else size(ball, cells, k, self.axes, g)

    def norm(self, cells: Cells, k: int, g: Axes) -> Array:
        return self._weight(cells, k, g, self.PASSES)

    @_remembered
    def _weight(self, cells: Cells, k: int, g: Axes, turn: int) -> Array:
        """|p|_k,g after some turns of anchoring at the centre, each of which starts from sound bounds."""
        if k == 0:
            return self._value(cells, g, turn)
        if turn == 0:
            return self._leibniz(cells, k, g, 0)
        before = self._weight(cells, k, g, turn - 1)
        if k > cells.order:
            return np.minimum(before, self._leibniz(cells, k, g, turn - 1))
        return np.minimum(before, self._anchored(cells, k, lambda j: self.centre(cells, j, g), lambda j: self._weight(cells, j, g, turn)))

    def _value(self, cells: Cells, g: Axes, turn: int) -> Array:
        """sum over own of p^2 <= max p."""
        if not g:
            if turn == 0:
                return self._peak(cells)
            reach = outward.mul(cells.radii, self._weight(cells, 1, g, turn - 1))
            return np.minimum(1.0, outward.add(self.centre(cells, 0, g), reach))
        top = self._weight(cells, 0, frozenset(), turn)
        rows = cells.points(g - self.own)
        by_row = outward.mul(outward.root(top) if self.own & g else top, math.sqrt(rows) * (1 + 1e-15))
        if turn == 0:
            return by_row
        anchored = outward.add(self.centre(cells, 0, g), outward.mul(cells.radii, self._weight(cells, 1, g, turn - 1)))
        return np.minimum(by_row, anchored)

    @_remembered
    def _peak(self, cells: Cells) -> Array:
        """max p <= q / (q + (1 - q) e^-w), q the greatest at the centre and w the greatest change of a difference of scores."""
        none: Axes = frozenset()
        r, q = cells.radii, np.minimum(self.centre(cells, 0, none), 1.0)
        first = outward.mul(r, self._log_centre(cells, 1, none), 2.0) if cells.order else outward.mul(r, self.x.norm(cells, 1, none), 2.0)
        if cells.order and not self.x.zero(2):
            twice = np.minimum(outward.mul(self.x.norm(cells, 2, none), 2.0), outward.mul(self.x.norm(cells, 2, self.own), 1.4142135623730952))
            first = outward.add(first, outward.mul(r, r, twice, 0.5))
        kept = np.exp(-np.minimum(first, 700.0)) * (1 - 1e-13)
        kept = np.where(first < 700, kept, 0.0)
        return np.minimum(1.0, np.where(q > 0, q / np.maximum(q + (1 - q) * kept, 1e-300) * (1 + 1e-14), 0.0))

    def _leibniz(self, cells: Cells, k: int, g: Axes, turn: int) -> Array:
        none: Axes = frozenset()
        total = []
        for j in range(k):
            options = [
                outward.mul(self._weight(cells, j, g, turn), self._log(cells, k - j, none, turn)),
                outward.mul(self._weight(cells, j, none, turn), self._log(cells, k - j, g, turn)),
            ]
            total.append(outward.mul(outward.least(options), float(math.comb(k - 1, j))))
        return outward.add(*total)

    @_remembered
    def _log(self, cells: Cells, k: int, g: Axes, turn: int) -> Array:
        """|log p|_k,g over what a mask allows, k >= 1."""
        if turn == 0:
            return self._scores(cells, k, g, 0)
        before = self._log(cells, k, g, turn - 1)
        if k > cells.order:
            return np.minimum(before, self._scores(cells, k, g, turn - 1))
        return np.minimum(before, self._anchored(cells, k, lambda j: self._log_centre(cells, j, g), lambda j: self._log(cells, j, g, turn)))

    def _scores(self, cells: Cells, k: int, g: Axes, turn: int) -> Array:
        """(log p)^(k) = s^(k) - sum_j C(k - 1, j) sum over own of p^(j) s^(k - j)."""
        own, x = self.own, self.x
        rows, repeat = g - own, math.sqrt(cells.points(g & own)) * (1 + 1e-15)
        total = [cells.all(0.0)]
        top = self._weight(cells, 0, frozenset(), turn)
        if not x.zero(k):
            if not g:
                # |s_j - E s| <= 2 max |s|, and <= |e_j - p| |s| with |e_j - p|^2 <= 1 + max p.
                spread = outward.root(outward.add(cells.all(1.0), top))
                total.append(outward.least([outward.mul(x.norm(cells, k, g), 2.0), outward.mul(spread, x.norm(cells, k, own))]))
            else:
                mean = outward.mul(outward.root(top), x.norm(cells, k, rows | own), repeat)
                options = [outward.add(x.norm(cells, k, g), mean)]
                if own <= g:  # 1 p^T and I - 1 p^T are projections of one norm, |1| |p|, unless one of them is 0
                    oblique = np.maximum(1.0, outward.mul(outward.root(top), repeat))
                    options.append(outward.mul(oblique, x.norm(cells, k, g)))
                total.append(outward.least(options))
        for j in range(1, k):
            if x.zero(k - j):
                continue
            options = [
                outward.mul(self._weight(cells, j, own | rows, turn), x.norm(cells, k - j, own)),
                outward.mul(self._weight(cells, j, own, turn), x.norm(cells, k - j, own | rows)),
            ]
            total.append(outward.mul(outward.least(options), float(math.comb(k - 1, j)), repeat))
        return outward.add(*total)
