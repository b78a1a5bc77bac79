"""Attention between its projections: our diagrams of cores.anat and of the zoo, and all others we know of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from second_parties import E, core, find, fla
from timing import Bar, Contest, Run
from torch import Tensor
from torch.nn import functional

BATCH, HEADS = 4, 8
NAIVE = Bar(1 / 1.8, "at least 1.8 times faster")
BY_HAND = Bar(1.05, "at most 1.05 of its time")
OBVIOUS = Bar(1 / 3, "at least 3 times faster")
WINDOW = Bar(0.25, "at most 0.25 of its time")
LINEAR = Bar(0.12, "at most 0.12 of its time")
CAUSAL_LINEAR = Bar(0.25, "at most 0.25 of its time")
attend = functional.scaled_dot_product_attention
Case = tuple[Callable[[bool], Contest], tuple[bool, ...]]


def tensors(n: int, count: int = 3, batch: int = BATCH, gradient: bool = True, last: int = E) -> list[Tensor]:
    g = torch.Generator().manual_seed(0)
    return [torch.randn(batch, HEADS, n, last, generator=g).requires_grad_(gradient) for _ in range(count)]


def size(n: int, batch: int = BATCH, more: str = "") -> str:
    return f"b {batch}, h {HEADS}, n {n}, e {E}{more}"


def contest(name: str, n: int, gradient: bool, run: Run, batch: int = BATCH, more: str = "") -> Contest:
    return Contest(name, size(n, batch, more), tensors(n, 3, batch, gradient)).ours(run)


def scores(q: Tensor, k: Tensor) -> Tensor:
    return torch.einsum("bhne,bhme->bhnm", q, k) / math.sqrt(E)


def mixed(s: Tensor, v: Tensor) -> Tensor:
    return torch.einsum("bhnm,bhmf->bhnf", torch.softmax(s, -1), v)


def past(n: int) -> Tensor:
    return torch.ones(n, n, dtype=torch.bool).tril()


def near(n: int, w: int) -> Tensor:
    return past(n) & ~past(n).tril(-w)


def hidden(s: Tensor) -> Tensor:
    return s.masked_fill(~past(s.shape[-1]), float("-inf"))


def slopes() -> Tensor:
    return 2.0 ** (-8.0 * (torch.arange(HEADS) + 1) / HEADS)


def inductor(run: Run) -> Run:
    """What Inductor makes of code as it is written, with the patterns off that are wrong for attention."""
    torch._dynamo.reset()
    return torch.compile(run, options={"pattern_matcher": False}, dynamic=False)


def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return mixed(scores(q, k), v)


def causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return mixed(hidden(scores(q, k)), v)


def swapped(run: Run, *keep: int) -> Run:
    """A function of [b, n, h, ...] as one of [b, h, n, ...]; of several results the first."""

    def call(*xs: Tensor) -> Tensor:
        y = run(*(x.transpose(1, 2) for x in xs))
        return (y[0] if isinstance(y, tuple) else y).transpose(1, 2)

    return call


def softmax(n: int) -> Callable[[bool], Contest]:
    def make(gradient: bool) -> Contest:
        found = contest("softmax core", n, gradient, core("softmax_core"))
        found.against("einsum as written", lambda: plain, NAIVE if gradient and n == 512 else None)
        found.against("SDPA by hand", lambda: attend, BY_HAND)
        if gradient and n == 512:
            found.against("einsum through torch.compile, patterns off", lambda: inductor(plain), compiles=True)
        return found

    return make


def causal_softmax(n: int) -> Callable[[bool], Contest]:
    def make(gradient: bool) -> Contest:
        found = contest("causal core", n, gradient, core("causal_core"))
        found.against("einsum as written", lambda: causal, NAIVE if gradient and n == 512 else None)
        found.against("SDPA by hand", lambda: lambda q, k, v: attend(q, k, v, is_causal=True), BY_HAND)
        return found

    return make


def chunked(w: int) -> Run:
    """Windows as an expert writes them: every block of w queries looks at its own and the block before."""

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        b, h, n, e = q.shape
        c = n // w
        pair = [torch.cat((functional.pad(x, (0, 0, w, 0))[:, :, :n].unflatten(2, (c, w)), x.unflatten(2, (c, w))), 3) for x in (k, v)]
        i, j = torch.arange(w)[:, None], torch.arange(2 * w) - w
        seen = ((j <= i) & (i - j < w)) & ((torch.arange(c)[:, None, None] > 0) | (j >= 0))
        mask = seen.expand(b * h, c, w, 2 * w).flatten(0, 1)[:, None]
        y = attend(q.reshape(b * h * c, 1, w, e), pair[0].reshape(b * h * c, 1, 2 * w, e), pair[1].reshape(b * h * c, 1, 2 * w, e), attn_mask=mask)
        return y.view(b, h, n, e)

    return run


def flex_window(n: int, w: int) -> Run:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    def seen(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return (j <= i) & (i - j < w)

    mask = create_block_mask(seen, None, None, n, n, device="cpu")
    torch._dynamo.reset()
    run = torch.compile(flex_attention, dynamic=False)
    return lambda q, k, v: run(q, k, v, block_mask=mask)


def window(gradient: bool) -> Contest:
    n, w = 2048, 128
    found = contest("sliding window core", n, gradient, core("window_core", {"w": w}), 2, f", w {w}")
    found.against("SDPA with a mask", lambda: lambda q, k, v: attend(q, k, v, attn_mask=near(n, w)), WINDOW)
    found.against("blocks by hand, SDPA", lambda: chunked(w), BY_HAND)
    if not gradient:
        found.against("FlexAttention, compiled", lambda: flex_window(n, w), compiles=True, forward_only=True)
    return found


def local(gradient: bool) -> Contest:
    n, w = 2048, 128
    found = contest("sliding window core", n, gradient, core("window_core", {"w": w + 1}), 2, f", w {w + 1}")
    return found.against(
        "local-attention LocalAttention, exact window",
        lambda: find("local_attention", "LocalAttention")(window_size=w, causal=True, look_backward=1, look_forward=0, exact_windowsize=True, use_rotary_pos_emb=False),
    )


def block_local(gradient: bool) -> Contest:
    n, r = 2048, 128
    net = core("zoo:block_local::block_local_core")

    def ours(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return net(*(x.unflatten(2, (-1, r)) for x in (q, k, v))).flatten(2, 3)

    found = contest("block_local core", n, gradient, ours, 2, f", blocks of {r}")
    return found.against(
        "local-attention LocalAttention",
        lambda: find("local_attention", "LocalAttention")(window_size=r, causal=True, look_backward=1, look_forward=0, use_rotary_pos_emb=False),
    )


def features(x: Tensor) -> Tensor:
    return functional.elu(x) + 1


def quadratic(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a = torch.einsum("bhnr,bhmr->bhnm", features(q), features(k))
    return torch.einsum("bhnm,bhmf->bhnf", a / a.sum(-1, keepdim=True), v)


def causal_quadratic(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a = torch.einsum("bhnr,bhmr->bhnm", features(q), features(k)) * past(q.shape[-2])
    return torch.einsum("bhnm,bhmf->bhnf", a / a.sum(-1, keepdim=True), v)


def linear(gradient: bool) -> Contest:
    found = contest("linear core", 2048, gradient, core("zoo:linear::linear_core"), 2)
    found.against("its quadratic form", lambda: quadratic, LINEAR)
    attention = "performer_pytorch.performer_pytorch"
    return found.against("performer-pytorch linear_attention", lambda: lambda q, k, v: find(attention, "linear_attention")(features(q), features(k), v))


def causal_linear(gradient: bool) -> Contest:
    found = contest("causal_linear core", 2048, gradient, core("zoo:causal_linear::causal_linear_core"), 1)
    found.against("its quadratic form", lambda: causal_quadratic, CAUSAL_LINEAR)
    attention = "performer_pytorch.performer_pytorch"
    found.against("performer-pytorch causal_linear_attention_noncuda", lambda: lambda q, k, v: find(attention, "causal_linear_attention_noncuda")(features(q), features(k), v))

    def of_fla(name: str) -> Run:
        run = fla("linear_attn", name)
        return swapped(lambda q, k, v: run(features(q), features(k), v, normalize=True))

    found.against("fla naive, chunks", lambda: of_fla("naive_chunk_linear_attn"))
    return found.against("fla naive, steps", lambda: of_fla("naive_recurrent_linear_attn"))


def alibi(gradient: bool) -> Contest:
    n = 1024
    bias = slopes()[:, None, None] * (torch.arange(n)[None, :] - torch.arange(n)[:, None])

    def by_hand(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        more = (slopes()[:, None] * torch.arange(n) * math.sqrt(E))[None, :, :, None].expand(len(q), -1, -1, -1)
        y = attend(functional.pad(q, (0, 1), value=1.0), torch.cat((k, more), -1), functional.pad(v, (0, 1)), is_causal=True, scale=1 / math.sqrt(E))
        return y[..., :E]

    found = contest("causal ALiBi core", n, gradient, core("alibi_core", {"h": HEADS}, ("b",)))
    found.against("as written", lambda: lambda q, k, v: mixed(hidden(scores(q, k) + bias), v), None if gradient else OBVIOUS)
    found.against("SDPA with the biases", lambda: lambda q, k, v: attend(q, k, v, attn_mask=bias.masked_fill(~past(n), float("-inf"))))
    return found.against("a feature more by hand, SDPA", lambda: by_hand, BY_HAND)


def l2(gradient: bool) -> Contest:
    def as_written(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return mixed(-torch.cdist(q, k).square() / math.sqrt(E), v)

    def by_hand(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        k = torch.cat((k, -0.5 * k.square().sum(-1, keepdim=True)), -1)
        return attend(functional.pad(q, (0, 1), value=1.0), k, functional.pad(v, (0, 1)), scale=2 / math.sqrt(E))[..., :E]

    found = contest("L2 core", 1024, gradient, core("l2_core"))
    found.against("as written, cdist", lambda: as_written, None if gradient else OBVIOUS)
    return found.against("a feature more by hand, SDPA", lambda: by_hand, BY_HAND)


def sink(gradient: bool) -> Contest:
    net = core("sink_core", {"h": HEADS}, ("b",))
    weight = net.sink.detach().clone().requires_grad_(gradient)

    def as_written(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        s = hidden(scores(q, k))
        s = torch.cat((s, weight[None, :, None, None].expand(*s.shape[:-1], 1)), -1)
        return torch.einsum("bhnm,bhmf->bhnf", torch.softmax(s, -1)[..., :-1], v)

    def by_hand(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        first = functional.pad((weight * math.sqrt(E))[None, :, None, None].expand(len(q), -1, 1, 1), (E, 0))
        k = torch.cat((first, functional.pad(k, (0, 1))), -2)
        q = functional.pad(functional.pad(q, (0, 1), value=1.0), (0, 0, 1, 0))
        return attend(q, k, functional.pad(v, (0, 1, 1, 0)), is_causal=True, scale=1 / math.sqrt(E))[..., 1:, :E]

    found = contest("causal core with a sink", 1024, gradient, net)
    found.against("as written, a column more", lambda: as_written, None if gradient else OBVIOUS)
    return found.against("a key more by hand, SDPA", lambda: by_hand, BY_HAND)


def softcap(gradient: bool) -> Contest:
    def as_written(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return mixed(hidden(50 * torch.tanh(scores(q, k) / 50)), v)

    found = contest("causal core with a softcap", 1024, gradient, core("softcap_core"), 2)
    found.against("as written", lambda: as_written)
    return found.against("as written through torch.compile, patterns off", lambda: inductor(as_written), compiles=True)


def performer(gradient: bool) -> Contest:
    net = core("zoo:performer::performer_core", {"c": 4, "a": E})
    weights = dict(net.named_buffers()) | dict(net.named_parameters())
    weights |= net.state_dict()
    q, g = weights["phi_k.Q"], weights["phi_k.G"]
    matrix = (q * g.norm(dim=1, keepdim=True)).transpose(1, 2).flatten(0, 1)

    def theirs() -> Run:
        party = find("performer_pytorch", "FastAttention")(dim_heads=E, nb_features=len(matrix))
        party.projection_matrix.copy_(matrix)
        return party

    found = contest("performer core", 2048, gradient, net, 2, f", {len(matrix)} features")
    return found.against("performer-pytorch FastAttention", theirs, same=False)  # an eps of 1e-4 in their features


def cases() -> Iterator[Case]:
    both = (False, True)
    yield softmax(512), both
    yield softmax(1024), (False,)
    yield causal_softmax(512), both
    yield causal_softmax(1024), (False,)
    for make in (window, local, block_local, linear, causal_linear, alibi, l2, sink, softcap, performer):
        yield make, both
