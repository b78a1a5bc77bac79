"""Attention variants as text, for the tests of the check; sizes are small and all different where they may be."""

from __future__ import annotations

from functools import cache

from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program

TEXT = """
axis b, n, m = n, d, h, e, f, a, c, g, j, p

diagram sdpa(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] {
  simd n {
    simd m { s = dot[e](q, k) / sqrt(size[e]) }
    w = softmax[m](s)
    out sum[m](w * v)
  }
}
diagram plain(x: [n, d]) -> [n, d] { z = x[n -> m]  out dot[m](softmax[m](dot[d](x, z)), z) }
diagram single(x: [n, d]) -> [n, f] {
  z = x[n -> m]
  out sdpa(lin Wq[d -> e](x), lin Wk[d -> e](z), lin Wv[d -> f](z))
}
diagram unbiased(x: [n, d]) -> [n, f] {
  z = x[n -> m]
  out sdpa(lin Wq[d -> e, bias=false](x), lin Wk[d -> e, bias=false](z), lin Wv[d -> f, bias=false](z))
}
diagram causal_single(x: [n, d]) -> [n, f] {
  z = x[n -> m]
  q = lin Wq[d -> e](x)  k = lin Wk[d -> e](z)  v = lin Wv[d -> f](z)
  simd n { out dot[m](softmax[m](causal[m <= n](dot[e](q, k))), v) }
}
diagram strictly(x: [n, d]) -> [n, f] {
  z = x[n -> m]
  q = lin Wq[d -> e](x)  k = lin Wk[d -> e](z)  v = lin Wv[d -> f](z)
  simd n { out dot[m](softmax[m](mask(m < n, dot[e](q, k))), v) }
}
diagram window(x: [n, d]) -> [n, f] {
  z = x[n -> m]
  q = lin Wq[d -> e](x)  k = lin Wk[d -> e](z)  v = lin Wv[d -> f](z)
  simd n { out dot[m](softmax[m](mask(abs(n - m) <= 1, 2 * dot[e](q, k))), v) }
}
diagram given_mask(x: [n, d], t: mask[n, m]) -> [n, d] { z = x[n -> m]  out dot[m](softmax[m](mask(t, dot[d](x, z))), z) }
diagram alibi(x: [n, d]) -> [n, f] {
  z = x[n -> m]
  q = lin Wq[d -> e](x)  k = lin Wk[d -> e](z)  v = lin Wv[d -> f](z)
  simd n { out dot[m](softmax[m](causal[m <= n](dot[e](q, k) - 0.5 * (iota[n] - iota[m]))), v) }
}
diagram mha(x: [n, d]) -> [n, d] where d = h * e {
  z = x[n -> m]
  q = lin Wq[d -> h, e](x)  k = lin Wk[d -> h, e](z)  v = lin Wv[d -> h, e](z)
  simd h { y = sdpa[f=e](q, k, v) }
  out lin Wo[h, e -> d](y)
}
diagram residual(x: [n, d]) -> [n, d] where d = h * e {
  z = x[n -> m]
  q = lin Wq[d -> h, e](x)  k = lin Wk[d -> h, e](z)  v = lin Wv[d -> h, e](z)
  simd h { y = sdpa[f=e](q, k, v) }
  out x + lin Wo[h, e -> d](y)
}
diagram heads(x: [n, d]) -> [n, h, e] where d = h * e {
  z = x[n -> m]
  q = lin Wq[d -> h, e](x)  k = lin Wk[d -> h, e](z)  v = lin Wv[d -> h, e](z)
  simd h { out sdpa[f=e](q, k, v) }
}
diagram gqa(x: [n, d]) -> [n, d] where d = g * j * e {
  q = lin Wq[d -> g, j, e](x)
  k = lin Wk[d -> g, e](x)[n -> m]
  v = lin Wv[d -> g, e](x)[n -> m]
  simd g, j, n {
    simd m { s = dot[e](q, k) / sqrt(size[e]) }
    w = softmax[m](causal[m <= n](s))
    y = sum[m](w * v)
  }
  out lin Wo[g, j, e -> d](y)
}
diagram batched(x: [b, n, d]) -> [b, n, f] {
  z = x[n -> m]
  out sdpa(lin Wq[d -> e](x), lin Wk[d -> e](z), lin Wv[d -> f](z))
}
diagram cross(y: [n, c], x: [m, d]) -> [n, f] {
  out sdpa(lin Wq[c -> e](y), lin Wk[d -> e](x), lin Wv[d -> f](x))
}
diagram twice(x: [n, d]) -> [n, d] {
  z = x[n -> m]
  y = dot[m](softmax[m](dot[d](x, z)), z)
  t = y[n -> m]
  out dot[m](softmax[m](dot[d](y, t)), t)
}
diagram prenorm(x: [n, d]) -> [n, f] {
  u = rmsnorm[d, eps=0.1](x)
  z = u[n -> m]
  out sdpa(lin Wq[d -> e](u), lin Wk[d -> e](z), lin Wv[d -> f](z))
}
diagram sigmoid_attention(x: [n, d]) -> [n, f] {
  z = x[n -> m]
  q = lin Wq[d -> e](x)  k = lin Wk[d -> e](z)  v = lin Wv[d -> f](z)
  simd n { out dot[m](sigmoid(dot[e](q, k)), v) }
}
diagram linear_mean(x: [n, d]) -> [n, d] { z = x[n -> m]  out dot[m](dot[d](x, z), z) / size[m] }
diagram linear_sum(x: [n, d]) -> [n, d] { z = x[n -> m]  out dot[m](dot[d](x, z), z) }
diagram relu_mean(x: [n, d]) -> [n, d] { z = x[n -> m]  out dot[m](relu(dot[d](x, z)), z) / size[m] }
diagram square_relu_mean(x: [n, d]) -> [n, d] { z = x[n -> m]  out dot[m](square(relu(dot[d](x, z))), z) / size[m] }
diagram fixed(x: [n, d]) -> [p, e] { out lin M[n -> p, bias=false](lin V[d -> e](x)) }
diagram fnet(x: [n, d]) -> [n, d] { out fft_re[n, d](x) }
diagram linear(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] {
  fq = elu(q) + 1
  fk = elu(k) + 1
  kv = dot[m](fk, v)
  z = sum[m](fk)
  simd n { out dot[e](fq, kv) / dot[e](fq, z) }
}
diagram bahdanau(s: [n, d], x: [m, c]) -> [n, c] {
  weight u: [a] ~ xavier
  p1 = lin W[d -> a](s)
  p2 = lin U[c -> a](x)
  simd n {
    simd m { t = dot[a](u, tanh(p1 + p2)) }
    out dot[m](softmax[m](t), x)
  }
}
diagram gauss(x: [n, d]) -> [n, f] {
  z = x[n -> m]
  q = lin Wq[d -> e](x)  k = lin Wk[d -> e](z)  v = lin Wv[d -> f](z)
  simd n {
    simd m { s = -sum[e]((q - k) * (q - k)) }
    out dot[m](softmax[m](s), v)
  }
}
diagram cosine(x: [n, d]) -> [n, f] {
  z = x[n -> m]
  q = l2norm[e, eps=0.01](lin Wq[d -> e](x))  k = l2norm[e, eps=0.01](lin Wk[d -> e](z))  v = lin Wv[d -> f](z)
  simd n { out dot[m](softmax[m](3 * dot[e](q, k)), v) }
}
diagram cosine_without_eps(x: [n, d]) -> [n, f] {
  z = x[n -> m]
  q = l2norm[e](lin Wq[d -> e, bias=false](x))  k = l2norm[e](lin Wk[d -> e, bias=false](z))  v = lin Wv[d -> f](z)
  simd n { out dot[m](softmax[m](3 * dot[e](q, k)), v) }
}
diagram mixer(x: [n, d]) -> [n, d] {
  u = layernorm[d, eps=0.1](x)
  simd d { t = x + lin T2[p -> n](gelu(lin T1[n -> p](u))) }
  w = layernorm[d, eps=0.1](t)
  simd n { out t + lin C2[c -> d](gelu(lin C1[d -> c](w))) }
}
diagram efficient(x: [n, d]) -> [n, f] {
  q = softmax[e](lin Wq[d -> e](x))
  k = softmax[n](lin Wk[d -> e](x))
  kv = dot[n](k, lin Wv[d -> f](x))
  out dot[e](q, kv)
}
diagram synthesizer(x: [n, d]) -> [n, f] {
  s = lin W2[a -> m](relu(lin W1[d -> a](x)))
  out dot[m](softmax[m](s), lin Wv[d -> f](x)[n -> m])
}
diagram hard_choice(x: [n, d]) -> [n, d] { out sign(x) }
diagram relu_rows(x: [n, d]) -> [n, d] { z = relu(x)  out z / sum[d](z) }
diagram by_data(x: [n, d]) -> [n, d] { z = x[n -> m]  s = dot[d](x, z)  out dot[m](softmax[m](mask(s <= 0.3, s)), z) }
"""

SIZES = {"b": 2, "n": 4, "m": 4, "d": 4, "h": 2, "e": 2, "f": 3, "a": 3, "c": 3, "g": 2, "j": 1, "p": 3}
NAMES = tuple(line.split("(")[0].removeprefix("diagram ") for line in TEXT.splitlines() if line.startswith("diagram "))


@cache
def program() -> Program:
    return Program.of(Source("variants.anat", TEXT))


def variant(name: str) -> Diagram:
    """The diagram of a name."""
    return program().get(name)


def sizes(name: str, **changed: int) -> dict[str, int]:
    """The standard sizes that its inputs and weights leave open."""
    diagram = variant(name)
    table = {**SIZES, **changed}
    return {axis: table[axis] for axis in diagram.sizes if axis in table and diagram.sizes[axis].as_variable() == axis}
