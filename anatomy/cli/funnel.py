"""`space funnel|explain|discover`: how many members are left at each level, why two are one, and what is new among them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from anatomy.cli.output import add_json, emit
from anatomy.errors import fail

if TYPE_CHECKING:
    from anatomy.spaces import Space
    from anatomy.spaces.funnel.work import Progress

PHASES = {
    "rows": "building members", "forms": "normal forms", "held": "checking merges", "algebra": "modulo a prime", "same": "comparing numbers",
    "derived": "searching derivations", "matching": "keys of members", "entries": "keys of the zoo", "compiling": "cost as compiled", "certifying": "Lipschitz bounds",
}  # fmt: skip


def add(actions: Any) -> None:
    funnel = _action(actions, "funnel", "how many remain after typing, merging and filters")
    _scanning(funnel)
    funnel.add_argument("--sample", type=int, metavar="K", help="estimate from K members drawn at random, with intervals; works at any size")
    funnel.add_argument("--seed", type=int, default=0, help="of the sample")
    explain = _action(actions, "explain", "why two members are one, or where they differ; of one member, its class")
    explain.add_argument("index", type=int, metavar="I")
    explain.add_argument("other", type=int, metavar="J", nargs="?")
    explain.add_argument("--seconds", type=float, default=2.0, help="for the search of a derivation (default 2)")
    _scanning(explain)
    discover = _action(actions, "discover", "what the space holds of the literature, and what is new")
    _scanning(discover, level=False)
    discover.add_argument("-o", "--output", metavar="FOLDER", help="write report.md and report.json there, and keep what is worked out")
    discover.add_argument("--most", type=int, default=24, metavar="N", help="variants whose Lipschitz bound is worked out (default 24)")


def _action(actions: Any, name: str, words: str) -> argparse.ArgumentParser:
    sub = actions.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".")
    sub.add_argument("target", metavar="TARGET")
    add_json(sub)
    sub.set_defaults(run=run)
    return sub


def _scanning(sub: argparse.ArgumentParser, level: bool = True) -> None:
    sub.add_argument("--folder", metavar="DIR", help="keep what is done there; the same command goes on where it stopped")
    sub.add_argument("--jobs", type=int, default=2, metavar="N", help="worker processes (default 2)")
    sub.add_argument("--limit", type=int, metavar="N", help="scan up to N members")
    if level:
        sub.add_argument("--level", choices=("L1", "L2", "L3"), default="L3", help="how far members are merged (default L3)")


def run(options: argparse.Namespace) -> int:
    from anatomy.api import space as load
    from anatomy.spaces.funnel import Stopped

    if options.limit is not None and options.limit < 1:
        raise fail("E606", "`--limit` is a number of members, at least 1")
    space = load(options.target)
    try:
        with watched() as progress:
            found, done = {"funnel": _funnel, "explain": _explain, "discover": _discover}[options.action](space, options, progress)
    except Stopped as stopped:
        kept = f"; the same command goes on from `{options.folder}`" if options.folder else "; with `--folder DIR` it could be taken up again"
        print(f"stopped at {stopped}{kept}", file=sys.stderr)
        return 130
    emit(found.as_data()) if options.json else print(found.as_text())
    return done


def _funnel(space: Space, options: argparse.Namespace, progress: Progress) -> tuple[Any, int]:
    if options.sample is not None:
        from anatomy.spaces.funnel import estimate

        return estimate(space, options.sample, options.seed, options.jobs, progress), 0
    return _scan(space, options, progress), 0


def _scan(space: Space, options: argparse.Namespace, progress: Progress, level: str = "L3") -> Any:
    from anatomy.spaces.funnel import scan

    return scan(space, options.folder, options.jobs, progress, level=getattr(options, "level", level), limit=options.limit)


def _explain(space: Space, options: argparse.Namespace, progress: Progress) -> tuple[Any, int]:
    total = space.count
    for index in (options.index, options.other):
        if index is not None and not 0 <= index < total:
            raise fail("E606", f"there is no member {index}: the space has {total:,}, counted from 0")
    if options.other is not None:
        from anatomy.spaces.funnel import explain

        found = explain(space, options.index, options.other, options.seconds)
        return found, 0 if found.merged else 1
    from anatomy.spaces.funnel.membership import membership

    return membership(_scan(space, options, progress), options.index), 0


def _discover(space: Space, options: argparse.Namespace, progress: Progress) -> tuple[Any, int]:
    from anatomy.spaces.discovery import discover

    return discover(space, options.output, options.folder, options.jobs, progress, options.limit, options.most), 0


@contextmanager
def watched() -> Iterator[Progress]:
    """A line for each phase where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda phase, done, total: None
        return
    from rich import progress as parts
    from rich.console import Console

    columns = (
        parts.TextColumn("{task.description:<22}"), parts.BarColumn(), parts.MofNCompleteColumn(), parts.TimeElapsedColumn(), parts.TimeRemainingColumn(),
    )  # fmt: skip
    with parts.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show(phase: str, done: int, total: int) -> None:
            name = phase.partition("-")[0]
            if phase not in tasks:
                tasks[phase] = bar.add_task(PHASES.get(name, name), total=total)
            bar.update(tasks[phase], completed=done, total=total)

        yield show
