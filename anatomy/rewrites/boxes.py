"""Sums of products written as boxes again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import REAL
from anatomy.ir.op import Op
from anatomy.ops import Add, Contract, Divide, Expand, Literal, Map, Multiply, Power, Reduce
from anatomy.rewrites.atoms import Box, Ref
from anatomy.rewrites.products import Algebra
from anatomy.rewrites.terms import Factor, Number, Sum, Term, parts, renamed, scaled


@dataclass
class Boxes:
    """Writes every atom once."""

    builder: Builder
    algebra: Algebra
    axes: dict[str, list[str]] = field(default_factory=dict)
    """For a size, axes that have it."""
    made: dict[Any, Any] = field(default_factory=dict)

    def view(self, ref: Ref, axes: Iterable[str] = ()) -> View:
        """An atom, repeated along `axes` that it lacks."""
        view = self._read(ref)
        lacking = tuple(dict.fromkeys(a for a in axes if a not in view.axes))
        return self.box(Expand(), lacking, [view]) if lacking else view

    def _read(self, ref: Ref) -> View:
        atom, args = ref
        if atom not in self.made:
            self.made[atom] = self._written(atom)
        wire, names = self.made[atom]
        return View(wire, tuple(zip(names, args, strict=True)))

    def _fresh(self, words: Iterable[str], used: Iterable[str] = ()) -> list[str]:
        """Axes of these sizes, all different."""
        taken = set(used)
        found = []
        for word in words:
            known = self.axes.setdefault(word, [self.algebra.axis[word]])
            k = 0
            while known[k] in taken:
                k += 1
                if k == len(known):
                    known.append(self._another(known[0]))
            taken.add(known[k])
            found.append(known[k])
        return found

    def _another(self, axis: str) -> str:
        stem = axis.partition("~")[0]
        k = 1
        while f"{stem}~{k}" in self.builder.axes:
            k += 1
        name = f"{stem}~{k}"
        self.builder.sizes.define(name, self.builder.sizes.of(axis))
        self.builder.axis(name)
        return name

    def _written(self, atom: int) -> tuple[int, tuple[str, ...]]:
        made = self.algebra.atoms[atom]
        if made.wire >= 0:
            return self._without_ones(View(made.wire, tuple((a, a) for a in self.builder.wires[made.wire].axes)), set(made.axes)), made.axes
        if made.box is not None:
            return self._box(made.box, made.out, made.axes)
        names = self._fresh(made.words)
        table = dict(zip(made.axes, names, strict=True))
        if made.exponential >= 0:
            view = self.box(Map("exp"), (), [self.view((made.exponential, tuple(names)))])
        else:
            view = self.sum(self.algebra.atoms.under(made.value or (), table))
        back = {b: a for a, b in view.renames}
        return view.wire, tuple(back[a] for a in names)

    def _without_ones(self, view: View, kept: set[str]) -> int:
        ones = tuple(a for a in view.axes if a not in kept)
        return self.box(Reduce("sum"), ones, [view]).wire if ones else view.wire

    def _box(self, box: Box, out: int, axes: Sequence[str]) -> tuple[int, tuple[str, ...]]:
        names = self._fresh(box.words)
        table = {f"${k}": name for k, name in enumerate(names)}
        key = (id(box), "outs")
        if key not in self.made:
            views = [self.view((o.atom, tuple(table[a] for a in o.args)), [table[a] for a in o.must]) for o in box.operands]
            self.made[key] = self.builder.add(box.op, tuple(table[a] for a in box.own), views, trusted=True)
        view = self.made[key][out]
        kept = tuple(table[a] for a in axes)
        wire = self._without_ones(view, set(kept)) if self.builder.wires[view.wire].kind == REAL else view.wire
        return wire, kept

    def box(self, op: Op, own: Sequence[str], views: Sequence[View]) -> View:
        key = (op, tuple(own), tuple(views))
        if key not in self.made:
            (self.made[key],) = self.builder.add(op, own, views, trusted=True)
        return self.made[key]

    # sums -------------------------------------------------------------------------------------

    def sum(self, terms: Sum) -> View:
        views = [self._term(t) for t in terms] or [self._number(0)]
        return self._chain(Add(), views)

    def _chain(self, op: Op, views: Sequence[View]) -> View:
        view = views[0]
        for more in views[1:]:
            view = self.box(op, (), [view, more])
        return view

    def _number(self, value: Number) -> View:
        key = ("number", value.numerator, value.denominator)
        if key not in self.made:
            self.made[key] = self.box(Literal(Fraction(value)), (), [])
        return self.made[key]

    def _term(self, term: Term) -> View:
        names = self._fresh(term.bound, term.axes)
        factors = renamed(term.factors, {f"#{k}": a for k, a in enumerate(names)}) if names else term.factors
        outer, groups = parts(factors, names)
        operands = self._operands(outer)
        operands.extend(self._contracted(group, [a for a in names if a in axes]) for group, axes in groups)
        if term.coefficient != 1 or not operands:
            operands.insert(0, self._number(term.coefficient))
        return self._chain(Multiply(), operands)

    def _operands(self, factors: Sequence[Factor]) -> list[View]:
        """Powers of atoms, reciprocals, one exponential."""
        atoms = self.algebra.atoms
        found, below = [], []
        exponent: list[Term] = []
        for atom, args, power in factors:
            inside = atoms[atom].exponential
            if inside >= 0:
                exponent.extend(scaled(atoms.read((inside, args)), power))
                continue
            if power == 1:
                found.append(self._read((atom, args)))
                continue
            times, part = divmod(abs(power), 1)
            ends: list[Number] = [1] * int(times) + ([part] if part else [])
            (found if power > 0 else below).extend([self._raised((atom, args), p if power > 0 else -p) for p in ends])
        if exponent:
            atom, args = atoms.ref(self.algebra.collect(exponent))
            found.append(self._once(("exp", atom), args, lambda view: self.box(Map("exp"), (), [view]), atom))
        return found + below

    def _raised(self, ref: Ref, power: Number) -> View:
        """An atom to a power between 0 and 1, or 1, or one below such a power.

        One reciprocal each: that of a product would be multiplied out when it is read again.
        """

        def raised(view: View) -> View:
            if abs(power) == Fraction(1, 2):
                view = self.box(Map("sqrt"), (), [view])
            elif abs(power) != 1:
                view = self.box(Power(), (), [view, self._number(abs(power))])
            return view if power > 0 else self.box(Divide(), (), [self._number(1), view])

        return self._read(ref) if power == 1 else self._once(("power", ref[0], power), ref[1], raised, ref[0])

    def _once(self, key: Any, args: tuple[str, ...], make: Callable[[View], View], atom: int) -> View:
        """A box of one atom, written under the atom's own axes and read under others."""
        if key not in self.made:
            inside = self._read((atom, self.made[atom][1])) if atom in self.made else self._read((atom, self._names(atom)))
            view = make(inside)
            back = {b: a for a, b in view.renames}
            self.made[key] = view.wire, tuple([back[a] for a in inside.axes])
        wire, names = self.made[key]
        return View(wire, tuple(zip(names, args, strict=True)))

    def _names(self, atom: int) -> tuple[str, ...]:
        return tuple(self._fresh(self.algebra.atoms[atom].words))

    def _contracted(self, group: Sequence[Factor], axes: Sequence[str]) -> View:
        """One contraction; what a single operand has is summed before."""
        operands = self._operands(group)
        holders = {a: [k for k, v in enumerate(operands) if a in v.axes] for a in axes}
        for k, view in enumerate(operands):
            alone = tuple(a for a in axes if holders[a] == [k])
            if alone:
                operands[k] = self.box(Reduce("sum"), alone, [view])
        shared = tuple(a for a in axes if len(holders[a]) > 1)
        return self.box(Contract(), shared, operands) if shared else self._chain(Multiply(), operands)
