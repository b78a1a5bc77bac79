"""What sums of products are made of: wires that are given, sums taken as one factor, exponentials, and other boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from anatomy.ir.graph import REAL, Kind
from anatomy.ir.op import Op
from anatomy.rewrites.arrange import arranged
from anatomy.rewrites.terms import Factor, Sum, Term, closed, opened, renamed

Ref = tuple[int, tuple[str, ...]]
"""An atom under the axes that it is read with."""


@dataclass(frozen=True, slots=True)
class Operand:
    """What a box reads, under the box's own names; the axes in `must` are there even where the atom lacks them."""

    atom: int
    args: tuple[str, ...]
    must: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Box:
    """A box that is no arithmetic; its axes are called `$0`, `$1`, ... and have the sizes in `words`."""

    op: Op
    own: tuple[str, ...]
    operands: tuple[Operand, ...]
    words: tuple[str, ...]
    stems: tuple[str, ...]
    serial: int = -1
    """Of a hole, noise or a loop, which is like no other box."""


@dataclass(slots=True)
class Atom:
    """One of four: a given `wire`; a `value`, a sum under the names in `axes`; the `exponential` of an atom with these axes; output `out` of a `box`.

    Axes of size one are left out, except of masks and indices. `infinite`: it may hold -inf by a mask.
    `truth`: it is 0 or 1. `positive`: greater than 0. `nonnegative`. `partial`: it may have no value somewhere.
    """

    axes: tuple[str, ...]
    words: tuple[str, ...]
    wire: int = -1
    value: Sum | None = None
    exponential: int = -1
    box: Box | None = None
    out: int = 0
    infinite: bool = False
    truth: bool = False
    positive: bool = False
    nonnegative: bool = False
    partial: bool = False
    cancels: bool = False
    """A positive sum over bound axes: as a denominator it cancels against the sum itself."""


