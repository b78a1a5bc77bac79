"""Several ways to compute one thing, timed in turns in one process: processor time, its least and its spread, by threads."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch._inductor.config
import torch._inductor.utils
from torch import Tensor, nn

OURS = "ours"
TURN = 0.02
"""Seconds that a turn takes at least, so that the clock's steps do not count."""
Run = Callable[..., Tensor]


@dataclass(frozen=True)
class Bar:
    """A claim: our time is at most this share of the other's."""

    most: float
    words: str


@dataclass
class Way:
    run: Run
    leaves: list[Tensor]
    bar: Bar | None = None
    same: bool = True
    """Whether its outputs were compared with ours."""
    forward_only: bool = False
    compiling: float | None = None
    """Processor seconds of building and of the first call, where that is code to write."""


@dataclass
class Contest:
    """One computation at one size; `against` adds those who compute it too."""

    name: str
    size: str
    inputs: list[Tensor]
    ways: dict[str, Way] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    tolerance: float = 2e-3

    def ours(self, run: Run) -> Contest:
        self.ways[OURS] = Way(run, self._leaves(run))
        return self

    def against(
        self, name: str, build: Callable[[], Run], bar: Bar | None = None, same: bool = True, compiles: bool = False, forward_only: bool = False
    ) -> Contest:
        """Another way by what builds it, so that a package that is not installed leaves out its row and no more."""
        started = everything()
        try:
            run = build()
        except (ImportError, FileNotFoundError) as error:
            self.missing[name] = f"{type(error).__name__}: {error}"
            return self
        way = Way(run, self._leaves(run), bar, same, forward_only)
        if compiles:
            with torch._inductor.utils.fresh_cache(), torch._inductor.config.patch(compile_threads=1):  # cold, as for a new variant
                once(way, self.inputs, bool(way.leaves) and not forward_only)
            way.compiling = everything() - started
        if same:
            self._compare(name, run, compiles and bool(way.leaves) and not forward_only)
        self.ways[name] = way
        return self

    def _leaves(self, run: Run) -> list[Tensor]:
        weights = [p for p in run.parameters() if p.requires_grad] if isinstance(run, nn.Module) else []
        return [x for x in self.inputs if x.requires_grad] + weights

    def _compare(self, name: str, run: Run, gradient: bool) -> None:
        """With gradients where without them there would be more to compile."""
        with torch.set_grad_enabled(gradient):
            wanted, found = self.ways[OURS].run(*self.inputs), run(*self.inputs)
        off = float((wanted - found).detach().abs().max() / wanted.detach().abs().max())
        if wanted.shape != found.shape or not off < self.tolerance:
            raise AssertionError(f"{self.name}, {name}: the outputs differ by {off:.1e} of the largest")


def everything() -> float:
    """Processor seconds of this process and of those that it waited for, such as compilers."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def once(way: Way, inputs: Sequence[Tensor], backward: bool, seeds: dict[tuple[int, ...], Tensor] | None = None) -> tuple[float, float]:
    """Processor and wall seconds of one pass; the gradient is of every input and weight, for a given gradient of the output."""
    known = {} if seeds is None else seeds
    wall, cpu = time.perf_counter(), time.process_time()
    if backward:
        y = way.run(*inputs)
        if y.shape not in known:
            known[y.shape] = torch.randn_like(y)
        torch.autograd.grad(y, way.leaves, known[y.shape], allow_unused=True)
    else:
        with torch.no_grad():
            way.run(*inputs)
    return time.process_time() - cpu, time.perf_counter() - wall


def rounds(contest: Contest, backward: bool, seconds: float, most: int, slow: float) -> dict[str, list[tuple[float, float]]]:
    """Times of every way, in rounds in which each has a turn and another begins each; one round before is not counted.

    A way that takes longer than `slow` seconds takes part in the first two rounds only, one that takes more than twice as long in
    the first; where all are quick, a turn is several passes.
    """
    ways = {k: w for k, w in contest.ways.items() if not (backward and w.forward_only)}
    seeds: dict[tuple[int, ...], Tensor] = {}
    spent = {k: once(w, contest.inputs, backward, seeds)[0] for k, w in ways.items()}
    quick = sum(t for t in spent.values() if t <= slow)
    count = max(3, min(most, int(seconds / max(quick, 1e-6))))
    passes = max(1, min(20, int(TURN / max(min(spent.values()), 1e-6))))
    times: dict[str, list[tuple[float, float]]] = {k: [] for k in ways}
    names = list(ways)
    gc.collect()
    gc.disable()
    try:
        for k in range(count):
            for name in names[k % len(names) :] + names[: k % len(names)]:
                if k < (1 if spent[name] > 2 * slow else 2) or spent[name] <= slow:
                    turn = [once(ways[name], contest.inputs, backward, seeds) for _ in range(passes)]
                    times[name].append((sum(c for c, _ in turn) / passes, sum(w for _, w in turn) / passes))
    finally:
        gc.enable()
    return times


def measured(
    contest: Contest, backward: bool, seconds: float = 2.0, threads: Sequence[int] = (1, 2), most: int = 9, slow: float = 2.0
) -> list[dict[str, Any]]:
    """A row for each of the others, with what each number of threads took; the slow ones have one thread only."""
    found: dict[str, dict[str, Any]] = {}
    everything = dict(contest.ways)
    for count in threads:
        torch.set_num_threads(count)
        times = rounds(contest, backward, seconds if count == 1 else seconds / 2, most, slow)
        mine = times[OURS]
        for name, other in times.items():
            if name == OURS:
                continue
            ratio = min(c for c, _ in mine) / min(c for c, _ in other)
            by_round = sorted(a / b for (a, _), (b, _) in zip(mine, other, strict=False))
            row = found.setdefault(name, described(contest, name, backward))
            row["threads"][str(count)] = {
                "ours_ms": 1e3 * min(c for c, _ in mine), "theirs_ms": 1e3 * min(c for c, _ in other),
                "ratio": ratio, "spread": [min(ratio, by_round[0]), max(ratio, by_round[-1])],
                "wall_ratio": min(w for _, w in mine) / min(w for _, w in other), "rounds": len(other),
            }  # fmt: skip
            if min(c for c, _ in other) > slow:
                del contest.ways[name]
    contest.ways = everything
    torch.set_num_threads(1)
    return list(found.values())


def described(contest: Contest, name: str, backward: bool) -> dict[str, Any]:
    way = contest.ways[name]
    row: dict[str, Any] = {
        "case": contest.name, "size": contest.size, "pass": "forward and backward" if backward else "forward", "against": name,
        "outputs": "equal" if way.same else "of the same shape", "threads": {},
    }  # fmt: skip
    if way.bar is not None:
        row |= {"bar": way.bar.most, "bar_words": way.bar.words}
    if way.compiling is not None:
        row["compile_seconds"] = way.compiling
    return row


def met(row: dict[str, Any]) -> bool | None:
    """Whether a row's bar is met with one thread; None where it has none."""
    return row["threads"]["1"]["ratio"] <= row["bar"] if "bar" in row else None
