"""A task that takes milliseconds, and the spaces that the tests of the sweep run over."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

SPACE = """
axis n, m = n, d, e = d, c
diagram layer(x: [n, d]) -> [n, d] {
  hole weigh(s: [n, m]) -> [n, m]
  hole leave(y: [d]) -> [d]
  z = x[n -> m]
  simd n, m { s = dot[d](x, z) }
  out leave(dot[m](weigh(s), z))
}
diagram past(s: [n, m]) -> [n, m] { out softmax[m](causal[m <= n](s)) }
diagram twice(s: [n, m]) -> [n, m] { out softmax[m](causal[m <= n](s * 2)) }
diagram leaky(s: [n, m]) -> [n, m] { out softmax[m](s) }
diagram broken(s: [n, m]) -> [n, m] { out log(0 - square(s)) * causal[m <= n](s) }
diagram same(y: [d]) -> [d] { out y }
diagram again(y: [d]) -> [d] { z = y out z }
diagram lost(y: [d]) -> [d] { out dot[c](lin W[d -> c](y), lin V[d -> c](y)) * y }
diagram linear(y: [d]) -> [d] { out lin W[d -> e, bias=false](y)[e -> d] }
space good of layer { choose weigh in { past, twice } choose leave in { same, again, linear } }
space bad of layer { choose weigh in { past, leaky, broken } choose leave in { same, lost } }
"""


@dataclass(frozen=True)
class Toy:
    """The score is the mean of a random row after one mixing, squashed: deterministic and different for each mixer."""

    length: int = 6
    width: int = 4
    budget: int = 3
    pause: float = 0.0
    stuck: int = -1
    """The one seed for which `pause` holds; -1 for all."""
    die: str = ""
    """A file: where it is missing, the worker makes it and dies."""
    spend: str = ""
    """A file to which every training appends a line."""
    name: str = "toy"
    causal: bool = True

    def digest(self) -> str:
        return repr(sorted((k, v) for k, v in asdict(self).items() if k not in ("die", "spend", "pause", "stuck")))

    def data_digest(self, seed: int) -> str:
        return str(self.row(seed).sum())

    def row(self, seed: int) -> np.ndarray:
        return np.random.Generator(np.random.Philox(key=seed)).normal(size=(1, self.length, self.width))

    def train(self, mixer: Callable[[int], Any], seed: int, budget: int) -> dict[str, Any]:
        import torch

        if self.die and not os.path.exists(self.die):
            Path(self.die).touch()
            os._exit(7)
        if self.spend:
            with open(self.spend, "a") as log:
                log.write(f"{seed}\n")
        time.sleep(self.pause if self.stuck in (-1, seed) else 0)
        net = mixer(0)
        y = net(torch.from_numpy(self.row(seed)).float())
        score = torch.sigmoid(y.mean()).item()
        return {
            "score": score, "loss": 1 - score, "steps": budget, "solved": False, "diverged": False, "trials": 100,
            "parameters": sum(p.numel() for p in net.parameters()), "curve": [[budget, score, 1 - score]],
        }  # fmt: skip


task = Toy()
