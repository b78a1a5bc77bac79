"""Certificates: written, read, checked and compared with what they are about."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from anatomy.api import load, numeric, parse
from anatomy.certificates import Certificate, certify, verify
from anatomy.compiler import build
from anatomy.errors import AnatomyError

SIZES = {"n": 4, "d": 6, "h": 2}


def made(target: str = "zoo:mha", sizes: dict[str, int] | None = None, radius: float = 1.0, norm: str = "frobenius") -> Certificate:
    diagram = load(target)
    weights, _ = numeric(build(diagram, sizes or SIZES, seed=0, dtype=torch.float64))
    return certify(diagram, sizes or SIZES, weights, radius, norm)  # type: ignore[arg-type]


@pytest.mark.parametrize("norm", ["frobenius", "max_token"])
def test_a_certificate_holds_and_proves_its_own_bound(norm: str):
    found = made(norm=norm)
    again = verify(found.text, load("zoo:mha"))
    assert again.holds, again.reason
    assert again.proved == again.upper == found.upper
    assert again.norm == norm


def test_the_same_question_gives_the_same_bytes():
    assert made().text == made().text


def test_json_schema_names_every_part():
    schema = Certificate.model_json_schema()
    assert {"graph", "weights", "steps", "upper", "radius", "norm", "sha256"} <= set(schema["properties"])


def test_it_is_about_one_diagram_at_one_size():
    text = made().text
    for other in ("zoo:sdpa", "zoo:mqa", "zoo:linformer"):
        assert not verify(text, load(other)).holds


def test_a_renamed_text_is_the_same_diagram():
    lines = "axis n, d, e diagram f(x: [n, d]) -> [n, e] {{ {0} = lin W[d -> e](x) out relu({0}) }}"
    one, two = (parse(lines.format(name))["f"] for name in ("y", "other"))
    weights, _ = numeric(build(one, {"n": 3, "d": 4, "e": 2}, seed=0, dtype=torch.float64))
    assert verify(certify(one, {"n": 3, "d": 4, "e": 2}, weights).text, two).holds


def test_a_linear_diagram_is_certified_at_its_norm():
    diagram = parse("axis n, d, e diagram f(x: [n, d]) -> [n, e] { out lin W[d -> e](x) }")["f"]
    value = np.arange(12.0).reshape(4, 3)
    weights = {w.key: value if len(w.layout) == 2 else np.ones(3) for w in diagram.weights}
    found = certify(diagram, {"n": 3, "d": 4, "e": 3}, weights)
    exact = np.linalg.svd(value)[1][0]
    assert exact <= found.upper <= exact * (1 + 1e-8)


def test_no_certificate_where_a_rule_is_missing():
    diagram = parse("axis n diagram f(x: [n]) -> [n] { v, i = sort[n](x)\n out v }")["f"]
    with pytest.raises(AnatomyError, match=r"E903.*sort"):
        certify(diagram, {"n": 3}, {})
    jumping = parse("axis n diagram f(x: [n]) -> [n] { out sign(x) }")["f"]
    with pytest.raises(AnatomyError, match=r"E903.*jump"):
        certify(jumping, {"n": 3}, {})
    undefined = parse("axis n diagram f(x: [n]) -> [n] { out log(x) }")["f"]
    with pytest.raises(AnatomyError, match=r"E903.*positive"):
        certify(undefined, {"n": 3}, {})


def test_a_mask_that_is_not_known_may_leave_nothing():
    """A row without keys gives 0, whatever the values are."""
    text = """
    axis n, d
    axis m = n
    diagram f(x: [n, d], t: mask[n, m]) -> [n, d] { out 1 / dot[m](softmax[m](mask(t, dot[d](x, x[n -> m]))), x[n -> m] + 5) }
    diagram g(x: [n, d]) -> [n, d] { out 1 / dot[m](softmax[m](dot[d](x, x[n -> m])), x[n -> m] + 5) }
    """
    known = parse(text)
    with pytest.raises(AnatomyError, match=r"E903.*denominator"):
        certify(known["f"], {"n": 3, "d": 2}, {})
    assert certify(known["g"], {"n": 3, "d": 2}, {}).upper > 0


LOOP = """
axis n, d, e
diagram f(x: [n, d]) -> [n, e], [n, e] {
  weight A: [e] ~ normal(1)
  u = lin W[d -> e](x)
  start = tanh(A)
  scan n (s: [e] = start, z: [e] = 0) {
    next s = s * sigmoid(u + z)
    next z = tanh(s + u)
    y = s + z
  }
  out y, s
}
"""


def test_a_loop_written_out_is_the_same_function():
    """Values of the certificate's own graph, by its linear rules on exact constants, against the compiled diagram."""
    from flint import ctx

    from anatomy.certificates import walking
    from anatomy.certificates.numbers import Tape
    from anatomy.certificates.writing import graph_of, weights_of

    diagram, sizes = parse(LOOP)["f"], {"n": 4, "d": 2, "e": 3}
    net = build(diagram, sizes, seed=3, dtype=torch.float64)
    weights, _ = numeric(net)
    graph = graph_of(diagram, sizes)
    x = np.random.default_rng(0).standard_normal((4, 2))
    # The input as a weight: every wire is a constant then.
    values = weights_of(diagram, weights)
    extra = values[0].model_copy(update=_value(x) | {"key": "x", "wire": graph.inputs[0].wire, "layout": graph.inputs[0].layout})
    with ctx.workprec(106):
        s = walking.start(graph.model_copy(update={"inputs": ()}), (*values, extra), 1.0)
        for at, node in enumerate(graph.nodes):
            s.tape = Tape()
            walking.run(s, at, node)
        found = []
        for o in graph.outputs:
            value = s.view(o.port).value
            assert value is not None
            found.append(np.vectorize(float, otypes=[float])(value.spread(o.layout, s.sizes).order(o.layout)))
    for got, wanted in zip(found, net(torch.tensor(x)), strict=True):
        np.testing.assert_allclose(got, wanted.detach().numpy(), rtol=1e-12)


