"""Attention as a map of measures: constants in Wasserstein distances that hold for every number of tokens.

Where a diagram treats all tokens alike and only means over them enter (softmax over all tokens, means; no positions, no masks, no
sums that are not divided by the number of tokens), it is a map F of probability measures: n tokens are the measure with mass 1/n at each.
On measures of tokens x with |x| <= R, for p = 1, 2 and infinity and for every number of tokens on either side,

    W_p(F(mu), F(nu)) <= K_p W_p(mu, nu),    K_1 = sup over n of Lip_1,  K_2 = sup over n of Lip_F,  K_inf = sup over n of Lip_max,

Lip_1, Lip_F, Lip_max the constants for the sum, the root of the sum of squares and the maximum of token norms. Why: two measures of n equal
masses have an optimal coupling that is a permutation, F does not see permutations, and the ball is convex, so one number n bounds
W_p; n and m masses are both measures of n m masses; and measures of equal masses are dense. What follows from the constants:

- `measured`: K_1, K_2, K_inf and how far outputs reach; `Transport.error`: what a mis-specified input does to the output,
  also when tokens are dropped or doubled;
- `contraction`: K_p = tau < 1 on a ball that is mapped into itself, so that a stack of one layer converges at the rate tau, to one point;
- `residual`: x + c f(x) with c Lip(f) < 1 has an inverse, found by iteration with a proved error;
- `wasserstein`: the exact distance of two empirical measures.

Source: Vuckovic, Baratin and Tachet des Combes, "A Mathematical Theory of Attention" (arXiv 2007.02876) and "On the Regularity of
Attention" (arXiv 2102.05628); W_2 as in Castin, Ablin and Peyre, "How Smooth Is Attention?" (arXiv 2312.14820). The constants
are derived in `measure.attention` and `measure.rules`.

>>> from anatomy import parse
>>> text = "axis n, m = n, d diagram layer(x: [n, d]) -> [n, d] { z = x[n -> m]  out dot[m](softmax[m](dot[d](x, z)), z) }"
>>> found = measured(parse(text)["layer"], {"n": 2, "m": 2, "d": 3}, {}, radius=1.0)
>>> f"{found.one:.3f} {found.two:.3f} {found.inf:.3f}"  # e^2 (1 + 2) + 1, sqrt(N(1)) + 1, sqrt(2) + 1
'23.167 4.184 2.414'
"""

from anatomy.regularity.measure.calculus import Transport, measured
from anatomy.regularity.measure.contraction import Contraction, contraction
from anatomy.regularity.measure.distance import wasserstein
from anatomy.regularity.measure.inverse import Inverse, Residual, residual

__all__ = ["Contraction", "Inverse", "Residual", "Transport", "contraction", "measured", "residual", "wasserstein"]
