"""Formulas of `zoo/mask/`, each from its paper."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from formulas.common import LAYER, Case, Sizes, Weights, attend, flat, heads, lower, multihead, scaled


def causal_mha(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return multihead(x, x, w, lambda q, k, v, i: attend(scaled(q, k).masked_fill(~lower(len(x)), -math.inf), v))


def masked(x: Tensor, w: Weights, reads: Callable[[int, int], bool]) -> Tensor:
    """Multi-head attention where position i reads position j if `reads(i, j)`."""
    keep = torch.tensor([[reads(i, j) for j in range(len(x))] for i in range(len(x))])
    return multihead(x, x, w, lambda q, k, v, _: attend(scaled(q, k).masked_fill(~keep, -math.inf), v))


def prefix_lm(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return masked(x, w, lambda i, j: j in range(max(i + 1, z["p"])))


def document(x: Tensor, number: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Each document on its own, as if nothing had been packed."""
    y = torch.zeros_like(x)
    for document in number.unique():
        here = (number == document).nonzero()[:, 0]
        y = y.index_copy(0, here, multihead(x[here], x[here], w, lambda q, k, v, _: attend(scaled(q, k), v)))
    return y


def sliding_window(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return masked(x, w, lambda i, j: j in range(i - z["w"] + 1, i + 1))


def dilated(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return masked(x, w, lambda i, j: j in [i + z["l"] * t for t in range(-z["w"], z["w"] + 1)])


def sparse_strided(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return masked(x, w, lambda i, j: j in {*range(max(0, i - z["l"]), i + 1), *range(i, -1, -z["l"])})


def sparse_fixed(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return masked(x, w, lambda i, j: j <= i and (j // z["l"] == i // z["l"] or j % z["l"] in range(z["l"] - z["p"], z["l"])))


def streaming_llm(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return masked(x, w, lambda i, j: j <= i and (j < z["p"] or i - j < z["w"]))


def learned_sink(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """A key more, whose score is the sink and whose value is 0."""

    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        s = scaled(q, k).masked_fill(~lower(len(x)), -math.inf)
        sink = w["learned_sink_core.normaliser.b"][i].expand(len(x), 1)
        return attend(torch.cat([s, sink], 1), torch.cat([v, torch.zeros_like(v[:1])]))

    return multihead(x, x, w, core)


def longformer(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Row by row: a global token reads all through the second projections, another its window and the global tokens."""
    local = [list(heads(x, w[f"W{t}"], w[f"W{t}.bias"])) for t in "qkv"]
    every = [list(heads(x, w[f"W{t}g"], w[f"W{t}g.bias"])) for t in "qkv"]
    rows = []
    for i in range(len(x)):
        seen = range(len(x)) if i < z["g"] else [j for j in range(len(x)) if j < z["g"] or abs(i - j) <= z["w"]]
        triples = zip(*(every if i < z["g"] else local), strict=True)
        rows.append(torch.cat([attend(scaled(q[i : i + 1], k[list(seen)]), v[list(seen)])[0] for q, k, v in triples]))
    return torch.stack(rows) @ flat(w["Wo"], 2) + w["Wo.bias"]


def axial(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def layer(line: Tensor, name: str) -> Tensor:
        own = {k.removeprefix(f"{name}."): v for k, v in w.items() if k.startswith(f"{name}.")}
        return multihead(line, line, own, lambda q, k, v, _: attend(scaled(q, k), v))

    rows = torch.stack([layer(row, "row") for row in x])
    return torch.stack([layer(rows[:, c], "column") for c in range(x.shape[1])], 1)


def block_local(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    return masked(x, w, lambda i, j: j <= i and j >= (i // z["r"] - 1) * z["r"])


def trials(*extra: Sizes) -> tuple[Sizes, ...]:
    return tuple({**LAYER[k % len(LAYER)], **more} for k, more in enumerate(extra))


def selective(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Leviathan, Kalman and Matias (2024), listing 1, entry by entry."""
    n = len(x)
    chosen: list[Tensor] = []

    def core(q: Tensor, k: Tensor, v: Tensor, i: int) -> Tensor:
        s = scaled(q, k)
        if i == 0:
            chosen.append(s)
        rows = []
        for row in range(n):
            forgotten = [sum((chosen[0][t, j].clamp(min=0) for t in range(j + 1, row)), s.new_zeros(())) if j else s.new_zeros(()) for j in range(row + 1)]
            rows.append(attend((s[row, : row + 1] - torch.stack(forgotten))[None], v[: row + 1]))
        return torch.cat(rows)

    return multihead(x, x, w, core)


CASES = {
    "causal_mha": Case(causal_mha, ("n d",), "d h", LAYER),
    "prefix_lm": Case(prefix_lm, ("n d",), "d h p", trials({"p": 2}, {"p": 3}, {"p": 4}, {"p": 1})),
    "document": Case(document, ("n d", "index(c) n"), "d h c", trials({"c": 2}, {"c": 1}, {"c": 3}, {"c": 5})),
    "sliding_window": Case(sliding_window, ("n d",), "d h w", trials({"w": 2}, {"w": 1}, {"w": 3}, {"w": 8})),
    "dilated": Case(dilated, ("n d",), "d h w l", trials({"w": 1, "l": 2}, {"w": 1, "l": 1}, {"w": 2, "l": 3}, {"w": 3, "l": 1})),
    "sparse_strided": Case(sparse_strided, ("n d",), "d h l", trials({"l": 2}, {"l": 1}, {"l": 3}, {"l": 4})),
    "sparse_fixed": Case(sparse_fixed, ("n d",), "d h l p", trials({"l": 2, "p": 1}, {"l": 1, "p": 1}, {"l": 3, "p": 2}, {"l": 4, "p": 3})),
    "streaming_llm": Case(streaming_llm, ("n d",), "d h w p", trials({"w": 2, "p": 1}, {"w": 1, "p": 1}, {"w": 2, "p": 3}, {"w": 5, "p": 1})),
    "learned_sink": Case(learned_sink, ("n d",), "d h", LAYER),
    "longformer": Case(longformer, ("n d",), "d h w g", trials({"w": 1, "g": 1}, {"w": 1, "g": 1}, {"w": 2, "g": 3}, {"w": 1, "g": 4})),
    "axial": Case(axial, ("n m d",), "d h", trials({"m": 3}, {"m": 2}, {"m": 1}, {"m": 4})),
    "block_local": Case(block_local, ("n d",), "d h r", trials({"n": 6, "r": 2}, {"r": 1}, {"n": 9, "r": 3}, {"n": 4, "r": 4})),
    "selective": Case(selective, ("n d",), "d h", LAYER),
}  # fmt: skip
