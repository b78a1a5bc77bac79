"""Formulas of `zoo/recurrent/`, each from its paper: step by step, head by head, states as the papers write them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from formulas.common import LAYER, Case, Sizes, Weights, heads, lower

Step = Callable[[Tensor, int], Tensor]


def monotonic(t: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Raffel and others (2017), equation 9, entry by entry; alpha_0 is at the first entry of the memory."""
    direction = w["score.v"] / torch.linalg.vector_norm(w["score.v"])
    alpha = [torch.ones((), dtype=x.dtype), *x.new_zeros(len(x) - 1)]
    rows = []
    for s in t:
        e = torch.tanh(s @ w["W"] + w["W.bias"] + x @ w["V"]) @ direction
        p = 1 / (1 + torch.exp(-(w["score.g"] * e + w["score.r"])))
        row: list[Tensor] = []
        for j in range(len(x)):
            left = (1 - p[j - 1]) * row[j - 1] / p[j - 1] if j else 0
            row.append(p[j] * (left + alpha[j]))
        alpha = row
        rows.append(sum(a * h for a, h in zip(row, x, strict=True)))
    return torch.stack(rows)


PAIR = ({"n": 3, "m": 5, "d": 2, "c": 7, "a": 3}, {"n": 1, "m": 1, "d": 1, "c": 1, "a": 1}, {"n": 5, "m": 3, "d": 3, "c": 1, "a": 5})

