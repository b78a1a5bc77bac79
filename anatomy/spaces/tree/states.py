"""The states of a counting diagram, grown layer by layer from what each decision leaves of the conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anatomy.errors import fail
from anatomy.spaces.tree.conditions import FALSE, TRUE, Formulas

STATES = 50_000
"""Residuals of the conditions that one space may have."""

Key = tuple[int, tuple[int, ...], tuple[int, ...]]
"""What is left: of `except` and `where`, of each `when` that is not constant, of each ball's distance."""
Edges = Sequence[tuple[int, int, int, int]]
"""Runs of places that no atom tells apart: start, stop, which atoms hold (as bits), weight."""

class State:
    """What may follow when the decisions so far have left these conditions; edges are runs of places."""

    __slots__ = ("active", "children", "heads", "key", "live", "starts", "stops", "total", "weights")

    def __init__(self, key: tuple, active: bool):  # type: ignore[type-arg]
        self.key, self.active, self.total = key, active, 0
        self.starts: list[int] = []
        self.stops: list[int] = []
        self.weights: list[int] = []
        self.children: list[State] = []
        self.heads: list[int] = []
        """Members before each edge."""
        self.live: list[int] = []
        """Places before each edge that have members."""

    def close(self) -> None:
        """Drop edges without members, merge those that cannot be told apart, and add up."""
        rows: list[list] = []  # type: ignore[type-arg]
        for start, stop, weight, child in zip(self.starts, self.stops, self.weights, self.children, strict=True):
            if not child.total or not weight:
                continue
            if rows and rows[-1][1] == start and rows[-1][2] == weight and rows[-1][3] is child:
                rows[-1][1] = stop
            else:
                rows.append([start, stop, weight, child])
        self.starts, self.stops, self.weights, self.children = ([r[k] for r in rows] for k in range(4))
        self.heads, self.live, self.total, live = [], [], 0, 0
        for start, stop, weight, child in rows:
            self.heads.append(self.total)
            self.live.append(live)
            live += stop - start
            self.total += (stop - start) * weight * child.total


def grow(
    table: Formulas, first: Key, whens: Sequence[int], edges: Sequence[Mapping[bool, Edges]], balls: Sequence[Mapping[int, int]]
) -> tuple[State, list[list[State]]]:
    """The first state and all layers; `balls` say for each distance which atom is the centre's value, by decision.

    Raises AnatomyError E630 where there are too many states or too much to simplify.
    """
    n = len(whens)
    spot = {k: i for i, k in enumerate(k for k, f in enumerate(whens) if f > TRUE)}
    left = [[sum(j > k for j in ball) for k in range(n)] for ball in balls]
    end, layer, layers, count = State((), True), {}, [], 0  # type: ignore[var-annotated]
    end.total = 1

    def state(k: int, key: Key) -> State:
        found = layer.get(key)
        if found is None:
            when = key[1][spot[k]] if k in spot else whens[k]
            found = layer[key] = State(key, when == TRUE)
        return found

    if first[0] == FALSE or not n:
        return (end if first[0] != FALSE else State((), True)), []
    start = state(0, first)
    for k in range(n):
        here, layer = list(layer.values()), {}
        layers.append(here)
        count += len(here)
        if count > STATES:
            raise fail(
                "E630", f"the conditions of the space leave more than {STATES:,} different cases",
                help="test decisions that stand near each other, or split the space with `where`",
            )  # fmt: skip
        for source in here:
            formula, rest, counters = source.key
            for begin, stop, truths, weight in edges[k][source.active]:
                table.spend(1)
                after = table.restrict(formula, k, truths)
                if after == FALSE:
                    continue
                # a distance that can no longer be exceeded is all the same
                fresh = tuple(
                    c if k not in ball else min(c - (not truths >> ball[k] & 1), left[b][k])
                    for b, (c, ball) in enumerate(zip(counters, balls, strict=True))
                )  # fmt: skip
                if fresh and min(fresh) < 0:
                    continue
                then = tuple(table.restrict(f, k, truths) for f in rest)
                if k in spot:
                    then = (*then[: spot[k]], TRUE, *then[spot[k] + 1 :])
                source.starts.append(begin)
                source.stops.append(stop)
                source.weights.append(weight)
                source.children.append(end if k + 1 == n else state(k + 1, (after, then, fresh)))
    for row in reversed(layers):
        for source in row:
            source.close()
            source.key = ()
    return start, layers
