"""That two forms are one diagram, or have one set of functions: proved, or not claimed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anatomy.errors import AnatomyError
from anatomy.ir.op import Problem
from anatomy.ir.term import term
from anatomy.language.filling import fill_one
from anatomy.language.program import Program
from anatomy.library.forms import Form, entry
from anatomy.rewrites.normal import form as normal_form
from anatomy.rewrites.relate import checked, reduced, relate, sizes, witness
from anatomy.rewrites.special import valued


@dataclass(frozen=True)
class Proof:
    """`by`: "term" (the same after merging equal boxes), "normal form", "weights" (each with the weights that give the other), "fill" (the
    second is the first with its own parts in the holes), or "witness" (the first with weights `forth` is the second; where the
    `restrictions` are inequalities of sizes, the second is the first under them, too).

    `forth` are the weights of the first in those of the second, `back` the reverse.
    """

    relation: str
    by: str
    forth: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    restrictions: tuple[str, ...] = ()

    def data(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items()}

    @staticmethod
    def read(data: dict[str, Any]) -> Proof:
        return Proof(data["relation"], data["by"], *(tuple(data[k]) for k in ("forth", "back", "restrictions")))


def proved(left: Form, right: Form) -> Proof | None:
    """The proof that two forms are one; of two forms of one mechanism without moves, that the second is the first with its own parts."""
    if left.entry == right.entry and not left.moves and not right.moves and set(left.open) > set(right.open):
        return filled_in(left, right)
    bare = not (left.open or left.moves or right.open or right.moves)
    return prove(left, right) or (greater(left, right) if bare else None)


def greater(left: Form, right: Form, seconds: float = 5.0) -> Proof | None:
    """Why the functions of one form are among those of another: the weights of the other as functions of its own.

    >>> greater(Form("synthesizer_random"), Form("synthesizer_factorised")).forth[0]
    'R := dot[c](R1, R2)'
    """
    try:
        found = relate(left.diagram(), right.diagram(), seconds)
    except (AnatomyError, Problem, KeyError):
        return None
    if found is None or found.conjecture or found.relation != ">=" or found.greater != "left":
        return None
    return Proof(">=", "witness", tuple(f.text for f in found.forth), tuple(f.text for f in found.back), (*found.restrictions, *found.conditions))


def filled_in(source: Form, made: Form) -> Proof | None:
    """Why a form with more parts open becomes the other when its own parts are put into those holes; tied weights are tied again.

    >>> filled_in(Form("mha", ("score", "mixing")), Form("mha", ("mixing",)))
    Proof(relation='>=', by='fill', forth=(), back=(), restrictions=())
    """
    found = entry(source.entry)
    here, goal = source.diagram(), made.diagram()
    program = Program.of_file(found.path)
    try:
        for label in source.open:
            if label not in made.open and label in here.holes:
                part = next(p for p in found.parts if p.name == label)
                here = fill_one(here, label, program.get(part.address))
        for weight in goal.weights:
            for other in weight.keys[1:]:
                if all(other not in w.keys or weight.key not in w.keys for w in here.weights):
                    here = valued(here, other, weight.key)
        return Proof(">=", "fill") if term(here) == term(goal) or normal_form(here) == normal_form(goal) else None
    except (AnatomyError, Problem):
        return None


def prove(made: Form, goal: Form) -> Proof | None:
    """Why two forms are one diagram, or have the same functions; None where that is not proved.

    >>> prove(Form("sliding_window", (), ("mask.w >= n",)), Form("causal_mha"))
    Proof(relation='==', by='term', forth=(), back=(), restrictions=())
    """
    if made == goal:
        return Proof("==", "term")
    a, b = made.diagram(), goal.diagram()
    if sum(w.frozen for w in a.weights) != sum(w.frozen for w in b.weights):
        return None
    try:
        if term(a) == term(b):
            return Proof("==", "term")
        if normal_form(a) == normal_form(b):
            return Proof("==", "normal form")
        mine, theirs = reduced(a), reduced(b)
        if mine.form != theirs.form:
            return None
        forth, back = witness(mine, theirs), witness(theirs, mine)
        if checked(a, forth, sizes(mine, theirs), b) is True and checked(b, back, sizes(theirs, mine), a) is True:
            return Proof("~=", "weights", tuple(f.text for f in forth), tuple(f.text for f in back))
    except (AnatomyError, Problem, KeyError):
        return None
    return None
