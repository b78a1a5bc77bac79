"""Small sizes at which members are tried: the same for all members of a space, but where an equation of one wants others.

Converts: size variables with equations and defaults into small integers.
Non-goals: proving that an assignment exists; None where none is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from anatomy.ir.graph import Diagram
from anatomy.ir.loop import boxes
from anatomy.ir.poly import Poly
from anatomy.ir.strands import tokens

TOKENS, FEATURES, INNER = (7, 6, 5), (5, 4, 3), 3
FARTHEST = 32
"""Distances up to this are seen: a window of 8 needs more than 8 tokens."""
TRIES = 20_000


def horizon(diagrams: Iterable[Diagram], given: Iterable[int] = ()) -> int:
    """The greatest distance that diagrams write, or that is given, of those that can be seen."""
    return max((n for row in (given, *map(numbers, diagrams)) for n in row if n <= FARTHEST), default=0)


def preferred(base: Diagram, far: int) -> dict[str, int]:
    """Sizes for the variables of the inputs and their defaults: enough tokens to see this far.

    >>> from anatomy.target import load_space
    >>> space = load_space("zoo:spaces/scores")
    >>> far = horizon(c.diagram for c in space.decisions[2].domain.components)
    >>> preferred(space.base, far)["n"], preferred(space.base, 0)["n"]
    (11, 7)
    """
    found: dict[str, int] = {}
    marked = {(k, a) for k, a in tokens(base)}
    counts = [0, 0]
    for k, item in enumerate(base.inputs):
        for axis in item.layout:
            size, feature = base.sizes[axis], int((k, axis) not in marked)
            for name in sorted(size.variables() - found.keys()):
                if size.as_variable() is None:
                    found[name] = INNER
                elif name not in {a for a, _ in base.defaults}:
                    row = FEATURES if feature else TOKENS
                    found[name] = row[counts[feature] % 3] if feature else max(row[counts[feature] % 3], far + 3 - counts[feature] % 3)
                    counts[feature] += 1
    settle_defaults(found, base.defaults)
    return found


def numbers(diagram: Diagram) -> set[int]:
    """The distances that a diagram writes: shifts, steps, and whole numbers where positions are compared."""
    found: set[int] = set()
    nodes = list(boxes(diagram, diagram.nodes))
    compared = any(node.op.word in ("<", "<=", "==", "!=") for node in nodes)
    for node in nodes:
        for name in ("value", "by", "step") if compared else ("by", "step"):
            written = getattr(node.op, name, None)
            if written is not None and written == int(written):
                found.add(abs(int(written)))
    return found


def settle_defaults(found: dict[str, int], defaults: Sequence[tuple[str, Poly]]) -> None:
    """Give each variable that has a default, and no size, its default."""
    again = True
    while again:
        again = False
        for axis, size in defaults:
            if axis not in found and size.variables() <= found.keys():
                found[axis] = size.evaluate(found)
                again = True


def assign(
    variables: Iterable[str], wanted: Mapping[str, int], defaults: Sequence[tuple[str, Poly]], equations: Sequence[tuple[Poly, Poly]]
) -> dict[str, int] | None:
    """A size for each variable that satisfies the equations: what is wanted, where that does.

    >>> d, h, r = map(Poly.var, "dhr")
    >>> assign("dhr", {"d": 5}, (), [(d, h * r)])
    {'d': 4, 'h': 2, 'r': 2}
    >>> assign("d", {}, (), [(Poly.of(3), Poly.of(2))]) is None
    True
    """
    found = {v: wanted[v] for v in variables if v in wanted}
    settle_defaults(found, defaults)
    found |= {v: INNER for v in variables if v not in found}
    rest = [a - b for a, b in equations]
    wrong = [p for p in rest if p.evaluate({**dict.fromkeys(p.variables(), INNER), **found})]
    if not wrong:
        return {v: found[v] for v in variables}
    if not all(p.variables() for p in wrong):
        return None
    touched = {v for p in wrong for v in p.variables()}
    while True:
        more = {v for p in rest if p.variables() & touched for v in p.variables()}
        if more <= touched:
            break
        touched |= more
    # What one equation gives is given by it; only the others are tried.
    names = sorted(touched, key=lambda v: (v in wanted, v))
    tight = [p for p in rest if p.variables() & touched]
    tries = [0]

    def search(values: dict[str, int]) -> dict[str, int] | None:
        tries[0] += 1
        if tries[0] > TRIES:
            return None
        filled = _propagate(dict(values), tight)
        if filled is None:
            return None
        left = next((v for v in names if v not in filled), None)
        if left is None:
            return filled
        for size in dict.fromkeys(((found[left],) if left in wanted else ()) + (2, 3, 4, 5, 6, 8, 1)):
            deeper = search({**filled, left: size})
            if deeper is not None:
                return deeper
        return None

    solved = search({})
    return None if solved is None else {v: solved.get(v, found[v]) for v in variables}


def _propagate(values: dict[str, int], equations: Sequence[Poly]) -> dict[str, int] | None:
    """What equations with one unknown give, or None where one fails."""
    again = True
    while again:
        again = False
        for p in equations:
            rest = p.substitute(values)
            names = rest.variables()
            if not names:
                if rest.constant():
                    return None
                continue
            parts = rest.linear_in(*names) if len(names) == 1 else None
            slope = parts and parts[0].constant()
            if parts is None or not slope:
                continue
            total, over = divmod(-(parts[1].constant() or 0), slope)
            if over or not 1 <= total <= 64:
                return None
            (name,) = names
            values[name] = total
            again = True
    return values
