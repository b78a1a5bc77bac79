"""Where a rule is tried: sizes that satisfy its equations, inputs, and the sets of parameters that get a lift."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from fractions import Fraction
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING, Any

from anatomy.ir.equations import settle
from anatomy.ir.graph import Diagram, Node
from anatomy.ir.loop import boxes, opened
from anatomy.rewrites.evaluate import Machine
from anatomy.rewrites.tensor import Tensor

if TYPE_CHECKING:
    from anatomy.rewrites.cases import Domain

PRIMES: tuple[int, ...] = (2, 3, 5, 7, 11, 13)
LARGEST = 400
"""Points of a box, lanes included, at which a size assignment is too large for a trial."""
ENOUGH = 4
LIFT = 2
"""Size of an added axis."""


@dataclass(frozen=True)
class Draw:
    """How the entries of an input are drawn: `generic` with a scale, `small` integers but 0, `ties` of 0 and 1, `marks`, masks all true or all false."""

    how: str = "generic"
    scale: float = 1.0
    masks: bool | None = None
    marks: tuple[float, ...] = ()
    """Reals at which the sides may have a corner or a jump."""


def assignments(
    left: Diagram, right: Diagram, rng: random.Random, allowed: Callable[[tuple[dict[str, int], dict[str, int]]], bool] = lambda _: True
) -> list[tuple[dict[str, int], dict[str, int]]]:  # fmt: skip
    """Sizes of all axes on both sides, smallest boxes first, as far as the equations allow.

    All 1, pairwise coprime, mixed; and for every free size one where it alone is large, greater than the integers that
    the sides mention, so that `shift[n](x, 9)` is not always 0 and no polynomial in a size vanishes at all of them.
    """
    sides = (left, right)
    equations = [(left.sizes[a], right.sizes[a]) for a in left.sizes if a in right.sizes]
    equations += [(e.left, e.right) for d in sides for e in d.equations]
    settled = settle(equations)
    polys = [settled.of(d.sizes[a]) for d in sides for a in d.sizes]
    names = sorted({v for p in (*polys, *settled.rest) for v in p.variables()})
    found: list[dict[str, int]] = []
    results = []

    def take(values: Mapping[str, int], largest: int) -> bool:
        if len(values) < len(names) or values in found or any(p.evaluate(values) for p in settled.rest):
            return False
        if any(not 1 <= p.evaluate(values) <= largest for p in polys):
            return False
        tables = [{a: settled.of(p).evaluate(values) for a, p in d.sizes.items()} for d in sides]
        if any(volume(d, t) > largest for d, t in zip(sides, tables, strict=True)) or not allowed((tables[0], tables[1])):
            return False
        found.append(dict(values))
        results.append((tables[0], tables[1]))
        return True

    for attempt in range(400):
        if attempt == 0:
            values = dict.fromkeys(names, 1)
        elif attempt % 2 and len(names) <= len(PRIMES) and attempt < 80:
            wide = PRIMES[: max(len(names), 3 if attempt < 40 else 2)]
            values = dict(zip(names, rng.sample(wide, len(names)), strict=True)) if len(names) <= len(wide) else {}
        else:
            values = {v: rng.randint(1, 2 + attempt % 3) for v in names}
        take(values, LARGEST)
        if len(found) == ENOUGH or not names:
            break
    least = max(7, 2 + largest_integer(*sides))
    for name in names[:6]:
        for attempt in range(20):
            others = {v: rng.randint(1, 2 + (attempt > 9)) for v in names}
            if take({**others, name: rng.randint(least, least + 6)}, 4 * LARGEST):
                break
    return sorted(results, key=lambda r: max(volume(d, t) for d, t in zip(sides, r, strict=True)))


def largest_integer(*diagrams: Diagram) -> int:
    """The greatest integer up to 400 that a literal or an attribute mentions: a window, a delay, a position."""
    found = [0]
    for node in (n for d in diagrams for n in boxes(d, d.nodes)):
        if is_dataclass(node.op) and node.op.body is None:
            found += [int(abs(v)) for v in vars(node.op).values() if isinstance(v, int | Fraction) and abs(v) <= 400]
    return max(found)


def largest_place(*diagrams: Diagram) -> int:
    """The greatest integer of an attribute, or of a literal where positions or sizes are read too: what larger sizes might show."""
    nodes = [n for d in diagrams for n in boxes(d, d.nodes) if is_dataclass(n.op) and n.op.body is None]
    places = any(n.op.word in ("iota", "size") for n in nodes)
    values = [(n.op.word, v) for n in nodes for v in vars(n.op).values() if isinstance(v, int | Fraction) and not isinstance(v, bool)]
    return max((int(abs(v)) for word, v in values if v == int(v) and (places or word == "shift")), default=0)


STEEP = frozenset({"exp", "logsumexp", "softmax", "softplus", "sigmoid", "silu", "elu", "tanh", "power", "^"})
"""Boxes in which great numbers overflow or are lost."""


def marks(*diagrams: Diagram) -> tuple[float, ...]:
    """0, the literals, what lies 1 beside them and twice as far: a rule may be false there alone, or beyond.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> marks(Program.of(Source("f.anat", "axis n diagram f(x: [n]) -> [n] { out min(x, 20) }")).get("f"))
    (-40.0, -21.0, -20.0, -19.0, 0.0, 19.0, 20.0, 21.0, 40.0)
    """
    nodes = [n for d in diagrams for n in boxes(d, d.nodes)]
    most = 100 if any(n.op.word in STEEP for n in nodes) else 10**6
    values = {float(v) for n in nodes if is_dataclass(n.op) and n.op.body is None for v in vars(n.op).values() if isinstance(v, Fraction) and abs(v) <= most}
    found = {0.0} | {sign * x for v in values for x in (v, v + 1, v - 1, 2 * v) for sign in (1, -1)}
    return tuple(sorted(x + 0.0 for x in found))[:200]


def volume(diagram: Diagram, sizes: Mapping[str, int]) -> int:
    """The points of the largest box; of a loop, those of the largest box in it, at every step."""

    def of(node: Node) -> int:
        if node.op.body is None:
            return prod(sizes[a] for a in dict.fromkeys((*node.own, *node.lifts)))
        return sizes[node.own[0]] * volume(opened(diagram, node), sizes)

    return max(map(of, diagram.nodes), default=1)


def lifts(diagram: Diagram) -> Iterator[tuple[tuple[str, ...], ...]]:
    """The lifts that a match may have: for one added axis every set of parameters, and one axis of its own for each.

    An added axis is named by no rule, so the lift condition allows it on every set. For more than four
    parameters, sets of one, of two and of all of them are tried.
    """
    names = [i.name for i in diagram.inputs]
    for count in range(1, len(names) + 1):
        if len(names) <= 4 or count in (1, 2, len(names)):
            for some in combinations(names, count):
                yield (some,)
    if 1 < len(names) <= 4:
        yield tuple((name,) for name in names)


def sized_lifts(given: Sequence[tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Added axes by name, each with the parameters that have it."""
    return {f"+{k}": some for k, some in enumerate(given)}


