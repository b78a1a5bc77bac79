"""Random questions to the check over all families, each with evidence against its answer that shares no code with it.

A case is one net with one draw of weights on one ball: an entry of the zoo, a variant or a random diagram; weights dense, of
rank one, zero, tied, sparse, plus or minus the identity, of scales 0.01 to 10; radius 0.001 to 30, or 0. The evidence is dense
Jacobians at structured and random points with their best directions, a climb from the best point, and secants; values
against the proved entries and norms; and where the answer holds on the whole space, points far outside the ball.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch

from anatomy.claims.trial import Trial
from anatomy.compiler import DIFFERENTIABLE, build
from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram
from anatomy.library.entry import entries
from anatomy.regularity.compose import Composition, Stuck, compose, sizes_of
from anatomy.target import load_diagram
from tests.regularity import programs, variants
from tests.regularity.idioms import Idioms

NORMS = (1.0, 2.0, np.inf)
LARGEST = 160
"""Entries of all inputs or outputs together: beyond it the sizes stated for an entry are not tried."""

Groups = list[tuple[int, int]]


@dataclass
class Net:
    """A diagram with its module at some sizes."""

    family: str
    name: str
    diagram: Diagram
    sizes: dict[str, int]
    module: Any

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [tuple(self.sizes[a] for a in item.layout) for item in self.diagram.inputs]

    def kind(self, k: int) -> str:
        return self.diagram.wires[self.diagram.inputs[k].wire].kind.name

    @property
    def outs(self) -> Groups:
        """Tokens and features of every real output."""
        return _groups([tuple(self.sizes[a] for a in o.layout) for o in self.diagram.outputs if o.kind.name == "real"])


@dataclass
class Finding:
    """What became of one case; `violations` are empty unless the check is wrong."""

    family: str
    name: str
    seed: int
    verdict: str
    ratio: float | None = None
    violations: list[str] = field(default_factory=list)


def _groups(shapes: Sequence[tuple[int, ...]]) -> Groups:
    return [(math.prod(s[:-1]), s[-1]) if s else (1, 1) for s in shapes]


DRAWN = {"random": programs.Garden, "idioms": Idioms}
"""Families whose diagrams are drawn, each by its garden."""


# nets -----------------------------------------------------------------------------------------


@cache
def names() -> tuple[tuple[str, str], ...]:
    """Every source of a diagram, with its family."""
    zoo = [(e.folder, e.name) for e in entries()]
    return (*zoo, *(("variants", n) for n in variants.NAMES), *(("random", "") for _ in range(12)), *(("idioms", "") for _ in range(24)))


@cache
def _loaded(name: str) -> tuple[Diagram, dict[str, int], tuple[str, ...]]:
    diagram = load_diagram(f"zoo:{name}")
    head = next(e for e in entries() if e.name == name).head["sizes"] or ""
    stated = {k.strip(): int(v) for k, v in (p.split("=") for p in head.split(",") if "=" in p)}
    trial = Trial(diagram, stated)
    return diagram, dict(trial.chosen), tuple(sorted(v for v in trial.counts if v not in stated))


@lru_cache(400)
def _net(family: str, name: str, changed: tuple[tuple[str, int], ...], seed: int) -> Net | None:
    if family in DRAWN:
        diagram = programs.random_diagram(seed, 5, DRAWN[family])
        chosen = {a: n for a, n in programs.SIZES.items() if a in diagram.sizes}
    elif family == "variants":
        diagram, chosen = variants.variant(name), variants.sizes(name, **dict(changed))
    else:
        diagram, chosen, _ = _loaded(name)
        chosen = chosen | dict(changed)
    try:
        full = sizes_of(diagram, chosen)
        module = build(diagram, chosen, dtype=torch.float64, passes=DIFFERENTIABLE)
    except (AnatomyError, Stuck):
        return None
    for p in module.parameters():
        p.requires_grad_(False)
    net = Net(family, name, diagram, full, module)
    inner, outer = (sum(map(math.prod, s)) for s in (net.shapes, [(n, d) for n, d in net.outs]))
    return net if inner <= LARGEST and outer <= LARGEST else None


def net_of(rng: random.Random, seed: int) -> Net | None:
    """A net by chance, with another number of tokens where its sizes leave that open."""
    family, name = rng.choice(names())
    changed: dict[str, int] = {}
    if family == "variants":
        n = rng.choice([1, 2, 3, 5])
        changed = {"n": n, "m": n}
    elif family not in DRAWN:
        counts = _loaded(name)[2]
        n = rng.choice([0, 1, 2, 3])  # 0: the sizes that were settled
        changed = dict.fromkeys(counts, n) if n else {}
    net = _net(family, name, tuple(sorted(changed.items())), seed if family in DRAWN else 0)
    return net if net is not None or not changed else _net(family, name, (), 0)


# weights --------------------------------------------------------------------------------------


def draw(net: Net, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights of one kind or of several, put into the module."""
    scale = 10 ** rng.uniform(-2, 1) if rng.random() < 0.6 else float(rng.choice([0.3, 1.0, 2.0]))
    kinds = ["dense"] if rng.random() < 0.4 else ["dense", "rank one", "zero", "identity", "minus identity", "sparse", "skew", "tied"]
    state = net.module.state_dict()
    tied: dict[tuple[int, ...], np.ndarray] = {}
    with torch.no_grad():
        for key, p in net.module.named_parameters():
            shape = tuple(p.shape)
            kind = str(rng.choice(kinds))
            value = tied[shape] if kind == "tied" and shape in tied else _matrix(kind, shape, rng)
            tied[shape] = value
            p.copy_(torch.tensor(scale * value).reshape(shape))
            state[key] = p
    return {k: v.detach().numpy().copy() for k, v in net.module.state_dict().items()}


