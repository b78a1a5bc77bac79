"""No text of a diagram reaches the source except as a quoted string, a comment or a checked identifier."""

from __future__ import annotations

import ast
import builtins
import io
import tokenize
from dataclasses import replace

import pytest
import torch

import anatomy
from anatomy.compiler import Generated, generate, instantiate
from anatomy.errors import Source, Span
from anatomy.ir.graph import Diagram, Equation, Port
from anatomy.ir.poly import Poly
from anatomy.language.program import Program

PAYLOADS = [
    'x");import builtins;builtins.pwned=1#',
    "x');import builtins;builtins.pwned=1#",
    "\n        import builtins; builtins.pwned = 1\n",
    "'''\nimport builtins; builtins.pwned = 1\n'''",
    '"""\nimport builtins; builtins.pwned = 1\n"""',
    "\\\nimport builtins; builtins.pwned = 1",
    "{__import__('builtins').__dict__.update(pwned=1)}",
    "{__import__(chr(98)+'uiltins')}%s",
    "\r\nimport builtins\rbuiltins.pwned = 1\x0c\x0bimport builtins\x85import builtins\u2028import builtins",
    "__class__", "__import__", "self", "torch", "lambda", "None", "match", "nn", "forward", "__init__", "hashlib", "math", "F",
    "training", "parameters", "reset_parameters", "_parameters", "to", "KEYS", "super", "sizes", "_axes", "_solve", "range", "getattr",
    "naïve", "ﬁ", "x" * 10_000, "",
]  # fmt: skip
SIZES = {"d": 6, "h": 3}
LAYER = """
axis n, m = n, d, h, e
diagram it(x: [n, d], t: [n]) -> [n, d] where d = h * e {
  z = x[n -> m]
  q = lin Wq[d -> h, e](x)
  k = lin Wk[d -> h, e](z)
  v = lin Wv[d -> h, e](z)
  frozen weight g: [d] ~ ones
  simd h, n {
    simd m { s = dot[e](q, k) / sqrt(size[e]) + iota[m] * t }
    w = softmax[m](causal[m <= n](s))
    y = sum[m](w * v)
  }
  out lin Wo[h, e -> d](y) * g + size[n]
}
"""


def hostile(diagram: Diagram, text: str, axes: bool, source: Source) -> Diagram:
    """The diagram with every name of it made from a payload; numbered where names must differ."""
    def axis(name: str) -> str:
        return f"{text}{name}" if axes else name

    def poly(p: Poly) -> Poly:
        return p.rename(axis)

    def all_of(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(axis, names))

    def port(p: Port) -> Port:
        return Port(p.wire, tuple((axis(a), axis(b)) for a, b in p.renames))

    span = Span(source, 0, len(source.text))
    return replace(
        diagram,
        name=text,
        inputs=tuple(replace(i, name=text if k == 0 else f"{text}{k}", layout=all_of(i.layout), span=span) for k, i in enumerate(diagram.inputs)),
        outputs=tuple(replace(o, port=port(o.port), layout=all_of(o.layout)) for o in diagram.outputs),
        weights=tuple(
            replace(w, keys=(text if k == 0 else f"{text}.{k}",), lanes=all_of(w.lanes), fan_in=all_of(w.fan_in), fan_out=all_of(w.fan_out), span=span)
            for k, w in enumerate(diagram.weights)
        ),
        wires=tuple(replace(w, axes=all_of(w.axes), name=text, span=span) for w in diagram.wires),
        nodes=tuple(replace(n, own=all_of(n.own), ports=tuple(map(port, n.ports)), span=span) for n in diagram.nodes),
        sizes={axis(a): poly(p) for a, p in diagram.sizes.items()},
        equations=tuple(Equation(poly(e.left), poly(e.right), span) for e in diagram.equations),
        defaults=tuple((axis(a), poly(p)) for a, p in diagram.defaults),
        declared=frozenset(map(axis, diagram.declared)),
        header=all_of(diagram.header),
        span=span,
    )  # fmt: skip


