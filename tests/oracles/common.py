"""Running one diagram of the zoo and another party's module on the same weights and inputs."""

from __future__ import annotations

import fnmatch
import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import anatomy
from anatomy.ir.graph import Diagram

from .table import distribution

torch.set_num_threads(1)
BATCH = 2
DOUBLE = 1e-11
SINGLE = 2e-5  # a library that computes in float32 somewhere inside
Weights = dict[str, Tensor]
SHY = {"fla": "ops/**", "openspeech": "modules"}  # want Triton and a GPU; PyTorch Lightning


def find(path: str) -> Any:
    """What stands at a dotted path, or skip the test when its package is not installed."""
    head, _, rest = path.partition(".")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if importlib.util.find_spec(head) is None:
                raise ModuleNotFoundError(head)
            if head in SHY:
                open_quietly(head)
            module, rest = deepest(head, rest)
    except ImportError as error:
        pytest.skip(f"{distribution(path)} is not installed ({error}); `make oracles` installs it")
    for part in filter(None, rest.split(".")):
        module = getattr(module, part)
    return module


def deepest(head: str, rest: str) -> tuple[ModuleType, str]:
    """The longest prefix of a path that is a module, and what is left of the path."""
    module = importlib.import_module(head)
    while rest:
        part, _, after = rest.partition(".")
        name = f"{module.__name__}.{part}"
        if not hasattr(module, "__path__") or importlib.util.find_spec(name) is None:
            break
        module, rest = importlib.import_module(name), after
    return module, rest


def open_quietly(head: str) -> None:
    """Let the plain files of a package be imported although the `__init__` of each of its folders needs more than is here."""
    spec = importlib.util.find_spec(head)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    root = Path(spec.submodule_search_locations[0])
    for folder in (root, *(p for p in root.glob(SHY[head]) if p.is_dir())):
        name = ".".join((head, *folder.relative_to(root).parts))
        if name not in sys.modules:
            shell = ModuleSpec(name, None, is_package=True)
            shell.submodule_search_locations = [str(folder)]
            sys.modules[name] = importlib.util.module_from_spec(shell)


class Ours:
    """A diagram of the zoo, compiled in float64 with random weights `w` by key; a batch axis `b` comes first."""

    def __init__(
        self, target: str | Diagram, sizes: Mapping[str, int] | None = None, lift: tuple[str, ...] = ("b",), std: float = 0.5
    ) -> None:
        g = torch.Generator().manual_seed(7)
        diagram = anatomy.load(f"zoo:{target}") if isinstance(target, str) else target
        self.net = anatomy.compile(diagram, dict(sizes or {}), lift=lift, dtype=torch.float64)
        for parameter in self.net.parameters():
            nn.init.normal_(parameter, std=std, generator=g)
        self.w: Weights = dict(self.net.state_dict(keep_vars=True))

    def rows(self, key: str, inputs: int = 1) -> Tensor:
        """A weight [in..., out...] as `nn.Linear` stores it, [out, in]; heads stay contiguous blocks of rows."""
        return self.w[key].flatten(0, inputs - 1).flatten(1).T

    def vector(self, key: str) -> Tensor:
        return self.w[key].flatten()

    def set(self, pattern: str, value: float) -> None:
        """Hold weights fixed that the other party lacks, or has as constants; they get no gradient to compare."""
        found = fnmatch.filter(self.w, pattern)
        assert found, pattern
        for key in found:
            self.w.pop(key).data.fill_(value)

    def heads(self, key: str, x: Tensor) -> Tensor:
        """x [b, n, d] through a weight [d, h, e] as the libraries' cores take it, [b, h, n, e]."""
        y = torch.einsum("bnd,dhe->bhne", x, self.w[key])
        return y + self.w[f"{key}.bias"][:, None] if f"{key}.bias" in self.w else y

    def around(self, core: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """Another party's core between our projections: q, k, v [b, h, n, e] to [b, h, n, f]."""

        def layer(x: Tensor) -> Tensor:
            y = torch.einsum("bhnf,hfd->bnd", core(*(self.heads(f"W{k}", x) for k in "qkv")), self.w["Wo"])
            return y + self.w["Wo.bias"] if "Wo.bias" in self.w else y

        return layer


def with_weights(module: nn.Module, given: Mapping[str, Tensor], keep: Iterable[str] = ()) -> Callable[..., Any]:
    """A module of another party as a function of our weights, through which gradients flow back to them.

    Every parameter must be given, save those named in `keep`: a weight that was forgotten fails here.
    """
    module = module.double().eval()
    theirs = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    assert set(given) <= set(theirs), f"no such weights: {sorted(set(given) - set(theirs))}"
    missing = set(dict(module.named_parameters())) - set(given) - set(keep)
    assert not missing, f"not given: {sorted(missing)}"
    for key, value in given.items():
        assert theirs[key].shape == value.shape, (key, theirs[key].shape, value.shape)

    def call(*args: Any, **kwargs: Any) -> Any:
        return torch.func.functional_call(module, dict(given), args, kwargs)

    return call


def random(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1000 * seed + sum(shape)))
    return (scale * x).requires_grad_()


