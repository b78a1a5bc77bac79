"""What is known of one variant, or of one job, as a value and in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import mean, stdev
from typing import Any

from anatomy.errors.printer import printable
from anatomy.sweep.reports.rounding import outward


@dataclass(frozen=True)
class Line:
    """One job in words."""

    job: str
    key: str
    state: str
    why: str
    traceback: str = ""


@dataclass(frozen=True)
class Score:
    """A task with the full budget, or the largest one reached."""

    task: str
    budget: int
    seeds: tuple[int, ...]
    scores: tuple[float, ...]
    rates: tuple[float | None, ...]
    losses: tuple[float | None, ...]
    place: int | None
    """Among the members by mean score, 1 for the best; no claim that neighbours in this order can be told apart."""
    of: int


@dataclass(frozen=True)
class Neighbour:
    """A member that differs in one choice; `trained_as` is the variant that stands for it."""

    rank: int
    hole: str
    option: str
    trained_as: str
    state: str
    scores: Mapping[str, float | None]


@dataclass(frozen=True)
class Explanation:
    """A variant. `asked` is the rank of the merged member that was asked for, if it is not the variant itself."""

    name: str
    asked: int | None
    role: str
    rank: int | None
    state: str
    space: str
    digest: str
    choices: Mapping[str, str]
    aliases: tuple[tuple[int, str], ...]
    same_as: str
    check: Mapping[str, Any]
    initialisation: Mapping[str, Any]
    bounds: Mapping[str, Any]
    jobs: tuple[Line, ...]
    scores: tuple[Score, ...]
    neighbours: tuple[Neighbour, ...]
    command: str
    text: str

    def as_data(self) -> dict[str, Any]:
        return asdict(self)

    def as_text(self) -> str:
        kind = f"member {self.rank} of space {self.space}" if self.role == "member" else f"control of the sweep of space {self.space}"
        lines = [] if self.asked is None else [f"member {self.asked} is the same as {self.name} and was not trained apart", ""]
        lines += [f"{self.name}: {kind}; {self.state}", f"digest {self.digest}"]
        lines += _section("choices", [f"{hole}: {option}" for hole, option in self.choices.items()])
        same = [f"member {rank}: {why}" for rank, why in self.aliases] + ([self.same_as] if self.same_as else [])
        lines += _section("the same, and trained once", same)
        lines += _section("checks", _facts(self.check, "not done"))
        lines += _section("initialisation", _spread(self.initialisation))
        lines += _section("bounds", _bounds(self.bounds))
        lines += _section("scores", [_score(s) for s in self.scores] or ["none"])
        lines += _section("jobs", [f"{j.job}  [{j.key[:8]}]  {j.state}{f': {j.why}' if j.why else ''}" for j in self.jobs])
        for j in self.jobs:
            if j.traceback:
                lines += _section(f"traceback of {j.job}", j.traceback.rstrip().splitlines())
        lines += _section("members that differ in one choice (means alone; the report says what can be told apart)", [_neighbour(n, self.scores) for n in self.neighbours])
        lines += _section("to make it again", [self.command])
        return _shown([*lines, "", self.text.rstrip()])


@dataclass(frozen=True)
class JobExplanation:
    """A job. `hashed` is what its key hashes, by name; empty where a store of version 1 does not say."""

    variants: tuple[str, ...]
    line: Line
    hashed: Mapping[str, Any]
    confirmed: bool
    """The key is indeed the hash of these."""
    current: bool | None
    """Whether the code that makes results of its stage is still the same here; None where it is not known."""
    result: Mapping[str, Any] | None
    seconds: float | None

    def as_data(self) -> dict[str, Any]:
        return asdict(self)

    def as_text(self) -> str:
        lines = [f"job {self.line.key}: {self.line.job}, of {', '.join(self.variants)}", f"{self.line.state}{f': {self.line.why}' if self.line.why else ''}"]
        if self.hashed:
            lines += _section("its key hashes", [f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in self.hashed.items()])
            lines.append("  and is that hash" if self.confirmed else "  but IS NOT that hash: the store has been changed by hand")
        else:
            lines += _section("its key hashes", ["not kept by version 1; `anatomy sweep resume` brings the store up to date"])
        if self.current is False:
            lines.append("  the code has changed since: `anatomy sweep resume` makes it again, under another key")
        if self.result is not None:
            brief = {k: v for k, v in self.result.items() if k != "curve"}
            lines += _section("its result", _facts(brief, ""))
        lines += [f"CPU time {self.seconds:g} s"] if self.seconds is not None else []
        if self.line.traceback:
            lines += _section("traceback", self.line.traceback.rstrip().splitlines())
        return _shown(lines)


def _shown(lines: list[str]) -> str:
    """What a traceback or a file holds cannot write to the terminal by escapes."""
    return "\n".join(printable(part.expandtabs()) for line in lines for part in line.split("\n"))


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def _facts(facts: Mapping[str, Any], otherwise: str) -> list[str]:
    if not facts:
        return [otherwise] if otherwise else []
    names = {True: "yes", False: "no", None: "not known"}
    return [
        f"{name}: {names[value] if value is None or isinstance(value, bool) else f'{value:.6g}' if isinstance(value, float) else value}"
        for name, value in facts.items()
        if value != ""
    ]


def _spread(facts: Mapping[str, Any]) -> list[str]:
    """Means and, behind them, the spread that is kept as `NAME_spread`."""
    plain = {name: value for name, value in facts.items() if not (name.endswith("_spread") and name.removesuffix("_spread") in facts) and value is not None}
    lines = _facts(plain, "")
    return [f"{line} ± {facts[f'{name}_spread']:.2g}" if facts.get(f"{name}_spread") else line for name, line in zip(plain, lines, strict=False)]


def _bounds(bounds: Mapping[str, Any]) -> list[str]:
    if not bounds:
        return []
    lines = [str(bounds.get("verdict"))]
    for name, words in (("upper", "at most"), ("lower", "at least")):
        if bounds.get(name) is not None:
            value = bounds[name]
            shown = outward(value, name == "upper", 6)
            lines.append(f"{words} {shown if isinstance(shown, str) else f'{shown:.6g}'}")
    for name in ("ratio", "norm", "domain", "method", "responsible"):
        if bounds.get(name) not in (None, ""):
            value = bounds[name]
            lines.append(f"{name}: {f'{value:.4g}' if isinstance(value, float) else value}")
    return lines


def _score(score: Score) -> str:
    value = mean(score.scores)
    spread = f" (standard deviation {stdev(score.scores):.2g} over {len(score.scores)} seeds)" if len(score.scores) > 1 else " (one seed)"
    each = ", ".join(
        f"seed {seed}: {s:.4g}{f' at rate {rate:.3g}' if rate is not None else ''}" for seed, s, rate in zip(score.seeds, score.scores, score.rates, strict=False)
    )
    place = f"; place {score.place} of {score.of} by the mean alone" if score.place else ""
    return f"{score.task}, {score.budget} steps: {value:.4g}{spread}{place}; {each}"


def _neighbour(near: Neighbour, own: tuple[Score, ...]) -> str:
    means = {s.task: mean(s.scores) for s in own}
    told = []
    for task, score in near.scores.items():
        change = f" ({score - means[task]:+.3g})" if score is not None and task in means else ""
        ended = near.state if near.state in ("failed", "rejected", "pruned") else "not trained to the end"
        told.append(f"{task} {ended if score is None else f'{score:.4g}'}{change}")
    merged = "" if near.trained_as.endswith(f"_{near.rank}") else f" (trained as {near.trained_as})"
    return f"{near.hole}: {near.option}, member {near.rank}{merged}: {'; '.join(told)}"
