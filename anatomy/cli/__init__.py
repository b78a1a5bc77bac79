"""The command line: the only place that prints."""

from __future__ import annotations

from anatomy.cli.main import main

__all__ = ["main"]
