"""The softmax theorem by directions, moments and both parts together, attacked by explicit inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from anatomy.regularity.compose import compose, sizes_of
from anatomy.regularity.theorems import moment, rowwise
from anatomy.regularity.theorems.rowwise import Row
from anatomy.regularity.theorems.softmax import rho
from tests.regularity.variants import sizes, variant

torch.set_num_threads(1)


def bound(a: np.ndarray, v: np.ndarray, n: int, mask: str = "", radius: float = 1.0):
    """The triple for scores x_i^T a x_j and values v x_j."""
    d = a.shape[0]
    name = {"": "unbiased", "causal": "causal_single", "window": "window"}[mask]
    weights = {"Wq": a * {"": math.sqrt(d), "causal": 1.0, "window": 0.5}[mask], "Wk": np.eye(d), "Wv": v.T.copy()}
    if mask:
        weights |= {f"{k}.bias": np.zeros(d) for k in weights}
    given = sizes(name, n=n, m=n, d=d, e=d, f=v.shape[0])
    return compose(variant(name), sizes_of(variant(name), given), weights, radius).triple


def allowed(n: int, mask: str) -> torch.Tensor:
    at = torch.arange(n)
    gap = at[:, None] - at[None]
    return gap >= 0 if mask == "causal" else gap.abs() <= 1 if mask == "window" else torch.ones(n, n, dtype=torch.bool)


def push(x: torch.Tensor, h: torch.Tensor, a: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """J h in closed form, in batches."""
    s = (x @ a @ x.mT).masked_fill(~mask, -math.inf)
    p = torch.softmax(s, -1)
    ds = h @ a @ x.mT + x @ a @ h.mT
    return (p @ h + (p * (ds - (p * ds).sum(-1, keepdim=True))) @ x) @ v.mT


def attack(a: torch.Tensor, v: torch.Tensor, n: int, mask: str, steps: int, joint: bool, seed: int = 0) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Projected ascent of |J h| / |h| over tokens in the unit ball and, if joint, over A and V of the same norms."""
    gen = torch.Generator().manual_seed(seed)
    batch, d = a.shape[0], a.shape[-1]
    x = torch.randn(batch, n, d, generator=gen, dtype=torch.float64)
    for b in range(1, batch, 3):  # all but two tokens in one place
        x[b, 2:] = x[b, 0] if b % 2 else -x[b, 0]
    x = x / x.norm(dim=-1, keepdim=True)
    h = torch.randn(batch, n, d, generator=gen, dtype=torch.float64)
    size_a, size_v = (torch.linalg.matrix_norm(m, 2)[:, None, None] for m in (a, v))
    keep = allowed(n, mask)
    for t in range(steps):
        x, a, v = (z.detach().requires_grad_(True) for z in (x, a, v))
        h = (h / h.flatten(1).norm(dim=1)[:, None, None]).detach().requires_grad_(True)
        y = push(x, h, a, v, keep).flatten(1).norm(dim=1)
        gx, ga, gv, gh = torch.autograd.grad((y * y).sum() / 2, (x, a, v, h))
        h = gh
        rate = 0.3 * (1 - t / steps) + 0.01
        x = x + rate * gx / (gx.norm(dim=(1, 2), keepdim=True) + 1e-30)
        x = x / x.norm(dim=-1, keepdim=True).clamp(min=1)
        if joint:
            a, v = (m + 0.3 * rate * s * g / (g.norm(dim=(1, 2), keepdim=True) + 1e-30) for m, s, g in ((a, size_a, ga), (v, size_v, gv)))
            a, v = (m * s / torch.linalg.matrix_norm(m, 2)[:, None, None] for m, s in ((a, size_a), (v, size_v)))
    h = (h / h.flatten(1).norm(dim=1)[:, None, None]).detach()
    values = push(x, h, a, v, keep).flatten(1).norm(dim=1)
    return [(float(q.detach()), m.detach().numpy(), w.detach().numpy()) for q, m, w in zip(values, a, v, strict=True)]


def instance(d: int, norm: float, seed: int, shape: str = "random") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a, v = rng.standard_normal((2, d, d))
    if shape == "thin":
        v = np.outer(v[0], v[1])
    if shape == "skew":
        a, v = a - a.T, np.eye(d)
    if shape == "minus":
        a, v = -np.eye(d), np.eye(d)
    return a * norm / np.linalg.norm(a, 2), v / np.linalg.norm(v, 2)


