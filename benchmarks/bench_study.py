"""The study's estimator of |J(X)| against the way of the published study, interleaved in one process.

Theirs: one input after the other, power iteration by `jvp` and `vjp`, each of which runs the layer again, until two norms
differ by less than 1e-3, at most 1000 steps (with the tangent of `jvp` in the place of its first result, so that both
estimate the same thing). Ours: all inputs at once, the layer run once, Lanczos' iteration, and the quotient anew in float64.
Inputs: English text before the middle layer of a randomly initialised GPT-2, 12 heads, d = 768, causal, and inputs whose
tokens are 5 times as long, where attention is no longer near uniform. Times are medians of the rounds, with least and largest.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from anatomy.study.gpt2 import RandomGPT2
from anatomy.study.jacobian import norms


def theirs(function: Callable[[Tensor], Tensor], points: Tensor, tolerance: float = 1e-3, most: int = 1000) -> tuple[list[float], int]:
    """|J| of every input by power iteration, and how many steps it took in all."""
    found, steps = [], 0
    for point in points:
        x = point[None]
        u = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
        u = u / torch.linalg.vector_norm(u)
        before, value = -1.0, 0.0
        for _ in range(most):
            v = torch.func.jvp(function, (x,), (u,))[1]
            value = float(torch.linalg.vector_norm(v))
            steps += 1
            if abs(value - before) < tolerance:
                break
            before = value
            u = torch.func.vjp(function, x)[1](v)[0]
            u = u / torch.linalg.vector_norm(u)
        found.append(value)
    return found, steps


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, nargs="*", default=[8, 32, 128])
    parser.add_argument("--inputs", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = RandomGPT2()
    layer = model.attention(6, True)
    norms(layer.module, layer.double, torch.randn(2, 3, model.width))  # what is loaded at the first call
    theirs(layer.module, torch.randn(1, 3, model.width), most=2)
    print("| inputs | n | theirs, s | ours, s | theirs / ours | steps, theirs | theirs below ours by |")
    print("|---|---|---|---|---|---|---|")
    for n in options.tokens:
        text = model.inputs(model.windows(n, options.inputs, 0), [6])[6]
        for words, points in (("text", text), ("text, 5 times as long", 5 * text)):
            times: tuple[list[float], list[float]] = [], []
            for _ in range(options.rounds):
                started = time.process_time()
                found, steps = theirs(layer.module, points)
                middle = time.process_time()
                ours = norms(layer.module, layer.double, points)
                ended = time.process_time()
                times[0].append(middle - started)
                times[1].append(ended - middle)
            ratios = [a / b for a, b in zip(*times, strict=True)]
            behind = [1 - a / b for a, b in zip(found, ours.tolist(), strict=True)]
            print(f"| {words} | {n} | {spread(times[0])} | {spread(times[1])} | {spread(ratios)} | {steps} | {100 * min(behind):.2g} to {100 * max(behind):.2g} % |", flush=True)


if __name__ == "__main__":
    main()
