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


# graphs by hand ---------------------------------------------------------------------------------

X = [{"name": "x", "wire": 0, "layout": ["n"]}]


def wire(*axes: str, kind: str = "real", into: str = "") -> dict[str, Any]:
    return {"axes": list(axes), "kind": kind, "into": into}


def port(k: int, *axes: str) -> dict[str, Any]:
    return {"wire": k, "names": [[a, a] for a in axes]}


def node(op: str, ports: list[Any], outs: list[int], *own: str, **options: str) -> dict[str, Any]:
    return {"op": op, "options": options, "own": list(own), "ports": ports, "outs": outs}


def whole(wires: list[Any], nodes: list[Any], result: tuple[int, tuple[str, ...]], sizes: dict[str, int] | None = None, **more: Any) -> dict[str, Any]:
    out = [{"port": port(result[0], *result[1]), "layout": list(result[1]), "kind": "real"}]
    graph = {"name": "f", "sizes": {"n": 2} if sizes is None else sizes, "wires": wires, "inputs": X, "nodes": nodes, "outputs": out}
    return {"format": "anatomy certificate", "version": 1, "graph": graph, "weights": [], "radius": 1.0, "norm": "frobenius", "steps": [], "upper": 1e300} | more


def proved(data: dict[str, Any], count: int | None = None) -> dict[str, Any]:
    """With the true steps of its first nodes."""
    from flint import ctx

    from anatomy.certificates import walking

    graph = data["graph"]
    kept = graph | {"nodes": graph["nodes"][:count], "outputs": []}
    found = Certificate.model_validate_json(json.dumps(data | {"graph": kept}))
    with ctx.workprec(106):
        steps, _ = walking.prove(found.graph, found.weights, found.radius)
    return data | {"steps": [s.model_dump(mode="json") for s in steps if s.node >= 0]}


SQUARES = [node("literal", [], [1], value="2"), *(node("square", [port(k)], [k + 1]) for k in range(1, 55))]


@pytest.mark.parametrize("last", [node("index", [port(55)], [56], "n"), node("^", [port(1), port(55)], [56]), node("^", [port(55), port(1)], [56])])
def test_numbers_with_too_many_digits_take_no_memory(last: dict[str, Any]):
    """2 squared 54 times is a fine number in ball arithmetic; as an integer it has more digits than there is room for."""
    found = verify(forged(whole([wire("n"), *(wire() for _ in range(56))], [*SQUARES, last], (0, ("n",)))))
    assert found.holds or found.reason


def test_a_tower_of_exponentials_is_refused():
    nodes = [node("literal", [], [1], value="9" * 119), *(node("exp", [port(k)], [k + 1]) for k in range(1, 20))]
    assert "not defined" in (verify(forged(whole([wire("n"), *(wire() for _ in range(20))], nodes, (0, ("n",))))).reason or "")


@pytest.mark.parametrize("last", ["sum", "softmax"])
def test_products_that_double_do_not_explode(last: str):
    """40 nodes that stand for 2^40 factors."""
    k = 40
    wires = [*(wire("n") for _ in range(k + 1)), wire() if last == "sum" else wire("n"), wire()]
    nodes = [node("*", [port(i, "n"), port(i, "n")], [i + 1]) for i in range(k)]
    nodes.append(node(last, [port(k, "n")], [k + 1], "n"))
    end = (k + 1, ())
    if last == "softmax":
        nodes.append(node("dot", [port(k + 1, "n"), port(0, "n")], [k + 2], "n"))
        end = (k + 2, ())
    data = proved(whole(wires, nodes, end), k + (last == "softmax"))
    found = verify(forged(data))
    assert not found.holds
    assert found.reason


@pytest.mark.parametrize("text", ['{"format":"anatomy certificate","graph":[' + "0," * 300_000 + "0]}", '{"graph":[' + "[]," * 300_000 + "0]}", '{"a":' + "{" * 300_000])
def test_more_values_than_a_certificate_has_are_not_read(text: str):
    assert "values" in (verify(text).reason or "")


