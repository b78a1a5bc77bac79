"""What the numbers of a sweep can support: the shapes of the statistics, which `anatomy.sweep.statistics` fills.

Every estimate has an interval; what the budget cannot support is a warning in words, not a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Estimate:
    """A number and its interval of 95 percent; the interval is None where nothing measures the spread."""

    value: float
    low: float | None = None
    high: float | None = None
    count: int = 1
    """Observations behind it."""


@dataclass(frozen=True)
class Level:
    """One option of a hole: how far the mean score of its members lies from the mean of all, the other holes being equal."""

    option: str
    effect: Estimate


@dataclass(frozen=True)
class Effect:
    """The main effect of a hole."""

    hole: str
    levels: tuple[Level, ...]
    share: Estimate
    """Of the variance of scores between variants that this hole alone accounts for, 0 to 1."""
    p: float | None
    """Of an F test against the spread of seeds, adjusted for the number of tests (Holm, 1979): a claim about these variants."""
    elsewhere: float | None = None
    """Of an F test against what the sum of main effects leaves over, adjusted likewise: a claim about contexts not swept."""


@dataclass(frozen=True)
class Cell:
    """Two options together: the score beyond the sum of their main effects."""

    first: str
    second: str
    beyond: Estimate


@dataclass(frozen=True)
class Interaction:
    """What a pair of holes does beyond the sum of its two main effects."""

    holes: tuple[str, str]
    cells: tuple[Cell, ...]
    share: Estimate
    p: float | None
    apart: bool = True
    """Whether the design tells it from the other pairs; where not, it is estimated as though this pair alone interacted."""


@dataclass(frozen=True)
class TaskFindings:
    """One task. Nothing is ranked (`supported` is false, `groups` empty) where the baseline does not beat no mixing by three sigma."""

    task: str
    scores: Mapping[str, Estimate]
    """By the name of the variant."""
    sigma: float | None
    """Standard deviation of a score between seeds, pooled over the variants with several; with one seed each, of the baseline."""
    freedom: int
    """Degrees of freedom of sigma."""
    detectable: float | None
    """The least difference between two variants of this sweep that can be told from chance."""
    supported: bool
    words: str
    groups: tuple[tuple[str, ...], ...]
    """Best first; the first is the best with all that cannot be told from it, the next the best of the rest with all of the rest that cannot be told from that."""
    effects: tuple[Effect, ...]
    interactions: tuple[Interaction, ...]
    """Largest share first."""
    warnings: tuple[str, ...]
    letters: Mapping[str, str] = field(default_factory=dict)
    """By name: variants that share no letter can be told apart (compact letter display; Piepho, 2004)."""
    solved: Mapping[str, Estimate] = field(default_factory=dict)
    """By name, for variants at the ceiling with every seed: steps until then. Their scores cannot order them; this may."""
    budget: int | None = None
    """Steps at which the effects are read: the full budget, or the lowest rung of a halved task, where all took part."""
    additive: Estimate | None = None
    """Share of the variance between variants that the sum of all main effects accounts for; the rest is interaction."""
    confounded: tuple[str, ...] = ()
    """In words: effects that this design cannot tell from one another, and that are therefore not given as numbers."""


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau-b between two rankings of the same variants."""

    first: str
    second: str
    tau: Estimate
    words: str
    kind: str = ""
    """`seeds`, `tasks`, `rungs` or `regularity`."""
    most: float | None = None
    """What tau would be about if both ranked the variants alike in truth, given how far seeds agree (Spearman, 1904)."""


@dataclass(frozen=True)
class Findings:
    """All tasks, and how far they agree."""

    tasks: tuple[TaskFindings, ...]
    agreements: tuple[Agreement, ...]
    warnings: tuple[str, ...]
