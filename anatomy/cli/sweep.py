"""`sweep plan|run|resume|retry|worker|status|report|export|query|explain`: check, certify and train the members of a space.

Exit status of `run`, `resume` and `retry`: 0 when everything is done, 1 when jobs failed or are unfinished (after Ctrl-C or
`--max-failures`, say) or the folder or the space cannot be used, 2 for a request that makes no sense.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from anatomy.cli.output import add_json, add_sizes, emit, sizes

USAGE = ("E606", "E801", "E805", "E807")
"""Errors of what was asked for."""
EXITS = "exit status: 0 complete; 1 jobs failed or are unfinished, or the folder or the space cannot be used; 2 the request makes no sense"


def add(name: str, parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, words in (
        ("plan", "what a run would do: jobs, and a forecast of the time"),
        ("run", "check, certify and train; run again to go on where it stopped"),
    ):
        sub = actions.add_parser(action, help=words, epilog=EXITS)
        sub.add_argument("target", metavar="TARGET")
        sub.add_argument("--tasks", default="recall", help="task names, separated by commas")
        sub.add_argument("--sample", type=int, metavar="K", help="K different members at random, rather than all; 0: the controls alone")
        sub.add_argument("--members", metavar="I,J", help="the members of these ranks, rather than all")
        sub.add_argument("--steps", "--budget", dest="budget", type=int, metavar="N", help="training steps; default: the task's own")
        sub.add_argument("--radius", type=float, default=1.0, help="of the token ball for the Lipschitz bound")
        sub.add_argument("--norm", choices=("frobenius", "max_token"), default="frobenius")
        sub.add_argument("--no-regularity", action="store_true", help="train without certifying")
        sub.add_argument("--seed", type=int, default=0)
        sub.add_argument("--seeds", type=int, default=1, metavar="N", help="trainings of every member, of seeds SEED, SEED + 1, ...")
        sub.add_argument("--text", metavar="FILE", help="what tasks of language read; a folder in the Penn Treebank format will do")
        sub.add_argument(
            "--merge", choices=("canonical", "algebra", "numeric"), default="algebra",
            help="train once: equal diagrams; also those equal by laws or algebra (default); also those equal in numbers",
        )  # fmt: skip
        sub.add_argument("--halving", type=int, metavar="K", help="on tasks whose loss falls smoothly, try small budgets first; one in K goes on")
        sub.add_argument("--rungs", type=int, default=3, metavar="N", help="budgets of halving, each K times the one before; default: 3")
        sub.add_argument("--strata", metavar="HOLE,HOLE", help="halve apart by the options of these holes; default: by the growth of the cost with the length")
        sub.add_argument("--cache", metavar="DIR", help="results shared with other sweeps; default: .anatomy-cache beside the folder of the sweep")
        add_sizes(sub)
        add_json(sub)
        sub.set_defaults(run=plan if action == "plan" else run)
        sub.add_argument("--out", required=action == "run", metavar="DIR", help="the folder of the sweep")
        if action == "run":
            workers(sub)
    for action, words in (("resume", "take up a sweep where it was left"), ("retry", "the same, failed jobs included")):
        sub = actions.add_parser(action, help=words, epilog=EXITS)
        sub.add_argument("folder", metavar="DIR")
        workers(sub)
        add_json(sub)
        sub.set_defaults(run=resume, retry=action == "retry")
    sub = actions.add_parser("worker", help="do jobs of a sweep that runs with `--transport pull`, on any machine that sees its folder")
    sub.add_argument("folder", metavar="DIR")
    sub.add_argument("--patience", type=float, metavar="SECONDS", help="stop after so long without a job; default: when the sweep is over")
    sub.set_defaults(run=worker)
    sub = actions.add_parser("status", help="done, failed, pending, and the highest score so far")
    sub.add_argument("folder", metavar="DIR")
    add_json(sub)
    sub.set_defaults(run=status)
    sub = actions.add_parser("report", help="write report.html and report.md anew, or print the words")
    sub.add_argument("folder", metavar="DIR")
    sub.add_argument("-o", "--output", metavar="FILE", help="write this file alone; a name that ends in .md gives the words")
    sub.add_argument("--markdown", action="store_true", help="print the words rather than write files")
    sub.add_argument("--pictures", type=int, metavar="N", help="diagrams of the N best variants in the page; default: as many as keep it light")
    sub.set_defaults(run=report)
    sub = actions.add_parser("export", help="the table as .csv, .json, .parquet, or an Optuna storage (.sqlite, .db)")
    sub.add_argument("folder", metavar="DIR")
    sub.add_argument("out", metavar="OUT", nargs="?", help="the file; its suffix chooses the format")
    sub.add_argument("-o", "--output", metavar="FILE", help=argparse.SUPPRESS)
    sub.add_argument("--runs", action="store_true", help="one row a training, rather than one a variant")
    sub.set_defaults(run=export)
    sub = actions.add_parser("query", help="ask in SQL: tables variants, runs, curves, failures, holes")
    sub.add_argument("folder", metavar="DIR")
    sub.add_argument("sql", metavar="SQL", help="for example \"select variant, avg(score) from runs group by all order by 2 desc\"")
    add_json(sub)
    sub.set_defaults(run=query)
    sub = actions.add_parser("explain", help="everything about one variant, or about one job")
    sub.add_argument("folder", metavar="DIR")
    sub.add_argument("name", metavar="NAME|RANK", nargs="?")
    sub.add_argument("--job", metavar="KEY", help="of a job, or its beginning: why it is in its state, and what the key hashes")
    add_json(sub)
    sub.set_defaults(run=explain)


def workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, metavar="N", help="processes of one thread each; default: one for each core")
    parser.add_argument("--transport", choices=("process", "inline", "ray", "pull"), default="process", help="`pull`: whoever runs `anatomy sweep worker DIR`")
    parser.add_argument("--address", metavar="HOST:PORT", help="of a Ray cluster to join; without it one is started and stopped again")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="stop a job after this long; with `--transport process` alone")
    parser.add_argument("--max-failures", type=int, metavar="N", help="begin no more jobs after so many have failed")
    parser.add_argument("--fail-fast", dest="max_failures", action="store_const", const=1, help="the same after the first")


def chosen(options: argparse.Namespace) -> dict[str, Any]:
    from anatomy.errors import fail
    from anatomy.sweep.task import specs

    members = None
    if options.members is not None:
        try:
            members = [int(m) for m in options.members.split(",")]
        except ValueError:
            raise fail("E805", f"`--members {options.members}` is no list of ranks", help="for example `--members 0,4,17`") from None
    return {
        "tasks": specs(options.tasks),
        "sample": options.sample,
        "members": members,
        "budget": options.budget,
        "seed": options.seed,
        "seeds": options.seeds,
        "text": options.text,
        "sizes": sizes(options.size),
        "radius": options.radius,
        "norm": options.norm,
        "certify": not options.no_regularity,
        "merge": options.merge,
        "halving": options.halving,
        "rungs": options.rungs,
        "strata": None if options.strata is None else [h.strip() for h in options.strata.split(",") if h.strip()],
        "cache": options.cache,
    }


def asking(work: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """A request that makes no sense answers with exit status 2."""

    def answered(options: argparse.Namespace) -> int:
        from anatomy.cli.output import report
        from anatomy.errors import AnatomyError

        try:
            return work(options)
        except AnatomyError as error:
            if not {d.code for d in error.diagnostics} <= set(USAGE):
                raise
            report(error.diagnostics, options.json)
            return 2

    return answered


@asking
def plan(options: argparse.Namespace) -> int:
    from anatomy.sweep import plan

    made = plan(options.target, out_dir=options.out, **chosen(options))
    emit(made.as_data()) if options.json else print(made.as_text())
    return 0


@asking
def run(options: argparse.Namespace) -> int:
    from anatomy.sweep import run

    more = {"jobs": options.jobs, "transport": options.transport, "timeout": options.timeout, "address": options.address, "max_failures": options.max_failures}
    return tell(run(options.target, options.out, **more, **chosen(options)), options.json)


@asking
def resume(options: argparse.Namespace) -> int:
    from anatomy.sweep import resume

    more = {"timeout": options.timeout, "retry": options.retry, "address": options.address, "max_failures": options.max_failures}
    found = resume(options.folder, options.jobs, options.transport, **more)
    return tell(found, options.json)


def worker(options: argparse.Namespace) -> int:
    from anatomy.sweep import worker

    done = worker(options.folder, patience=options.patience, told=lambda words: print(words, file=sys.stderr))
    print(f"{done} jobs done")
    return 0


def status(options: argparse.Namespace) -> int:
    from anatomy.sweep import status

    return tell(status(options.folder), options.json, ended=False)


def tell(found: Any, as_data: bool, ended: bool = True) -> int:
    """The status; a run that left jobs undone or failed answers with exit status 1."""
    if as_data:
        emit(found.as_data())
    else:
        print(found.as_text())
        if found.report:
            print(f"report: {found.report}")
        for words in found.warnings:
            print(f"warning: {words}", file=sys.stderr)
    return 1 if ended and (found.failed or not found.complete) else 0


def report(options: argparse.Namespace) -> int:
    from anatomy.sweep import markdown, report

    if not options.markdown:
        print(report(options.folder, options.output, options.pictures))
        return 0
    words = markdown(options.folder)
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(words))
    else:
        print(words, end="")
    return 0


def export(options: argparse.Namespace) -> int:
    from anatomy.errors import fail
    from anatomy.sweep import export

    out = options.out or options.output
    if not out:
        raise fail("E806", "no file to write is given", help="for example `anatomy sweep export DIR table.csv`")
    print(export(options.folder, out, options.runs))
    return 0


def query(options: argparse.Namespace) -> int:
    from anatomy.sweep import query

    found = query(options.folder, options.sql)
    if options.json:
        emit([dict(zip(found.columns, map(plain, row), strict=True)) for row in found.rows])
        return 0
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=SIMPLE_HEAD, caption=f"{len(found.rows):,} row{'s' if len(found.rows) != 1 else ''}", caption_justify="left")
    for k, name in enumerate(found.columns):
        numbers = [row[k] for row in found.rows if row[k] is not None]
        right = bool(numbers) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in numbers)
        shown.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in found.rows:
        shown.add_row(*("" if v is None else f"{v:.6g}" if isinstance(v, float) else str(v) for v in row))
    wide = Console(markup=False, highlight=False)
    wide.print(shown) if wide.is_terminal else Console(markup=False, highlight=False, width=max(80, wide.measure(shown).maximum)).print(shown)
    return 0


def plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str | list | dict) else str(value)


def explain(options: argparse.Namespace) -> int:
    from anatomy.errors import fail
    from anatomy.sweep import explain, explain_job

    if (options.name is None) == (options.job is None):
        raise fail("E814", "say what to explain: a variant by its name or rank, or a job by its key", help="`anatomy sweep explain DIR 3`, or `--job KEY`")
    found = explain_job(options.folder, options.job) if options.job is not None else explain(options.folder, options.name)
    emit(found.as_data()) if options.json else print(found.as_text())
    return 0
