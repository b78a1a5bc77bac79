"""What a member computes modulo a prime, exactly: members that agree there are equal by algebra, up to a stated error."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from math import prod
from typing import Any

from anatomy.ir.graph import Diagram
from anatomy.ir.live import live
from anatomy.rewrites.evaluate import Machine
from anatomy.rewrites.modular import PRIME, Degrees, Modular
from anatomy.rewrites.tensor import Abstain, Tensor
from anatomy.rewrites.trial import largest_place
from anatomy.spaces.funnel.points import Naming, Point, by_key, others, sizes_at
from anatomy.spaces.funnel.reach import Reach

NOTHING = {"exp": 0, "relu": 0, "sigmoid": 0, "softplus": 0, "silu": 0, "gelu": 0, "elu": -1, "tanh": -1, "sign": -1}
"""What a function makes of -inf."""
LOW = None
"""Stands for -inf, as masked scores have it."""


@dataclass(frozen=True)
class Algebra:
    """A hash of the outputs and of the weights' types, and a bound of the chance that different functions share it."""

    key: bytes
    error: float


class Keyed(Modular):
    """Integers modulo a prime with -inf; every function that is not rational is a random one, known by its name."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.positive: set[Any] = set()
        """Constants greater than 0: -inf times one of them is -inf. Another number is among them by chance only."""

    def number(self, value: Fraction | int) -> int:
        found = super().number(value)
        if value > 0:
            self.positive.add(found)
        return found

    def root(self, value: Fraction) -> int:
        found = super().root(value)
        if value > 0:
            self.positive.add(found)
        return found

    def low(self) -> Any:
        return LOW

    def empty(self, a: Any) -> bool:
        return a is LOW

    def add(self, a: Any, b: Any) -> Any:
        return LOW if a is LOW or b is LOW else (a + b) % PRIME

    def subtract(self, a: Any, b: Any) -> Any:
        if b is LOW:
            raise Abstain("-inf is taken away")
        return LOW if a is LOW else (a - b) % PRIME

    def multiply(self, a: Any, b: Any) -> Any:
        if a is LOW or b is LOW:
            if not {a, b} & self.positive:
                raise Abstain("-inf is a factor")
            return LOW
        return a * b % PRIME

    def divide(self, a: Any, b: Any) -> Any:
        if a is LOW and b in self.positive:
            return LOW
        if a is LOW or b is LOW:
            raise Abstain("-inf is divided")
        return super().divide(a, b)

    def power(self, a: Any, exponent: int) -> Any:
        if a is LOW:
            raise Abstain("a power of -inf")
        return super().power(a, exponent)

    def total(self, row: list[Any]) -> Any:
        return LOW if any(a is LOW for a in row) else sum(row) % PRIME

    def function(self, name: str, *arguments: Any) -> int:
        if any(a is LOW for a in arguments):
            if len(arguments) == 1 and name in NOTHING:
                return NOTHING[name] % PRIME
            raise Abstain(f"`{name}` of -inf")
        return super().function(name, *arguments)

    def softmax(self, row: list[Any]) -> list[Any]:
        return [0] * len(row) if all(a is LOW for a in row) else super().softmax(row)

    def extremum(self, which: str, row: list[Any]) -> Any:
        rest = [a for a in row if a is not LOW]
        if len(rest) == len(row):
            return super().extremum(which, row)
        return LOW if which == "min" or not rest else super().extremum(which, rest)

    def logsumexp(self, row: list[Any]) -> Any:
        return LOW if all(a is LOW for a in row) else super().logsumexp(row)

    def entmax(self, row: list[Any], alpha: float) -> list[Any]:
        rest = tuple(sorted(a for a in row if a is not LOW))
        return [0 if a is LOW else self.function(f"entmax {alpha}", a, *rest) for a in row]


class _Degrees(Degrees):
    def low(self) -> Any:
        return (0, 0)

    def entmax(self, row: list[Any], alpha: float) -> list[Any]:  # type: ignore[override]
        return [(1, 0)] * len(row)


def algebra(diagram: Diagram, where: tuple[Point, ...], seed: int = 0) -> Algebra | None:
    """The outputs at several size assignments, inputs and weights drawn by name; None where reals are compared or sorted.

    Equal hashes: equal functions of inputs and weights at these sizes, but for a chance of at most `error` each (Schwartz,
    J. ACM 27, 1980: a polynomial of degree D that is not 0 vanishes at a random point modulo p with probability at most D / p;
    and as much for every two arguments of a random function, or such an argument and a positive constant, that meet by chance). Weights must agree in key, type
    and initialiser. None also where positions are named, or steps made, that the sizes do not go beyond.
    """
    naming = by_key(diagram)
    state = blake2b(digest_size=16)
    error, seen = 0.0, 0
    reach = Reach.of(diagram)
    if reach is None or largest_place(diagram) + 1 > where[0].tokens:
        return None
    beyond = False
    for point in where:
        sizes = sizes_at(diagram, point, naming)
        state.update(f"{point.name} {sizes is not None} ".encode())
        if sizes is None:
            continue
        seen += 1
        beyond = beyond or reach.seen(sizes)
        try:
            numbers = Keyed(seed)
            found = Machine(diagram, sizes, numbers, _given(diagram, sizes, naming, seed, False)).run()
            if error == 0.0:
                error = _error(diagram, sizes, naming, seed, len(numbers.asked) + len(numbers.positive))
        except (Abstain, KeyError):  # see `values`
            return None
        for tensor, output in zip(found, diagram.outputs, strict=True):
            laid = tensor.laid(output.layout, sizes)
            state.update(repr((laid.shape, laid.data)).encode())
    alive = set(live(diagram))
    used = [w for w in diagram.weights if any(k == -1 or k in alive for k, _ in diagram.consumers[w.wire])]
    settled = diagram.settled
    for w in sorted(used, key=lambda w: w.keys):
        roles = [[str(settled.of(diagram.sizes[a])) for a in axes] for axes in (w.lanes, w.fan_in, w.fan_out)]
        state.update(repr((w.keys, roles, str(w.init), w.frozen)).encode())
    return Algebra(state.digest(), error * seen) if beyond else None


def _given(diagram: Diagram, sizes: dict[str, int], naming: Naming, seed: int, degrees: bool) -> dict[int, Tensor]:
    wires: dict[int, Tensor] = {}
    for k, item in enumerate(diagram.inputs):
        shape = tuple(sizes[a] for a in item.layout)
        drawn = [(1, 0)] * prod(shape) if degrees else list(_drawn(seed, f"input {k}", prod(shape)))
        wires[item.wire] = others(diagram, k, sizes, seed) or Tensor(item.layout, shape, drawn)
    for k, weight in enumerate(diagram.weights):
        name, axes = naming.weights[k]
        shape = tuple(sizes[a] for a in axes)
        drawn = [(1, 0)] * prod(shape) if degrees else list(_drawn(seed, f"weight {name}", prod(shape)))
        wires[weight.wire] = Tensor(axes, shape, drawn)
    return wires


def _error(diagram: Diagram, sizes: dict[str, int], naming: Naming, seed: int, asked: int) -> float:
    """The chance at one size assignment, for two diagrams of the degrees of this one."""
    found = Machine(diagram, sizes, _Degrees(), _given(diagram, sizes, naming, seed, True)).run()
    degrees = [e for t in found for e in t.data if isinstance(e, tuple)]
    return max((n + d for n, d in degrees), default=1) * 2 * (1 + asked * asked) / PRIME


@lru_cache(maxsize=2048)
def _drawn(seed: int, name: str, count: int) -> tuple[int, ...]:
    rng = random.Random(f"{seed} {name}")
    return tuple(rng.randrange(PRIME) for _ in range(count))
