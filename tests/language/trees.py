"""What the tests of the language share: trees as plain data, and random texts."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

from anatomy.errors import Diagnostic, Source
from anatomy.language.program import Program

SAMPLE = (Path(__file__).parent / "sample.anat").read_text("utf-8")
AXES = "axis b, n, m = n, d, h, e, f, a, c, g, j, r, p\n"


def check(text: str, path: str = "test.anat") -> tuple[Diagnostic, ...]:
    return Program.of(Source(path, text)).check()


def codes(text: str) -> list[str]:
    return [d.code for d in check(text)]


def data(node: object, places: bool = True) -> object:
    """A syntax tree as nested tuples, with or without places."""
    if dataclasses.is_dataclass(node):
        fields = [f.name for f in dataclasses.fields(node) if places or not f.name.endswith("at")]
        return (type(node).__name__, *(data(getattr(node, f), places) for f in fields))
    if isinstance(node, (tuple, list)):
        return tuple(data(item, places) for item in node)
    return node


def expression(rng: random.Random, depth: int = 4) -> str:
    """A random expression, well formed and mostly ill typed."""
    if depth == 0 or rng.random() < 0.15:
        return rng.choice(["x", "y", "mine.z", "1", "2.5e-3", "size[e]", "iota[n]", "true"])
    inner = [expression(rng, depth - 1) for _ in range(3)]
    return rng.choice(
        [
            "{0} + {1}", "{0} - {1}", "{0} * {1}", "{0} / {1}", "{0} ^ {1}", "-{0}", "(not {0})", "({0} and {1})", "({0} or {1})",
            "({0})", "({0} <= {1})", "({0})[n -> m]", "({0})[n -> m, m -> n][a -> b]", "softmax[m, p]({0})",
            "f@label[e=a]({0}, {1})", "dot[e]({0}, {1}, {2})", "lin W[h; d -> e, bias=false]({0})",
            "lin W[d -> e] ~ normal(0.02) ({0})", "lin W[d -> e] ~ xavier ({0})", "lin W({0})", "causal[{0} <= {1}]({2})", "g()",
        ]
    ).format(*inner)  # fmt: skip


def program(rng: random.Random) -> str:
    """A random text that parses."""
    body = "\n".join(
        rng.choice(
            [
                "y = {0}", "y, z = {0}", "simd n, m {{ y = {0} }}", "simd n {{ simd m {{ t = {0} }} u = {0} }}", "out {0}, {0}",
                "weight u: [a -> b; c] ~ uniform(-1, 2.5)", "frozen weight v: [a]", "hole s(q: mask[e], k: index(m)[]) -> [], [n]",
                "tie a.W, b.W.bias",
            ]
        ).format(expression(rng))
        for _ in range(rng.randrange(1, 6))
    )  # fmt: skip
    return f"lang 1\naxis n, m = n * (2 - n) + 1\ndiagram d(x: [n], y: []) -> [n, m] where n = 2 * m, m = 3 {{\n{body}\n}}\nrule r(x: []): {expression(rng)} ~= {expression(rng)}\n"
