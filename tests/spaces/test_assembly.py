"""What is assembled from decisions is the diagram that a hand would have written, with the same learners."""

from __future__ import annotations

import pytest
from decided import NAMES, TEXT, both, by_hand, components, decision, made, reads_back, same, space_of, value
from space_texts import program

from anatomy.errors import AnatomyError
from anatomy.ir.canonical import digest
from anatomy.language.choices import Both, Component, Decision, Domain
from anatomy.language.program import Program
from anatomy.spaces.assembly import Assembler


@pytest.fixture(scope="module")
def found() -> Program:
    return program(TEXT)


def test_a_sequence_is_a_composition(found: Program) -> None:
    s = space_of(found.get("one"), decision(found, "phi", "seq", NAMES, most=3))
    hand = by_hand("diagram hand(x: [n, d]) -> [n, d] { weight W: [d] ~ normal(1) out map@b(tanh(map@a(x * W))) + x }")
    keys = {"W": "W", **both("phi.1.F", "a.F"), **both("phi.3.F", "b.F")}
    same(made(s, "seq(map, bend, map)"), hand, keys)
    hand = by_hand("diagram hand(x: [n, d]) -> [n, d] { weight W: [d] ~ normal(1) out relu(x * W) + x }")
    for text in ("rise", "seq(rise)", "seq(none, rise)", "seq(rise, none)"):
        same(made(s, text), hand, {"W": "W"})


def test_what_ignores_its_operand_in_a_sequence_keeps_the_type(found: Program) -> None:
    s = space_of(found.get("one"), decision(found, "phi", "seq", NAMES, most=3))
    hand = by_hand("diagram hand(x: [n, d]) -> [n, d] { weight W: [d] ~ normal(1) weight c: [d] ~ normal(1) out expand[n](tanh(c)) + x }")
    mine = made(s, "seq(fixed, bend)")
    assert [w.key for w in mine.weights] == ["W", "phi.1.c"]
    assert digest(mine) == digest(hand)
    reads_back(mine)


@pytest.mark.parametrize(
    ("join", "text"),
    [("add", "relu(x) + tanh(x) + map(x)"), ("multiply", "relu(x) * tanh(x) * map(x)"), ("max", "max(max(relu(x), tanh(x)), map(x))"), ("min", "min(min(relu(x), tanh(x)), map(x))")],
)
@pytest.mark.parametrize("form", ["bag", "set"])
def test_components_side_by_side_are_joined(found: Program, form: str, join: str, text: str) -> None:
    s = space_of(found.get("one"), decision(found, "phi", form, NAMES, most=3, join=join))
    hand = by_hand(f"diagram hand(z: [n, d]) -> [n, d] {{ weight W: [d] ~ normal(1) x = z * W out ({text}) + z }}")
    same(made(s, f"{form}(rise, bend, map)"), hand, {"W": "W", **both("phi.3.F", "map.F")})


def test_a_bag_repeats_with_learners_apart(found: Program) -> None:
    s = space_of(found.get("pairs"), decision(found, "meet", "bag", "add times", most=3))
    hand = by_hand("diagram hand(x: [n, d], y: [n, d]) -> [n, d] { out add@p(x, y) + add@q(x, y) + x * y }")
    same(made(s, "bag(add, add, times)"), hand, {**both("meet.1.U", "p.U"), **both("meet.2.U", "q.U")}, inputs=2)


def test_decisions_of_an_option(found: Program) -> None:
    inner = decision(found, "gate", "one", NAMES)
    options = (*components(found, "rise"), Component("gated", found.get("gated"), (inner,)))
    s = space_of(found.get("one"), Decision("phi", "hole", Domain("seq", options, 1, 2), ("phi",)))
    hand = by_hand("diagram hand(x: [n, d]) -> [n, d] { weight W: [d] ~ normal(1) y = x * W out relu(lin V[d -> dd](y)[dd -> d] * map(y)) + x }")
    same(made(s, "seq(gated(map), rise)"), hand, {"W": "W", **both("phi.1.V", "V"), **both("phi.1.gate.F", "map.F")})
    same(made(s, "gated(rise)"), by_hand("diagram hand(x: [n, d]) -> [n, d] { weight W: [d] ~ normal(1) y = x * W out lin V[d -> dd](y)[dd -> d] * relu(y) + x }"), {"W": "W", **both("phi.V", "V")})  # fmt: skip