def mocha(t: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Chiu and Raffel (2018), equation 13: beta_ij, a sum over the ends of chunks, entry by entry."""
    direction = w["score.v"] / torch.linalg.vector_norm(w["score.v"])
    alpha = [torch.ones((), dtype=x.dtype), *x.new_zeros(len(x) - 1)]
    rows = []
    for s in t:
        e = torch.tanh(s @ w["W"] + w["W.bias"] + x @ w["V"]) @ direction
        p = 1 / (1 + torch.exp(-(w["score.g"] * e + w["score.r0"])))
        u = torch.exp(torch.tanh(s @ w["Wc"] + w["Wc.bias"] + x @ w["Vc"]) @ w["chunk.v"])
        alpha = [p[j] * sum(alpha[k] * torch.prod(1 - p[k:j]) for k in range(j + 1)) for j in range(len(x))]
        row = torch.zeros_like(x[0])
        for j in range(len(x)):
            beta = sum(alpha[k] * u[j] / u[max(0, k - z["r"] + 1) : k + 1].sum() for k in range(j, min(len(x), j + z["r"])))
            row = row + beta * x[j]
        rows.append(row)
    return torch.stack(rows)


def graves_window(t: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Graves (2013), equations 46 to 51, window by window; characters are counted from 1."""
    kappa = x.new_zeros(z["p"])
    rows = []
    for h in t:
        alpha, beta, step = (torch.exp(h @ w[k] + w[f"{k}.bias"]) for k in ("Wa", "Wb", "Wk"))
        kappa = kappa + step
        rows.append(sum((alpha[k] * torch.exp(-beta[k] * (kappa[k] - u) ** 2) * c for u, c in enumerate(x, 1) for k in range(z["p"])), torch.zeros_like(x[0])))
    return torch.stack(rows)


def location_sensitive(t: Tensor, x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Chorowski and others (2015), equations 5 to 9; the filters are correlated with the last alignment, padded by zeros."""
    alpha = x.new_zeros(len(x))
    rows = []
    for s in t:
        padded = torch.cat([x.new_zeros(z["j"] // 2), alpha, x.new_zeros(z["j"])])
        e = []
        for j, h in enumerate(x):
            f = padded[j : j + z["j"]] @ w["F"]
            e.append(torch.tanh(s @ w["W"] + w["W.bias"] + h @ w["V"] + f @ w["score.U"]) @ w["score.u"])
        alpha = torch.stack(e).softmax(0)
        rows.append(sum(a * h for a, h in zip(alpha, x, strict=True)))
    return torch.stack(rows)


def linear_recurrent(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Katharopoulos and others (2020), equations 18 to 20."""

    def phi(t: Tensor) -> Tensor:
        return torch.nn.functional.elu(t) + 1

    out = []
    for i, (q, k, v) in enumerate(qkv(x, w)):
        s, total, y = x.new_zeros(z["e"], z["e"]), x.new_zeros(z["e"]), torch.zeros_like(x)
        for n in range(len(x)):
            s = s + torch.outer(phi(k[n]), v[n])
            total = total + phi(k[n])
            y[n] = (phi(q[n]) @ s / (phi(q[n]) @ total)) @ w["Wo"][i]
        out.append(y)
    return torch.stack(out).sum(0) + w["Wo.bias"]


def qkv(x: Tensor, w: Weights) -> list[tuple[Tensor, ...]]:
    return list(zip(*(heads(x, w[k], w.get(f"{k}.bias")) for k in ("Wq", "Wk", "Wv")), strict=True))


def unroll(step: Step, start: Tensor, count: int) -> Tensor:
    """The states after each step."""
    states = []
    for n in range(count):
        start = step(start, n)
        states.append(start)
    return torch.stack(states)


def layer_norm(y: Tensor) -> Tensor:
    y = y - y.mean(-1, keepdim=True)
    return y / torch.sqrt((y * y).mean(-1, keepdim=True) + 1e-5)


def rms(y: Tensor) -> Tensor:
    return y / torch.sqrt((y * y).mean(-1, keepdim=True) + 1e-5)


def unit(y: Tensor) -> Tensor:
    return y / torch.sqrt((y * y).sum(-1, keepdim=True) + 1e-6)


def swish(y: Tensor) -> Tensor:
    return y / (1 + torch.exp(-y))


def logistic(y: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-y))


def soft(y: Tensor) -> Tensor:
    return torch.log1p(torch.exp(y))


def conv(x: Tensor, taps: Tensor) -> Tensor:
    """Channel by channel, the last tap on the token itself, zeros before the first token."""
    return torch.stack([sum((taps[-1 - j] * x[n - j] for j in range(min(len(taps), n + 1))), torch.zeros_like(x[0])) for n in range(len(x))])


def out(parts: list[Tensor], w: Weights) -> Tensor:
    y = sum(p @ w["Wo"][i] for i, p in enumerate(parts))
    assert isinstance(y, Tensor)
    return y + w["Wo.bias"] if "Wo.bias" in w else y


def retention(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Sun and others (2023), equations 3 to 8: complex numbers turn, a double sum decays."""
    theta = 10000.0 ** (-2 * torch.arange(z["e"] // 2, dtype=x.dtype) / z["e"])

    def complexes(t: Tensor, n: int) -> Tensor:
        return torch.view_as_complex(t.reshape(-1, 2)) * torch.exp(1j * n * theta)

    parts = []
    for i, ((q, k, v), g) in enumerate(zip(qkv(x, w), heads(x, w["Wg"]), strict=True)):
        gamma = 1 - 2.0 ** (-5 - i)
        rows = []
        for n in range(len(x)):
            scores = [(complexes(q[n], n) @ complexes(k[m], m).conj()).real * gamma ** (n - m) for m in range(n + 1)]
            rows.append(sum(s * v[m] for m, s in enumerate(scores)))
        parts.append(swish(g) * layer_norm(torch.stack(rows)))
    return out(parts, w)


def lightning(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Qin and others (2024), in its quadratic form."""
    parts = []
    for i, (q, k, v) in enumerate(qkv(x, w), 1):
        n = torch.arange(len(x), dtype=x.dtype)
        mask = math.exp(-8 * i / z["h"]) ** (n[:, None] - n).clamp_min(0) * lower(len(x))
        parts.append((swish(q) @ swish(k).T * mask) @ v)
    y = rms(torch.cat(parts, 1)) * (x @ w["Wu"].flatten(1))
    return y @ w["Wo"].flatten(0, 1)


def rwkv(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Peng and others (2023), equations 11 to 16: the sums over all earlier tokens, anew for each token."""
    before = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
    r, k, v = ((w[f"mix_{c}.mu"] * x + (1 - w[f"mix_{c}.mu"]) * before) @ w[f"W{c}"] for c in "rkv")
    rows = []
    for t in range(len(x)):
        a = torch.stack([torch.exp(-(t - 1 - i) * torch.exp(w["w"]) + k[i]) for i in range(t)] + [torch.exp(w["u"] + k[t])])
        rows.append((a * v[: t + 1]).sum(0) / a.sum(0))
    return (logistic(r) * torch.stack(rows)) @ w["Wo"]


def gla(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Yang and others (2023), equation 4 and section 4.4."""
    low = x @ w["forget.W1"] @ w["forget.W2"].flatten(1) + w["forget.W2.bias"].flatten()
    alpha = logistic(low).view(len(x), z["h"], z["e"]) ** (1 / 16)
    parts = []
    for i, ((q, k, v), g) in enumerate(zip(qkv(x, w), heads(x, w["Wr"], w["Wr.bias"]), strict=True)):
        s = unroll(lambda s, n, i=i, k=k, v=v: torch.diag(alpha[n, i]) @ s + torch.outer(k[n], v[n]), x.new_zeros(z["e"], z["e"]), len(x))
        parts.append(swish(g) * layer_norm(torch.stack([q[n] @ s[n] for n in range(len(x))])))
    return out(parts, w)


def mamba(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Gu and Dao (2023), algorithm 2 and equation 4, channel by channel."""
    u = swish(conv(x @ w["Wx"], w["convolution.w"]) + w["convolution.b"])
    delta = soft(u @ w["Wr"] @ w["Wt"] + w["Wt.bias"])
    b, c = u @ w["WB"], u @ w["WC"]
    y = torch.zeros_like(u)
    for e in range(u.shape[1]):
        a = -torch.exp(w["A"][e])
        h = x.new_zeros(z["a"])
        for t in range(len(x)):
            da = delta[t, e] * a
            h = torch.exp(da) * h + torch.expm1(da) / da * delta[t, e] * b[t] * u[t, e]
            y[t, e] = c[t] @ h + w["D"][e] * u[t, e]
    return (y * swish(x @ w["Wz"])) @ w["Wo"]


def ssd(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Dao and Gu (2024), listing of the Mamba-2 block, with the state h_t = a_t h_(t-1) + B_t (Delta_t x_t)^T."""
    u, b, c = (swish(conv(x @ w[f"W{k}"], w[f"conv_{k.lower()}.w"]) + w[f"conv_{k.lower()}.b"]) for k in "xBC")
    delta = soft(x @ w["Wt"] + w["Wt.bias"])
    parts = []
    for i, head in enumerate(u.view(len(x), z["h"], -1).unbind(1)):
        a = torch.exp(-torch.exp(w["A"][i]) * delta[:, i])
        s = unroll(lambda s, t, i=i, a=a, head=head: a[t] * s + torch.outer(b[t], delta[t, i] * head[t]), x.new_zeros(z["a"], z["e"]), len(x))
        parts.append(torch.stack([c[t] @ s[t] + w["D"][i] * head[t] for t in range(len(x))]))
    return rms(torch.cat(parts, 1) * swish(x @ w["Wz"])) @ w["Wo"]


def convolved(x: Tensor, w: Weights) -> list[tuple[Tensor, ...]]:
    """q, k, v of each head, convolved and bent; q and k of length 1."""
    rows = []
    for c in "qkv":
        rows.append([swish(conv(t, taps)) for t, taps in zip(heads(x, w[f"W{c}"]), w[f"conv_{c}.w"].unbind(1), strict=True)])
    return [(unit(q), unit(k), v) for q, k, v in zip(*rows, strict=True)]


def delta_states(k: Tensor, v: Tensor, beta: Tensor, alpha: Tensor) -> Tensor:
    """S_t [f, e] = S_(t-1) Diag(alpha_t) (I - beta_t k_t k_t^T) + beta_t v_t k_t^T."""
    one = torch.eye(k.shape[1], dtype=k.dtype)

    def step(s: Tensor, t: int) -> Tensor:
        return s @ torch.diag(alpha[t]) @ (one - beta[t] * torch.outer(k[t], k[t])) + beta[t] * torch.outer(v[t], k[t])

    return unroll(step, k.new_zeros(v.shape[1], k.shape[1]), len(k))


def delta_rule(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Yang and others (2024), equation 1 and the DeltaNet block."""
    parts = []
    for i, (q, k, v) in enumerate(convolved(x, w)):
        s = delta_states(k, v, logistic(x @ w["Wb"][:, i]), torch.ones_like(k))
        parts.append(rms(torch.stack([s[t] @ q[t] for t in range(len(x))])))
    return out(parts, w)


def gated_delta(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Yang, Kautz and Hatamizadeh (2024), equation 10."""
    parts = []
    for i, ((q, k, v), g) in enumerate(zip(convolved(x, w), heads(x, w["Wg"]), strict=True)):
        alpha = torch.exp(-torch.exp(w["forget.A"][i]) * soft(x @ w["forget.Wa"][:, i] + w["forget.Wa.bias"][i]))
        s = delta_states(k, v, logistic(x @ w["Wb"][:, i]), alpha[:, None].expand_as(k))
        parts.append(swish(g) * rms(torch.stack([s[t] @ q[t] for t in range(len(x))])))
    return out(parts, w)


def kda(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Kimi Team (2025), equation 1 and its transpose, S_t [f, e]."""
    parts = []
    for i, (q, k, v) in enumerate(convolved(x, w)):
        low = x @ w["forget.Down"] @ w["forget.Up"][:, i] + w["forget.Up.bias"][i]
        alpha = torch.exp(-torch.exp(w["forget.A"][i]) * soft(low))
        s = delta_states(k, v, logistic(x @ w["Wb"][:, i]), alpha)
        g = x @ w["Wdown"] @ w["Wup"][:, i]
        parts.append(logistic(g) * rms(torch.stack([s[t] @ q[t] for t in range(len(x))])))
    return out(parts, w)


def hgrn2(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Qin and others (2024), the recurrence of section 3 with the lower bound of HGRN."""
    asks, inputs, forgets = (heads(x, w[k], w[f"{k}.bias"]) for k in ("Wq", "Wv", "forget.Wf"))
    parts = []
    for i, (o, v, f) in enumerate(zip(asks, inputs, forgets, strict=True)):
        least = logistic(w["forget.bound"][i])
        f = least + (1 - least) * logistic(f)
        s = unroll(lambda s, t, f=f, v=v: torch.diag(f[t]) @ s + torch.outer(1 - f[t], swish(v[t])), x.new_zeros(z["e"], z["e"]), len(x))
        parts.append(torch.stack([s[t].T @ logistic(o[t]) for t in range(len(x))]))
    return layer_norm(torch.cat(parts, 1)) @ w["Wo"].flatten(0, 1) + w["Wo.bias"]


def abc(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Peng and others (2021), equations 4, 7 and 8: the memory of each prefix, made anew."""
    parts = []
    for i, (q, k, v) in enumerate(qkv(x, w)):
        rows = []
        for t in range(len(x)):
            phi = (x[: t + 1] @ w["Wa"][:, i]).softmax(0)
            rows.append(torch.softmax(phi.T @ k[: t + 1] @ q[t] / math.sqrt(z["e"]), 0) @ (phi.T @ v[: t + 1]))
        parts.append(torch.stack(rows))
    return out(parts, w)


def gsa(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Zhang and others (2024), equations 6 to 8, slot by slot."""
    parts = []
    for i, (q, k, v) in enumerate(qkv(x, w)):
        alpha = logistic(x @ w["forget.Wa"][:, i]) ** (1 / 8)
        slots = []
        for p in range(z["p"]):
            pair = torch.cat([swish(k), swish(v)], 1)
            slots.append(unroll(lambda s, t, p=p, a=alpha, pair=pair: a[t, p] * s + (1 - a[t, p]) * pair[t], torch.zeros_like(pair[0]), len(x)))
        memory = torch.stack(slots, 1)
        weights = [torch.softmax(memory[t, :, : z["e"]] @ swish(q[t]), 0) for t in range(len(x))]
        parts.append(torch.stack([a @ memory[t, :, z["e"] :] for t, a in enumerate(weights)]))
    return rms(swish(torch.cat(parts, 1))) @ w["Wo"].flatten(0, 1)


def titans(x: Tensor, w: Weights, z: Sizes) -> Tensor:
    """Behrouz and others (2025), equations 12 to 15; the surprise is a gradient, taken by autograd."""
    parts = []
    for i, (q, k, v) in enumerate(qkv(x, w)):
        alpha, eta, theta = (logistic(x @ w[c][:, i] + w[f"{c}.bias"][i]) for c in ("Wa", "Wn", "Wt"))
        memory = s = (0 * w["Wq"].sum()).expand(z["e"], z["e"])
        rows = []
        for t in range(len(x)):
            loss = (memory @ unit(swish(k[t])) - swish(v[t])).square().sum()
            (surprise,) = torch.autograd.grad(loss, memory, create_graph=True)
            s = eta[t] * s - theta[t] * surprise
            memory = (1 - alpha[t]) * memory + s
            rows.append(memory @ unit(swish(q[t])))
        parts.append(torch.stack(rows))
    return out(parts, w)


def sized(**more: tuple[int, ...]) -> tuple[Sizes, ...]:
    return tuple({**s, **{a: t[i] for a, t in more.items()}} for i, s in enumerate(LAYER))


EVEN = ({"n": 5, "h": 3, "e": 2, "d": 6}, {"n": 1, "h": 1, "e": 4, "d": 4}, {"n": 7, "h": 2, "e": 6, "d": 12})
CHANNELS = ({"n": 5, "d": 3, "a": 2, "r": 1, "j": 4}, {"n": 1, "d": 1, "a": 3, "r": 2, "j": 1}, {"n": 7, "d": 5, "a": 1, "r": 3, "j": 3})
DUAL = ({"n": 5, "d": 4, "h": 2, "e": 4, "a": 2, "j": 4}, {"n": 1, "d": 1, "h": 1, "e": 2, "a": 3, "j": 1}, {"n": 7, "d": 5, "h": 5, "e": 2, "a": 1, "j": 3})
CASES: dict[str, Case] = {
    "monotonic": Case(monotonic, ("n d", "m c"), "d c a", PAIR),
    "mocha": Case(mocha, ("n d", "m c"), "d c a r", tuple({**s, "r": r} for s, r in zip(PAIR, (3, 1, 2), strict=True))),
    "graves_window": Case(graves_window, ("n d", "m c"), "d p", tuple({**s, "p": p} for s, p in zip(PAIR, (3, 1, 2), strict=True))),
    "location_sensitive": Case(location_sensitive, ("n d", "m c"), "d c a p j", tuple({**s, "p": p, "j": j} for s, p, j in zip(PAIR, (3, 1, 2), (3, 1, 4), strict=True))),
    "linear_recurrent": Case(linear_recurrent, ("n d",), "d h", LAYER),
    "retention": Case(retention, ("n d",), "d h", EVEN),
    "retention_recurrent": Case(retention, ("n d",), "d h", EVEN),
    "lightning": Case(lightning, ("n d",), "d h", LAYER),
    "rwkv": Case(rwkv, ("n d",), "d", LAYER),
    "gla": Case(gla, ("n d",), "d h r", sized(r=(2, 1, 3, 4))),
    "mamba": Case(mamba, ("n d",), "d a r j", CHANNELS),
    "ssd": Case(ssd, ("n d",), "d h a j", DUAL),
    "ssd_dual": Case(ssd, ("n d",), "d h a j", DUAL),
    "delta_rule": Case(delta_rule, ("n d",), "d h j", sized(j=(4, 3, 1, 2))),
    "gated_delta": Case(gated_delta, ("n d",), "d h j", sized(j=(4, 3, 1, 2))),
    "kda": Case(kda, ("n d",), "d h r j", sized(r=(2, 1, 3, 4), j=(4, 3, 1, 2))),
    "hgrn2": Case(hgrn2, ("n d",), "d h", LAYER),
    "abc": Case(abc, ("n d",), "d h p", sized(p=(3, 1, 2, 5))),
    "gsa": Case(gsa, ("n d",), "d h p", sized(p=(3, 1, 2, 5))),
    "titans": Case(titans, ("n d",), "d h", LAYER),
}  # fmt: skip
