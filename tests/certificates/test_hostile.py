"""Hostile files: refused with a reason, quickly, and never with an exception."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from anatomy.api import numeric, parse
from anatomy.certificates import Certificate, certify, verify
from anatomy.compiler import build


def forged(data: dict[str, Any]) -> str:
    import hashlib

    body = {k: v for k, v in data.items() if k != "sha256"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return json.dumps(body | {"sha256": hashlib.sha256(text.encode()).hexdigest()}, sort_keys=True, separators=(",", ":"))


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    diagram = parse("axis n, d, e diagram f(x: [n, d]) -> [n, e] { out softmax[e](lin W[d -> e](x)) }")["f"]
    weights, _ = numeric(build(diagram, {"n": 3, "d": 2, "e": 2}, seed=0, dtype=torch.float64))
    return json.loads(certify(diagram, {"n": 3, "d": 2, "e": 2}, weights).text)


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "1", '"x"', "NaN", "{", "[" * 100_000, '{"a":' * 50_000, "\x00", "\ud800", "1e999", "-Infinity", "9" * 5000,
     '{"format": "anatomy certificate", "version": 2}', '{"sha256": NaN}', "\ufeff{}"],
)  # fmt: skip
def test_what_is_no_certificate_is_refused(text: str):
    found = verify(text)
    assert not found.holds
    assert found.reason


def test_bytes_that_are_no_text_are_refused():
    assert not verify(b"\xff\xfe\x00").holds
    assert not verify(b" " * (65 * 2**20)).holds


CHANGES: list[tuple[str, Any]] = [
    ("graph.sizes.n", 2**32), ("graph.sizes.n", -1), ("graph.sizes.n", 10**40), ("graph.sizes.n", 1.5),
    ("graph.sizes.n", "3"), ("graph.sizes.n", None), ("graph.sizes.n", True), ("graph.sizes.e", 10**9), ("graph.sizes", {}), ("graph.sizes", []),
    ("graph.wires", []), ("graph.nodes", []), ("graph.nodes", [{}] * 30_000), ("graph.outputs", []), ("graph.inputs", []), ("weights", []),
    ("radius", -1.0), ("radius", 1e308), ("radius", "1"), ("radius", None), ("upper", -1.0), ("upper", None), ("upper", [1.0]), ("steps", []), ("steps", {}),
    ("norm", "l2"), ("version", 2), ("version", "1"), ("format", ""), ("extra", 1), ("weights.0.data", "!!!"), ("weights.0.data", ""), ("weights.0.wire", 0),
    ("weights.0.layout", ["d", "d"]), ("graph.wires.0.axes", ["n", "n"]), ("graph.wires.0.axes", ["q"]), ("graph.nodes.0.ports", []), ("graph.nodes.0.outs", [99]),
    ("graph.nodes.0.outs", []), ("graph.nodes.0.ports.0.wire", 99), ("graph.nodes.0.ports.0.wire", 2**20), ("graph.nodes.0.ports.0.names", []), ("graph.nodes.0.op", "scan"),
    ("graph.nodes.0.op", "^"), ("graph.nodes.0.own", ["q"]), ("graph.nodes.0.own", ["d", "d"]), ("steps.0.node", -1), ("steps.0.node", 7), ("steps.0.numbers", [1e308]),
    ("steps.0.numbers", []), ("steps.0.numbers", [-1.0]), ("steps.0.numbers", [float("1e-320")]), ("steps.0.claims", []), ("steps.0.rules", ["attention"]),
]  # fmt: skip


@pytest.mark.parametrize("at", range(len(CHANGES)))
def test_every_field_out_of_bounds_is_refused(small: dict[str, Any], at: int):
    where, value = CHANGES[at]
    data = json.loads(json.dumps(small))
    *path, last = where.split(".")
    x = data
    for key in path:
        x = x[int(key)] if isinstance(x, list) else x[key]
    x[int(last) if isinstance(x, list) else last] = value
    found = verify(forged(data))
    if (where, value) == ("graph.outputs", []):
        assert not found.holds or found.proved == 0  # the statement about no outputs is true
        return
    assert not found.holds, where
    assert found.reason


def test_more_tokens_are_no_work_where_none_meets_another(small: dict[str, Any]):
    data = json.loads(json.dumps(small))
    data["graph"]["sizes"]["n"] = 10**9
    assert verify(forged(data)).holds


def test_work_is_limited(small: dict[str, Any]):
    """A file of a few kilobytes that asks for a product of two large identity matrices."""
    wires = [{"axes": ["n"], "kind": "real", "into": ""}] + [{"axes": ["a", "b"], "kind": "real", "into": ""} for _ in range(30)]
    sizes = {"n": 3000 * 3000, "a": 3000, "b": 3000}
    nodes = [
        {"op": "split", "options": {}, "own": ["n", "a", "b"], "ports": [{"wire": 0, "names": [["n", "n"]]}], "outs": [1]},
        *({"op": "cumsum", "options": {}, "own": ["a"], "ports": [{"wire": k, "names": [["a", "a"], ["b", "b"]]}], "outs": [k + 1]} for k in range(1, 30)),
    ]
    graph = {"name": "f", "sizes": sizes, "wires": wires, "inputs": [{"name": "x", "wire": 0, "layout": ["n"]}], "nodes": nodes,
             "outputs": [{"port": {"wire": 30, "names": [["a", "a"], ["b", "b"]]}, "layout": ["a", "b"], "kind": "real"}]}  # fmt: skip
    found = verify(forged(small | {"graph": graph, "weights": [], "steps": []}))
    assert not found.holds
    assert "work" in (found.reason or "")


def test_a_copy_with_other_white_space_is_refused(small: dict[str, Any]):
    text = forged(small)
    assert verify(text).holds
    assert not verify(json.dumps(json.loads(text), indent=1)).holds
    assert isinstance(Certificate.model_validate_json(text), Certificate)
