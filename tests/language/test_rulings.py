"""The rulings of the language design, one test each: where a text has two readings, this is the one that holds."""

import math
import time
from fractions import Fraction

import pytest

import anatomy
from anatomy.errors import AnatomyError, Source
from anatomy.ir.canonical import digest
from anatomy.ir.poly import Poly
from anatomy.language.program import Program
from anatomy.ops import Contract, Expand, Literal, Normalise, Softmax
from tests.language.trees import AXES, check, codes


def program(text: str) -> Program:
    found = Program.of(Source("test.anat", AXES + text))
    assert found.check() == ()
    return found


def diagram(text: str):
    """The last diagram of a text that checks without a finding."""
    found = program(text)
    return found.get(found.names()[-1])


def refused(text: str, *wanted: str):
    found = check(AXES + text)
    assert tuple(d.code for d in found) == wanted
    return found[0]


def run(text: str, *inputs, sizes=None, lift=()):
    import torch

    net = anatomy.compile(diagram(text), sizes=sizes or {}, lift=lift).double()
    with torch.no_grad():
        return net(*(torch.as_tensor(x, dtype=torch.float64) for x in inputs))


def layouts(d):
    return [o.layout for o in d.outputs]


def test_ruling_01_hygiene():
    inner = "diagram s(q: [n, e], k: [m, e]) -> [n, m] { out dot[e](q, k) }\n"
    # The caller's own `e` is another axis than the callee's: it is a lift of both arguments here.
    d = diagram(inner + "diagram t(q: [n, e, d], k: [m, e, d]) -> [n, m, e] { out s[e=d](q, k) }")
    (dot,) = d.nodes
    assert (dot.own, set(d.outputs[0].layout)) == (("d",), {"n", "m", "e"})
    # Two formals may be bound to one axis of the caller, but not on one parameter.
    two = "diagram s(x: [a], y: [c]) -> [] { out sum[a](x) * sum[c](y) }\n"
    diagram(two + "diagram t(x: [e], y: [e]) -> [] { out s[a=e, c=e](x, y) }")
    refused("diagram s(x: [a, c]) -> [] { out sum[a, c](x) }\ndiagram t(x: [e]) -> [] { out s[a=e, c=e](x) }", "E309")
    # A bound axis on a parameter that does not declare it.
    refused("diagram s(x: [n], y: [d]) -> [n, d] { out x * y }\ndiagram t(x: [n], y: [n, d]) -> [n, d] { out s(x, y) }", "E305")


def test_ruling_02_a_rename_is_no_node():
    d = diagram("diagram t(x: [n, m]) -> [n, m] { out relu(x[n -> m, m -> n]) }")
    (node,) = d.nodes
    assert dict(node.ports[0].renames) == {"n": "m", "m": "n"}
    refused("diagram t(x: [n, d]) -> [d] { out sum[e](x[n -> e]) }", "E401")
    refused("diagram t(x: [n, m]) -> [n, m] { out x[n -> m] }", "E304")
    refused("diagram t(x: [n]) -> [n] { simd n { out x[n -> m] } }", "E303")


def test_ruling_03_axis_declarations():
    # `m = n` gives a size where none is given, and binds only where the body uses it.
    import torch

    cross = diagram("diagram t(q: [n, e], k: [m, e]) -> [n, m] { out dot[e](q, k) }")
    assert anatomy.compile(cross)(torch.ones(3, 2), torch.ones(5, 2)).shape == (3, 5)
    d = diagram("diagram t(x: [n, d]) -> [n, m, d] { weight u: [m] ~ ones out x * u }")
    assert anatomy.compile(d, sizes={"n": 4})(torch.ones(4, 2)).shape == (4, 4, 2)
    # Ignored: a size for a declared axis that is not used; refused: one for no axis.
    anatomy.compile(cross, sizes={"g": 7})
    with pytest.raises(AnatomyError, match="E406"):
        anatomy.compile(cross, sizes={"zz": 7})
    assert codes("axis n = 0") == ["E405"]


