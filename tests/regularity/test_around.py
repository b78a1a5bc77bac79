"""Bounds on a ball round an input, and branch and bound, against dense Jacobians, sampling and ascent inside the ball."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from anatomy.compiler import DIFFERENTIABLE, build
from anatomy.ir.graph import Diagram
from anatomy.regularity.around import bound, branch, curves
from anatomy.regularity.around.nodes import Cells
from anatomy.regularity.around.trace import trace
from anatomy.regularity.compose import Stuck, sizes_of
from tests.regularity.variants import sizes, variant

torch.set_num_threads(1)

SMOOTH = (
    "plain", "single", "unbiased", "causal_single", "strictly", "window", "alibi", "mha", "residual", "heads", "gqa", "cross",
    "twice", "prenorm", "sigmoid_attention", "linear_mean", "linear_sum", "fixed", "fnet", "linear", "bahdanau", "gauss", "cosine",
    "mixer", "efficient",
)  # fmt: skip


class Case:
    """A variant with random weights and a centre whose tokens have a given norm."""

    def __init__(self, name: str, seed: int, scale: float = 0.7, token: float = 0.5, **changed: int):
        rng = np.random.default_rng(seed)
        self.diagram: Diagram = variant(name)
        self.given = sizes(name, **changed)
        self.net = build(self.diagram, self.given, dtype=torch.float64, passes=DIFFERENTIABLE)
        with torch.no_grad():
            for p in self.net.parameters():
                p.requires_grad_(False).copy_(torch.tensor(scale * rng.standard_normal(tuple(p.shape))))
        self.weights = {k: v.numpy() for k, v in self.net.state_dict().items()}
        self.full = sizes_of(self.diagram, self.given)
        self.shapes = [tuple(self.full[a] for a in item.layout) for item in self.diagram.inputs]
        self.centre = []
        for shape in self.shapes:
            x = rng.standard_normal(shape)
            self.centre.append(x * token / np.linalg.norm(x, axis=-1, keepdims=True))
        self.flat = torch.tensor(np.concatenate([x.ravel() for x in self.centre]))

    def __call__(self, v: torch.Tensor) -> torch.Tensor:
        parts = torch.split(v, [math.prod(s) for s in self.shapes])
        return self.net(*(p.reshape(s) for p, s in zip(parts, self.shapes, strict=True))).reshape(-1)

    def norm(self, v: torch.Tensor) -> torch.Tensor:
        return torch.linalg.matrix_norm(torch.func.jacrev(self)(v), 2)

    def greatest(self, radius: float, seed: int, samples: int = 12, climbs: int = 2, steps: int = 12) -> float:
        """The greatest norm of the Jacobian found in the ball, by samples on its sphere and by ascent."""
        rng = np.random.default_rng(seed)
        best, starts = float(self.norm(self.flat)), []
        for _ in range(samples):
            u = torch.tensor(rng.standard_normal(len(self.flat)))
            x = self.flat + radius * u / u.norm() * (1 - 1e-12)
            starts.append((float(self.norm(x)), x))
        best = max(best, *(s[0] for s in starts))
        for _, x in sorted(starts, key=lambda s: -s[0])[:climbs]:
            for k in range(steps):
                x = x.detach().requires_grad_(True)
                value = self.norm(x)
                best = max(best, float(value.detach()))
                if not value.requires_grad:
                    break
                (g,) = torch.autograd.grad(value, x)
                moved = x + radius * (1 - k / steps) * g / g.norm().clamp_min(1e-300) - self.flat
                x = self.flat + moved * min(1.0, radius * (1 - 1e-12) / float(moved.detach().norm()))
        return best


@pytest.mark.parametrize("name", SMOOTH)
def test_nothing_found_in_the_ball_exceeds_the_bound(name: str) -> None:
    for seed, radius in ((0, 0.02), (1, 0.2), (2, 0.6)):
        case = Case(name, seed, n=3, m=3)
        found = bound(case.diagram, case.given, case.weights, case.centre, radius)
        assert case.greatest(radius, seed) <= found.value * (1 + 1e-10), (name, seed, radius)


@pytest.mark.parametrize("name", SMOOTH)
def test_a_ball_of_no_radius_has_the_norm_of_the_jacobian(name: str) -> None:
    case = Case(name, 5, n=3, m=3)
    exact = float(case.norm(case.flat))
    for radius in (0.0, 1e-7):
        found = bound(case.diagram, case.given, case.weights, case.centre, radius)
        assert exact * (1 - 1e-12) <= found.value <= exact * (1 + 1e-4) + 1e-9


@pytest.mark.parametrize("name", ["unbiased", "mha", "mixer", "cosine"])
def test_the_bound_grows_with_the_radius(name: str) -> None:
    case = Case(name, 3, n=3, m=3)
    values = [bound(case.diagram, case.given, case.weights, case.centre, r).value for r in (0.0, 0.01, 0.05, 0.2, 0.5)]
    assert all(a <= b * (1 + 1e-12) for a, b in pairwise(values))


@pytest.mark.parametrize("name", ["unbiased", "causal_single", "mha", "prenorm", "bahdanau"])
def test_bounds_of_every_order_hold_inside(name: str) -> None:
    """The remainder alone: sampled derivatives along unit directions at points of the ball, entry by entry and joint."""
    radius = 0.3
    case = Case(name, 7, n=3, m=3)
    wires = [i.wire for i in case.diagram.inputs]
    rng = np.random.default_rng(0)
    for order in (1, 2):
        cells = Cells({w: x[None] for w, x in zip(wires, case.centre, strict=True)}, np.array([radius]), order, dict(case.full))
        program = trace(case.diagram, case.full, case.weights, 1.0, None, cells)
        (output,) = program.outputs
        for _ in range(10):
            u, v = (torch.tensor(rng.standard_normal(len(case.flat))) for _ in range(2))
            u, v = u / u.norm(), v / v.norm()
            line = lambda t, u=u, v=v: case(case.flat + radius * v + t * u)  # noqa: E731
            for k in (1, 2, 3)[: order + 1]:
                line = (lambda f: lambda t: torch.func.jvp(f, (t,), (torch.ones_like(t),))[1])(line)
                change = line(torch.zeros((), dtype=torch.float64))
                assert float(change.norm()) <= float(output.norm(cells, k, output.axes)[0]) * (1 + 1e-9)
                assert float(change.abs().max()) <= float(output.norm(cells, k, frozenset())[0]) * (1 + 1e-9)


def attention(n: int, d: int, seed: int) -> Case:
    case = Case("unbiased", seed, 1 / math.sqrt(d), 0.5, n=n, m=n, d=d, e=d, f=d)
    return case


@pytest.mark.parametrize(("n", "radius", "ratio"), [(8, 0.1, 1.02), (8, 0.01, 1.001), (4, 0.1, 1.01), (4, 0.5, 1.73)])
def test_the_bound_is_as_tight_as_stated(n: int, radius: float, ratio: float) -> None:
    """Tokens of norm 1/2, entries of the weights normal with variance 1/d."""
    case = attention(n, n, 0)
    found = bound(case.diagram, case.given, case.weights, case.centre, radius)
    assert found.value <= ratio * case.greatest(radius, 0, 4, 1, 25)


def test_a_bound_without_its_remainder_would_be_seen() -> None:
    """With the norms of all nodes a third of what they are, derivatives inside the ball exceed them."""
    case = Case("unbiased", 7, 1.0, n=3, m=3)
    wire = case.diagram.inputs[0].wire
    cells = Cells({wire: case.centre[0][None]}, np.array([0.02]), 2, dict(case.full))
    (output,) = trace(case.diagram, case.full, case.weights, 1.0, None, cells).outputs
    worst = 0.0
    u = torch.linalg.svd(torch.func.jacrev(case)(case.flat))[2][0]
    rng = np.random.default_rng(0)
    for k in (1, 2, 3):
        for v in [u, *(torch.tensor(rng.standard_normal(len(u))) for _ in range(60))]:
            line = lambda t, v=v: case(case.flat + t * v / v.norm())  # noqa: E731
            for _ in range(k):
                line = (lambda f: lambda t: torch.func.jvp(f, (t,), (torch.ones_like(t),))[1])(line)
            size = float(line(torch.zeros((), dtype=torch.float64)).norm())
            worst = max(worst, size / float(output.norm(cells, k, output.axes)[0]))
    assert 1 / 3 < worst <= 1


@pytest.mark.parametrize("name", ["relu_rows", "hard_choice", "by_data"])
def test_what_has_no_rule_has_no_bound(name: str) -> None:
    diagram = variant(name)
    given = sizes(name, n=3, m=3)
    full = sizes_of(diagram, given)
    centre = [np.zeros(tuple(full[a] for a in i.layout)) for i in diagram.inputs if diagram.wires[i.wire].kind.name == "real"]
    with pytest.raises(Stuck):
        bound(diagram, given, {}, centre, 0.1)


def test_a_denominator_that_vanishes_elsewhere_is_bounded_near_an_input() -> None:
    """`relu(x) / sum relu(x)` has no bound on a ball round 0; near positive entries it has one."""
    case = Case("relu_rows", 1, n=3)
    case.centre = [np.abs(x) + 0.1 for x in case.centre]
    case.flat = torch.tensor(case.centre[0].ravel())
    found = bound(case.diagram, case.given, case.weights, case.centre, 0.02)
    assert case.greatest(0.02, 0) <= found.value * (1 + 1e-10)
    assert found.value <= 1.2 * case.greatest(0.02, 0)


@pytest.mark.parametrize("centre", [[np.zeros((3, 5))], [np.full((3, 4), np.nan)]])
def test_a_centre_of_the_wrong_kind_is_refused(centre: list[np.ndarray]) -> None:
    case = Case("unbiased", 0, n=3, m=3)
    with pytest.raises(Stuck):
        bound(case.diagram, case.given, case.weights, centre, 0.1)


@pytest.mark.parametrize("name", sorted({*curves.SERIES, *curves.HALVES, "power 3"}))
def test_derivatives_of_functions_are_enclosed(name: str) -> None:
    calls = {"rsqrt": torch.rsqrt, "reciprocal": torch.reciprocal, "power 3": lambda x: x**3, "gelu": torch.nn.functional.gelu,
             "silu": torch.nn.functional.silu, "softplus": torch.nn.functional.softplus, "elu": torch.nn.functional.elu}  # fmt: skip
    f = calls[name] if name in calls else getattr(torch, name)
    rng = np.random.default_rng(0)
    for _ in range(20):
        low = float(rng.uniform(0.1, 2))
        high = low + float(rng.uniform(0, 0.5))
        most = curves.suprema(name, np.array([low]), np.array([high]), 3)[:, 0]
        mids, rads = curves.derivatives(name, np.array([low]), 0.0, 3)
        near, widths = curves.derivatives(name, np.array([low]), (high - low) / 8, 3)
        for x in np.linspace(low, high, 9):
            t, g = torch.tensor(x, dtype=torch.float64), f
            for k in range(4):
                value = float(g(t))
                assert abs(value) <= most[k] * (1 + 1e-12)
                if x == low:
                    assert abs(value - mids[k, 0]) <= rads[k] + 1e-9 * (1 + abs(value))
                if x <= low + (high - low) / 8:
                    assert abs(value - near[k, 0]) <= widths[k] + 1e-9 * (1 + abs(value))
                g = torch.func.grad(g)


@pytest.mark.parametrize("name", ["unbiased", "causal_single", "linear_mean"])
def test_branch_and_bound_holds_and_narrows(name: str) -> None:
    case = Case(name, 1, 0.6, 0.5, n=2, m=2, **({"d": 2} if name == "linear_mean" else {"d": 2, "e": 2, "f": 2}))
    seen: list[tuple[float, float, int]] = []
    found = branch(case.diagram, case.given, case.weights, 1.0, 1.25, 600, lambda *x: seen.append(x))
    assert found.finished
    assert found.upper <= 1.25 * found.lower
    rng = np.random.default_rng(0)
    best = 0.0
    for _ in range(300):
        x = torch.tensor(rng.standard_normal((2, 2)))
        best = max(best, float(case.norm((x / x.norm(dim=1, keepdim=True)).reshape(-1))))
    for upper, lower, _ in seen:  # sound whenever it is interrupted
        assert best <= upper * (1 + 1e-12)
        assert lower <= found.upper
    uppers = [s[0] for s in seen]
    assert uppers == sorted(uppers, reverse=True)


def test_branch_and_bound_may_be_interrupted() -> None:
    case = Case("unbiased", 0, 1.0, 0.5, n=2, m=2, d=2, e=2, f=2)

    def stop(*_: float) -> None:
        raise KeyboardInterrupt

    found = branch(case.diagram, case.given, case.weights, 1.0, 1.0, 60, stop)
    assert not found.finished
    assert 0 < found.lower < found.upper
    none = branch(case.diagram, case.given, case.weights, 1.0, 1.0, 0.0)
    assert found.upper <= none.upper < math.inf
    again = branch(case.diagram, case.given, case.weights, 1.0, 1.0, 60, stop)
    assert again == found, "the same question has the same answer"


def test_many_cells_at_once_are_as_one_by_one() -> None:
    """A batch of centres has the bounds of each alone, up to the rounding that is shared."""
    from anatomy.regularity.around.remainder import greatest

    case = Case("unbiased", 2, 1.0, 0.5, n=2, m=2, d=2, e=2, f=2)
    rng = np.random.default_rng(0)
    centres, radii = rng.uniform(-0.5, 0.5, (5, 2, 2)), np.array([0.0, 0.05, 0.1, 0.3, 0.6])
    program = trace(case.diagram, case.full, case.weights, 4.0, None)
    wire = case.diagram.inputs[0].wire
    together = greatest(program.outputs, Cells({wire: centres}, radii, 2, dict(case.full)))
    alone = [greatest(program.outputs, Cells({wire: centres[k : k + 1]}, radii[k : k + 1], 2, dict(case.full)))[0] for k in range(5)]
    assert together == pytest.approx(alone, rel=1e-9)
