"""Why two members are one, or where they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anatomy.ir.canonical import digest
from anatomy.rewrites.equality import Counterexample, related
from anatomy.spaces.funnel.algebra import algebra
from anatomy.spaces.funnel.classes import differing
from anatomy.spaces.funnel.forms import WIDE, Form, agree, form, series
from anatomy.spaces.funnel.points import by_key, place, points

if TYPE_CHECKING:
    from anatomy.rewrites.relate import Relation
    from anatomy.spaces.space import Space

WORDS = {
    "L1": "are one diagram",
    "L2": "are equal by the laws",
    "L2 redrawn": "are the same function; their weights are drawn in different ways, so they are not merged",
    "L2 refuted": "have one normal form and different values: a law has no value there, so they are not merged",
    "L3a": "are equal by algebra",
    "L3b": "are equal in numbers, without a derivation: a conjecture, so they are not merged",
    "L4": "have the same functions, by other weights; training differs, so they are not merged",
    "different": "are different functions",
    "undecided": "could not be told apart, nor proved equal",
}


@dataclass(frozen=True)
class Explanation:
    """What is known of two members.

    `level`: the first at which they are one, `different`, or `undecided`. `steps`: the laws that lead from both sides to
    one diagram, each with its side. `error`: of algebra, the chance that it is wrong. `relation`: where the functions of
    the one are among those of the other, by which weights.
    """

    kept: int
    alias: int
    level: str
    differ: tuple[tuple[str, str, str], ...]
    steps: tuple[tuple[str, str], ...] = ()
    error: float | None = None
    counterexample: Counterexample | None = None
    relation: Relation | None = None
    note: str = ""

    @property
    def merged(self) -> bool:
        return self.level in ("L1", "L2", "L3a")

    def as_data(self) -> dict[str, Any]:
        c, relation = self.counterexample, self.relation
        return {
            "index": self.kept, "alias": self.alias, "level": self.level, "merged": self.merged, "meaning": WORDS[self.level],
            "differ": [{"decision": name, "index": a, "alias": b} for name, a, b in self.differ],
            "derivation": [{"side": side, "rule": rule} for side, rule in self.steps],
            "error": self.error,
            "counterexample": None if c is None else {"sizes": {"left": c.sizes[0], "right": c.sizes[1]}, "seed": c.seed, "scale": c.scale, "difference": c.difference},
            "relation": None if relation is None else {
                "relation": relation.relation, "greater": relation.greater or None, "conjecture": relation.conjecture,
                "forth": [f.text for f in relation.forth], "back": [f.text for f in relation.back],
            },
            "note": self.note,
        }  # fmt: skip

    def as_text(self) -> str:
        lines = [f"{self.kept} and {self.alias} {WORDS[self.level]}."]
        if self.differ:
            wide = max(len(name) for name, _, _ in self.differ)
            left = max(len(a) for _, a, _ in self.differ)
            lines += ["", *(f"  {name:<{wide}}  {a:<{left}}  |  {b}" for name, a, b in self.differ)]
        for side, rank in (("left", self.kept), ("right", self.alias)):
            laws = [rule for s, rule in self.steps if s == side]
            if laws:
                lines += ["", f"  {rank} is rewritten by", *(f"    {k}. {law}" for k, law in enumerate(laws, 1))]
        if self.level == "L1":
            lines += ["", "  Their canonical forms are equal: names, and the order of operands that commute, are all that differs."]
        if self.level == "L2":
            lines += ["", "  Both ways lead to one diagram." if self.steps else "  They are one term: equal boxes merged."]
        if self.error is not None:
            lines += ["", f"  They agree modulo a prime near 2^61 at random points; different functions do so by a chance < {self.error:.0e}."]
        if self.counterexample is not None:
            c = self.counterexample
            sizes = ", ".join(f"{a}={n}" for a, n in c.sizes[0].items() if "~" not in a and "." not in a)
            lines += ["", f"  They differ by {c.difference:.3g} at {sizes}, where inputs and weights are normal numbers (seed {c.seed}) times {c.scale:g}."]
        if self.relation is not None and self.relation.relation != "==":
            lines += ["", f"  {self.kept} {'~=' if self.relation.relation == '~=' else '>=' if self.relation.greater == 'left' else '<='} {self.alias} as sets of functions, by the weights"]
            lines += [f"    {f.text}" for f in (*self.relation.forth, *self.relation.back)]
        return "\n".join([*lines, *(["", f"  {self.note}"] if self.note else [])])


def explain(space: Space, kept: int, alias: int, seconds: float = 2.0) -> Explanation:
    """Compare two members by rank at every level; for each side the laws by name, or values that tell them apart.

    A derivation and a relation of their functions are looked for up to `seconds` each.

    >>> from anatomy.api import space
    >>> found = explain(space("zoo:spaces/scores"), 96, 288)
    >>> found.level, found.differ
    ('L1', (('feature', 'plain', 'unit'), ('score', 'cosine', 'sharp')))
    """
    a, b = space[kept].diagram, space[alias].diagram
    differ = differing(space, kept, alias)
    if digest(a) == digest(b):
        return Explanation(kept, alias, "L1", differ)
    found = related(a, b, seconds=seconds)
    forms = form(a), form(b)
    where = points(place(space))
    if found.proved:
        redrawn = found.normal_form and _redrawn(*forms)
        return Explanation(kept, alias, "L2 redrawn" if redrawn else "L2", differ, found.derivation or ())
    if forms[0].key is not None and forms[0].key == forms[1].key:
        return Explanation(kept, alias, "L2 refuted", differ, _laws(*forms), counterexample=found.counterexample)
    exact = algebra(a, where), algebra(b, where)
    same = agree(*(series(d, by_key(d), where[:3], 1, WIDE) for d in (a, b)))
    if found.evaluation is not False and same is not False and exact[0] is not None and exact[1] is not None and exact[0].key == exact[1].key:
        return Explanation(kept, alias, "L3a", differ, error=max(exact[0].error, exact[1].error), relation=found.relation)
    relation = found.relation if found.relation is not None and not found.relation.conjecture else None
    if found.evaluation and same is not False:
        note = found.sought.words if found.sought is not None else ""
        return Explanation(kept, alias, "L3b", differ, note=note)
    if relation is not None and relation.relation == "~=":
        return Explanation(kept, alias, "L4", differ, counterexample=found.counterexample, relation=relation)
    note = ""
    if found.evaluation:
        note = "They agree at the usual points; far from them (inputs and weights scaled by 0.01 or 6) they do not."
    elif found.evaluation is None and same is None:
        note = "Their weights have different names or types, so their values were not compared."
    level = "different" if found.evaluation is False or same is False else "undecided"
    return Explanation(kept, alias, level, differ, counterexample=found.counterexample, relation=relation, note=note)


def _redrawn(a: Form, b: Form) -> bool:
    return a.function is not None and a.function == b.function and a.key != b.key


def _laws(a: Form, b: Form) -> tuple[tuple[str, str], ...]:
    return (*(("left", law) for law in a.laws), *(("right", law) for law in b.laws))