def test_ruling_04_sizes_of_a_callee():
    callee = "diagram heads(x: [n, d]) -> [n, h, e] where d = h * e { out lin W[d -> h, e](x) }\n"
    refused(callee + "diagram t(x: [n, d]) -> [n, h, e] { out heads(x) }", "E402")
    assert diagram(callee + "diagram t(x: [n, d]) -> [n, h, e] where d = e * h { out heads(x) }").where
    # An internal axis keeps its equation and is solved for each call.
    inner = "diagram mlp(x: [n, d]) -> [n, d] where a = 4 * d { out lin B[a -> d](relu(lin A[d -> a](x))) }\n"
    d = diagram(inner + "diagram t(x: [n, d]) -> [n, d] { out mlp(mlp(x)) }")
    assert d.sizes["mlp.a"] == 4 * Poly.var("d") == d.sizes["mlp_2.a"]
    refused("diagram t(x: [n, d]) -> [n, d] where d = h * e, d = a * c { out x }", "E404")


def test_ruling_05_the_wall():
    for inside in ("softmax[n](x)", "sum[n](x)", "expand[n](x)", "lin W[n -> a](x)", "x[n -> m]"):
        assert refused(f"diagram t(x: [n, d]) -> [n, d] {{ simd n {{ y = {inside} out x + 0 * y }} }}", "E303").secondary
    refused("diagram t(x: [n, d]) -> [n, d] { simd n { weight u: [n] out x * u } }", "E303")
    diagram("diagram t(x: [n, d]) -> [n, d] { simd n { out where(n < 3, x * iota[n], x / size[n]) } }")
    # Axes are listed without lanes.
    found = refused("diagram t(x: [n, d]) -> [n, d] { simd n { out softmax[e](x) } }", "E306")
    assert found.label == "this wire has [d]"


def test_ruling_06_scope():
    d = diagram("diagram t(x: [n, d]) -> [n, d] { simd n { y = relu(x) } out y + softmax[n](y) }")
    assert len(d.nodes) == 3
    assert digest(d) == digest(diagram("diagram t(x: [n, d]) -> [n, d] {\n\nsimd n {\ny = relu\n(x)} out y\n+ softmax [n] (y)\n}"))
    refused("diagram t(x: [n]) -> [n] { simd n { y = relu(x) } simd n { y = relu(x) } out y }", "E204")
    refused("diagram t(x: [n]) -> [n] { y = relu(z) z = x out y }", "E202")
    refused("diagram t(x: [n]) -> [n] { out x out x }", "E504")
    refused("diagram t(x: [n]) -> [n] { y = x }", "E503")
    # `out` restores lanes that the wire lacks; anything else that differs is an error.
    repeated = diagram("diagram t(x: [d], y: [n]) -> [n, d] { simd n { out x } }".replace("y: [n]", "_y: [n]"))
    assert [n.op for n in repeated.nodes] == [Expand()]
    refused("diagram t(x: [d]) -> [n, d] { out x }", "E308")
    diagram("diagram t(x: [d]) -> [n, d] { out expand[n](x) }")


def test_ruling_07_results():
    two = "diagram s(x: [d], y: [e]) -> [d], [] { out relu(x), sum[e](y) }\n"
    d = diagram(two + "diagram t(x: [n, d], y: [e]) -> [n, d], [] { a1, b1 = s(x, y) out a1, b1 }")
    assert layouts(d) == [("n", "d"), ()], "a result carries only the lifts of the arguments it depends on"
    first, second = run(two.rstrip(), [[1.0, -1.0]] * 3, [[1.0, 2.0]] * 3, lift=("b",))
    assert (tuple(first.shape), tuple(second.shape)) == ((3, 2), (3,))
    constant = run("diagram t(x: [n]) -> [n], [d] { weight u: [d] ~ ones out x, u }", [[0.0] * 4] * 5, sizes={"d": 2}, lift=("b",))
    assert tuple(constant[1].shape) == (5, 2), "an output that does not depend on a lift is expanded"


