"""The laws of the library are verified one by one, and what looks like a law and is none is refused with a point."""

import re

import pytest
import torch

from anatomy.compiler import build
from anatomy.errors import Source
from anatomy.ir.canonical import canonical
from anatomy.language.program import Program, Rule
from anatomy.rewrites.equality import equal
from anatomy.rewrites.library import RULES, law, library
from anatomy.rewrites.verify import verify

NAMES = [rule.name for rule in library()]
BY_CONSTRUCTION = {
    "broadcast_add", "broadcast_mul", "hoist_relu", "hoist_exp", "hoist_sum", "hoist_dot", "hoist_softmax", "hoist_layernorm",
    "expand_expand", "shared_key", "map_expand",
}  # fmt: skip
"""S4 and S9: repeating slides in the canonical form, so these need no rewriting."""


@pytest.mark.parametrize("name", NAMES)
def test_every_law_is_verified(name: str) -> None:
    found = verify(law(name))
    assert found.status in ("proved-mod-p", "tested"), (found.status, found.reason, str(found.witness))
    if found.status == "proved-mod-p":
        assert (found.error or 1.0) < 1e-9


def test_there_are_laws_of_every_group() -> None:
    headings = re.findall(r"^# ([A-Z][^\n]*?) -{3,}$", RULES.read_text(), re.MULTILINE)
    groups = re.split(r"^# [A-Z][^\n]*? -{3,}$", RULES.read_text(), flags=re.MULTILINE)[1:]
    counts = {h: len(re.findall(r"^rule ", g, re.MULTILINE)) for h, g in zip(headings, groups, strict=True)}
    assert len(counts) >= 12
    assert min(counts.values()) >= 5, counts
    assert sum(counts.values()) == len(NAMES) >= 80


def test_only_what_holds_by_construction_has_one_graph_on_both_sides() -> None:
    assert {r.name for r in library() if canonical(r.left) == canonical(r.right)} == BY_CONSTRUCTION


PLAIN = [rule.name for rule in library() if not rule.conditions and not rule.variables]


@pytest.mark.parametrize("name", [n for n in PLAIN[::6] if n not in ("sum_expand", "logsumexp_expand")])
def test_compiled_sides_agree(name: str) -> None:
    """Against PyTorch, which verification does not use. Where an axis is on no input the sizes of the sides are not paired."""
    inner = {a for d in (law(name).left, law(name).right) for a in d.sizes} - {
        a for i in law(name).left.inputs for a in i.layout
    }
    found = equal(law(name).left, law(name).right).evaluation
    assert found is not False or inner


# refused --------------------------------------------------------------------------------------

HEAD = """use std.index (reverse)
axis n, m, d, e, f, h, r, c, l
diagram causal_attention(x: [n, e]) -> [n, e] where m = n {
  out dot[m](softmax[m](causal[m <= n](dot[e](x, x[n -> m]))), x[n -> m])
}
diagram sums(x: [n]) -> [n] {
  scan n (s: [] = 0) { next s = s + x }
  out s
}
diagram averages(x: [n]) -> [n] {
  scan n (s: [] = 0) {
    now = (s + x) / 2
    next s = now
  }
  out now
}
diagram squares(x: [n]) -> [n] {
  scan n (s: [] = 0) {
    now = square(s) + x
    next s = now
  }
  out now
}
diagram delta(k: [n, e], v: [n, f]) -> [n, e, f] {
  scan n (s: [e, f] = 0) {
    now = s + k * (v - dot[e](k, s))
    next s = now
  }
  out now
}
"""

NON_LAWS = [
    # A softmax or a norm past its own axis.
    "rule softmax_chooses(s: [m], i: index(m)[c]): softmax[c](gather[m](s, i)) == gather[m](softmax[m](s), i)",
    "rule softmax_seam(x: [d], y: [e]) where l = d + e: softmax[l](cat[d, e -> l](x, y)) == cat[d, e -> l](softmax[d](x), softmax[e](y))",
    "rule layernorm_parts(x: [d]) where d = c * r: layernorm[r](split[d -> c, r](x)) == split[d -> c, r](layernorm[d](x))",
    "rule softmax_other_axis(s: [n, m]): softmax[n](s) == softmax[m](s)",
    "rule softmax_pairs(s: [n, m]): softmax[n, m](s) == softmax[n](s) * softmax[m](s)",
    # Equivariance across a causal mask, a positional parameter, or a box that knows its lane.
    "rule causal_reverse(x: [n, e]): causal_attention(reverse(x)) == reverse(causal_attention(x))",
    "rule position_reverse(x: [n], y: [n]): reverse(x) + y == reverse(x + y)",
    "rule cumsum_reverse(x: [n]): cumsum[n](reverse(x)) == reverse(cumsum[n](x))",
    # A box that is not linear past a sum, and an affine one past a sum whose weights do not add up to 1.
    "rule relu_sum(x: [n]): sum[n](relu(x)) == relu(sum[n](x))",
    "rule square_mean(x: [n]): mean[n](square(x)) == square(mean[n](x))",
    "rule bias_sum(x: [n], t: []): sum[n](x + t) == sum[n](x) + t",
    "rule bias_mixing(w: [m], v: [m], t: []): dot[m](w, v + t) == dot[m](w, v) + t",
    # Reassociation across softmax.
    "rule softmax_reassociates(q: [e], k: [m, e], v: [m]): dot[m](softmax[m](dot[e](q, k)), v) == dot[e](q, dot[m](softmax[m](k), v))",
]

