"""What a caller asks of a sweep, checked and made into its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote

from anatomy.errors import fail
from anatomy.spaces import Space
from anatomy.sweep.config import Config, Merge
from anatomy.sweep.planning import source_of
from anatomy.sweep.task import label, settled, with_text

LARGEST = 2**53
"""Of budgets and seeds: what every reader of a table holds exactly."""
NORMS = ("frobenius", "max_token", "wasserstein1", "wasserstein2", "wasserstein_inf")


def configure(
    space: Space | str, tasks: Sequence[str], cache: Path | str, *, sample: int | None, members: Sequence[int] | None,
    text: Path | str | None, sizes: Mapping[str, int] | None, strata: Sequence[str] | None, **others: Any,
) -> tuple[Config, Space]:  # fmt: skip
    """The configuration, and the space that it names. Raises AnatomyError E801, E805, E807 and what loading a space raises."""
    if sample is not None and members is not None:
        raise fail("E805", "`sample` and `members` are both given", help="a sweep takes one of them, or neither for all members")
    for name, value, least in (("sample", sample, 0), ("budget", others["budget"], 0), ("number of seeds", others["seeds"], 1)):
        if value is not None and value < least:
            raise fail("E805", f"a {name} of {value} is too small; the least is {least}")
    for name, value in (("budget", others["budget"] or 0), ("number of seeds", others["seeds"]), ("seed", abs(others["seed"]))):
        if value > LARGEST:
            raise fail("E805", f"a {name} of {value} is too large; the greatest is {LARGEST:,}")
    if not others["radius"] >= 0:
        raise fail("E805", f"a radius of {others['radius']} is no length; the least is 0, and `inf` is the whole space")
    if others["norm"] not in NORMS:
        raise fail("E805", f"there is no norm `{others['norm']}`", help=f"there are {', '.join(f'`{n}`' for n in NORMS)}")
    if others["merge"] not in get_args(Merge):
        raise fail("E805", f"members are not merged by `{others['merge']}`", help=f"there are {', '.join(f'`{m}`' for m in get_args(Merge))}")
    climbed(others["halving"], others["rungs"], strata)
    if isinstance(space, str):
        from anatomy.spaces.loading import load

        target, space = space, load(space)
    else:
        target = f"{source_of(space)[0]}::{space.name}"
    path, written = source_of(space)
    tasks = [settled(spec) for spec in tasks]
    if text is not None:
        tasks = [with_text(spec, str(Path(text).resolve())) for spec in tasks]
    for spec in tasks:
        readable(spec)
    labels = [label(spec) for spec in tasks]
    for name in labels:
        if labels.count(name) > 1:
            raise fail("E805", f"two tasks would both be called `{name}` in the table", help="make a sweep of its own for each text")
    config = Config(
        target=target, path=path, text=written, space=space.name, digest=space.digest, cache=str(cache), tasks=tuple(tasks), sample=sample,
        members=None if members is None else tuple(sorted(set(members))), sizes=dict(sizes or {}),
        strata=None if strata is None else tuple(strata), **others,
    )  # fmt: skip
    return config, space


def readable(spec: str) -> None:
    """Refuse a text that is a device or a pipe: it has no end, or only one reading. Raises AnatomyError E801."""
    for item in spec.partition(":")[2].split(","):
        place = Path(unquote(item.removeprefix("text=")))
        if item.startswith("text=") and place.exists() and not place.is_file() and not place.is_dir():
            raise fail("E801", f"`{place}` is neither a file nor a folder", help="write the text to a file: every worker reads it for itself")


def climbed(halving: int | None, rungs: int, strata: Sequence[str] | None) -> None:
    """Refuse rungs that cannot be. Raises AnatomyError E807."""
    if halving is not None and halving < 2:
        raise fail("E807", f"halving keeps one in {halving}", help="keep one in 2 or more: `--halving 3`")
    if rungs < 2:
        raise fail("E807", f"{rungs} rungs leave nothing to halve", help="ask for 2 or more")
    if rungs > 64:
        raise fail("E807", f"{rungs} rungs are more than any budget has", help="ask for 64 or fewer")
    if halving is None and strata is not None:
        raise fail("E807", "strata are given, but no halving", help="`--halving 3 --strata " + ",".join(strata) + "`")