def test_ruling_08_own_axes():
    d = diagram("diagram t(x: [n, e], y: [m, e, d], z: [d]) -> [n, m] { out dot[e, d](x, y, z) }")
    assert d.nodes[0].own == ("e", "d")
    refused("diagram t(x: [n, e], y: [m]) -> [n, m] { out dot[e](x, y) }", "E306")
    refused("diagram t(x: [n]) -> [n] { out softmax[d](x) }", "E306")
    refused("diagram t(x: [n, c]) -> [n, c] { out lin W[d -> c](x) }", "E308")
    joint = run("diagram t(x: [n, d]) -> [n, d] { out softmax[n, d](x) }", [[0.0, 0.0], [0.0, 0.0]])
    assert joint.sum().item() == pytest.approx(1)
    assert joint.max().item() == pytest.approx(0.25)


def test_ruling_09_weights_of_calls():
    inner = "diagram lin1(x: [d]) -> [a] { out lin W[d -> a](x) }\n"
    d = diagram(inner + "diagram t(x: [n, d]) -> [n, a] { out lin1(x) + lin1(x) + lin1@last_one(x) }")
    assert [w.key for w in d.weights] == ["lin1.W", "lin1.W.bias", "lin1_2.W", "lin1_2.W.bias", "last_one.W", "last_one.W.bias"]
    assert all("n" not in w.layout for w in d.weights), "one set for all lifts"
    shared = diagram("diagram t(x: [n, d]) -> [n, a] { y = lin W[d -> a](x) out y + lin W(relu(x)) }")
    assert [w.key for w in shared.weights] == ["W", "W.bias"]
    refused("diagram t(x: [n, d]) -> [n, a] { out lin W[d -> a](x) + lin W[d -> a](x) }", "E204")
    tied = diagram(inner + "diagram t(x: [n, d]) -> [n, a] { y = lin1(x) z = lin1(x) tie lin1.W, lin1_2.W out y + z }")
    assert ("lin1.W", "lin1_2.W") in [w.keys for w in tied.weights]
    refused("diagram t(x: [n, d]) -> [n, a], [n, c] { y = lin V[d -> a](x) z = lin W[d -> c](x) tie V, W out y, z }", "E310")


def test_ruling_10_lin():
    refused("diagram t(x: [n, d]) -> [n, d] { out lin W[d -> d](x) }", "E309")
    d = diagram("diagram t(x: [n, h, d]) -> [n, h, e] { out lin W[h; d -> e](x) }")
    assert [(w.layout, w.fan_in) for w in d.weights] == [(("h", "d", "e"), ("d",)), (("h", "e"), ())]
    (only,) = diagram("diagram t(x: [n, d]) -> [n, e] { out lin W[d -> e, bias=false] ~ normal(0.02) (x) }").weights
    assert str(only.init) == "normal(0.02)"


def test_ruling_11_what_equality_counts():
    written = "diagram act(x: [d]) -> [d] { out relu(x) }\ndiagram t(x: [n, d], y: [n, d]) -> [n, d] { out act(x) - y }"
    flat = "diagram t(u: [m, e], v: [m, e]) -> [m, e] { out relu(u) - v }"
    base = digest(diagram(written))
    assert base == digest(diagram(flat)), "calls are unfolded; names of axes and wires do not count"
    assert base != digest(diagram("diagram t(y: [n, d], x: [n, d]) -> [n, d] { out relu(x) - y }")), "input order counts"
    assert base != digest(diagram("diagram t(x: [d, n], y: [n, d]) -> [n, d] { out relu(x) - y }")), "layouts count"
    weight = "diagram t(x: [d]) -> [d] {{ {} out x * u }}"
    variants = [weight.format(w) for w in ("weight u: [d] ~ ones", "weight u: [d] ~ zeros", "frozen weight u: [d] ~ ones")]
    assert len({digest(diagram(v)) for v in variants}) == 3, "initialiser and frozen flag count for the hash"
    found = anatomy.equal(diagram(variants[0]), diagram(variants[1]))
    assert (found.isomorphic, found.same_term) == (False, True)


