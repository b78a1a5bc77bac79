"""What a zoo file claims, measured on its compiled module: claims are tested, never trusted."""

from __future__ import annotations

import itertools
import math
import re

import pytest
import torch
from torch import Tensor

import anatomy
import zoo
from anatomy.ir.poly import Poly

torch.set_num_threads(1)
NAMES = zoo.names()
SIZES = {"d": 6, "h": 2, "g": 1, "j": 3, "c": 5, "a": 4, "p": 3}
TOKENS = {"n": 5, "m": 4}
FEATURES = {"e": 2, "f": 3}
COSTS = {"n": 1.0, "n * m": 2.0, "n^2": 2.0, "n log n": 1.2}
VERDICTS = {"globally_lipschitz", "not_globally_lipschitz"}


def claim(name: str, key: str) -> str:
    return zoo.metadata(name)["claims"][key]


def says(name: str, key: str) -> bool:
    word = claim(name, key)
    assert word in ("yes", "no")
    return word == "yes"


def module(name: str, tokens: dict[str, int] = TOKENS, std: float = 0.7) -> tuple[anatomy.Diagram, torch.nn.Module]:
    diagram = anatomy.load(f"zoo:{name}")
    fixed = {} if says(name, "length-generic") else {"n": tokens["n"]}
    given = {k: v for k, v in {**SIZES, **fixed}.items() if k in diagram.sizes}
    net = anatomy.compile(diagram, given, dtype=torch.float64)
    g = torch.Generator().manual_seed(1)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=std, generator=g)
    return diagram, net


def draw(diagram: anatomy.Diagram, tokens: dict[str, int] = TOKENS, seed: int = 0) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)
    sizes = {**SIZES, **FEATURES, **tokens}
    return [torch.randn([sizes[a] for a in i.layout], dtype=torch.float64, generator=g) for i in diagram.inputs]


def along(x: Tensor, layout: tuple[str, ...], axis: str, order: Tensor) -> Tensor:
    return x.index_select(layout.index(axis), order) if axis in layout else x


@pytest.mark.parametrize("name", NAMES)
def test_the_head_is_complete(name: str) -> None:
    head = zoo.metadata(name)
    assert head["title"] != name
    assert head["authors"]
    assert 2013 < head["year"] < 2027
    assert re.fullmatch(r"\d{4}\.\d{4,5}", head["arxiv"])
    assert set(head["claims"]) == {"causal", "permutation-equivariant", "length-generic", "cost", "lipschitz"}
    assert head["claims"]["lipschitz"] in VERDICTS
    text = zoo.path(name).read_text("utf-8")
    assert "\n# letters: " in text
    assert len(text.splitlines()) <= 30


@pytest.mark.parametrize("name", NAMES)
def test_causal_claim(name: str) -> None:
    diagram, net = module(name)
    xs = [x.requires_grad_() for x in draw(diagram)]
    y = net(*xs)
    asks = [k for k, i in enumerate(diagram.inputs) if "n" in i.layout]
    later = 0.0
    for t in range(TOKENS["n"] - 1):
        g = torch.autograd.grad(y[t].sum(), [xs[k] for k in asks], retain_graph=True)
        later = max(later, *(x[t + 1 :].abs().max().item() for x in g))
    cross = any("m" in i.layout for i in diagram.inputs)
    assert (later == 0.0 and not cross) == says(name, "causal")


@pytest.mark.parametrize("name", NAMES)
def test_permutation_claim(name: str) -> None:
    diagram, net = module(name)
    xs = draw(diagram)
    y = net(*xs)
    orders = {"n": torch.tensor([2, 0, 4, 1, 3]), "m": torch.tensor([3, 0, 1, 2])}
    ok = True
    for axis, order in orders.items():
        moved = net(*(along(x, i.layout, axis, order) for x, i in zip(xs, diagram.inputs, strict=True)))
        want = along(y, diagram.outputs[0].layout, axis, order)
        ok &= torch.allclose(moved, want, rtol=1e-10, atol=1e-10)
    assert ok == says(name, "permutation-equivariant")


@pytest.mark.parametrize("name", NAMES)
def test_length_claim(name: str) -> None:
    diagram, net = module(name)
    on_weights = {v for w in diagram.weights for a in w.layout for v in diagram.sizes[a].variables()}
    assert (not on_weights & {"n", "m"}) == says(name, "length-generic")
    longer = draw(diagram, {"n": 8, "m": 9})
    if says(name, "length-generic"):
        assert net(*longer).shape[0] == 8
    else:
        with pytest.raises(ValueError, match="axis `n`"):
            net(*longer)


@pytest.mark.parametrize("name", NAMES)
def test_cost_claim(name: str) -> None:
    """The work of the boxes as written, at twice the tokens against once, far out."""
    diagram = anatomy.load(f"zoo:{name}")

    def work(n: int) -> float:
        values = {**SIZES, **FEATURES, "r": 1, "n": n, "m": n}
        total = 0.0
        for node in diagram.nodes:
            points = Poly.of(1)
            for axis in dict.fromkeys((*node.own, *node.lifts)):
                points = points * diagram.sizes[axis]
            flops = node.op.flops(points)
            total += flops.evaluate({v: values[v.rpartition(".")[2]] for v in flops.variables()})
        return total

    slope = math.log2(work(1 << 21) / work(1 << 20))
    assert slope == pytest.approx(COSTS[claim(name, "cost")], abs=0.25)


@pytest.mark.parametrize("name", NAMES)
def test_lipschitz_claim(name: str) -> None:
    """The steepest derivative found at growing scales: flat where the claim is a bound, growing elsewhere.

    Starts are structured: first or last token small or plain and the others large, for there scores stay moderate while
    values are far apart; with positive weights and inputs too, where no feature map of a kernel vanishes. A search cannot prove a bound; it can refute one, and a claim of no bound must show its growth.
    """
    diagram, net = module(name)
    for key, p in net.named_parameters():
        if "bias" in key:
            torch.nn.init.zeros_(p)

    def steepest(scale: float, positive: bool) -> float:
        best = 0.0
        starts = [torch.tensor(v) for v in ((1 / scale,) * 5, (1.0,) * 5, (scale,) * 5)]
        for small in (1 / scale, 1.0):
            starts += [torch.tensor((small, *(scale,) * 4)), torch.tensor((*(scale,) * 4, small))]
        xs = [x.abs() if positive else x for x in draw(diagram)]
        for factors in itertools.product(starts, repeat=len(xs)):
            at = tuple(x * f[: len(x), None].double() for x, f in zip(xs, factors, strict=True))
            jacobian = torch.autograd.functional.jacobian(lambda *a: net(*a)[[0, -1]].sum(1), at)
            best = max(best, *(j.nan_to_num(0.0, 0.0, 0.0).norm().item() for j in jacobian))
        return best

    growth = steepest(1e6, False) / steepest(1e4, False)
    with torch.no_grad():
        for p in net.parameters():
            p.abs_()
    growth = max(growth, steepest(1e6, True) / steepest(1e4, True))
    assert (growth > 10) == (claim(name, "lipschitz") == "not_globally_lipschitz"), growth
