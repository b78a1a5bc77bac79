"""Exact fingerprints: what a diagram gives modulo a prime, weights drawn by their paths.

Where two diagrams with the same paths have two different fingerprints, they differ as rational functions of their inputs,
weights and of every function (`exp`, `tanh`, ...) of such, taken as unknown; where they have one, they are that function but
for an error of degree over 2^61 (Schwartz 1980), at the sizes that were tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from hashlib import blake2b
from math import prod

from anatomy.ir.graph import Diagram
from anatomy.ir.strands import tokens
from anatomy.rewrites.evaluate import Machine
from anatomy.rewrites.modular import PRIME, Modular
from anatomy.rewrites.tensor import Abstain, Tensor
from anatomy.spaces.terms.small import assign

TOKENS, FEATURES = 3, 2
MOST = 4096
"""Entries of one input or weight."""


class Masked(Modular):
    """Integers modulo a prime with -inf, which masks make and `exp`, `sigmoid`, `relu` and softmax take away."""

    LOW = -1

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.positive: set[int] = set()
        """Numbers that are known to be greater than 0; a random one is among them with probability 2^-50."""

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

    def low(self) -> int:
        return self.LOW

    def empty(self, a: int) -> bool:
        return a == self.LOW

    def add(self, a: int, b: int) -> int:
        return self.LOW if self.LOW in (a, b) else (a + b) % PRIME

    def subtract(self, a: int, b: int) -> int:
        if b == self.LOW:
            raise Abstain("-inf is taken away")
        return self.LOW if a == self.LOW else (a - b) % PRIME

    def multiply(self, a: int, b: int) -> int:
        if (a == self.LOW and b in self.positive) or (b == self.LOW and a in self.positive):
            return self.LOW
        self.plain(a, b)
        return super().multiply(a, b)

    def divide(self, a: int, b: int) -> int:
        if a == self.LOW and b in self.positive:
            return self.LOW
        self.plain(a, b)
        return super().divide(a, b)

    def power(self, a: int, exponent: int) -> int:
        self.plain(a)
        return super().power(a, exponent)

    def total(self, row: list[int]) -> int:
        return self.LOW if self.LOW in row else sum(row) % PRIME

    def function(self, name: str, *arguments: int) -> int:
        if self.LOW in arguments:
            if name in ("exp", "sigmoid", "relu", "softplus"):
                return 0
            raise Abstain(f"`{name}` of -inf")
        return super().function(name, *arguments)

    def extremum(self, which: str, row: list[int]) -> int:
        left = [a for a in row if a != self.LOW] if which == "max" else self.plain(*row)
        return super().extremum(which, list(left)) if left else self.LOW

    def softmax(self, row: list[int]) -> list[int]:
        if all(a == self.LOW for a in row):
            return [0] * len(row)  # ruling 15
        return super().softmax(row)

    def logsumexp(self, row: list[int]) -> int:
        return self.LOW if all(a == self.LOW for a in row) else super().logsumexp(row)

    def plain(self, *arguments: int) -> Sequence[int]:
        if self.LOW in arguments:
            raise Abstain("a calculation with -inf")
        return arguments


def algebra_fingerprint(diagram: Diagram, sizes: Mapping[str, int] | None = None, seed: int = 0) -> bytes | None:
    """16 bytes that diagrams share when they are one rational function of inputs, weights and opaque functions; None where the arithmetic abstains.

    Inputs are drawn by number, weights by path, both with their shapes; `sizes` are wished for some variables. Equal
    fingerprints at one size do not prove equality at others.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis n, d, e diagram f(x: [n, d]) -> [n, e] { out lin W[d -> e, bias=false](2 * x) }"
    >>> f = Program.of(Source("f.anat", text)).get("f")
    >>> g = Program.of(Source("f.anat", text.replace("lin W[d -> e, bias=false](2 * x)", "2 * lin W[d -> e, bias=false](x)"))).get("f")
    >>> h = Program.of(Source("f.anat", text.replace("(2 *", "(3 *"))).get("f")
    >>> algebra_fingerprint(f) == algebra_fingerprint(g), algebra_fingerprint(f) == algebra_fingerprint(h)
    (True, False)
    """
    wanted = dict(sizes or {})
    marked = set(tokens(diagram))
    for k, item in enumerate(diagram.inputs):
        for axis in item.layout:
            for v in diagram.sizes[axis].variables():
                wanted.setdefault(v, TOKENS if (k, axis) in marked else FEATURES)
    free = sorted(diagram.free_sizes())
    values = assign(free, wanted, diagram.defaults, [(e.left, e.right) for e in diagram.equations])
    if values is None:
        return None
    numbers = {axis: p.evaluate(values) for axis, p in diagram.sizes.items()}
    wires: dict[int, Tensor] = {}
    try:
        for k, item in enumerate(diagram.inputs):
            if diagram.wires[item.wire].kind.name != "real":
                return None
            wires[item.wire] = _drawn(("input", k), item.layout, numbers, seed)
        for weight in diagram.weights:
            wires[weight.wire] = _drawn(("weight", weight.key), weight.layout, numbers, seed)
        outputs = Machine(diagram, numbers, Masked(seed), wires).run()
    except Abstain:
        return None
    text = []
    for output, tensor in zip(diagram.outputs, outputs, strict=True):
        missing = [a for a in output.layout if a not in tensor.axes]
        laid = tensor.laid((*missing, *tensor.axes), numbers).laid(output.layout) if missing else tensor.laid(output.layout)
        text.append(f"{laid.shape} {laid.data}")
    return blake2b(" ".join(text).encode(), digest_size=16).digest()


def _drawn(words: object, layout: Sequence[str], sizes: Mapping[str, int], seed: int) -> Tensor:
    shape = tuple(sizes[a] for a in layout)
    if prod(shape) > MOST:
        raise Abstain("too many entries")
    data = [
        int.from_bytes(blake2b(f"{seed} {words} {shape} {i}".encode(), digest_size=16).digest()) % PRIME for i in range(prod(shape))
    ]
    return Tensor(tuple(layout), shape, data)
