"""Random well-typed diagrams: every operation over every mixture of axes that the graph accepts."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from math import prod

from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Init, Output
from anatomy.ir.op import Op, Problem
from anatomy.ir.poly import Poly
from anatomy.ops import (
    Add,
    Cat,
    Compare,
    Contract,
    Cumsum,
    Divide,
    Entmax,
    Expand,
    Extremum,
    Fourier,
    Halves,
    Iota,
    Literal,
    Map,
    Mask,
    Merge,
    Multiply,
    Normalise,
    Power,
    Reduce,
    Shift,
    Sinkhorn,
    Softmax,
    Sparsemax,
    Split,
    Subtract,
    Where,
)  # fmt: skip
from anatomy.ops.elementwise import CODE

SIZES = {"n": 3, "m": 3, "d": 4, "e": 4, "r": 2, "p": 2, "h": 2, "k": 6, "u": 6, "w": 8}


class Garden:
    """A builder with the wires grown so far."""

    def __init__(self, seed: int):
        self.rng = random.Random(seed)
        self.build = Builder()
        for axis, size in SIZES.items():
            self.build.sizes.define(axis, Poly.of(size))
        self.wires: list[View] = [self.build.input("x", ("n", "d"))]
        if self.rng.random() < 0.3:
            self.wires.append(self.build.input("y", ("m", "e")))
        if self.rng.random() < 0.1:
            self.wires.append(self.build.input("z", ("p", "n", "d")))
        self.count = 0

    def pick(self) -> View:
        view = self.rng.choice(self.wires[-4:] if self.rng.random() < 0.6 else self.wires)
        if view.axes and self.rng.random() < 0.3:
            a = self.rng.choice(view.axes)
            b = self.rng.choice([x for x in SIZES if SIZES[x] == SIZES[a] and x not in view.axes] or [a])
            self.build.axis(b)
            view = view.rename({a: b})
        return view

    def axis(self, *views: View) -> str:
        have = [a for v in views for a in v.axes]
        return self.rng.choice(have) if have and self.rng.random() < 0.9 else self.rng.choice(list(SIZES))

    def op(self, op: Op, own: tuple[str, ...], *views: View) -> View:
        return self.build.add(op, own, views)[0]

    def number(self, value: str) -> View:
        return self.op(Literal(Fraction(value)), ())

    def positive(self, x: View) -> View:
        return self.op(Add(), (), self.op(Map("square"), (), x), self.number("0.5"))

    def weight(self, *axes: str) -> View:
        self.count += 1
        return self.build.weight(f"W{self.count}", (), axes[:1], axes[1:], Init("normal", (0.7,)))

    def mask(self, a: str, b: str) -> View:
        sign = self.rng.choice(["<=", "<", "!="])
        return self.op(Compare(sign), (), self.op(Iota(), (a,)), self.op(Iota(), (b,)))

    def grow(self) -> View:
        rng, x, y = self.rng, self.pick(), self.pick()
        a, b = self.axis(x, y), self.axis(x, y)
        match rng.randrange(22):
            case 0:
                name = rng.choice([k for k in CODE if k not in ("log", "sqrt", "sign", "floor", "exp", "stop")])
                return self.op(Map(name), (), x)
            case 1:
                return self.op(Map(rng.choice(["log", "sqrt"])), (), self.positive(x))
            case 2:
                return self.op(Map("exp"), (), self.op(Multiply(), (), x, self.number("0.3")))
            case 3:
                return self.op(rng.choice([Add(), Subtract()]), (), x, y)
            case 4:
                return self.op(Multiply(), (), x, y)
            case 5:
                return self.op(Divide(), (), x, self.positive(y))
            case 6:
                return self.op(Extremum(rng.choice(["max", "min"])), (), x, y)
            case 7:
                return self.op(Where(), (), self.mask(a, b), x, y)
            case 8:
                if rng.random() < 0.3:
                    return self.op(Sinkhorn(rng.choice([1, 2])), (a, b), x)
                op = rng.choice([Softmax(), Softmax(), Sparsemax(), Entmax(Fraction(rng.choice(["1.2", "1.5", "1.8"])))])
                return self.op(op, (a,) if rng.random() < 0.7 else (a, b), x)
            case 9:
                p = self.op(Softmax(), (a,), self.op(Mask(), (), self.mask(a, b), x))
                return self.op(Contract(), (a,), p, y) if a in y.axes else p
            case 10:
                which = rng.choice(["layernorm", "rmsnorm", "l2norm", "l1norm"])
                return self.op(Normalise(which, Fraction(rng.choice(["0.1", "0.5"]))), (a,) if rng.random() < 0.7 else (a, b), x)
            case 11:
                return self.op(Reduce(rng.choice(["sum", "mean", "max", "min", "logsumexp"])), (a,) if rng.random() < 0.7 else (a, b), x)
            case 12:
                return self.op(rng.choice([Cumsum(), Shift(1), Shift(-2), Shift(0)]), (a,), x)
            case 13:
                return self.op(Fourier(rng.choice(["re", "im"])), (a,) if rng.random() < 0.5 else (a, b), x)
            case 14:
                out = rng.choice([c for c in SIZES if c not in x.axes])
                y = self.op(Contract(), (a,), x, self.weight(a, out))
                return self.op(Add(), (), y, self.weight(out)) if rng.random() < 0.5 else y
            case 15:
                return self.op(Contract(), (a,) if rng.random() < 0.7 else (a, b), x, y)
            case 16:
                s = self.op(Softmax(), (a,), x)
                return self.op(Contract(), (a,), s, y)
            case 17:
                z = self.op(Multiply(), (), self.op(Softmax(), (a,), x), y)
                return self.op(Reduce("sum"), (a,), z)
            case 18:
                return self.op(Expand(), (rng.choice(list(SIZES)),), x)
            case 19:
                op, own = rng.choice([
                    (Split(), ("d", "p", "r")), (Split(), ("e", "p", "h")), (Merge((2, 1)), ("n", "p", "k")), (Merge((2, 1)), ("p", "r", "e")),
                    (Merge((2, 1)), ("d", "r", "w")), (Cat(), ("n", "m", "u")), (Cat(), ("r", "e")), (Cat(), ("d", "w")),
                ])  # fmt: skip
                return self.op(op, own, x, y) if isinstance(op, Cat) else self.op(op, own, x)
            case 20:
                low, high = self.build.add(Halves(), (rng.choice(["d", "e"]), rng.choice("rph")), [x])
                return rng.choice([low, high])
            case _:
                exponent = rng.choice(["2", "3", "1"])
                if rng.random() < 0.3:
                    return self.op(Power(), (), self.number("2"), self.op(Map("tanh"), (), x))
                if rng.random() < 0.3:
                    return self.op(Power(), (), self.positive(x), self.number("-0.5"))
                return self.op(Power(), (), x, self.number(exponent))

    def tend(self, steps: int, fits: Callable[[View], bool]) -> None:
        """Grow so many wires that fit; what the graph refuses is tried again."""
        grown = 0
        for _ in range(steps * 30):
            try:
                view = self.grow()
            except Problem:
                continue
            if fits(view):
                self.wires.append(view)
                grown += 1
            if grown >= steps:
                break


def random_diagram(seed: int, steps: int = 6, kind: type[Garden] = Garden) -> Diagram:
    """A random diagram of some steps with the sizes of `SIZES`."""
    garden = kind(seed)
    garden.tend(steps, lambda view: prod(SIZES[a] for a in view.axes) <= 200)
    last = garden.wires[-1]
    layout = tuple(garden.rng.sample(last.axes, len(last.axes)))
    return garden.build.finish("random", [Output(last.port, layout)])
