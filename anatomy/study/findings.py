"""What the study says: each expectation beside what was measured. Every number is computed from the cells.

The expectations (a) to (c) are those of an independent replication of the released code on randomly initialised GPT-2;
for pretrained models there are none, and their exponents are reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anatomy.study.fits import Fit
from anatomy.study.rows import Series, Table

REACH = 128
"""The published plots of GPT-2 end at 98 tokens; expectations are held against n up to this."""


def findings(rows: Table, layers: Mapping[str, Sequence[int]]) -> list[dict[str, Any]]:
    """Statements as {"key", "words", "holds"}; `holds` is None where nothing was expected."""
    out: list[dict[str, Any]] = []
    if "gpt2-random" in layers:
        out += random(rows, layers["gpt2-random"][len(layers["gpt2-random"]) // 2])
    for model in layers:
        if model != "gpt2-random":
            out += trained(rows, model, layers[model])
    return out + [each for model in layers for each in balls(rows, model)]


def said(key: str, words: str, holds: bool | None) -> dict[str, Any]:
    return {"key": key, "words": words, "holds": holds}


def power(found: Fit | None) -> str:
    return "not enough n" if found is None else f"{found.exponent:.3f} (95 %: {found.low:.3f} to {found.high:.3f}; n = {found.first} to {found.last})"


def random(rows: Table, layer: int) -> list[dict[str, Any]]:
    """(a), (b) and (c), on the middle layer of randomly initialised GPT-2."""
    out: list[dict[str, Any]] = []

    def series(masked: bool, quantity: str) -> Series | None:
        found = rows.get(("gpt2-random", layer, masked, quantity))
        return found.below(REACH) if found and found.whole else None

    if as_published := series(True, "published"):
        exponent = as_published.whole
        factors = [v / n**0.25 for n, v in as_published.means().items()]
        if exponent:
            out.append(said(
                "a", f"Random GPT-2, layer {layer}, causal, the functional as published: {min(factors):.3f} to {max(factors):.3f} times n^(1/4), "
                f"exponent {power(exponent)}. Expected: 0.42 to 0.50 times n^(1/4), exponent 0.25 ± 0.03.",
                min(factors) >= 0.42 and max(factors) <= 0.50 and abs(exponent.exponent - 0.25) <= 0.03,
            ))  # fmt: skip
    causal, seen = series(True, "local"), series(False, "local")
    if causal and (exponent := causal.whole):
        out.append(said(
            "b", f"Random GPT-2, layer {layer}, causal, the true |J|: exponent {power(exponent)}. Expected: at most 0.12.",
            exponent.exponent <= 0.12,
        ))  # fmt: skip
    if seen and (exponent := seen.whole):
        out.append(said(
            "b", f"Random GPT-2, layer {layer}, unmasked, the true |J|: exponent {power(exponent)}. Expected: between -0.02 and 0.02.",
            abs(exponent.exponent) < 0.02,
        ))  # fmt: skip
    if causal and seen:
        apart = [
            abs(v / (seen.means()[n] * averaging(n)) - 1) for n, v in causal.means().items() if n in seen.means()
        ]  # fmt: skip
        if apart:
            out.append(said(
                "b", "Near-uniform attention multiplies the norm of averaging by that of the value map: the causal |J| is the unmasked one times "
                f"the norm of the Cesàro matrix of n tokens up to {100 * max(apart):.1f} %.", None,
            ))  # fmt: skip
    for masked in (True, False):
        worst = series(masked, "adversarial")
        part = Series("", 0, masked, "", {n: v for n, v in worst.values.items() if n >= 8}) if worst else None
        if part and (exponent := part.whole):
            out.append(said(
                "c", f"Random GPT-2, layer {layer}, {'causal' if masked else 'unmasked'}, adversarial inputs: exponent {power(exponent)}. "
                "Expected: 0.4 to 0.8.", 0.4 <= exponent.exponent <= 0.8,
            ))  # fmt: skip
    return out


def averaging(n: int) -> float:
    """The norm of the n by n matrix whose row i averages the first i entries."""
    return float(np.linalg.norm(np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None], 2))


def trained(rows: Table, model: str, layers: Sequence[int]) -> list[dict[str, Any]]:
    """(d): exponents of pretrained models, reported and not held against anything."""
    out = []
    for layer in layers:
        for masked in (True, False):
            true, theirs = rows.get((model, layer, masked, "local")), rows.get((model, layer, masked, "published"))
            if true and theirs and true.whole and theirs.whole:
                out.append(said(
                    "d", f"{model}, layer {layer}, {'causal' if masked else 'unmasked'}: the true |J| has exponent {power(true.whole)}, "
                    f"the functional as published {power(theirs.whole)}.", None,
                ))  # fmt: skip
    return out


def balls(rows: Table, model: str) -> list[dict[str, Any]]:
    """What lies between attained values and bounds."""
    ratios, better, above, all_of_them = [], [], 0, 0
    for (name, layer, masked, quantity), bound in rows.items():
        if name != model or quantity != "bound":
            continue
        worst = rows.get((model, layer, masked, "adversarial"))
        theirs = rows.get((model, layer, masked, "castin"))
        for n, (value,) in bound.values.items():
            if worst and n in worst.values:
                ratios.append(value / worst.values[n][0])
                all_of_them += 1
                above += worst.values[n][0] > value
            if theirs and n in theirs.values:
                better.append(theirs.values[n][0] / value)
    out = []
    if ratios:
        out.append(said(
            "bound", f"{model}: {above} of {all_of_them} attained values lie above the bound for the ball; bound over attained: "
            f"{min(ratios):.3g} to {max(ratios):.3g}.", above == 0,
        ))  # fmt: skip
    if better:
        out.append(said(
            "bound", f"{model}: the finite-n formula of Castin et al. is {min(better):.3g} to {max(better):.3g} times our bound.", None,
        ))  # fmt: skip
    return out
