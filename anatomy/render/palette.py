"""Colours of axes, safe for the colour-blind, and the few other colours of a picture."""

from __future__ import annotations

import colorsys

AXES: tuple[str, ...] = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
    "#882255", "#44AA99", "#332288", "#999933", "#AA4499", "#117733", "#DDCC77", "#661100",
)  # fmt: skip
"""Six of Okabe and Ito (Color Universal Design, 2008; without black and yellow), then eight of Tol's muted set."""

INK, QUIET, FAINT, SCALAR, PAPER = "#222222", "#666666", "#B8B8B8", "#9A9A9A", "#FFFFFF"
LEARNER, LEARNER_FILL = "#B3261E", "#F9DEDC"
NORMALISER, NORMALISER_FILL = "#B26A00", "#FDD998"
STATE_FILL = "#FFF4C2"
MASK_FILL, SOURCE_FILL = "#E4E4E4", "#F5F5F5"

GOLDEN = 0.6180339887498949


def axis_colour(index: int) -> str:
    """The colour of the axis with this number; past the table, hues at golden-ratio steps.

    >>> axis_colour(0), axis_colour(14) == axis_colour(14), axis_colour(14) == axis_colour(15)
    ('#0072B2', True, False)
    """
    if index < len(AXES):
        return AXES[index]
    turn = index - len(AXES)
    rgb = colorsys.hls_to_rgb((0.11 + GOLDEN * turn) % 1, (0.38, 0.52, 0.45)[turn % 3], 0.65)
    return _hex(rgb)


def tint(colour: str, white: float) -> str:
    """The colour mixed with that share of white.

    >>> tint("#000000", 0.5)
    '#808080'
    """
    rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return _hex([c + (1 - c) * white for c in rgb])


def _hex(rgb: tuple[float, ...] | list[float]) -> str:
    return "#" + "".join(f"{round(c * 255):02X}" for c in rgb)