def only_quoted(source: str, word: str) -> bool:
    """The word stands in strings and comments only."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return not any(word in t.string for t in tokens if t.type not in (tokenize.STRING, tokenize.COMMENT))


def shape_of(source: str) -> list[str]:
    """The skeleton of the source: kinds of syntax nodes, names aside."""
    return [type(node).__name__ for node in ast.walk(ast.parse(source))]


def called(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {f"import {a.name}" for a in node.names}
        if isinstance(node, ast.Call):
            names.add(node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func))
    return names


@pytest.mark.parametrize("axes", [False, True], ids=["names", "axes"])
@pytest.mark.parametrize("payload", PAYLOADS, ids=[repr(p[:20]) for p in PAYLOADS])
def test_hostile_names_do_not_reach_the_source(payload: str, axes: bool) -> None:
    plain = Program.of(Source("it.anat", LAYER)).get("it")
    evil = hostile(plain, payload, axes, Source(payload, payload + "\n" + payload))
    sizes = {f"{payload}{a}" if axes else a: v for a, v in SIZES.items()}
    want, have = generate(plain, SIZES, ("b",)), generate(evil, sizes, ("b",))
    assert len(have.source) < len(want.source) + 60 * len(payload) + 10_000
    assert only_quoted(have.source, "pwned")
    assert only_quoted(have.source, "builtins")
    assert called(have.source) - {"getattr"} <= called(want.source)
    assert sorted(shape_of(have.source)).count("Call") == sorted(shape_of(want.source)).count("Call")
    net, twin = run(have), run(want)
    assert not hasattr(builtins, "pwned")
    state = twin.state_dict()
    keys = {new.key: old.key for new, old in zip(evil.weights, plain.weights, strict=True)}
    assert set(net.state_dict()) == set(keys)
    net.load_state_dict({new: state[old] for new, old in keys.items()}, strict=True)
    x, t = torch.randn(2, 5, 6), torch.randn(2, 5)
    torch.testing.assert_close(net(x, t), twin(x, t))
    with pytest.raises(ValueError, match="dimension"):
        net(x[0], t)
    assert not hasattr(builtins, "pwned")


def run(made: Generated) -> torch.nn.Module:
    assert made.class_name.isidentifier()
    assert all(n.isidentifier() for n in made.inputs)
    return instantiate(made)


def test_a_lift_is_an_identifier() -> None:
    plain = Program.of(Source("it.anat", LAYER)).get("it")
    for payload in PAYLOADS:
        if not payload.isidentifier() or not payload.isascii():
            with pytest.raises(anatomy.AnatomyError, match="E407"):
                generate(plain, SIZES, (payload,))


@pytest.mark.parametrize(
    "name",
    ["self", "torch", "F", "math", "nn", "sizes", "hashlib", "seed", "dtype", "device", "Tensor", "forward", "training", "parameters", "print",
     "weight", "draw", "g_", "module", "reference", "_axes", "_generator", "range", "float", "getattr", "super", "KEYS", "size", "reset_parameters",
     "state_dict", "register_buffer", "_modules", "half", "T_destination", "source"],
)  # fmt: skip
def test_names_that_python_or_the_module_use(name: str) -> None:
    """They are legal in the language, for inputs, wires, weights, diagrams and lifts alike."""
    reserved = {"weight", "size"} & {name}
    text = f"axis n, d, e diagram {name}(x: [n, d]) -> [n, e] {{ y = lin V[d -> e](x) out y }}"
    weights = f"axis n, d, e diagram it(x: [n, d]) -> [n, e] {{ out lin {name}[d -> e](x) }}"
    inputs = f"axis n, d diagram it({name}: [n, d], {name}_2: [n, d]) -> [n, d] {{ {name}_3 = {name} * {name}_2 + {name} out exp({name}_3) * {name}_3 }}"
    for k, body in enumerate((text, weights, inputs)):
        if reserved or name == "half":
            continue
        net = anatomy.compile(next(iter(anatomy.parse(body).values())), {"d": 3, "e": 2} if k < 2 else {}, lift=("b",))
        xs = [torch.randn(2, 4, 3) for _ in range(1 + (k == 2))]
        y = net(*xs)
        state = net.state_dict()
        if k < 2:
            key = ("V", name)[k]
            assert set(state) == {key, f"{key}.bias"}
            torch.testing.assert_close(y, xs[0] @ state[key] + state[f"{key}.bias"])
        else:
            z = xs[0] * xs[1] + xs[0]
            torch.testing.assert_close(y, z.exp() * z)


def test_an_axis_may_have_any_name_too() -> None:
    for name in ("self", "torch", "x", "sizes", "_axes", "math", "t"):
        text = f"axis {name}, d diagram it(u: [{name}, d]) -> [{name}, d] {{ out u * iota[{name}] + size[{name}] * sqrt(size[{name}]) }}"
        net = anatomy.compile(anatomy.parse(text)["it"], {})
        u = torch.randn(4, 3)
        torch.testing.assert_close(net(u), u * torch.arange(4.0)[:, None] + 8)


def test_every_attribute_of_a_module_is_known() -> None:
    """A weight of such a name gets another attribute; its key in the state dict stays."""
    from anatomy.compiler.names import MODULE, TAKEN
    from anatomy.compiler.runtime import FUNCTIONS

    own = {n for n in dir(torch.nn.Module()) if not n.startswith("_")}
    assert own <= MODULE
    assert {f"_{n}" for n in FUNCTIONS} <= TAKEN
    functions = {n.id for text in FUNCTIONS.values() for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
    classes = {n for n in functions & set(dir(builtins)) if n[0].isupper()}  # a class of the module could hide them
    assert classes <= TAKEN


def test_keys_that_look_like_attributes_of_other_weights() -> None:
    """`a.b` and `a_b` both want the attribute `a_b`."""
    text = """
    axis n, d
    diagram a(x: [n, d]) -> [n, d] { weight b: [d] ~ normal(1) weight b_2: [d] ~ normal(1) out x * b + b_2 }
    diagram it(x: [n, d]) -> [n, d] {
      weight a_b: [d] ~ normal(1) weight a_b_2: [d] ~ normal(1)
      y = a(x) * a_b + a_b_2
      weight a_b_3: [d] ~ normal(1) weight a_b_2_2: [d] ~ normal(1)
      out a@a_b_4(y) * a_b_3 + a_b_2_2
    }
    """
    it = anatomy.parse(text)["it"]
    net, other = anatomy.compile(it, {"d": 3}, seed=1), anatomy.compile(it, {"d": 3}, seed=2)
    w = net.state_dict()
    assert set(w) == {"a_b", "a_b_2", "a_b_3", "a_b_2_2", "a.b", "a.b_2", "a_b_4.b", "a_b_4.b_2"}
    x = torch.randn(4, 3)
    y = (x * w["a.b"] + w["a.b_2"]) * w["a_b"] + w["a_b_2"]
    torch.testing.assert_close(net(x), (y * w["a_b_4.b"] + w["a_b_4.b_2"]) * w["a_b_3"] + w["a_b_2_2"])
    other.load_state_dict(w, strict=True)
    torch.testing.assert_close(other(x), net(x))
    assert all(torch.equal(v, w[k]) for k, v in other.state_dict().items())