def _matrix(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if kind == "zero":
        return np.zeros(shape)
    if len(shape) < 2 or kind in ("dense", "tied"):
        return rng.standard_normal(shape) / math.sqrt(shape[-1] if shape else 1)
    rows, cols = shape[0], math.prod(shape[1:])
    match kind:
        case "rank one":
            out = np.outer(rng.standard_normal(rows), rng.standard_normal(cols)) / math.sqrt(rows * cols)
        case "sparse":
            out = rng.standard_normal((rows, cols)) * (rng.random((rows, cols)) < 0.2)
        case "skew" if rows == cols:
            out = rng.standard_normal((rows, cols))
            out = out - out.T
        case _:
            out = np.eye(rows, cols) * (-1 if kind == "minus identity" else 1)
    return out.reshape(shape)


# points ---------------------------------------------------------------------------------------


def points(net: Net, radius: float, rng: np.random.Generator, count: int) -> Iterator[list[torch.Tensor]]:
    """Inputs in the ball of every token: on the sphere, equal, opposite, one apart from the others, mostly 0, inside, near 0."""
    kinds = ["sphere", "equal", "opposite", "outlier", "star", "inside", "zero", "axis"]
    rng.shuffle(kinds)
    for k in range(count):
        kind = kinds[k % len(kinds)]
        inputs = []
        for i, shape in enumerate(net.shapes):
            if net.kind(i) != "real":
                inputs.append(_other(net, i, shape, rng))
                continue
            d = shape[-1] if shape else 1
            x = rng.standard_normal((max(1, math.prod(shape) // d), d))
            if kind in ("equal", "opposite", "outlier"):
                x[:] = x[0]
            if kind == "opposite":
                x *= np.sign(rng.standard_normal((len(x), 1)))
            if kind == "outlier":
                x[rng.integers(len(x))] *= -1
            if kind == "axis":
                x = np.eye(d)[rng.integers(d, size=len(x))] * np.sign(rng.standard_normal((len(x), 1)))
            x *= radius / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300)
            if kind == "star":
                x[np.arange(len(x)) != rng.integers(len(x))] *= 1e-9
            if kind == "inside":
                x *= rng.uniform(0, 1, (len(x), 1)) ** 2
            if kind == "zero":
                x *= 1e-6
            x *= 1 - 1e-9
            inputs.append(torch.tensor(x.reshape(shape)))
        yield inputs


def _other(net: Net, k: int, shape: tuple[int, ...], rng: np.random.Generator) -> torch.Tensor:
    kind = net.diagram.wires[net.diagram.inputs[k].wire].kind
    if kind.name == "mask":
        return torch.tensor(rng.random(shape) < rng.choice([0.2, 0.7, 1.0]))
    top = net.sizes.get(kind.axis or "", 1)
    return torch.tensor(rng.integers(0, max(1, top), size=shape))


# evidence -------------------------------------------------------------------------------------


def flat(net: Net, inputs: list[torch.Tensor], seed: int) -> tuple[Callable[[torch.Tensor], torch.Tensor], torch.Tensor, Groups]:
    """The net as a function of all real inputs in one vector, the other inputs held, and noise drawn from a seed."""
    real = [k for k in range(len(inputs)) if net.kind(k) == "real"]
    noisy = any(n.op.random for n in net.diagram.nodes)
    counts = [inputs[k].numel() for k in real]

    def f(v: torch.Tensor) -> torch.Tensor:
        given = list(inputs)
        for k, piece in zip(real, torch.split(v, counts), strict=True):
            given[k] = piece.reshape(inputs[k].shape)
        if noisy:
            torch.manual_seed(seed)
        out = net.module(*given)
        outs = out if isinstance(out, tuple | list) else [out]
        return torch.cat([o.reshape(-1) for o in outs if o.is_floating_point()])

    groups = _groups([tuple(inputs[k].shape) for k in real])
    return f, torch.cat([inputs[k].reshape(-1) for k in real]), groups


def jacobian(f: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> np.ndarray:
    x = x.detach().clone().requires_grad_()
    y = f(x)
    if not y.requires_grad:
        return np.zeros((y.numel(), x.numel()))
    try:
        (rows,) = torch.autograd.grad(y, x, torch.eye(y.numel(), dtype=y.dtype), retain_graph=True, is_grads_batched=True, allow_unused=True)
        return np.zeros((y.numel(), x.numel())) if rows is None else rows.numpy()
    except RuntimeError:  # an operation without a batching rule: one row after the other
        found = [torch.autograd.grad(y[i], x, retain_graph=True, allow_unused=True)[0] for i in range(y.numel())]
        return np.stack([np.zeros(x.numel()) if r is None else r.numpy() for r in found])


def size(x: np.ndarray, groups: Groups, p: float) -> float:
    """The p-norm over tokens of Euclidean norms over features."""
    lengths, at = [], 0
    for tokens, features in groups:
        lengths.append(np.linalg.norm(x[at : at + tokens * features].reshape(tokens, features), axis=1))
        at += tokens * features
    return float(np.linalg.norm(np.concatenate(lengths), p)) if lengths else 0.0


def directions(j: np.ndarray, ins: Groups, outs: Groups, rng: np.random.Generator) -> list[np.ndarray]:
    """The top singular vector; the token that counts most alone; all tokens at full length towards the output moved most."""
    found = [_top(j), rng.standard_normal(j.shape[1])]
    best = max(_blocks(ins), key=lambda block: np.linalg.norm(j[:, block]))
    u = np.zeros(j.shape[1])
    u[best] = _top(j[:, best])
    u_out, at = _top(j[max(_blocks(outs), key=lambda block: np.linalg.norm(j[block]))]).copy(), 0
    for n, d in ins:
        piece = u_out[at : at + n * d].reshape(n, d)
        piece /= np.maximum(np.linalg.norm(piece, axis=1, keepdims=True), 1e-300)
        at += n * d
    return [*found, u, u_out]


def _top(j: np.ndarray) -> np.ndarray:
    return np.linalg.svd(j, full_matrices=False)[2][0]


def _blocks(groups: Groups) -> list[slice]:
    found, at = [], 0
    for tokens, features in groups:
        found += [slice(at + t * features, at + (t + 1) * features) for t in range(tokens)]
        at += tokens * features
    return found


def worst(j: np.ndarray, ins: Groups, outs: Groups, rng: np.random.Generator) -> dict[float, tuple[float, np.ndarray]]:
    """For p = 1, 2, infinity the largest quotient |J u| / |u| found and its u."""
    best = {p: (0.0, np.zeros(j.shape[1])) for p in NORMS}
    if not j.size:
        return best
    for u in directions(j, ins, outs, rng):
        for p in NORMS:
            length = size(u, ins, p)
            if length > 0 and (value := size(j @ u, outs, p) / length) > best[p][0]:
                best[p] = (value, u)
    return best


def secant(f: Any, x: torch.Tensor, u: np.ndarray, ins: Groups, outs: Groups, p: float, radius: float) -> float:
    """The greatest quotient of a finite step along u within the ball: never more than a Lipschitz constant."""
    top, best = float(np.max(np.abs(u))) or 1.0, 0.0
    for step in (1e-2, 1e-3, 1e-4, 1e-5):
        v = torch.tensor(u / top * step * radius * 0.5)
        a, b = _inside(x + v, ins, radius), _inside(x - v, ins, radius)
        moved = (a - b).numpy()
        change = (f(a) - f(b)).numpy()
        length = size(moved, ins, p)
        if length > 0 and np.isfinite(change).all():
            # Rounding of the two values is no change.
            noise = 1e-13 * float(f(a).abs().max())
            best = max(best, (size(change, outs, p) - noise * math.sqrt(len(change))) / length)
    return best


def _inside(x: torch.Tensor, ins: Groups, radius: float) -> torch.Tensor:
    pieces, at = [], 0
    for tokens, features in ins:
        rows = x[at : at + tokens * features].reshape(tokens, features)
        norm = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        pieces.append((rows * torch.clamp(radius / norm.clamp_min(1e-300), max=1.0)).reshape(-1))
        at += tokens * features
    return torch.cat(pieces)


# one case -------------------------------------------------------------------------------------


def limits(found: Composition) -> dict[float, float]:
    return {1.0: found.triple.one, 2.0: found.triple.two, np.inf: found.triple.inf}


def bounded(net: Net, weights: Mapping[str, np.ndarray], radius: float) -> Composition | None:
    try:
        return compose(net.diagram, net.sizes, weights, radius)
    except Stuck:
        return None


def against(
    net: Net, found: Composition, radius: float, rng: np.random.Generator, seed: int, count: int, climb: int
) -> tuple[list[str], float]:
    """What contradicts the bounds on the ball, and the largest quotient for p = 2 over its bound."""
    wrong: list[str] = []
    top, best = limits(found), (0.0, None)
    for inputs in points(net, radius, rng, count):
        f, x, ins = flat(net, inputs, seed)
        if not len(x):
            return wrong, 0.0
        x = _inside(x + 1e-9 * radius * torch.tensor(rng.standard_normal(len(x))), ins, radius)  # off the kinks
        ratio = _compare(net, found, top, f, x, ins, radius, rng, wrong)
        if ratio > best[0]:
            best = (ratio, (f, x, ins))
    if best[1] is not None:
        f, x, ins = best[1]
        reach = 0.3
        for _ in range(climb):
            y = _inside(x + reach * radius * torch.tensor(rng.standard_normal(len(x))) / math.sqrt(ins[0][1]), ins, radius)
            ratio = _compare(net, found, top, f, y, ins, radius, rng, wrong)
            if ratio > best[0]:
                best, x = (ratio, (f, y, ins)), y
            else:
                reach *= 0.6
    return wrong, best[0]


def _compare(
    net: Net, found: Composition, top: dict[float, float], f: Any, x: torch.Tensor, ins: Groups, radius: float,
    rng: np.random.Generator, wrong: list[str],
) -> float:  # fmt: skip
    value = f(x)
    if not bool(torch.isfinite(value).all()):
        if all(map(math.isfinite, top.values())) and float(x.abs().max()) < 1e3:
            wrong.append("a value is not finite where a finite bound is proved")
        return 0.0
    if len(net.diagram.outputs) == 1 and net.outs:
        bound = found.bounds[net.diagram.outputs[0].port.wire]
        slack = 1e-9 * (1e-6 + float(value.abs().max()))
        if not (bound.entry[0] - slack <= float(value.min()) and float(value.max()) <= bound.entry[1] + slack):
            wrong.append(f"values {float(value.min()):g} to {float(value.max()):g} outside {bound.entry}")
    if not any(map(math.isfinite, top.values())):
        return 0.0
    j = jacobian(f, x)
    if not np.isfinite(j).all():
        return 0.0
    seen = worst(j, ins, net.outs, rng)
    for p, (quotient, u) in seen.items():
        if not quotient <= top[p] * (1 + 1e-7) + 1e-14 * float(np.abs(j).sum()):
            confirmed = secant(f, x, u, ins, net.outs, p, radius)
            if confirmed > top[p] * (1 + 1e-6):
                wrong.append(f"p = {p}: secant {confirmed:.9g}, quotient {quotient:.9g} above {top[p]:.9g} at radius {radius:g}")
    return seen[2.0][0] / top[2.0] if 0 < top[2.0] < math.inf else 0.0


def run(seed: int, count: int = 4, climb: int = 4) -> Finding | None:
    """One case from a seed; None where no net of that draw exists."""
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    net = net_of(rng, seed)
    if net is None:
        return None
    weights = draw(net, numbers)
    radius = 0.0 if rng.random() < 0.03 else 10 ** rng.uniform(-3, math.log10(30))
    finding = Finding(net.family, net.name or "random", seed, "unknown")
    here, whole = bounded(net, weights, radius), bounded(net, weights, math.inf) if seed % 2 else None
    for found in (here, whole):
        if found is not None and any(math.isnan(v) or v < 0 for v in limits(found).values()):
            finding.violations.append(f"a bound is {limits(found)}")
    if whole is not None and any(math.isfinite(v) for v in limits(whole).values()):
        finding.verdict = "globally_lipschitz" if math.isfinite(whole.triple.two) else "unknown"
        wrong, _ = against(net, whole, 1e3 * max(radius, 1e-3), numbers, seed, 2, 0)
        finding.violations += [f"on the whole space: {w}" for w in wrong]
        if whole.explodes:
            finding.violations.append("it is both globally Lipschitz and not")
    if here is not None and radius > 0:
        if math.isfinite(here.triple.two) and finding.verdict == "unknown":
            finding.verdict = "lipschitz_on_domain"
        wrong, ratio = against(net, here, radius, numbers, seed, count, climb)
        finding.violations += wrong
        finding.ratio = 1 / ratio if ratio > 0 else None
    if whole is not None and whole.explodes:
        finding.violations += _grows(net, numbers, seed)
    return finding


def _grows(net: Net, rng: np.random.Generator, seed: int) -> list[str]:
    """The family that is said to have no bound: the first or another token at 0, one at R u, the others at 0."""
    tops = []
    for radius in (1e3, 1e5):
        best = 0.0
        for k in range(24):
            inputs = []
            for shape in net.shapes:
                d = shape[-1]
                x = np.zeros((math.prod(shape) // d, d))
                x[k % len(x)] = rng.standard_normal(d)
                x *= radius / max(float(np.linalg.norm(x)), 1e-300)
                inputs.append(torch.tensor(x.reshape(shape)))
            f, x, ins = flat(net, inputs, seed)
            j = jacobian(f, x)
            if np.isfinite(j).all():
                best = max(best, worst(j, ins, net.outs, rng)[2.0][0])
        tops.append(best)
    return [] if tops[1] > 100 * tops[0] > 0 else [f"said to explode, but the quotients at 1e3 and 1e5 are {tops}"]
