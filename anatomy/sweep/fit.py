"""Training: one model for each learning rate, side by side as one ensemble; one rate is chosen, and tested on other rows.

Every member starts from the same weights and sees the same batches. AdamW (Loshchilov and Hutter, 2019), gradients clipped
member by member, the rate warmed up over a tenth of the steps and then lowered along a cosine.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, isfinite, pi
from typing import TYPE_CHECKING, Any

from anatomy.sweep.backbone import model
from anatomy.sweep.check import lift_name
from anatomy.sweep.mixer import Mixer
from anatomy.sweep.sizes import model_sizes

if TYPE_CHECKING:
    import torch
    from torch import nn

    from anatomy.sweep.streamed import Streamed

EVERY = 50
"""Steps between two looks at the stream by which the rate is chosen."""
LOOKS = 4
"""Batches of a look."""
CLIP = 1.0


@dataclass
class Seen:
    """What the members make of some held-out batches: share of right answers and mean loss."""

    scores: list[float]
    losses: list[float]
    trials: int

    def better(self) -> int:
        """The member of least loss; those whose loss is no number come last."""
        return min(range(len(self.losses)), key=lambda k: (not isfinite(self.losses[k]), self.losses[k], k))


def fit(task: Streamed, mixer: Mixer, seed: int, budget: int) -> dict[str, Any]:
    """Train and test; the result is that of the learning rate with the least loss on the stream `choose`.

    Stops early where a member answers `task.stop` of the questions. A member whose loss is not finite stands still from
    there on; when all do, training has diverged, which is a result: the score is what is left.
    """
    import torch

    members = Members(task, mixer, seed)
    count = task.rates
    curves: list[list[list[float]]] = [[] for _ in range(count)]
    step = 0
    while step < budget and members.alive.any():
        members.learn(task.draw("train", seed, step), schedule(step, budget, task.warm, task.floor))
        step += 1
        if step % EVERY == 0 and step < budget:
            seen = members.look(task, "choose", LOOKS)
            for k in range(count):
                curves[k].append([step, seen.scores[k], finite(seen.losses[k])])
            if max(seen.scores) >= task.stop:
                break
    chosen = members.look(task, "choose", task.tests)
    best = chosen.better()
    told = members.look(task, "report", task.tests)
    score, loss = told.scores[best], told.losses[best]
    curves[best].append([step, score, finite(loss)])
    with torch.no_grad():
        parameters = sum(p.numel() for p in members.net.parameters()) // count
    return {
        "score": score,
        "loss": finite(loss),
        "steps": step,
        "solved": score >= task.stop,
        "diverged": not bool(members.alive[best]),
        "trials": told.trials,
        "parameters": parameters,
        "curve": curves[best],
        "rate": members.rates[best],
        "rates": [[rate, chosen.scores[k], finite(chosen.losses[k])] for k, rate in enumerate(members.rates)],
    }


def schedule(step: int, budget: int, warm: float = 0.1, floor: float = 0.0) -> float:
    """The share of the learning rate at a step: up a line, down half a cosine.

    >>> [round(schedule(k, 10), 2) for k in (0, 5, 9)]
    [1.0, 0.59, 0.03]
    """
    first = max(1, round(warm * budget))
    if step < first:
        return (step + 1) / first
    return floor + (1 - floor) * (1 + cos(pi * (step - first + 0.5) / max(1, budget - first))) / 2


def finite(loss: float, instead: float = -1.0) -> float:
    """A loss as JSON can hold it: -1 for one that is no finite number."""
    return loss if isfinite(loss) else instead


class Members:
    """The models under way, their weights stacked along a first axis."""

    def __init__(self, task: Streamed, mixer: Mixer, seed: int):
        import torch

        from anatomy.compiler import build

        whole = model(mixer, task, task.readout)
        count = task.rates
        self.rates = [task.rate * 10 ** ((k - (count - 1) // 2) / 2) for k in range(count)]
        inner = model_sizes(whole, mixer.diagram, task.length, task.width, mixer.sizes)
        sizes = {**inner, "n": task.length, "d": task.width, "v": task.vocabulary}
        lift = lift_name(whole)
        self.net: nn.Module = build(whole, sizes, (lift,), [seed] * count, ensemble=count, shared=("t",))
        self.learnt = [p for p in self.net.parameters() if p.requires_grad]
        self.alive = torch.ones(count, dtype=torch.bool)
        spared = [p for p in self.learnt if task.sparing and p.dim() <= 2]  # the first axis is that of the members
        ids = set(map(id, spared))
        groups = [{"params": [p for p in self.learnt if id(p) not in ids]}, {"params": spared, "weight_decay": 0.0}]
        # With a rate of 1 a step is w' = w - 1 (u + decay w); each member then takes its own share of w' - w.
        self.optimiser = torch.optim.AdamW([g for g in groups if g["params"]], lr=1.0, betas=(0.9, task.beta), weight_decay=task.decay)

    def losses(self, tokens: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean loss [members] and share of right answers [members] over what is asked."""
        import torch
        from torch.nn.functional import cross_entropy

        asked = targets >= 0
        logits = self.net(tokens)[:, asked]
        wanted = targets[asked]
        count = len(self.rates)
        loss = cross_entropy(logits.flatten(0, 1), wanted.repeat(count), reduction="none").view(count, -1).mean(1)
        right = (logits.detach().argmax(-1) == wanted).to(torch.float64).mean(1)
        return loss, right

    def learn(self, batch: tuple[Any, Any], share: float) -> None:
        import torch

        tokens, targets = (torch.from_numpy(a) for a in batch)
        loss, _ = self.losses(tokens, targets)
        self.alive &= torch.isfinite(loss.detach())
        self.optimiser.zero_grad(set_to_none=True)
        # The sum over members gives each its own gradient: no weight belongs to two.
        torch.where(self.alive, loss, 0.0).sum().backward()
        with torch.no_grad():
            square = sum(self.row(p.grad).square().sum(1) for p in self.learnt if p.grad is not None)
            assert isinstance(square, torch.Tensor)
            norm = square.sqrt()
            self.alive &= torch.isfinite(norm)
            scale = torch.where(self.alive, (CLIP / (norm + 1e-6)).clamp(max=1.0), 0.0)
            for p in self.learnt:
                if p.grad is not None:
                    grad = self.row(p.grad)
                    grad.mul_(scale[:, None])
                    grad.nan_to_num_(0.0, 0.0, 0.0)
            before = [p.clone() for p in self.learnt]
            self.optimiser.step()
            rates = torch.tensor([r * share for r in self.rates], dtype=torch.float64) * self.alive
            for p, old in zip(self.learnt, before, strict=True):
                self.row(p).sub_(self.row(old)).mul_(rates[:, None].to(p.dtype)).add_(self.row(old))

    def row(self, tensor: torch.Tensor) -> torch.Tensor:
        """[members, everything else], a view."""
        return tensor.view(len(self.rates), -1)

    def look(self, task: Streamed, use: Any, batches: int) -> Seen:
        import torch

        losses, scores, trials = [], [], 0
        with torch.no_grad():
            for k in range(batches):
                tokens, targets = (torch.from_numpy(a) for a in task.draw(use, 0, k))
                loss, right = self.losses(tokens, targets)
                losses.append(loss.to(torch.float64))
                scores.append(right)
                trials += int((targets >= 0).sum())
        loss = torch.stack(losses).mean(0)
        score = loss.neg().exp() if task.likely else torch.stack(scores).mean(0)
        return Seen([finite(s, 0.0) for s in score.tolist()], loss.tolist(), trials)