# the moment bound -----------------------------------------------------------------------------


def moments(gamma: float, c: float, seed: int) -> float:
    """A large value of E e^-s E e^s |w + t g|^2: four atoms on the disc, by ascent."""
    gen = torch.Generator().manual_seed(seed)
    at = (torch.rand(24, 4, generator=gen, dtype=torch.float64) * 2 * math.pi).requires_grad_(True)
    logit = torch.randn(24, 4, generator=gen, dtype=torch.float64).requires_grad_(True)
    turn = math.acos(c)
    optimiser = torch.optim.Adam([at, logit], lr=0.05)
    best = 0.0
    for _ in range(250):
        p, s = torch.softmax(logit, 1), gamma * torch.cos(at)
        z = torch.cos(at - turn)
        t = z - (p * z).sum(1, keepdim=True)
        value = (p * torch.exp(-s)).sum(1) * (p * torch.exp(s) * (1 + 2 * gamma * c * t + (gamma * t) ** 2)).sum(1)
        best = max(best, float(value.detach().max()))
        optimiser.zero_grad()
        (-torch.log(value).sum()).backward()
        optimiser.step()
    return best


@pytest.mark.parametrize(("gamma", "c"), [(0.1, 0.5), (0.5, 0.0), (0.5, 0.9), (1.0, 0.3), (1.0, 1.0), (2.0, 0.7), (3.5, 1.0)])
def test_no_distribution_exceeds_the_moment_bound(gamma: float, c: float) -> None:
    found, proved = moments(gamma, c, 0), moment.phi(gamma, gamma * c)
    assert 1 <= found <= proved
    assert math.sqrt(proved / found) < 1.25


def test_the_table_increases_and_its_nodes_lie_below_the_cosines() -> None:
    table = moment.table()
    assert len(table) == moment.STEPS
    for row in table:
        assert row == sorted(row)
        assert len(row) == moment.TURNS + 1
    for node, k in zip(moment.cosines(), range(moment.TURNS + 1), strict=True):
        assert node <= math.cos(math.pi / 2 * (1 - k / moment.TURNS)) + 1e-15
    assert moment.phi(moment.gammas()[-1] * 1.01, 1.0) == math.inf
    assert moment.phi(0.0, 0.0) == 1.0


@pytest.mark.parametrize(("row", "cell"), [(0, 11), (61, 3), (103, 6)])
def test_entries_are_certified_afresh(row: int, cell: int) -> None:
    assert moment.certified(moment.gammas()[row], cell) <= moment.table()[row][cell + 1]


@pytest.mark.slow
def test_every_entry_is_certified_afresh() -> None:
    for gamma, row in zip(moment.gammas(), moment.table(), strict=True):
        values = [moment.certified(gamma, cell) for cell in range(moment.TURNS)]
        assert row[0] >= values[0]
        for k in range(moment.TURNS):
            assert row[k + 1] >= max(values[: k + 1])


def test_any_slopes_and_weight_prove_a_bound() -> None:
    """The search proves nothing, so a bad one may only loosen: here kappa is 0 or noise, l is arbitrary."""
    edges = np.linspace(-1.0, 1.0, moment.MEANS + 1)
    best = moments(1.0, math.cos(1.0), 1)
    for weight, slopes in ((1.0, np.zeros(moment.MEANS)), (20.0, np.random.default_rng(0).standard_normal(moment.MEANS))):
        assert moment.bounded(1.0, 1.0, 1e-3, weight, edges, slopes) >= best


# one row --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_no_row_exceeds_the_row_factor(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(60):
        d, n = int(rng.integers(1, 4)), int(rng.integers(2, 9))
        gamma = float(np.exp(rng.uniform(-2.5, 1.5)))
        w, g = rng.standard_normal((2, d))
        w, g = w / np.linalg.norm(w) * rng.uniform(0.3, 1), g / np.linalg.norm(g) * gamma * rng.uniform(0.3, 1)
        k, s = abs(w @ g), (np.linalg.norm(w) * np.linalg.norm(g) + abs(w @ g)) / 2
        x = rng.standard_normal((n, d))
        if rng.random() < 0.6:
            x = np.sign(rng.standard_normal((n, 1))) * w + 0.3 * x
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        p = np.exp(x @ g) / np.sum(np.exp(x @ g))
        t = x - p @ x
        square = np.sum(p**2 * np.sum((w + (t @ w)[:, None] * g) ** 2, axis=1))
        limit = Row(gamma, k, s).squares({n: (1 / n, 1 / (1 + (n - 1) * math.exp(-2 * gamma)))})[n]
        assert square <= limit * (1 + 1e-12)


