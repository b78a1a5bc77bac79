"""What the boxes that compute make of their entries, over any numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any

from anatomy.rewrites.tensor import Abstain, Tensor, Unknown, by_rows, together

if TYPE_CHECKING:
    from anatomy.rewrites.evaluate import Machine


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
    n, word = m.numbers, m.node.op.word
    eps = n.number(m.node.op.eps)  # type: ignore[attr-defined]

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


def _sinkhorn(m: Machine) -> list[Tensor]:
    n, first, last = m.numbers, m.sizes[m.own[0]], m.sizes[m.own[1]]

    def normal(row: list[Any]) -> list[Any]:
        whole = n.logsumexp(row)
        return row if n.empty(whole) else [n.subtract(a, whole) for a in row]

    def rule(row: list[Any]) -> list[Any]:
        matrix = [row[i : i + last] for i in range(0, len(row), last)]
        for _ in range(m.node.op.steps):  # type: ignore[attr-defined]
            columns = [normal([r[j] for r in matrix]) for j in range(last)]
            matrix = [normal([columns[j][i] for j in range(last)]) for i in range(first)]
        return [n.function("exp", a) for r in matrix for a in r]

    return [by_rows(m.real(0), m.own, rule, m.named(*m.own))]


def _entmax(m: Machine) -> list[Tensor]:
    alpha = Fraction(2) if m.node.op.word == "sparsemax" else m.node.op.alpha  # type: ignore[attr-defined]
    if alpha is None:
        raise Unknown("`entmax` with a wire as its order is not evaluated here")
    return [by_rows(m.real(0), m.own, lambda r: m.numbers.entmax(r, float(alpha)), m.named(*m.own))]


def _solve(m: Machine) -> list[Tensor]:
    n, (first, second) = m.numbers, m.own
    a, b = m.real(0), m.real(1)
    sizes = {x: s for t in (a, b) for x, s in zip(t.axes, t.shape, strict=True) if x not in m.own}
    size = m.sizes[first]
    matrices, right = a.laid((*sizes, first, second), sizes).data, b.laid((*sizes, first), sizes).data
    data: list[Any] = []
    for start in range(0, len(right), size):
        found: list[Any] = []
        for i in range(size):
            row = matrices[(start + i) * size : (start + i + 1) * size]
            left = n.subtract(right[start + i], n.total(list(map(n.multiply, row, found)))) if found else right[start + i]
            found.append(left if m.node.op.unit else n.divide(left, row[i]))  # type: ignore[attr-defined]
        data += found
    return [Tensor((*sizes, second), (*sizes.values(), size), data)]


VALUES: dict[str, Callable[[Machine], list[Tensor]]] = {
    "Add": _arithmetic("add"), "Subtract": _arithmetic("subtract"), "Multiply": _arithmetic("multiply"),
    "Divide": _arithmetic("divide"), "Power": _power, "Map": _map, "Extremum": _extremum, "Where": _where,
    "Contract": _contract, "Reduce": _reduce, "Cumsum": _cumsum, "Softmax": _softmax, "Normalise": _normalise,
    "Sinkhorn": _sinkhorn, "Sparsemax": _entmax, "Entmax": _entmax, "Solve": _solve,
    "Fourier": _fourier, "Sort": _sort, "Topk": _topk, "Compare": _compare, "Both": _both,
    "Literal": lambda m: m.scalar(m.node.op.value), "Size": _size,  # type: ignore[attr-defined]
    "Not": lambda m: [together(lambda p: not p, m.raw(0))], "Mask": _mask,
}  # fmt: skip
"""How each operation that computes is computed, by its class."""
