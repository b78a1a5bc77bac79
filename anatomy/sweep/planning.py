"""What a sweep will do, decided before anything runs: members, merged aliases, controls, jobs with their keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from anatomy.errors import fail
from anatomy.ir.canonical import digest
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from anatomy.spaces import Alias, Permutation, Space
from anatomy.spaces.facts import meets
from anatomy.spaces.funnel import classes
from anatomy.spaces.funnel.static import requirements
from anatomy.spaces.rung import Rung
from anatomy.sweep.config import Config
from anatomy.sweep.job import Job, bare, evaluator_version, job, variant_hash
from anatomy.sweep.task import Task, identity, load_task
from anatomy.target import zoo_folder

SCANNED = 5_000
"""Spaces up to this size are deduplicated as a whole; of larger ones only the members that are swept."""
CONTROLS = ("baseline", "no_mixing", "causal_average")
"""Diagrams of zoo/spaces/controls.anat, in every sweep; the first is trained with two seeds (A/A)."""
COST = {"check": 0.1, "regularity": 2.0}
"""CPU-seconds of a job, roughly, for the forecast; a training step is taken at `STEP` seconds."""
STEP = 0.03


@dataclass(frozen=True)
class Variant:
    """One diagram of a sweep, with the members that are the same diagram."""

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

    @property
    def jobs(self) -> tuple[Job, ...]:
        return tuple(j for v in self.variants for j in v.jobs)

    def as_data(self) -> dict[str, Any]:
        stages: dict[str, int] = {}
        for item in self.jobs:
            stages[item.stage] = stages.get(item.stage, 0) + 1
        seconds = sum(COST.get(j.stage, STEP * j.budget) for j in self.jobs)
        return {
            "space": self.config.space,
            "derivations": self.derivations,
            "typed": self.typed,
            "canonical": self.canonical,
            "unmet": self.unmet,
            "members": sum(v.role == "member" for v in self.variants),
            "controls": sum(v.role == "control" for v in self.variants),
            "jobs": stages,
            "predicted_cpu_seconds": round(seconds),
        }

    def as_text(self) -> str:
        data = self.as_data()
        unscanned = "not scanned" if data["canonical"] is None else f"{data['canonical']:,}"
        return "\n".join(
            [
                f"space        {data['space']}: {data['derivations']:,} derivations, {data['typed']:,} typed, canonical {unscanned}",
                f"variants     {data['members']} members, {data['controls']} controls (the baseline with two seeds)"
                + (f"; {data['unmet']} left out by requirements" if data["unmet"] else ""),
                f"jobs         {', '.join(f'{count} {stage}' for stage, count in data['jobs'].items())}",
                f"forecast     about {data['predicted_cpu_seconds']} CPU-seconds, if nothing is cached",
            ]
        )


@cache
def controls() -> tuple[tuple[str, Diagram], ...]:
    program = Program.of_file(zoo_folder() / "spaces" / "controls.anat")
    return tuple((name, program.get(name)) for name in CONTROLS)


def make(config: Config, space: Space, progress: Callable[[int, int], None] | None = None) -> Plan:
    """The plan of a configuration: the same configuration gives the same plan, whatever is already done."""
    tasks = [(spec, load_task(spec)) for spec in config.tasks]
    scanned = space.count <= SCANNED
    if scanned:
        every = classes(space, range(space.count), None if progress is None else lambda k: progress(k, space.count))
        found = _chosen(config, space, {i: c for c in every for i in (c.index, *(a.index for a in c.aliases))})
    else:
        every = classes(space, _ranks(config, space))
        found = every
    asked = requirements(space)
    if asked:
        rung = Rung(space)
        met = [item for item in found if all(meets(q, rung.facts(item.index)) is not False for q in asked)]
        found, unmet = met, len(found) - len(met)
    else:
        unmet = 0
    variants = []
    for place, (name, diagram) in enumerate(controls()):
        seeds = (config.seed, config.seed + 1) if place == 0 else (config.seed,)
        variants.append(_variant(config, tasks, "control", name, None, (), (), seeds, diagram))
    for item in found:
        member = space[item.index]
        choices = tuple(member.choices.items())
        variants.append(
            _variant(config, tasks, "member", f"{space.name}_{item.index}", item.index, choices, item.aliases, (config.seed,), member.diagram)
        )  # fmt: skip
    return Plan(config, tuple(variants), space.derivations, space.count, len(every) if scanned else None, evaluator_version(), unmet)


def _ranks(config: Config, space: Space) -> Sequence[int]:
    """The ranks that were asked for in a space that is too large to be scanned."""
    if config.members is not None:
        return [_rank(space, i) for i in config.members]
    if config.sample is not None:
        order = Permutation(space.count, f"sample/{config.seed}")
        return [order[k] for k in range(min(config.sample, space.count))]
    raise fail("E805", f"the space has {space.count:,} members; say which to sweep", help="`--sample 100` or `--members 0,1,2`")


def _chosen(config: Config, space: Space, class_of: dict[int, Any]) -> list[Any]:
    """The classes that were asked for; a sample is drawn over members and counts different diagrams."""
    if config.members is not None:
        found = {class_of[_rank(space, i)].index: class_of[_rank(space, i)] for i in config.members}
    elif config.sample is not None:
        found = {}
        order = Permutation(space.count, f"sample/{config.seed}")
        for k in range(space.count):
            if len(found) == config.sample:
                break
            item = class_of[order[k]]
            found[item.index] = item
    else:
        found = {c.index: c for c in class_of.values()}
    return [found[i] for i in sorted(found)]


def _rank(space: Space, index: int) -> int:
    if not 0 <= index < space.count:
        raise fail("E606", f"there is no member {index}: the space has {space.count:,}, counted from 0")
    return index


def _variant(
    config: Config, tasks: list[tuple[str, Task]], role: str, name: str, rank: int | None,
    choices: tuple[tuple[str, str], ...], aliases: tuple[Alias, ...], seeds: tuple[int, ...], diagram: Diagram,
) -> Variant:  # fmt: skip
    plain, code = bare(diagram), digest(diagram)
    variant = variant_hash(plain, code)
    tokens, features = (tasks[0][1].length, tasks[0][1].width) if tasks else (32, 64)
    sizes = config.sizes
    rows = {"tokens": tokens, "features": features}
    work = [job("check", variant, plain, sizes, evaluator_version("check"), seed=config.seed, options=rows)]
    if config.certify:
        asked = {"radius": config.radius, "norm": config.norm}
        work.append(job("regularity", variant, plain, sizes, evaluator_version("regularity"), seed=config.seed, options=asked))
    for spec, task in tasks:
        for seed in seeds:
            budget = task.budget if config.budget is None else config.budget
            version = evaluator_version("train")
            work.append(job("train", variant, plain, sizes, version, spec, identity(task), _data(spec, seed), budget, seed))
    return Variant(variant, code, role, name, rank, choices, aliases, seeds, diagram, tuple(work))


@cache
def _data(spec: str, seed: int) -> str:
    return load_task(spec).data_digest(seed)


def source_of(space: Space) -> tuple[str, str]:
    """Path and text of the file that declares a space."""
    span = space.definition.span
    assert span is not None
    return str(Path(span.source.path).resolve()), span.source.text
