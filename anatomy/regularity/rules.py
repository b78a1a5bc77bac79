"""The compositional calculus: what operations may ask for, made sound once for arbitrary lifts."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from anatomy.ir.bound import (
    INF,
    Bound,
    Image,
    Interval,
    Slopes,
    Steepness,
    Triple,
    Unproved,
    add,
    div,
    enclose,
    magnitude,
    meet,
    mul,
    plus,
    root,
    slopes_after,
    slopes_meet,
    slopes_sum,
    up,
)
from anatomy.ir.graph import Node
from anatomy.regularity import affine, arranging, constants, local, selecting, tensor
from anatomy.regularity.affine import Form
from anatomy.regularity.rows import counts, decide, floor, peak, row_counts, simplex, softmax_of
from anatomy.regularity.tensor import Ball, TooLarge
from anatomy.regularity.theorems import logsum, lookup
from anatomy.regularity.view import Length, Softmax, Via, Weights, constant, mask_of, tighten, widen, with_tokens

ZERO = Triple()


def _log(x: Interval) -> Interval:
    """The logarithm of an interval of positive numbers."""
    return enclose("log", x[0])[0], enclose("log", x[1])[1]


def _between_wholes(ball: Ball) -> bool:
    """Whether no entry may lie on both sides of a whole number; the ends are rounded outwards."""
    low, high = np.nextafter(ball.mid - ball.rad, -INF), np.nextafter(ball.mid + ball.rad, INF)
    return not np.any(np.floor(low) != np.floor(high))


class Rules:
    """The `BoundContext` of one node."""

    def __init__(self, node: Node, ports: list[Bound], sizes: dict[str, int]):
        self.node, self.ports, self.sizes = node, ports, sizes

    # questions --------------------------------------------------------------------------------

    def port(self, k: int) -> Bound:
        return self.ports[k]

    def size(self, axis: str) -> int:
        return self.sizes[axis]

    def points(self, axes: Any) -> int:
        return math.prod(self.sizes[a] for a in axes)

    def fresh(self, axes: frozenset[str]) -> dict[str, str]:
        """Names that occur nowhere else for axes that are summed away."""
        table = {a: f"~{len(self.sizes) + k}~{a}" for k, a in enumerate(sorted(axes))}
        self.sizes.update({new: self.sizes[old] for old, new in table.items()})
        return table

    def unproved(self, why: str) -> Unproved:
        return Unproved(why)

    def single(self, x: Bound) -> float | None:
        ball = constant(x)
        if ball is None or ball.rad or not ball.mid.size or float(ball.mid.min()) != float(ball.mid.max()):
            return None
        return float(ball.mid.flat[0])

    # constants --------------------------------------------------------------------------------

    def known(self, ball: Ball, axes: frozenset[str] | None = None) -> Bound:
        if not np.all(np.isfinite(ball.mid)):
            raise Unproved("a constant is not finite")
        axes = frozenset(ball.axes) if axes is None else axes
        radius = mul(float(tensor.frobenius(ball.mid, ball.mid.ndim)), 1.0)
        radius = add(radius, mul(ball.rad, root(float(ball.mid.size))))
        radius = mul(radius, root(float(self.points(axes - frozenset(ball.axes)))))
        return Bound(axes, frozenset(), ball.interval, radius, {}, form=Form((), ball))

    def number(self, value: Any) -> Bound:
        exact = Fraction(value)
        try:
            near = float(exact)
        except OverflowError:
            raise Unproved("a constant is not finite") from None
        rad = 0.0 if Fraction(near) == exact else up(abs(near) * 2 * tensor.UNIT)
        return self.known(tensor.scalar(near, rad))

    def positions(self, axis: str) -> Bound:
        tensor.guard(self.sizes[axis])
        return self.known(Ball((axis,), np.arange(self.sizes[axis], dtype=np.float64)))

    # linear rules -----------------------------------------------------------------------------

    def open(self, *parts: Bound) -> None:
        """Refuses masked operands: only a softmax gives entries of -inf a meaning."""
        if any("mask" in p.facts for p in parts):
            raise Unproved("a masked value is used outside a softmax")

    def weighted(self, x: Bound, factor: float) -> Bound:
        return self.product([x, self.number(factor)])

    def total(self, parts: list[Bound]) -> Bound:
        masks = [p.facts["mask"] for p in parts if "mask" in p.facts]
        if len(masks) > 1:
            self.open(*parts)  # -inf and what is finite sum up to -inf, so that one mask stands for the sum
        axes = frozenset().union(*(p.axes for p in parts))
        tokens = frozenset().union(*(p.tokens for p in parts))
        wide = [widen(p, axes, tokens, self.sizes) for p in parts]
        slopes: Slopes = {}
        entry, radius = (0.0, 0.0), 0.0
        for part in wide:
            slopes = slopes_sum(slopes, part.slopes)
            entry, radius = plus(entry, part.entry), add(radius, part.radius)
        form = None
        if all(p.form is not None for p in parts):
            try:
                form = parts[0].form
                for part in parts[1:]:
                    form = affine.total(form, part.form, self.sizes)
            except TooLarge:
                form = None
        out = replace(self.finish(axes, tokens, entry, radius, slopes, form), local=local.of_sum(parts, axes))
        out = lookup.interpolated(self, out)
        if masks:
            return replace(out, facts={"mask": masks[0]})
        if len(wide) == 2:
            from anatomy.regularity.theorems import delta

            step = delta.step(self, parts, tokens)
            if step is not None:
                out = tighten(replace(out, slopes=slopes_meet(out.slopes, step[0]), radius=min(out.radius, step[1])), self.sizes)
        moving, fixed = [p for p in parts if not p.constant], [p.form for p in parts if p.constant]
        if len(moving) != 1 or not isinstance(moving[0].facts.get("via"), Via) or any(f is None for f in fixed):
            return out
        shifted = moving[0].facts["via"].forms
        for constant_part in fixed:
            shifted = tuple(affine.total(f, Form((), constant_part.constant), self.sizes) for f in shifted)
        return replace(out, facts={"via": Via(shifted)})

    def finish(
        self, axes: frozenset[str], tokens: frozenset[str], entry: Interval, radius: float, slopes: Slopes, form: Form | None
    ) -> Bound:
        """The meet of what the rule of an operation says and what its explicit form says."""
        if form is not None and form.terms:
            through: Slopes = {}
            reach = 0.0
            for term in form.terms:
                triple = affine.norms(term, axes, tokens, self.sizes)
                part = slopes_after(triple, term.base.bound.slopes)
                fold = term.base.bound.facts.get("attention")
                if fold is not None:
                    better = fold(term, axes, tokens, self.sizes)
                    part = slopes_meet(part, better) if better is not None else part
                through = slopes_sum(through, part)
                reach = add(reach, mul(triple.inf, term.base.bound.radius))
            slopes = slopes_meet(slopes, through)
            if form.offset is not None:
                offset = form.offset
                whole = mul(self.known(offset).radius if not tokens & set(offset.axes) else self._rows(offset, tokens), 1.0)
                reach = add(reach, mul(whole, root(float(self.points(axes - tokens - set(offset.axes))))))
            radius = min(radius, reach)
            entry = meet(entry, affine.entries(form, axes, self.sizes))
        elif form is not None and form.constant is not None:
            return replace(self.known(form.constant, axes), entry=form.constant.interval)
        return tighten(Bound(axes, tokens, entry, radius, slopes, form=form), self.sizes)

    def _rows(self, ball: Ball, tokens: frozenset[str]) -> float:
        outer = [a for a in ball.axes if a in tokens]
        inner = [a for a in ball.axes if a not in tokens]
        mid = ball.order([*outer, *inner]).mid
        norm = float(np.max(tensor.frobenius(mid, len(inner)))) if inner else float(np.max(np.abs(mid)))
        return add(norm, mul(ball.rad, root(float(self.points(inner)))))

    def linear(self, x: Bound, name: str, **options: Any) -> tuple[Bound, ...]:
        return arranging.arranged(self, x, name, **options)

    def join(self, parts: list[Bound]) -> Bound:
        return arranging.joined(self, parts)

    # products ---------------------------------------------------------------------------------

    def product(self, factors: list[Bound], summed: tuple[str, ...] = ()) -> Bound:
        from anatomy.regularity.multilinear import product

        self.open(*factors)
        return product(self, factors, frozenset(summed))

    def quotient(self, a: Bound, b: Bound, inverse: Bound) -> Bound:
        from anatomy.regularity.theorems import features

        out = self.product([a, inverse])
        found = features.quotient(self, a, b, out.tokens)
        if found is None:
            return out
        slopes, values = found
        if not any(slopes[key].two < out.slopes[key].two for key in out.slopes if key in slopes):
            return out
        # A mean of values lies in their hull; so does its norm, where the weights are the same for all features.
        grown = root(float(self.points(out.features - (values.features & out.axes))))
        radius = mul(grown, values.radius)
        better = replace(out, slopes=slopes_meet(out.slopes, slopes), radius=min(out.radius, radius), entry=meet(out.entry, values.entry))
        return replace(tighten(better, self.sizes), facts={"method": features.NAME}, form=None)

    def logarithm(self, x: Bound) -> Bound | None:
        """The logarithm of a positive wire; of an exponential and of a positive multiple of one, what it was made from."""
        known = x.facts.get("log")
        if isinstance(known, Bound):
            return known
        if x.entry[0] <= 0 or "mask" in x.facts:
            return None
        shifted = logsum.of_elu(self, x)
        if shifted is not None:
            return shifted
        weights = x.facts.get("softmax")
        if isinstance(weights, Softmax) and weights.allowed is None and weights.score.axes == x.axes:
            from anatomy.regularity.theorems import mixing

            norm = mixing.apart(self.partition(weights.score, weights.own))
            return self.total([weights.score, self.weighted(norm, -1)])
        return self.pointwise(x, "log", _log, lambda e: div(1.0, e[0]))

    # nonlinear rules --------------------------------------------------------------------------

    def pointwise(self, x: Bound, name: str, image: Image, slope: Steepness) -> Bound:
        self.open(x)
        steep = slope(x.entry)
        ball = constant(x)
        if name == "log" and ball is None and (made := logsum.of(self, x, image(x.entry))) is not None:
            return made
        if ball is not None:
            value = constants.evaluate(name, ball, steep)
            if value is not None:
                return self.known(value, x.axes)
        radius = INF
        if x.entry[0] <= 0 <= x.entry[1]:
            at_zero = magnitude(image((0.0, 0.0)))
            radius = add(mul(at_zero, root(float(self.points(x.features)))), mul(steep, x.radius))
        slopes = slopes_after(Triple.all(steep), x.slopes)
        if name == "sqrt" and (length := self.length(x)) is not None:
            slopes, radius = slopes_meet(slopes, length[0]), min(radius, length[1])
        places = local.scaled(local.parts_of(x), steep)
        out = tighten(Bound(x.axes, x.tokens, image(x.entry), radius, slopes, local=places), self.sizes)
        from anatomy.regularity.theorems import pointwise, sink, sticks

        facts = pointwise.curve(x, out, image, slope) | ({"log": replace(x, facts={})} if name == "exp" else {})
        facts |= {"square": replace(x, facts={})} if name in ("square", "power 2") else {}
        facts |= {"elu": replace(x, facts={})} if name == "elu" else {}
        facts |= {"soft": sticks.Soft(replace(x, facts={}))} if name == "softplus" else {}
        out = sink.noted(x, replace(out, facts=facts), name)
        return sticks.noted(x, out) if name == "exp" else out

    def length(self, x: Bound) -> tuple[Slopes, float] | None:
        """The derivative and the norm of the root of a sum of squares."""
        from anatomy.regularity.theorems import length

        return length.root_of(self, x)

    def selection(self, parts: list[Bound], over: frozenset[str]) -> Bound:
        self.open(*parts)
        axes = frozenset().union(*(p.axes for p in parts))
        tokens = frozenset().union(*(p.tokens for p in parts))
        if over & tokens:
            tokens = axes  # the choice may differ between features, so nothing is kept together
        slopes: Slopes = {}
        radius = 0.0
        for part in parts:
            part = widen(part, axes, tokens, self.sizes)
            slopes, radius = slopes_sum(slopes, part.slopes), add(radius, part.radius)
        places = local.of_mixtures(self, parts, over)
        return Bound(axes - over, tokens - over, (-INF, INF), INF if over else radius, slopes, local=places)

    def normalised(self, x: Bound, own: frozenset[str], slope: float, radius: float, entry: Interval) -> Bound:
        self.open(x)
        x = with_tokens(x, x.tokens - own, self.sizes)
        others = root(float(self.points(x.features - own)))
        reach = min(mul(radius, others), mul(slope, x.radius))
        out = tighten(Bound(x.axes, x.tokens, entry, reach, slopes_after(Triple.all(slope), x.slopes)), self.sizes)
        return replace(out, facts={"length": Length(own, radius)})

    def distribution(self, x: Bound, own: frozenset[str]) -> Bound:
        allowed = mask_of(x)
        least, most = counts(allowed, own, self.sizes)
        ball = constant(x)
        if ball is not None and (allowed is None or isinstance(allowed, Ball)):
            try:
                return replace(self.known(softmax_of(ball, allowed, own, self.sizes), x.axes), mass={own: 1.0})
            except TooLarge:
                pass
        if not own <= x.features:
            x = with_tokens(x, x.axes, self.sizes)
        top = peak(least, x.entry[1] - x.entry[0])
        # The Jacobian diag(p) - p p^T has absolute row and column sums 2 p (1 - p) <= 1/2.
        steep = 0.0 if most <= 1 else min(0.5, mul(2.0, top, up(1.0 - top))) if top < 0.5 else 0.5
        slopes = slopes_after(Triple.all(steep), x.slopes) if most > 1 else dict.fromkeys(x.slopes, ZERO)
        flow = {}
        if x.tokens == x.axes:
            # max to sum over the axes: sum_j p_j |s_j - E s| <= std(s) <= max |s|.
            flow = {own: {key: triple.inf if most > 1 else 0.0 for key, triple in x.slopes.items()}}
        low = 0.0 if allowed is not None else floor(most, x.entry[1] - x.entry[0])
        bound = Bound(x.axes, x.tokens, (low, top), 1.0 if own == x.features else INF, slopes, {own: 1.0}, flow)
        return replace(tighten(bound, self.sizes), facts={"softmax": Softmax(own, replace(x, facts={}), allowed)})

    def drawn(self, axes: Any, entry: Interval) -> Bound:
        return tighten(Bound(frozenset(axes), frozenset(axes), entry), self.sizes)

    def picked(self, x: Bound, index: Bound, axis: str) -> Bound:
        return selecting.picked(self, x, index, axis)

    def ranked(self, x: Bound, whole: str, new: str) -> tuple[Bound, Bound]:
        return selecting.ranked(self, x, whole, new)

    def keys(self, x: Bound, own: frozenset[str]) -> tuple[float, float]:
        return counts(mask_of(x), own, self.sizes)

    def simplex(
        self, x: Bound, own: frozenset[str], slope: Triple, flow: float, top: float, over: frozenset[str] | None = None, kind: Any = None
    ) -> Bound:
        over = own if over is None else over
        out = simplex(x, own, slope, flow, top, over, self.sizes)
        return out if kind is None else replace(out, facts={"weights": Weights(kind, replace(x, facts={}), out, tensor.scalar(1.0), over, mask_of(x), own - over)})

    def shared(self, x: Bound, out: Bound, own: frozenset[str], eps: float) -> Bound:
        log = self.logarithm(x) if x.entry[0] > 0 else None
        if log is None:
            return out
        if eps == 0:
            # x / sum x is the softmax of log x.
            better = with_tokens(self.distribution(log, own), out.tokens, self.sizes)
            out = replace(out, slopes=slopes_meet(out.slopes, better.slopes), entry=meet(out.entry, better.entry), radius=min(out.radius, better.radius))
            return replace(tighten(out, self.sizes), mass={own: 1.0}, facts={**out.facts, "softmax": Softmax(own, log, None)})
        low, high = _log((eps, eps))
        whole = replace(out, mass={own: 1.0}, entry=meet(out.entry, (0.0, 1.0)))
        return replace(whole, facts={"weights": Weights(("sink", (low, high)), log, out, tensor.scalar(1.0), own)})

    def partition(self, x: Bound, own: frozenset[str]) -> Bound:
        from anatomy.regularity.theorems import sink

        return sink.partition(self, x, own)

    def substituted(self, a: Bound, b: Bound, rows: str, columns: str, growth: float, size: float) -> Bound:
        axes = (a.axes | b.axes) - {rows} | {columns}
        some = Bound(axes, axes, (-size, size), size)
        step = self.total([b, self.product([a, some], (columns,))])
        step = with_tokens(step, step.axes, self.sizes)
        return tighten(Bound(axes, axes, (-size, size), size, slopes_after(Triple.all(growth), step.slopes)), self.sizes)

    def filled(self, x: Bound, own: frozenset[str]) -> Bound:
        """The operand without its mask, where the mask leaves something of every row."""
        bare, mask = self.unmasked(x)
        ball = None if mask is None else constant(mask)
        if mask is not None and (ball is None or float(np.min(row_counts(ball, own, self.sizes), initial=1.0)) < 1):
            raise Unproved("the mask is not proved to leave anything in every row")
        return bare

    def spread(self, x: Bound, axes: frozenset[str]) -> Bound:
        return widen(x, x.axes | axes, x.tokens, self.sizes)

    def loop(self) -> list[Bound]:
        from anatomy.regularity.loops import loop

        return loop(self)

    # masks and positions ----------------------------------------------------------------------

    def predicate(self, name: str, parts: list[Bound]) -> Bound:
        self.open(*parts)
        axes = frozenset().union(*(p.axes for p in parts))
        balls = [constant(p) for p in parts]
        if all(b is not None for b in balls):
            try:
                value = decide(name, [b for b in balls if b is not None], self.sizes)
            except TooLarge:
                value = None
            if value is not None:
                return self.known(value, axes)
        slopes: Slopes = {key: Triple.all(INF) for p in parts for key in p.slopes}
        return Bound(axes, axes, (0.0, 1.0), INF, slopes)

    def masked(self, mask: Bound, x: Bound) -> Bound:
        self.open(x)
        if not mask.constant:
            raise Unproved("the mask depends on the input, so values may jump")
        wide = widen(x, x.axes | mask.axes, x.tokens, self.sizes)
        ball = constant(mask)
        if ball is not None:
            # Where the mask is false nothing is read, so the interval need not hold there.
            wide = replace(wide, entry=meet(wide.entry, arranging.seen(x, ball, self.sizes)))
        return replace(wide, origin=None, form=x.form, facts={"mask": ball if ball is not None else "any"}, local=local.at(x, wide.axes))

    def unmasked(self, x: Bound) -> tuple[Bound, Bound | None]:
        fact = mask_of(x)
        if fact is None:
            return x, None
        inside = replace(x, facts={k: v for k, v in x.facts.items() if k != "mask"}, origin=None)
        return inside, self.known(fact) if isinstance(fact, Ball) else Bound(x.axes, frozenset(), (0.0, 1.0))

    def chosen(self, mask: Bound, a: Bound, b: Bound) -> Bound:
        if not mask.constant:
            raise Unproved("the choice depends on the input, so values may jump")
        self.open(a, b)
        ball = constant(mask)
        entry = min(a.entry[0], b.entry[0]), max(a.entry[1], b.entry[1])
        if ball is None:
            return replace(self.selection([a, b], frozenset()), entry=entry)
        parts = [self.product([a, mask])]
        if self.single(b) != 0 or not b.axes <= parts[0].axes:
            parts.append(self.product([b, self.known(Ball(ball.axes, 1.0 - ball.mid), mask.axes)]))
        out = self.total(parts) if len(parts) > 1 else parts[0]
        return out if out.form is not None and not out.form.terms else replace(out, entry=meet(entry, out.entry))

    def rounded(self, x: Bound, axis: str) -> Bound:
        self.open(x)
        ball = constant(x)
        last = float(self.sizes[axis] - 1)
        if ball is not None and (ball.rad == 0 or _between_wholes(ball)):
            return self.known(Ball(ball.axes, np.clip(np.floor(ball.mid), 0.0, last)), x.axes)
        out = Bound(x.axes, x.tokens, (0.0, last), INF, {key: Triple.all(INF) for key in x.slopes})
        return replace(out, facts={"floor": lookup.Floor(replace(x, facts={}), self.sizes[axis])})
