"""Sizes that a space decides: an axis becomes a number, and whatever depends on it follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from anatomy.ir.graph import Diagram, Equation
from anatomy.ir.poly import Poly


def sized(diagram: Diagram, sizes: Mapping[str, int]) -> Diagram:
    """The diagram in which axis a has size `sizes[a]`, wherever a size is written: as `where a = 2` in the header gives.

    Inner axes of what was called or filled in that bear the name (`score.r`) get the number too, as `--size r=2` gives it.
    An axis with a size of its own, `a = 2 * h`, gives an equation for `h`. Sizes that contradict are found by whoever solves
    them (E402).

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis n, d, r diagram f(x: [n, d]) -> [n, d] { out lin B[r -> d](lin A[d -> r](x)) }"
    >>> str(sized(Program.of(Source("f.anat", text)).get("f"), {"r": 2}).sizes["r"])
    '2'
    """
    values: dict[str, Poly] = {}
    equations: list[Equation] = []
    for axis, size in diagram.sizes.items():
        tail = axis.rpartition(".")[2]
        if tail not in sizes:
            continue
        number = Poly.of(sizes[tail])
        if size == Poly.var(axis):
            values[axis] = number
        elif axis == tail and size != number:
            equations.append(Equation(size, number, diagram.span))
    if not values and not equations:
        return diagram

    def known(poly: Poly) -> Poly:
        return poly.substitute(values)

    given = [Equation(known(e.left), e.right, e.span) for e in equations]
    header = {a for end in (*diagram.inputs, *diagram.outputs) for a in end.layout}
    stated = [Equation(Poly.var(a), Poly.of(sizes[a]), diagram.span) for a in sizes if a in header]
    return replace(
        diagram,
        sizes={a: known(p) for a, p in diagram.sizes.items()},
        equations=(*(Equation(known(e.left), known(e.right), e.span) for e in diagram.equations), *given),
        defaults=tuple((a, known(p)) for a, p in diagram.defaults if a not in values),
        where=(*diagram.where, *stated),
    )
