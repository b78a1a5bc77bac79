"""Widths of text, so that a box has one size whichever engine lays it out."""

from __future__ import annotations

FONT = "Arial"
FAMILY = "Arial, Helvetica, 'Liberation Sans', Arimo, sans-serif"
"""Arimo, which the bundled engine carries, has the widths of Arial and Helvetica."""

_ASCII = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556,
    556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
)  # fmt: skip
_OTHERS = {"÷": 549, "×": 584, "−": 584, "√": 549, "Σ": 618, "∑": 713, "≤": 549, "≠": 549, "→": 1000, "·": 333}


def width(text: str, size: float) -> float:
    """The width in points of a line of text (Helvetica's metrics, Adobe AFM).

    >>> round(width("dot e", 10), 2)
    22.24
    """
    return sum(_ASCII[ord(c) - 32] if " " <= c <= "~" else _OTHERS.get(c, 620) for c in text) * size / 1000
