"""A job and its key: the hash of everything that its result depends on, and of nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import blake2b
from importlib import metadata
from pathlib import Path
from typing import Literal

from anatomy.ir.graph import Diagram

Stage = Literal["check", "initialisation", "regularity", "train"]
RUN = ("ir", "ops", "compiler", "sweep/evaluate.py", "sweep/check.py", "sweep/sizes.py")
FIT = ("sweep/mixer.py", "sweep/backbone.py", "sweep/fit.py", "sweep/streamed.py", "sweep/text.py", "language", "../zoo/spaces/backbone.anat")
WATCHED: dict[Stage, tuple[str, ...]] = {
    "check": RUN, "initialisation": (*RUN, "sweep/initialisation.py"), "train": (*RUN, *FIT), "regularity": (*RUN, "regularity", "api.py", "sweep/certify.py")
}  # fmt: skip
"""What of this package, and of the library beside it, decides the results of a stage; a change in any of these files makes them stale."""
PACKAGES = ("torch", "numpy", "opt_einsum", "python-flint")


@dataclass(frozen=True)
class Job:
    """One unit of work on one variant. `diagram` travels with it but is not part of its identity: `variant` is."""

    key: str
    stage: Stage
    variant: str
    task: str
    budget: int
    seed: int
    sizes: tuple[tuple[str, int], ...]
    options: tuple[tuple[str, float | str], ...] = ()
    diagram: Diagram | None = field(default=None, compare=False, repr=False)
    identity: str = field(default="", compare=False, repr=False)
    """What the key hashes: JSON of variant, stage, task with parameters, budget, seed, data, evaluator, sizes, options."""


def bare(diagram: Diagram) -> Diagram:
    """The diagram as jobs see it: without source places, drawing frames and its name, none of which may matter."""
    return replace(
        diagram,
        name="mixer",
        span=None,
        inputs=tuple(replace(i, span=None) for i in diagram.inputs),
        outputs=tuple(replace(o, span=None) for o in diagram.outputs),
        weights=tuple(replace(w, span=None) for w in diagram.weights),
        wires=tuple(replace(w, span=None) for w in diagram.wires),
        nodes=tuple(replace(n, span=None, frame=()) for n in diagram.nodes),
        equations=tuple(replace(e, span=None) for e in diagram.equations),
        where=tuple(replace(e, span=None) for e in diagram.where),
    )


def variant_hash(diagram: Diagram, code: str) -> str:
    """The identity of a variant for its results: the canonical hash, and the presentation it is run in.

    Isomorphic diagrams that are written differently may differ in the last bit of a sum and in the names that
    seed their weights, so a result is shared only between equal presentations; merging is done before, by the
    canonical hash alone, and the representative of a class is always the same.
    """
    shown = json.dumps(
        [
            [[i.name, i.layout] for i in diagram.inputs],
            [[o.port.wire, o.port.renames, o.layout] for o in diagram.outputs],
            [[w.keys, w.wire, w.lanes, w.fan_in, w.fan_out, str(w.init), w.init.args, w.frozen] for w in diagram.weights],
            [[sorted(w.axes), str(w.kind), w.name] for w in diagram.wires],
            [[repr(n.op), n.own, [[p.wire, p.renames] for p in n.ports], n.outs] for n in diagram.nodes],
            [[a, str(p)] for a, p in diagram.sizes.items()],
            [[str(e.left), str(e.right)] for e in diagram.equations],
            [[a, str(p)] for a, p in diagram.defaults],
        ],
        separators=(",", ":"),
    )
    return f"{code}-{blake2b(shown.encode(), digest_size=4).hexdigest()}"


def job(
    stage: Stage,
    variant: str,
    diagram: Diagram,
    sizes: Mapping[str, int],
    evaluator: str,
    task: str = "",
    task_digest: str = "",
    data: str = "",
    budget: int = 0,
    seed: int = 0,
    options: Mapping[str, float | str] | None = None,
) -> Job:
    """A job with its key: blake2b over variant, stage or task with its parameters, budget, seed, data and evaluator."""
    fixed, more = tuple(sorted(sizes.items())), tuple(sorted((options or {}).items()))
    told = json.dumps([variant, stage, task_digest, budget, seed, data, evaluator, fixed, more], separators=(",", ":"))
    key = blake2b(told.encode(), digest_size=16).hexdigest()
    return Job(key, stage, variant, task, budget, seed, fixed, more, diagram, told)


@cache
def evaluator_version(stage: Stage = "train") -> str:
    """A hash of the code that makes a stage's results and of the libraries it calls; nothing is imported for it."""
    root = Path(__file__).resolve().parent.parent
    found = blake2b(digest_size=8)
    for name in WATCHED[stage]:
        path = root / name
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix in (".py", ".anat"))
        for file in files:
            found.update((name if path.is_file() else file.relative_to(root).as_posix()).encode() + b"\0" + file.read_bytes().replace(b"\r\n", b"\n"))
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    found.update("/".join([python, *map(_version, PACKAGES)]).encode())
    return found.hexdigest()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
