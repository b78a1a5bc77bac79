"""Multi-query associative recall: a row shows key-value pairs, then asks for the value of each key.

After Arora et al., Zoology (2023, arXiv:2312.04927), shrunk to seconds on one core by a small vocabulary and a
short row, never by a fixed data set: every step draws a fresh batch, so nothing can be learnt by heart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import nn

EVERY = 50
"""Steps between two evaluations."""
HELD_OUT = 1 << 40
"""The first step number of held-out batches: no training step reaches it."""


@dataclass(frozen=True)
class Recall:
    """The task and the small model around a mixer.

    A row of `length` tokens: `pairs` keys, each followed by its value, then every key once more at a random
    place, where the value is to be predicted; the places between are blank. Token 0 is the blank, 1 .. V/2-1 are
    keys, V/2 .. V-1 values. The model: tied embeddings, learned positions, `layers` times a residual block of layer norm,
    causal depthwise convolution of width 3 and mixer, no MLP; AdamW with one-cycle learning rate; stops at `stop`.
    The score is the accuracy over held-out queries; chance among the values is 2/V.
    """

    pairs: int = 4
    length: int = 32
    vocabulary: int = 64
    width: int = 64
    layers: int = 2
    batch: int = 64
    rate: float = 3e-3
    stop: float = 0.99
    name: str = "recall"
    causal: bool = True
    budget: int = 800

    def __post_init__(self) -> None:
        if not (0 < self.pairs < self.vocabulary // 2 and 3 * self.pairs <= self.length):
            raise ValueError(f"{self.pairs} pairs need a vocabulary of {2 * self.pairs + 2} and a length of {3 * self.pairs}")

    # data ---------------------------------------------------------------------------------------

    def digest(self) -> str:
        """The identity of the task with all its parameters."""
        return blake2b(repr(sorted(asdict(self).items())).encode(), digest_size=8).hexdigest()

    def draw(self, seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens and targets [batch, length] of one step, target -1 where nothing is asked.

        Any worker can make any batch: the generator is counter-based, keyed by task, seed and step.
        """
        key = blake2b(f"{self.digest()}/{seed}/{step}".encode(), digest_size=16).digest()
        rng = np.random.Generator(np.random.Philox(key=int.from_bytes(key, "big")))
        half, rows = self.vocabulary // 2, np.arange(self.batch)[:, None]
        keys = 1 + rng.random((self.batch, half - 1)).argsort(1)[:, : self.pairs]
        values = rng.integers(half, self.vocabulary, (self.batch, self.pairs))
        shown = 2 * self.pairs
        tokens = np.zeros((self.batch, self.length), np.int64)
        targets = np.full_like(tokens, -1)
        tokens[:, 0:shown:2], tokens[:, 1:shown:2] = keys, values
        places = shown + rng.random((self.batch, self.length - shown)).argsort(1)[:, : self.pairs]
        tokens[rows, places], targets[rows, places] = keys, values
        return tokens, targets

    def data_digest(self, seed: int) -> str:
        """A hash of the first training batch and the first held-out batch."""
        found = blake2b(digest_size=8)
        for step in (0, HELD_OUT):
            for array in self.draw(seed, step):
                found.update(array.astype("<i8").tobytes())
        return found.hexdigest()

    # training -----------------------------------------------------------------------------------

    def train(self, mixer: Callable[[int], nn.Module], seed: int, budget: int) -> dict[str, Any]:
        """Train for at most `budget` steps; `mixer(k)` makes the mixing layer k, which maps [b, n, d] to itself."""
        import torch
        from torch.nn.functional import cross_entropy

        net = self.model(mixer, seed)
        learnt = [p for p in net.parameters() if p.requires_grad]
        steps = max(budget, 1)
        optimiser = torch.optim.AdamW(learnt, lr=self.rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.rate, total_steps=steps + 1)
        curve: list[list[float]] = []
        step, diverged = 0, False
        while step < budget:
            tokens, targets = (torch.from_numpy(a) for a in self.draw(seed, step))
            asked = targets >= 0
            loss = cross_entropy(net(tokens)[asked], targets[asked])
            if not torch.isfinite(loss):
                diverged = True
                break
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learnt, 1.0)
            optimiser.step()
            schedule.step()
            step += 1
            if step % EVERY == 0 and step < budget:
                score, held_out = self.score(net, seed, 4)
                curve.append([step, score, held_out])
                if score >= self.stop:
                    break
        score, held_out = self.score(net, seed, 16)
        curve.append([step, score, held_out])
        return {
            "score": score,
            "loss": held_out,
            "steps": step,
            "solved": score >= self.stop,
            "diverged": diverged,
            "trials": 16 * self.batch * self.pairs,
            "parameters": sum(p.numel() for p in learnt),
            "curve": curve,
        }

    def score(self, net: nn.Module, seed: int, batches: int) -> tuple[float, float]:
        """Accuracy and mean loss over held-out queries; a loss that is not finite is reported as -1."""
        import math

        import torch
        from torch.nn.functional import cross_entropy

        right, total, loss = 0, 0, 0.0
        with torch.no_grad():
            for k in range(batches):
                tokens, targets = (torch.from_numpy(a) for a in self.draw(seed, HELD_OUT + k))
                asked = targets >= 0
                logits = net(tokens)[asked]
                right += int((logits.argmax(-1) == targets[asked]).sum())
                total += int(asked.sum())
                loss += cross_entropy(logits, targets[asked]).item()
        return right / total, loss / batches if math.isfinite(loss) else -1.0

    def model(self, mixer: Callable[[int], nn.Module], seed: int) -> nn.Module:
        """Embedding, blocks, norm, tied read-out; every tensor is drawn from its own stream."""
        import torch
        from torch import nn

        def drawn(name: str, *shape: int, scale: float) -> nn.Parameter:
            code = blake2b(f"recall/{seed}/{name}".encode(), digest_size=8).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(code, "big") >> 1)
            return nn.Parameter(torch.empty(shape).normal_(0.0, scale, generator=generator))

        width = self.width

        class Block(nn.Module):
            def __init__(self, k: int):
                super().__init__()
                self.norm = nn.LayerNorm(width)
                self.taps = drawn(f"{k}.taps", width, 1, 3, scale=3**-0.5)
                with torch.no_grad():
                    self.taps[:, 0, 2] += 1.0  # a token passes through at first; without this some seeds learn late
                self.mixer = mixer(k)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                past = torch.nn.functional.pad(self.norm(x).transpose(1, 2), (2, 0))
                return x + self.mixer(torch.conv1d(past, self.taps, groups=width).transpose(1, 2))

        class Model(nn.Module):
            def __init__(self, task: Recall):
                super().__init__()
                self.embed = drawn("embed", task.vocabulary, width, scale=0.1)
                self.place = drawn("place", task.length, width, scale=0.01)
                self.blocks = nn.Sequential(*(Block(k) for k in range(task.layers)))
                self.norm = nn.LayerNorm(width)

            def forward(self, tokens: torch.Tensor) -> torch.Tensor:
                x = self.embed[tokens] + self.place[: tokens.shape[1]]
                return self.norm(self.blocks(x)) @ self.embed.T

        return Model(self)


task = Recall()
