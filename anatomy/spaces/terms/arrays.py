"""What every box computes, over numpy arrays with named axes, many draws at once; without the compiler and without torch.

Converts: an operation, its own axes and arrays for its operands into arrays for its results. An array has `LEAD` leading
dimensions that belong to the draws (of size 1 where it is the same in all), then one for each of its axes. Reals are
float64, masks bool, indices int64.
Non-goals: noise, holes, `entmax` with a wire as its order (Unsupported).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anatomy.ir.graph import Diagram, Node, Renames
from anatomy.ir.live import live
from anatomy.ir.loop import under
from anatomy.ir.op import Op

LEAD = 2
"""Draws of inputs and weights, and variations of the inputs."""
Array = NDArray[Any]


class Unsupported(Exception):
    """A box that is not computed here."""


@dataclass(frozen=True, slots=True)
class Named:
    """An array and the names of its dimensions after the leading ones."""

    axes: tuple[str, ...]
    data: Array

    def renamed(self, table: Mapping[str, str]) -> Named:
        return Named(tuple(table[a] for a in self.axes), self.data)

    def size(self, axis: str) -> int:
        return self.data.shape[LEAD + self.axes.index(axis)]

    def at(self, axes: Sequence[str]) -> Array:
        """With its axes in this order, of size 1 where it lacks them."""
        axes = tuple(axes)
        if axes == self.axes:
            return self.data
        order, index = _layout(self.axes, axes)
        return (self.data if order is None else self.data.transpose(order))[index]


@lru_cache(maxsize=65536)
def _layout(have: tuple[str, ...], want: tuple[str, ...]) -> tuple[tuple[int, ...] | None, tuple[Any, ...]]:
    kept = [a for a in want if a in have]
    if len(kept) != len(have):
        raise ValueError(f"axes {have} are not among {want}")
    order = (*range(LEAD), *(LEAD + have.index(a) for a in kept))
    index = (*([slice(None)] * LEAD), *(slice(None) if a in have else None for a in want))
    return (None if order == tuple(range(len(order))) else order), index


def together(function: Callable[..., Any], *operands: Named) -> Named:
    """Entry by entry, broadcast by name."""
    axes = operands[0].axes
    if all(o.axes == axes for o in operands):
        return Named(axes, function(*(o.data for o in operands)))
    axes = tuple(dict.fromkeys(a for o in operands for a in o.axes))
    return Named(axes, function(*(o.at(axes) for o in operands)))


def rows(x: Named, own: Sequence[str]) -> tuple[tuple[str, ...], Array]:
    """The other axes, and an array whose last dimension runs along `own`, row-major."""
    rest = tuple(a for a in x.axes if a not in own)
    data = x.at((*rest, *own))
    return rest, data if len(own) == 1 else data.reshape(*data.shape[: LEAD + len(rest)], -1)


def unrolled(rest: tuple[str, ...], data: Array, own: Mapping[str, int]) -> Named:
    """The inverse of `rows`, along axes of these sizes."""
    shape = (*data.shape[: LEAD + len(rest)], *own.values())
    return Named((*rest, *own), data if data.shape == shape else data.reshape(shape))


def real(x: Named) -> Named:
    return x if x.data.dtype == np.float64 else Named(x.axes, x.data.astype(np.float64))


@dataclass(frozen=True, slots=True)
class Box:
    """A box that is computed: its operation, its own axes with their sizes, its operands under its names."""

    op: Op
    own: tuple[str, ...]
    operands: tuple[Named, ...]
    sizes: Mapping[str, int]

    def real(self, k: int = 0) -> Named:
        return real(self.operands[k])

    def named(self, *axes: str) -> dict[str, int]:
        return {a: self.sizes[a] for a in axes}


def compute(op: Op, own: tuple[str, ...], operands: Sequence[Named], sizes: Mapping[str, int]) -> tuple[Named, ...]:
    """The results of a box. Raises Unsupported."""
    rule = RULES.get(type(op).__name__)
    if rule is None:
        raise Unsupported(op.word)
    made = rule(Box(op, own, tuple(operands), sizes))
    return made if isinstance(made, tuple) else (made,)


# entry by entry -----------------------------------------------------------------------------------


def _entrywise(function: Callable[..., Any]) -> Callable[[Box], Named]:
    return lambda b: together(function, *(real(x) for x in b.operands))


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


_erfc = np.frompyfunc(math.erfc, 1, 1)


def _gelu(x: Array) -> Array:
    return x * (0.5 * np.asarray(_erfc(-x / math.sqrt(2)), dtype=np.float64))


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def _elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)))


MAPS: dict[str, Callable[[Array], Array]] = {
    "neg": np.negative, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs, "sign": np.sign, "floor": np.floor,
    "tanh": np.tanh, "sigmoid": _sigmoid, "relu": lambda x: np.maximum(x, 0.0), "gelu": _gelu,
    "silu": lambda x: x * _sigmoid(x), "softplus": _softplus, "elu": _elu, "sin": np.sin, "cos": np.cos,
    "square": np.square, "stop": lambda x: x,
}  # fmt: skip


def _map(b: Box) -> Named:
    function = MAPS.get(b.op.word)
    if function is None:
        raise Unsupported(b.op.word)
    x = b.real()
    return Named(x.axes, function(x.data))


def _compare(b: Box) -> Named:
    tests = {"<": np.less, "<=": np.less_equal, "==": np.equal, "!=": np.not_equal}
    return together(tests[b.op.word], *b.operands)


def _where(b: Box) -> Named:
    return together(np.where, b.operands[0], b.real(1), b.real(2))


def _mask(b: Box) -> Named:
    return together(lambda p, s: np.where(p, s, -np.inf), b.operands[0], b.real(1))


def _constant(value: float) -> Named:
    return Named((), np.full((1,) * LEAD, value))


# along own axes -----------------------------------------------------------------------------------


def _contract(b: Box) -> Named:
    operands = [real(x) for x in b.operands]
    axes = tuple(dict.fromkeys(a for x in operands for a in x.axes))
    kept = tuple(a for a in axes if a not in b.own)
    if len(operands) == 2 and b.own:
        x, y = operands
        shared = [a for a in kept if a in x.axes and a in y.axes]
        left, right = ([a for a in kept if a in o.axes and a not in shared] for o in operands)
        # As a product of matrices, where both have all that is summed.
        if all(a in x.axes and a in y.axes for a in b.own):
            p, q = x.at((*shared, *left, *b.own)), y.at((*shared, *b.own, *right))
            wide = prod(b.sizes[a] for a in b.own)
            tall, broad = prod(p.shape[LEAD + len(shared) : LEAD + len(shared) + len(left)]), prod(q.shape[LEAD + len(shared) + len(b.own) :])
            head = p.shape[: LEAD + len(shared)], q.shape[: LEAD + len(shared)]
            made = np.matmul(p.reshape(*head[0], tall, wide), q.reshape(*head[1], wide, broad))
            ends = (*p.shape[LEAD + len(shared) : LEAD + len(shared) + len(left)], *q.shape[LEAD + len(shared) + len(b.own) :])
            return Named((*shared, *left, *right), made.reshape(*made.shape[: LEAD + len(shared)], *ends))
    whole = operands[0].at(axes)
    for x in operands[1:]:
        whole = whole * x.at(axes)
    total = tuple(LEAD + axes.index(a) for a in b.own)
    return Named(kept, whole.sum(axis=total) if total else whole)


def _logsumexp(data: Array) -> Array:
    top = data.max(axis=-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    return (top + np.log(np.exp(data - top).sum(axis=-1, keepdims=True)))[..., 0]


def _reduce(b: Box) -> Named:
    rest, data = rows(b.real(), b.own)
    match b.op.word:
        case "sum":
            return Named(rest, data.sum(axis=-1))
        case "mean":
            return Named(rest, data.mean(axis=-1))
        case "max":
            return Named(rest, data.max(axis=-1))
        case "min":
            return Named(rest, data.min(axis=-1))
        case _:
            return Named(rest, _logsumexp(data))


def _softmax(b: Box) -> Named:
    rest, data = rows(b.real(), b.own)
    top = np.maximum.reduce(data, axis=-1, keepdims=True)
    low = top == -np.inf
    empty = low.any()
    powers = np.exp(data - (np.where(low, 0.0, top) if empty else top))
    whole = np.add.reduce(powers, axis=-1, keepdims=True)
    return unrolled(rest, powers / (np.where(low, 1.0, whole) if empty else whole), b.named(*b.own))  # ruling 15: an empty row is 0


def _normalise(b: Box) -> Named:
    rest, data = rows(b.real(), b.own)
    word, eps = b.op.word, float(b.op.eps)  # type: ignore[attr-defined]
    if word == "layernorm":
        data = data - np.add.reduce(data, axis=-1, keepdims=True) / data.shape[-1]
    whole = np.add.reduce(np.abs(data) if word == "l1norm" else data * data, axis=-1, keepdims=True)
    if word in ("layernorm", "rmsnorm"):
        whole = whole / data.shape[-1]
    whole = whole + eps
    return unrolled(rest, data / (whole if word == "l1norm" else np.sqrt(whole)), b.named(*b.own))


def _cumsum(b: Box) -> Named:
    rest, data = rows(b.real(), b.own)
    return unrolled(rest, np.cumsum(data, axis=-1), b.named(*b.own))


def _fourier(b: Box) -> Named:
    x = b.real()
    along = tuple(LEAD + x.axes.index(a) for a in b.own)
    made = np.fft.fftn(x.data, axes=along)
    return Named(x.axes, np.ascontiguousarray(made.real if b.op.word == "fft_re" else made.imag))


def _sort(b: Box) -> tuple[Named, ...]:
    rest, data = rows(b.real(), b.own)
    order = np.argsort(data, axis=-1, kind="stable")
    sizes = b.named(*b.own)
    return unrolled(rest, np.take_along_axis(data, order, -1), sizes), unrolled(rest, order.astype(np.int64), sizes)


def _topk(b: Box) -> tuple[Named, ...]:
    axis, count = b.own
    k = b.sizes[count]
    if k > b.sizes[axis]:
        raise Unsupported("topk of more than there is")
    rest, data = rows(b.real(), (axis,))
    order = np.argsort(-data, axis=-1, kind="stable")[..., :k]
    return Named((*rest, count), np.take_along_axis(data, order, -1)), Named((*rest, count), order.astype(np.int64))


def _sinkhorn(b: Box) -> Named:
    x = b.real()
    rest = tuple(a for a in x.axes if a not in b.own)
    data = x.at((*rest, *b.own))
    for _ in range(b.op.steps):  # type: ignore[attr-defined]
        for axis in (-2, -1):
            moved = np.moveaxis(data, axis, -1)
            whole = _logsumexp(moved)[..., None]
            data = np.moveaxis(np.where(whole == -np.inf, moved, moved - whole), -1, axis)
    return Named((*rest, *b.own), np.exp(data))


def _entmax(b: Box) -> Named:
    alpha = 2.0 if b.op.word == "sparsemax" else b.op.alpha  # type: ignore[attr-defined]
    if alpha is None or len(b.operands) > 1:
        raise Unsupported("entmax with a wire as its order")
    alpha = float(alpha)
    rest, data = rows(b.real(), b.own)
    top = data.max(axis=-1, keepdims=True)
    empty = top == -np.inf
    z = (alpha - 1) * (data - np.where(empty, 0.0, top))
    power = 1 / (alpha - 1)
    low, high = np.full(top.shape, -1.0), np.zeros(top.shape)
    for _ in range(60):
        t = (low + high) / 2
        mass = (np.maximum(z - t, 0.0) ** power).sum(axis=-1, keepdims=True)
        low, high = np.where(mass >= 1, t, low), np.where(mass >= 1, high, t)
    made = np.maximum(z - low, 0.0) ** power
    return unrolled(rest, np.where(empty, 0.0, made), b.named(*b.own))


def _solve(b: Box) -> Named:
    first, second = b.own
    x, y = b.real(0), b.real(1)
    rest = tuple(dict.fromkeys(a for o in (x, y) for a in o.axes if a not in b.own))
    a, c = x.at((*rest, first, second)), y.at((*rest, first))
    found: list[Array] = []
    for i in range(b.sizes[first]):
        left = c[..., i]
        for j, made in enumerate(found):
            left = left - a[..., i, j] * made
        found.append(left if b.op.unit else left / a[..., i, i])  # type: ignore[attr-defined]
    return Named((*rest, second), np.stack(np.broadcast_arrays(*found), axis=-1))


# moving entries -----------------------------------------------------------------------------------


def _expand(b: Box) -> Named:
    x = b.operands[0]
    axes = (*x.axes, *b.own)
    data = x.at(axes)
    return Named(axes, np.broadcast_to(data, (*data.shape[: LEAD + len(x.axes)], *(b.sizes[a] for a in b.own))))


def _split(b: Box) -> Named:
    rest, data = rows(b.operands[0], b.own[:1])
    return unrolled(rest, data, b.named(*b.own[1:]))


def _merge(b: Box) -> Named:
    rest, data = rows(b.operands[0], b.own[:-1])
    return Named((*rest, b.own[-1]), data)


def _halves(b: Box) -> tuple[Named, ...]:
    whole, half = b.own
    rest, data = rows(b.real(), (whole,))
    r = b.sizes[half]
    return Named((*rest, half), data[..., :r]), Named((*rest, half), data[..., r : 2 * r])


def _cat(b: Box) -> Named:
    own, whole = b.own, b.own[-1]
    parts = [own[k if len(own) > 2 else 0] for k in range(len(b.operands))]
    operands = [b.real(k) for k in range(len(parts))]
    rest = tuple(dict.fromkeys(a for x, p in zip(operands, parts, strict=True) for a in x.axes if a != p))
    data = [x.at((*rest, p)) for x, p in zip(operands, parts, strict=True)]
    shape = np.broadcast_shapes(*(d.shape[:-1] for d in data))
    return Named((*rest, whole), np.concatenate([np.broadcast_to(d, (*shape, d.shape[-1])) for d in data], axis=-1))


def _picked(x: Named, axis: str, places: Array) -> tuple[tuple[str, ...], Array]:
    """Entries of an axis by position, 0 where there is none."""
    rest, data = rows(x, (axis,))
    inside = (places >= 0) & (places < data.shape[-1])
    return rest, np.where(inside, data[..., np.where(inside, places, 0)], 0.0)


def _shift(b: Box) -> Named:
    (axis,) = b.own
    rest, data = _picked(b.real(), axis, np.arange(b.sizes[axis]) - b.op.by)  # type: ignore[attr-defined]
    return Named((*rest, axis), data)


def _unfold(b: Box) -> Named:
    (axis, window), op = b.own, b.op
    size, width = b.sizes[axis], b.sizes[window]
    first = width // 2 if op.centred else width - 1  # type: ignore[attr-defined]
    places = np.arange(size)[:, None] + op.step * (np.arange(width) - first)[None, :]  # type: ignore[attr-defined]
    rest, data = _picked(b.real(), axis, places)
    return Named((*rest, axis, window), data)


def _gather(b: Box) -> Named:
    (axis,) = b.own
    x, i = b.operands
    rest = [a for a in x.axes if a != axis]
    axes = tuple(dict.fromkeys((*i.axes, *rest)))
    data, index = x.at((*axes, axis)), i.at(axes)[..., None]
    shape = np.broadcast_shapes(data.shape[:-1], index.shape[:-1])
    data = np.broadcast_to(data, (*shape, data.shape[-1]))
    return Named(axes, np.take_along_axis(data, np.broadcast_to(index, (*shape, 1)), -1)[..., 0])


def _iota(b: Box) -> Named:
    size = b.sizes[b.own[0]]
    return Named(b.own[:1], np.arange(size, dtype=np.int64).reshape(*(1,) * LEAD, size))


def _index(b: Box) -> Named:
    x, top = b.operands[0], b.sizes[b.own[0]] - 1
    data = x.data
    if data.dtype == np.float64:
        data = np.where(np.isfinite(data), np.clip(np.floor(data), 0, top), 0)
    return Named(x.axes, np.clip(data, 0, top).astype(np.int64))


# loops --------------------------------------------------------------------------------------------


def _scan(b: Box) -> tuple[Named, ...]:
    """Step by step: the states before each step, the extras, the last states."""
    step, carries = b.own[0], b.op.carries
    body = under(Node(b.op, b.own, (), ()))
    states = [_whole(b.real(k), item.layout, b.sizes) for k, item in enumerate(body.inputs[:carries])]
    fixed = list(b.operands[carries:])
    before: list[list[Named]] = []
    extras: list[list[Named]] = []
    for t in range(b.sizes[step]):
        before.append(states)
        now = [_taken(x, step, t) if step in x.axes else x for x in fixed]
        results = run(body, [*states, *now], b.sizes)
        states, more = results[:carries], results[carries:]
        extras.append(more)
    turns = [[turn[k] for turn in found] for found in (before, extras) for k in range(len(found[0]))]
    return (*(_stacked(turn, step) for turn in turns), *states)


def _whole(x: Named, layout: Sequence[str], sizes: Mapping[str, int]) -> Named:
    """An initial state, repeated along the axes that it lacks."""
    missing = {a: sizes[a] for a in layout if a not in x.axes}
    axes = (*x.axes, *missing)
    data = x.at(axes)
    return Named(axes, np.broadcast_to(data, (*data.shape[: LEAD + len(x.axes)], *missing.values()))) if missing else x


def _taken(x: Named, axis: str, t: int) -> Named:
    return Named(tuple(a for a in x.axes if a != axis), np.take(x.data, t, axis=LEAD + x.axes.index(axis)))


def _stacked(turns: Sequence[Named], axis: str) -> Named:
    axes = tuple(dict.fromkeys(a for x in turns for a in x.axes))
    return Named((*axes, axis), np.stack(np.broadcast_arrays(*(x.at(axes) for x in turns)), axis=-1))


def run(diagram: Diagram, inputs: Sequence[Named], sizes: Mapping[str, int], weights: Sequence[Named] = ()) -> list[Named]:
    """What the outputs of a diagram read, under the names of its header; `sizes` has every axis."""
    wires = {i.wire: x for i, x in zip(diagram.inputs, inputs, strict=True)}
    wires |= {w.wire: x for w, x in zip(diagram.weights, weights, strict=False)}
    for i in live(diagram):
        node = diagram.nodes[i]
        operands = [wires[p.wire].renamed(_Table(p.renames)) for p in node.ports]
        wires.update(zip(node.outs, compute(node.op, node.own, operands, sizes), strict=True))
    return [wires[o.port.wire].renamed(_Table(o.port.renames)) for o in diagram.outputs]


class _Table(dict[str, str]):
    """New names; an axis that is not mentioned (a lift of a loop) keeps its own."""

    def __init__(self, renames: Renames):
        super().__init__(renames)

    def __missing__(self, axis: str) -> str:
        return axis


RULES: dict[str, Callable[[Box], Named | tuple[Named, ...]]] = {
    "Add": _entrywise(np.add), "Subtract": _entrywise(np.subtract), "Multiply": _entrywise(np.multiply),
    "Divide": _entrywise(np.divide), "Power": _entrywise(np.power), "Map": _map,
    "Extremum": lambda b: together(np.maximum if b.op.word == "max" else np.minimum, b.real(0), b.real(1)),
    "Where": _where, "Contract": _contract, "Reduce": _reduce, "Cumsum": _cumsum, "Softmax": _softmax,
    "Normalise": _normalise, "Sinkhorn": _sinkhorn, "Sparsemax": _entmax, "Entmax": _entmax, "Solve": _solve,
    "Fourier": _fourier, "Sort": _sort, "Topk": _topk, "Compare": _compare, "Mask": _mask,
    "Both": lambda b: together(np.logical_and if b.op.word == "and" else np.logical_or, *b.operands),
    "Not": lambda b: together(np.logical_not, *b.operands),
    "Literal": lambda b: _constant(float(b.op.value)),  # type: ignore[attr-defined]
    "Size": lambda b: _constant(float(prod(b.sizes[a] for a in b.own))),
    "Expand": _expand, "Split": _split, "Merge": _merge, "Halves": _halves, "Cat": _cat, "Shift": _shift,
    "Unfold": _unfold, "Gather": _gather, "Iota": _iota, "Index": _index, "Scan": _scan,
}  # fmt: skip
"""How each operation is computed, by its class."""
