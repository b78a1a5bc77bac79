"""Small spaces in the language, shared by the tests of the generator and the sweep."""

from anatomy.errors import Source
from anatomy.language.program import Program
from anatomy.spaces import Space

AXES = "axis n, m = n, d, e = d, f = d, a\n"

LAYER = AXES + """
diagram layer(x: [n, d]) -> [n, d] {
  hole feature(x: [e]) -> [e]
  hole score(q: [e], k: [e]) -> []
  z = x[n -> m]
  q = feature(lin Wq[d -> e](x))
  k = feature(lin Wk[d -> e](z))
  simd n, m { s = score(q, k) }
  w = softmax[m](causal[m <= n](s))
  out dot[m](w, z)
}
diagram plain(x: [e]) -> [e] { out x }
diagram unit(x: [e]) -> [e] { out l2norm[e, eps=1e-6](x) }
diagram learnt(x: [e]) -> [e] where e = a { out tanh(lin F[e -> a](x))[a -> e] }
diagram dots(q: [e], k: [e]) -> [] { out dot[e](q, k) }
diagram cosine(q: [e], k: [e]) -> [] { out dot[e](l2norm[e, eps=1e-6](q), l2norm[e, eps=1e-6](k)) }
diagram additive(q: [e], k: [e]) -> [] {
  weight u: [a] ~ xavier
  out dot[a](u, tanh(lin W[e -> a](q) + lin U[e -> a](k)))
}
space small of layer {
  choose feature in { plain, unit }
  choose score in { dots, cosine, additive }
}
"""


def program(text: str) -> Program:
    found = Program.of(Source("test.anat", text))
    errors = [d for d in found.check() if d.severity == "error"]
    assert not errors, errors
    return found


def space(text: str = LAYER, name: str = "small") -> Space:
    definition = program(text).space(name)
    assert definition is not None
    return Space(definition)
