"""The greatest norm of a Jacobian on a ball, from its value, its derivative and bounds of the next derivatives.

Statement. Let J0 and D be the Jacobian and its derivative at the centre, U and V orthogonal, A = U^T J0 V and
E[u] = U^T D[u] V. For every way to part rows and columns after the first k, and |u| <= r, ||J0 + D[u]|| is at most the norm
of the 2x2 matrix of ||A_pq|| + r sup_|u|=1 ||E_pq[u]||. With the higher derivatives T_j of the map, j = 3..K, and a bound
M of the next on the ball,

    sup over the ball of ||J||  <=  min over k of that  +  sum_j r^(j-1) / (j-1)! |T_j|  +  r^K / K! M.

Proof. Taylor with remainder; the norm of a block matrix is at most that of the matrix of norms of its blocks; unitary
factors change no norm. U and V come from a singular value decomposition in floating point: with ||U^T U - I|| <= e it is
||J|| <= ||U^T J V|| / ((1 - e_U) (1 - e_V))^(1/2). The blocks' suprema are bounded by norms of unfoldings.
"""

from __future__ import annotations

import math

import numpy as np

from anatomy.regularity import tensor
from anatomy.regularity.around import outward
from anatomy.regularity.around.nodes import CELL, Affine, Cells, direction
from anatomy.regularity.around.outward import Array
from anatomy.regularity.tensor import UNIT, Ball, frobenius
from anatomy.regularity.tensor import _spectral as spectral


def greatest(outputs: list[Affine], cells: Cells) -> Array:
    """An upper bound of the norm of the joint derivative of all outputs on every ball."""
    k, r = cells.order, cells.radii
    last = _joint([x.norm(cells, k + 1, x.axes) for x in outputs])
    bounds = []
    if k >= 1:
        jacobian = _stacked(outputs, cells, 1)
        assert jacobian is not None
        second = _stacked(outputs, cells, 2) if k >= 2 else None
        total = [_first(jacobian, second, cells), _power(r, k, last)]
        for j in range(3, k + 1):
            total.append(_power(r, j - 1, _joint([x.centre(cells, j, x.axes) for x in outputs])))
        bounds.append(outward.add(*total))
    bounds.append(_joint([x.norm(cells, 1, x.axes) for x in outputs]))
    return outward.least(bounds)


def least_norm(outputs: list[Affine], cells: Cells) -> Array:
    """A lower bound of the norm of the joint derivative at every centre: the image of one unit vector, less all rounding."""
    jacobian = _stacked(outputs, cells, 1)
    assert jacobian is not None
    rows, columns = jacobian.mid.shape[1:]
    v = np.linalg.svd(jacobian.mid, full_matrices=False)[2][:, 0]
    moved = np.einsum("cij,cj->ci", jacobian.mid, v)
    quotient = np.sqrt(np.sum(moved**2, axis=1) / np.sum(v**2, axis=1)) * (1 - 1e-12)
    slack = (jacobian.rad + 4 * (columns + 4) * UNIT * np.max(np.abs(jacobian.mid), axis=(1, 2))) * math.sqrt(rows * columns) * 1.01
    return np.broadcast_to(np.maximum(quotient - slack, 0.0), (cells.count,))


def _power(r: Array, k: int, factor: Array) -> Array:
    """`r^k / k!` times a bound."""
    return outward.mul(*(r for _ in range(k)), factor, float(np.nextafter(1 / math.factorial(k), 1)) if k > 1 else 1.0)


def _joint(norms: list[Array]) -> Array:
    return norms[0] if len(norms) == 1 else outward.root(outward.add(*(outward.mul(x, x) for x in norms)))


def _stacked(outputs: list[Affine], cells: Cells, k: int) -> Ball | None:
    """The derivative of order k of all outputs, [cells, rows, directions...]."""
    dims = [direction(i + 1) for i in range(k)]
    parts, rad = [], 0.0
    for x in outputs:
        rows = math.prod(cells.sizes[a] for a in x.axes)
        ball = x.jet(cells, k)
        shape = (cells.count, rows, *(cells.length for _ in dims))
        if ball is None:
            parts.append(np.zeros(shape))
            continue
        order = [CELL, *sorted(x.axes), *dims]
        mid = np.broadcast_to(ball.order(order).mid, [cells.sizes[a] for a in order])
        parts.append(mid.reshape(shape))
        rad = max(rad, ball.rad)
    whole = np.concatenate(parts, axis=1)
    return Ball((CELL, "row", *dims), whole, rad) if np.any(whole) or rad or k == 1 else None


def _first(jacobian: Ball, second: Ball | None, cells: Cells) -> Array:
    """sup of ||J0 + D[u]|| over |u| <= r."""
    d = direction(1)
    if second is None:
        return np.broadcast_to(outward.up(spectral(jacobian.mid, jacobian.rad)), (cells.count,))
    left, _, right = np.linalg.svd(jacobian.mid)
    right = np.swapaxes(right, -1, -2)
    share = outward.mul(_regular(left), _regular(right))
    u, v = Ball((CELL, "row", "p"), left), Ball((CELL, d, "q"), right)
    turned = tensor.times(tensor.times(u, jacobian, ["row"]), v, [d]).order([CELL, "p", "q"])
    moved = tensor.times(tensor.times(u, second, ["row"]), v, [d]).order([CELL, "p", "q", direction(2)])
    rows, columns = turned.mid.shape[1:]
    cuts = sorted({0, *(k for k in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32) if k < min(rows, columns))})
    options = [_parted(turned, moved, k, cells) for k in cuts]
    return outward.mul(outward.least(options), share)


def _regular(q: np.ndarray) -> Array:
    """(1 - ||Q^T Q - I||)^(-1/2), rounded up; infinite where Q is not proved to be regular."""
    n = q.shape[-1]
    defect = np.swapaxes(q, -1, -2) @ q - np.eye(n)
    error = frobenius(defect, 2) * (1 + 1e-15) + 4 * n * (n + 4) * UNIT * (1 + float(np.max(np.abs(q), initial=0.0))) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(error < 0.5, 1 / np.sqrt(np.maximum(1 - error, 0.25)) * (1 + 8 * UNIT), np.inf)


def _parted(turned: Ball, moved: Ball, k: int, cells: Cells) -> Array:
    """The bound from parting rows and columns after k."""

    def block(rows: slice, columns: slice) -> Array:
        here = spectral(np.ascontiguousarray(turned.mid[:, rows, columns]), turned.rad)
        part = moved.mid[:, rows, columns]
        c, p, q, n = part.shape
        if not part.size:
            return outward.up(here)
        options = [spectral(np.ascontiguousarray(part).reshape(c, p * q, n), moved.rad),
                   spectral(np.ascontiguousarray(part).reshape(c, p, q * n), moved.rad),
                   spectral(np.ascontiguousarray(part.transpose(0, 2, 1, 3)).reshape(c, q, p * n), moved.rad)]  # fmt: skip
        return outward.add(here, outward.mul(cells.radii, outward.up(outward.least(options))))

    first, rest = slice(0, k), slice(k, None)
    if k == 0:
        return block(rest, rest)
    a, b, c, d = block(first, first), block(first, rest), block(rest, first), block(rest, rest)
    p, q, t = a * a + c * c, b * b + d * d, a * b + c * d
    # At least max(p, q), which covers the rounding of every step, cancellation in p - q among them.
    return np.sqrt((p + q) / 2 + np.sqrt(((p - q) / 2) ** 2 + t * t)) * (1 + 64 * UNIT)

