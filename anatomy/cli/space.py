"""`space count|show|sample|enumerate`: members of a space, counted before one is built; `funnel`, `explain`, `discover` are in their own file."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from anatomy.cli import enumerate as enumeration
from anatomy.cli import funnel
from anatomy.cli.output import add_json, emit
from anatomy.errors import fail

if TYPE_CHECKING:
    from anatomy.spaces import Space

LISTED = 10_000
"""Members that `show` lists where no limit is given."""

REFUSALS = 8
"""Refused options that `count` prints."""


def add(name: str, parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, words in (
        ("count", "how many members, exactly and at once"),
        ("show", "one member as text, or a list of them in an order"),
        ("sample", "some members at random"),
    ):
        sub = actions.add_parser(action, help=words)
        sub.add_argument("target", metavar="TARGET")
        sub.add_argument("--where", action="append", default=[], metavar="CONDITION", help="only the members that satisfy this: `score == dots`")
        if action == "show":
            sub.add_argument("--index", type=int, help="print this member as .anat")
            orders(sub)
            sub.add_argument("--from", type=int, default=0, dest="start", metavar="N", help="begin at this place of the order")
            sub.add_argument("--limit", type=int, default=LISTED, metavar="N", help=f"list at most so many (default: {LISTED:,})")
        if action == "sample":
            sub.add_argument("-k", type=int, default=5)
            sub.add_argument("--seed", type=int, default=0)
        add_json(sub)
        sub.set_defaults(run=run)
    enumeration.add(actions)
    funnel.add(actions)


def orders(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--order", default="lexicographic", metavar="NAME", help="lexicographic, gray, shuffled, size, or distance (from the member of rank --key)"
    )  # fmt: skip
    parser.add_argument("--key", default="", help="key of the shuffled order; rank of the centre of the order by distance")


def run(options: argparse.Namespace) -> int:
    space = load(options.target, options.where)
    match options.action:
        case "count":
            counted(space, options.json)
        case "show" if options.index is not None:
            one(space, options.index, options.json)
        case "show":
            order = space.order(options.order, options.key)
            if options.start < 0 or options.limit < 0:
                raise fail("E606", "`--from` and `--limit` count from 0")
            places = range(min(options.start, order.count), min(options.start + options.limit, order.count))
            listing(({"index": rank, "choices": space.choices(rank)} for rank in map(order.__getitem__, places)), options.json)
        case _ if options.k < 1:
            raise fail("E651", f"a sample of {options.k} draws nothing", help="draw at least one member")
        case _:
            listing(({"index": m.index, "choices": dict(m.choices)} for m in space.sample(options.k, options.seed)), options.json)
    return 0


def load(target: str, where: Iterable[str] = ()) -> Space:
    from anatomy.api import space as load

    return load(target).where(*where) if where else load(target)


def counted(space: Space, as_data: bool) -> None:
    """What is known before anything is built; `canonical` is null until a funnel is scanned."""
    refused = [f"`{r.label}` for hole `{r.name}`: {r.reason}" for r in space.refused]
    orbits = space.orbits
    if as_data:
        emit(
            {
                "derivations": space.derivations, "typed": space.count, "orbits": orbits, "canonical": None,
                "holes": space.sizes(), "refused": refused, "digest": space.digest,
            }
        )  # fmt: skip
        return
    rows = [
        ("derivations", f"{space.derivations:,}", "fillings as written"),
        ("typed", f"{space.count:,}", "members: every option fits, every condition holds"),
        ("symmetry", "unknown" if orbits is None else f"{orbits:,}", "modulo declared symmetry" if orbits is not None else "conditions tell members of an orbit apart"),
    ]  # fmt: skip
    wide = max(8, *(len(number) for _, number, _ in rows))
    for name, number, words in rows:
        print(f"{name:<12} {number:>{wide}}  {words}")
    for words in refused[:REFUSALS]:
        print(f"refused: {words}")
    if len(refused) > REFUSALS:
        print(f"... and {len(refused) - REFUSALS:,} more; `--json` lists all")


def one(space: Space, index: int, as_data: bool) -> None:
    if not -space.count <= index < space.count:
        raise fail("E606", f"there is no member {index}: the space has {space.count}, counted from 0")
    from anatomy.language.unparse import unparse

    member = space[index]
    text = unparse(member.diagram)
    if as_data:
        emit({"index": member.index, "choices": dict(member.choices), "text": text})
    else:
        print(text, end="" if text.endswith("\n") else "\n")


def listing(rows: Iterable[dict[str, Any]], as_data: bool) -> None:
    if as_data:
        emit(list(rows))
        return
    for batch in batches(rows):
        print("\n".join(line(row) for row in batch))


def line(row: dict[str, Any]) -> str:
    return f"{row['index']:>6}  " + "  ".join(f"{hole}={name}" for hole, name in row["choices"].items())


def batches(rows: Iterable[dict[str, Any]], size: int = 1_000) -> Iterator[list[dict[str, Any]]]:
    rows = iter(rows)
    while batch := list(islice(rows, size)):
        yield batch
