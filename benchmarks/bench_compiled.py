"""Compiled modules against the code an expert writes by hand and against the obvious one, with the same weights, interleaved.

Ours: `anatomy.compile` with all passes. By hand: projections as matrix products, heads by `view` and `transpose`, one call of
`scaled_dot_product_attention`, and the tricks that the literature knows (a feature for ALiBi and for distances, a key for a
sink). Obvious: the formula as it is written, with `einsum` and `softmax`. Processor time of one thread, the least of the
rounds; the spread is that of the ratios of the rounds. Writes `benchmarks/compiled.json` and its table in the README.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from report import publish
from torch import Tensor, nn
from torch.nn import functional

import anatomy

HEADS, FEATURES, BATCH = 8, 64, 2
Forward = Callable[[Any, Tensor], Tensor]


def heads(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x W + b with heads in front."""
    y = x @ weight.flatten(1)
    y = y if bias is None else y + bias.flatten()
    return y.view(*x.shape[:2], HEADS, -1).transpose(1, 2)


def out(net: Any, y: Tensor) -> Tensor:
    return y.transpose(1, 2).flatten(2) @ net.Wo.flatten(0, 1) + net.Wo_bias


def projected(net: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return heads(x, net.Wq, net.Wq_bias), heads(x, net.Wk, net.Wk_bias), heads(x, net.Wv, net.Wv_bias)


def scores(q: Tensor, k: Tensor) -> Tensor:
    return torch.einsum("bhne,bhme->bhnm", q, k) / math.sqrt(FEATURES)


def mixed(w: Tensor, v: Tensor) -> Tensor:
    return torch.einsum("bhnm,bhmf->bhnf", w, v)


def hidden(s: Tensor) -> Tensor:
    n = s.shape[-1]
    return s.masked_fill(torch.ones(n, n, dtype=torch.bool).triu(1), float("-inf"))


def slopes() -> Tensor:
    return 2.0 ** (-8.0 * (torch.arange(HEADS) + 1) / HEADS)


def mha(net: Any, x: Tensor) -> Tensor:
    return out(net, functional.scaled_dot_product_attention(*projected(net, x)))


def mha_obvious(net: Any, x: Tensor) -> Tensor:
    q, k, v = projected(net, x)
    return out(net, mixed(torch.softmax(scores(q, k), -1), v))


def causal(net: Any, x: Tensor) -> Tensor:
    return out(net, functional.scaled_dot_product_attention(*projected(net, x), is_causal=True))


def causal_obvious(net: Any, x: Tensor) -> Tensor:
    q, k, v = projected(net, x)
    return out(net, mixed(torch.softmax(hidden(scores(q, k)), -1), v))


def alibi(net: Any, x: Tensor) -> Tensor:
    q, k, v = projected(net, x)
    bias = (slopes()[:, None] * torch.arange(x.shape[1])) * math.sqrt(FEATURES)
    k = torch.cat((k, bias[None, :, :, None].expand(len(x), -1, -1, -1)), -1)
    y = functional.scaled_dot_product_attention(functional.pad(q, (0, 1), value=1.0), k, functional.pad(v, (0, 1)), is_causal=True, scale=1 / math.sqrt(FEATURES))
    return out(net, y[..., :FEATURES])


def alibi_obvious(net: Any, x: Tensor) -> Tensor:
    q, k, v = projected(net, x)
    at = torch.arange(x.shape[1])
    bias = slopes()[:, None, None] * (at[None, :] - at[:, None])
    return out(net, mixed(torch.softmax(hidden(scores(q, k) + bias), -1), v))


def off_by_one(net: Any, x: Tensor) -> Tensor:
    q, k, v = projected(net, x)
    return out(net, functional.scaled_dot_product_attention(q, functional.pad(k, (0, 0, 1, 0)), functional.pad(v, (0, 0, 1, 0))))


def off_by_one_obvious(net: Any, x: Tensor) -> Tensor:
    q, k, v = projected(net, x)
    s = scores(q, k)
    top = s.amax(-1, keepdim=True).clamp(min=0)
    e = torch.exp(s - top)
    return out(net, mixed(e / (torch.exp(-top) + e.sum(-1, keepdim=True)), v))


def sink(net: Any, x: Tensor) -> Tensor:
    q, k, v = projected(net, x)
    first = functional.pad((net.sink * math.sqrt(FEATURES))[None, :, None, None].expand(len(x), -1, 1, 1), (FEATURES, 0))
    k = torch.cat((first, functional.pad(k, (0, 1))), -2)
    q = functional.pad(functional.pad(q, (0, 1), value=1.0), (0, 0, 1, 0))
    v = functional.pad(v, (0, 1, 1, 0))
    y = functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1 / math.sqrt(FEATURES))
    return out(net, y[..., 1:, :FEATURES])


