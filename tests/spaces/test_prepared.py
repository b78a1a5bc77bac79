"""What is remembered of holes and fillers gives what is built anew."""

from __future__ import annotations

import pytest
from decided import NAMES, TEXT, decision, space_of, value
from space_texts import program

from anatomy.language.filling import fill
from anatomy.language.prepared import Prepared
from anatomy.language.program import Program
from anatomy.spaces.assembly import Assembler


@pytest.fixture(scope="module")
def found() -> Program:
    return program(TEXT)


@pytest.mark.parametrize("base", ["recur", "stack", "two"])
def test_what_is_remembered_is_what_is_built_anew(found: Program, base: str) -> None:
    open_ = found.get(base)
    prepared = Prepared(open_)
    names = NAMES.split()[:-1]
    for _turn in range(2):
        for a in names:
            for b in names:
                fillers = {h: found.get(f) for h, f in zip(open_.holes, (a, b), strict=False)}
                one, other = prepared.fill(fillers, "x"), fill(open_, fillers, "x")
                assert one == other
                assert [w.name for w in one.wires] == [w.name for w in other.wires]
                assert [[(f.kind, f.label) for f in n.frame] for n in one.nodes] == [[(f.kind, f.label) for f in n.frame] for n in other.nodes]


def test_a_filling_that_rests_on_a_licence() -> None:
    text = """axis n, m = n, d
    diagram base(x: [n, d], y: [m, d]) -> [n, m] { hole f(s: [n, m]) -> [n, m] hole g(s: [n, m]) -> [n, m] s = f(g(dot[d](x, y))) out s }
    diagram square_(s: [n, m]) -> [n, m] where n = m { out s + s[n -> m, m -> n] }
    diagram rise(s: [n, m]) -> [n, m] { out relu(s) }
    """
    found = program(text)
    base = found.get("base")
    prepared = Prepared(base)
    for a, b in (("rise", "rise"), ("square_", "rise"), ("rise", "square_"), ("square_", "square_"), ("rise", "rise")):
        fillers = {"f": found.get(a), "g": found.get(b)}
        assert prepared.fill(fillers, "x") == fill(base, fillers, "x")


def test_what_is_forgotten_is_built_anew(found: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anatomy.language.prepared.MAX_BOXES", 5)
    monkeypatch.setattr("anatomy.spaces.assembly.MAX_FILLERS", 2)
    s = space_of(found.get("two"), decision(found, "f", "seq", NAMES, sites="f g", most=2))
    kept = Assembler(s.base, s.decisions)
    pairs = [f"seq({a}, {b})" for a in ("rise", "map") for b in ("map", "wide")]
    for text in pairs * 3:
        assert kept.diagram([value(text)], "x") == Assembler(s.base, s.decisions).diagram([value(text)], "x")
