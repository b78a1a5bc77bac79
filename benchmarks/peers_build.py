"""How each package's mechanisms are found and built small: (batch, 16 tokens, width 32), 4 heads of 8, no weights downloaded."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peers_source import top
from peers_trial import Build, Call, Inputs, quiet, run
from torch import Tensor, nn

N, D, H, E = 16, 32, 4, 8


@dataclass(frozen=True)
class Mechanism:
    """One mechanism of a package: where its source is, and how to build it; `names` are other names of the same body."""

    name: str
    path: Path
    definition: str
    build: Build | None
    names: tuple[str, ...] = ()


def where(package: str) -> Path:
    """The folder of a package, which need not be importable."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(package)
    return Path(next(iter(spec.submodule_search_locations)))


def tokens(batch: int) -> tuple[Tensor, ...]:
    return (torch.randn(batch, N, D),)


def fitting(of: Callable[..., Any], pool: dict[str, Any]) -> dict[str, Any]:
    """What of a pool a signature names; raises TypeError where it requires more."""
    known = inspect.signature(of).parameters
    for p in known.values():
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name not in (*pool, "self"):
            raise TypeError(f"{of} requires {p.name}")
    return {k: v for k, v in pool.items() if k in known}


# attnhut, attzoo: the exported modules
SIZES = {
    "dim": D, "d_model": D, "input_dim": D, "num_heads": H, "num_kv_heads": 2, "num_query_heads": H, "num_kv_groups": 2, "block_size": 4,
    "window_size": 4, "bucket_size": 4, "top_k": 4, "window": 4, "stride": 4, "sink": 2, "index_head_dim": E, "index_dim": E,
    "compression_rate": 4, "num_index_heads": 2, "num_slots": 4, "history_frames": 4, "max_seq_len": 64,
}  # fmt: skip


def exported(package: str) -> list[Mechanism]:
    """Classes of `__all__` that are modules, other than the base of others; wrappers wrap the plain one."""
    home = importlib.import_module(package)
    classes = [c for n in home.__all__ if inspect.isclass(c := getattr(home, n)) and issubclass(c, nn.Module)]
    bases = {b for c in classes for b in c.__mro__[1:]}
    plain = next((c for c in classes if "Vanilla" in c.__name__ or "Standard" in c.__name__), None)

    def make(c: type[nn.Module]) -> tuple[nn.Module, Inputs]:
        def wrapped() -> nn.Module:
            assert plain is not None
            return plain(**fitting(plain.__init__, SIZES))

        pool = dict(SIZES) | {k: wrapped() for k in ("attn", "attn_a", "attn_b") if k in inspect.signature(c.__init__).parameters}
        net = c(**fitting(c.__init__, pool))
        if "slots" in inspect.signature(c.forward).parameters:
            return net, lambda b: (torch.randn(b, 4, 4, D),)
        return net, tokens

    found = [c for c in classes if c not in bases]
    return [Mechanism(c.__name__, Path(inspect.getfile(c)), c.__name__, partial(make, c)) for c in found]


# x-transformers: one class with switches
NUMBERS: dict[str, Any] = {"sparse_topk": 2, "num_mem_kv": 2, "kv_heads": 2, "max_attend_past": 2, "rotate_num_heads": 2, "custom_attn_fn": torch.relu}
WITH: dict[str, dict[str, Any]] = {
    "pre_scale_post_talking_heads": {"post_talking_heads": True}, "qk_norm_dim_scale": {"qk_norm": True}, "gumbel_softmax_hard": {"gumbel_softmax": True},
    "cope_soft_onehot_pos": {"use_cope": True, "causal": True}, "cope_talking_heads": {"use_cope": True, "causal": True}, "use_cope": {"causal": True},
    "selective": {"causal": True}, "use_latent_q": {"dim_latent_q": 16}, "use_latent_kv": {"dim_latent_kv": 16}, "data_dependent_alibi": {"causal": True},
    "data_dependent_alibi_per_row": {"data_dependent_alibi": True, "causal": True}, "gate_values_headwise": {"gate_values": True},
    "output_gate_headwise": {"output_gate": True}, "low_rank_silu_gates": {"gate_values": True, "gate_values_rank": 4},
    "orthog_projected_values_per_head": {"orthog_projected_values": True}, "sparse_topk_straight_through": {"sparse_topk": 2},
}  # fmt: skip


