"""Attention architectures as diagrams: write, draw, compile, compare, generate, bound and sweep them.

>>> import anatomy
>>> mha = anatomy.load("zoo:mha")
>>> mha
<diagram mha: 15 boxes, 8 weights>

Names are loaded when they are first used, so that `import anatomy` costs milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anatomy.api import (
        AnatomyError,
        Diagram,
        accelerate,
        compile,
        draw,
        equal,
        load,
        parse,
        regularity,
        source,
        space,
    )

__version__ = "0.1.0"
__all__ = [
    "AnatomyError", "Diagram", "accelerate", "compile", "draw", "equal", "load", "parse", "regularity", "source", "space",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("anatomy.api"), name)
    raise AttributeError(f"module 'anatomy' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
