"""Evaluates diagrams on small tensors over any numbers, independently of the compiler and without torch.

Converts: a diagram, the sizes of its axes and a tensor for every input and weight into the tensors of its outputs.
Inputs may have further axes: every box is vectorised over what it does not name.
Non-goals: speed beyond a thousand entries; `sinkhorn`, `entmax`, `sparsemax`, `solve`, noise and holes (Abstain).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import Any

from anatomy.ir.graph import Diagram, Node, Port
from anatomy.ir.live import live
from anatomy.ir.loop import opened
from anatomy.rewrites.tensor import Abstain, Tensor, by_rows, together


@dataclass
class Machine:
    """One diagram at one size assignment; `wires` holds what is known so far."""

    diagram: Diagram
    sizes: Mapping[str, int]
    numbers: Any
    wires: dict[int, Tensor]
    exact: dict[int, Fraction] = field(default_factory=dict)
    """Wires that are a known number: literals, sizes and what is made of them."""
    node: Node = None  # type: ignore[assignment]

    def run(self) -> list[Tensor]:
        """The outputs, each with the axes of its header where it has them, then the others. Raises Abstain."""
        for i in sorted(live(self.diagram)):
            self.node = self.diagram.nodes[i]
            rule = RULES.get(type(self.node.op).__name__)
            if rule is None:
                raise Abstain(f"`{self.node.op.word}` is not evaluated here")
            self.wires.update(zip(self.node.outs, rule(self), strict=True))
        return [self.real_if(self.seen(o.port), o.port, o.kind.name == "real") for o in self.diagram.outputs]

    # what the rules ask -------------------------------------------------------------------------

    def kind(self, port: Port) -> str:
        return self.diagram.wires[port.wire].kind.name

    def seen(self, port: Port) -> Tensor:
        return self.wires[port.wire].renamed(dict(port.renames))

    def real_if(self, value: Tensor, port: Port, wanted: bool) -> Tensor:
        if wanted and self.kind(port) == "index":
            return Tensor(value.axes, value.shape, [self.numbers.number(e) for e in value.data])
        return value

    def raw(self, k: int) -> Tensor:
        return self.seen(self.node.ports[k])

    def real(self, k: int) -> Tensor:
        return self.real_if(self.raw(k), self.node.ports[k], True)

    def reals(self) -> list[Tensor]:
        return [self.real(k) for k in range(len(self.node.ports))]

    def known(self, k: int) -> Fraction | None:
        return self.exact.get(self.node.ports[k].wire)

    @property
    def own(self) -> tuple[str, ...]:
        return self.node.own

    def scalar(self, value: Fraction) -> list[Tensor]:
        self.exact[self.node.outs[0]] = value
        return [Tensor((), (), [self.numbers.number(value)])]

    def named(self, *axes: str) -> dict[str, int]:
        return {a: self.sizes[a] for a in axes}

    def pick(self, x: Tensor, axis: str, made: Mapping[str, int], places: list[int | None]) -> Tensor:
        """Entries of an axis by position, 0 where there is none."""
        nil = self.numbers.number(0)
        return by_rows(x, (axis,), lambda r: [nil if p is None else r[p] for p in places], made)


def _arithmetic(name: str) -> Callable[[Machine], list[Tensor]]:
    def rule(m: Machine) -> list[Tensor]:
        a, b = m.known(0), m.known(1)
        if a is not None and b is not None:
            match name:
                case "add":
                    return m.scalar(a + b)
                case "subtract":
                    return m.scalar(a - b)
                case "multiply":
                    return m.scalar(a * b)
                case _ if b:
                    return m.scalar(a / b)
        return [together(getattr(m.numbers, name), *m.reals())]

    return rule


def _power(m: Machine) -> list[Tensor]:
    base, exponent = m.known(0), m.known(1)
    x, n = m.real(0), m.numbers
    if exponent is not None and exponent.denominator == 1 and abs(exponent) <= 64:
        if base:
            return m.scalar(base**exponent.numerator)
        return [together(lambda a: n.power(a, exponent.numerator), x)]
    if base is not None and exponent == Fraction(1, 2):
        return [Tensor((), (), [n.root(base)])]
    raised = getattr(n, "raised", None) or (lambda a, b: n.function("power", a, b))
    return [together(raised, x, m.real(1))]


def _map(m: Machine) -> list[Tensor]:
    name, value, n = m.node.op.word, m.known(0), m.numbers
    if value is not None:
        match name:
            case "neg":
                return m.scalar(-value)
            case "square":
                return m.scalar(value * value)
            case "abs":
                return m.scalar(abs(value))
            case "sign":
                return m.scalar(Fraction((value > 0) - (value < 0)))
            case "floor":
                return m.scalar(Fraction(math.floor(value)))
            case "sqrt":
                return [Tensor((), (), [n.root(value)])]
    return [together(lambda a: n.function(name, a), m.real(0))]


def _contract(m: Machine) -> list[Tensor]:
    x, *others = m.reals()
    for y in others:
        x = together(m.numbers.multiply, x, y)
    return [by_rows(x, m.own, m.numbers.total)]


def _reduce(m: Machine) -> list[Tensor]:
    n, x = m.numbers, m.real(0)
    match m.node.op.word:
        case "sum":
            return [by_rows(x, m.own, n.total)]
        case "mean":
            count = n.number(prod(m.named(*m.own).values()))
            return [by_rows(x, m.own, lambda r: n.divide(n.total(r), count))]
        case "logsumexp":
            return [by_rows(x, m.own, n.logsumexp)]
        case which:
            return [by_rows(x, m.own, lambda r: n.extremum(which, r))]


def _extremum(m: Machine) -> list[Tensor]:
    a, b = m.known(0), m.known(1)
    which = m.node.op.word
    if a is not None and b is not None:
        return m.scalar(max(a, b) if which == "max" else min(a, b))
    return [together(lambda a, b: m.numbers.extremum(which, [a, b]), *m.reals())]


def _cumsum(m: Machine) -> list[Tensor]:
    def running(row: list[Any]) -> list[Any]:
        found: list[Any] = []
        for e in row:
            found.append(m.numbers.add(found[-1], e) if found else e)
        return found

    return [by_rows(m.real(0), m.own, running, m.named(*m.own))]


def _softmax(m: Machine) -> list[Tensor]:
    return [by_rows(m.real(0), m.own, m.numbers.softmax, m.named(*m.own))]


def _normalise(m: Machine) -> list[Tensor]:
    n, word, eps = m.numbers, m.node.op.word, m.numbers.number(m.node.op.eps)

    def rule(row: list[Any]) -> list[Any]:
        count = n.number(len(row))
        if word == "layernorm":
            mean = n.divide(n.total(row), count)
            row = [n.subtract(a, mean) for a in row]
        whole = n.total([n.function("abs" if word == "l1norm" else "square", a) for a in row])
        if word in ("layernorm", "rmsnorm"):
            whole = n.divide(whole, count)
        whole = n.add(whole, eps)
        if word != "l1norm":
            whole = n.function("sqrt", whole)
        return [n.divide(a, whole) for a in row]

    return [by_rows(m.real(0), m.own, rule, m.named(*m.own))]


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


def _fourier(m: Machine) -> list[Tensor]:
    n, own = m.numbers, m.named(*m.own)
    if n.name != "dual":
        raise Abstain("a Fourier transform is not rational")
    wave = math.cos if m.node.op.word == "fft_re" else lambda angle: -math.sin(angle)
    points = [()]
    for size in own.values():
        points = [(*p, i) for p in points for i in range(size)]
    phases = [[2 * math.pi * sum(a * b / s for a, b, s in zip(p, q, own.values(), strict=True)) for q in points] for p in points]
    table = [[(wave(angle), 0.0) for angle in row] for row in phases]
    return [by_rows(m.real(0), m.own, lambda r: [n.total(list(map(n.multiply, r, w))) for w in table], own)]


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


def _sort(m: Machine) -> list[Tensor]:
    x, n, made = m.real(0), m.numbers, m.named(*m.own)
    return [by_rows(x, m.own, lambda r: [r[i] for i in n.order(r)], made), by_rows(x, m.own, n.order, made)]


def _topk(m: Machine) -> list[Tensor]:
    (axis, count), x, n = m.own, m.real(0), m.numbers
    k = m.sizes[count]
    if k > m.sizes[axis]:
        raise Abstain("`topk` of more than there is")

    def first(row: list[Any]) -> list[int]:
        return n.order([n.function("neg", a) for a in row])[:k]

    return [by_rows(x, (axis,), lambda r: [r[i] for i in first(r)], {count: k}), by_rows(x, (axis,), first, {count: k})]


def _size(m: Machine) -> list[Tensor]:
    return m.scalar(Fraction(prod(m.named(*m.own).values())))


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


def _compare(m: Machine) -> list[Tensor]:
    sign = m.node.op.word
    plain = [m.kind(p) == "index" or m.known(k) is not None for k, p in enumerate(m.node.ports)]
    if all(plain):
        sides = [m.raw(k) if v is None else Tensor((), (), [v]) for k, v in enumerate(map(m.known, (0, 1)))]
        tests = {"<": lambda a, b: a < b, "<=": lambda a, b: a <= b, "==": lambda a, b: a == b, "!=": lambda a, b: a != b}
        return [together(tests[sign], *sides)]
    return [together(lambda a, b: m.numbers.compare(sign, a, b), *m.reals())]


def _both(m: Machine) -> list[Tensor]:
    every = m.node.op.word == "and"
    return [together(lambda a, b: (a and b) if every else (a or b), m.raw(0), m.raw(1))]


def _where(m: Machine) -> list[Tensor]:
    return [together(lambda p, a, b: a if p else b, m.raw(0), m.real(1), m.real(2))]


def _mask(m: Machine) -> list[Tensor]:
    low = m.numbers.low()
    return [together(lambda p, s: s if p else low, m.raw(0), m.real(1))]


def _scan(m: Machine) -> list[Tensor]:
    """Step by step: the states before each step, the extras, the last states."""
    node, op = m.node, m.node.op
    step, carries = node.own[0], op.carries
    body = opened(m.diagram, node)
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
        results = Machine(body, m.sizes, m.numbers, wires).run()
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


RULES: dict[str, Callable[[Machine], list[Tensor]]] = {
    "Add": _arithmetic("add"), "Subtract": _arithmetic("subtract"), "Multiply": _arithmetic("multiply"),
    "Divide": _arithmetic("divide"), "Power": _power, "Map": _map, "Extremum": _extremum, "Where": _where,
    "Contract": _contract, "Reduce": _reduce, "Cumsum": _cumsum, "Softmax": _softmax, "Normalise": _normalise,
    "Expand": _expand, "Split": _reshape, "Merge": _reshape, "Halves": _halves, "Cat": _cat, "Shift": _shift,
    "Unfold": _unfold, "Fourier": _fourier, "Gather": _gather, "Sort": _sort, "Topk": _topk,
    "Literal": lambda m: m.scalar(m.node.op.value), "Size": _size,  # type: ignore[attr-defined]
    "Iota": _iota, "Index": _index, "Compare": _compare, "Both": _both,
    "Not": lambda m: [together(lambda p: not p, m.raw(0))], "Mask": _mask, "Scan": _scan,
}  # fmt: skip
"""How each operation is computed, by its class; what is missing is not evaluated."""
