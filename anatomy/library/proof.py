"""That two forms are one diagram, or have one set of functions: proved, or not claimed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anatomy.errors import AnatomyError
from anatomy.ir.op import Problem
from anatomy.ir.term import term
from anatomy.library.forms import Form
from anatomy.rewrites.normal import form as normal_form
from anatomy.rewrites.relate import checked, reduced, sizes, witness


@dataclass(frozen=True)
class Proof:
    """`by`: "term" (the same after merging equal boxes), "normal form", or "weights" (each with the weights that give the other).

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
        return Proof(**{k: tuple(v) if isinstance(v, list) else v for k, v in data.items()})


def prove(made: Form, goal: Form) -> Proof | None:
    """Why two forms are one diagram, or have the same functions; None where that is not proved.

    >>> prove(Form("sliding_window", (), ("mask.w >= n",)), Form("causal_mha"))
    Proof(relation='==', by='normal form', forth=(), back=(), restrictions=())
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
