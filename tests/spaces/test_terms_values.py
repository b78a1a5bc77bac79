"""The numpy rules against the evaluator over any numbers and against the compiled module; draws and measures against plain computations."""

from __future__ import annotations

import random
from math import prod

import numpy as np
import pytest

from anatomy.ir.analysis import analyse, flops
from anatomy.ir.graph import Diagram
from anatomy.language.choices import Requirement
from anatomy.rewrites import trial
from anatomy.rewrites.compiled import compiled
from anatomy.rewrites.dual import Duals
from anatomy.rewrites.evaluate import Machine
from anatomy.rewrites.tensor import Abstain, Tensor
from anatomy.rewrites.trial import largest_place
from anatomy.spaces.facts import Facts, meets
from anatomy.spaces.funnel.algebra import algebra
from anatomy.spaces.funnel.points import points
from anatomy.spaces.rung import Rung
from anatomy.spaces.space import Space
from anatomy.spaces.terms.arrays import LEAD, Named, Unsupported, run
from anatomy.spaces.terms.draws import AS_DRAWN, Draws, Ends
from anatomy.spaces.terms.fold import terms
from anatomy.spaces.terms.measures import Gauge
from anatomy.spaces.terms.small import assign, preferred
from anatomy.target import load_diagram, load_space, resolve, zoo_files
from tests.ir.samples import random_diagram, read
from tests.rewrites.test_evaluate import TEXTS
from tests.rewrites.test_evaluate import diagram as diagram_of
from tests.spaces.test_terms_key import SPACE, space_of


def sizes_of(diagram: Diagram) -> dict[str, int] | None:
    wanted = dict.fromkeys(diagram.free_sizes(), 5) | preferred(diagram, 0)
    values = assign(sorted(diagram.free_sizes()), wanted, diagram.defaults, [(e.left, e.right) for e in diagram.equations])
    return None if values is None else {a: p.evaluate(values) for a, p in diagram.sizes.items()}


def drawn(diagram: Diagram, sizes: dict[str, int], seed: int = 1) -> dict[int, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = {}
    for wire, layout in [*((i.wire, i.layout) for i in diagram.inputs), *((w.wire, w.layout) for w in diagram.weights)]:
        kind, shape = diagram.wires[wire].kind, [sizes[a] for a in layout]
        match kind.name:
            case "mask":
                found[wire] = rng.random(shape) < 0.6
            case "index":
                found[wire] = rng.integers(0, sizes[kind.axis], shape)
            case _:
                found[wire] = rng.normal(size=shape)
    return found


def by_numpy(diagram: Diagram, sizes: dict[str, int], given: dict[int, np.ndarray]) -> list[np.ndarray]:
    def named(wire: int, layout: tuple[str, ...]) -> Named:
        return Named(layout, given[wire][(None,) * LEAD])

    inputs = [named(i.wire, i.layout) for i in diagram.inputs]
    weights = [named(w.wire, w.layout) for w in diagram.weights]
    with np.errstate(all="ignore"):
        made = run(diagram, inputs, sizes, weights)
    return [np.broadcast_to(x.at(o.layout), (1, 1, *(sizes[a] for a in o.layout)))[0, 0].astype(float) for x, o in zip(made, diagram.outputs, strict=True)]


def by_oracle(diagram: Diagram, sizes: dict[str, int], given: dict[int, np.ndarray]) -> list[np.ndarray]:
    def tensor(wire: int, layout: tuple[str, ...]) -> Tensor:
        data = given[wire].ravel().tolist()
        return Tensor(layout, given[wire].shape, [(e, 0.0) for e in data] if given[wire].dtype == float else data)

    wires = {i.wire: tensor(i.wire, i.layout) for i in diagram.inputs} | {w.wire: tensor(w.wire, w.layout) for w in diagram.weights}
    found = []
    for o, x in zip(diagram.outputs, Machine(diagram, sizes, Duals(), wires).run(), strict=True):
        data = [e[0] if isinstance(e, tuple) else float(e) for e in x.laid(o.layout, sizes).data]
        found.append(np.array(data, dtype=float).reshape([sizes[a] for a in o.layout]))
    return found


def closed_zoo() -> list[Diagram]:
    found = []
    for name in zoo_files():
        if not name.startswith("spaces/"):
            program, _ = resolve(f"zoo:{name}")
            found += [d for d in map(program.get, program.names()) if not d.holes]
    return found


def test_rules_against_the_evaluator() -> None:
    compared = 0
    for diagram in closed_zoo():
        sizes = sizes_of(diagram)
        if sizes is None or any(prod(sizes[a] for a in w.axes) > 3000 for w in diagram.wires if all(a in sizes for a in w.axes)):
            continue
        given = drawn(diagram, sizes)
        try:
            ours, theirs = by_numpy(diagram, sizes, given), by_oracle(diagram, sizes, given)
        except (Unsupported, Abstain, KeyError, TypeError):
            continue  # the evaluator lacks some: an index that is compared as a real, states that lack axes
        for a, b in zip(ours, theirs, strict=True):
            assert np.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True), diagram.name
        compared += 1
    assert compared > 100


