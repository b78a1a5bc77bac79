"""Dot products under weights of another kind than a softmax: the same pattern, with what a softmax would lose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anatomy.ir.bound import Bound
from anatomy.regularity import tensor
from anatomy.regularity.theorems.recognise import match
from anatomy.regularity.theorems.softmax import Attention
from anatomy.regularity.view import Product, Softmax, rename

if TYPE_CHECKING:
    from anatomy.regularity.rules import Rules


def dot_product(ctx: Rules, score: Bound, allowed: Any, v: Bound, m: str) -> Attention | None:
    """The matrices of `sum[m](w * v)` where the weights come from the score; None where a side condition fails."""
    probe = Bound(score.axes, score.axes, facts={"softmax": Softmax(frozenset({m}), score, allowed)})
    return match([probe, v], tensor.scalar(1.0), frozenset({m}), ctx.sizes)


def shifted_keys(score: Bound, m: str) -> bool:
    """Whether the keys have a bias, which only weights that no shift of a row of scores changes may leave aside."""
    if score.form is None or len(score.form.terms) != 1:
        return True
    outer = score.form.terms[0]
    product = outer.base.bound.facts.get("product")
    if not isinstance(product, Product):
        return True
    factors = [rename(f, dict(outer.links)) for f in product.factors]
    keys = [f for f in factors if m in f.axes and f.form is not None and f.form.terms]
    offsets = [f.form.offset for f in keys if f.form is not None and f.form.offset is not None]
    return len(keys) != 1 or any(o.rad > 0 or bool(np.any(o.mid)) for o in offsets)
