"""The JavaScript of the plots: Vega, Vega-Lite and Vega-Embed in one bundle, as `vl-convert-python` packs it offline."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from pathlib import Path

from anatomy.sweep.reports.costs import keep

SNIPPET = "window.vegaEmbed=vegaEmbed;"


@cache
def made() -> str:
    """The bundle; it takes seconds, the first time."""
    import vl_convert

    return vl_convert.javascript_bundle(SNIPPET)


def library(cache: Path | None = None) -> str:
    """The bundle, kept in a folder under the version of the package."""
    kept = cache / f"vega-{metadata.version('vl-convert-python')}.js" if cache is not None and cache.is_dir() else None
    if kept is not None and kept.exists():
        return kept.read_text("utf-8")
    text = made()
    if kept is not None:
        keep(kept, text)
    return text