def test_ruling_12_numbers():
    (two, *_rest) = diagram("diagram t(x: [n]) -> [n] { out x * 0.1 }").nodes
    assert two.op == Literal(Fraction(1, 10)), "a literal is an exact rational"
    assert run("diagram t(x: [n]) -> [n] { out -x ^ 2 }", [3.0]).tolist() == [-9.0]
    assert run("diagram t(x: [n]) -> [n] { out x ^ 3 ^ 2 }", [2.0]).tolist() == [512.0], "to the right"
    assert run("diagram t(x: [n]) -> [n] { out 2 ^ -x }", [1.0]).tolist() == [0.5]
    forms = ["x * size[d]", "x * 2", "x * (1 + 1)"]
    folded = {digest(diagram(f"diagram t(x: [n, d]) -> [n, d] {{ out {form} }}")) for form in forms}
    assert len(folded) == 3, "isomorphism folds no constants, and a size is no literal"


def test_ruling_13_rules_and_types():
    refused("rule wrong(s: [m]): sum[m](s) == s", "E313")
    rule = program("rule drops(s: [m], t: []): softmax[m](s + t) == softmax[m](s)").rule("drops")
    assert [len(d.inputs) for d in (rule.left, rule.right)] == [2, 2], "both sides have all parameters"
    assert {*rule.left.outputs[0].layout} == {*rule.right.outputs[0].layout}


def test_ruling_14_accidental_outer_sums():
    found = refused("diagram t(q: [n], k: [m]) -> [n, m] { out q + k }", "W301")
    assert found.severity == "warning"
    for fine in ("q * k", "where(n < m, 1, 0) + q * k", "iota[n] - iota[m] + q * k"):
        diagram(f"diagram t(q: [n], k: [m]) -> [n, m] {{ out {fine} }}")
    for word in ("q - k", "max(q, k)", "where(m <= n, q, k)"):
        refused(f"diagram t(q: [n], k: [m]) -> [n, m] {{ out {word} }}", "W301")
    diagram("diagram t(q: [n], k: [m]) -> [n, m] { simd n, m { out q + k } }")


def test_ruling_15_masks_and_kinds():
    import torch

    diagram("diagram t(s: [n, m], p1: mask[n, m], i: index(c)[n], u: [c]) -> [n, m] { out mask(p1, s) * index[c](i) + sum[c](u) }".replace(" * index[c](i)", " * i"))
    refused("diagram t(s: [n, m], q: mask[n, m]) -> [n, m] { out s + q }", "E307")
    refused("diagram n(s: [n]) -> [n] { out s }", "E204")
    refused("diagram t(s: [n, m]) -> [n, m] { out causal[n - m < 4](s) }", "E312")
    same = [digest(diagram(f"diagram t(s: [n, m]) -> [n, m] {{ out {form} }}")) for form in ("causal[m <= n](s)", "mask(m <= n, s)")]
    assert same[0] == same[1]
    net = anatomy.compile(diagram("diagram t(s: [n, m]) -> [n, m] { out softmax[m](mask(m < n, s)) }")).double()
    s = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
    y = net(s)
    y.sum().backward()
    assert y[0].tolist() == [0.0, 0.0], "a row of -inf gives 0"
    assert s.grad[0].tolist() == [0.0, 0.0], "and gradient 0"


