"""Certificates altered by someone who knows the format: no false statement is accepted."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from flint import ctx

from anatomy.api import parse
from anatomy.certificates import Certificate, certify, verify
from anatomy.certificates.model import Broken
from anatomy.certificates.state import Lacking
from anatomy.certificates.walking import prove

TEXT = """
axis n, d, h, e
axis m = n
diagram f(x: [n, d]) -> [n, d] {
  y = tanh(x)
  q = lin Q[d -> h, e](y)
  k = lin K[d -> h, e](y)
  v = lin V[d -> h, e](y)
  p = softmax[m](dot[e](q, k[n -> m]) / sqrt(size[e]))
  out x + gelu(lin O[h, e -> d](dot[m](p, v[n -> m])))
}
"""


@pytest.fixture(scope="module")
def honest() -> Certificate:
    diagram, sizes = parse(TEXT)["f"], {"n": 2, "d": 2, "h": 2, "e": 1}
    rng = np.random.default_rng(0)
    shapes = {"n": 2, "d": 2, "h": 2, "e": 1}
    weights = {w.key: rng.standard_normal([shapes[a] for a in w.layout]) for w in diagram.weights}
    return certify(diagram, sizes, weights)


def leaves(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from leaves(value, (*path, key))
    else:
        yield path


def put(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    out = copy.deepcopy(data)
    at = out
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return out


def get(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


def others(value: Any, rng: random.Random) -> list[Any]:
    """What a forger might write in the place of a value."""
    match value:
        case bool():
            return [not value]
        case int():
            return [value + 1, max(0, value - 1)]
        case float():
            return [math.nextafter(value, -math.inf), value * 0.5, value * 1.5, -value]
        case str() if len(value) == 64:
            return [value[:-1] + ("0" if value[-1] != "0" else "1")]
        case str():
            return ["n", "d", "sigmoid", value + "x"]
    return [0]


def forged(data: dict[str, Any]) -> str:
    """Sealed again with a digest that fits."""
    body = {k: v for k, v in data.items() if k != "sha256"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return json.dumps(body | {"sha256": hashlib.sha256(text.encode()).hexdigest()}, sort_keys=True, separators=(",", ":"))


def test_every_leaf_altered_without_a_new_digest_fails(honest: Certificate):
    data, rng = json.loads(honest.text), random.Random(0)
    for path in list(leaves(data))[::3]:
        for value in others(get(data, path), rng):
            text = json.dumps(put(data, path, value), sort_keys=True, separators=(",", ":"))
            if text != honest.text:
                assert not verify(text).holds, path


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_every_leaf_altered_with_a_new_digest_fails_or_states_what_is_true(honest: Certificate, every: int):
    """The truth of a statement that is accepted: a proof of the same, found afresh, is no larger."""
    data, rng = json.loads(honest.text), random.Random(0)
    tried = accepted = 0
    for path in list(leaves(data))[::every]:
        if path[0] == "weights" and path[-1] == "data":
            continue
        for value in others(get(data, path), rng):
            changed = put(data, path, value)
            if changed == data:
                continue
            tried += 1
            text = forged(changed)
            found = verify(text)
            if found.holds:
                accepted += 1
                again = Certificate.model_validate_json(text)
                with ctx.workprec(106):
                    least = prove(again.graph, again.weights, again.radius)[1]
                assert again.upper >= float(least[1].lower()) * (1 - 1e-9), path
    assert tried > 500 / every
    assert 0 < accepted < tried / 3


def test_a_smaller_bound_is_refused_by_the_mathematics(honest: Certificate):
    data = json.loads(honest.text)
    for factor in (0.0, 0.1, 0.9, 1 - 1e-15):
        found = verify(forged(put(data, ("upper",), data["upper"] * factor)))
        assert not found.holds
        assert found.step == "upper"
    assert verify(forged(put(data, ("upper",), data["upper"] * 2))).holds


def test_a_larger_radius_is_refused(honest: Certificate):
    assert not verify(forged(put(json.loads(honest.text), ("radius",), 1.0000001))).holds


def test_larger_weights_are_refused(honest: Certificate):
    data = json.loads(honest.text)
    for k, weight in enumerate(data["weights"]):
        values = np.frombuffer(base64.b64decode(weight["data"]), dtype="<f8")
        raw = (values * 1.01).tobytes()
        changed = put(data, ("weights", k, "data"), base64.b64encode(raw).decode())
        changed["weights"][k]["sha256"] = hashlib.sha256(raw).hexdigest()
        # A bias of keys, values or outputs changes no derivative.
        assert not verify(forged(changed)).holds or "bias" in weight["key"], weight["key"]


def test_a_node_removed_or_doubled_is_refused(honest: Certificate):
    data = json.loads(honest.text)
    for k in range(len(data["graph"]["nodes"])):
        for nodes in (data["graph"]["nodes"][:k] + data["graph"]["nodes"][k + 1 :], [*data["graph"]["nodes"], data["graph"]["nodes"][k]]):
            assert not verify(forged(put(data, ("graph", "nodes"), nodes))).holds


def test_a_step_removed_or_doubled_is_refused(honest: Certificate):
    data = json.loads(honest.text)
    for k, step in enumerate(data["steps"]):
        if not step["numbers"] and not step["claims"]:
            continue
        assert not verify(forged(put(data, ("steps",), data["steps"][:k] + data["steps"][k + 1 :]))).holds
        assert not verify(forged(put(data, ("steps",), [*data["steps"], data["steps"][k]]))).holds


def test_a_claim_that_hides_its_input_is_refused(honest: Certificate):
    data = json.loads(honest.text)
    for k, step in enumerate(data["steps"]):
        for c in range(len(step["claims"])):
            assert not verify(forged(put(data, ("steps", k, "claims", c, "gains"), []))).holds


def test_operations_exchanged_state_nothing_false(honest: Certificate):
    """Another word for an operation is another diagram: its own proof must fit."""
    data = json.loads(honest.text)
    for k, node in enumerate(data["graph"]["nodes"]):
        for word in ("+", "*", "dot", "sum", "softmax", "relu", "sigmoid", "exp", "neg", "mask", "layernorm", "size", "max"):
            if word == node["op"]:
                continue
            text = forged(put(data, ("graph", "nodes", k, "op"), word))
            found = verify(text)
            if found.holds:
                again = Certificate.model_validate_json(text)
                try:
                    with ctx.workprec(106):
                        least = prove(again.graph, again.weights, again.radius)[1]
                except (Lacking, Broken):
                    pytest.fail("accepted what cannot be proved")
                assert again.upper >= float(least[1].lower()) * (1 - 1e-9)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308])
def test_weights_that_are_no_numbers_or_too_large_are_refused(honest: Certificate, value: float):
    data = json.loads(honest.text)
    for k, weight in enumerate(data["weights"]):
        values = np.frombuffer(base64.b64decode(weight["data"]), dtype="<f8").copy()
        values[0] = value
        changed = put(data, ("weights", k, "data"), base64.b64encode(values.tobytes()).decode())
        changed["weights"][k]["sha256"] = hashlib.sha256(values.tobytes()).hexdigest()
        assert not verify(forged(changed)).holds or "bias" in weight["key"], weight["key"]


def test_weights_exchanged_state_nothing_false(honest: Certificate):
    data = json.loads(honest.text)
    for field in ("wire", "data"):
        for i, one in enumerate(data["weights"]):
            for j, two in enumerate(data["weights"][:i]):
                if one[field] == two[field]:
                    continue
                changed = copy.deepcopy(data)
                for name in (field, "sha256") if field == "data" else (field,):
                    changed["weights"][i][name], changed["weights"][j][name] = two[name], one[name]
                text = forged(changed)
                if verify(text).holds:
                    again = Certificate.model_validate_json(text)
                    with ctx.workprec(106):
                        least = prove(again.graph, again.weights, again.radius)[1]
                    assert again.upper >= float(least[1].lower()) * (1 - 1e-9), (field, i, j)


LOOP = """
axis n, d, e
axis m = n
diagram f(x: [n, d]) -> [n, e] {
  k = tanh(lin K[d -> e](x))
  p = entmax[m, alpha=1.5](dot[e](k, k[n -> m]))
  scan n (s: [e] = 0) {
    held = s * sigmoid(k) + x_e
    next s = held
  }
  out dot[m](p, s[n -> m])
}
""".replace("x_e", "lin V[d -> e](x)")


def test_random_forgeries_of_loops_and_entmax_state_nothing_false():
    """Nodes, names, options, steps and numbers altered by chance and sealed again."""
    diagram, sizes = parse(LOOP)["f"], {"n": 2, "d": 2, "e": 2}
    rng, numbers = random.Random(1), np.random.default_rng(1)
    weights = {w.key: numbers.standard_normal([2] * len(w.layout)) for w in diagram.weights}
    data = json.loads(certify(diagram, sizes, weights).text)
    paths = [p for p in leaves(data) if p[-1] not in ("data", "sha256")]
    accepted = 0
    for _ in range(150):
        path = rng.choice(paths)
        changed = put(data, path, rng.choice(others(get(data, path), rng)))
        if rng.random() < 0.3:
            at = get(changed, rng.choice([("steps",), ("graph", "nodes"), ("weights",), ("graph", "wires")]))
            at.insert(rng.randrange(len(at)), at.pop(rng.randrange(len(at))))
        text = forged(changed)
        found = verify(text)
        assert found.step != "check", found.reason  # nothing that was not foreseen
        if found.holds and changed != data:
            accepted += 1
            again = Certificate.model_validate_json(text)
            with ctx.workprec(106):
                least = prove(again.graph, again.weights, again.radius)[1]
            assert again.upper >= float(least[1].lower()) * (1 - 1e-9), path
    assert accepted < 50
