"""Where and with what a sweep was made, for its report."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

from anatomy.sweep.config import Config


def environment(config: Config, evaluator: str, seconds: float) -> dict[str, Any]:
    """Versions, machine, seeds and the command that makes the sweep again."""

    def version(package: str) -> str:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return "not installed"

    from anatomy import __version__

    return {
        "command": config.command(),
        "space file": config.path,
        "space digest": config.digest,
        "tasks": ", ".join(config.tasks) or "none",
        "training steps": "the task's own" if config.budget is None else str(config.budget),
        "seed": f"{config.seed}; the baseline also {config.seed + 1}",
        "regularity": f"radius {config.radius:g}, norm {config.norm}",
        "evaluator": f"{evaluator} (hash of the code that makes results)",
        "CPU time of all results": f"{seconds:.0f} s",
        "anatomy": __version__,
        "Python": platform.python_version(),
        "torch": version("torch"),
        "numpy": version("numpy"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores; every job ran in one thread",
    }
