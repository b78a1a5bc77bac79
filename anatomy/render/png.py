"""PNG: the engine's raster, for which the bundled engine carries the font."""

from __future__ import annotations

from anatomy.render.engine import engine

DPI = 192


def png(source: str) -> bytes:
    """A PNG picture of DOT text, at 192 dots per inch."""
    return engine().run(source, "png", DPI)