def inputs(
    diagram: Diagram, sizes: Mapping[str, int], numbers: Any, rng: random.Random, draw: Draw,
    added: Mapping[str, tuple[str, ...]], domains: Mapping[str, Domain] | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    """A random tensor for every input and, by `weight KEY`, for every weight, the added axes first; reals as `domains` says."""
    items = [(i.name, i.layout, diagram.wires[i.wire].kind) for i in diagram.inputs]
    items += [(f"weight {w.key}", w.layout, diagram.wires[w.wire].kind) for w in diagram.weights]
    found = {}
    for name, layout, kind in items:
        more = tuple(a for a, some in added.items() if name in some)
        shape = (*(LIFT for _ in more), *(sizes[a] for a in layout))
        data: list[Any] = []
        for _ in range(prod(shape)):
            match kind.name:
                case "mask":
                    data.append(rng.random() < 0.7 if draw.masks is None else draw.masks)
                case "index":
                    data.append(rng.randrange(sizes[kind.axis]))
                case _:
                    value = entry(numbers, rng, draw)
                    if domains and name in domains and numbers.name == "dual":
                        value = (domains[name].draw(value[0], rng), value[1])
                    data.append(value)
        found[name] = Tensor((*more, *layout), shape, data)
    return found


def entry(numbers: Any, rng: random.Random, draw: Draw) -> Any:
    match numbers.name:
        case "modular":
            return rng.randrange(numbers.prime)
        case "degrees":
            return (1, 0)
        case _ if draw.how == "small":
            return (float(rng.choice((-3, -2, -1, 1, 2, 3))), 0.0)
        case _ if draw.how == "ties":
            return (float(rng.randint(0, 1)), 0.0)
        case _ if draw.how == "marks":
            return (rng.choice(draw.marks), 0.0)
        case _:
            return (draw.scale * rng.gauss(0, 1), rng.gauss(0, 1))


def run(
    diagram: Diagram, sizes: Mapping[str, int], numbers: Any, given: Mapping[str, Tensor], memo: dict[Any, Any] | None = None
) -> list[Tensor]:
    """The outputs at these inputs and weights; `memo` serves several runs. Raises Abstain."""
    wires = {i.wire: given[i.name] for i in diagram.inputs}
    wires.update({w.wire: given[f"weight {w.key}"] for w in diagram.weights})
    return Machine(diagram, sizes, numbers, wires, memo={} if memo is None else memo).run()
