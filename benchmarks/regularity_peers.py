"""What others give for the same instances: published formulas, norms multiplied op by op, and auto_LiRPA where it can be had."""

from __future__ import annotations

import json
import math
import os
import subprocess
from pathlib import Path
from typing import Any

from regularity_cases import Instance, norm

ROOT = Path(__file__).resolve().parents[1]
LIRPA = ROOT / ".venv-lirpa"
"""An environment of its own for auto_LiRPA, which asks for an older torch; `make bench-regularity` tries to fill it."""


def castin(found: Instance, radius: float = 1.0) -> float:
    """sqrt3 |V| (a^2 (4n+1) + n)^(1/2), Castin, Ablin and Peyre 2024, theorem 3.3, the constant as recalled."""
    a, n = found.a * radius**2, found.tokens
    v = norm(found.weights["Wv"]) if "Wv" in found.weights else 1.0
    return math.sqrt(3) * v * math.sqrt(a * a * (4 * n + 1) + n)


def naive(found: Instance, radius: float = 1.0) -> float:
    """|V| (sqrt n + n a): Frobenius norms multiplied op by op."""
    v = norm(found.weights["Wv"]) if "Wv" in found.weights else 1.0
    return v * (math.sqrt(found.tokens) + found.tokens * found.a * radius**2)


def kim(found: Instance) -> float:
    """sqrt(n / d) (4 W0((n-1)/e) + 1) |Wq|^2 |Wv|, Kim, Papamakarios and Mnih 2021, theorem 3.2 for one head, as recalled."""
    n, d = found.tokens, found.features
    return math.sqrt(n / d) * (4 * lambert((n - 1) / math.e) + 1) * norm(found.weights["Wq"]) ** 2 * norm(found.weights["Wv"])


def lambert(x: float) -> float:
    """w with w e^w = x >= 0."""
    w = math.log1p(x)
    for _ in range(60):
        w -= (w * math.exp(w) - x) / (math.exp(w) * (w + 1))
    return w


def lirpa(found: Instance, centre: Any, radius: float, methods: list[str], seconds: float = 120.0) -> dict[str, Any]:
    """Bounds of |J| by auto_LiRPA on a box (centre given: an L2 ball), or why there are none."""
    python = LIRPA / "bin" / "python"
    if not python.exists():
        return {"unavailable": "no environment .venv-lirpa"}
    question = {
        "form": (found.weights["Wq"] @ found.weights["Wk"].T / math.sqrt(found.features)).tolist(),
        "value": found.weights["Wv"].tolist(), "n": found.tokens, "radius": radius, "methods": methods,
        "centre": None if centre is None else centre.tolist(),
    }  # fmt: skip
    try:
        done = subprocess.run(
            [str(python), str(Path(__file__).with_name("lirpa_peer.py"))], input=json.dumps(question), text=True,
            capture_output=True, timeout=seconds, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"unavailable": f"no answer in {seconds:g} s"}
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines else {"unavailable": (done.stderr.strip().splitlines() or ["no output"])[-1]}