def switched(**switches: Any) -> tuple[nn.Module, Inputs]:
    from x_transformers.x_transformers import Attention

    net = Attention(D, dim_head=E, heads=H, **switches)
    g = torch.Generator().manual_seed(0)
    for p in net.parameters():
        nn.init.normal_(p, std=0.3, generator=g)
    return net, tokens


def switches() -> Iterator[tuple[str, dict[str, Any]]]:
    """Switches of `Attention.__init__` whose turn changes the output for the same input and the same weights where it has them.

    A parameter whose default is a truth value is turned; those of `NUMBERS` are set; `WITH` names what must be on for it.
    Sizes, ranks, constants, dropout and other modules to put in are not switches.
    """
    from x_transformers.x_transformers import Attention

    x = torch.randn(2, N, D, generator=torch.Generator().manual_seed(2))
    for p in inspect.signature(Attention.__init__).parameters.values():
        if not isinstance(p.default, bool) and p.name not in NUMBERS:
            continue
        base = WITH.get(p.name, {})
        turned = {**base, p.name: NUMBERS.get(p.name, not p.default)}
        with quiet():
            try:
                off, on = switched(**base)[0].eval(), switched(**turned)[0].eval()
                shared = {k: v for k, v in off.state_dict().items() if k in on.state_dict() and on.state_dict()[k].shape == v.shape}
                on.load_state_dict(shared, strict=False)
                a, b = run(off, (x,))[0], run(on, (x,))[0]
            except Exception:
                continue
        if a.shape != b.shape or not torch.allclose(a, b, atol=1e-5, equal_nan=True):
            yield p.name, turned


def x_transformers() -> list[Mechanism]:
    path = where("x_transformers") / "x_transformers.py"
    return [Mechanism(n, path, "Attention", partial(switched, **turned)) for n, turned in switches()]


# xformers: the factory
POOL = {
    "dropout": 0.0, "num_heads": H, "dim_model": D, "dim_head": E, "seq_len": N, "num_landmarks": 4, "window_size": 5, "num_rules": 2,
    "attention_query_mask": torch.arange(N).reshape(N, 1) < 2,
}  # fmt: skip


def registered(name: str) -> tuple[nn.Module, Inputs]:
    from xformers.components import MultiHeadDispatch
    from xformers.components.attention import ATTENTION_REGISTRY

    c = ATTENTION_REGISTRY[name].constructor
    attention = c(**fitting(c.__init__, POOL))
    if getattr(attention, "requires_skip_multi_head", False):
        return attention, lambda b: (torch.randn(b, N, D),) * (1 if len(inspect.signature(c.forward).parameters) < 5 else 3)
    return MultiHeadDispatch(D, H, attention), tokens


def xformers() -> list[Mechanism]:
    with quiet():
        from xformers.components.attention import ATTENTION_REGISTRY
    classes = {n: r.constructor for n, r in sorted(ATTENTION_REGISTRY.items())}
    return [Mechanism(n, Path(inspect.getfile(c)), c.__name__, partial(registered, n)) for n, c in classes.items()]


# fla: reference implementations beside the kernels
def gate(*shape: int) -> Tensor:
    return -torch.rand(shape)


