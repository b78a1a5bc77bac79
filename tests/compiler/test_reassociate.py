"""Linear attention that is written with its weights is linear once it is compiled, and nothing else changes its order."""

from __future__ import annotations

import pytest
import torch

from anatomy.compiler import build, generate
from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from tests.compiler.agreement import agree

torch.set_num_threads(1)
SIZES = {"h": 2, "e": 4, "f": 3}
NOTE = "reassociate"


def diagram(weights: str, out: str) -> Diagram:
    text = (
        "axis n, m, h, e, f\n"
        "diagram t(q: [n, h, e], k: [m, h, e], v: [m, h, f], g: [n, h], c: [m, h]) -> [n, h, f] "
        f"{{ simd h {{ s = dot[e](sigmoid(q), sigmoid(k)) w = {weights} y = {out} }} out y }}"
    )
    program = Program.of(Source("linear.anat", text))
    assert [found.message for found in program.check() if found.severity == "error"] == []
    return program.get(program.names()[-1])


LINEAR = {
    "divided inside": ("s / sum[m](s)", "sum[m](w * v)"),
    "divided outside": ("s", "sum[m](w * v) / sum[m](w)"),
    "gates of rows and of keys": ("g * s * c / (1 + sum[m](s))", "dot[m](w, v)"),
    "divided twice": ("s / sum[m](s) / (1 + g ^ 2)", "sum[m](v * w)"),
}
OTHERS = {
    "a divisor of keys": ("s / (1 + c ^ 2)", "sum[m](w * v) + sum[m](w)"),
    "a nonlinearity": ("relu(s - 1) / (1 + sum[m](s))", "sum[m](w * v)"),
}


@pytest.mark.parametrize("name", LINEAR)
def test_it_becomes_linear(name: str) -> None:
    d = diagram(*LINEAR[name])
    made = generate(d, {"h": 2, "e": 64, "f": 64})
    assert NOTE in {note.name for note in made.notes}
    for n, m in ((1, 1), (5, 7), (70, 3)):
        agree(d, SIZES | {"n": n, "m": m}, {"b": 2}, strided=n == 5)
    net = build(d, {"h": 2, "e": 64, "f": 64})
    kept: list[int] = []
    inputs = [torch.rand(512, 2, w, requires_grad=True) for w in (64, 64, 64)] + [torch.rand(512, 2, requires_grad=True) for _ in range(2)]
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        net(*inputs)
    assert max(kept) < 512 * 512, "no weight of a row and a key is kept"


@pytest.mark.parametrize("name", OTHERS)
def test_others_keep_their_function(name: str) -> None:
    d = diagram(*OTHERS[name])
    for n, m in ((1, 1), (5, 7)):
        agree(d, SIZES | {"n": n, "m": m}, {"b": 2})
