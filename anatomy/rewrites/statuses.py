"""All rules of a file, verified: what `anatomy check` says of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from anatomy.errors import Diagnostic
from anatomy.errors.printer import as_json as placed
from anatomy.language import syntax as s
from anatomy.language.program import Program, Rule
from anatomy.rewrites.verdict import Verification, diagnose
from anatomy.rewrites.verify import verify

WORDS: dict[str, str] = {"proved-mod-p": "proved", "tested": "tested", "assumed": "assumed", "false": "false", "unverified": "not verified"}


@dataclass(frozen=True)
class Checked:
    """A rule with what is known of it."""

    rule: Rule
    found: Verification

    @property
    def diagnostic(self) -> Diagnostic | None:
        return diagnose(self.rule, self.found)


def verify_all(program: Program, seed: int = 0) -> list[Checked]:
    """Every rule of a file, in its order; those with errors of type are left out, for the file reports them.

    >>> from anatomy.errors import Source
    >>> program = Program.of(Source("rules.anat", "axis d rule r(x: [d]): x + x == 2 * x rule s(x: [d]): x * x == 2 * x"))
    >>> [checked.found.status for checked in verify_all(program)]
    ['proved-mod-p', 'false']
    """
    rules = [program.rule(name) for name in program.names(s.RuleDecl)]
    return [Checked(rule, verify(rule, seed)) for rule in rules if rule is not None]


def summary(rules: Iterable[Checked]) -> str:
    """`3 rules (2 proved, 1 tested)`."""
    counts = Counter(WORDS[c.found.status] for c in rules)
    total = sum(counts.values())
    return f"{total} rule{'s' * (total != 1)} ({', '.join(f'{counts[w]} {w}' for w in WORDS.values() if counts[w])})" if total else ""


def as_json(rules: Iterable[Checked]) -> list[dict[str, Any]]:
    """A row for every rule, with the fields of a diagnostic of severity `note` and `rule`, which says what was found."""
    rows = []
    for checked in rules:
        v = checked.found
        words = f"rule `{v.rule}` is {WORDS[v.status]}" + (f": {v.reason}" if v.reason else "")
        (row,) = placed([Diagnostic("", words, checked.rule.span)])
        row |= {"code": None, "severity": "note"}
        row["rule"] = {
            "name": v.rule, "relation": v.relation, "status": v.status, "reason": v.reason, "error": v.error,
            "sizes": [dict(sizes) for sizes in v.sizes], "lifts": [[list(some) for some in turn] for turn in v.lifts],
            "masked": list(v.masked), "rows": [[name, list(axes)] for name, axes in v.rows], "numbers": [dict(c) for c in v.numbers],
            "witness": _witness(v),
        }  # fmt: skip
        rows.append(row)
    return rows


def _witness(v: Verification) -> dict[str, Any] | None:
    w = v.witness
    if w is None:
        return None
    return {
        "sizes": dict(w.sizes), "inputs": {name: list(row) for name, row in w.inputs.items()}, "at": dict(w.at),
        "what": w.what, "left": _number(w.left), "right": _number(w.right), "lifted": [list(some) for some in w.lifted], "chosen": dict(w.chosen),
    }  # fmt: skip


def _number(x: float) -> float | str:
    return x if math.isfinite(x) else str(x)
