"""What a training task is, and how one is found by name; tasks themselves are files of `zoo/tasks`."""

from __future__ import annotations

import importlib
import sys
from dataclasses import fields, is_dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from anatomy.errors import fail

if TYPE_CHECKING:
    from anatomy.sweep.mixer import Mixer


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
    except (ImportError, AttributeError, ValueError) as error:
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
            values[key] = {"true": True, "false": False}[text] if kinds[key] is bool else kinds[key](text)
        except (ValueError, KeyError):
            raise fail("E801", f"`{text}` is no value for `{key}` of task `{name}`") from None
    try:
        return cast(Task, replace(found, **values))
    except ValueError as error:
        raise fail("E801", f"task `{name}` refuses these parameters: {error}") from None


def identity(task: Task) -> str:
    """A task's digest together with a hash of its source file: an edited task is another task."""
    file = getattr(sys.modules.get(type(task).__module__), "__file__", None)
    code = Path(file).read_bytes().replace(b"\r\n", b"\n") if file else b""
    return f"{task.name}-{task.digest()}-{blake2b(code, digest_size=4).hexdigest()}"
