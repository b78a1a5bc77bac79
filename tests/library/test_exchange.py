"""Parts of one interface may stand for each other: every part of the large groups is put where another stood."""

from __future__ import annotations

import pytest

from anatomy.errors import AnatomyError, Source
from anatomy.language.filling import fill
from anatomy.language.program import Program
from anatomy.language.spaces import fits
from anatomy.library import entries, groups
from anatomy.library.entry import Entry

GROUPS = [g for g in groups(entries()) if len(g.names) > 1]


def opened(e: Entry, diagram: str, label: str):
    program = Program.of_file(e.path)
    return program.opened(program.root, diagram, frozenset({label}))


@pytest.mark.parametrize("group", GROUPS, ids=lambda g: f"{g.label}{g.signature}")
def test_parts_of_a_group_fit_where_another_stood(group) -> None:
    """A ring: each member's part goes into the next member's diagram."""
    refused, fixed = [], []
    for (giver, part), (taker, place) in zip(group.members, (*group.members[1:], group.members[0]), strict=True):
        filler = Program.of_file(giver.path).get(part.address)
        host = opened(taker, place.diagram, place.name)
        uses = [n for n in host.nodes if n.op.hole == place.name] if host else []
        if host is None or not uses:
            # In a loop whose turns share weights, or named by its weights or axes: not open to exchange as it is written.
            fixed.append(taker.name)
            continue
        assert not any(isinstance(fits(n, filler), str) for n in uses)
        try:
            filled = fill(host, {place.name: filler}, "filled")
        except AnatomyError as error:
            refused.append((giver.name, taker.name, error.diagnostics[0].code))
            continue
        assert not filled.holes
    assert {code for _, _, code in refused} <= {"E402"}, "only an equation that is not proved may refuse"
    assert len(refused) <= max(1, len(group.members) // 10), refused
    assert len(fixed) <= max(2, len(group.members) // 10) or group.label in ("read", "write"), fixed


def test_a_part_whose_interface_lies_is_refused_where_it_is_declared() -> None:
    text = "axis n, m = n, d, e, f\ndiagram t(x: [n, d]) -> [n, d] {\n  part score(q: [d], k: [d]) -> [] { out q * k }\n  simd n { out x * score(x, x) }\n}\n"
    found = Program.of(Source("lie.anat", text)).check()
    assert [(d.code, d.span.line) for d in found if d.severity == "error" and d.span] == [("E308", 3)]
