"""One decision for several holes, with learners apart or one learner; sizes that are decided."""

from __future__ import annotations

import pytest
from decided import NAMES, TEXT, both, by_hand, decision, made, reads_back, same, sizes, space_of
from space_texts import program

from anatomy.compiler import build
from anatomy.errors import AnatomyError
from anatomy.ir.canonical import digest
from anatomy.language.program import Program


@pytest.fixture(scope="module")
def found() -> Program:
    return program(TEXT)


def test_shared_decisions_have_learners_apart(found: Program) -> None:
    s = space_of(found.get("two"), decision(found, "f", "seq", NAMES, sites="f g", most=2))
    hand = by_hand("diagram hand(x: [n, d]) -> [n, d] { out relu(map@a(x)) - 2 * relu(map@b(x)) }")
    same(made(s, "seq(map, rise)"), hand, {**both("f.1.F", "a.F"), **both("g.1.F", "b.F")})


def test_tied_decisions_have_one_learner(found: Program) -> None:
    s = space_of(found.get("two"), decision(found, "f", "seq", NAMES, sites="f g", tied="g", most=2))
    hand = by_hand("diagram hand(x: [n, d]) -> [n, d] { y = relu(map@a(x)) - 2 * relu(map@b(x)) tie a.F, b.F tie a.F.bias, b.F.bias out y }")
    mine = made(s, "seq(map, rise)")
    assert [w.keys for w in mine.weights] == [("f.1.F", "g.1.F"), ("f.1.F.bias", "g.1.F.bias")]
    same(mine, hand, dict(zip(*(build(d, {"d": 4}).state_dict() for d in (mine, hand)), strict=True)))
    apart = space_of(found.get("two"), decision(found, "f", "seq", NAMES, sites="f g", most=2))
    assert digest(made(apart, "seq(map, rise)")) != digest(mine)
    assert digest(made(apart, "rise")) == digest(made(s, "rise"))


def test_what_tied_components_have_inside_has_one_size(found: Program) -> None:
    s = space_of(found.get("two"), decision(found, "f", "one", NAMES, sites="f g", tied="g"))
    hand = by_hand("diagram hand(x: [n, d]) -> [n, d] { y = wide@p[r=e](x) - 2 * wide@q[r=e](x) tie p.A, q.A tie p.B, q.B out y }")
    mine = made(s, "wide")
    assert digest(mine) == digest(hand)
    reads_back(mine)
    assert len(list(build(mine, {"d": 4, "f.r": 3}).parameters())) == 2
    equal = made(s, "halved")
    assert len(equal.equations) == 1
    build(equal, {"d": 4})


def test_learners_that_cannot_be_one_are_refused() -> None:
    text = """axis n, d, e
    diagram base(x: [n, d], y: [n, e]) -> [n] { hole f(x: [d]) -> [] hole g(y: [e]) -> [] out f(x) * g(y) }
    diagram total(x: [d]) -> [] { weight w: [d] ~ normal(1) out dot[d](w, x) }
    """
    found = program(text)
    s = space_of(found.get("base"), decision(found, "f", "one", "total", sites="f g", tied="g"))
    with pytest.raises(AnatomyError, match="E310"):
        made(s, "total")
    assert not made(space_of(found.get("base"), decision(found, "f", "one", "total", sites="f g")), "total").holes


def test_learners_are_one_where_sizes_are_licensed_to_be_equal() -> None:
    text = """axis n, d, e = d
    diagram base(x: [n, d], y: [n, e]) -> [n] { hole f(x: [d]) -> [] hole g(y: [e]) -> [] out f(x) * g(y) }
    diagram total(x: [d]) -> [] { weight w: [d] ~ normal(1) out dot[d](w, x) }
    diagram hand(x: [n, d], y: [n, e]) -> [n] { z = total@p(x) * total@q[d=e](y) tie p.w, q.w out z }
    """
    found = program(text)
    mine = made(space_of(found.get("base"), decision(found, "f", "one", "total", sites="f g", tied="g")), "total")
    assert digest(mine) == digest(found.get("hand"))
    assert str(mine.where[-1].right) == "d"
    reads_back(mine)


def test_a_size_that_is_decided_is_seen_everywhere() -> None:
    text = """axis n, d, r
    diagram base(x: [n, d]) -> [n, d] { hole phi(x: [r]) -> [r] out lin B[r -> d](phi(lin A[d -> r](x))) / size[r] }
    diagram small(x: [n, d]) -> [n, d] where r = 3 { out lin B[r -> d](relu(lin A[d -> r](x))) / size[r] }
    diagram rise(x: [r]) -> [r] { out relu(x) }
    diagram halves_(x: [r]) -> [r] where r = 2 * n { lo, hi = halves[r -> n](x) out cat[n -> r](hi, lo) }
    """
    found = program(text)
    s = space_of(found.get("base"), sizes("r", 3, 4), decision(found, "phi", "one", "rise halves_"))
    three, four = made(s, "3", "rise"), made(s, "4", "rise")
    assert digest(three) == digest(found.get("small")) != digest(four)
    for d in (three, four):
        reads_back(d)
    assert build(three, {"d": 5}).state_dict()["A"].numel() == 15
    with pytest.raises(AnatomyError, match="E402"):
        build(three, {"d": 5, "r": 4})
    with pytest.raises(AnatomyError, match="E402"):
        build(made(s, "3", "halves_"), {"d": 5})
    assert build(made(s, "4", "halves_"), {"d": 5}).state_dict()["A"].numel() == 20


def test_a_size_inside_a_component_is_decided_too(found: Program) -> None:
    s = space_of(found.get("one"), sizes("r", 2, 3), decision(found, "phi", "seq", NAMES, most=2))
    diagram = made(s, "3", "seq(wide, wide)")
    assert [tuple(v.shape) for v in build(diagram, {"d": 5}).state_dict().values()].count((5, 3)) == 2
    reads_back(diagram)


def test_a_size_with_a_size_of_its_own_gives_an_equation() -> None:
    found = program("axis n, d, dd = d, h diagram base(x: [n, d]) -> [n, d] where d = 2 * h { lo, hi = halves[d -> h](x) out cat[h -> d](hi, lo) * lin W[d -> dd](x)[dd -> d] }")
    diagram = made(space_of(found.get("base"), sizes("d", 5, 6)), "6")
    assert build(diagram, {}).state_dict()["W"].shape == (6, 6)
    reads_back(diagram)
    with pytest.raises(AnatomyError, match="E402"):
        build(made(space_of(found.get("base"), sizes("d", 5, 6)), "5"), {})