def test_random_diagrams_against_the_evaluator() -> None:
    compared = 0
    for seed in range(150):
        rng = random.Random(seed)
        diagram = random_diagram(rng, rng.randint(1, 10))
        sizes = sizes_of(diagram)
        if sizes is None or any(prod(sizes[a] for a in w.axes) > 3000 for w in diagram.wires):
            continue
        given = drawn(diagram, sizes)
        for a, b in zip(by_numpy(diagram, sizes, given), by_oracle(diagram, sizes, given), strict=True):
            top = np.abs(b[np.isfinite(b)]).max(initial=1.0)
            assert np.allclose(a, b, rtol=1e-7, atol=1e-9 * top, equal_nan=True), seed
        compared += 1
    assert compared > 50


def test_terms_give_what_the_diagram_gives() -> None:
    """Sliding repeats and folding change no number."""
    for seed in range(100):
        rng = random.Random(seed)
        diagram = random_diagram(rng, rng.randint(1, 12))
        sizes = sizes_of(diagram)
        if sizes is None or any(prod(sizes[a] for a in w.axes) > 3000 for w in diagram.wires):
            continue
        folded = terms(diagram)
        values = {v: sizes[v] for v in diagram.free_sizes()}
        draws = Draws(values)
        outputs = draws.outputs(folded, Ends.of(folded))
        assert outputs is not None
        given = {i.wire: draws.known[t][0].data[0, AS_DRAWN] for i, t in zip(diagram.inputs, folded.inputs, strict=True)}  # type: ignore[index]
        given |= {w.wire: draws.weight(w, sizes).data[0, 0] for w in diagram.weights}
        for made, plain in zip(outputs, by_numpy(diagram, sizes, given), strict=True):
            top = np.abs(plain[np.isfinite(plain)]).max(initial=1.0)
            assert np.allclose(np.broadcast_to(made[0, AS_DRAWN], plain.shape), plain, rtol=1e-9, atol=1e-9 * top, equal_nan=True), seed


MECHANISMS = ("alibi", "sparsemax", "cosformer", "retnet", "gated_deltanet", "s4", "hyena", "performer", "entmax", "sinkformer")


