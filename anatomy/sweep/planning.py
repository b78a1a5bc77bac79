"""What a sweep will do, decided before anything runs: members, merged aliases, controls, jobs with their keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from anatomy.errors import fail
from anatomy.ir.canonical import digest
from anatomy.ir.graph import Diagram
from anatomy.ir.solve import concerning
from anatomy.language.program import Program
from anatomy.spaces import Alias, Class, Permutation, Space
from anatomy.spaces.facts import meets
from anatomy.spaces.funnel import classes
from anatomy.spaces.funnel.static import requirements
from anatomy.sweep.config import Config
from anatomy.sweep.forecast import forecast, hours
from anatomy.sweep.job import Job, bare, evaluator_version, job, variant_hash
from anatomy.sweep.ladder import Ladder, ladder
from anatomy.sweep.merging import LEVELS, Merger, drawn_until, equal_controls
from anatomy.sweep.sizes import heeded
from anatomy.sweep.task import Task, known_data, known_identity, label, load_task
from anatomy.sweep.text import corpus
from anatomy.target import zoo_folder

SCANNED = 5_000
"""Spaces up to this size are deduplicated as a whole; of larger ones only the members that are swept."""
CONTROLS = ("baseline", "no_mixing", "causal_average")
"""Diagrams of zoo/spaces/controls.anat, in every sweep; the first is trained with two seeds (A/A)."""


@dataclass(frozen=True)
class Variant:
    """One diagram of a sweep, with the members that are the same."""

    code: str
    """Canonical hash and presentation: the identity of its results."""
    digest: str
    role: str
    """`member` or `control`."""
    name: str
    rank: int | None
    choices: tuple[tuple[str, str], ...]
    aliases: tuple[Alias, ...]
    seeds: tuple[int, ...]
    diagram: Diagram
    jobs: tuple[Job, ...] = ()
    stratum: str = ""
    """Those whom it is halved with."""
    same_as: str = ""
    """The control that is the same, with the reason."""


@dataclass(frozen=True)
class Plan:
    """All variants, controls first, and the counts that led to them."""

    config: Config
    variants: tuple[Variant, ...]
    derivations: int
    typed: int
    canonical: int | None
    """Different diagrams in the space, where all were scanned."""
    evaluator: str
    unmet: int = 0
    """Different diagrams that were left out because they do not meet the space's requirements; a verdict is not looked at here."""
    ladders: Mapping[str, Ladder] = field(default_factory=dict)
    """The budgets of each task."""
    cached: int | None = None
    """Jobs whose results are there already, where somebody has looked."""

    @property
    def jobs(self) -> tuple[Job, ...]:
        return tuple(j for v in self.variants for j in v.jobs)

    @property
    def counts(self) -> dict[str, int | None]:
        """The funnel: derivations, typed, canonical, members merged at each level, left out, swept."""
        merged = {level: sum(a.level == level for v in self.variants for a in v.aliases) for level in LEVELS}
        swept = sum(v.role == "member" for v in self.variants)
        return {"derivations": self.derivations, "typed": self.typed, "canonical": self.canonical, **merged, "unmet": self.unmet, "swept": swept}

    def as_data(self) -> dict[str, Any]:
        stages: dict[str, int] = {}
        for item in self.jobs:
            stages[item.stage] = stages.get(item.stage, 0) + 1
        lines = forecast(self)
        seconds = sum(line.seconds for line in lines)
        return {
            "space": self.config.space,
            "derivations": self.derivations,
            "typed": self.typed,
            "canonical": self.canonical,
            "merge": self.config.merge,
            "merged": {level: self.counts[level] for level in LEVELS},
            "unmet": self.unmet,
            "members": self.counts["swept"],
            "controls": sum(v.role == "control" for v in self.variants),
            "same_as_controls": {v.name: v.same_as for v in self.variants if v.same_as},
            "jobs": stages,
            "rungs": [line.as_data() for line in lines],
            "not_halved": {label(spec): found.reason for spec, found in self.ladders.items() if found.reason},
            "cached": self.cached,
            "predicted_cpu_seconds": round(seconds),
            "predicted_cpu_hours": round(seconds / 3600, 4),
        }

    def as_text(self) -> str:
        data = self.as_data()
        unscanned = "not scanned" if data["canonical"] is None else f"{data['canonical']:,}"
        merged = ", ".join(f"{count} at {level}" for level, count in data["merged"].items() if count) or "none"
        seeds = self.config.seeds
        lines = [
            f"space        {data['space']}: {data['derivations']:,} derivations, {data['typed']:,} typed, canonical {unscanned}",
            f"merged       {merged} ({self.config.merge})",
            f"variants     {data['members']} members, {data['controls']} controls (the baseline with {max(2, seeds)} seeds)"
            + (f"; {data['unmet']} left out by requirements" if data["unmet"] else ""),
        ]
        lines += [f"             {name} is a control: {why}" for name, why in data["same_as_controls"].items()]
        lines += [f"jobs         {', '.join(f'{count} {stage}' for stage, count in data['jobs'].items())}"]
        lines += forecast_text(self)
        lines += [f"not halved   {task}: {reason}" for task, reason in data["not_halved"].items()]
        if self.cached is not None:
            lines += [f"cache        {self.cached} of {len(self.jobs)} jobs are in the cache"]
        rough = "" if self.cached == len(self.jobs) else ", if nothing is cached"
        lines += [f"forecast     roughly {data['predicted_cpu_seconds']} CPU-seconds ({hours(data['predicted_cpu_seconds'])}){rough}"]
        return "\n".join(lines)


