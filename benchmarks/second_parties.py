"""Other people's code for the measurements: found by its dotted path, or by file where its package wants a GPU to be imported."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import anatomy

E = 64
HERE = Path(__file__).resolve().parent


def find(path: str, name: str) -> Any:
    """What a module of an installed package calls so; ImportError where the package is missing."""
    return getattr(importlib.import_module(path), name)


def fla(operator: str, name: str) -> Any:
    """A function of `fla/ops/OPERATOR/naive.py` of fla-core, which needs no Triton when read by itself."""
    spec = importlib.util.find_spec("fla")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("fla-core is not installed")
    path = Path(next(iter(spec.submodule_search_locations))) / "ops" / operator / "naive.py"
    key = f"fla_naive_{operator}"
    if key not in sys.modules:
        found = importlib.util.spec_from_file_location(key, path)
        if found is None or found.loader is None or not path.exists():
            raise FileNotFoundError(path)
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        sys.modules[key] = module
    return getattr(sys.modules[key], name)


def core(name: str, sizes: dict[str, int] | None = None, lift: tuple[str, ...] = ("b", "head")) -> nn.Module:
    """A diagram of cores.anat, or of the zoo by `zoo:name::core`, with heads of E features; heads are a lifted axis unless it has them."""
    target = name if name.startswith("zoo:") else f"{HERE / 'cores.anat'}::{name}"
    return anatomy.compile(anatomy.load(target), {"e": E, "f": E, **(sizes or {})}, lift)


def layer(name: str, **sizes: int) -> nn.Module:
    """A mechanism of the zoo with a batch, its biases at random like its other weights."""
    net = anatomy.compile(anatomy.load(f"zoo:{name}"), sizes, lift=("b",))
    g = torch.Generator().manual_seed(1)
    for key, p in net.named_parameters():
        if key.endswith("bias"):
            nn.init.normal_(p, std=0.1, generator=g)
    return net


def rows(weight: Tensor, inputs: int = 1) -> Tensor:
    """A weight [in..., out...] as `nn.Linear` stores it, [out, in]."""
    return weight.detach().flatten(0, inputs - 1).flatten(1).T


def given(module: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    """A module of another party with these weights, which must be all that it has."""
    missing = set(dict(module.named_parameters())) - set(weights)
    if missing:
        raise AssertionError(f"not given: {sorted(missing)}")
    state = module.state_dict()
    for key, value in weights.items():
        state[key].copy_(value.detach())
    return module.eval()
