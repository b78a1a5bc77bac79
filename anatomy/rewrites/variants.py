"""Specialisations in a row, those first whose weights are more like those of a goal.

Non-goals: a proof; what comes out is compared and checked by `relate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from itertools import zip_longest
from time import monotonic

from anatomy.ir.graph import Diagram
from anatomy.rewrites.absorb import absorbed
from anatomy.rewrites.reparametrise import Fill, chained
from anatomy.rewrites.specialise import Move, Special, at, inner_sizes, moves, stem

MOST = 7
"""Steps of a specialisation that are tried in a row."""


def variants(diagram: Diagram, goals: Sequence[Diagram], until: float) -> Iterator[Special | None]:
    """Specialisations of an absorbed diagram that have the weights of a goal, up to names; best first by how many axes of weights differ; None is a turn without one."""
    seen: set[tuple[int, str]] = set()
    given: set[str] = set()
    heap: list[tuple[int, int, int, int, Special, Move | None, int]] = []
    shapes = [_shape(g) for g in goals]
    count = 0
    for goal, shape in enumerate(shapes):
        near = _apart(_shape(diagram), shape)
        heappush(heap, (*near, 0, -goal, Special((), diagram), None, goal))
    while heap and monotonic() < until:
        *_, paid, _, special, move, goal = heappop(heap)
        if move is not None:
            special = _then(special, move.make())
        words = ", ".join(sorted(special.words))
        if (goal, words) in seen:
            continue
        seen.add((goal, words))
        if move is not None and special.sizes and not move.key:
            special = _settled(special)
        here = _apart(_shape(special.diagram), shapes[goal])
        if here[0] == 0 and words not in given:
            given.add(words)
            yield special
        else:
            yield None
        if len(special.words) >= MOST:
            continue
        for following in moves(special.diagram, _new(special.diagram, goals[goal])):
            after = _shape(special.diagram, following.key, following.left) if following.key else _shape(following.make().diagram)
            near = _apart(after, shapes[goal])
            if near < here:
                count += 1
                cost = paid + following.cost
                heappush(heap, (near[0] + cost, near[1], cost, count, special, following, goal))


def distance(a: Diagram, b: Diagram) -> int:
    """By how many axes the weights of two diagrams differ."""
    return _apart(_shape(a), _shape(b))[0]


def _settled(special: Special) -> Special:
    """At its new sizes the weights may depend on each other less."""
    found = absorbed(special.diagram)
    return replace(special, diagram=found.diagram, fills=chained(special.fills, found.fills))


def _new(diagram: Diagram, goal: Diagram) -> tuple[str, ...]:
    """Names of inner sizes of a goal that the diagram lacks."""
    known = {stem(v) for v in diagram.sizes}
    return tuple(v for v in inner_sizes(goal) if stem(v) not in known)[:2]


def _then(first: Special, second: Special) -> Special:
    before = [Fill(f.key, at(f.value, second.sizes)) for f in first.fills]
    return Special((*first.words, *second.words), second.diagram, chained(before, second.fills), (*first.sizes, *second.sizes))


Shape = Mapping[tuple[str, frozenset[str]], int]


def _shape(diagram: Diagram, key: str = "", left: tuple[str, ...] | None = None) -> Shape:
    """The weights by name and axes, one of them with those that are left of it."""
    found: dict[tuple[str, frozenset[str]], int] = {}
    for w in diagram.weights:
        changed = w.key == key
        if diagram.consumers[w.wire] and not (changed and left is None):
            layout = left if changed and left is not None else w.layout
            axes = frozenset(stem(a) for a in layout if diagram.sizes[a].constant() != 1)
            bare = w.key.removesuffix(".bias")
            name = (bare.rpartition(".")[2] + w.key[len(bare):], axes)
            found[name] = found.get(name, 0) + 1
    return found


Distance = tuple[int, int]


def _apart(a: Shape, b: Shape) -> Distance:
    """By how many axes weights differ, those of one name matched first; and by how many names of axes."""
    left, right = dict(a), dict(b)
    count = names = 0
    for key in list(left):
        if key in right:
            del left[key], right[key]
    for key in list(left):
        other = next((k for k in right if k[0] == key[0]), None)
        if other is not None:
            count += abs(len(key[1]) - len(other[1]))
            names += len(key[1] ^ other[1])
            del left[key], right[other]
    mine, theirs = ([k[1] for k, c in shape.items() for _ in range(c)] for shape in (left, right))
    for axes in list(mine):
        if axes in theirs:
            mine.remove(axes)
            theirs.remove(axes)
    for side in (mine, theirs):
        side.sort(key=lambda axes: (-len(axes), sorted(axes)))
    for one, other in zip_longest(mine, theirs):
        count += abs((-1 if one is None else len(one)) - (-1 if other is None else len(other)))
        names += len((one or frozenset()) ^ (other or frozenset()))
    return count, names + count