def test_a_tree_is_filled_again_and_again(found: Program) -> None:
    s = space_of(found.get("one"), decision(found, "phi", "tree", "rise bend map plus", most=5))
    hand = by_hand("diagram hand(x: [n, d]) -> [n, d] { weight W: [d] ~ normal(1) y = x * W out (map@a(y) + (map@b(y) + relu(y))) + x }")
    same(made(s, "plus(map, plus(map, rise))"), hand, {"W": "W", **both("phi.left.F", "a.F"), **both("phi.right.left.F", "b.F")})
    same(made(s, "rise"), by_hand("diagram hand(x: [n, d]) -> [n, d] { weight W: [d] ~ normal(1) out relu(x * W) + x }"), {"W": "W"})


def test_a_tree_whose_components_decide_too(found: Program) -> None:
    text = "diagram mix(x: [d]) -> [d] { hole left(x: [d]) -> [d] hole gate(x: [d]) -> [d] out left(x) * gate(x) }"
    more = program(TEXT + text)
    mix = Component("mix", more.get("mix"), (decision(more, "gate", "one", "rise map"),))
    domain = Domain("tree", (*components(more, "bend", "plus"), mix), 1, 4)
    s = space_of(more.get("one"), Decision("phi", "hole", domain, ("phi",)))
    hand = by_hand("diagram hand(x: [n, d]) -> [n, d] { weight W: [d] ~ normal(1) y = x * W out (tanh(y) * map(y)) + tanh(y) + x }")
    same(made(s, "plus(mix(map, bend), bend)"), hand, {"W": "W", **both("phi.left.gate.F", "map.F")})


def test_a_cell_adds_where_edges_meet_and_shares_vertices(found: Program) -> None:
    s = space_of(found.get("one"), decision(found, "phi", "dag", "map rise", least=2, most=5, edges=9))
    text = """diagram hand(x: [n, d]) -> [n, d] {
      weight W: [d] ~ normal(1)
      y = x * W
      a = map@a(y)
      b = relu(y + a)
      c = map@c(a)
      out (SUM) + x
    }"""
    mine = made(s, "dag[0>1 0>2 1>2 1>3 1>4 2>4 3>4](map, rise, map)")
    hands = [by_hand(text.replace("SUM", order)) for order in ("a + b + c", "a + c + b", "b + c + a")]
    (hand,) = [h for h in hands if digest(h) == digest(mine)]  # a sum of three is written in one of three ways
    same(mine, hand, {"W": "W", **both("phi.1.F", "a.F"), **both("phi.3.F", "c.F")})
    assert digest(mine) == digest(made(s, "dag[0>1 0>3 1>2 1>3 1>4 2>4 3>4](map, map, rise)"))
    same(made(s, "dag[0>1]"), by_hand("diagram hand(x: [n, d]) -> [n, d] { weight W: [d] ~ normal(1) out x * W + x }"), {"W": "W"})


def test_none_passes_the_first_wire_on(found: Program) -> None:
    s = space_of(found.get("pairs"), decision(found, "meet", "one", "add none"))
    hand = by_hand("diagram hand(x: [n, d], y: [n, d]) -> [n, d] { _y = y out x }")
    same(made(s, "none"), hand, {}, inputs=2)


def test_what_stands_where_a_condition_does_not_hold(found: Program) -> None:
    rise, bend = components(found, "rise", "bend")
    alone = Decision("f", "hole", Domain("seq", (rise,), 1, 2), ("f",), when=Both(()), otherwise=bend)
    several = Decision("f, g", "hole", Domain("bag", (rise,), 2, 2), (), (), ("f", "g"), when=Both(()), otherwise=bend)
    other = decision(found, "g", "one", "rise none")
    hand = by_hand("diagram hand(x: [n, d]) -> [n, d] { out tanh(x) - 2 * relu(x) }")
    assert digest(made(space_of(found.get("two"), alone, other), "bend", "rise")) == digest(hand)
    hand = by_hand("diagram hand(x: [n, d]) -> [n, d] { out tanh(x) - 2 * tanh(x) }")
    assert digest(made(space_of(found.get("two"), several), "bend")) == digest(hand)
    bare = Decision("f", "hole", Domain("one", (rise,)), ("f",), when=Both(()))
    hand = by_hand("diagram hand(x: [n, d]) -> [n, d] { out x - 2 * relu(x) }")
    assert digest(made(space_of(found.get("two"), bare, other), "none", "rise")) == digest(hand)


