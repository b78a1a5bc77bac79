"""Critical pairs of the structural laws have one normal form, and sets of laws that do not meet are found out."""

from __future__ import annotations

import pytest

from anatomy.rewrites.confluence import STRUCTURAL, confluence, peaks
from anatomy.rewrites.library import law
from anatomy.rewrites.match import matches
from anatomy.rewrites.normal import form


def test_critical_pairs_have_one_normal_form() -> None:
    found = confluence(every=4)
    assert found.apart == ()
    assert (found.laws, found.peaks > 700, found.steps > 1400) == (len(STRUCTURAL), True, True)


@pytest.mark.parametrize("name", STRUCTURAL)
def test_the_normal_form_decides_each_structural_law(name: str) -> None:
    rule = law(name)
    assert form(rule.left) == form(rule.right)


def test_laws_that_do_not_meet_are_reported() -> None:
    found = confluence(("sum_add", "cat_sum"))
    assert found.apart == (("sum_add", "cat_sum", "sum_add"),)
    assert str(found).splitlines()[-1] == "  sum_add over cat_sum: by sum_add"
    assert confluence(("sin_add", "cos_neg")).apart


def test_peaks_are_overlaps() -> None:
    rules = [law(name) for name in ("sum_add", "dot_of_dot", "merge_sum", "sum_mul")]
    by_name = {rule.name: rule for rule in rules}
    found = list(peaks(rules))
    both = 0
    for peak in found:
        used = [any(True for _ in matches(peak.diagram, by_name[name], grouped=False)) for name in (peak.law, peak.other)]
        both += all(used)
    assert both > len(found) // 2
    assert {("sum_add", "merge_sum"), ("sum_add", "sum_mul"), ("dot_of_dot", "dot_of_dot")} <= {(p.law, p.other) for p in found}
