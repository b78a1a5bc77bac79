"""The regularity check round one input: verdict, the bound on the ball, and what an ascent inside it attains."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from anatomy.errors import fail
from anatomy.ir.bound import INF
from anatomy.ir.graph import Diagram
from anatomy.regularity import around
from anatomy.regularity.compose import Stuck, sizes_of
from anatomy.regularity.verdict import Norm, Regularity

SAFETY = 1e-9
"""Relative deduction for the rounding of a quotient."""


def centres(diagram: Diagram, given: Mapping[str, Any] | Sequence[Any]) -> list[np.ndarray]:
    """The real inputs in header order, from a sequence or by name. Raises `AnatomyError` E902 where one is lacking."""
    names = [i.name for i in diagram.inputs if diagram.wires[i.wire].kind.name == "real"]
    if isinstance(given, Mapping):
        lacking = [n for n in names if n not in given]
        if lacking:
            raise fail("E902", f"the centre has no input `{lacking[0]}`", help=f"it needs {', '.join(names)}")
        given = [given[n] for n in names]
    if len(given) != len(names):
        raise fail("E902", f"the centre has {len(given)} inputs, wanted {len(names)}: {', '.join(names)}")
    return [np.asarray(x, dtype=np.float64) for x in given]


def check_around(
    diagram: Diagram, sizes: Mapping[str, int], weights: Mapping[str, np.ndarray], centre: Mapping[str, Any] | Sequence[Any],
    radius: float, norm: Norm = "frobenius", function: Callable[..., Any] | None = None, seed: int = 0,
) -> Regularity:  # fmt: skip
    """The regularity of a diagram where all real inputs together lie within `radius` of `centre`, in the Frobenius norms.

    `upper` bounds sup ||J(x)|| over that ball; `lower` is attained in it. Errors, and what a result holds: as for `check`.
    """
    if norm != "frobenius":
        raise fail("E902", f"a ball round an input is measured in the Frobenius norm, not `{norm}`")
    if math.isinf(radius):
        raise fail("E902", "a ball round an input needs a finite radius")
    domain = f"inputs within {radius:g} of a given one, in the Euclidean norm of all of them"
    arrays = centres(diagram, centre)
    common: dict[str, Any] = {"domain": domain, "norm": norm, "responsible": None, "growth": {}}
    try:
        full = sizes_of(diagram, sizes)
        found = around.bound(diagram, full, weights, arrays, radius)
    except Stuck as stuck:
        common["responsible"] = stuck.place
        return Regularity(verdict="unknown", upper=None, lower=None, ratio=None, method="none", certificate={"reason": stuck.why}, **common)
    lower, witness = None, None
    if function is not None and all(diagram.wires[i.wire].kind.name == "real" for i in diagram.inputs):
        lower, witness = attained(function, arrays, radius, seed)
        if lower is not None and lower > found.value:
            raise fail(
                "E901", f"soundness: the lower bound {lower!r} exceeds the upper bound {found.value!r} ({found.method})", diagram.span,
                notes=(f"witness: {witness}", f"certificate: {found.trail}", "this is a defect of the checker: please report it"),
            )  # fmt: skip
    ratio = None if not lower else math.nextafter(found.value / lower, INF)
    proof = {"diagram": diagram.name, "frobenius": found.value, "radius": radius, "trail": found.trail, "witness": witness}
    return Regularity(
        verdict="lipschitz_on_domain", upper=found.value, lower=lower, ratio=ratio, method=found.method, certificate=proof, **common
    )


def attained(
    function: Callable[..., Any], centre: Sequence[np.ndarray], radius: float, seed: int, starts: int = 4, steps: int = 16
) -> tuple[float | None, dict[str, Any] | None]:
    """The largest |J v| / |v| that an ascent in the ball finds, with its witness, rounded down; confirmed by a secant."""
    import torch

    shapes = [x.shape for x in centre]
    counts = [x.size for x in centre]
    middle = torch.tensor(np.concatenate([x.ravel() for x in centre]))
    generator = torch.Generator().manual_seed(seed)

    def joint(x: torch.Tensor) -> torch.Tensor:
        parts = [p.reshape(s) for p, s in zip(torch.split(x, counts), shapes, strict=True)]
        out = function(*parts)
        outs = out if isinstance(out, tuple | list) else [out]
        return torch.cat([o.reshape(-1) for o in outs if o.is_floating_point()])

    def half_square(x: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return 0.5 * torch.func.jvp(joint, (x,), (v,))[1].square().sum()

    def inside(x: torch.Tensor) -> torch.Tensor:
        gap = x - middle
        return middle + gap * min(1.0, radius * (1 - 1e-12) / max(float(gap.norm()), 1e-300))

    best, where = 0.0, (middle, torch.zeros_like(middle))
    for start in range(starts):
        v = torch.randn(middle.shape, generator=generator, dtype=torch.float64)
        x = middle if start == 0 else inside(middle + 2 * radius * v / v.norm())
        v = v / v.norm()
        gx = torch.zeros_like(x)
        for step in range(steps):
            for _ in range(3):  # power iterations on J^T J between two moves of the point
                (gx, gv), value = torch.func.grad_and_value(half_square, argnums=(0, 1))(x, v)
                size = math.sqrt(2 * float(value)) / float(v.norm())
                if math.isfinite(size) and size > best:
                    best, where = size, (x, v)
                length = float(gv.norm())
                if not math.isfinite(length) or length == 0:
                    break
                v = gv / length
            slope = float(gx.norm())
            if slope > 0 and math.isfinite(slope):
                x = inside(x + radius * (1 - step / steps) * gx / slope)
    x, v = where
    if best == 0:
        return 0.0, None
    width = 1e-6 * max(radius, 1e-6)
    inner = middle + (x - middle) * (1 - 1e-6) if radius else x
    secant = float((joint(inner + width * v) - joint(inner - width * v)).norm()) / (2 * width * float(v.norm()))
    # At a kink a derivative may lie outside the Clarke Jacobian; a secant inside the ball never exceeds the constant.
    value = best * (1 - SAFETY) if abs(secant - best) <= 1e-3 * best else min(best, secant) * (1 - 1e-6)
    if not math.isfinite(value):
        return None, None
    pieces = [p.reshape(s).tolist() for p, s in zip(torch.split(x, counts), shapes, strict=True)]
    return max(0.0, value), {"value": value, "inputs": pieces, "start": "in the ball"}