def test_interchangeable_holes(found: Program) -> None:
    s = space_of(found.get("two"), decision(found, "f", "bag", NAMES, sites="f g", several="f g"))
    same(made(s, "bag(rise, map)"), by_hand("diagram hand(x: [n, d]) -> [n, d] { out relu(x) - 2 * map(x) }"), both("g.F", "map.F"))


def test_equations_of_components_are_asked_for_at_the_hole() -> None:
    text = """axis n, d, e
    diagram free(x: [n, d], y: [n, e]) -> [n, d] { hole meet(x: [d], y: [e]) -> [d] out meet(x, y) }
    diagram bound(x: [n, d], y: [n, e]) -> [n, d] where d = 2 * e { hole meet(x: [d], y: [e]) -> [d] out meet(x, y) }
    diagram twice(x: [d], y: [e]) -> [d] where d = 2 * e { out x * cat[e -> d](y, y[e]) }
    diagram first(x: [d], y: [e]) -> [d] { out x + sum[e](y) }
    """.replace("y[e]", "-y")
    found = program(text)
    for form in ("bag", "set"):
        one, two = (space_of(found.get(b), decision(found, "meet", form, "first twice", most=2)) for b in ("free", "bound"))
        with pytest.raises(AnatomyError, match="E402"):
            made(one, f"{form}(first, twice)")
        assert "not proved" in (Assembler(one.base, one.decisions).refused(0, value(f"{form}(first, twice)")) or "")
        assert Assembler(two.base, two.decisions).refused(0, value(f"{form}(first, twice)")) is None
        reads_back(made(two, f"{form}(first, twice)"))


def test_composites_in_loops(found: Program) -> None:
    s = space_of(found.get("recur"), decision(found, "phi", "seq", NAMES, sites="phi psi", most=2))
    hand = by_hand("""diagram hand(x: [n, d]) -> [n, d] {
      scan n (s: [d] = 0) { y = tanh(map@a(s)) + tanh(map@b(x)) next s = y }
      out y
    }""")
    same(made(s, "seq(map, bend)"), hand, {**both("phi.1.F", "a.F"), **both("psi.1.F", "b.F")})
    s = space_of(found.get("recur"), decision(found, "phi", "seq", NAMES, sites="phi psi", tied="psi", most=2))
    hand = by_hand("""diagram hand(x: [n, d]) -> [n, d] {
      scan n (s: [d] = 0) { y = tanh(map@a(s)) + tanh(map@b(x)) next s = y }
      tie a.F, b.F
      tie a.F.bias, b.F.bias
      out y
    }""")
    mine = made(s, "seq(map, bend)")
    assert digest(mine) == digest(hand)
    reads_back(mine)
    s = space_of(found.get("stack"), decision(found, "phi", "bag", NAMES, most=2))
    keys = [w.key for w in made(s, "bag(rise, map)").weights]
    assert keys == [f"{p}.2.F{b}" for p in ("0.phi", "1.phi", "2.phi") for b in ("", ".bias")]


@pytest.mark.parametrize("text", ["seq(relu)", "tanh"])
def test_an_option_that_is_not_there(found: Program, text: str) -> None:
    s = space_of(found.get("one"), decision(found, "phi", "seq", NAMES, most=3))
    with pytest.raises(AnatomyError, match="E203"):
        made(s, text)


@pytest.mark.parametrize(("form", "text"), [("seq", "seq(add, add)"), ("dag", "dag[0>1 1>2](add)")])
def test_forms_that_a_hole_cannot_hold(found: Program, form: str, text: str) -> None:
    s = space_of(found.get("pairs"), decision(found, "meet", form, "add", most=3))
    with pytest.raises(AnatomyError, match="E604"):
        made(s, text)
    assert "it must take one wire" in (Assembler(s.base, s.decisions).refused(0, value(text)) or "")
