"""Several small models in one module against a loop over them, `torch.func.vmap`, and code written by hand.

`python benchmarks/bench_ensemble.py` writes `ensemble.json` and the table in README.md. One process, one thread, the ways take
turns, and the least processor time of all rounds counts; a ratio is that of these, with the spread of the rounds beside it.
The loops run one module after the other, with an optimiser for each: compiled ones, or by hand with `F.linear` and
the kernel. vmap maps `functional_call` of one compiled module over stacked weights (`vmap`: the passes of `DIFFERENTIABLE`; `vmap,
kernel`: all, for whose kernel it has no rule, so that it loops). By hand for all: `baddbmm` with weights [S, in, out],
and one call of the kernel over S times the batch. Every optimiser is AdamW; `fused=True` is the fastest for each way.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from report import publish
from torch import Tensor, nn
from torch.nn import functional

import anatomy
from anatomy.compiler import DIFFERENTIABLE

BATCH, TURNS = 4, 5
Forward = Callable[[Tensor], Tensor]
Part = tuple[Forward, list[nn.Parameter], Tensor]
"""What one call and one optimiser take care of: a function, its parameters, its input."""
OTHERS = ("loop", "loop, by hand", "vmap", "vmap, kernel", "by hand")
CASES = ((16, 16, 2, 16), (64, 16, 2, 16), (16, 32, 4, 32), (16, 64, 4, 64))
"""Models, width, heads, tokens."""


class Single(nn.Module):
    """Multi-head attention as an expert writes it."""

    def __init__(self, net: nn.Module, heads: int):
        super().__init__()
        state = net.state_dict()
        self.heads = heads
        for name in ("Wq", "Wk", "Wv", "Wo"):
            width = state["Wo.bias"].numel()
            layer = nn.Linear(width, width)
            layer.load_state_dict({"weight": state[name].reshape(width, width).T, "bias": state[f"{name}.bias"].flatten()})
            setattr(self, name, layer)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (layer(x).view(*x.shape[:2], self.heads, -1).transpose(1, 2) for layer in (self.Wq, self.Wk, self.Wv))
        return self.Wo(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Hand(nn.Module):
    """The same of S models, as one writes it who knows where the time goes."""

    def __init__(self, together: Any, width: int, heads: int):
        super().__init__()
        state = together.state_dict()
        self.heads = heads
        for name in ("Wq", "Wk", "Wv", "Wo"):
            models = len(state[name])
            setattr(self, name, nn.Parameter(state[name].reshape(models, width, width).clone()))
            setattr(self, f"{name}_bias", nn.Parameter(state[f"{name}.bias"].reshape(models, 1, width).clone()))

    def forward(self, x: Tensor) -> Tensor:
        models, batch, tokens, width = x.shape
        x = x.reshape(models, batch * tokens, width)
        q, k, v = (
            torch.baddbmm(getattr(self, f"W{c}_bias"), x, getattr(self, f"W{c}")).view(models * batch, tokens, self.heads, -1).transpose(1, 2) for c in "qkv"
        )
        y = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(models, batch * tokens, width)
        return torch.baddbmm(self.Wo_bias, y, self.Wo).view(models, batch, tokens, width)


def parts(models: int, width: int, heads: int, x: Tensor) -> dict[str, list[Part]]:
    """Every way as a list of what is called in turn."""
    d, sizes = anatomy.load("zoo:mha"), {"d": width, "h": heads}
    together: Any = anatomy.compile(d, sizes, lift=("b",), ensemble=models)
    alone = [anatomy.compile(d, sizes, lift=("b",), seed=k) for k in range(models)]
    by_hand, hand = [Single(net, heads) for net in alone], Hand(together, width, heads)

    def mapped(passes: tuple[str, ...]) -> list[Part]:
        one = anatomy.compile(d, sizes, lift=("b",), passes=passes)
        weights = {name: nn.Parameter(w.detach().clone()) for name, w in together.named_parameters()}
        over = torch.func.vmap(lambda own, x: torch.func.functional_call(one, own, (x,)))
        return [(lambda x: over(weights, x), list(weights.values()), x)]

    return {
        "ours": [(together, list(together.parameters()), x)],
        "loop": [(net, list(net.parameters()), part) for net, part in zip(alone, x, strict=True)],
        "loop, by hand": [(net, list(net.parameters()), part) for net, part in zip(by_hand, x, strict=True)],
        "vmap": mapped(DIFFERENTIABLE), "vmap, kernel": mapped(("all",)), "by hand": [(hand, list(hand.parameters()), x)],
    }  # fmt: skip


def gradients(work: list[Part]) -> None:
    """Forward and backward of the mean square of every model."""
    for run, weights, x in work:
        for w in weights:
            w.grad = None
        run(x).square().mean((-3, -2, -1)).sum().backward()


def training(work: list[Part]) -> Callable[[], None]:
    """The same with a step of the optimiser; it leaves the weights almost as they are, so that every round has the same work."""
    optimisers = [torch.optim.AdamW(weights, lr=1e-8, fused=True) for _, weights, _ in work]

    def step() -> None:
        for optimiser, (run, _, x) in zip(optimisers, work, strict=True):
            optimiser.zero_grad()
            run(x).square().mean((-3, -2, -1)).sum().backward()
            optimiser.step()

    return step


def compare(models: int, width: int, heads: int, tokens: int, rounds: int) -> list[dict[str, Any]]:
    """The two rows of one case; every way has the same outputs and is timed a few steps at a time, in turns."""
    torch.manual_seed(0)
    made = parts(models, width, heads, torch.randn(models, BATCH, tokens, width))
    wanted = torch.stack([run(x) for run, _, x in made["loop"]])
    steps: dict[str, dict[str, Callable[[], None]]] = {"forward and backward": {}, "training step": {}}
    for way, work in made.items():
        found = [run(x) for run, _, x in work]
        torch.testing.assert_close(torch.stack(found) if len(work) > 1 or models == 1 else found[0], wanted, rtol=1e-4, atol=1e-5)
        steps["forward and backward"][way] = lambda work=work: gradients(work)
        steps["training step"][way] = training(work)
    times: dict[str, dict[str, list[float]]] = {what: {way: [] for way in made} for what in steps}
    for k in range(rounds + 1):
        for what, each in steps.items():
            for way, step in each.items():
                started = time.process_time()
                for _ in range(TURNS):
                    step()
                if k:
                    times[what][way].append((time.process_time() - started) / TURNS)
    return [row(models, width, heads, tokens, what, times[what]) for what in steps]


def row(models: int, width: int, heads: int, tokens: int, what: str, times: dict[str, list[float]]) -> dict[str, Any]:
    ratios = {way: sorted(a / b for a, b in zip(times[way], times["ours"], strict=True)) for way in OTHERS}
    return {
        "models": models, "width": width, "heads": heads, "tokens": tokens, "batch": BATCH, "pass": what,
        "milliseconds": {way: round(1e3 * min(values), 3) for way, values in times.items()},
        "over_ours": {way: round(min(times[way]) / min(times["ours"]), 2) for way in OTHERS},
        "spread": {way: [round(values[0], 2), round(values[-1], 2)] for way, values in ratios.items()},
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["| S | D, heads, tokens | pass | ours, ms | " + " | ".join(OTHERS) + " |", "|---|---|---|---|" + "---|" * len(OTHERS)]
    for r in rows:
        found = [f"{r['over_ours'][way]:.2f} ({r['spread'][way][0]:.2f} to {r['spread'][way][1]:.2f})" for way in OTHERS]
        where = f"{r['width']}, {r['heads']}, {r['tokens']}"
        lines.append(f"| {r['models']} | {where} | {r['pass']} | {r['milliseconds']['ours']:.2f} | {' | '.join(found)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="There is a performance drop")
    rows: list[dict[str, Any]] = []
    for case in CASES:
        rows += compare(*case, options.rounds)
        print("\n".join(table(rows[-2:]).splitlines()[-2:]), flush=True)
    publish("ensemble.json", {"torch": torch.__version__, "rounds": options.rounds, "rows": rows}, "ensemble", "bench_ensemble.py", table(rows))


if __name__ == "__main__":
    main()
