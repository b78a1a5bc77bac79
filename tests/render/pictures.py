"""Diagrams to draw: those of the language's sample, those of the zoo, and some that fold in unusual ways."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program

HERE = Path(__file__).parent
SAMPLE = (HERE.parent / "language" / "sample.anat").read_text()
UNUSUAL = """
axis n, m = n, d, h, e, c = d, k, j = e
diagram att(x: [n, d]) -> [n, d] where d = h * e {
  z = x[n -> m]
  q = lin Wq[d -> h, e](x)
  v = lin Wv[d -> h, e, bias=false](z)
  simd h, n {
    simd m { s = dot[e](q, v) / sqrt(size[e]) }
    y = dot[m](softmax[m](s), v)
  }
  out lin Wo[h, e -> d](y)
}
diagram block(x: [n, d], t: [n, d]) -> [n, d] where d = h * e {
  weight g: [d] ~ ones
  u = x + att(layernorm[d](x)) * g + t
  out u + gelu(lin C[d -> c](u)[c -> d])
}
diagram tower(x: [n, d], t: [n, d]) -> [n, d] where d = h * e {
  a = block(x, t)
  b = block(a, t)
  out layernorm[d](block(b, t))
}
diagram dense(x: [n, d], t: [n, d]) -> [n, d] where d = h * e {
  a = block(x, t)
  b = block(a, t)
  out a + b
}
diagram swapped(x: [n, d], t: [n, d]) -> [n, d] where d = h * e { out block(t, block(x, t)) }
diagram shared(x: [n, d], s: mask[n, m]) -> [n, m, d], [m, d] {
  y = lin W[d -> c](x)[c -> d]
  z = lin W(y)[c -> d]
  out where(m < n and s, 0, y * 2 - 1), expand[m](sum[n](z ^ 2))
}
diagram straight(x: [n], _y: [m]) -> [n] { out x }
diagram same(x: [n]) -> [n] { p = cos(iota[n] * 2)  q = cos(iota[n] * 2)  out x * p * q * x }
diagram loops(q: [n, h, e], k0: [n, h, e], v: [n, h, k]) -> [n, h, k], [h, e] {
  weight first: [e] ~ zeros
  simd h {
    scan n (s: [e, k] = 0, z: [e] = first) {
      now = s * 0.5 + k0 * v
      next s = now
      next z = tanh(lin W[e -> j](z)[j -> e] + k0)
    }
    y = dot[e](q, now)
  }
  out y, z.last
}
diagram nested(x: [n, d, e]) -> [n, e] {
  scan n (s: [e] = 0) {
    scan d (z: [e] = s) { next z = tanh(z + x) }
    next s = z.last
  }
  out s
}
diagram scalars(x: [n]) -> [n] { out 1 / (x - 2) / (3 - x) * (1 - 2 * 3) }
"""


@cache
def program(text: str, path: str) -> Program:
    return Program.of(Source(path, text))


def sample(name: str) -> Diagram:
    return program(SAMPLE, "sample.anat").get(name)


def unusual(name: str) -> Diagram:
    return program(UNUSUAL, "unusual.anat").get(name)


def everything() -> dict[str, Diagram]:
    """All of them by name."""
    table = {n: sample(n) for n in program(SAMPLE, "sample.anat").names()}
    table |= {n: unusual(n) for n in program(UNUSUAL, "unusual.anat").names()}
    for path in sorted((HERE.parents[1] / "zoo").glob("*/*.anat")):
        found = Program.of_file(path)
        table |= {f"{path.stem}.{n}": found.get(n) for n in found.names()}
    return table


ALL = everything()
