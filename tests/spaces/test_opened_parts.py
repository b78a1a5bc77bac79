"""Parts of diagrams that are called: every call has learners of its own, under the path of the call."""

from space_texts import program

from anatomy.compiler import build
from anatomy.ir.canonical import digest
from anatomy.spaces import Space
from anatomy.spaces.rung import Rung

TEXT = """
axis n, m = n, d, a = d
diagram core(q: [n, d], k: [m, d]) -> [n, m] {
  part score(q: [d], k: [d]) -> [] { out dot[d](q, k) }
  simd n, m { out score(q, k) }
}
diagram net(x: [n, d]) -> [n, d] {
  z = x[n -> m]
  s = core@one(x, z) + core@two(x, z)
  out dot[m](softmax[m](s), z)
}
diagram additive(q: [a], k: [a]) -> [] {
  weight u: [a] ~ normal(1)
  out dot[a](u, tanh(q + k))
}
space s of net { choose score in { core.score, additive } }
"""


def test_each_call_has_learners_of_its_own() -> None:
    found = program(TEXT)
    definition = found.space("s")
    assert definition is not None
    space = Space(definition)
    assert sorted(w.key for w in space[1].diagram.weights) == ["one.score.u", "two.score.u"]
    by_hand = program(TEXT.replace("out score(q, k) }", "out additive[a=d](q, k) }").replace("  part score(q: [d], k: [d]) -> [] { out dot[d](q, k) }\n", "").partition("space")[0])
    assert digest(space[1].diagram) == digest(by_hand.get("net"))
    assert len(build(space[1].diagram, {"d": 3}).state_dict()) == 2
    rung = Rung(space)
    assert [rung.facts(i).key for i in (0, 1)] == [Rung(space).facts(i).key for i in (0, 1)]
    assert str(rung.facts(1).parameters) == "2 * d"
