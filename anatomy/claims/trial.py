"""A compiled diagram with inputs to try it on. Torch is imported only where tensors are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from anatomy.claims.sizes import settle_sizes
from anatomy.ir.graph import Diagram
from anatomy.ir.strands import tokens

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass
class Trial:
    """A diagram at small sizes. Weights are drawn wide, so that a claim is not true by smallness."""

    diagram: Diagram
    stated: Mapping[str, int] = field(default_factory=dict)
    spread: float = 0.7

    @cached_property
    def token_axes(self) -> tuple[str, ...]:
        """The axes of inputs that index tokens, by name."""
        return tuple(dict.fromkeys(axis for _, axis in tokens(self.diagram)))

    @cached_property
    def counts(self) -> frozenset[str]:
        """The size variables by which tokens are counted."""
        return frozenset(v for a in self.token_axes for v in self.diagram.sizes[a].variables())

    @cached_property
    def chosen(self) -> dict[str, int]:
        """The sizes to compile with: those stated, and others that were found."""
        return settle_sizes(self.diagram, self.stated, self.counts)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The value of every axis of the diagram that can be named."""
        return self.sized(self.chosen)

    def sized(self, chosen: Mapping[str, int]) -> dict[str, int]:
        """The value of every axis where these are chosen. Raises AnatomyError where they contradict each other."""
        from anatomy.ir.solve import solve

        solution = solve(self.diagram, chosen, run_time=False)
        return {a: solution.size(p).evaluate({}) for a, p in self.diagram.sizes.items()}

    @cached_property
    def module(self) -> nn.Module:
        """The compiled module in float64 at the chosen sizes."""
        return self.at(self.chosen)

    def unbiased(self) -> nn.Module:
        """Another such module, whose biases are zero."""
        import torch

        net = self.at(self.chosen)
        for key, p in net.state_dict(keep_vars=True).items():
            if "bias" in key and isinstance(p, torch.nn.Parameter):
                torch.nn.init.zeros_(p)
        return net

    def at(self, sizes: Mapping[str, int]) -> nn.Module:
        import torch

        from anatomy.compiler import DIFFERENTIABLE, build

        # The fused kernel's derivative is exact to eps times the largest score, and trials go out to scores of 10^12.
        net = build(self.diagram, sizes, (), 0, torch.float64, DIFFERENTIABLE)
        g = torch.Generator().manual_seed(1)
        for p in net.parameters():
            torch.nn.init.normal_(p, std=self.spread, generator=g)
        return net

    def inputs(self, seed: int = 0, scale: float = 1.0, sizes: Mapping[str, int] | None = None) -> list[Tensor]:
        import torch

        g = torch.Generator().manual_seed(seed)
        found = []
        at = sizes or self.sizes
        for item in self.diagram.inputs:
            kind = self.diagram.wires[item.wire].kind
            shape = [at[a] for a in item.layout]
            if kind.name == "real":
                found.append(scale * torch.randn(shape, dtype=torch.float64, generator=g))
            elif kind.name == "mask":
                found.append(torch.rand(shape, generator=g) < 0.7)
            else:
                found.append(torch.randint(at[kind.axis], shape, generator=g))
        return found

    def run(self, inputs: Sequence[Tensor], net: nn.Module | None = None) -> tuple[Tensor, ...]:
        """The outputs; noise is the same at every run."""
        import torch

        torch.default_generator.manual_seed(0)
        found = (net or self.module)(*inputs)
        return found if isinstance(found, tuple) else (found,)

    @property
    def real(self) -> list[int]:
        """The inputs that are real."""
        return [k for k, i in enumerate(self.diagram.inputs) if self.diagram.wires[i.wire].kind.name == "real"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Tensors here are tiny: threads would only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def same(a: Tensor, b: Tensor, tolerance: float = 1e-9) -> bool:
    """Equal up to rounding, relative to the larger; where both are not numbers, they are the same."""
    if a.shape != b.shape:
        return False
    a, b = a.nan_to_num(), b.nan_to_num()
    scale = max(1.0, a.abs().max().item() if a.numel() else 0.0)
    return not a.numel() or (a - b).abs().max().item() <= tolerance * scale
