"""Subsets: least to most different values side by side, without order; small ones first, then lexicographic."""

from __future__ import annotations

from math import comb

from anatomy.spaces.tree.multiset import Multiset
from anatomy.spaces.tree.series import all_subsets


class Subset(Multiset):
    """`count = sum_{k=least}^{most} binomial(|of|, k)`; as multisets, but each part exceeds the one before.

    >>> from anatomy.spaces.tree.options import Options
    >>> node = Subset(Options([("a", 1, None), ("b", 1, None), ("c", 1, None)]), 1, 2)
    >>> [str(node.unrank(i)) for i in range(node.count)]
    ['set(a)', 'set(b)', 'set(c)', 'set(a, b)', 'set(a, c)', 'set(b, c)']
    """

    label = "set"
    step = 1
    series = staticmethod(all_subsets)

    @staticmethod
    def ways(n: int, k: int) -> int:
        return comb(n, k) if n >= k else 0

    def modulo(self, classes: int) -> int | None:
        """Unknown: two different values may be one modulo symmetry, and how often depends on the orbits."""
        return None
