"""The evaluator of rules against the compiler: two independent readings of every operation."""

import random

import pytest
import torch

from anatomy.compiler import build
from anatomy.errors import Source
from anatomy.language.program import Program
from anatomy.ops import OPS
from anatomy.rewrites import trial
from anatomy.rewrites.compiled import compiled
from anatomy.rewrites.dual import FUNCTIONS, Duals
from anatomy.rewrites.evaluate import BOXES
from anatomy.rewrites.trial import Draw

HEAD = "axis n, m, e, d, r, c, p, k\n"
TEXTS = {
    "sums": "(x: [n, m], y: [m, e]) -> [n, e] { out sum[m](x + y) - mean[m](x * y) / (2 + square(y[m -> n, e -> d][d -> e, n -> m]))[m -> n][n -> m] }",
    "norms": "(x: [n, m]) -> [n, m] { out layernorm[m](x) + rmsnorm[n](x) + l2norm[n, m](x) + l1norm[m](x) }",
    "distributions": "(x: [n, m], p0: mask[n, m]) -> [n, m] { out softmax[m](mask(p0, x)) + softmax[n, m](x) * sparsemax[m](x) + entmax[m](x, 1.5) + entmax[m](mask(p0, x), 1.3) + sinkhorn[n, m](x, steps=3) }",
    "peaks": "(x: [n, m], y: [n]) -> [n] { out max[m](x) + min[m](x) * logsumexp[m](x) + max(y, 0) - min(y, size[m]) }",
    "powers": "(x: [n], y: [n]) -> [n] { out x ^ 3 + (2 + square(x)) ^ y + sqrt(size[n]) * (4 ^ 0.5) - x ^ (0 - 2) }",
    "positions": "(x: [n]) -> [n, m] { out where(iota[n] <= iota[m], x, iota[m]) + where(not (iota[n] == 1 or iota[m] != 2) and x < 0, 1, 0) }",
    "moves": "(x: [n, m], y: [r]) -> [n] where m = 2 * c { a, b = halves[m -> c](x)  out sum[c](a * b) + shift[n](sum[m](x), 2) + shift[n](sum[m](x), -1) + cumsum[n](sum[m](x)) + sum[r](y) }",
    "reshape": "(x: [n, m]) -> [n, c, r] where m = c * r { out split[m -> c, r](x) + split[m -> c, r](merge[c, r -> m](split[m -> c, r](x))) }",
    "swap": "(x: [c, r]) -> [p] where p = c * r { out merge[r, c -> p](x) }",
    "glue": "(x: [n, e], y: [m, d]) -> [p, e, d] where p = n + m { out cat[n, m -> p](x, y) }",
    "windows": "(x: [n, m]) -> [n, m, c] { out unfold[n -> c](x) + unfold[n -> c, step=2](x) * unfold[n -> c, centred=true](x) }",
    "waves": "(x: [n, d]) -> [n, d] { out fft_re[n, d](x) + fft_im[d](x) }",
    "chosen": "(x: [n, m], i: index(m)[n, e]) -> [n, e] { out gather[m](x, i) + i }",
    "zipped": "(x: [n, m, d], i: index(m)[e]) -> [n, e, d] { out gather[m](x, i) }",
    "rounded": "(x: [n, m]) -> [n] { out gather[m](x, index[m](x[m -> d][d -> m] * 0 + 1.7)[m -> k])[k -> n][n -> k][k -> n] }",
    "sorted": "(x: [n, m]) -> [n, m] { v, i = sort[m](x)  out v + i }",
    "best": "(x: [n, m]) -> [n, c] where m = c + 1 { v, i = topk[m -> c](x)  out v * i + expand[c](sum[m](x)) }",
    "solved": "(x: [n, m], y: [n, e]) -> [m, e] where m = n { out solve_triangular[n, m](x + 4, y) + solve_triangular[n, m, unit=true](x, y) }",
    "stepped": "(x: [n, d], s0: [d]) -> [n, d], [d] { scan n (s: [d] = s0) { t = tanh(s) * x + sum[d](s)\n next s = t } out s * x, s.last }",
    "learned": "(x: [n, d]) -> [n, e] { out lin W[d -> e](x) }",
} | {f"map_{f}": f"(x: [n, m]) -> [n, m] {{ out {f}({'2 + square(x)' if f in ('log', 'sqrt') else 'x'}) }}" for f in FUNCTIONS if f != "neg"}
TEXTS["rounded"] = "(x: [n, m]) -> [n] { out gather[m](x, index[m](sum[m](x))) + index[m](sum[m](x)) }"
TEXTS["sums"] = "(x: [n, m], y: [m, e]) -> [n, e] { out sum[m](x + y) - mean[m](x * y / (2 + square(y))) + dot[m](x, y, -x) }"


def diagram(name):
    return Program.of(Source(f"{name}.anat", f"{HEAD}diagram {name}{TEXTS[name]}")).get(name)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("lifted", [False, True], ids=["plain", "lifted"])
def test_values_and_derivatives_are_those_of_the_compiled_module(name, lifted):
    d = diagram(name)
    assert d.nodes
    tried = trial.assignments(d, d, random.Random(0))
    assert len(tried) >= 3
    for sizes, _ in tried:
        added = {"+0": (d.inputs[0].name,), "+1": tuple(i.name for i in d.inputs)} if lifted else {}
        given = trial.inputs(d, sizes, Duals(), random.Random(1), Draw(), added)
        mine = trial.run(d, sizes, Duals(), given)
        (theirs,) = compiled([d], [sizes], given, added)
        for a, b in zip(mine, theirs, strict=True):
            a = a.laid(b.axes, {**sizes, **dict.fromkeys(added, trial.LIFT)})
            assert a.shape == b.shape
            for part in (0, 1):
                torch.testing.assert_close(
                    torch.tensor([e[part] for e in a.data]), torch.tensor([e[part] for e in b.data]),
                    rtol=1e-9, atol=1e-9, equal_nan=True,
                )  # fmt: skip


def test_every_operation_but_noise_and_holes_is_evaluated():
    assert {op.__name__ for op in OPS} - BOXES.keys() == {"Noise", "Hole"}
    used = {type(n.op).__name__ for name in TEXTS for n in diagram(name).nodes}
    assert BOXES.keys() - used == set()


def test_a_row_of_minus_infinity_is_empty_in_both():
    d = Program.of(Source("a.anat", f"{HEAD}diagram a(x: [n, m]) -> [n, m] {{ out softmax[m](mask(iota[n] < 0, x)) + sinkhorn[n, m](mask(iota[n] < 1, x), steps=2) }}")).get("a")
    sizes = {"n": 3, "m": 2}
    given = trial.inputs(d, sizes, Duals(), random.Random(0), Draw(), {})
    (mine,) = trial.run(d, sizes, Duals(), given)
    x = torch.tensor([e[0] for e in given["x"].data], dtype=torch.float64).reshape(3, 2)
    assert torch.allclose(torch.tensor([e[0] for e in mine.laid(("n", "m")).data], dtype=torch.float64).reshape(3, 2), build(d, sizes, dtype=torch.float64)(x))