def forecast_text(plan: Plan) -> list[str]:
    found = forecast(plan)
    wide = max((len(line.name) for line in found), default=0)
    return [
        f"rung         {line.name:<{wide}}  {line.jobs:>6,} jobs" + (f" of {line.most:,}" if line.most != line.jobs else "") + f", {hours(line.seconds)}"
        for line in found
    ]


@cache
def controls() -> tuple[tuple[str, Diagram], ...]:
    program = Program.of_file(zoo_folder() / "spaces" / "controls.anat")
    return tuple((name, program.get(name)) for name in CONTROLS)


def make(config: Config, space: Space, progress: Callable[[int, int], None] | None = None) -> Plan:
    """The plan of a configuration: the same configuration gives the same plan, whatever is already done."""
    for known in (corpus, known_identity, known_data):  # a text may have been edited since the last plan
        known.cache_clear()
    tasks = {spec: load_task(spec) for spec in config.tasks}
    ladders = {spec: ladder(t, t.budget if config.budget is None else config.budget, config.halving, config.rungs) for spec, t in tasks.items()}
    merger = Merger(space, config.merge, progress)
    canonical = None
    if space.count <= SCANNED:
        merger.expect(space.count)
        every = classes(space, range(space.count), merger.code)
        canonical = len(every)
        class_of = {i: c for c in every for i in (c.index, *(a.index for a in c.aliases))}
        found = _chosen(config, space, lambda ranks: merger.merged(list({class_of[r].index: class_of[r] for r in ranks}.values())))
    else:
        merger.expect(len(config.members or ()) or config.sample or 0)
        found = _chosen(config, space, lambda ranks: merger.merged(classes(space, ranks, merger.code)))
    asked = requirements(space)
    met = [item for item in found if all(meets(q, merger.facts(item.index)) is not False for q in asked)]
    members = [space[item.index] for item in met]
    strata = _strata(config, merger, [m.choices for m in members], [c.index for c in met])
    merger.finish()
    named = controls()
    same = equal_controls(named, [m.diagram for m in members], [c.digest for c in met], config.merge)
    works = _Works(config, tasks, ladders)
    variants = []
    for place, (name, diagram) in enumerate(named):
        seeds = range(config.seed, config.seed + max(config.seeds, 2 if place == 0 else 1))
        variants.append(works.variant("control", name, None, (), (), tuple(seeds), diagram, digest(diagram)))
    every_seed = tuple(range(config.seed, config.seed + config.seeds))
    for k, (item, member) in enumerate(zip(met, members, strict=True)):
        choices = tuple(member.choices.items())
        name = f"{space.name}_{item.index}"
        variants.append(
            works.variant("member", name, item.index, choices, item.aliases, every_seed, member.diagram, item.digest, strata[k], same.get(k, ""))
        )  # fmt: skip
    trained = [m.diagram for m in members] or [diagram for _, diagram in named]
    for axis, size in config.sizes.items():
        concerned = [d for d in trained if concerning(d, {axis: size})]
        if not concerned:
            raise fail("E805", f"a size is given for `{axis}`, which is an axis of no member")
        if not any(heeded(d, axis, config.sizes, **works.rows) for d in concerned):
            raise fail("E805", f"no member has the size {size} that is given for `{axis}`", help="tokens and features are those of the task, and other axes may follow from them")
    return Plan(config, tuple(variants), space.derivations, space.count, canonical, evaluator_version(), len(found) - len(met), ladders)