def _value(x: np.ndarray) -> dict[str, str]:
    import base64
    import hashlib

    raw = x.astype("<f8").tobytes()
    return {"data": base64.b64encode(raw).decode(), "sha256": hashlib.sha256(raw).hexdigest()}


def test_a_loop_too_long_to_be_written_out_is_refused():
    diagram = parse(LOOP)["f"]
    weights, _ = numeric(build(diagram, {"n": 2, "d": 2, "e": 2}, seed=0, dtype=torch.float64))
    with pytest.raises(AnatomyError, match=r"E903.*steps"):
        certify(diagram, {"n": 65, "d": 2, "e": 2}, weights)


def test_no_certificate_for_an_infinite_radius():
    diagram = parse("axis n diagram f(x: [n]) -> [n] { out relu(x) }")["f"]
    for radius in (float("inf"), float("nan"), -1.0):
        with pytest.raises(AnatomyError, match="E903"):
            certify(diagram, {"n": 3}, {}, radius)


@pytest.mark.parametrize("name", ["cross", "alibi", "rope_mha", "document", "fnet", "bahdanau", "cosine", "gla", "bigbird", "external"])
def test_variants_of_every_kind_have_certificates(name: str):
    from anatomy.claims.trial import Trial

    try:
        diagram = load(f"zoo:{name}")
    except AnatomyError:
        pytest.skip("no such entry")
    sizes = Trial(diagram).chosen
    weights, _ = numeric(build(diagram, sizes, seed=0, dtype=torch.float64))
    found = certify(diagram, sizes, weights)
    again = verify(found.text, diagram)
    assert again.holds, again.reason
    assert json.loads(found.text)["graph"]["name"] == diagram.name
