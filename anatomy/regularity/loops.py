"""A loop that feeds a state back: bounds of its states, and of their derivative, at every step.

Statement. `s_(t+1) = f(s_t, x_t, w)`, t = 0 .. n - 1, on the domain. With a set that holds every state, let C be the matrix
of Lipschitz constants of f from state to state there, X and W those from what a step reads for itself and from what all
steps share, each in the p-norm over the tokens of one step (p = 1, 2, infinity). The stacks then satisfy, in the
p-norm over steps and tokens together and state by state,

    |ds|_p <= (I + C + ... + C^n) (X |dx|_p + n^(1/p) W |dw|_p) + ((C^0)^p + ... + (C^n)^p)^(1/p) |ds_0|_p.

Proof. |ds_(t+1)| <= C |ds_t| + X |dx_t| + W |dw| for each t, all entries at least 0; solved from the start, the part of dx is
the sum over k of C^k applied to X |dx| moved by k steps, and moving does not lengthen a sequence. The others likewise.
The set of states is the hull of the image of itself, begun at s_0, after n rounds: it is contained in the next, so that
by induction it holds s_t for every t < n.

Norms: as everywhere in the calculus, Euclidean over features. Source: the derivation is this project's; for one state and
a contraction C = c < 1 the sum is at most 1 / (1 - c), the gain of a stable linear filter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anatomy.ir.bound import Bound, Interval, Slopes, Triple, Unproved, add, mul, root, slopes_after, slopes_sum
from anatomy.ir.graph import Diagram
from anatomy.ir.loop import under
from anatomy.regularity.rules import Rules
from anatomy.regularity.tensor import TooLarge
from anatomy.regularity.view import Length, Product, rename, tighten, widen, with_tokens
from anatomy.regularity.wires import results, wired

LONGEST = 4096
"""The steps of the longest loop that is bounded."""

NORMS = ("one", "two", "inf")

Matrix = list[list[float]]


def loop(ctx: Rules) -> list[Bound]:
    """The states before each step, the extras of each step, and the last states."""
    node, sizes = ctx.node, ctx.sizes
    step, body, carries = node.own[0], under(node), node.op.carries
    n = sizes[step]
    if n > LONGEST:
        raise Unproved(f"the loop has {n} steps, more than {LONGEST}")
    ctx.open(*ctx.ports)
    ports = [p if step not in p.axes else with_tokens(p, p.tokens | {step}, sizes) for p in ctx.ports]
    tokens = frozenset().union(*(p.tokens for p in ports if not p.constant)) - {step}
    states = _shapes(body, ports, carries, step)
    here = [with_tokens(widen(p, axes, p.tokens, sizes), tokens & axes, sizes) for p, axes in zip(ports, states, strict=False)]
    start, rest = here[:carries], [_slice(p, step, tokens, sizes) for p in ports[carries:]]
    facts = _facts(ports, carries, step)
    hull = [(b.entry, b.radius) for b in start]
    for _ in range(n):
        out = _step(ctx, body, [*_states(hull, states, tokens), *rest], facts)
        grown = [_joined(h, (o.entry, o.radius)) for h, o in zip(hull, out[:carries], strict=False)]
        if grown == hull:
            break
        hull = grown
    out = _step(ctx, body, [*_states(hull, states, tokens), *rest], facts)
    keys = [i.wire for i in body.inputs]
    moved = [_stacked(p, step, tokens, sizes) for p in ports[carries:]]
    stacked = _solved(out, keys, carries, n, [b.slopes for b in start], moved)
    found: list[Bound] = []
    for k in range(carries):
        entry, radius = hull[k]
        found.append(tighten(Bound(states[k] | {step}, tokens & states[k] | {step}, entry, radius, stacked[k]), sizes))
    for o in out[carries:]:
        slopes: Slopes = {}
        for key, before in zip(keys, (*stacked, *moved), strict=True):
            if key in o.slopes:
                slopes = slopes_sum(slopes, slopes_after(o.slopes[key], before))
        found.append(tighten(Bound(o.axes | {step}, o.tokens | {step}, o.entry, o.radius, slopes), sizes))
    for k in range(carries):
        entry, radius = _joined(hull[k], (out[k].entry, out[k].radius))
        found.append(tighten(Bound(states[k], tokens & states[k], entry, radius, stacked[k]), sizes))
    return _summed(ctx, body, ports, states, out, found)


def _summed(
    ctx: Rules, body: Diagram, ports: Sequence[Bound], states: Sequence[frozenset[str]], out: Sequence[Bound], found: list[Bound]
) -> list[Bound]:
    """The same, sharper where the loop only accumulates."""
    from anatomy.regularity import running

    carries = ctx.node.op.carries
    factors = running.decays(body, out, carries)
    if factors is None:
        return found
    try:
        whole = running.together(ctx, body, ports, states, factors)
    except (Unproved, TooLarge):
        return found
    if whole is None:
        return found
    first = [running.better(x, y, ctx.sizes) for x, y in zip(found, (*whole[0], *whole[1]), strict=False)]
    return [*first, *found[len(first) :]]


def _stacked(x: Bound, step: str, tokens: frozenset[str], sizes: dict[str, int]) -> Slopes:
    """The derivative of what the steps read, laid end to end; what they share counts once for each."""
    slopes = with_tokens(x, (tokens | {step}) & x.axes, sizes).slopes
    n = float(sizes[step])
    return slopes if step in x.axes else slopes_after(Triple.of(n, root(n), 1.0), slopes)


def _solved(
    out: Sequence[Bound], keys: Sequence[int], carries: int, n: int, start: Sequence[Slopes], moved: Sequence[Slopes]
) -> list[Slopes]:
    """The derivative of every state at all steps, by each input of the whole."""
    found: list[dict[int, dict[str, float]]] = [{} for _ in range(carries)]
    for norm in NORMS:
        step = [[_of(o.slopes, key, norm) for key in keys] for o in out[:carries]]
        total, begun = _powers([row[:carries] for row in step], n, norm)
        for k in range(carries):
            parts = [(begun[k][i], start[i]) for i in range(carries)]
            parts += [(add(*(mul(total[k][i], step[i][j + carries]) for i in range(carries))), moved[j]) for j in range(len(moved))]
            for factor, slopes in parts:
                for key, triple in slopes.items():
                    at = found[k].setdefault(key, dict.fromkeys(NORMS, 0.0))
                    at[norm] = add(at[norm], mul(factor, getattr(triple, norm)))
    return [{key: Triple.of(*(by[norm] for norm in NORMS)) for key, by in f.items()} for f in found]


def _of(slopes: Slopes, key: int, norm: str) -> float:
    return getattr(slopes[key], norm) if key in slopes else 0.0


def _powers(c: Matrix, n: int, norm: str) -> tuple[Matrix, Matrix]:
    """`C^0 + ... + C^n` and `((C^0)^p + ... + (C^n)^p)^(1/p)`, entry by entry, rounded up."""
    size = range(len(c))
    power = [[1.0 if i == j else 0.0 for j in size] for i in size]
    total, begun = [row[:] for row in power], [row[:] for row in power]
    for _ in range(n):
        power = [[add(*(mul(power[i][k], c[k][j]) for k in size)) for j in size] for i in size]
        total = [[add(total[i][j], power[i][j]) for j in size] for i in size]
        square = [[mul(x, x) if norm == "two" else x for x in row] for row in power]
        begun = [[max(begun[i][j], square[i][j]) if norm == "inf" else add(begun[i][j], square[i][j]) for j in size] for i in size]
    return total, [[root(x) for x in row] for row in begun] if norm == "two" else begun


def _shapes(body: Diagram, ports: Sequence[Bound], carries: int, step: str) -> list[frozenset[str]]:
    """The axes of every state in one step: its own, and every lift of the loop."""
    own = [frozenset(i.layout) for i in body.inputs]
    lifts = frozenset().union(*(p.axes - o for p, o in zip(ports, own, strict=True))) - {step}
    return [o | lifts for o in own[:carries]]


def _slice(x: Bound, step: str, tokens: frozenset[str], sizes: dict[str, int]) -> Bound:
    """What one step reads of a wire."""
    if step not in x.axes:
        return x if x.constant else with_tokens(replace(x, facts={}), tokens & x.axes, sizes)
    kept = x.tokens - {step} if x.constant else tokens & x.axes
    seen = with_tokens(x, kept | {step}, sizes)
    return Bound(x.axes - {step}, kept, seen.entry, seen.radius, dict.fromkeys(x.slopes, Triple.all(1.0)))


def _states(hull: Sequence[tuple[Interval, float]], axes: Sequence[frozenset[str]], tokens: frozenset[str]) -> list[Bound]:
    return [Bound(a, tokens & a, entry, radius, {-1: Triple.all(1.0)}) for (entry, radius), a in zip(hull, axes, strict=True)]


def _joined(a: tuple[Interval, float], b: tuple[Interval, float]) -> tuple[Interval, float]:
    return (min(a[0][0], b[0][0]), max(a[0][1], b[0][1])), max(a[1], b[1])


Facts = dict[int, tuple[Length | None, tuple[Bound, int] | None]]


def _facts(ports: Sequence[Bound], carries: int, step: str) -> Facts:
    """Of what the steps read: lengths, and which is a product of another with something whose entries are known."""
    found: Facts = {}
    origins = {(p.origin[0], frozenset(p.origin[1])): k for k, p in enumerate(ports) if k >= carries and p.origin is not None}
    for k, p in enumerate(ports[carries:], carries):
        length, product, made = p.facts.get("length"), p.facts.get("product"), None
        if isinstance(product, Product) and not product.summed and len(product.factors) == 2:
            for a, b in (product.factors, product.factors[::-1]):
                twin = origins.get((b.origin[0], frozenset(b.origin[1]))) if b.origin is not None else None
                if twin is not None and made is None and a.axes | b.axes == p.axes and step in b.axes:
                    made = Bound(a.axes - {step}, a.axes - {step}, a.entry), twin
        if isinstance(length, Length) or made is not None:
            found[k] = length if isinstance(length, Length) and step not in length.own else None, made
    return found


def _step(ctx: Rules, body: Diagram, inputs: Sequence[Bound], facts: Facts) -> list[Bound]:
    """One step of the body: the derivatives of its results by each of its inputs."""
    bounds: dict[int, Bound] = {}
    for k, (item, x) in enumerate(zip(body.inputs, inputs, strict=True)):
        length = facts.get(k, (None, None))[0]
        bounds[item.wire] = wired(x if x.constant else replace(x.bare(), slopes={item.wire: Triple.all(1.0)}), item.wire)
        if length is not None and not x.constant:
            bounds[item.wire] = replace(bounds[item.wire], facts={"length": length})
    for k, (_, made) in facts.items():
        wire = body.inputs[k].wire
        if made is not None and not inputs[k].constant:
            twin = bounds[body.inputs[made[1]].wire]
            bounds[wire] = replace(bounds[wire], facts={**bounds[wire].facts, "made": Product((made[0], twin), frozenset())})
    for node in body.nodes:
        results(node, bounds, ctx.sizes)
    wide = []
    for k, output in enumerate(body.outputs):
        r = rename(bounds[output.port.wire], dict(output.port.renames))
        ctx.open(r)
        like = inputs[k] if k < ctx.node.op.carries else r
        wide.append(with_tokens(widen(r, like.axes, like.tokens, ctx.sizes), like.tokens, ctx.sizes))
    return wide