@dataclass
class Atoms:
    """All atoms of one normal form, numbered; one that is made again under other names is the same one."""

    word: Callable[[str], str]
    table: list[Atom] = field(default_factory=list)
    turns: dict[int, list[tuple[int, ...]]] = field(default_factory=dict)
    known: dict[Any, Any] = field(default_factory=dict)

    def __getitem__(self, atom: int) -> Atom:
        return self.table[atom]

    def add(self, atom: Atom) -> int:
        self.table.append(atom)
        return len(self.table) - 1

    # flags ------------------------------------------------------------------------------------

    def finite(self, terms: Iterable[Term]) -> bool:
        table = self.table
        return not any(table[f[0]].infinite for t in terms for f in t[1])

    def finite_term(self, term: Term) -> bool:
        table = self.table
        return not any(table[f[0]].infinite for f in term[1])

    def defined(self, terms: Iterable[Term]) -> bool:
        """Finite, and without a denominator that may be 0 or a function that has no value somewhere."""
        table = self.table
        for t in terms:
            for atom, _, power in t.factors:
                a = table[atom]
                if a.infinite or a.partial or (power < 0 and not a.positive):
                    return False
        return True

    def positive(self, term: Term) -> bool:
        return term.coefficient > 0 and all(self.table[f[0]].positive for f in term.factors)

    def nonnegative(self, term: Term) -> bool:
        if term.coefficient <= 0:
            return False
        for atom, _, power in term.factors:
            a = self.table[atom]
            if not (a.positive or a.nonnegative or power % 2 == 0) or a.infinite:
                return False
        return True

    def above_zero(self, terms: Sum) -> bool:
        """Whether a sum is positive: no term is negative, and one is positive."""
        return any(map(self.positive, terms)) and all(map(self.nonnegative, terms))

    # sums -------------------------------------------------------------------------------------

    def ref(self, terms: Sum) -> Ref:
        """A sum as one atom; one that is an atom is that atom."""
        if len(terms) == 1:
            c, factors, bound = terms[0]
            if c == 1 and len(factors) == 1 and not bound and factors[0].power == 1:
                return factors[0].atom, factors[0].args
        key = ("ref", terms)
        if key not in self.known:
            self.known[key] = self._named(terms)
        return self.known[key]

    def _named(self, terms: Sum) -> Ref:
        """A sum under names of its own: the same atom for all sums that differ in names only."""
        colours: dict[str, Any] = {a: (0, self.word(a), 0) for t in terms for a in t.axes}
        orders = [list(colours)]
        if len({c for _, c, _ in colours.values()}) < len(colours):
            edges = []
            for k, t in enumerate(terms):
                names = {f"#{i}": f"%{k}.{i}:{word}" for i, word in enumerate(t.bound)}
                colours |= {name: (1, t.bound[i], 0) for i, name in enumerate(names.values())}
                mark: tuple[str, ...] = ()
                if len(terms) > 1:
                    mark = (f"@{k}",)
                    colours[mark[0]] = (2, "", t.coefficient)
                for f in renamed(t.factors, names) if names else t.factors:
                    edges.append(((f.atom, f.power), (*mark, *f.args)))
            turns = self.turns if len(terms) == 1 else {
                atom: [(0, *(i + 1 for i in turn)) for turn in found] for atom, found in self.turns.items()
            }  # fmt: skip
            orders = arranged(edges, colours, turns)
        elif len(colours) > 1:
            orders = [sorted(colours, key=colours.__getitem__)]
        free = [a for a in orders[0] if colours[a][0] == 0]
        table = {a: f"${k}" for k, a in enumerate(free)}
        words = tuple(colours[a][1] for a in free)
        value = tuple(sorted([self.rename(t, table) for t in terms], key=lambda t: t[1:]))
        key = ("sum", value, words)
        if key not in self.known:
            atom = Atom(
                tuple(table.values()), words, value=value, infinite=not self.finite(terms), partial=not self.defined(terms),
                positive=self.above_zero(terms), nonnegative=all(map(self.nonnegative, terms)),
            )  # fmt: skip
            atom.cancels = atom.positive and len(terms) == 1 and bool(terms[0].bound)
            self.known[key] = self.add(atom)
            self._turn(self.known[key], free, [[a for a in order if colours[a][0] == 0] for order in orders[1:]])
        return self.known[key], tuple(free)

    def _turn(self, atom: int, base: list[str], others: Sequence[list[str]]) -> None:
        turns = sorted({tuple(base.index(a) for a in order) for order in others} - {tuple(range(len(base)))})
        if turns:
            self.turns[atom] = turns

    def rename(self, term: Term, table: Mapping[str, str]) -> Term:
        """A term with other names for its axes; what was in one form is so again."""
        if not table:
            return term
        if len(term.bound) < 2 and not self.turns:
            return Term(term[0], tuple(sorted(renamed(term.factors, table))), term.bound)
        key = ("rename", term[1:], tuple(table.items()))
        if key not in self.known:
            factors, names = opened(term)
            self.known[key] = closed(1, renamed(factors, table), names, self.turns)
        return self.known[key]._replace(coefficient=term.coefficient)

    def read(self, ref: Ref) -> Sum:
        """The sum that an atom stands for."""
        atom, args = ref
        value = self.table[atom].value
        if value is None:
            return (Term(1, (Factor(atom, args),)),)
        return self.under(value, dict(zip(self.table[atom].axes, args, strict=True)))

    def under(self, terms: Sum, table: Mapping[str, str]) -> Sum:
        table = {a: b for a, b in table.items() if a != b}
        return tuple(sorted([self.rename(t, table) for t in terms], key=lambda t: t[1:])) if table else terms

    def exponential(self, ref: Ref) -> Ref:
        """exp of an atom."""
        atom, args = ref
        key = ("exp", atom)
        if key not in self.known:
            of = self.table[atom]
            self.known[key] = self.add(
                Atom(of.axes, of.words, exponential=atom, positive=True, nonnegative=True, infinite=of.infinite, partial=of.partial)
            )
            if atom in self.turns:
                self.turns[self.known[key]] = self.turns[atom]
        return self.known[key], args

    # boxes ------------------------------------------------------------------------------------

    def box(
        self, op: Op, own: Sequence[str], reads: Sequence[tuple[Ref, Iterable[str]]], kinds: Sequence[Kind] = (REAL,), alone: bool = False
    ) -> list[Ref]:
        """The outputs of a box that reads some atoms; operands that lack an axis that they are given with are repeated along it."""
        must = [tuple(sorted(set(axes).difference(ref[1]))) for ref, axes in reads]
        given = (op, tuple(own), tuple((ref, m) for (ref, _), m in zip(reads, must, strict=True)), tuple(kinds))
        if not alone and given in self.known:
            return self.known[given]
        colours: dict[str, Any] = {a: (0 if op.symmetric else k, self.word(a)) for k, a in enumerate(own)}
        for (_, args), more in zip((r for r, _ in reads), must, strict=True):
            colours.update({a: (len(own), self.word(a)) for a in (*args, *more) if a not in colours})
        edges = []
        for k, ((atom, args), _) in enumerate(reads):
            place = 0 if op.commutative else k
            edges.append(((atom, place), args))
            edges.extend(((-1, place), (a,)) for a in must[k])
        orders = arranged(edges, colours, self.turns)
        base = orders[0]
        table = {a: f"${k}" for k, a in enumerate(base)}
        operands = [
            Operand(atom, tuple(table[a] for a in args), tuple(table[a] for a in m))
            for ((atom, args), _), m in zip(reads, must, strict=True)
        ]
        if op.commutative:
            operands.sort(key=lambda o: (o.atom, o.args, o.must))
        mine = tuple(table[a] for a in own)
        words = tuple(colours[a][1] for a in base)
        stems = tuple(a.lstrip("%$#0123456789:").partition("~")[0] or "a" for a in base)
        key = (op, tuple(sorted(mine)) if op.symmetric else mine, tuple(operands), words, tuple(kinds))
        if alone or key not in self.known:
            box = Box(op, mine, tuple(operands), words, stems, len(self.table) if alone else -1)
            self.known[key if not alone else (key, box.serial)] = box
            outs = self._outs(box, kinds)
            self.known[id(box)] = outs
            for atom, places in outs:
                free = [base[int(p[1:])] for p in places]
                if not alone:
                    self._turn(atom, free, [[order[int(p[1:])] for p in places] for order in orders[1:]])
        else:
            box = self.known[key]
        names = {b: a for a, b in table.items()}
        result = [(atom, tuple(names[p] for p in places)) for atom, places in self.known[id(box)]]
        if not alone:
            self.known[given] = result
        return result

    def _outs(self, box: Box, kinds: Sequence[Kind]) -> list[Ref]:
        own = set(box.own)
        lifts = tuple(dict.fromkeys(a for o in box.operands for a in (*o.args, *o.must) if a not in own))
        size = {f"${k}": word for k, word in enumerate(box.words)}
        infinite = any(self.table[o.atom].infinite for o in box.operands)
        partial = any(self.table[o.atom].partial for o in box.operands)
        outs = []
        for k, (given, kind) in enumerate(zip(box.op.gives(box.own), kinds, strict=True)):
            axes = tuple(a for a in (*lifts, *given) if kind != REAL or size[a] != "1")
            atom = Atom(axes, tuple(size[a] for a in axes), box=box, out=k, infinite=infinite, partial=partial)
            outs.append((self.add(atom), axes))
        return outs

    def under_box(self, ref: Ref) -> tuple[Box, dict[str, str]]:
        """The box that makes an atom, and its axes under the names of the reader; those that the reader lacks get names."""
        atom = self.table[ref[0]]
        assert atom.box is not None
        table = dict(zip(atom.axes, ref[1], strict=True))
        for k, word in enumerate(atom.box.words):
            table.setdefault(f"${k}", f"%{len(self.table)}.{k}:{word}")
        return atom.box, table

    def operand(self, box: Box, table: Mapping[str, str], k: int) -> Ref:
        return box.operands[k].atom, tuple(table[a] for a in box.operands[k].args)
