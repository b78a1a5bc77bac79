"""Everything that a sweep knows of one variant, or of one job, in words: what it is, what was found, and why it stands where it stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from statistics import mean, stdev
from typing import Any, cast

from anatomy.errors import AnatomyError, fail
from anatomy.sweep.job import Stage, evaluator_version
from anatomy.sweep.reports.rounding import outward
from anatomy.sweep.results import Entry, Results, Run
from anatomy.sweep.store import Store
from anatomy.sweep.task import label

HASHED = ("variant", "stage", "task with its parameters", "budget", "seed", "data", "evaluator", "sizes", "options")
CLASSES: Mapping[str, str] = {
    "error": "the job raised an exception; as it would again, `anatomy sweep retry` alone repeats it",
    "timeout": "the job took longer than was allowed; `anatomy sweep retry` repeats it",
    "out_of_memory": "memory did not suffice, alone neither; `anatomy sweep resume` tries again",
    "changed": "the task, its text or the code was edited while the sweep ran; `anatomy sweep resume` begins it anew",
    "lost": "the process that did the job died each time; `anatomy sweep resume` tries again",
}
VERDICTS: Mapping[str, str] = {"done": "", "pending": "not done yet", "rejected": "not run", "pruned": "stopped", "failed": "failed"}


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
        return "\n".join([*lines, "", self.text.rstrip()])


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
        return "\n".join(lines)


def variant(store: Store, found: Results, name: str) -> Explanation:
    """A variant by its name or rank; a member that was merged is explained by the variant that stands for it. Raises E814."""
    entry = _named(found, name)
    rank = name.removeprefix(f"{found.config.space}_")
    asked = int(rank) if rank.isdecimal() and int(rank) != entry.rank else None
    (place,) = store.db.execute("select place from variants where name = ?", (entry.name,)).fetchone()
    rows = store.db.execute(QUERY + "where j.place = ? order by j.number", (place,)).fetchall()
    config = found.config
    return Explanation(
        entry.name, asked, entry.role, entry.rank, entry.state, config.space, entry.digest, entry.choices, entry.aliases, entry.same_as,
        entry.check, entry.initialisation, entry.bounds, tuple(_line(row) for row in rows), _scores(found, entry), _neighbours(found, entry),
        config.command(rank=entry.rank), entry.text,
    )  # fmt: skip


QUERY = (
    "select j.key, j.stage, j.task, j.budget, j.seed, j.state, j.class, f.class, f.traceback, r.result "
    "from jobs j left join failures f on f.key = j.key left join results r on r.key = j.key "
)


def job(store: Store, found: Results, key: str) -> JobExplanation:
    """A job by its key or the beginning of it. Raises E814."""
    keys = [k for (k,) in store.db.execute("select distinct key from jobs where substr(key, 1, ?) = ? limit 3", (len(key), key))] if key else []
    if len(keys) != 1:
        words = f"no job has the key `{key}`" if not keys else f"several keys begin with `{key}`"
        raise fail("E814", words, help="`anatomy sweep explain DIR NAME` lists the keys of a variant's jobs")
    owners = store.db.execute("select v.name from jobs j join variants v on v.place = j.place where j.key = ? order by v.place", keys).fetchall()
    row = store.db.execute(QUERY + "where j.key = ?", keys).fetchone()
    seconds = store.db.execute("select seconds from timings where key = ?", keys).fetchone()
    told = ""
    if any(column[1] == "identity" for column in store.db.execute("pragma table_info(jobs)")):
        (told,) = store.db.execute("select identity from jobs where key = ?", keys).fetchone()
    hashed: dict[str, Any] = {}
    with suppress(ValueError):
        hashed = dict(zip(HASHED, json.loads(told), strict=True)) if told else {}
    current = hashed["evaluator"] == evaluator_version(cast("Stage", row[1])) if hashed else None
    confirmed = blake2b(told.encode(), digest_size=16).hexdigest() == keys[0]
    result = json.loads(row[9]) if row[9] and row[5] == "done" else None
    return JobExplanation(tuple(name for (name,) in owners), _line(row), hashed, confirmed, current, result, seconds[0] if seconds else None)


def _named(found: Results, name: str) -> Entry:
    entry = next((e for e in found.entries if e.name == name), None)
    if entry is None and name.lstrip("-").isdecimal():
        rank = int(name)
        entry = next((e for e in found.members if e.rank == rank or any(rank == index for index, _ in e.aliases)), None)
    if entry is None and name.startswith(f"{found.config.space}_") and name.removeprefix(f"{found.config.space}_").isdecimal():
        return _named(found, name.removeprefix(f"{found.config.space}_"))
    if entry is None:
        from difflib import get_close_matches

        near = get_close_matches(name, [e.name for e in found.entries], 3)
        raise fail(
            "E814", f"the sweep has no variant `{name}`",
            help=f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(e.name for e in found.entries[:5])} and so on",
        )  # fmt: skip
    return entry


def _line(row: tuple[Any, ...]) -> Line:
    key, stage, task, budget, seed, state, reason, kind, traceback, result = row
    words = " ".join(filter(None, (stage, label(task) if task else "", f"{budget} steps" if budget else "", f"seed {seed}")))
    if state == "failed":
        last = [line for line in (traceback or "").splitlines() if line[:1].strip() and not line.startswith("Traceback")][-1:]
        why = f"{kind or reason}: {CLASSES.get(kind or reason, 'see the traceback')}{f' ({last[0]})' if last else ''}"
    elif state == "pending" and kind:
        why = f"tried before, {kind}; `anatomy sweep resume` tries again"
    elif state == "done" and stage == "train":
        why = _trained(json.loads(result)) if result else ""
    else:
        why = reason or VERDICTS.get(state, "")
    return Line(words, key, state, why, traceback or "")


def _trained(result: Mapping[str, Any]) -> str:
    words = [f"score {result['score']:.4g}"]
    words += [f"{name} {result[name]:.4g}" for name in ("loss", "rate") if result.get(name) is not None]
    words += [f"{result['steps']} steps"] if result.get("steps") is not None else []
    return ", ".join([*words, *(name for name in ("solved", "diverged") if result.get(name))])


def _scores(found: Results, entry: Entry) -> tuple[Score, ...]:
    told = []
    for task in found.tasks:
        reached = next((b for b in reversed(task.budgets) if entry.at(task, b)), None)
        if reached is None:
            continue
        runs: tuple[Run, ...] = entry.at(task, reached)
        means = sorted((s for s in (e.score(task, reached) for e in found.members) if s is not None), reverse=True)
        own = entry.score(task, reached)
        place = 1 + sum(s > own for s in means) if own is not None and entry.role == "member" else None
        told.append(
            Score(
                task.label, reached, tuple(r.seed for r in runs), tuple(r.score for r in runs if r.score is not None),
                tuple(r.rate for r in runs), tuple(r.loss for r in runs), place, len(means),
            )
        )  # fmt: skip
    return tuple(told)


def _neighbours(found: Results, entry: Entry) -> tuple[Neighbour, ...]:
    """Among the members of the sweep; merged ones too, where the space can still be read."""
    if entry.rank is None:
        return ()
    known: dict[int, tuple[Mapping[str, str], Entry]] = {e.rank: (e.choices, e) for e in found.members if e.rank is not None}
    with suppress(AnatomyError):
        space = found.config.load()
        known |= {index: (space.choices(index), e) for e in found.members for index, _ in e.aliases}
    near = []
    for rank, (choices, stands) in sorted(known.items()):
        apart = [hole for hole in dict.fromkeys((*entry.choices, *choices)) if entry.choices.get(hole) != choices.get(hole)]
        if len(apart) == 1:
            scores = {task.label: stands.score(task) for task in found.tasks if task.budgets}
            near.append(Neighbour(rank, apart[0], choices.get(apart[0], "none"), stands.name, stands.state, scores))
    order = list(found.holes)
    return tuple(sorted(near, key=lambda n: (order.index(n.hole) if n.hole in order else -1, n.rank)))


# words ----------------------------------------------------------------------------------------------


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