def test_the_row_factor_is_attained_for_large_scores() -> None:
    """Two keys +-w^ of equal weight and all others far below, g orthogonal to w."""
    gamma, n = 30.0, 4
    x = np.array([[1.0, 0], [-1, 0], [0, -1], [0, -1]])
    w, g = np.array([1.0, 0]), np.array([0, gamma])
    p = np.exp(x @ g) / np.sum(np.exp(x @ g))
    square = np.sum(p**2 * np.sum((w + ((x - p @ x) @ w)[:, None] * g) ** 2, axis=1))
    limit = Row(gamma, 0.0, gamma / 2).squares({n: (1 / n, 1.0)})[n]
    assert square <= limit <= square * 1.001


@pytest.mark.parametrize("gamma", [0.1, 0.5, 0.55, 1.0, 4.0, 32.0])
def test_the_row_factor_with_parallel_directions_is_the_closed_form(gamma: float) -> None:
    value = float(rowwise.rhos(np.array([[1.0, gamma, gamma]]))[0])
    assert rho(gamma) * (1 - 1e-12) <= value <= rho(gamma) * (1 + 1e-3)


def test_the_bounds_grow_with_every_argument() -> None:
    counts = {n: (1 / n, 1.0) for n in (2, 4, 16, 64, 256)}
    last: dict[int, float] = {}
    for gamma in (0.0, 0.2, 0.7, 1.5, 3.0, 8.0):
        now = Row(gamma, gamma / 2, gamma).squares(counts)
        assert all(now[n] >= last.get(n, 0) * (1 - 1e-2) for n in counts)  # upper values on a lattice
        last = now
    assert Row(0.0, 0.0, 0.0).squares(counts)[4] == pytest.approx(0.25)
    assert all(v <= w * (1 + 1e-9) for v, w in zip(list(now.values())[1:], now.values(), strict=False))
    assert all(n * v <= 2 * n * w * (1 + 1e-9) for (n, v), w in zip(now.items(), list(now.values())[1:], strict=False))
    assert Row(1.0, 0.2, 1.0).squares(counts)[64] < Row(1.0, 0.9, 1.0).squares(counts)[64]
    assert Row(math.inf, math.inf, math.inf).squares(counts)[2] == math.inf


# both parts together -----------------------------------------------------------------------------


def test_no_profile_exceeds_both_parts_together() -> None:
    """Rows a_i of norm <= r and sum <= m, blocks of norm delta: the greatest |A h + delta h| over non-negative h."""
    rng = np.random.default_rng(0)
    closest = 0.0
    for _ in range(400):
        n = int(rng.integers(2, 30))
        few = int(rng.integers(1, n + 1))
        a = np.zeros((n, n))
        a[:, :few] = rng.uniform(0.1, 1)
        if rng.random() < 0.5:
            a *= rng.uniform(0.5, 1, (n, n))
        delta = float(np.exp(rng.uniform(-2, 2)))
        true = float(np.linalg.norm(a + delta * np.eye(n), 2))
        r, m = float(np.max(np.linalg.norm(a, axis=1))), float(np.max(a.sum(axis=1)))
        limit = rowwise.together(float(n), n * r * r, m, delta)
        assert true <= limit * (1 + 1e-12)
        assert limit <= (math.sqrt(n) * r + delta) * (1 + 1e-9)
        closest = max(closest, true / limit)
    assert closest > 0.999, "attained by equal rows, and any smaller constant is caught"


# attention ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", ["", "causal", "window"])
@pytest.mark.parametrize("shape", ["random", "thin", "skew", "minus"])
def test_joint_ascent_over_tokens_and_weights_stays_below(mask: str, shape: str) -> None:
    for n, d, norm in ((2, 1 if shape in ("random", "minus") else 2, 1.0), (2, 2, 0.3), (3, 2, 1.0), (6, 3, 2.0), (12, 2, 4.0)):
        pairs = [instance(d, norm, seed, shape) for seed in range(8)]
        a, v = (torch.tensor(np.stack(m)) for m in zip(*pairs, strict=True))
        for found, at, vt in attack(a, v, n, mask, 60, joint=True):
            assert found <= bound(at, vt, n, mask).two * (1 + 1e-9), (n, d, norm)


