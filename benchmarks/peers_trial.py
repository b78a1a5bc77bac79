"""What is found by running a module: does it run in float64, does it stay there, does `torch.export` take it with a free batch."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

BATCH, OTHER = 4, 3

Inputs = Callable[[int], tuple[Any, ...]]
"""Inputs for a batch; the batch is the first axis of every tensor."""
Build = Callable[[], tuple[nn.Module, Inputs]]


@dataclass(frozen=True)
class Outcome:
    """What a mechanism did; `ran` is False where it could not be built and run in float32 by the stated recipe."""

    ran: bool
    double: bool = False
    throughout: bool = False
    exported: bool = False


class Watch(TorchDispatchMode):
    """Notices tensors of more than one number that are made in less than float64."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for t in tree_leaves(made):
            if isinstance(t, Tensor) and t.numel() > 1:
                self.narrow |= (t.is_floating_point() and t.dtype != torch.float64) or t.dtype == torch.complex64
        return made


class Call(nn.Module):
    """A function or a module called by keywords, as a module of the arguments in `names`."""

    def __init__(self, called: Callable[..., Any], names: Sequence[str], bound: dict[str, Any]) -> None:
        super().__init__()
        self.called, self.names, self.bound = called, tuple(names), bound

    def forward(self, *args: Any) -> Any:
        return self.called(**dict(zip(self.names, args, strict=True)), **self.bound)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def cast(tree: Any, dtype: torch.dtype) -> Any:
    return tree_map(lambda t: t.to(dtype) if isinstance(t, Tensor) and t.is_floating_point() else t, tree)


def tensors(tree: Any) -> list[Tensor]:
    return [t for t in tree_leaves(tree) if isinstance(t, Tensor)]


def run(net: nn.Module, args: Sequence[Any]) -> list[Tensor]:
    torch.manual_seed(0)
    with torch.no_grad():
        found = tensors(net(*args))
    if not found:
        raise ValueError("no tensors come out")
    return found


def outcome(build: Build) -> Outcome:
    """Build, run in float32, run in float64, export: each step once, in evaluation mode, without gradients."""
    with quiet():
        try:
            torch.manual_seed(0)
            net, inputs = build()
            net = net.eval()
            torch.manual_seed(1)
            given = inputs(BATCH)
            run(net.float(), cast(given, torch.float32))
        except Exception:
            return Outcome(False)
        exported = _exports(net, inputs)
        double, throughout = _doubles(net, given)
        return Outcome(True, double, throughout, exported)


def _exports(net: nn.Module, inputs: Inputs) -> bool:
    """Is the exported program the module at a batch it was not traced with?"""
    try:
        torch.manual_seed(1)
        given, other = cast(inputs(BATCH), torch.float32), cast(inputs(OTHER), torch.float32)
        free = torch.export.Dim("b", min=2, max=64)
        shapes = tree_map(lambda t: {0: free} if isinstance(t, Tensor) else None, given)
        program = torch.export.export(Packed(net), (given,), dynamic_shapes=(shapes,)).module()
        have, want = run(program, (other,)), run(net, other)
        return all(
            a.shape == b.shape and torch.allclose(a.double(), b.double(), rtol=1e-4, atol=1e-4, equal_nan=True)
            for a, b in zip(have, want, strict=True)
        )
    except Exception:
        return False


class Packed(nn.Module):
    """All inputs in one argument, so that those of a free number have one set of shapes."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, given: tuple[Any, ...]) -> Any:
        return self.net(*given)


def _doubles(net: nn.Module, given: tuple[Any, ...]) -> tuple[bool, bool]:
    watch = Watch()
    try:
        net, wide = net.double(), cast(given, torch.float64)
        with watch:
            made = run(net, wide)
    except Exception:
        return False, False
    real = [t for t in made if t.is_floating_point()]
    ran = bool(real) and real[0].dtype == torch.float64
    return ran, ran and not watch.narrow
