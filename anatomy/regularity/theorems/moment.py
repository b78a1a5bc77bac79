"""The moment bound of softmax attention: what one row contributes, whatever the number of keys.

Statement. Let w, g be vectors with |w| = 1, |g| <= gamma and |w.g| <= k, mu a distribution of tokens x in the unit
ball, s = g.x, P the distribution with density e^s / E_mu e^s, and t = w.(x - E_P x). Then

    E_mu (dP/dmu)^2 |w + t g|^2  =  E_P[e^-s] E_P[e^s |w + t g|^2]  <=  Phi(gamma, k / gamma),

Phi(gamma, c) = sup over P on the disc and cos <= c of E e^(-gamma y) E e^(gamma y) q(z - E z), z = y cos + y' sin,
q(t) = 1 + 2 gamma cos t + gamma^2 t^2, and Phi(gamma, c) <= Phi(gamma', c') where gamma <= gamma', gamma c <= gamma' c'.

Proof. dP/dmu = e^s E_P[e^-s], which is the equality; only the coordinates of x along w and g enter, in a disc.
Larger gamma: add to g a multiple of a new direction that no token has; s, t and w.g stay and |w + t g| grows.
-w in place of w changes nothing but the sign of w.g, so cos >= 0.

Certificate. For l > 0, X = E e^-s and K >= E[e^s q + l e^-s], E[e^s q] X <= X (K - l X) <= K^2 / (4 l). K is a maximum
over zbar = E z of E[psi(phi)] <= max psi, psi = e^s q(t) + l e^-s + kappa t with any kappa that may depend on zbar, as
E t = 0. For given y, psi is convex in y', so only the circle y = cos phi, z = cos(phi - theta) counts. Cells of
(zbar, theta, phi) cover everything: y is monotone on a cell of phi, z leaves the interval of its ends by at most h^2/8
for a cell of width h and by half a cell of theta, and q and kappa t are convex in t. l and kappa come from a search
that proves nothing. Cosines and exponentials are enclosed by Arb, sums and products are inflated by far more than
their rounding. `TABLE` holds the certified values, rounded up; a test certifies entries afresh.

Source: the derivation is this project's.
"""

from __future__ import annotations

import bisect
import json
import math
from functools import cache
from pathlib import Path

import numpy as np

from anatomy.ir.bound import arb_down, arb_up, up

STEPS = 104
FIRST, RATIO = 0.03, 1.05
TURNS = 12
"""Cells of the angle between w and g, from 0 to a right angle."""
SLICES, MEANS, PHASES = 3, 128, 1080


@cache
def gammas() -> list[float]:
    """The nodes of the table."""
    return [FIRST * RATIO**k for k in range(STEPS)]


@cache
def cosines() -> list[float]:
    """For every node of the angle, from a right angle down to 0, a number not above its cosine."""
    return [0.0, *(_cos(math.pi / 2 * (1 - k / TURNS))[0] for k in range(1, TURNS)), 1.0]


def phi(gamma: float, k: float) -> float:
    """An upper bound of Phi where |g| <= gamma and |w.g| <= k; infinity beyond the table."""
    if gamma == 0:
        return 1.0
    nodes = gammas()
    i = bisect.bisect_left(nodes, gamma)
    if i >= len(nodes):
        return math.inf
    at = up(k / nodes[i])
    j = bisect.bisect_left(cosines(), min(at, 1.0))
    return table()[i][j]


@cache
def table() -> list[list[float]]:
    """Phi at the nodes: rows by gamma, columns by the angle, increasing."""
    with open(Path(__file__).with_name("moment.json")) as stream:
        return json.load(stream)


def certified(gamma: float, cell: int) -> float:
    """A proved bound of Phi for one gamma and every angle in a cell; cell k lies between nodes k and k + 1."""
    worst = 0.0
    weight = _weight(gamma, math.pi / 2 * (1 - (cell + 0.5) / TURNS))
    for part in range(SLICES):
        a = math.pi / 2 * (1 - (cell + (part + 1) / SLICES) / TURNS)
        b = math.pi / 2 * (1 - (cell + part / SLICES) / TURNS)
        worst = max(worst, _slice(gamma, max(a, 0.0), b, weight))
    return worst


# the proof ------------------------------------------------------------------------------------


def _slice(gamma: float, a: float, b: float, weight: float) -> float:
    theta = (a + b) / 2
    edges = np.linspace(-1.0, 1.0, MEANS + 1)
    slopes = _slopes(gamma, theta, weight, (edges[1:] + edges[:-1]) / 2)
    return bounded(gamma, theta, up((b - a) / 2 + 1e-12), weight, edges, slopes)


