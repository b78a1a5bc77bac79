"""The walk through a diagram: what is known of every wire, and the claims of every step, written or checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from flint import arb

from anatomy.certificates.affine import Form, ends, itself, norms
from anatomy.certificates.facts import Fact, Gains, scaled, sum_of, through
from anatomy.certificates.model import Broken, Claim, Gain, Graph, Node, Port, Step
from anatomy.certificates.numbers import Tape, down, root, up
from anatomy.certificates.softmax import Attention, peak
from anatomy.certificates.tensors import Tensor, count, greatest, spend, square_sums


class Lacking(Exception):
    """There is no rule for an operation, or its conditions do not hold, so that nothing is certified."""


@dataclass(frozen=True, eq=False)
class View:
    """A wire under the names of a node."""

    wire: int
    axes: frozenset[str]
    tokens: frozenset[str]
    form: Form
    names: dict[str, str]
    """From axes of the wire to names here."""

    @property
    def value(self) -> Tensor | None:
        return self.form.value


@dataclass(frozen=True, eq=False)
class Scores:
    """What a softmax was taken of, under the names of its result."""

    view: View
    own: frozenset[str]
    allowed: Tensor | None
    known: bool
    width: arb
    least: int
    many: bool
    mass: arb | None = None
    """For entmax, a bound of the sum of p^(2 - alpha) along a row; None for a softmax."""

    def peak(self, n: int) -> arb:
        """The greatest weight in a row with n keys, or with at least n."""
        return arb(min(n, 1)) if self.mass is not None or n <= 1 else peak(n, self.width)


@dataclass(frozen=True, eq=False)
class Product:
    """Two factors that depend on inputs, under the names of their product; summed axes have names of their own."""

    factors: tuple[View, View]
    summed: frozenset[str]


@dataclass
class State:
    """Everything known at one moment of the walk."""

    graph: Graph
    sizes: dict[str, int]
    forms: dict[int, Form] = field(default_factory=dict)
    tokens: dict[int, frozenset[str]] = field(default_factory=dict)
    facts: dict[int, Fact] = field(default_factory=dict)
    curves: dict[int, tuple[View, arb]] = field(default_factory=dict)
    """Functions of one real: of what, and their greatest slope."""
    masks: dict[int, tuple[Tensor | None, View]] = field(default_factory=dict)
    scores: dict[int, Scores] = field(default_factory=dict)
    products: dict[int, Product] = field(default_factory=dict)
    attentions: dict[int, Attention] = field(default_factory=dict)
    producer: dict[int, Node] = field(default_factory=dict)
    tape: Tape = field(default_factory=Tape)
    rules: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()
    """The rules that the step under check names."""
    claims: list[Claim] = field(default_factory=list)
    extra: int = 0
    _read: dict[int, Fact] = field(default_factory=dict)

    # reading ----------------------------------------------------------------------------------

    def view(self, port: Port, masked: bool = False) -> View:
        """A wire through a port; a masked one only where its rule knows what to make of it."""
        if port.wire not in self.forms:
            raise Broken("graph", f"wire {port.wire} is read before it is made")
        if port.wire in self.masks and not masked:
            raise Lacking("a masked value is used outside a softmax")
        table = dict(port.names)
        axes = frozenset(table)
        if axes != frozenset(self.graph.wires[port.wire].axes) or len(set(table.values())) != len(port.names) or len(table) != len(port.names):
            raise Broken("graph", f"a port does not name the axes of wire {port.wire}")
        for a, b in table.items():
            if self.sizes.get(a, -1) != self.sizes.get(b, -2):
                raise Broken("graph", f"`{a}` and `{b}` differ in size")
        return View(port.wire, frozenset(table.values()), frozenset(table[a] for a in self.tokens[port.wire]), self.forms[port.wire].rename(table), table)

    def renamed(self, view: View, table: dict[str, str]) -> View:
        return View(
            view.wire, frozenset(table.get(a, a) for a in view.axes), frozenset(table.get(a, a) for a in view.tokens),
            view.form.rename(table), {a: table.get(b, b) for a, b in view.names.items()},
        )  # fmt: skip

    def fact(self, view: View) -> Fact:
        """What is proved of a wire, read through its form once."""
        if view.wire < 0:
            return self.read(view.form, view.axes, view.tokens)
        if view.wire not in self._read:
            back = {b: a for a, b in view.names.items()}
            here = self.renamed(view, back)
            self._read[view.wire] = self.read(here.form, here.axes, here.tokens)
        return self._read[view.wire].rename(view.names)

    def read(self, form: Form, axes: frozenset[str], tokens: frozenset[str]) -> Fact:
        """Bounds of an affine function of earlier wires."""
        if len(form.terms) == 1 and form.offset is None and not form.terms[0].map.axes:
            t = form.terms[0]
            factor = t.map.data[()]
            if len(t.links) == len(t.axes) and set(t.links.values()) == axes and t.base not in self.attentions:
                # A multiple of one wire.
                base, size = self.facts[t.base].rename(t.links).parted(tokens, self.sizes), abs(factor)
                ends_ = [base.low * factor, base.high * factor]
                return Fact(axes, tokens, ends_[0].min(ends_[1]), ends_[0].max(ends_[1]), size * base.radius, through(scaled(size), base.gains))
        gains: Gains = {}
        radius = arb(0)
        for t in form.terms:
            spend(150)
            base = self.facts[t.base]
            size = norms(self.tape, t, axes, tokens, base, self.sizes)
            found = through(size, base.gains)
            if t.base in self.attentions:
                found = self.attentions[t.base].folded(self.tape, t, axes, tokens, found, self.sizes)
            gains, radius = sum_of(gains, found), radius + size[2] * base.radius
        low, high = ends(form, self.facts.__getitem__, self.sizes)
        if form.offset is not None:
            radius = radius + self._rows(form.offset, axes, tokens)
        return Fact(axes, tokens, low, high, radius, gains).tight(self.sizes)

    def _rows(self, x: Tensor, axes: frozenset[str], tokens: frozenset[str]) -> arb:
        """The greatest norm of a token of a constant."""
        outer, within = ([a for a in x.axes if (a in tokens) == token] for token in (True, False))
        norm = greatest(np.asarray(square_sums(x.order([*outer, *within]), len(within)), dtype=object).ravel()) if within else greatest(y * y for y in x.data.ravel())
        return root(norm) * root(arb(count(axes - tokens - set(x.axes), self.sizes)))

    # writing ----------------------------------------------------------------------------------

    def constant(self, wire: int, value: Tensor) -> None:
        self.affine(wire, Form((), value), frozenset())

    def affine(self, wire: int, form: Form, tokens: frozenset[str]) -> None:
        """A wire that is an affine function of earlier ones."""
        self.forms[wire], self.tokens[wire] = form, tokens

    def base(self, wire: int, fact: Fact) -> None:
        """A wire that later ones refer to: what was proved of it here is weighed against what is claimed."""
        self.claims.append(_claim(wire, fact))
        self.facts[wire] = fact
        self.forms[wire], self.tokens[wire] = itself(wire, fact.axes), fact.tokens

    def virtual(self) -> int:
        """The number of a wire that the diagram does not have: a partial product."""
        self.extra += 1
        return len(self.graph.wires) + self.extra - 1

    def seen(self, wire: int) -> View:
        """A wire under its own names."""
        fact = self.facts[wire]
        return View(wire, fact.axes, fact.tokens, self.forms[wire], {a: a for a in fact.axes})

    def fresh(self, wire: int, axes: frozenset[str]) -> dict[str, str]:
        """Names for summed axes that occur nowhere else."""
        table = {a: f"|{wire}|{a}" for a in axes}
        self.sizes.update({b: self.sizes[a] for a, b in table.items()})
        return table


def _claim(wire: int, fact: Fact) -> Claim:
    gains = tuple(Gain(input=k, one=up(g[0]), two=up(g[1]), inf=up(g[2])) for k, g in sorted(fact.gains.items()))
    return Claim(wire=wire, tokens=tuple(sorted(fact.tokens)), low=down(fact.low), high=up(fact.high), radius=up(fact.radius), gains=gains)


def accept(step: Step, proved: Sequence[Claim]) -> None:
    """Whether every claim follows from what was proved: intervals wider, norms larger, the same wires and tokens."""
    if [c.wire for c in step.claims] != [c.wire for c in proved]:
        raise Broken(f"step of node {step.node}", "claims other wires than the rules prove")
    for claim, found in zip(step.claims, proved, strict=True):
        place = f"step of node {step.node}, wire {claim.wire}"
        if claim.tokens != found.tokens:
            raise Broken(place, "other tokens than the rules give")
        pairs: list[tuple[str, Any, Any]] = [("radius", claim.radius, found.radius), ("high", claim.high, found.high), ("low", -claim.low, -found.low)]
        gains = {g.input: g for g in claim.gains}
        if len(gains) != len(claim.gains) or not gains.keys() >= {g.input for g in found.gains}:
            raise Broken(place, "the derivative in an input is missing")
        for g in found.gains:
            pairs += [(f"L{p} in input {g.input}", getattr(gains[g.input], p), getattr(g, p)) for p in ("one", "two", "inf")]
        for name, claimed, proves in pairs:
            if not claimed >= proves:
                raise Broken(place, f"claims {name} of {claimed!r}, but {proves!r} is what is proved")


def taken(claim: Claim, fact: Fact) -> Fact:
    """The claim as a fact for the steps after it."""
    gains = {g.input: (arb(g.one), arb(g.two), arb(g.inf)) for g in claim.gains}
    return replace(fact, low=arb(claim.low), high=arb(claim.high), radius=arb(claim.radius), gains=gains)