def test_ruling_16_initialisers():
    import torch

    fans = [(w.fan_in, w.fan_out) for w in diagram(
        "diagram t(x: [d]) -> [d, h, e, a, c] { weight A: [d -> h, e] weight B: [d] weight C: [a, c] out x * A * B * C }"
    ).weights]  # fmt: skip
    assert fans == [(("d",), ("h", "e")), (("d",), ()), (("a",), ("c",))]
    refused("diagram t(x: [d]) -> [d, h, e] { weight A: [d, h, e] out x * A }", "E208")
    d = diagram("diagram t(x: [n, d]) -> [n, e] { out lin W[d -> e](x) }")
    net = anatomy.compile(d, sizes={"d": 30, "e": 20})
    state = net.state_dict()
    limit = math.sqrt(6 / 50)
    assert state["W"].abs().max() <= limit < 1.1 * state["W"].abs().max()
    assert not state["W.bias"].any()
    again = anatomy.compile(diagram("diagram t(x: [n, d]) -> [n, e] { weight V: [d] out lin W[d -> e](x * V) }"), sizes={"d": 30, "e": 20})
    assert torch.equal(again.state_dict()["W"], state["W"]), "drawn from hash(seed, key)"
    frozen = anatomy.compile(diagram("diagram t(x: [d]) -> [d] { frozen weight u: [d] out x * u }"), sizes={"d": 3})
    assert not list(frozen.parameters())
    assert len(list(frozen.buffers())) == 1


def test_ruling_17_conventions():
    gelu = run("diagram t(x: [n]) -> [n] { out gelu(x) }", [1.0]).item()
    assert gelu == pytest.approx(0.5 * (1 + math.erf(1 / math.sqrt(2))), abs=1e-12)
    norms = [n.op for n in diagram("diagram t(x: [d]) -> [d] { out layernorm[d](rmsnorm[d](l2norm[d](x))) }").nodes]
    assert [op.eps for op in norms if isinstance(op, Normalise)] == [0, Fraction("1e-5"), Fraction("1e-5")]
    assert run("diagram t(x: [n]) -> [c, r] where n = c * r { out split[n -> c, r](x) }", range(6), sizes={"c": 2}).tolist() == [[0, 1, 2], [3, 4, 5]]
    low, high = run("diagram t(x: [e]) -> [r], [r] where e = 2 * r { y, z = halves[e -> r](x) out y, z }", range(4))
    assert (low.tolist(), high.tolist()) == ([0, 1], [2, 3])
    assert run("diagram t(x: [n], y: [d]) -> [a] where a = n + d { out cat[n, d -> a](x, y) }", [1.0], [2.0, 3.0]).tolist() == [1, 2, 3]
    assert run("diagram t(x: [n]) -> [n] { out cumsum[n](x) }", [1.0, 2.0]).tolist() == [1, 3]
    w = run("diagram t(x: [n, m]) -> [n, m] { out sinkhorn[n, m](x, steps=3) }", [[1.0, 2.0], [0.0, 5.0]])
    assert w.sum(1).tolist() == pytest.approx([1, 1], abs=1e-15), "m is normalised last"
    assert w.sum(0).tolist() != pytest.approx([1, 1], abs=1e-6)


def test_ruling_18_scan():
    import torch

    text = "diagram t(x: [n, d]) -> [n, d], [n, d], [d] {{ scan n (s: [d] = {}) {{ y = s + x next s = y }} out s, y, s.last }}"
    x = torch.tensor([[1.0], [2.0], [3.0]])
    before, after, last = run(text.format(10), x)
    assert (before[:, 0].tolist(), after[:, 0].tolist(), last.tolist()) == ([10, 11, 13], [11, 13, 16], [16])
    # One weight for all steps, and the lanes of boxes around it come of themselves.
    d = diagram("diagram t(x: [n, h, d]) -> [n, h, d] { simd h { scan n (s: [d] = 0) { weight w: [d] next s = s * w + x } out s } }")
    assert [w.layout for w in d.weights] == [("d",)]


def test_ruling_19_repeat():
    turns = "diagram t(x: [n, d]) -> [n, d] {{ repeat {} (y = x) {{ next y = relu(lin W[d -> c](y)[c -> d]) }} out y }}"
    axes = "axis n, d, c = d\n"
    assert [w.key for w in anatomy.parse(axes + turns.format("12"))["t"].weights][:3] == ["0.W", "0.W.bias", "1.W"]
    assert [w.key for w in anatomy.parse(axes + turns.format("tied 12"))["t"].weights] == ["W", "W.bias"]
    refused("diagram t(x: [n, d]) -> [n, d] { repeat tied n (y = x) { next y = relu(y) } out y }", "E507")


