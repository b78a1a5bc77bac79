"""What every command shares of printing: results on standard output, diagnostics on standard error."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from anatomy.errors import Diagnostic, fail
from anatomy.errors.printer import as_json, coloured, plain


def colour(stream: Any) -> bool:
    return bool(stream.isatty()) and "NO_COLOR" not in os.environ


def report(diagnostics: Sequence[Diagnostic], as_data: bool = False) -> None:
    """Diagnostics as JSON on standard output, or for people on standard error."""
    if as_data:
        emit(as_json(diagnostics))
    elif diagnostics:
        print((coloured if colour(sys.stderr) else plain)(diagnostics), file=sys.stderr)


def emit(data: Any) -> None:
    """One JSON document on standard output; infinities and not-a-numbers are strings, so that it stays JSON."""
    print(json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(data: Any) -> Any:
    if isinstance(data, float) and (data != data or data in (float("inf"), float("-inf"))):
        return "nan" if data != data else "inf" if data > 0 else "-inf"
    if isinstance(data, dict):
        return {k: _finite(v) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(v) for v in data]
    return data


def sizes(items: Sequence[str]) -> dict[str, int]:
    """`--size d=512` as a mapping. Raises AnatomyError E405."""
    table: dict[str, int] = {}
    for item in items:
        for part in item.split(","):
            axis, equals, value = part.partition("=")
            try:
                number = int(value)
            except ValueError:
                equals = ""
                number = 0
            if not equals or not axis.strip():
                raise fail("E405", f"`--size {part}` is not `axis=integer`", help="for example `--size d=512`")
            if axis.strip() in table:
                raise fail("E405", f"the size of `{axis.strip()}` is given twice")
            table[axis.strip()] = number
    return table


def add_sizes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", action="append", default=[], metavar="AXIS=N", help="the size of an axis; may be repeated")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
