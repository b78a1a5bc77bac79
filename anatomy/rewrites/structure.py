"""What the boxes that move entries do, over any numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING

from anatomy.rewrites.tensor import Abstain, Tensor, by_rows, together

if TYPE_CHECKING:
    from anatomy.rewrites.evaluate import Machine


def _expand(m: Machine) -> list[Tensor]:
    x = m.real(0)
    return [x.laid((*x.axes, *m.own), m.named(*m.own))]


def _reshape(m: Machine) -> list[Tensor]:
    k = 1 if m.node.op.word == "split" else len(m.own) - 1
    return [by_rows(m.raw(0), m.own[:k], lambda r: r, m.named(*m.own[k:]))]


def _halves(m: Machine) -> list[Tensor]:
    whole, half = m.own
    r = m.sizes[half]
    return [m.pick(m.real(0), whole, {half: r}, list(range(k, k + r))) for k in (0, r)]


def _cat(m: Machine) -> list[Tensor]:
    own, whole = m.own, m.own[-1]
    parts = [own[k if len(own) > 2 else 0] for k in range(len(m.node.ports))]
    tensors = [m.real(k).renamed({p: whole}) for k, p in enumerate(parts)]
    sizes = {a: s for t in tensors for a, s in zip(t.axes, t.shape, strict=True) if a != whole}
    rows = [t.laid((*sizes, whole), sizes) for t in tensors]
    data = []
    for i in range(prod(sizes.values())):
        for t in rows:
            data += t.data[i * t.shape[-1] : (i + 1) * t.shape[-1]]
    return [Tensor((*sizes, whole), (*sizes.values(), sum(t.shape[-1] for t in rows)), data)]


def _shift(m: Machine) -> list[Tensor]:
    (axis,), by = m.own, m.node.op.by  # type: ignore[attr-defined]
    size = m.sizes[axis]
    return [m.pick(m.real(0), axis, {axis: size}, [i - by if 0 <= i - by < size else None for i in range(size)])]


def _unfold(m: Machine) -> list[Tensor]:
    (axis, window), op = m.own, m.node.op
    size, width = m.sizes[axis], m.sizes[window]
    first = width // 2 if op.centred else width - 1  # type: ignore[attr-defined]
    places = [n + op.step * (c - first) for n in range(size) for c in range(width)]  # type: ignore[attr-defined]
    return [m.pick(m.real(0), axis, {axis: size, window: width}, [p if 0 <= p < size else None for p in places])]


def _gather(m: Machine) -> list[Tensor]:
    (axis,) = m.own
    x, i = m.raw(0), m.raw(1)
    rest = {a: s for a, s in zip(x.axes, x.shape, strict=True) if a != axis}
    sizes = {**dict(zip(i.axes, i.shape, strict=True)), **rest}
    starts = Tensor(x.axes, x.shape, list(range(len(x.data)))).laid((*rest, axis))
    stride = x.size(axis)
    bases = Tensor(tuple(rest), tuple(rest.values()), list(range(0, len(starts.data), stride)))
    chosen = together(lambda b, k: x.data[starts.data[b + k]], bases, i)
    return [chosen.laid(tuple(sizes))]


def _iota(m: Machine) -> list[Tensor]:
    size = m.sizes[m.own[0]]
    return [Tensor(m.own, (size,), list(range(size)))]


def _index(m: Machine) -> list[Tensor]:
    top, n = m.sizes[m.own[0]] - 1, m.numbers
    value = m.known(0)
    if m.kind(m.node.ports[0]) == "index":
        return [together(lambda e: min(max(e, 0), top), m.raw(0))]
    if value is not None:
        return [Tensor((), (), [min(max(math.floor(value), 0), top)])]
    if n.name != "dual":
        raise Abstain("a real is floored")
    return [together(lambda e: min(max(math.floor(e[0]), 0), top) if math.isfinite(e[0]) else 0, m.real(0))]


def _scan(m: Machine) -> list[Tensor]:
    """Step by step: the states before each step, the extras, the last states."""
    node, op = m.node, m.node.op
    step, carries = node.own[0], op.carries
    body = m.body
    size = m.sizes[step]
    states = [m.real(k) for k in range(carries)]
    fixed = [m.raw(k) for k in range(carries, len(node.ports))]
    before: list[list[Tensor]] = []
    extras: list[list[Tensor]] = []
    for t in range(size):
        before.append(states)
        wires = {i.wire: s for i, s in zip(body.inputs, states, strict=False)}
        for item, x in zip(body.inputs[carries:], fixed, strict=True):
            wires[item.wire] = m.pick(x, step, {}, [t]) if step in x.axes else x
        results = m.inner(body, wires)
        states, rest = results[:carries], results[carries:]
        extras.append(rest)
    stacks = [_stack([turn[k] for turn in turns], step) for turns in (before, extras) for k in range(len(turns[0]))]
    axes = [dict.fromkeys(a for turn in (*before, states) for a in turn[k].axes) for k in range(carries)]
    known = {a: s for s in (*before[0], *states) for a, s in zip(s.axes, s.shape, strict=True)}
    return [*stacks, *(s.laid(tuple(a), known) for s, a in zip(states, axes, strict=True))]


def _stack(turns: list[Tensor], axis: str) -> Tensor:
    sizes = {a: s for t in turns for a, s in zip(t.axes, t.shape, strict=True)}
    data = [e for t in turns for e in t.laid(tuple(sizes), sizes).data]
    return Tensor((axis, *sizes), (len(turns), *sizes.values()), data)


STRUCTURE: dict[str, Callable[[Machine], list[Tensor]]] = {
    "Expand": _expand, "Split": _reshape, "Merge": _reshape, "Halves": _halves, "Cat": _cat, "Shift": _shift,
    "Unfold": _unfold, "Gather": _gather, "Iota": _iota, "Index": _index, "Scan": _scan,
}  # fmt: skip
"""How each operation that moves entries is evaluated, by its class."""
