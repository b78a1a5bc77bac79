"""Entmax and Sinkhorn: other maps from scores to weights.

Entmax, p_i = [(alpha - 1) s_i - t]_+^(1/(alpha - 1)) with sum 1, 1 < alpha <= 2 (sparsemax: 2). On its support the Jacobian is
diag(u) - u u^T / sum u with u = p^(2 - alpha) in (0, 1]: positive semidefinite and at most diag(u), so of norm at most 1; its
absolute row and column sums are 2 u (1 - u / sum u) <= 2.

Sinkhorn with k steps on scores s over n and m: s less potentials f over m and g over n in turn, each a logsumexp of s less the
other one, the last over m: softmax_m(s - f). In the maximum norm a logsumexp has slope at most 1, so that the potentials move by
|ds|, 2 |ds|, .., and s - f by at most 2 k |ds|. A softmax takes a change of size c to entries of at most c / 2 and, along a
row, to an absolute sum of at most c (its deviation under p). So the greatest entry has slope k, and the sum over all n rows
of what one unit at one entry does is at most 2 k n. The two norms for p = infinity and 1 bound the one for 2.
"""

from __future__ import annotations

from dataclasses import replace

from flint import arb

from anatomy.certificates.facts import Fact, through, triple
from anatomy.certificates.linear import exact, fraction
from anatomy.certificates.means import row_counts
from anatomy.certificates.model import Broken, Node
from anatomy.certificates.numbers import root
from anatomy.certificates.state import Lacking, Scores, State, View
from anatomy.certificates.tensors import Tensor, count


def unmasked(s: State, n: Node) -> tuple[View, Tensor | None, bool]:
    """The scores, the mask on them, and whether it is known."""
    x = s.view(n.ports[0], masked=True)
    if x.wire not in s.masks:
        return x, None, True
    mask, inside = s.masks[x.wire]
    return replace(s.renamed(inside, x.names), wire=x.wire), mask.rename(x.names) if mask is not None else None, mask is not None


def entmax(s: State, n: Node) -> None:
    alpha = fraction(n.options.get("alpha", "")) if n.op == "entmax" else fraction("2")
    if not 1 < alpha <= 2:
        raise Lacking("an `alpha` that is not between 1 and 2")
    x, allowed, known = unmasked(s, n)
    own = frozenset(n.own)
    if x.value is not None:
        raise Lacking(f"`{n.op}` of a constant")
    least, many, empty = row_counts(s, allowed, known, own)
    fact = s.fact(x)
    within = own <= fact.features
    tokens = fact.tokens if within else fact.axes
    fact = fact.parted(tokens, s.sizes)
    slope = triple(arb(2 * many), arb(int(many)), arb(2 * many)) if not within else triple(*[arb(int(many))] * 3)
    radius = root(arb(count(fact.features - own, s.sizes))) if within else arb(1)
    out = Fact(fact.axes, tokens, arb(0), arb(1), radius, through(slope, fact.gains))
    s.base(n.outs[0], out.tight(s.sizes))
    mass = arb(max(count(own, s.sizes), 1)) ** exact(alpha - 1)
    s.scores[n.outs[0]] = Scores(x, own, allowed, known, fact.high - fact.low, 0 if empty and known else least, many, mass)


def sinkhorn(s: State, n: Node) -> None:
    steps = fraction(n.options.get("steps", ""))
    if steps.denominator != 1 or steps < 1:
        raise Broken("graph", "`sinkhorn` makes a whole number of steps")
    x, _, _ = unmasked(s, n)
    if x.value is not None:
        raise Lacking("`sinkhorn` of a constant")
    fact = s.fact(x)
    fact = fact.parted(fact.axes, s.sizes)
    k = exact(steps) if count(n.own, s.sizes) > 1 else arb(0)
    slope = triple(2 * k * s.sizes[n.own[0]], None, k)
    s.base(n.outs[0], Fact(fact.axes, fact.axes, arb(0), arb(1), arb(1), through(slope, fact.gains)))
