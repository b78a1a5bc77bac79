"""`sweep plan|run|resume|retry|worker|status|report|export`: check, certify and train the members of a space."""

from __future__ import annotations

import argparse
from typing import Any

from anatomy.cli.output import add_json, add_sizes, emit, sizes


def add(name: str, parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, words in (
        ("plan", "what a run would do: jobs, and a forecast of the time"),
        ("run", "check, certify and train; run again to go on where it stopped"),
    ):
        sub = actions.add_parser(action, help=words)
        sub.add_argument("target", metavar="TARGET")
        sub.add_argument("--tasks", default="recall", help="task names, separated by commas")
        sub.add_argument("--sample", type=int, metavar="K", help="K different members at random, rather than all")
        sub.add_argument("--members", metavar="I,J", help="the members of these ranks, rather than all")
        sub.add_argument("--steps", "--budget", dest="budget", type=int, metavar="N", help="training steps; default: the task's own")
        sub.add_argument("--radius", type=float, default=1.0, help="of the token ball for the Lipschitz bound")
        sub.add_argument("--norm", choices=("frobenius", "max_token"), default="frobenius")
        sub.add_argument("--no-regularity", action="store_true", help="train without certifying")
        sub.add_argument("--seed", type=int, default=0)
        add_sizes(sub)
        add_json(sub)
        sub.set_defaults(run=plan if action == "plan" else run)
        if action == "run":
            sub.add_argument("--out", required=True, metavar="DIR")
            workers(sub)
    for action, words in (("resume", "take up a sweep where it was left"), ("retry", "the same, failed jobs included")):
        sub = actions.add_parser(action, help=words)
        sub.add_argument("folder", metavar="DIR")
        workers(sub)
        add_json(sub)
        sub.set_defaults(run=resume, retry=action == "retry")
    sub = actions.add_parser("worker", help="do jobs of a sweep that runs with `--transport pull`, on any machine that sees its folder")
    sub.add_argument("folder", metavar="DIR")
    sub.add_argument("--patience", type=float, metavar="SECONDS", help="stop after so long without a job; default: when the sweep is over")
    sub.set_defaults(run=worker)
    sub = actions.add_parser("status", help="done, failed, pending, and the best so far")
    sub.add_argument("folder", metavar="DIR")
    add_json(sub)
    sub.set_defaults(run=status)
    sub = actions.add_parser("report", help="write report.html anew")
    sub.add_argument("folder", metavar="DIR")
    sub.add_argument("-o", "--output", metavar="FILE")
    sub.set_defaults(run=report)
    sub = actions.add_parser("export", help="the table as .csv or .json")
    sub.add_argument("folder", metavar="DIR")
    sub.add_argument("-o", "--output", required=True, metavar="FILE")
    sub.set_defaults(run=export)


def workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, metavar="N", help="processes of one thread each; default: one for each core")
    parser.add_argument("--transport", choices=("process", "inline", "ray", "pull"), default="process", help="`pull`: whoever runs `anatomy sweep worker DIR`")
    parser.add_argument("--address", metavar="HOST:PORT", help="of a Ray cluster to join; without it one is started and stopped again")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="stop a job after this long")


def chosen(options: argparse.Namespace) -> dict[str, Any]:
    from anatomy.errors import fail

    members = None
    if options.members is not None:
        try:
            members = [int(m) for m in options.members.split(",")]
        except ValueError:
            raise fail("E805", f"`--members {options.members}` is no list of ranks", help="for example `--members 0,4,17`") from None
    return {
        "tasks": tuple(t.strip() for t in options.tasks.split(",")),
        "sample": options.sample,
        "members": members,
        "budget": options.budget,
        "seed": options.seed,
        "sizes": sizes(options.size),
        "radius": options.radius,
        "norm": options.norm,
        "certify": not options.no_regularity,
    }


def plan(options: argparse.Namespace) -> int:
    from anatomy.sweep import plan

    made = plan(options.target, **chosen(options))
    emit(made.as_data()) if options.json else print(made.as_text())
    return 0


def run(options: argparse.Namespace) -> int:
    from anatomy.sweep import run

    more = {"jobs": options.jobs, "transport": options.transport, "timeout": options.timeout, "address": options.address}
    return tell(run(options.target, options.out, **more, **chosen(options)), options.json)


def resume(options: argparse.Namespace) -> int:
    from anatomy.sweep import resume

    found = resume(options.folder, options.jobs, options.transport, timeout=options.timeout, retry=options.retry, address=options.address)
    return tell(found, options.json)


def worker(options: argparse.Namespace) -> int:
    import sys

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
    return 1 if ended and (found.failed or not found.complete) else 0


def report(options: argparse.Namespace) -> int:
    from anatomy.sweep import report

    print(report(options.folder, options.output))
    return 0


def export(options: argparse.Namespace) -> int:
    from anatomy.sweep import export

    print(export(options.folder, options.output))
    return 0