HOLE = "diagram host(x: [n, d], y: [m, d]) -> [n, m] { hole fit(u: [d], v: [d]) -> [] simd n, m { out fit(x, y) + fit(y, y) } }\n"


def test_ruling_20_holes_and_parts():
    good = "diagram s(q: [e], k: [e]) -> [] { weight w: [a] out dot[a](w, lin W[e -> a](q * k)) }\n"
    program(HOLE + good + "family all of host { choose fit in { s } }")
    from anatomy.spaces.space import Space

    space = Space(program(HOLE + good + "family all of host { choose fit in { s } }").space("all"))
    keys = [w.key for w in space[0].diagram.weights]
    assert len(keys) == len(set(keys)) == 6, "each use is a call site with its own weights"
    for bad in ("(q: [e]) -> [] { out sum[e](q) }", "(q: [e], k: [c]) -> [] { out sum[e](q) * sum[c](k) }", "(q: [e], k: [e]) -> [e] { out q * k }"):
        refused(HOLE + f"diagram s{bad}\nfamily all of host {{ choose fit in {{ s }} }}", "E604")
    part = "part fit(u: [d], v: [d]) -> [] { weight w: [a] out dot[a](w, lin W[d -> a](u * v)) }"
    whole = program(HOLE.replace("hole fit(u: [d], v: [d]) -> []", part) + good + "family all of host { choose fit in { s, host.fit } }")
    space = Space(whole.space("all"))
    assert len({digest(m.diagram) for m in (space[0], space[1])}) == 1, "a part is a hole with a default"
    assert digest(whole.get("host")) == digest(space[0].diagram)
    assert [w.key for w in whole.get("host").weights] == keys
    assert whole.names() == ["host", "s"], "a part is addressed through its diagram"
    assert whole.get("host.fit").name == "fit"
    masked = "diagram t(s: [n, m]) -> [n, m] { part mask(s: [n, m]) -> [n, m] { out mask(m <= n, s) } out mask(s) }\n"
    plain = "diagram u(s: [n, m]) -> [n, m] { out mask(m <= n, s) }\n"
    named = program(masked + plain + "family all of t { choose mask in { t.mask, u } }")
    assert digest(named.get("t")) == digest(named.get("u")), "a part may have the name of an operation"
    assert len({digest(m.diagram) for m in (Space(named.space("all"))[0], Space(named.space("all"))[1])}) == 1
    refused("diagram t(x: [d]) -> [d] { part s(q: [d]) -> [d] { out q * x } out s(x) }", "E202")
    refused("diagram t(x: [d]) -> [d] { part s(q: [d]) -> [d] { part r(q: [d]) -> [d] { out q } out r(q) } out s(x) }", "E209")
    refused("diagram t(x: [d]) -> [d] { part s(q: [d]) -> [d] { out q } part s(q: [d]) -> [d] { out -q } out s(x) }", "E204")
    refused("diagram t(x: [d]) -> [d] { part s(q: [d]) -> [d] { out q } out x }", "W201")
    refused("diagram t(x: [d]) -> [d] { part s(q: [d]) -> [e] { out q } out s(x)[e -> d] }", "E308")


def test_ruling_21_families_and_spaces():
    fillers = "diagram s1(q: [e], k: [e]) -> [] { out dot[e](q, k) }\ndiagram s2(q: [e], k: [e]) -> [] { out dot[e](q, q * k) }\n"
    found = program(HOLE + fillers + "family both = { s1, s2 }\nspace S of host { choose fit in both }\nfamily F of host { choose fit in { s1, s2 } }")
    names = [[[c.label for c in d.domain.components] for d in found.space(word).decisions] for word in ("S", "F")]
    assert names == [[["s1", "s2"]], [["s1", "s2"]]], "a family of choices is accepted wherever a space is"
    refused(HOLE + fillers + "space S of host { choose fit in { s1 } require casual }", "E612")