FALSE = [
    "rule scale_softmax(s: [m], t: []): softmax[m](s * t) == softmax[m](s) * t",
    "rule query_bias(q: [e], k: [m, e], b: [e]): softmax[m](dot[e](q + b, k)) == softmax[m](dot[e](q, k))",
    "rule shift_each(s: [m], t: [m]): softmax[m](s + t) == softmax[m](s)",
    "rule root_of_square(x: []): sqrt(square(x)) == x",
    "rule log_sum(x: [], y: []): log(exp(x) + exp(y)) == x + y",
    "rule exp_product(x: [], y: []): exp(x * y) == exp(x) * exp(y)",
    "rule relu_total(x: [], y: []): relu(x + y) == relu(x) + relu(y)",
    "rule max_scale(x: [], y: [], z: []): max(x * z, y * z) == max(x, y) * z",
    "rule max_total(x: [m], y: [m]): max[m](x) + max[m](y) == max[m](x + y)",
    "rule tanh_is_sigmoid(x: []): tanh(x) == 2 * sigmoid(x) - 1",
    "rule gelu_sigmoid(x: []): x * sigmoid(1.702 * x) == gelu(x)",
    "rule gelu_tanh(x: []): 0.5 * x * (1 + tanh(0.7978845608 * (x + 0.044715 * x ^ 3))) == gelu(x)",
    "rule mean_is_sum(x: [m]): mean[m](x) == sum[m](x)",
    "rule mean_of_product(x: [m], y: [m]): mean[m](x * y) == mean[m](x) * mean[m](y)",
    "rule uncentred(x: [d]): rmsnorm[d](x) == layernorm[d](x)",
    "rule norm_scale(x: [d], t: []): layernorm[d](exp(t) * x) == layernorm[d](x)",
    "rule merge_order(x: [c, r]) where n = c * r: merge[c, r -> n](x) == merge[r, c -> n](x)",
    "rule cat_order(x: [d], y: [d]) where l = 2 * d: cat[d -> l](x, y) == cat[d -> l](y, x)",
    "rule exclusive(x: [m]) where m = n: sum[m](where(m < n, x, 0)) == cumsum[n](x[m -> n])",
    "rule transpose(x: [n, m]) where m = n: x[n -> m, m -> n] == x",
    "rule sinkhorn_rows(s: [n, m], t: [n]): sinkhorn[n, m](s + t, steps=3) == sinkhorn[n, m](s, steps=3)",
    "rule sparse_scale(s: [m]): sparsemax[m](2 * s) == sparsemax[m](s)",
    "rule entmax_is_softmax(s: [m]): entmax[m](s, 1.5) == softmax[m](s)",
    "rule masked_zero(p: mask[m], s: [m]): softmax[m](where(p, s, 0)) == softmax[m](mask(p, s))",
    "rule renormalised(p: mask[m], s: [m]): where(p, softmax[m](s), 0) == softmax[m](mask(p, s))",
    "rule state_before(x: [n]): sums(x) == cumsum[n](x)",
    "rule running_mean(x: [n]): averages(x) == cumsum[n](x) / (1 + iota[n])",
    "rule scan_of_squares(x: [n], y: [n]): squares(x) + squares(y) == squares(x + y)",
    "rule delta_is_linear(k: [n, e], v: [n, f]): delta(k, v) == cumsum[n](k * v)",
    "rule stopped(x: []): stop(x) == x",
    "rule nearly(x: []): x * 1.0000001 == x",
]


def made(text: str) -> Rule:
    program = Program.of(Source("false.anat", HEAD + text))
    rule = program.rule(re.match(r"rule (\w+)", text)[1])
    assert rule is not None, [d.message for d in program.diagnostics()]
    return rule


@pytest.mark.parametrize("text", NON_LAWS + FALSE, ids=lambda t: re.match(r"rule (\w+)", t)[1])
def test_what_is_no_law_is_refused_with_a_point(text: str) -> None:
    rule = made(text)
    found = verify(rule)
    assert (found.status, found.holds) == ("false", False)
    point = found.witness
    assert point is not None
    assert point.left != point.right
    if point.what == "derivative" or point.lifted:
        return
    # The witness is a point at which the compiled sides differ too, by the same numbers.
    for side, told in ((rule.left, point.left), (rule.right, point.right)):
        sizes = {a: point.sizes[a] for a in side.sizes if a in point.sizes}
        given = []
        for item in side.inputs:
            kind = side.wires[item.wire].kind.name
            dtype = {"mask": torch.bool, "index": torch.int64}.get(kind, torch.float64)
            shape = [point.sizes[a] for a in item.layout]
            given.append(torch.tensor(point.inputs[item.name], dtype=dtype).reshape(shape))
        value = build(side, sizes, dtype=torch.float64)(*given)
        entry = value[tuple(point.at[a] for a in side.outputs[0].layout)]
        assert float(entry) == pytest.approx(told, rel=1e-9, abs=1e-9)


def test_sides_of_different_type_are_refused() -> None:
    program = Program.of(Source("types.anat", HEAD + "rule total(x: [m]): softmax[m](x) == sum[m](x)"))
    assert program.rule("total") is None
    assert [d.code for d in program.diagnostics()] == ["E313"]