def sink_obvious(net: Any, x: Tensor) -> Tensor:
    q, k, v = projected(net, x)
    s = hidden(scores(q, k))
    s = torch.cat((s, net.sink[None, :, None, None].expand(*s.shape[:-1], 1)), -1)
    return out(net, mixed(torch.softmax(s, -1)[..., :-1], v))


def distance(net: Any, x: Tensor) -> Tensor:
    q, k = heads(x, net.Wq, None), heads(x, net.Wq, None)
    u = torch.einsum("bhme,dhe->bhmd", k, net.Wq) / math.sqrt(FEATURES)
    v = torch.einsum("bhmd,hdf->bhmf", u, net.Wv) + net.Wv_bias[:, None]
    k = torch.cat((k, -0.5 * k.square().sum(-1, keepdim=True)), -1)
    y = functional.scaled_dot_product_attention(functional.pad(q, (0, 1), value=1.0), k, functional.pad(v, (0, 1)), scale=2 / math.sqrt(FEATURES))
    return out(net, y[..., :FEATURES])


def distance_obvious(net: Any, x: Tensor) -> Tensor:
    q, k = heads(x, net.Wq, None), heads(x, net.Wq, None)
    u = torch.einsum("bhme,dhe->bhmd", k, net.Wq) / math.sqrt(FEATURES)
    v = torch.einsum("bhmd,hdf->bhmf", u, net.Wv) + net.Wv_bias[:, None]
    return out(net, mixed(torch.softmax(-torch.cdist(q, k).square() / math.sqrt(FEATURES), -1), v))


CASES: dict[str, tuple[str, Forward, Forward]] = {
    "softmax": ("mha", mha, mha_obvious), "causal": ("causal_mha", causal, causal_obvious), "causal ALiBi": ("alibi", alibi, alibi_obvious),
    "softmax off by one": ("softmax_one", off_by_one, off_by_one_obvious), "causal with a sink": ("learned_sink", sink, sink_obvious),
    "L2, tied": ("l2", distance, distance_obvious),
}  # fmt: skip


def once(run: Forward, net: nn.Module, x: Tensor, backward: bool) -> float:
    started = time.process_time()
    if backward:
        run(net, x).square().mean().backward()
    else:
        with torch.no_grad():
            run(net, x)
    return time.process_time() - started


def compare(name: str, n: int, rounds: int, backward: bool) -> dict[str, Any]:
    entry, by_hand, obvious = CASES[name]
    torch.manual_seed(0)
    net = anatomy.compile(anatomy.load(f"zoo:{entry}"), {"d": HEADS * FEATURES, "h": HEADS}, lift=("b",))
    x = torch.randn(BATCH, n, HEADS * FEATURES, requires_grad=backward)
    ways: dict[str, Forward] = {"ours": lambda net, x: net(x), "hand": by_hand, "obvious": obvious}
    with torch.no_grad():
        wanted = net(x)
        for run in ways.values():
            torch.testing.assert_close(run(net, x), wanted, rtol=2e-3, atol=2e-4)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for k in range(rounds + 1):
        for way, run in ways.items():
            spent = once(run, net, x, backward)
            if k:
                times[way].append(spent)
    ratios = {way: sorted(a / b for a, b in zip(times["ours"], times[way], strict=True)) for way in ("hand", "obvious")}
    return {
        "case": name, "n": n, "pass": "forward and backward" if backward else "forward",
        "milliseconds": {way: round(1e3 * min(values), 2) for way, values in times.items()},
        "ours_over_hand": round(min(times["ours"]) / min(times["hand"]), 3), "spread_hand": [round(ratios["hand"][0], 3), round(ratios["hand"][-1], 3)],
        "obvious_over_ours": round(min(times["obvious"]) / min(times["ours"]), 3),
        "spread_obvious": [round(1 / ratios["obvious"][-1], 3), round(1 / ratios["obvious"][0], 3)],
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["| case | n | pass | ours, ms | ours / by hand | obvious / ours |", "|---|---|---|---|---|---|"]
    for r in rows:
        hand, plain = r["spread_hand"], r["spread_obvious"]
        lines.append(
            f"| {r['case']} | {r['n']} | {r['pass']} | {r['milliseconds']['ours']:.1f} | {r['ours_over_hand']:.2f} ({hand[0]:.2f} to {hand[1]:.2f}) "
            f"| {r['obvious_over_ours']:.2f} ({plain[0]:.2f} to {plain[1]:.2f}) |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, nargs="*", default=[512, 1024])
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for n in options.tokens:
        for name in CASES:
            for backward in (False, True):
                rows.append(compare(name, n, options.rounds, backward))
                print(table(rows[-1:]).splitlines()[-1], flush=True)
    publish("compiled.json", {"torch": torch.__version__, "rounds": options.rounds, "rows": rows}, "compiled", "bench_compiled.py", table(rows))


if __name__ == "__main__":
    main()