def test_ruling_22_diagnostics_order():
    found = check(AXES + "diagram a1(x: [n], y: [n]) -> [n] { out x }\ndiagram a2(x: [n], y: [n]) -> [n] { out z }\ndiagram a3(x: [n]) -> [n] { out w }")
    assert [(d.code, d.span.line) for d in found] == [("E202", 3), ("E202", 4), ("W202", 2)], "no warning in a diagram with errors"
    assert check("axis n, unused\ndiagram d(x: [n]) -> [n] { out x }") == ()


def test_ruling_23_limits():
    assert codes("axis n = 1099511627776") == []
    assert codes("axis n = 1099511627777") == ["E405"]
    with pytest.raises(AnatomyError, match="E405"):
        anatomy.compile(diagram("diagram t(x: [n]) -> [n] { out x }"), sizes={"n": 0})
    doubling = "diagram d0(x: [n]) -> [n] { out relu(x) }\n" + "".join(
        f"diagram d{k}(x: [n]) -> [n] {{ out d{k - 1}(d{k - 1}(x)) }}\n" for k in range(1, 60)
    )
    began = time.monotonic()
    refused(doubling, "E502")
    assert time.monotonic() - began < 30, "predicted, and not built"


def test_ruling_24_indices():
    assert run("diagram t(x: [n]) -> [n] { out shift[n](x, 1) }", [1.0, 2.0]).tolist() == [0, 1]
    d = diagram("diagram t(x: [n], u: [c]) -> [n, c] { i = index[c](x) out i * u }")
    assert next(w for w in d.wires if w.name == "i").kind.name == "index"
    assert run("diagram t(x: [n], u: [c]) -> [n, c] { out index[c](x) * u }", [-3.0, 1.9, 9.0], [1.0, 1.0]).tolist() == [[0, 0], [1, 1], [1, 1]]
    refused("diagram t(x: [n]) -> index(c)[n] { out x }", "E307")
    zipped = diagram("diagram t(x: [n, m], i: index(m)[n]) -> [n] { out gather[m](x, i) }")
    assert set(zipped.wires[zipped.outputs[0].port.wire].axes) == {"n"}
    refused("diagram t(x: [n, m], i: [n]) -> [n] { out gather[m](x, i) }", "E307")
    refused("diagram t(x: [n]) -> [n, d] { out table E[c -> d](x) }", "E307")


def test_ruling_25_open_diagrams():
    d = diagram(HOLE)
    assert d.holes == ("fit",)
    with pytest.raises(AnatomyError, match="`host` has open holes and cannot be compiled: fit"):
        anatomy.compile(d)
    assert codes("lang 1\naxis n") == []
    assert codes("lang 2\naxis n") == ["E105"]


def test_ruling_26_what_regularity_measures():
    # Tokens in the unit ball: over all tokens jointly the derivative of x * x has norm 2, along the last axis.
    d = diagram("diagram t(x: [n, d]) -> [n, d] { out x * x }")
    found = anatomy.regularity(d, sizes={"n": 3, "d": 2}, radius=1.0)
    assert found.lower == pytest.approx(2, rel=1e-3)
    assert found.upper >= found.lower
    # With the axes in the other order a token is a column, and the same function is measured on another ball.
    pair = diagram("diagram t(x: [n, d]) -> [n] { out sum[d](x) }")
    assert anatomy.regularity(pair, sizes={"n": 3, "d": 4}, radius=1.0).lower == pytest.approx(2, rel=1e-6)
    joint = diagram("diagram t(x: [n, d], y: [n, d]) -> [n, d] { out x + y }")
    assert anatomy.regularity(joint, sizes={"n": 2, "d": 2}, radius=1.0).lower == pytest.approx(math.sqrt(2), rel=1e-6), "joint over all real inputs"


def test_softmax_and_dot_are_single_boxes():
    nodes = diagram("diagram t(q: [n, e], k: [m, e]) -> [n, m] { out softmax[m](dot[e](q, k)) }").nodes
    assert [n.op for n in nodes] == [Contract(), Softmax()]