def qkv(n: int, m: int, e: int, f: int, heads: int = 3) -> list[Tensor]:
    """Queries, keys and values [b, h, n, e]: what the libraries' cores take; lift a core over ("b", "h")."""
    return [random(BATCH, heads, n, e, seed=1), random(BATCH, heads, m, e, seed=2), random(BATCH, heads, m, f, seed=3)]


def agree(ours: Ours, theirs: Callable[..., Tensor], inputs: list[Tensor], tolerance: float = DOUBLE, gradients: bool = True) -> None:
    """Outputs, and the gradients for every input and every weight, relative to the largest entry of each."""
    have, want = ours.net(*inputs), theirs(*inputs)
    close("the output", have, want, tolerance)
    if not gradients:
        return
    probe = random(*have.shape, seed=9).detach()
    leaves = {**{f"input {i}": x for i, x in enumerate(inputs) if x.requires_grad}, **ours.w}
    mine = torch.autograd.grad((have * probe).sum(), list(leaves.values()), allow_unused=True)
    other = torch.autograd.grad((want * probe.to(want.dtype)).sum(), list(leaves.values()), allow_unused=True)
    for name, a, b in zip(leaves, mine, other, strict=True):
        none = torch.zeros_like(leaves[name])  # a choice of positions has no gradient
        close(f"the gradient for {name}", none if a is None else a, none if b is None else b, 10 * tolerance)


def close(what: str, have: Tensor, want: Tensor, tolerance: float) -> None:
    assert have.shape == want.shape, (what, have.shape, want.shape)
    error = (have - want).abs().max().item()
    scale = max(1.0, want.abs().max().item())
    assert error <= tolerance * scale, f"{what}: max|diff| {error:.2e} at scale {scale:.2g}, allowed {tolerance:.0e}"


def attention(party: type[nn.Module], ours: Ours, d: int, h: int, extra: Mapping[str, Tensor] | None = None, **switches: Any) -> Callable[..., Tensor]:
    """x-transformers' `Attention` with the weights Wq, Wk, Wv, Wo of a layer and its switches set."""
    if "Wo.bias" in ours.w:
        ours.set("W*.bias", 0.0)  # their maps are linear
    module = party(d, dim_head=d // h, heads=h, **switches)
    given = {f"to_{k}.weight": ours.rows(f"W{k}") for k in "qkv"}
    return with_weights(module, {**given, "to_out.weight": ours.rows("Wo", 2), **(extra or {})})


def biases(ours: Ours) -> Tensor:
    return torch.cat([ours.vector(f"W{k}.bias") for k in "qkv"])


def output(ours: Ours) -> dict[str, Tensor]:
    return {"out_proj.weight": ours.rows("Wo", 2), "out_proj.bias": ours.vector("Wo.bias")}


def packed(ours: Ours) -> dict[str, Tensor]:
    """The weights of a layer as `nn.MultiheadAttention` stores them."""
    return {"in_proj_weight": torch.cat([ours.rows(f"W{k}") for k in "qkv"]), "in_proj_bias": biases(ours), **output(ours)}


def fused(ours: Ours) -> dict[str, Tensor]:
    """The same as attnhut stores them."""
    weights = packed(ours)
    return {
        "qkv.weight": weights["in_proj_weight"],
        "qkv.bias": weights["in_proj_bias"],
        "proj.weight": weights["out_proj.weight"],
        "proj.bias": weights["out_proj.bias"],
    }


Position = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def flex(mask: Position) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Softmax attention under a mask of (batch, head, query, key) by `flex_attention`, whose CPU form has no gradients."""
    from torch.nn.attention.flex_attention import flex_attention

    def score(s: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return torch.where(mask(b, h, i, j), s, -torch.inf)

    return lambda q, k, v: flex_attention(q, k, v, score_mod=score)


def llama_like(ours: Ours) -> dict[str, Tensor]:
    """The weights of a layer under the names that the decoders in transformers share."""
    given = {f"{k}_proj.weight": ours.rows(f"W{k}") for k in "qkv"} | {"o_proj.weight": ours.rows("Wo", ours.w["Wo"].dim() - 1)}
    if "Wo.bias" in ours.w:
        given |= {f"{k}_proj.bias": ours.vector(f"W{k}.bias") for k in "qkvo"}
    return given


def unturned(n: int, e: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines that turn nothing: a decoder of transformers without its rotary positions."""
    return torch.ones(1, n, e, dtype=torch.float64), torch.zeros(1, n, e, dtype=torch.float64)


def later(n: int) -> Tensor:
    """The causal mask that is added to scores, [1, 1, n, n]."""
    return torch.full((n, n), -torch.inf, dtype=torch.float64).triu(1)[None, None]
