"""The regularity check in a Wasserstein norm: verdict, the constant for every number of tokens, what is attained, and contraction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from anatomy.errors import fail
from anatomy.ir.bound import INF
from anatomy.ir.graph import Diagram
from anatomy.regularity.compose import Stuck, sizes_of
from anatomy.regularity.measure.calculus import Transport, measured
from anatomy.regularity.measure.contraction import endomorphic, of
from anatomy.regularity.verdict import Norm, Regularity, Verdict

ORDERS: dict[str, float] = {"wasserstein1": 1.0, "wasserstein2": 2.0, "wasserstein_inf": INF}
"""The p of W_p for every norm of measures."""
SAFETY = 1 - 1e-9
"""What is attained is evaluated in float64 and reduced by more than its rounding."""
DENSE = 4096
"""Inputs of so many numbers at most are searched for what is attained in W1."""


def check_measures(
    diagram: Diagram, sizes: Mapping[str, int], weights: Mapping[str, np.ndarray], radius: float, norm: Norm,
    function: Callable[..., Any] | None = None, seed: int = 0,
) -> Regularity:  # fmt: skip
    """The regularity of a diagram as a map of measures of tokens in a ball, in W1, W2 or W_infinity.

    `upper` holds for every number of tokens; `lower` is attained by the number in `sizes`. Errors, and what a result holds: as for `check`.
    """
    p = ORDERS[norm]
    domain = "measures on the whole space" if radius == INF else f"measures of tokens of Euclidean norm at most {radius:g}"
    try:
        full = sizes_of(diagram, sizes)
        found = measured(diagram, full, weights, radius)
    except Stuck as stuck:
        return _result("unknown", domain, norm, None, None, "none", stuck.place, {}, {"reason": stuck.why})
    upper = found.constant(p)
    lower, witness = (None, None) if function is None else attained(diagram, full, function, radius, p, seed)
    if lower is not None and lower > upper:
        raise fail(
            "E901", f"soundness: the lower bound {lower!r} exceeds the upper bound {upper!r} ({found.method})", diagram.span,
            notes=(f"witness: {witness}", f"certificate: {found.trail}", "this is a defect of the checker: please report it"),
        )  # fmt: skip
    proof: dict[str, Any] = {"diagram": diagram.name, **{name: _finite(found.constant(q)) for name, q in ORDERS.items()},
                             "radius": radius, "trail": found.trail, "witness": witness}  # fmt: skip
    if endomorphic(diagram):
        proof["contraction"] = of(diagram, found, p).certificate()
    verdict, proof["whole_space"] = _verdict(diagram, full, weights, radius, p, found)
    if verdict == "unknown":
        proof["reason"] = f"{found.responsible or 'an operation'} has no finite bound on {domain}"
    tokens = {diagram.sizes[i.layout[0]].as_variable() for i in diagram.inputs}
    growth = {} if math.isinf(upper) else {axis: _constant_in(full[axis], upper) for axis in sorted(t for t in tokens if t)}
    return _result(verdict, domain, norm, _finite(upper), lower, found.method, found.responsible, growth, proof)


def _result(
    verdict: Verdict, domain: str, norm: Norm, upper: float | None, lower: float | None, method: str, responsible: str | None,
    growth: dict[str, dict[str, Any]], certificate: dict[str, Any],
) -> Regularity:  # fmt: skip
    ratio = None if upper is None or not lower else math.nextafter(upper / lower, INF)
    return Regularity(verdict=verdict, domain=domain, norm=norm, upper=upper, lower=lower, ratio=ratio, method=method,
                      responsible=responsible, growth=growth, certificate=certificate)  # fmt: skip


def _constant_in(size: int, upper: float) -> dict[str, Any]:
    """One constant for every number of tokens, in the form of `growth`."""
    return {"symbolic": "1", "fitted": None, "interval": None, "top": None, "top_interval": None, "bound": 0.0,
            "bounds": [[float(size * 2**k), upper] for k in range(7)], "attained": [], "agrees": None}  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _verdict(
    diagram: Diagram, full: Mapping[str, int], weights: Mapping[str, np.ndarray], radius: float, p: float, here: Transport
) -> tuple[Verdict, dict[str, Any]]:
    try:
        whole = here if radius == INF else measured(diagram, full, weights, INF)
        constant, everywhere = whole.constant(p), {"lipschitz": _finite(whole.constant(p)), "responsible": whole.responsible}
    except Stuck as stuck:
        constant, everywhere = INF, {"lipschitz": None, "reason": f"{stuck.place}: {stuck.why}"}
    if math.isfinite(constant):
        return "globally_lipschitz", everywhere
    return ("lipschitz_on_domain" if math.isfinite(here.constant(p)) else "unknown"), everywhere


def attained(
    diagram: Diagram, full: Mapping[str, int], function: Callable[..., Any], radius: float, p: float, seed: int
) -> tuple[float | None, dict[str, Any] | None]:
    """A quotient W_p(F(mu), F(nu)) / W_p(mu, nu) in the limit nu -> mu, at measures of as many equal masses as `full` says.

    Near a measure of n equal masses W_p is the p-norm of the moves of its atoms, over n^(1/p), whatever atoms coincide: then their
    masses may be exchanged at no cost. Only for one input and one output; None otherwise.
    """
    if len(diagram.inputs) != 1 or len(diagram.outputs) != 1:
        return None, None
    from anatomy.regularity.estimate import estimate

    item, output = diagram.inputs[0], diagram.outputs[0]
    shape = tuple(full[a] for a in item.layout)
    # One vector for all tokens: its length does not shrink by n^(1/p) as that of the moves does.
    variable = diagram.sizes[item.layout[0]]
    lengthened = 1.0 if any(diagram.sizes[a] == variable for a in output.layout) else float(shape[0]) ** (0.0 if p == INF else 1 / p)
    try:
        flat = _grouped(function, diagram, full)
        found = estimate(flat, [shape], radius, "max_token" if p == INF else "frobenius", seed)
    except (RuntimeError, ValueError):
        return None, None
    if not found.inputs or not math.isfinite(found.value):
        return None, None
    value, witness = found.value, found.witness()
    if p == 1.0:
        value = max((_one_token(flat, x.double(), shape) for x in _candidates(found.inputs[0], shape, radius)), default=0.0)
        witness = {"value": value, "inputs": [found.inputs[0].tolist()], "start": "one token moves"}
    value *= lengthened * SAFETY
    return (value, witness) if math.isfinite(value) and value > 0 else (None, None)


def _grouped(function: Callable[..., Any], diagram: Diagram, full: Mapping[str, int]) -> Callable[[Any], Any]:
    """The function with all features of one output token on one axis, tokens first."""
    item, output = diagram.inputs[0], diagram.outputs[0]
    variable = diagram.sizes[item.layout[0]]
    at = next((k for k, a in enumerate(output.layout) if diagram.sizes[a] == variable), None)
    rows = 1 if at is None else full[output.layout[at]]

    def grouped(x: Any) -> Any:
        y = function(x)
        y = y[0] if isinstance(y, tuple | list) else y
        return (y if at is None else y.movedim(at, 0)).reshape(rows, -1)

    return grouped


def _candidates(found: Any, shape: tuple[int, ...], radius: float) -> list[Any]:
    """Inputs at which one token is moved: what the ascent found, and one token against all others."""
    import torch

    if math.prod(shape) > DENSE:
        return []
    reach = 4.0 if radius == INF else radius
    points = [found.reshape(shape)]
    generator = torch.Generator().manual_seed(0)
    for sign in (-1.0, 1.0, 0.5):
        u = torch.randn(shape[-1], generator=generator, dtype=torch.float64)
        x = (u / u.norm() * reach * (1 - 1e-12)).expand(shape).clone()
        x[0] *= sign
        points.append(x)
    return points


def _one_token(function: Callable[[Any], Any], x: Any, shape: tuple[int, ...]) -> float:
    """The largest sum of the moves of all output tokens for a unit move of one token that is found: the first three tokens are tried."""
    import torch

    best = 0.0
    for j in range(min(3, shape[0])):

        def moved(h: Any, j: int = j) -> Any:
            return function(torch.cat([x[:j], h[None], x[j + 1 :]]))

        jacobian = torch.func.jacfwd(moved)(x[j])
        directions = torch.linalg.svd(jacobian.reshape(-1, shape[-1]), full_matrices=False)[2]
        moves = torch.einsum("nod,kd->nok", jacobian, directions)
        best = max(best, float(torch.linalg.vector_norm(moves, dim=1).sum(0).max()))
    return best
