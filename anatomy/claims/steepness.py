"""The steepest derivative that is found at growing scales: what refutes a claim of being Lipschitz.

A search cannot prove a bound; it can refute one, and a claim of no bound must show its growth. Two searches are here,
structured starts at very large scales and the same in the null spaces of weights; the third is in `secant.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from anatomy.claims.trial import Trial

if TYPE_CHECKING:
    from torch import Tensor

NEAR, FAR = 1e4, 1e6
"""Two scales; derivatives that grow by more than `GROWTH` from one to the other are taken to be unbounded."""
GROWTH = 10.0
MAX_STARTS = 343
MAX_SPACES = 12


def growth(trial: Trial) -> float:
    """How much steeper the mechanism is found at scale 10^6 than at 10^4.

    Starts are structured: first or last token small or plain and the others large, for there scores stay moderate
    while values are far apart; with positive weights and inputs too, where no feature map of a kernel vanishes.
    """
    import torch

    net = trial.unbiased()
    found = _steepest(trial, net, FAR, False) / max(_steepest(trial, net, NEAR, False), 1e-300)
    with torch.no_grad():
        for p in net.parameters():
            p.abs_()
    return max(found, _steepest(trial, net, FAR, True) / max(_steepest(trial, net, NEAR, True), 1e-300))


def _steepest(trial: Trial, net, scale: float, positive: bool) -> float:  # type: ignore[no-untyped-def]
    import torch

    real = trial.real
    xs = trial.inputs()
    if positive:
        xs = [x.abs() if k in real else x for k, x in enumerate(xs)]

    def starts(k: int) -> list[Tensor]:
        size = xs[k].shape[0] if xs[k].dim() else 1
        found = [torch.full((size,), v) for v in (1 / scale, 1.0, scale)]
        for small in (0.0, 1 / scale, 1.0):
            found += [torch.tensor((small, *(scale,) * (size - 1))), torch.tensor((*(scale,) * (size - 1), small))]
        found.append(torch.tensor([scale if i % 2 else -scale for i in range(size)]))
        return found

    best = 0.0
    for factors in itertools.islice(itertools.product(*(starts(k) for k in real)), MAX_STARTS):
        at = [xs[k] * f.double().reshape(-1, *[1] * (xs[k].dim() - 1)) if xs[k].dim() else xs[k] * f.double()[0] for k, f in zip(real, factors, strict=True)]
        best = max(best, _slope(trial, net, xs, real, at))
    return best


def balanced(trial: Trial) -> float:
    """How much steeper the mechanism is found at scale 10^6 than at 10^4 with tokens that some weight does not see.

    Where all scores of a head are blind to a direction of the inputs (the null space of its keys), values can grow
    along it while nothing saturates.
    """
    import torch

    best = 0.0
    with torch.no_grad():
        spaces = list(_blind(trial))
    for k, projector in spaces[:MAX_SPACES]:
        found = []
        for scale in (NEAR, FAR):
            steepest = 0.0
            for seed in range(2):
                xs = trial.inputs(seed)
                x = xs[k] @ projector * scale
                ends = [x, *(torch.cat([a, b]) for a, b in ((xs[k][:1], x[1:]), (x[:-1], xs[k][-1:])))] if x.dim() > 1 else [x]
                for y in ends:
                    at = [y if j == k else xs[j] for j in trial.real]
                    steepest = max(steepest, _slope(trial, trial.module, xs, trial.real, at))
            found.append(steepest)
        best = max(best, found[1] / max(found[0], 1e-300))
    return best


def _blind(trial: Trial) -> Iterator[tuple[int, Tensor]]:
    """For inputs and weights that share a feature axis: the input, and the projector onto what the weight does not see.

    A weight with several outputs is taken whole, and for the first entry of its first output axis (a head) alone.
    """
    import torch

    net = trial.module
    state = net.state_dict()
    for k in trial.real:
        layout = trial.diagram.inputs[k].layout
        size = trial.sizes[layout[-1]] if layout else 0
        for weight in trial.diagram.weights:
            w = state.get(weight.key)
            if w is None or not size or size not in w.shape:
                continue
            w = w.movedim(list(w.shape).index(size), 0)
            for part in ([w[:, 0]] if w.dim() > 2 else []) + [w]:
                matrix = part.reshape(size, -1)
                u, s, _ = torch.linalg.svd(matrix, full_matrices=True)
                null = u[:, int((s > 1e-9 * s.max()).sum()) :]
                if null.shape[1]:
                    yield k, null @ null.T


def _slope(trial: Trial, net, xs: Sequence[Tensor], real: Sequence[int], at: Sequence[Tensor]) -> float:  # type: ignore[no-untyped-def]
    """The largest norm of the derivative of the summed first and last output rows."""
    import torch

    points = [x.detach().requires_grad_() for x in at]
    given = list(xs)
    for k, x in zip(real, points, strict=True):
        given[k] = x
    best = 0.0
    for y in trial.run(given, net):
        if not y.requires_grad:
            continue
        rows = y.reshape(y.shape[0], -1) if y.dim() > 1 else y.reshape(1, -1)
        for row in rows[[0, -1]].sum(1).unbind():
            grads = torch.autograd.grad(row, points, retain_graph=True, allow_unused=True)
            square = sum((g.nan_to_num(0.0, 0.0, 0.0).square().sum().item() for g in grads if g is not None), 0.0)
            best = max(best, square**0.5)
    return best