@pytest.mark.parametrize("name", [*TEXTS, *(n for n in MECHANISMS if n in zoo_files())])
def test_rules_against_the_compiled_module(name: str) -> None:
    diagram = diagram_of(name) if name in TEXTS else load_diagram(f"zoo:{name}")
    sizes = trial.assignments(diagram, diagram, random.Random(0))[0][0] if name in TEXTS else sizes_of(diagram)
    assert sizes is not None
    given = drawn(diagram, dict(sizes))
    named = {i.name: (i.wire, i.layout) for i in diagram.inputs} | {f"weight {w.key}": (w.wire, w.layout) for w in diagram.weights}
    table = {}
    for word, (wire, layout) in named.items():
        data = given[wire].ravel().tolist()
        table[word] = Tensor(layout, given[wire].shape, [(e, 0.0) for e in data] if given[wire].dtype == float else data)
    try:
        (theirs,) = compiled([diagram], [{a: n for a, n in sizes.items() if name in TEXTS or "." not in a}], table, {})
    except Abstain as error:
        pytest.skip(str(error))
    for ours, other, output in zip(by_numpy(diagram, dict(sizes), given), theirs, diagram.outputs, strict=True):
        plain = np.array([e[0] if isinstance(e, tuple) else float(e) for e in other.laid(output.layout).data]).reshape(ours.shape)
        assert np.allclose(ours, plain, rtol=1e-7, atol=1e-7, equal_nan=True)


# the rung ---------------------------------------------------------------------------------------


def check_facts(space: Space, ranks: range) -> None:
    rung = Rung(space)
    for rank in ranks:
        facts, diagram = rung.facts(rank), space[rank].diagram
        known = analyse(diagram)
        assert (facts.causal or None) == known.causal, rank
        assert facts.length_generic == known.length_generic, rank
        assert facts.parameters == known.parameters, rank
        if known.causal:
            assert facts.leaks in (False, None), rank
        if known.equivariant:
            assert facts.equivariant in (True, None), rank
        lengths = {v for a in diagram.inputs[0].layout[:-1] for v in diagram.sizes[a].variables()}
        same = dict(diagram.defaults)
        whole = flops(diagram).substitute(same).substitute(same)
        assert facts.degree == max(max(whole.degree(v) for v in lengths), 0), rank


def test_facts_of_scores() -> None:
    check_facts(Space(load_space("zoo:spaces/scores")), range(0, 720, 31))


def test_facts_of_members_that_ignore_and_repeat() -> None:
    space = space_of(SPACE, "all")
    check_facts(space, range(0, space.count, 13))
    rung = Rung(space)

    def facts(*labels: str) -> Facts:
        names = ("score", "mix", "left", "right", "end")
        return rung.facts(space.index(dict(zip(names, labels, strict=True))))

    assert facts("dots", "soft", "plain", "plain", "plus").leaks is True
    assert facts("dots", "past", "plain", "plain", "plus").leaks is False
    assert facts("dots", "past", "plain", "plain", "minus").alive is False
    assert facts("dots", "soft", "plain", "plain", "plus").equivariant is True
    assert facts("dots", "past", "plain", "plain", "plus").equivariant is False
    assert facts("nothing", "soft", "plain", "plain", "plus").degree == 2
    # Equal values, other diagrams: y + y and y * 2 are not here, but a plus b is b plus a.
    one, two = facts("dots", "past", "plain", "wide", "plus"), facts("dots", "past", "wide", "plain", "plus")
    assert one.key == two.key
    assert not one.agrees(facts("dots", "past", "plain", "wide", "times"))
    zero = facts("dots", "past", "zero", "plain", "plus"), facts("dots", "past", "plain", "plain", "first")
    assert zero[0].agrees(zero[1])
    assert zero[0].key != zero[1].key
    assert rung.agree(zero[0].rank, zero[1].rank)
    assert rung.agree(zero[0].rank, one.rank) is False


def test_windows_are_seen() -> None:
    """A window of eight is no full past: there are more tokens than that."""
    space = Space(load_space("zoo:spaces/scores"))
    rung = Rung(space)
    found = []
    for place in ("past", "recent"):
        choices = {"feature": "plain", "score": "scaled", "place": place, "weigh": "share", "gate": "open", "leave": "project"}
        found.append(rung.facts(space.index(choices)))
    assert not found[0].agrees(found[1])


