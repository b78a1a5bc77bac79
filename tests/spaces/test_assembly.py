"""What is assembled from decisions is the diagram that a hand would have written, with the same learners."""

from __future__ import annotations

import pytest
import torch
from decided import components, decision, sizes, space_of, value
from space_texts import program

from anatomy.compiler import build
from anatomy.errors import AnatomyError, Source
from anatomy.ir.canonical import digest
from anatomy.ir.graph import Diagram
from anatomy.language.choices import Both, Component, Decision, Domain, SpaceDefinition
from anatomy.language.filling import fill
from anatomy.language.prepared import Prepared
from anatomy.language.program import Program
from anatomy.language.unparse import unparse
from anatomy.spaces.assembly import Assembler, assemble

TEXT = """
axis n, d, dd = d, e, r
diagram one(x: [n, d]) -> [n, d] {
  hole phi(x: [d]) -> [d]
  weight W: [d] ~ normal(1)
  out phi(x * W) + x
}
diagram two(x: [n, d]) -> [n, d] {
  hole f(x: [d]) -> [d]
  hole g(x: [d]) -> [d]
  out f(x) - 2 * g(x)
}
diagram pairs(x: [n, d], y: [n, d]) -> [n, d] {
  hole meet(x: [d], y: [d]) -> [d]
  out meet(x, y)
}
diagram rise(x: [d]) -> [d] { out relu(x) }
diagram bend(x: [d]) -> [d] { out tanh(x) }
diagram map(x: [d]) -> [d] { out lin F[d -> dd](x)[dd -> d] }
diagram wide(x: [d]) -> [d] { out lin B[r -> d, bias=false](relu(lin A[d -> r, bias=false](x))) }
diagram fixed(x: [d]) -> [d] { _x = x weight c: [d] ~ normal(1) out c }
diagram halved(x: [d]) -> [d] where d = 2 * e { lo, hi = halves[d -> e](x) out cat[e -> d](hi, lo) }
diagram plus(x: [d]) -> [d] {
  hole left(x: [d]) -> [d]
  hole right(x: [d]) -> [d]
  out left(x) + right(x)
}
diagram gated(x: [d]) -> [d] {
  hole gate(x: [d]) -> [d]
  out lin V[d -> dd](x)[dd -> d] * gate(x)
}
diagram add(x: [d], y: [d]) -> [d] { out x + lin U[d -> dd](y)[dd -> d] }
diagram times(x: [d], y: [d]) -> [d] { out x * y }
diagram recur(x: [n, d]) -> [n, d] {
  hole phi(s: [d]) -> [d]
  hole psi(s: [d]) -> [d]
  scan n (s: [d] = 0) {
    y = phi(s) + psi(x)
    next s = y
  }
  out y
}
diagram stack(x: [n, d]) -> [n, d] {
  hole phi(s: [d]) -> [d]
  repeat 3 (z = x) { next z = z + phi(z) }
  out z
}
"""
NAMES = "rise bend map wide fixed halved none"


@pytest.fixture(scope="module")
def found() -> Program:
    return program(TEXT)


def by_hand(text: str, name: str = "hand") -> Diagram:
    return program(TEXT + text).get(name)


def made(definition: SpaceDefinition, *texts: str) -> Diagram:
    return assemble(definition, [value(t) for t in texts], "member")


def reads_back(diagram: Diagram) -> None:
    text = unparse(diagram)
    again = Program.of(Source("again.anat", text))
    assert digest(again.get(again.names()[-1])) == digest(diagram), text


def same(mine: Diagram, theirs: Diagram, keys: dict[str, str], inputs: int = 1, **given: int) -> None:
    """Equal digests, and equal values and gradients in float64 under the same learners; `keys` from mine to theirs."""
    assert digest(mine) == digest(theirs)
    reads_back(mine)
    nets = [build(d, {"d": 4, **given}, seed=5, dtype=torch.float64) for d in (mine, theirs)]
    state = nets[1].state_dict()
    assert set(nets[0].state_dict()) == set(keys), sorted(nets[0].state_dict())
    assert set(keys.values()) == set(state)
    nets[0].load_state_dict({k: state[v] for k, v in keys.items()})
    generator = torch.Generator().manual_seed(1)
    xs = [torch.randn(3, 4, dtype=torch.float64, generator=generator, requires_grad=True) for _ in range(inputs)]
    outs = [net(*xs) for net in nets]
    torch.testing.assert_close(outs[0], outs[1], rtol=0, atol=1e-13)
    grads = [torch.autograd.grad(out.square().sum(), xs, allow_unused=True) for out in outs]
    for a, b in zip(*grads, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def alike(*keys: str, **others: str) -> dict[str, str]:
    return {**{k: k for k in keys}, **{k.replace("__", "."): v for k, v in others.items()}}


def both(mine: str, theirs: str) -> dict[str, str]:
    """A learner with its bias."""
    return {mine: theirs, f"{mine}.bias": f"{theirs}.bias"}


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