def _chosen(config: Config, space: Space, merge: Callable[[list[int]], tuple[Class, ...]]) -> tuple[Class, ...]:
    """The classes that were asked for; a sample is drawn over members and counts those that differ."""
    if config.members is not None:
        for index in config.members:
            if not 0 <= index < space.count:
                raise fail("E606", f"there is no member {index}: the space has {space.count:,}, counted from 0")
        return merge(list(config.members))
    if config.sample is not None:
        order = Permutation(space.count, f"sample/{config.seed}")
        drawn: Iterator[int] = (order[k] for k in range(space.count))
        return drawn_until(drawn, config.sample, merge)
    if space.count > SCANNED:
        raise fail("E805", f"the space has {space.count:,} members; say which to sweep", help="`--sample 100` or `--members 0,1,2`")
    return merge(list(range(space.count)))


def _strata(config: Config, merger: Merger, choices: list[Mapping[str, str]], ranks: list[int]) -> list[str]:
    """The stratum of each member: its options of some holes, or the growth of its cost with the length of the sequence."""
    if config.halving is None:
        return [""] * len(ranks)
    if config.strata is None:
        degrees = [merger.facts(rank).degree for rank in ranks]
        return ["cost of unknown growth" if d is None else f"cost n^{d}" for d in degrees]
    holes = list(dict.fromkeys(h for c in choices for h in c))
    for name in config.strata:
        if name not in holes:
            raise fail("E807", f"the space has no hole `{name}` to halve by", help=f"it has: {', '.join(holes)}")
    return [", ".join(f"{name}={c.get(name, '-')}" for name in config.strata) for c in choices]


class _Works:
    """Makes variants with their jobs; what all jobs of a task share is worked out once."""

    def __init__(self, config: Config, tasks: Mapping[str, Task], ladders: Mapping[str, Ladder]):
        self.config, self.ladders = config, ladders
        first = next(iter(tasks.values()), None)
        # A mixer that reads later tokens only from some length on is found at the greatest.
        self.rows = {"tokens": max(t.length for t in tasks.values()), "features": first.width} if first is not None else {"tokens": 32, "features": 64}
        self.identities = {spec: known_identity(spec) for spec in tasks}

    def variant(
        self, role: str, name: str, rank: int | None, choices: tuple[tuple[str, str], ...], aliases: tuple[Alias, ...],
        seeds: tuple[int, ...], diagram: Diagram, code: str, stratum: str = "", same_as: str = "",
    ) -> Variant:  # fmt: skip
        config, plain = self.config, bare(diagram)
        variant = variant_hash(plain, code)
        sizes = concerning(diagram, config.sizes)  # a control has no heads
        work = [
            job(stage, variant, plain, sizes, evaluator_version(stage), seed=config.seed, options=self.rows)
            for stage in ("check", "initialisation")
        ]  # fmt: skip
        if config.certify:
            asked = {"radius": config.radius, "norm": config.norm}
            work.append(job("regularity", variant, plain, sizes, evaluator_version("regularity"), seed=config.seed, options=asked))
        version = evaluator_version("train")
        for spec, found in self.ladders.items():
            for budget in found.budgets:
                for seed in seeds:
                    work.append(job("train", variant, plain, sizes, version, spec, self.identities[spec], known_data(spec, seed), budget, seed))
        return Variant(variant, code, role, name, rank, choices, aliases, seeds, diagram, tuple(work), stratum, same_as)


def source_of(space: Space) -> tuple[str, str]:
    """Path and text of the file that declares a space."""
    span = space.definition.span
    assert span is not None
    return str(Path(span.source.path).resolve()), span.source.text
