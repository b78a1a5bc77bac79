"""Random diagrams of phrases that theorems look for, and of ones that only look like them."""

from __future__ import annotations

from anatomy.ir.builder import View
from anatomy.ir.op import Problem
from anatomy.ops import Add, Contract, Divide, Map, Multiply, Reduce, Softmax, Subtract, Unfold
from tests.regularity.programs import SIZES, Garden

SMALL = ("r", "p", "h", "m", "n")


class Idioms(Garden):
    """Channelwise mixing, convolutions, attention of whatever there is, quotients of sums, lengths, distances, sinks."""

    def grow(self) -> View:
        rng = self.rng
        if rng.random() < 0.5:
            return super().grow()
        x, y = self.pick(), self.pick()
        a = self.axis(x, y)
        if not x.axes or not y.axes:
            raise Problem("E306", "a phrase wants axes", 0)
        match rng.randrange(7):
            case 0:
                return self.channelwise(x, a)
            case 1:
                axis = rng.choice(x.axes)
                window = rng.choice([c for c in SMALL if c not in x.axes])
                taken = self.op(Unfold(centred=rng.random() < 0.5), (axis, window), x)
                return self.op(Contract(), (window,), taken, self.weight(window, rng.choice(x.axes)))
            case 2:
                score = self.op(Contract(), (a,), x, y) if a in x.axes and a in y.axes else self.op(Multiply(), (), x, y)
                key = rng.choice(score.axes or (a,))
                mixed = self.op(Multiply(), (), self.op(Softmax(), (key,), score), self.pick())
                return self.op(Reduce("sum"), (key,), mixed)
            case 3:
                weights = self.op(Map("exp"), (), self.op(Multiply(), (), x, self.number("0.4")))
                above = self.op(Reduce("sum"), (a,), self.op(Multiply(), (), weights, y))
                return self.op(Divide(), (), above, self.op(Reduce("sum"), (a,), weights))
            case 4:
                square = self.op(Reduce("sum"), (a,), self.op(Map("square"), (), x))
                length = self.op(Map("sqrt"), (), self.op(Add(), (), square, self.number(rng.choice(["0", "0.1"]))))
                return self.op(Multiply(), (), length, y) if rng.random() < 0.5 else length
            case 5:
                apart = self.op(Reduce("sum"), (a,), self.op(Map("square"), (), self.op(Subtract(), (), x, y)))
                key = rng.choice(apart.axes or (a,))
                return self.op(Contract(), (key,), self.op(Softmax(), (key,), self.op(Map("neg"), (), apart)), y)
            case _:
                total = self.op(Map(rng.choice(["softplus", "tanh", "relu"])), (), self.op(Reduce("logsumexp"), (a,), x))
                return self.op(Map("exp"), (), self.op(Subtract(), (), x, total))

    def channelwise(self, x: View, a: str) -> View:
        """A weight with an axis that runs along, one that ends and a new one."""
        if a not in x.axes:
            raise Problem("E306", "there is nothing to mix", 0)
        out = self.rng.choice([c for c in SIZES if c not in x.axes])
        along = self.rng.choice([c for c in x.axes if c != a] or [a])
        return self.op(Contract(), (a,), x, self.weight(*dict.fromkeys((a, along, out))))
