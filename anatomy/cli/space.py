"""`space count|show|sample`: members of a space, counted before one is built; `funnel`, `explain`, `discover` are in their own file."""

from __future__ import annotations

import argparse

from anatomy.cli import funnel
from anatomy.cli.output import add_json, emit
from anatomy.errors import fail


def add(name: str, parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, words in (
        ("count", "how many members, exactly and at once"),
        ("show", "one member as text, or a list of all"),
        ("sample", "some members at random"),
    ):
        sub = actions.add_parser(action, help=words)
        sub.add_argument("target", metavar="TARGET")
        if action == "show":
            sub.add_argument("--index", type=int, help="print this member as .anat")
        if action == "sample":
            sub.add_argument("-k", type=int, default=5)
            sub.add_argument("--seed", type=int, default=0)
        add_json(sub)
        sub.set_defaults(run=run)
    funnel.add(actions)


def run(options: argparse.Namespace) -> int:
    from anatomy.api import space as load

    space = load(options.target)
    total = len(space)
    match options.action:
        case "count":
            emit({"derivations": total, "holes": space.sizes()}) if options.json else print(total)
        case "show" if options.index is not None:
            if not -total <= options.index < total:
                raise fail("E606", f"there is no member {options.index}: the space has {total}, counted from 0")
            from anatomy.language.unparse import unparse

            member = space[options.index]
            text = unparse(member.diagram)
            if options.json:
                emit({"index": member.index, "choices": dict(member.choices), "text": text})
            else:
                print(text, end="" if text.endswith("\n") else "\n")
        case "show":
            rows = [{"index": i, "choices": space.choices(i)} for i in range(min(total, 10_000))]
            listing(rows, options.json)
        case _:
            rows = [{"index": m.index, "choices": dict(m.choices)} for m in space.sample(options.k, options.seed)]
            listing(rows, options.json)
    return 0


def listing(rows: list[dict], as_data: bool) -> None:  # type: ignore[type-arg]
    if as_data:
        emit(rows)
        return
    for row in rows:
        print(f"{row['index']:>6}  " + "  ".join(f"{hole}={name}" for hole, name in row["choices"].items()))
