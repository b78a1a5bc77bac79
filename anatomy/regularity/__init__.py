"""Verdicts and sound bounds on how far an attention variant can move its outputs when its inputs move."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from anatomy.regularity.verdict import Norm, Regularity, Verdict, check

__all__ = ["Norm", "Regularity", "Verdict", "check"]


class _Callable(ModuleType):
    """`anatomy.regularity` is this package once it is imported, and a function of the interface always."""

    def __call__(self, *arguments: Any, **options: Any) -> Regularity:
        return import_module("anatomy.api").regularity(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
