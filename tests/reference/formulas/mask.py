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
        sink = w["sink"][i].expand(len(x), 1)
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


def bigbird(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    drawn = [sorted(range(z["c"]), key=lambda a, row=row: -row[a].item())[: z["t"]] for row in w["bigbird_core.mask.R"]]

    def reads(i: int, j: int) -> bool:
        c, a = i // z["r"], j // z["r"]
        return min(c, a) < z["g"] or abs(c - a) <= z["w"] or a in drawn[c]

    return masked(x, w, reads)


def moba(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def core(q: Tensor, k: Tensor, v: Tensor, _: int) -> Tensor:
        rows = []
        for i in range(len(x)):
            gate = {b: (q[i] @ k[b * z["r"] : (b + 1) * z["r"]].mean(0)).item() for b in range(i // z["r"])}
            open = [*sorted(gate, key=lambda b, gate=gate: -gate[b])[: z["t"]], i // z["r"]]
            seen = [j for j in range(i + 1) if j // z["r"] in open]
            rows.append(attend(scaled(q[i : i + 1], k[seen]), v[seen])[0])
        return torch.stack(rows)

    return multihead(x, x, w, core)


def indexer(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    q, k, share = (x @ w["Qi"].flatten(1)).unflatten(1, w["Qi"].shape[1:]), x @ w["Ki"], x @ w["Wi"]
    best = []
    for i in range(len(x)):
        score = [sum((share[i, j] * (q[i, j] @ k[m]).clamp(min=0)).item() for j in range(z["j"])) for m in range(i + 1)]
        best.append(sorted(range(i + 1), key=lambda m, score=score: (-score[m], m))[: z["t"]])
    return masked(x, w, lambda i, j: j in best[i])


def reformer(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def core(q: Tensor, v: Tensor) -> Tensor:
        bucket = torch.cat([q @ w["bucket.R"], -q @ w["bucket.R"]], 1).argmax(1).tolist()
        order = sorted(range(len(x)), key=lambda i: (bucket[i], i))
        rows = {}
        for place, i in enumerate(order):
            start = place // z["r"] * z["r"]
            near = [j for j in order[max(0, start - z["r"]) : start + z["r"]] if bucket[j] == bucket[i]]
            s = [q[i] @ q[j] / q[j].norm() / math.sqrt(len(q[i])) if j != i else q.new_tensor(-1e5) for j in near]
            rows[i] = attend(torch.stack(s)[None], v[near])[0]
        return torch.stack([rows[i] for i in range(len(x))])

    pairs = zip(heads(x, w["Wq"]), heads(x, w["Wv"]), strict=True)
    return torch.cat([core(q, v) for q, v in pairs], 1) @ flat(w["Wo"], 2)


def routing(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    def core(q: Tensor, k: Tensor, v: Tensor, h: int) -> Tensor:
        q, k = torch.nn.functional.layer_norm(q, q.shape[1:]), torch.nn.functional.layer_norm(k, k.shape[1:])
        got: list[list[Tensor]] = [[] for _ in x]
        for centre in w["M"][h]:
            asks, answers = (sorted(range(len(x)), key=lambda i, t=t: (-(t[i] @ centre).item(), i))[: z["t"]] for t in (q, k))
            for i, y in zip(asks, attend(scaled(q[asks], k[answers]), v[answers]), strict=True):
                got[i].append(y)
        return torch.stack([sum(ys) / len(ys) if ys else torch.zeros_like(v[0]) for ys in got])

    return multihead(x, x, w, core)


def sinkhorn_sort(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    blocks = x.unflatten(0, (z["c"], z["r"])).sum(1)
    inner = (blocks @ w["P"] + w["P.bias"]).clamp(min=0)

    def core(q: Tensor, k: Tensor, v: Tensor, h: int) -> Tensor:
        s = (inner @ w["B"][:, h] + w["B.bias"][h]).clamp(min=0).exp()  # from key block to place
        for _ in range(5):
            s = s / s.sum(1, keepdim=True)
            s = s / s.sum(0, keepdim=True)
        qs, ks, vs = (t.split(z["r"]) for t in (q, k, v))
        ys = []
        for c in range(z["c"]):
            far = [sum(s[a, c] * t[a] for a in range(z["c"])) for t in (ks, vs)]
            ys.append(attend(scaled(qs[c], ks[c]), vs[c]) + attend(scaled(qs[c], far[0]), far[1]))
        return torch.cat(ys)

    return multihead(x, x, w, core)


def nsa(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    r, blocks = z["r"], z["n"] // z["r"]

    def compress(t: Tensor, name: str) -> Tensor:
        rows = []
        for block in t.split(r):
            hidden = ((block + w[f"{name}.P"]).flatten() @ flat(w[f"{name}.C1"], 2) + w[f"{name}.C1.bias"]).clamp(min=0)
            rows.append(hidden @ w[f"{name}.C2"] + w[f"{name}.C2.bias"])
        return torch.stack(rows)

    keys = [[x @ w[f"W{t}{b}"][:, g] for t in "kv" for b in "csw"] for g in range(z["g"])]
    y = []
    for i in range(len(x)):
        own, row = i // r, []
        for g in range(z["g"]):
            kc, ks, kw, vc, vs, vw = keys[g]
            kc, vc = compress(kc, "key"), compress(vc, "value")
            q = [x[i] @ w["Wq"][:, g, j] for j in range(z["j"])]
            past = [b for b in range(blocks) if (b + 1) * r <= i + 1]
            p = [torch.softmax(kc[past] @ a / math.sqrt(len(a)), 0) for a in q]
            worth = {b: sum(t[b].item() for t in p) if b in past else 0.0 for b in range(blocks)}
            first = sorted({0, own, max(own - 1, 0)})
            rest = sorted((b for b in range(own + 1) if b not in first), key=lambda b, worth=worth: -worth[b])
            seen = [j for j in range(i + 1) if j // r in (first + rest)[: z["t"]]]
            near = list(range(max(0, i - z["w"] + 1), i + 1))
            for j, a in enumerate(q):
                one = a[None]
                parts = {"Gc": p[j] @ vc[past], "Gs": attend(scaled(one, ks[seen]), vs[seen])[0], "Gw": attend(scaled(one, kw[near]), vw[near])[0]}
                gates = {n: torch.sigmoid(x[i] @ w[f"{n}.G"][:, g, j] + w[f"{n}.G.bias"][g, j]) for n in parts}
                row.append(sum(gates[n] * parts[n] for n in parts))
        y.append(torch.cat(row))
    return torch.stack(y) @ flat(w["Wo"], 3)


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
    "bigbird": Case(
        bigbird, ("n d",), "d h r c w g t",
        trials(
            {"n": 10, "r": 2, "c": 5, "w": 1, "g": 1, "t": 1}, {"n": 1, "r": 1, "c": 1, "w": 1, "g": 1, "t": 1},
            {"n": 7, "r": 1, "c": 7, "w": 1, "g": 1, "t": 2}, {"n": 12, "r": 3, "c": 4, "w": 1, "g": 1, "t": 1},
        ),
    ),
    "moba": Case(moba, ("n d",), "d h r t", trials({"n": 8, "r": 2, "t": 2}, {"r": 1, "t": 1}, {"n": 9, "r": 3, "t": 1}, {"n": 5, "r": 1, "t": 2})),
    "indexer": Case(
        indexer, ("n d",), "d h j a t",
        trials({"j": 2, "a": 3, "t": 2}, {"j": 1, "a": 1, "t": 1}, {"j": 3, "a": 2, "t": 4}, {"j": 2, "a": 1, "t": 3}),
    ),
    "reformer": Case(
        reformer, ("n d",), "d h r u",
        trials({"n": 6, "r": 2, "u": 1}, {"r": 1, "u": 1}, {"n": 9, "r": 3, "u": 2}, {"n": 8, "r": 4, "u": 3}),
    ),
    "routing": Case(routing, ("n d",), "d h c t", trials({"c": 2, "t": 3}, {"c": 1, "t": 1}, {"c": 3, "t": 2}, {"c": 2, "t": 2})),
    "sinkhorn_sort": Case(
        sinkhorn_sort, ("n d",), "d h r c",
        trials({"n": 6, "r": 2, "c": 3}, {"r": 1, "c": 1}, {"n": 9, "r": 3, "c": 3}, {"n": 4, "r": 1, "c": 4}),
    ),
    "nsa": Case(
        nsa, ("n d",), "d g j r t w",
        (
            {"n": 10, "d": 8, "g": 2, "j": 2, "e": 2, "r": 2, "t": 4, "w": 3}, {"n": 3, "d": 3, "g": 1, "j": 1, "e": 3, "r": 1, "t": 3, "w": 1},
            {"n": 12, "d": 3, "g": 1, "j": 3, "e": 1, "r": 2, "t": 4, "w": 2}, {"n": 15, "d": 6, "g": 2, "j": 1, "e": 3, "r": 3, "t": 3, "w": 20},
        ),
    ),
}  # fmt: skip