def test_grids_bear_rounding() -> None:
    rng = np.random.default_rng(0)
    gauge = Gauge()
    for scale in (1e-9, 0.1, 1.0, 9.9999999, 1e8):
        for _ in range(200):
            y = rng.normal(size=(2, 2, 35)) * scale
            a, b = gauge.grids(y, "s"), gauge.grids(y * (1 + 1e-12 * rng.normal(size=y.shape)), "s")
            assert any(p == q for p, q in zip(a, b, strict=True))
            c = gauge.grids(y * (1 + 1e-3 * rng.normal(size=y.shape)), "s")
            assert all(p != q for p, q in zip(a, c, strict=True))


def test_strange_numbers() -> None:
    gauge = Gauge()
    y = np.ones((2, 2, 5))
    seen = {gauge.grids(np.where(np.arange(5) == 3, bad, y), "s") for bad in (1.0, np.nan, np.inf, -np.inf, 1e300, 1e200)}
    assert len(seen) == 6
    assert gauge.grids(0 * y, "s") == gauge.grids(1e-16 * y, "s")


def test_scale_is_that_of_the_initialisers() -> None:
    """One linear map with Xavier weights and as many results as inputs keeps the scale."""
    text = "axis n, d\ndiagram f(x: [n, d]) -> [n, d] {\n  hole g(x: [d]) -> [d]\n  out g(x)\n}\n"
    text += "axis e\ndiagram one(x: [d]) -> [d] { out 3 * x }\ndiagram two(x: [d]) -> [d] { out 0.1 * x }\nspace s of f { choose g in { one, two } }\n"
    rung = Rung(space_of(text, "s"))
    a, b = rung.facts(0).scale, rung.facts(1).scale
    assert a is not None
    assert b is not None
    assert abs(a / b - 30) < 1e-9
    assert 2 < a < 4


def test_requirements() -> None:
    space = Space(load_space("zoo:spaces/scores"))
    facts = Rung(space).facts(0)

    def said(what: str, op: str, value: str) -> bool | None:
        return meets(Requirement(what, op, value), facts)

    assert said("causal", "==", "true")
    assert said("length_generic", "==", "true")
    assert said("alive", "==", "true")
    assert said("equivariant", "==", "false")
    assert said("cost", "<=", "n^2")
    assert not said("cost", "<=", "n")
    assert said("parameters", "<=", "2 * d * e + 2 * d * f")
    assert said("parameters", "<", "d * d") is None
    assert said("scale", "<=", "10")
    assert said("verdict", ">=", "lipschitz_on_domain") is None


# exact arithmetic -------------------------------------------------------------------------------


def fingerprint(diagram: Diagram) -> bytes | None:
    found = algebra(diagram, points(largest_place(diagram)))
    return None if found is None else found.key


def test_algebra_fingerprints() -> None:
    head = "axis n, m = n, d, e\n"
    body = "diagram f(x: [n, d]) -> [n, d] {\n  z = x[n -> m]\n  s = causal[m <= n](dot[d](x, z))\n  out dot[m](softmax[m](%s), z)\n}\n"
    one, two, three = (fingerprint(read(head + body % t)) for t in ("s + s", "2 * s", "3 * s"))
    assert one is not None
    assert one == two != three
    assert fingerprint(read(head + "diagram f(x: [n, d]) -> [n, d] { out index[d](x) }")) is None


def test_algebra_of_members_is_no_finer_than_isomorphism() -> None:
    space = space_of(SPACE, "all")
    rung = Rung(space)
    groups: dict[bytes, bytes] = {}
    decided = 0
    for rank in range(0, space.count, 17):
        left = dict(space.choices(rank))
        if left["left"] != left["right"] and "wide" in (left["left"], left["right"]):
            continue  # the same learner under another path
        found = fingerprint(space[rank].diagram)
        if found is not None:
            decided += 1
            assert groups.setdefault(rung.key(rank), found) == found
    assert decided > 10