@pytest.mark.parametrize(
    ("n", "d", "scale", "ratio"),
    [(4, 4, 0.45, 1.6), (16, 4, 0.45, 1.6), (4, 8, 0.6, 1.9), (16, 4, 1.9, 2.3), (2, 8, 2.0, 2.4)],
)
def test_the_bound_is_close_on_random_weights(n: int, d: int, scale: float, ratio: float) -> None:
    a, v = instance(d, scale, 5)
    tiles = [torch.tensor(np.repeat(m[None], 24, axis=0)) for m in (a, v)]
    best = max(found for found, _, _ in attack(tiles[0], tiles[1], n, "", 220, joint=False))
    assert best <= bound(a, v, n).two <= ratio * best


@pytest.mark.parametrize(("norm", "n"), [(0.05, 2), (0.05, 12), (0.3, 5), (1.0, 2), (1.0, 12), (4.0, 3)])
def test_the_bound_is_close_for_the_worst_weights(norm: float, n: int) -> None:
    pairs = [instance(3, norm, seed, s) for seed in range(4) for s in ("random", "thin", "skew", "minus")]
    a, v = (torch.tensor(np.stack(m)) for m in zip(*pairs, strict=True))
    found = attack(a, v, n, "", 200, joint=True)
    assert all(q <= bound(x, y, n).two * (1 + 1e-9) for q, x, y in found)
    assert min(bound(x, y, n).two / q for q, x, y in found) <= 1.75


# values of the research notes, section 10 ------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "a", "radius", "lower", "mask"),
    [(2, 1, 0.5, 1.2350, ""), (2, 1, 1, 1.6017, ""), (2, 1, 2, 2.0810, ""), (2, -1, 0.5, 1.0, ""), (2, -1, 1, 1.6016, ""),
     (2, -1, 2, 1.7013, ""), (3, 1, 0.5, 1.2033, ""), (3, 1, 1, 1.8060, ""), (3, 1, 2, 3.0388, ""), (3, -1, 1, 1.8797, ""),
     (3, -1, 2, 2.4108, ""), (2, 1, 0.5, 1.1588, "causal"), (2, 1, 1, 1.5411, "causal"), (2, 1, 2, 2.0811, "causal")],
)  # fmt: skip
def test_one_dimension_by_a_direct_search(n: int, a: float, radius: float, lower: float, mask: str) -> None:
    # The values come from a search without derivatives, good to 1e-3.
    assert lower * (1 - 1e-3) <= bound(np.array([[float(a)]]), np.eye(1), n, mask, radius).two


def test_the_balanced_pair() -> None:
    """Two keys (c, +-z) and all else at (-R, 0), A = -I: growth with sqrt(n) a."""
    for a, n, c, value, ratio in ((8.0, 34, 0.05, 33.0821, 1.27), (16.0, 100, 0.0, 113.3571, 1.16)):
        x = torch.zeros(n, 2, dtype=torch.float64)
        x[:, 0] = -1
        x[0], x[1] = torch.tensor([c, math.sqrt(1 - c * c)]), torch.tensor([c, -math.sqrt(1 - c * c)])
        at, v = -a * torch.eye(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
        basis = torch.eye(2 * n, dtype=torch.float64).reshape(2 * n, n, 2)
        j = push(x.expand(2 * n, n, 2), basis, at, v, allowed(n, "")).reshape(2 * n, -1)
        found = float(torch.linalg.matrix_norm(j, 2))
        assert found == pytest.approx(value, rel=1e-4)
        limit = bound(at.numpy(), v.numpy(), n).two
        assert found <= limit <= ratio * found


def test_the_bound_is_free_of_length_and_below_the_published_constants() -> None:
    a, v = instance(4, 0.5, 0)
    limits = [bound(a, v, n).two for n in (4, 64, 1024)]
    assert limits == sorted(limits)
    assert limits[-1] <= 1.05 * limits[1]
    for n in (2, 10, 100):
        castin = math.sqrt(3) * math.sqrt(4 * n + 1 + n)
        assert bound(np.eye(2), np.eye(2), n).two < castin
    assert bound(np.eye(2), np.eye(2), 4096).two < math.e * math.sqrt(2) + 1, "mean-field form S'"
