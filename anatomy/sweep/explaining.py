"""Everything that a sweep knows of one variant, or of one job: what it is, what was found, and why it stands where it stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from typing import Any, cast

from anatomy.errors import AnatomyError, fail
from anatomy.sweep.explanation import Explanation, JobExplanation, Line, Neighbour, Score
from anatomy.sweep.job import Stage, evaluator_version
from anatomy.sweep.results import Entry, Results, Run, job_words
from anatomy.sweep.store import Store

HASHED = ("variant", "stage", "task with its parameters", "budget", "seed", "data", "evaluator", "sizes", "options")
CLASSES: Mapping[str, str] = {
    "error": "the job raised an exception; as it would again, `anatomy sweep retry` alone repeats it",
    "timeout": "the job took longer than was allowed; `anatomy sweep retry` repeats it",
    "out_of_memory": "memory did not suffice, alone neither; `anatomy sweep resume` tries again",
    "changed": "the task, its text or the code was edited while the sweep ran; `anatomy sweep resume` begins it anew",
    "lost": "the process that did the job died each time; `anatomy sweep resume` tries again",
}
VERDICTS: Mapping[str, str] = {"done": "", "pending": "not done yet", "rejected": "not run", "pruned": "stopped", "failed": "failed"}


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
    words = job_words(stage, task, budget, seed)
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
