"""Quotients of sums of exponentials: which exponential a fraction is written over."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from anatomy.rewrites.sums import Key, Sum, Term, parts, scaled

MOST = 8
"""Terms of a denominator up to which it is looked at."""


def exponent_over(terms: Sum, name: Callable[[Term], Key], collect: Callable[[Sum], Sum]) -> Sum:
    """The exponent by which a denominator of several terms is divided, so that quotients that are one are written as one.

    `exp(x) / (exp(x) + exp(y))` and `1 / (1 + exp(y - x))` are; every common exponential divides out. Of the exponents of
    the terms, that one after whose removal the rest reads first.
    """
    outer = [(parts(t)[0] if t.bound else t).exponent for t in terms]
    if not 1 < len(terms) <= MOST or not any(outer):
        return ()
    found = []
    for chosen in outer:
        rest = [collect((*e, *scaled(chosen, Fraction(-1)))) for e in outer]
        found.append((sorted(sorted((repr(name(t)), str(t.coefficient)) for t in e) for e in rest), chosen))
    return min(found, key=lambda pair: pair[0])[1]
