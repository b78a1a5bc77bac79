"""Which parameters of a rule may hold -inf, as masked scores do, and in which rows one entry must be finite."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from anatomy.rewrites.cases import Case, groups
from anatomy.rewrites.compare import difference
from anatomy.rewrites.dual import Duals
from anatomy.rewrites.tensor import Abstain, Tensor
from anatomy.rewrites.trial import Draw

Both = Callable[[Duals, Case, Mapping[str, Tensor], Mapping[str, tuple[str, ...]]], list[tuple[Tensor, Tensor]] | None]
CASES = 3
"""How many cases are tried."""
TURNS = 4
"""How often each, for which rows keep what."""


def _reals(case: Case) -> list[tuple[str, tuple[str, ...]]]:
    return [(i.name, i.layout) for i in case.left.inputs if case.left.wires[i.wire].kind.name == "real"]


def masked(cases: Sequence[Case], both: Both, seed: int) -> tuple[str, ...]:
    """The parameters that may hold -inf, some entries or all."""
    found = []
    for name, _ in _reals(cases[0]):
        try:
            if all(_keeps(name, case, both, share, (), f"{seed} {name} {k}") for k, case in enumerate(cases[:CASES]) for share in (0.4, 1.0)):
                found.append(name)
        except Abstain:
            break
    return tuple(found)


def rows(cases: Sequence[Case], both: Both, seed: int, anyway: Sequence[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The other parameters that may hold -inf where each row along these axes keeps a finite entry."""
    found = []
    for name, layout in _reals(cases[0]):
        if name in anyway or not layout:
            continue
        for axes in dict.fromkeys((layout, *((a,) for a in layout))):
            try:
                tried = [(case, k) for k in range(TURNS) for case in _wide(cases, axes)]
                if all(_keeps(name, case, both, 0.5, axes, f"{seed} {name} {axes} {k}") for case, k in tried):
                    found.append((name, axes))
            except Abstain:
                return tuple(found)
    return tuple(found)


def _wide(cases: Sequence[Case], axes: Sequence[str]) -> list[Case]:
    """Cases in which a row has more than one entry."""
    wide = [c for c in cases if any(c.sizes[0][a] > 1 for a in axes)]
    return [*wide[:CASES], *cases[:1]]


def _keeps(name: str, case: Case, both: Both, share: float, axes: tuple[str, ...], seed: str) -> bool:
    rng, numbers = random.Random(seed), Duals()
    given = case.inputs(numbers, rng, Draw(), {})
    t = given[name]
    low = [rng.random() < share for _ in t.data]
    if axes:
        for row in groups(t, axes):
            if all(low[i] for i in row):
                low[rng.choice(row)] = False
    given[name] = Tensor(t.axes, t.shape, [numbers.low() if k else e for e, k in zip(t.data, low, strict=True)])
    return all(difference(left, right, False)[0] is None for left, right in both(numbers, case, given, {}) or ())
