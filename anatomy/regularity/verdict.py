"""The regularity check: verdict, upper bound with its trail, lower bound with its witness, and growth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict

from anatomy.errors import fail
from anatomy.ir.bound import INF
from anatomy.ir.graph import Diagram
from anatomy.regularity import growth as growing
from anatomy.regularity.advice import advise
from anatomy.regularity.compose import Composition, Stuck, compose, sizes_of

Verdict = Literal[
    "globally_lipschitz", "lipschitz_on_domain", "not_globally_lipschitz", "not_lipschitz_on_domain", "unknown"
]
Norm = Literal["frobenius", "max_token", "wasserstein1", "wasserstein2", "wasserstein_inf"]
DRAWS = 3
"""Draws of the noise among which a jump is looked for."""
MOST = 2**22
"""Entries that one wire may have."""
NORMS: tuple[Norm, ...] = get_args(Norm)
"""Of the map of tokens, and of the map of measures of tokens for any number of them."""


class Regularity(BaseModel):
    """What is known of one diagram with its weights on one domain, in one norm.

    `upper` is sound (null: none is proved), `lower` is attained up to rounding (null: not estimated).
    """

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    verdict: Verdict
    domain: str
    norm: Norm
    upper: float | None
    lower: float | None
    ratio: float | None
    method: str
    responsible: str | None
    growth: dict[str, dict[str, Any]]
    certificate: dict[str, Any]
    advice: dict[str, Any] = {}


def check(
    diagram: Diagram,
    sizes: Mapping[str, int],
    weights: Mapping[str, np.ndarray],
    radius: float = 1.0,
    norm: Norm = "frobenius",
    function: Callable[..., Any] | None = None,
    seed: int = 0,
    growth: bool | growing.Measured = True,
    advice: bool = False,
    around: Mapping[str, Any] | Sequence[Any] | None = None,
    branch: float | None = None,
) -> Regularity:
    """The regularity of a diagram where each token of each real input has Euclidean norm at most `radius`.

    The last axis of an input holds features, the others count tokens; the derivative is joint over all real inputs.
    Norms: "frobenius" in and out; "max_token", the largest token norm in and out; "wasserstein1", "wasserstein2" and
    "wasserstein_inf" of measures of tokens, for every number of them (`anatomy.regularity.measure`). `radius` may be `math.inf`.
    `function` maps float64 tensors in header order to the outputs; without it there is no lower bound. `growth` is False,
    True for the order of the bound in every number of tokens and in the radius, or how much of it is measured too.
    With `advice` it is told what the bound is spent on and what would reduce it. With `around`, real inputs in header order or by
    name, the domain is the one ball of that radius round them (`anatomy.regularity.around`); `branch` is for how many seconds a
    Frobenius bound may be improved by branch and bound.

    Raises `AnatomyError` E901 when a lower bound exceeds the upper one, E902 when the question itself is malformed.
    """
    if math.isnan(radius) or radius < 0:
        raise fail("E902", f"the radius must be a number of at least 0, not {radius}")
    if norm not in NORMS:
        raise fail("E902", f"there is no norm `{norm}`; use one of {', '.join(NORMS)}")
    others: list[Callable[..., Any]] = []
    if function is not None and any(n.op.random for n in diagram.nodes):
        others = [_held(function, seed + k) for k in range(1, DRAWS)]
        function = _held(function, seed)
    if around is not None and norm.startswith("wasserstein"):
        raise fail("E902", "a ball around one input is a question about tokens: use `frobenius` or `max_token`")
    if around is not None:
        from anatomy.regularity.around.verdict import check_around

        return check_around(diagram, sizes, weights, around, radius, norm, function, seed)
    if norm.startswith("wasserstein"):
        from anatomy.regularity.measure.verdict import check_measures

        return check_measures(diagram, sizes, weights, radius, norm, function, seed)
    domain = "the whole space" if radius == INF else f"tokens of Euclidean norm at most {radius:g}"
    full = asked(diagram, sizes)
    try:
        here = compose(diagram, full, weights, radius)
    except Stuck as stuck:
        against = _against(diagram, sizes, function, radius, seed, others)
        wanted = function is not None and against[0] == "unknown"
        attained = _lower(diagram, full, function, radius, norm, seed) if wanted else (None, None)  # type: ignore[arg-type]
        return _unknown(domain, norm, stuck, against, attained)
    upper, method = _constant(here, norm), here.method
    if branch is not None and norm == "frobenius" and math.isfinite(upper):
        from anatomy.regularity.around import narrowed

        upper, method = narrowed(diagram, full, weights, radius, branch, upper, method)
    lower, witness = None, None
    if function is not None:
        lower, witness = _lower(diagram, full, function, radius, norm, seed)
        if lower is not None and lower > upper:
            raise fail(
                "E901",
                f"soundness: the lower bound {lower!r} exceeds the upper bound {upper!r} ({here.method})",
                diagram.span,
                notes=(f"witness: {witness}", f"certificate: {here.trail}", "this is a defect of the checker: please report it"),
            )
    verdict, everywhere = _verdict(diagram, full, weights, radius, norm, here, upper)
    proof = {"diagram": diagram.name, "frobenius": _finite(min(upper, here.triple.two) if norm == "frobenius" else here.triple.two), "max_token": _finite(here.triple.inf),
             "sum_tokens": _finite(here.triple.one), "radius": radius, "trail": here.trail, "witness": witness,
             "whole_space": everywhere}  # fmt: skip
    if math.isinf(upper) and verdict == "unknown":
        proof["reason"] = f"{here.responsible or 'an operation'} has no finite bound on {domain}"
        verdict, proof["against"] = _against(diagram, sizes, function, radius, seed, others)
    finite = _finite(upper)
    return Regularity(
        verdict=verdict,
        domain=domain,
        norm=norm,
        upper=finite,
        lower=lower,
        ratio=None if finite is None or not lower else math.nextafter(finite / lower, INF),
        method=method,
        responsible=here.responsible,
        growth=_growth(diagram, sizes, full, weights, radius, norm, function, seed, growth) if growth else {},
        certificate=proof,
        advice=advise(diagram, full, weights, radius, here, lambda found: _constant(found, norm)) if advice else {},
    )


def asked(diagram: Diagram, sizes: Mapping[str, int]) -> dict[str, int]:
    """The size of every axis; refuses with E902 what has none, or more entries than can be held: masks and products are explicit."""
    try:
        full = sizes_of(diagram, sizes)
    except Stuck as stuck:
        raise fail("E902", f"the question has no size: {stuck.why}", diagram.span) from None
    products = {w for n in diagram.nodes if n.op.algebra == "multilinear" and not n.own for w in n.outs}  # summed before they are held
    for k, wire in enumerate(diagram.wires):
        held = math.prod(full[a] for a in wire.axes)
        if held > MOST and k not in products:
            name = f"`{wire.name}`" if wire.name else "a wire"
            raise fail("E902", f"{name} [{', '.join(wire.axes)}] has {held:,} entries at these sizes, and the check holds {MOST:,} at most",
                       wire.span, help="ask at smaller sizes: growth tells what the bound does at greater ones")  # fmt: skip
    return full


def _held(function: Callable[..., Any], seed: int) -> Callable[..., Any]:
    """The function with its noise drawn from one seed at every call: the derivative is that for a fixed draw."""
    import torch

    def held(*inputs: Any) -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return function(*inputs)

    return held


def _constant(found: Composition, norm: Norm) -> float:
    return found.triple.two if norm == "frobenius" else found.triple.inf


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _unknown(
    domain: str, norm: Norm, stuck: Stuck, against: tuple[Verdict, dict[str, Any] | None], attained: tuple[float | None, dict[str, Any] | None]
) -> Regularity:
    """Without a rule for some operation there is no upper bound; what was attained still stands."""
    verdict, evidence = against
    return Regularity(
        verdict=verdict, domain=domain, norm=norm, upper=None, lower=attained[0], ratio=None, method="none",
        responsible=stuck.place, growth={}, certificate={"reason": stuck.why, "against": evidence, "witness": attained[1]},
    )  # fmt: skip


def _against(
    diagram: Diagram, sizes: Mapping[str, int], function: Callable[..., Any] | None, radius: float, seed: int,
    others: Sequence[Callable[..., Any]] = (),
) -> tuple[Verdict, dict[str, Any] | None]:  # fmt: skip
    """Without an upper bound: a verdict against, where numbers support it, else `unknown`; `others` have other draws of the noise."""
    if function is None:
        return "unknown", None
    from anatomy.regularity import falsify

    try:
        shapes, fixed = _inputs(diagram, sizes_of(diagram, sizes))
    except Stuck:
        return "unknown", None
    draws = enumerate((function, *others))
    found = next((f | ({"draw": seed + k} if others else {}) for k, g in draws if (f := falsify.on_domain(g, shapes, radius, seed, fixed))), None)
    if found is not None:
        return ("not_globally_lipschitz" if radius == INF else "not_lipschitz_on_domain"), found
    if radius == INF:
        found = falsify.everywhere(function, shapes, seed, fixed, falsify.scale_of(diagram))
    return ("unknown" if found is None else "not_globally_lipschitz"), found


def _verdict(
    diagram: Diagram, sizes: Mapping[str, int], weights: Mapping[str, np.ndarray], radius: float, norm: Norm,
    here: Composition, upper: float,
) -> tuple[Verdict, dict[str, Any]]:  # fmt: skip
    """The verdict on the domain asked for, and what holds on the whole space."""
    try:
        whole = here if radius == INF else compose(diagram, sizes, weights, INF)
        constant, explodes = _constant(whole, norm), whole.explodes
    except Stuck as stuck:
        constant, explodes = INF, False
        everywhere: dict[str, Any] = {"lipschitz": None, "reason": f"{stuck.place}: {stuck.why}"}
    else:
        everywhere = {"lipschitz": _finite(constant), "responsible": whole.responsible}
    if explodes:
        everywhere["witness"] = "x_i = 0 and one other key of row i at R u, the others 0: the block (i, i) grows as R^2"
    if math.isfinite(constant):
        return "globally_lipschitz", everywhere
    if radius == INF:
        return ("not_globally_lipschitz" if explodes else "unknown"), everywhere
    return ("lipschitz_on_domain" if math.isfinite(upper) else "unknown"), everywhere


def _lower(
    diagram: Diagram, sizes: Mapping[str, int], function: Callable[..., Any], radius: float, norm: Norm, seed: int
) -> tuple[float | None, dict[str, Any] | None]:
    from anatomy.regularity.estimate import estimate

    shapes, fixed = _inputs(diagram, sizes)
    found = estimate(function, shapes, radius, norm, seed, fixed=fixed)
    if not math.isfinite(found.value):
        return None, None
    return found.value, found.witness()


def _inputs(diagram: Diagram, sizes: Mapping[str, int]) -> tuple[list[tuple[int, ...]], list[Any]]:
    """Shapes in header order, and stand-ins for inputs that are not real: full masks, first positions."""
    import torch

    shapes = [tuple(sizes[a] for a in item.layout) for item in diagram.inputs]
    fixed: list[Any] = []
    for item, shape in zip(diagram.inputs, shapes, strict=True):
        match diagram.wires[item.wire].kind.name:
            case "real":
                fixed.append(None)
            case "mask":
                fixed.append(torch.ones(shape, dtype=torch.bool))
            case _:
                fixed.append(torch.zeros(shape, dtype=torch.long))
    return shapes, fixed


def _growth(
    diagram: Diagram, given: Mapping[str, int], full: Mapping[str, int], weights: Mapping[str, np.ndarray], radius: float, norm: Norm,
    function: Callable[..., Any] | None, seed: int, effort: bool | growing.Measured,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    def attained(sizes: Mapping[str, int], r: float, starts: int, steps: int, k: int) -> float:
        from anatomy.regularity.estimate import estimate

        assert function is not None
        try:
            shapes, fixed = _inputs(diagram, sizes_of(diagram, sizes))
            return estimate(function, shapes, r, norm, seed + k, starts, steps, fixed).value
        except (Stuck, ValueError, RuntimeError):
            return math.nan  # the function is made for one size only

    measured = isinstance(effort, growing.Measured) and function is not None
    return growing.growth(
        diagram, given, full, weights, radius, lambda found: _constant(found, norm), attained if measured else None,
        effort if isinstance(effort, growing.Measured) else growing.QUICK,
    )  # fmt: skip