ARGUMENTS: dict[str, list[Callable[[int], Any]]] = {
    **{key: [lambda n: torch.randn(n, N, H, E) / 3] for key in ("q", "k", "v", "r", "p", "w", "b", "query", "s")},
    **{key: [lambda n: torch.rand(n, N, H), lambda n: torch.rand(n, N, H, E)] for key in ("beta", "beta_atk", "eta", "theta", "alpha")},
    **{key: [lambda n: gate(n, N, H), lambda n: gate(n, N, H, E)] for key in ("g", "g_atk", "log_alpha", "log_mu")},
    "gk": [lambda n: gate(n, N, H, E)], "x": [lambda n: torch.randn(n, N, D), lambda n: torch.randn(n, N, H, E)], "scale": [lambda _: 0.5], "chunk_size": [lambda _: 4],
    "q_idx": [lambda n: torch.randn(n, N, 2, E)], "k_idx": [lambda n: torch.randn(n, N, E)], "level_scales": [lambda n: torch.rand(n, N, H, 5)],
}  # fmt: skip


def reference(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Public functions of a file whose required arguments are all in `ARGUMENTS`, with those."""
    for name, f in top(path).items():
        if isinstance(f, ast.FunctionDef) and not name.startswith("_"):
            needed = [a.arg for a in f.args.args[: len(f.args.args) - len(f.args.defaults)]]
            if {"q", "x"} & set(needed) and set(needed) <= set(ARGUMENTS):
                yield name, needed


def loaded(path: Path) -> tuple[nn.Module, Inputs]:
    """The first reference function of a file that runs, with the first shapes of its arguments that do; the file is loaded by itself."""
    spec = importlib.util.spec_from_file_location(f"naive_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, needed in reference(path):
        for makers in itertools.product(*(ARGUMENTS[a] for a in needed)):
            fixed = {a: m(1) for a, m in zip(needed, makers, strict=True) if not isinstance(m(1), Tensor)}
            free = [(a, m) for a, m in zip(needed, makers, strict=True) if a not in fixed]

            def inputs(batch: int, free: Any = free) -> tuple[Any, ...]:
                return tuple(m(batch) for _, m in free)

            net = Call(getattr(module, name), tuple(a for a, _ in free), fixed)
            try:
                run(net, inputs(2))
            except Exception:
                continue
            return net, inputs
    raise TypeError(f"no function of {path} runs")


def fla() -> list[Mechanism]:
    """Folders of `fla.ops`, other than those of common pieces, that hold a kernel or a reference; those without `naive.py` are not run."""
    found, ops = [], where("fla") / "ops"
    for folder in sorted(p for p in ops.rglob("*") if p.is_dir() and p.relative_to(ops).parts[0] not in ("common", "cp", "utils")):
        path = folder / "naive.py"
        kernels = [folder / f"{n}.py" for n in ("chunk", "parallel", "fused_recurrent") if (folder / f"{n}.py").is_file()]
        name = str(folder.relative_to(ops))
        if path.is_file():
            known = [n for n in top(path) if isinstance(top(path)[n], ast.FunctionDef)]
            found.append(Mechanism(name, path, next((n for n, _ in reference(path)), known[-1]), partial(loaded, path)))
        elif kernels:
            public = [n for n in top(kernels[0]) if isinstance(top(kernels[0])[n], ast.FunctionDef) and not n.endswith("_kernel")]
            found.append(Mechanism(name, kernels[0], public[-1], None))
    return found


# ours
def mechanism_of_ours(name: str) -> tuple[nn.Module, Inputs]:
    import anatomy
    from anatomy.claims.head import read_head
    from anatomy.claims.sizes import stated_sizes
    from anatomy.claims.trial import Trial
    from anatomy.errors import Source
    from anatomy.library import entry

    file = entry(name).path
    diagram = anatomy.load(f"zoo:{name}")
    trial = Trial(diagram, stated_sizes(read_head(Source(name, file.read_text("utf-8")))["sizes"]))
    net = anatomy.compile(diagram, trial.chosen, lift=("b",), dtype=torch.float64)

    def inputs(batch: int) -> tuple[Any, ...]:
        rows = [trial.inputs(seed) for seed in range(batch)]
        return tuple(torch.stack(x) for x in zip(*rows, strict=True))

    return net, inputs


def ours() -> list[Mechanism]:
    from anatomy.library import entries

    return [Mechanism(e.name, e.path, e.name, partial(mechanism_of_ours, e.name)) for e in entries()]
