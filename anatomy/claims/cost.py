"""What a diagram costs as its tokens grow: the leading monomials of its FLOPs, all other sizes fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anatomy.ir.analysis import flops
from anatomy.ir.graph import Diagram
from anatomy.ir.live import live
from anatomy.ir.poly import Poly
from anatomy.ir.strands import tokens

Powers = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Cost:
    """Leading monomials in the growing sizes, and whether a logarithm that the FLOPs count as constant belongs to them."""

    leading: tuple[Powers, ...]
    logarithm: bool = False

    def __str__(self) -> str:
        words = [" * ".join(a if p == 1 else f"{a}^{p}" for a, p in m) or "1" for m in self.leading]
        return " + ".join(w + (f" log {m[0][0]}" if self.logarithm and m else "") for w, m in zip(words, self.leading, strict=True))


def growing(diagram: Diagram, stated: str = "") -> tuple[str, ...]:
    """The size variables that grow when tokens are added: those of the token axes.

    Where the tokens are counted by a product (`n = b * c`, blocks of fixed size), those grow that no weight holds, and
    the head may state which (`# grows: b`).
    """
    if stated:
        return tuple(p.strip() for p in stated.split(",") if p.strip())
    settled = diagram.settled
    held = {v for w in diagram.weights for a in w.layout for v in settled.of(diagram.sizes[a]).variables()}
    found: dict[str, None] = {}
    for _, axis in tokens(diagram):
        variables = sorted(settled.of(diagram.sizes[axis]).variables())
        found.update(dict.fromkeys([v for v in variables if v not in held] or variables))
    return tuple(found)


def cost_of(diagram: Diagram, grown: tuple[str, ...]) -> Cost:
    """The cost of the boxes as they are written, in the growing sizes."""
    settled = diagram.settled
    total = settled.of(flops(diagram).substitute(_defaults(diagram)))
    monomials = {tuple((v, p) for v, p in m if v in grown) for m, _ in total.terms}
    leading = [m for m in monomials if not any(_divides(m, o) and m != o for o in monomials)]
    most = max((sum(p for _, p in m) for m in leading), default=0)
    leading = sorted(m for m in leading if sum(p for _, p in m) == most)
    boxes = (diagram.nodes[i] for i in live(diagram))
    slow = any(n.op.logarithmic and any(settled.of(diagram.sizes[a]).variables() & set(grown) for a in n.own) for n in boxes)
    return Cost(tuple(leading), slow and most == 1)


def claimed(text: str) -> Cost:
    """A claim as data.

    >>> str(claimed("n^2")), str(claimed("n log n"))
    ('n^2', 'n log n')
    """
    text, log, _ = text.partition(" log ")
    monomials = []
    for product in text.split(" + "):
        powers: dict[str, int] = {}
        for factor in product.split(" * "):
            name, _, power = factor.partition("^")
            if name != "1":
                powers[name] = powers.get(name, 0) + int(power or 1)
        monomials.append(tuple(sorted(powers.items())))
    return Cost(tuple(monomials), bool(log))


def matches(claim: Cost, found: Cost, names: Mapping[str, Powers]) -> bool:
    """Whether the claim names exactly the leading monomials; `names` says what grows in a token axis."""
    translated = set()
    for powers in claim.leading:
        mapped: dict[str, int] = {}
        for axis, power in powers:
            for name, times in names.get(axis) or ((axis, 1),):
                mapped[name] = mapped.get(name, 0) + power * times
        translated.add(tuple(sorted(mapped.items())))
    return translated == set(found.leading) and claim.logarithm == found.logarithm


def _divides(a: Powers, b: Powers) -> bool:
    other = dict(b)
    return all(other.get(v, 0) >= p for v, p in a)


def _defaults(diagram: Diagram) -> dict[str, Poly]:
    """`axis m = n` gives m its size where no input has it."""
    layouts = {a for i in diagram.inputs for a in i.layout}
    return {a: p for a, p in diagram.defaults if a not in layouts}
