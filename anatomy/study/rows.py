"""The measured cells as one table: a row for each model, layer, mask, number of tokens and quantity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from anatomy.study.fits import Fit, fit, upper_half

QUANTITIES = {
    "local": "|J(X)|_2 at text",
    "published": "as published, sqrt(|J^T f|_2) at text",
    "adversarial": "largest |J(X)|_2 found, tokens in the ball",
    "constructed": "|J(X)|_2 at the construction of Castin et al.",
    "bound": "upper bound of the regularity check on the ball",
    "castin": "finite-n formula of Castin et al. on the ball",
}


@dataclass(frozen=True)
class Series:
    """One quantity of one layer against n; several values for one n are of several inputs."""

    model: str
    layer: int
    masked: bool
    quantity: str
    values: Mapping[int, list[float]]

    @property
    def whole(self) -> Fit | None:
        return fit(self.values)

    @property
    def half(self) -> Fit | None:
        return fit(upper_half(self.values)) if len(self.values) > 3 else None

    def below(self, most: int) -> Series:
        """The same for at most so many tokens."""
        return Series(self.model, self.layer, self.masked, self.quantity, {n: v for n, v in self.values.items() if n <= most})

    def means(self) -> dict[int, float]:
        """Geometric means over the inputs."""
        return {n: float(np.exp(np.mean(np.log(v)))) for n, v in self.values.items() if v and min(v) > 0}


Table = dict[tuple[str, int, bool, str], Series]


def table(cells: Mapping[str, Mapping[str, Any]]) -> Table:
    """All series, by model, layer, mask and quantity."""
    gathered: dict[tuple[str, int, bool, str], dict[int, list[float]]] = {}
    for name in sorted(cells, key=lambda name: [int(p) if p.isdigit() else -1 for p in name.split("/")]):
        kind, model, layer, *rest = name.split("/")
        if kind == "scale":
            continue
        masked, n = rest[0] == "masked", int(rest[1])
        for quantity in QUANTITIES:
            found = cells[name].get(quantity)
            if found is not None:
                values = gathered.setdefault((model, int(layer), masked, quantity), {}).setdefault(n, [])
                values += found if isinstance(found, list) else [found]
    order = list(QUANTITIES)
    keys = sorted(gathered, key=lambda k: (k[0], k[1], not k[2], order.index(k[3])))
    return {key: Series(*key, dict(sorted(gathered[key].items()))) for key in keys}
