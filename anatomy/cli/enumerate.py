"""`space enumerate`: members in any order, by shards, going on where an earlier run stopped."""

from __future__ import annotations

import argparse
import os
from itertools import islice
from pathlib import Path
from typing import Any

from anatomy.cli.output import add_json, emit
from anatomy.errors import fail


def add(actions: Any) -> None:
    from anatomy.cli.space import orders

    sub = actions.add_parser("enumerate", help="members in an order, by shards, going on where an earlier run stopped")
    sub.add_argument("target", metavar="TARGET")
    sub.add_argument("--where", action="append", default=[], metavar="CONDITION", help="only the members that satisfy this: `score == dots`")
    orders(sub)
    sub.add_argument("--shard", default="0/1", metavar="I/N", help="part I of N, counted from 0")
    sub.add_argument("--limit", type=int, metavar="N", help="at most so many members in this run")
    sub.add_argument("--state", type=Path, metavar="FILE", help="go on from this file if it is there, and write it")
    add_json(sub)
    sub.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """A batch is printed before the state moves on, so that a run that is killed repeats members and loses none."""
    from anatomy.cli.space import batches, line, load
    from anatomy.spaces import Enumeration

    space = load(options.target, options.where)
    asked = Enumeration(space, options.order, options.key, shard(options.shard))
    found = asked
    if options.state is not None and options.state.exists():
        found = Enumeration.resume(space, options.state.read_text(encoding="utf-8"))
        given = {"order": (options.order, "lexicographic"), "key": (options.key, ""), "shard": (asked.shard, (0, 1))}
        for name, (value, default) in given.items():
            if value not in (default, getattr(found, name)):
                raise fail(
                    "E631", f"the state in `{options.state}` has another {name} than `{value}`: `{getattr(found, name)}`",
                    help="leave the option out to go on, or give another file",
                )  # fmt: skip
    members = []
    for batch in batches({"index": rank, "choices": space.choices(rank)} for rank in islice(found, options.limit)):
        if options.json:
            members += batch
        else:
            print("\n".join(map(line, batch)), flush=True)
            save(options.state, found.state)
    if options.json:
        emit({"members": members, "left": found.left, "state": found.state})
    save(options.state, found.state)
    return 0


def shard(text: str) -> tuple[int, int]:
    i, _, n = text.partition("/")
    if not (i.isdecimal() and n.isdecimal() and len(text) < 40 and int(i) < int(n)):
        raise fail("E631", f"`{text}` is not a shard", help="`0/4` is the first of four")
    return int(i), int(n)


def save(path: Path | None, state: str) -> None:
    if path is not None:
        fresh = path.with_name(f"{path.name}.tmp")
        fresh.write_text(state + "\n", encoding="utf-8")
        os.replace(fresh, path)
