"""Where to look for a mechanism inside of another: moves that could lead there, guessed from sizes and from the weights that both name.

Converts: a mechanism and the goals into forms that are worth a key. A guess proves nothing; what it finds is checked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram, Weight
from anatomy.ir.op import Problem
from anatomy.library.forms import Form, profile
from anatomy.rewrites.special import Move, feed_moves, moved, size_moves

FREED = 2
"""Weights of one mechanism that another lacks."""
LARGER = 16
"""Boxes that a mechanism has more than a goal that its weights could make of it."""
BOXES = 44
"""Boxes of the largest diagram that is looked at; beyond, a normal form takes seconds."""


@dataclass(frozen=True)
class Face:
    """What is compared before any work is done: types of ends, functions that stay, and the axes of each learner by key."""

    ends: str
    words: frozenset[str]
    holes: str
    weights: tuple[tuple[str, int], ...]
    boxes: int = 0

    @staticmethod
    def of(diagram: Diagram) -> Face:
        ends, words, holes = profile(diagram).split(" | ")
        return Face(ends, frozenset(words.split()), holes, tuple((w.key, _rank(diagram, w)) for w in diagram.weights if not _bias(w.key) and diagram.consumers[w.wire]), len(diagram.nodes))

    def can_be(self, goal: Face) -> bool:
        return self.ends == goal.ends and self.holes == goal.holes and goal.words <= self.words


def _rank(diagram: Diagram, weight: Weight) -> int:
    return sum(diagram.sizes[a].constant() != 1 for a in weight.layout)


def _bias(key: str) -> bool:
    return key.endswith(".bias")


def ranks(face: Face) -> Counter[int]:
    return Counter(r for _, r in face.weights)


def by_size(form: Form, diagram: Diagram, goals: Sequence[Face]) -> Iterator[Form]:
    """One or two restrictions of sizes, and one input for two, where a goal has weights of as many axes."""
    if len(diagram.nodes) > BOXES:
        return
    first: list[tuple[Move, Diagram, bool]] = []
    for move in (*size_moves(diagram), *feed_moves(diagram)):
        made = after(diagram, move)
        if made is not None:
            fits = _plausible(made, goals)
            first.append((move, made, fits))
            if fits:
                yield Form(form.entry, form.open, (*form.moves, str(move)))
    held = {v for w in diagram.wires for a in w.axes for v in diagram.sizes[a].variables()}
    for (one, here, fits), (two, _, also) in combinations(first, 2):
        # Windows are restricted together; what changes types, only where neither change is enough alone.
        windows = one.kind != "feed" != two.kind and not {one.subject, two.subject} & held
        if one.subject == two.subject or two.subject in one.value.split(" * ") or ((fits or also) and not windows):
            continue
        made = after(here, two)
        if made is not None and _plausible(made, goals):
            yield Form(form.entry, form.open, (*form.moves, str(one), str(two)))


def _plausible(diagram: Diagram, goals: Sequence[Face]) -> bool:
    face = Face.of(diagram)
    mine = ranks(face)
    return any(face.can_be(g) and not (ranks(g) - mine) and sum(mine.values()) - sum(ranks(g).values()) <= 1 for g in goals)


def by_weight(form: Form, diagram: Diagram, goals: Sequence[Face]) -> Iterator[Form]:
    """Values for the weights that a goal does not name, where it names all its own after those here."""
    mine = Face.of(diagram)
    here = dict(mine.weights)
    seen: set[tuple[str, ...]] = set()
    if len(diagram.nodes) > BOXES:
        return
    for goal in goals:
        theirs = dict(goal.weights)
        if not mine.can_be(goal) or not theirs.keys() <= here.keys() or mine.boxes - goal.boxes > LARGER:
            continue
        extra = [k for k in here if k not in theirs]
        fewer = [k for k in theirs if theirs[k] < here[k]]
        if any(theirs[k] > here[k] for k in theirs) or not 0 < len(extra) + len(fewer) <= FREED:
            continue
        choices = [list(_values(diagram, k, theirs.keys())) for k in extra] + [list(_once(diagram, k, here[k] - theirs[k])) for k in fewer]
        # All of them nothing, or all the identity, or all shared: what is done to one is done to its likes.
        for chosen in zip(*choices, strict=False) if fewer == [] or extra == [] else product(*choices):
            if chosen not in seen:
                seen.add(chosen)
                yield Form(form.entry, form.open, (*form.moves, *chosen))


def _values(diagram: Diagram, key: str, kept: Iterator[str] | Sequence[str] | object) -> Iterator[str]:
    """Nothing, one or the identity, or another weight whose name its own begins with; its bias goes along."""
    weight = next(w for w in diagram.weights if w.key == key)
    bias = f"{key}.bias"
    along = [w.key for w in diagram.weights if w.key == bias]

    def both(value: str, other: str) -> str:
        return " and ".join([f"{key} := {value}", *(f"{bias} := {other}" for _ in along)])

    yield both("0", "0")
    if weight.fan_in:
        yield both("identity", "0")
    else:
        yield both("1", "0")
    stem = key.rpartition(".")[2]
    for other in diagram.weights:
        if other.key != key and other.key in kept and stem.startswith(other.key.rpartition(".")[2]):  # type: ignore[operator]
            yield both(other.key, f"{other.key}.bias")


def _once(diagram: Diagram, key: str, count: int) -> Iterator[str]:
    """The same along some of its axes, with its bias."""
    weight = next(w for w in diagram.weights if w.key == key)
    bias = next((w for w in diagram.weights if w.key == f"{key}.bias"), None)
    several = (*weight.lanes, *weight.fan_out[:-1])
    for axes in combinations([a for a in several if diagram.sizes[a].constant() != 1], count):
        yield " and ".join(f"{w.key} := once over {a}" for w in (weight, bias) if w is not None for a in axes if a in w.layout)


def after(diagram: Diagram, move: Move) -> Diagram | None:
    """The diagram after a move, or None where it has none."""
    try:
        return moved(diagram, move)
    except (AnatomyError, Problem):
        return None
