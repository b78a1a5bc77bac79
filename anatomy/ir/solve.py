"""Sizes at compile time: what is given, what equations give, what is read from the inputs, what is refused.

Converts: a mapping from axes to integers into a value for every size variable, or a plan to read it at run time.
Non-goals: anything but equations that become linear in one unknown; nothing is ever guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from anatomy.errors import AnatomyError, Span, fail
from anatomy.ir.graph import Diagram
from anatomy.ir.poly import MAX_SIZE, Poly


@dataclass(frozen=True)
class Reading:
    """At run time: `variable = (size of input axis - rest) / slope`."""

    variable: str
    axis: str
    slope: int
    rest: Poly


@dataclass(frozen=True)
class Solution:
    """Values of size variables, and how the remaining ones are read from the inputs, in order."""

    values: Mapping[str, int]
    readings: tuple[Reading, ...] = ()
    known: dict[Poly, Poly] = field(default_factory=dict, compare=False, repr=False)
    """What was asked before: the compiler asks for the same sizes again and again."""

    def size(self, poly: Poly) -> Poly:
        found = self.known.get(poly)
        if found is None:
            found = self.known[poly] = poly.substitute(dict(self.values))
        return found


def solve(diagram: Diagram, given: Mapping[str, int], run_time: bool = True) -> Solution:
    """Solve all size variables of a diagram.

    Raises AnatomyError: E402 (a contradiction, with the numbers), E403 (a size is missing),
    E405 (out of 1 .. 2^40), E406 (a size for an axis that is not declared).
    """
    constraints: list[tuple[Poly, str, Span | None]] = []
    loose: dict[str, int] = {}
    for axis, value in given.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_SIZE:
            raise fail("E405", f"the size of `{axis}` is {value}; sizes are integers from 1 to 2^40")
        inner = any(a.endswith("." + axis) for a in diagram.sizes)
        if inner:
            loose[axis] = value
        if axis in diagram.sizes:
            size = diagram.sizes[axis]
            words = f"`{axis} = {value}`" + ("" if size == Poly.var(axis) else f" with `{axis} = {size}`")
            constraints.append((size - value, words, None))
        elif any(axis in default.variables() for _, default in diagram.defaults):
            constraints.append((Poly.var(axis) - value, f"`{axis} = {value}`", None))
        elif not inner and axis not in diagram.declared:
            known = ", ".join(a for a in diagram.sizes if "." not in a)
            raise fail("E406", f"a size is given for `{axis}`, which is no axis of `{diagram.name}`", help=f"its axes are: {known}")
    for equation in diagram.equations:
        constraints.append((equation.left - equation.right, f"`{equation.left} = {equation.right}`", equation.span))
    values: dict[str, int] = {}
    _propagate(constraints, values)
    inputs = {a for i in diagram.inputs for a in i.layout}
    while True:
        readings = _plan(diagram, values, constraints) if run_time else ()
        read = {r.variable for r in readings}
        missing = sorted(diagram.free_sizes() - values.keys() - read)
        on_weight = {v for w in diagram.weights for a in w.layout for v in diagram.sizes[a].variables()}
        missing += sorted(v for v in read if v in on_weight)
        if not missing:
            return Solution(values, readings)
        if not _fallback(diagram, missing, loose, constraints, values):
            raise _missing(diagram, missing[0], inputs)


def concerning(diagram: Diagram, given: Mapping[str, int]) -> dict[str, int]:
    """Those sizes that name an axis of the diagram: one of its own, or by the end of its name one of a part or call inside (`w` or `mask.w`).

    >>> from anatomy import load
    >>> concerning(load("zoo:sliding_window"), {"h": 4, "w": 8, "r": 2})
    {'h': 4, 'w': 8}
    """
    known = {v for _, size in diagram.defaults for v in size.variables()} | diagram.sizes.keys()
    return {axis: n for axis, n in given.items() if axis in known or any(a.endswith(f".{axis}") for a in diagram.sizes)}


def _fallback(
    diagram: Diagram, missing: list[str], loose: dict[str, int],
    constraints: list[tuple[Poly, str, Span | None]], values: dict[str, int],
) -> bool:  # fmt: skip
    """One more equation from `--size a=` for inner axes, or from `axis m = n`; of several, the longest name counts: `mask.w` before `w`."""
    for variable in missing:
        parts = variable.split(".")
        tail = next((t for k in range(1, len(parts)) if (t := ".".join(parts[k:])) in loose), None)
        if tail is not None:
            constraints.append((Poly.var(variable) - loose[tail], f"`{variable} = {loose[tail]}`", None))
            _propagate(constraints, values)
            return True
    for axis, size in diagram.defaults:
        value = size.substitute(dict(values)).constant()
        mine = diagram.sizes[axis]
        if value is not None and mine.variables() & set(missing):
            constraints.append((mine - value, f"`{axis} = {value}`", None))
            _propagate(constraints, values)
            return True
    return False


def _propagate(constraints: list[tuple[Poly, str, Span | None]], values: dict[str, int]) -> None:
    changed = True
    while changed:
        changed = False
        for poly, words, span in constraints:
            rest = poly.substitute(dict(values))
            if rest.constant() == 0:
                continue
            names = rest.variables()
            if not names:
                raise fail("E402", f"sizes contradict {words}: {_numbers(poly, values)}", span)
            if len(names) == 1:
                (name,) = names
                linear = rest.linear_in(name)
                slope = linear[0].constant() if linear else None
                if linear is None or not slope:
                    continue
                total = -(linear[1].constant() or 0)
                if slope < 0:
                    slope, total = -slope, -total
                if total % slope or total // slope < 1:
                    reason = f"{total} is not divisible by {slope}" if total > 0 else f"`{name}` would be {total / slope:g}"
                    raise fail("E402", f"no size of `{name}` satisfies {words}: {reason}", span)
                values[name] = total // slope
                changed = True


def _numbers(poly: Poly, values: Mapping[str, int]) -> str:
    left = Poly(tuple(t for t in poly.terms if t[1] > 0))
    right = -Poly(tuple(t for t in poly.terms if t[1] < 0))
    return f"{left.evaluate(values)} is not {right.evaluate(values)}"


def _plan(
    diagram: Diagram, values: Mapping[str, int], constraints: list[tuple[Poly, str, Span | None]]
) -> tuple[Reading, ...]:
    """Variables that input shapes determine, in an order in which each needs only earlier ones."""
    known = dict.fromkeys(values)
    plan: list[Reading] = []
    axes = list(dict.fromkeys(a for i in diagram.inputs for a in i.layout))
    changed = True
    while changed:
        changed = False
        for axis in axes:
            size = diagram.sizes[axis].substitute(dict(values))
            unknown = [v for v in sorted(size.variables()) if v not in known]
            if len(unknown) != 1:
                continue
            linear = size.linear_in(unknown[0])
            slope = linear[0].constant() if linear else None
            if linear is not None and slope and slope > 0:
                plan.append(Reading(unknown[0], axis, slope, linear[1]))
                known[unknown[0]] = None
                changed = True
        for poly, _, _ in constraints:
            rest = poly.substitute(dict(values))
            unknown = [v for v in sorted(rest.variables()) if v not in known]
            if len(unknown) == 1:
                linear = rest.linear_in(unknown[0])
                slope = linear[0].constant() if linear else None
                if linear is not None and slope:
                    sign = 1 if slope > 0 else -1
                    plan.append(Reading(unknown[0], "", abs(slope), linear[1] * sign))
                    known[unknown[0]] = None
                    changed = True
    return tuple(plan)


def _missing(diagram: Diagram, variable: str, inputs: set[str]) -> AnatomyError:
    holder = next((w for w in diagram.weights if variable in {v for a in w.layout for v in diagram.sizes[a].variables()}), None)
    carriers = [a for a in diagram.sizes if variable in diagram.sizes[a].variables()]
    names = list(dict.fromkeys([variable, *(a for a in carriers if "." not in a)]))
    help = "give it: " + " or ".join(f"`--size {n}=...`" for n in names[:3])
    if holder is not None:
        return fail("E403", f"the size of `{variable}` is needed: weight `{holder.key}` has it", holder.span, help=help)
    return fail("E403", f"the size of `{variable}` is not determined by any input, equation or `--size`", diagram.span, help=help)