def bounded(gamma: float, theta: float, spread: float, weight: float, edges: np.ndarray, slopes: np.ndarray) -> float:
    """K^2 / (4 l) by cells, rounded up: l = weight, kappa = slopes, the means between edges, angles theta +- spread."""
    h = 2 * math.pi / PHASES
    y_low, y_high = _circle(0.0)
    y_low, y_high = np.minimum(y_low, np.roll(y_low, -1)), np.maximum(y_high, np.roll(y_high, -1))
    z_low, z_high = _circle(theta)
    slack = h * h / 8 + spread + 1e-12
    z_low, z_high = np.minimum(z_low, np.roll(z_low, -1)) - slack, np.maximum(z_high, np.roll(z_high, -1)) + slack
    z_low, z_high = np.maximum(z_low, -1.0), np.minimum(z_high, 1.0)
    grow = np.array([_exp(gamma * y)[1] for y in y_high])
    fall = np.array([_exp(-gamma * y)[1] for y in y_low])
    cos = _cos(max(theta - spread, 0.0))[1]
    best = np.zeros((MEANS, PHASES))
    low, high = z_low - edges[1:, None], z_high - edges[:-1, None]
    for t in (low, high):
        # t < 0 lowers the linear term with a greater cosine, and raises it with a smaller one.
        c = np.where(t > 0, cos, _cos(min(theta + spread, math.pi))[0])
        best = np.maximum(best, 1 + 2 * gamma * c * t + gamma * gamma * t * t)
    tilt = np.maximum(slopes[:, None] * low, slopes[:, None] * high)
    psi = grow * best + weight * fall + tilt
    size = float(np.max(grow)) * (1 + 4 * gamma) ** 2 + weight * float(np.max(fall)) + 3 * float(np.max(np.abs(slopes)))
    top = float(np.max(psi)) + 1e-12 * size
    return top * top / (4 * weight) * (1 + 1e-12)


@cache
def _circle(theta: float) -> tuple[np.ndarray, np.ndarray]:
    """Enclosures of cos(phi - theta) at the nodes of phi; 0 and pi are among them."""
    from flint import arb

    values = [(2 * arb.pi() * k / PHASES - arb(theta)).cos() for k in range(PHASES)]
    return np.array([arb_down(v) for v in values]), np.array([arb_up(v) for v in values])


def _cos(theta: float) -> tuple[float, float]:
    from flint import arb

    value = arb(theta).cos()
    return max(arb_down(value), -1.0), min(arb_up(value), 1.0)


def _exp(x: float) -> tuple[float, float]:
    from flint import arb

    value = arb(x).exp()
    # The float product gamma y has one rounding.
    return arb_down(value) * (1 - 1e-14), arb_up(value) * (1 + 1e-14)


# the search, in plain floating point ------------------------------------------------------------


def _psi(gamma: float, theta: float, weight: float, means: np.ndarray, phases: int) -> tuple[np.ndarray, np.ndarray]:
    turn = 2 * np.pi * np.arange(phases) / phases
    s = gamma * np.cos(turn)
    t = np.cos(turn - theta) - means[:, None]
    return np.exp(s) * (1 + 2 * gamma * math.cos(theta) * t + (gamma * t) ** 2) + weight * np.exp(-s), t


def _slopes(gamma: float, theta: float, weight: float, means: np.ndarray, phases: int = 180, steps: int = 36) -> np.ndarray:
    """kappa that minimises the greatest psi, for every mean, by bisection."""
    psi, t = _psi(gamma, theta, weight, means, phases)
    high = np.full(len(means), 2 * float(np.max(psi)) / 0.01)
    low, row = -high, np.arange(len(means))
    for _ in range(steps):
        mid = (low + high) / 2
        right = t[row, np.argmax(psi + mid[:, None] * t, axis=1)] > 0
        low, high = np.where(right, low, mid), np.where(right, mid, high)
    # A mean that no distribution comes near leaves kappa free; keep it moderate.
    return np.clip((low + high) / 2, -50 * math.exp(gamma), 50 * math.exp(gamma))


def _weight(gamma: float, theta: float) -> float:
    """l that gives about the least bound, by golden section."""
    means = np.linspace(-1, 1, 22)[1:-1]

    def value(log: float) -> float:
        weight = math.exp(log)
        psi, t = _psi(gamma, theta, weight, means, 60)
        slopes = _slopes(gamma, theta, weight, means, 60, 22)
        return float(np.max(psi + slopes[:, None] * t)) ** 2 / (4 * weight)

    low, high = -1.0, 4.0 * gamma + 1.0
    for _ in range(9):
        a, b = low + 0.382 * (high - low), high - 0.382 * (high - low)
        if value(a) < value(b):
            high = b
        else:
            low = a
    return math.exp((low + high) / 2)


def main() -> None:
    """Write the table: certified values rounded up to five digits, made increasing along both axes."""
    rows: list[list[float]] = []
    for gamma in gammas():
        row: list[float] = []
        for cell in range(TURNS):
            value = math.ceil(certified(gamma, cell) * 1e4) / 1e4
            row.append(max([value, *row[-1:]]))
        rows.append([row[0], *row])
    Path(__file__).with_name("moment.json").write_text("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")


if __name__ == "__main__":
    main()
