"""What a training task is, and how one is found by name; tasks themselves are files of `zoo/tasks`."""

from __future__ import annotations

import importlib
import sys
from dataclasses import fields, is_dataclass, replace
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import quote, unquote

from anatomy.errors import fail

if TYPE_CHECKING:
    from anatomy.sweep.mixer import Mixer


SAFE = "/\\:. ()"
"""Characters that stand for themselves in the value of a parameter; others are written as in addresses, a comma as %2C."""


class Task(Protocol):
    """A training task: streamed data that any worker can make, and a small model around the mixer under test.

    A mixer is a diagram with one input and one output of one layout, [tokens, features].
    """

    name: str
    length: int
    """Tokens in a row: the size of the mixer's first axis."""
    width: int
    """Features of a token: the size of the mixer's second axis."""
    causal: bool
    """Mixers that read later tokens are rejected."""
    budget: int
    """Training steps when none are asked for."""

    def digest(self) -> str:
        """The identity of the task with all its parameters."""
        ...

    def data_digest(self, seed: int) -> str:
        """A hash of data that the seed gives: it changes whenever the data do."""
        ...

    def train(self, mixer: Mixer, seed: int, budget: int) -> dict[str, Any]:
        """Train for at most `budget` steps, in one thread, from the seed alone.

        `mixer.diagram` is what is under test; `mixer(k)` makes layer k of it as a module with weights of its own, which maps
        [batch, tokens, features] to itself.
        The result is JSON with at least `score` (higher is better, 0 to 1), `steps`, `diverged`, `trials`
        (held-out questions behind the score) and `parameters`. Divergence is a result, not a failure.
        """
        ...


def load_task(spec: str) -> Task:
    """The task of `NAME`, `package.module`, or either with parameters, `recall:pairs=8,length=64`.

    A bare name is the module `zoo.tasks.NAME`; it is imported by name because the zoo lies above the sweep in
    the import stair. Raises AnatomyError E801 when there is no such task or no such parameter.
    """
    name, _, given = spec.partition(":")
    where = name if "." in name else f"zoo.tasks.{name}"
    try:
        found = importlib.import_module(where).task
        for word in ("name", "length", "width", "causal", "budget", "digest", "data_digest", "train"):
            getattr(found, word)
    except Exception as error:  # a file of somebody's own may raise anything
        raise fail("E801", f"there is no training task `{name}`: {error}", help="a task is a file of `zoo/tasks`") from None
    if not given:
        return found
    if not is_dataclass(found) or isinstance(found, type):
        raise fail("E801", f"task `{name}` takes no parameters")
    kinds = {f.name: type(getattr(found, f.name)) for f in fields(found) if f.name not in ("name", "causal")}
    values: dict[str, Any] = {}
    for item in given.split(","):
        key, _, text = item.partition("=")
        if key not in kinds:
            raise fail("E801", f"task `{name}` has no parameter `{key}`", help=f"it has: {', '.join(kinds)}")
        try:
            values[key] = {"true": True, "false": False}[text] if kinds[key] is bool else kinds[key](unquote(text))
        except (ValueError, KeyError):
            raise fail("E801", f"`{text}` is no value for `{key}` of task `{name}`") from None
    try:
        return cast(Task, replace(found, **values))
    except ValueError as error:
        raise fail("E801", f"task `{name}` refuses these parameters: {error}") from None


def label(spec: str) -> str:
    """A task's name in tables: its specification without the place of a text, which differs between machines.

    >>> label("characters:text=/home/me/notes.txt,budget=100")
    'characters:budget=100'
    """
    name, _, given = spec.partition(":")
    kept = [item for item in given.split(",") if item and not item.startswith("text=")]
    return f"{name}:{','.join(kept)}" if kept else name


def specs(words: str) -> tuple[str, ...]:
    """The tasks of a list; parameters of one task are separated by commas as well.

    >>> specs("recall:pairs=8,length=64,induction")
    ('recall:pairs=8,length=64', 'induction')
    """
    found: list[str] = []
    for item in filter(None, (w.strip() for w in words.split(","))):
        if found and "=" in item and ":" not in item.partition("=")[0]:
            found[-1] += ("," if ":" in found[-1] else ":") + item
        else:
            found.append(item)
    return tuple(found)


def with_text(spec: str, text: str) -> str:
    """The specification with its text, where the task reads one and names none itself.

    >>> with_text("recall", "notes.txt")
    'recall'
    """
    name, _, given = spec.partition(":")
    if any(item.startswith("text=") for item in given.split(",")) or not hasattr(load_task(name), "text"):
        return spec
    return f"{name}:{','.join(filter(None, (given, f'text={quote(text, safe=SAFE)}')))}"


def settled(spec: str) -> str:
    """The specification with the place of its text in full, so that a sweep can be taken up from any folder.

    >>> settled("characters:text=/a/../notes.txt,budget=9")
    'characters:text=/notes.txt,budget=9'
    """
    name, _, given = spec.partition(":")
    items = [
        f"text={quote(str(Path(unquote(item[5:])).resolve()), safe=SAFE)}" if item.startswith("text=") else item
        for item in given.split(",")
    ]  # fmt: skip
    return f"{name}:{','.join(items)}" if given else name


def identity(task: Task) -> str:
    """A task's digest together with a hash of its source file: an edited task is another task."""
    file = getattr(sys.modules.get(type(task).__module__), "__file__", None)
    code = Path(file).read_bytes().replace(b"\r\n", b"\n") if file else b""
    return f"{task.name}-{task.digest()}-{blake2b(code, digest_size=4).hexdigest()}"


@cache
def known_identity(spec: str) -> str:
    """The identity of a task, as this process has seen it first since the last plan."""
    return identity(load_task(spec))


@cache
def known_data(spec: str, seed: int) -> str:
    """The digest of a task's data, likewise."""
    return load_task(spec).data_digest(seed)
