"""From source text to a living `nn.Module`: the one place of the compiler where torch is imported."""

from __future__ import annotations

import linecache
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from anatomy.compiler.module import Generated, generate
from anatomy.compiler.passes import ALL
from anatomy.ir.graph import Diagram

if TYPE_CHECKING:
    import torch
    from torch import nn


def build(
    diagram: Diagram,
    sizes: Mapping[str, int],
    lift: Sequence[str] = (),
    seed: int | Sequence[int] = 0,
    dtype: torch.dtype | None = None,
    passes: Sequence[str] = ALL,
    ensemble: int | None = None,
    shared: Sequence[str] = (),
) -> nn.Module:
    """The compiled module of a diagram; `module.source` is its text, and `passes` are those that rewrite the graph before."""
    return instantiate(generate(diagram, sizes, lift, seed, passes, ensemble, shared), dtype=dtype, seed=seed)


def instantiate(generated: Generated, **arguments: Any) -> nn.Module:
    """Execute generated source and build its class; tracebacks show the generated lines."""
    file = f"<anatomy {generated.class_name} {blake2b(generated.source.encode(), digest_size=4).hexdigest()}>"
    linecache.cache[file] = (len(generated.source), None, generated.source.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {"__name__": f"anatomy_generated_{generated.class_name}"}
    exec(compile(generated.source, file, "exec"), namespace)  # our own text: see anatomy.compiler.names
    cls = namespace[generated.class_name]
    module = cls(**arguments) if "reset_parameters" in vars(cls) else cls()
    module.source = generated.source
    return module
