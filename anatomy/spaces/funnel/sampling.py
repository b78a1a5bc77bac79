"""The funnel of a space that is too large to be scanned: exact where counting is enough, else what a sample shows, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anatomy.errors import fail
from anatomy.spaces.funnel import rows as r
from anatomy.spaces.funnel.intervals import interval
from anatomy.spaces.funnel.record import Filter, filters, symmetric
from anatomy.spaces.funnel.scanning import chunk_of
from anatomy.spaces.funnel.static import requirements, static
from anatomy.spaces.funnel.work import Progress, workers
from anatomy.spaces.permutation import Permutation

if TYPE_CHECKING:
    from anatomy.spaces.space import Space


@dataclass(frozen=True)
class Estimate:
    """Counts that are exact, and shares of members that were drawn without repetition by a keyed permutation."""

    name: str
    derivations: int
    typed: int
    symmetric: int | None
    drawn: int
    seed: int
    canonical: int
    """Different diagrams among those drawn: a lower bound of those in the space, and no estimate of their number."""
    filters: tuple[Filter, ...]
    costs: tuple[tuple[int, int], ...]

    def share(self, hits: int) -> tuple[float, float]:
        """The 95 % interval of the share of members in the space of which `hits` were drawn."""
        return interval(hits, self.drawn)

    def as_data(self) -> dict[str, Any]:
        def estimated(hits: int) -> dict[str, Any]:
            low, high = self.share(hits)
            return {"drawn": hits, "share": hits / self.drawn, "low": low, "high": high}

        return {
            "space": self.name, "exact": False, "derivations": self.derivations, "typed": self.typed, "symmetric": self.symmetric,
            "sample": self.drawn, "seed": self.seed, "confidence": 0.95,
            "canonical_in_sample": self.canonical, "canonical_at_least": self.canonical,
            "filters": [{"name": f.name, "holds": estimated(f.holds), "unknown": f.unknown, "left": estimated(f.left)} for f in self.filters],
            "cost": {"unknown" if p < 0 else f"n^{p}": estimated(c) for p, c in self.costs},
        }  # fmt: skip

    def as_text(self) -> str:
        lines = [f"derivations    {_count(self.derivations):>14}  as written, exactly", f"typed          {_count(self.typed):>14}  every part fits, every condition holds, exactly"]
        if self.symmetric is not None and self.symmetric != self.typed:
            lines.append(f"symmetric      {_count(self.symmetric):>14}  up to the symmetry that is declared, exactly")
        lines += [
            "",
            f"of {self.drawn:,} members drawn with seed {self.seed}, {self.canonical:,} are different diagrams ({self.drawn - self.canonical:,} merged);",
            f"so the space has at least {self.canonical:,}: how many it has, a sample does not tell",
            "",
            f"{'share of members':<28} {'estimate':>10}   {'95 % interval':<20} {'members':>24}",
        ]
        rows = [(f.name.replace("_", " "), f.holds) for f in self.filters[:4]]
        rows += [("all of these", self.filters[3].left)] + [(f.name, f.holds) for f in self.filters[4:]]
        rows += [(f"cost {'unknown' if p < 0 else f'n^{p}'}", c) for p, c in self.costs]
        for name, hits in rows:
            low, high = self.share(hits)
            members = f"{_count(int(low * self.typed))} to {_count(int(high * self.typed))}"
            lines.append(f"  {name:<26} {hits / self.drawn:>9.1%}   {low:>7.2%} to {high:<8.2%} {members:>27}")
        return "\n".join(lines)


def _count(number: int) -> str:
    return f"{number:,}" if number < 10**15 else f"{number / 10 ** (len(str(number)) - 1):.2f}e{len(str(number)) - 1}" if number < 10**300 else f"1e{len(str(number)) - 1}"


def estimate(space: Space, drawn: int = 1000, seed: int = 0, jobs: int = 1, progress: Progress | None = None) -> Estimate:
    """The funnel by a sample, at any size of the space. Filters are of members, not of classes.

    The intervals are those of Clopper and Pearson; members are drawn without repetition, for which they are wide enough.
    Raises AnatomyError E651 for a sample of nothing.

    >>> from anatomy.api import space
    >>> found = estimate(space("zoo:spaces/scores"), 40)
    >>> low, high = found.share(found.filters[2].holds)
    >>> found.typed, low < high == 1.0
    (720, True)
    """
    if drawn < 1:
        raise fail("E651", f"a sample of {drawn} draws nothing", help="draw at least one member")
    order = Permutation(space.count, f"sample/{seed}")
    ranks = [order[k] for k in range(min(drawn, space.count))]
    made = _exotic(space, ranks) if space.count > 2**62 else _usual(space, ranks, jobs, progress)
    powers, many = np.unique(made["degree"], return_counts=True)
    different = int((r.first_of(made["key"]) == np.arange(len(made))).sum())
    costs = tuple(zip(powers.tolist(), many.tolist(), strict=True))
    return Estimate(space.name, space.derivations, space.count, symmetric(space), len(ranks), seed, different, filters(made, requirements(space)), costs)


def _usual(space: Space, ranks: list[int], jobs: int, progress: Progress | None) -> np.ndarray:
    with workers(space, jobs, None, progress) as crew:
        return crew.run("rows", np.array(ranks), chunk_of(len(ranks)), r.ROW)


def _exotic(space: Space, ranks: list[int]) -> np.ndarray:
    """Ranks that are no machine integers are worked on here."""
    from anatomy.spaces.rung import Rung

    return static(Rung(space), ranks, requirements(space))