@pytest.mark.parametrize(
    ("wires", "nodes", "result", "sizes"),
    [
        ([wire("n"), wire("n"), wire("n")], [node("neg", [port(2, "n")], [1]), node("neg", [port(1, "n")], [2])], (2, ("n",)), None),  # a cycle
        ([wire("n"), wire("n")], [node("neg", [port(1, "n")], [1])], (1, ("n",)), None),
        ([wire("n"), wire("n")], [node("neg", [port(0, "n")], [0])], (0, ("n",)), None),  # made twice
        ([wire("n"), wire("a")], [node("halves", [port(0, "n")], [1, 1], "n", "a")], (1, ("a",)), {"n": 2, "a": 1}),
        ([wire("n"), wire("n", "n")], [node("*", [port(0, "n"), port(0, "n")], [1])], (1, ("n", "n")), None),
        ([wire("n"), wire("|a")], [node("neg", [port(0, "n")], [1])], (0, ("n",)), {"n": 2, "|a": 2}),
        ([wire("n"), wire("<n")], [node("neg", [port(0, "n")], [1])], (0, ("n",)), {"n": 2, "<n": 2}),
        ([wire("n", kind="index", into="q"), wire("n")], [node("neg", [port(0, "n")], [1])], (1, ("n",)), None),
        ([wire("n"), wire("n", *(f"a{k}" for k in range(60)))], [node("expand", [port(0, "n")], [1], *(f"a{k}" for k in range(60)))], (0, ("n",)), {"n": 2} | {f"a{k}": 2**31 for k in range(60)}),
        ([wire("n"), wire()], [node("max", [port(0, "n")], [1], "n")], (1, ()), {"n": 0}),
        ([wire("n"), wire()], [node("literal", [], [1], value="1/0")], (0, ("n",)), None),
        ([wire("n"), wire()], [node("literal", [], [1], value="nan")], (0, ("n",)), None),
        ([wire("n"), wire("n")], [node("entmax", [port(0, "n")], [1], "n", alpha="3")], (1, ("n",)), None),
        ([wire("n"), wire("n")], [node("rmsnorm", [port(0, "n")], [1], "n", eps="-1")], (1, ("n",)), None),
        ([wire("n"), wire("n")], [node("sinkhorn", [port(0, "n")], [1], "n", "n", steps="2")], (1, ("n",)), None),
    ],
)  # fmt: skip
def test_graphs_that_are_no_diagrams_are_refused(wires: list[Any], nodes: list[Any], result: Any, sizes: Any):
    found = verify(forged(whole(wires, nodes, result, sizes)))
    assert not found.holds
    assert found.reason


def test_a_hidden_name_is_no_name_of_an_axis():
    """`|in|a` is the rule's own name for an axis: a port that takes it would read a diagonal."""
    wires = [wire("n"), wire("a", "b"), wire("a", "b"), wire("b")]
    nodes = [
        node("split", [port(0, "n")], [1], "n", "a", "b"),
        node("cumsum", [port(1, "a", "b")], [2], "a"),
        node("sum", [{"wire": 2, "names": [["a", "|in|a"], ["b", "b"]]}], [3], "|in|a"),
    ]
    found = verify(forged(whole(wires, nodes, (3, ("b",)), {"n": 4, "a": 2, "b": 2})))
    assert "no name" in (found.reason or "")


def test_what_a_file_says_cannot_command_a_terminal():
    data = whole([wire("n"), wire("n")], [node("\x1b[2Jholds\n", [port(0, "n")], [1])], (1, ("n",)))
    data["graph"]["name"] = "\x1b[31mholds\r\n"
    found = verify(forged(data))
    for text in (found.diagram, found.step, found.reason):
        assert (text or "").isprintable()
        assert (text or "").isascii()
