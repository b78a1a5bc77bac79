"""Numbers as a reader sees them: bounds rounded outward, signs that line up, nothing that looks more exact than it is."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from math import isfinite
from typing import Any

from anatomy.sweep.findings import Estimate

MINUS = "\N{MINUS SIGN}"
NONE = "–"
HARD = "\N{NO-BREAK SPACE}"


def outward(value: Any, up: bool, digits: int = 4) -> Any:
    """A bound in so many digits that is still one: an upper bound is rounded up, a lower bound down.

    >>> outward(2.00001, True), outward(2.00009, False), outward("inf", True), outward(None, True)
    (2.001, 2.0, 'inf', None)
    """
    if not isinstance(value, float) or not isfinite(value):
        return value
    return float(Context(prec=digits, rounding=ROUND_CEILING if up else ROUND_FLOOR).create_decimal(Decimal(value)))


def plain(value: Any) -> str:
    """Any value of a sweep in words.

    >>> plain(None), plain(True), plain(12345), plain(0.123456), plain("not_lipschitz")
    ('–', 'yes', '12,345', '0.1235', 'not lipschitz')
    """
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", MINUS) if isfinite(value) else str(value)
    return f"{value:,}" if isinstance(value, int) else str(value).replace("_", " ")


def score(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}".replace("-", MINUS)


def signed(value: float) -> str:
    """A difference with its sign, never a signed zero.

    >>> signed(0.1234), signed(-0.02), signed(0.0001)
    ('+0.123', '−0.020', '0.000')
    """
    found = f"{value:+.3f}"
    return "0.000" if float(found) == 0 else found.replace("-", MINUS)


def percent(value: float) -> str:
    """
    >>> [p.replace(HARD, " ") for p in (percent(0.412), percent(0.004), percent(0.0))]
    ['41 %', '0.4 %', '0 %']
    """
    if 0 < value < 0.0005:
        return f"under 0.1{HARD}%"
    return f"{100 * value:.1f}{HARD}%" if 0 < value < 0.0095 else f"{100 * value:.0f}{HARD}%"


def probability(p: float) -> str:
    """
    >>> probability(0.2), probability(0.004), probability(1e-9)
    ('p = 0.20', 'p = 0.004', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.2f}" if p >= 0.01 else f"p = {p:.3f}"


def between(found: Estimate, form: Any = score) -> str:
    """A value with its interval, where there is one.

    >>> between(Estimate(0.5, 0.4, 0.6, 4)), between(Estimate(0.5))
    ('0.500 (0.400 to 0.600)', '0.500')
    """
    if found.low is None or found.high is None:
        return form(found.value)
    return f"{form(found.value)} ({form(found.low)} to {form(found.high)})"


def shares(found: Estimate) -> str:
    """A share of the variance with its interval.

    >>> shares(Estimate(0.42, 0.3, 0.5)).replace(HARD, " ")
    '42 % (30 to 50)'
    """
    if found.low is None or found.high is None:
        return percent(found.value)
    low, high = (percent(max(0.0, x)).removesuffix(f"{HARD}%") for x in (found.low, found.high))
    return f"{percent(found.value)} ({low} to {high})"


def told(found: Estimate) -> bool:
    """Whether the interval leaves out zero."""
    return found.low is not None and found.high is not None and (found.low > 0 or found.high < 0)


def duration(seconds: float) -> str:
    """
    >>> duration(0.2), duration(65), duration(4000), duration(90000)
    ('0.2 s', '65 s', '67 min', '25.0 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def several(count: int, noun: str, plural: str = "") -> str:
    """
    >>> several(1, "seed"), several(1200, "seed"), several(2, "family", "families")
    ('1 seed', '1,200 seeds', '2 families')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
