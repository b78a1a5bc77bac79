"""Formulas of `zoo/recurrent/`, each from its paper."""

from __future__ import annotations

from formulas.common import Case

CASES: dict[str, Case] = {}
