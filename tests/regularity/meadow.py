"""Random diagrams that treat all tokens alike, with any number of them: maps of measures, for the most part."""

from __future__ import annotations

import random
from fractions import Fraction

from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Output
from anatomy.ir.poly import Poly
from anatomy.ops import Add, Contract, Divide, Expand, Extremum, Map, Multiply, Normalise, Reduce, Softmax, Subtract
from anatomy.ops.literal import Size
from tests.regularity.programs import Garden

TOKENS = ("n", "m", "o")
FEATURES = {"d": 3, "e": 3, "h": 2}


class Meadow(Garden):
    """A builder whose axes n, m and o count tokens, all as many."""

    def __init__(self, seed: int):
        self.rng = random.Random(seed)
        self.build = Builder()
        for axis in TOKENS:
            self.build.sizes.define(axis, Poly.var("n"))
        for axis, size in FEATURES.items():
            self.build.sizes.define(axis, Poly.of(size))
        self.wires: list[View] = [self.build.input("x", ("n", "d"))]
        self.count = 0

    def pick(self) -> View:
        view = self.rng.choice(self.wires[-4:] if self.rng.random() < 0.6 else self.wires)
        for a in view.axes:
            if self.rng.random() < (0.5 if a in TOKENS else 0.2):
                kin = [b for b in (TOKENS if a in TOKENS else ("d", "e")) if b not in view.axes] if a != "h" else []
                if kin:
                    b = self.rng.choice(kin)
                    self.build.axis(b)
                    view = view.rename({a: b})
        return view

    def axis(self, *views: View) -> str:
        have = [a for v in views for a in v.axes]
        return self.rng.choice(have or ["d"])

    def token(self, x: View) -> str:
        return self.rng.choice([a for a in x.axes if a in TOKENS] or ["n"])

    def grow(self) -> View:
        rng, x, y = self.rng, self.pick(), self.pick()
        a, t = self.axis(x, y), self.token(x)
        match rng.randrange(17):
            case 0 | 1:
                out = rng.choice([c for c in FEATURES if c not in x.axes])
                into = rng.choice([c for c in x.axes if c in FEATURES] or ["d"])
                y = self.op(Contract(), (into,), x, self.weight(into, out))
                return self.op(Add(), (), y, self.weight(out)) if rng.random() < 0.5 else y
            case 2:
                return self.op(Map(rng.choice(["tanh", "relu", "sigmoid", "abs", "sin", "neg"])), (), x)
            case 3:
                return self.op(rng.choice([Add(), Subtract()]), (), x, y)
            case 4:
                return self.op(Multiply(), (), x, y)
            case 5:
                return self.op(Divide(), (), x, self.positive(y))
            case 6 | 7 | 8:
                z = self.op(Softmax(), (t,), x)
                return self.op(Contract(), (t,), z, y) if t in y.axes or rng.random() < 0.1 else self.op(Multiply(), (), z, self.op(Size(), (t,)))
            case 9 | 10:
                return self.op(Reduce(rng.choice(["mean"] * 4 + ["max", "max", "sum"])), (t,), x)
            case 11:
                z = self.op(Contract(), (t,), x, y)
                return self.op(Divide(), (), z, self.op(Size(), (t,))) if rng.random() < 0.9 else z
            case 12:
                return self.op(Contract(), (a,), x, y)
            case 13:
                f = self.op(rng.choice([Map("exp"), Map("softplus")]), (), self.op(Multiply(), (), x, self.number("0.5")))
                if rng.random() < 0.5:
                    return self.op(Divide(), (), self.op(Contract(), (t,), f, y), self.op(Reduce("sum"), (t,), f))
                return self.op(Divide(), (), self.op(Multiply(), (), f, self.op(Size(), (t,))), self.op(Reduce("sum"), (t,), f))
            case 14:
                which = rng.choice(["layernorm", "rmsnorm", "l2norm"])
                return self.op(Normalise(which, Fraction("0.5")), (rng.choice([c for c in x.axes if c in FEATURES] or ["d"]),), x)
            case 15:
                return self.op(rng.choice([Softmax(), Expand()]), (rng.choice([*FEATURES]),), x)
            case _:
                return self.op(Extremum("max"), (), x, y)


def random_map(seed: int, steps: int = 7) -> Diagram:
    """A random diagram of some steps, of x: [n, d], whose result has at most one axis of tokens where one was grown."""
    meadow = Meadow(seed)
    meadow.tend(steps, lambda view: len(view.axes) <= 4)
    last = next((w for w in reversed(meadow.wires) if sum(a in TOKENS for a in w.axes) <= 1), meadow.wires[0])
    layout = tuple(sorted(last.axes, key=lambda a: (a not in TOKENS, a)))
    return meadow.build.finish("random", [Output(last.port, layout)])
