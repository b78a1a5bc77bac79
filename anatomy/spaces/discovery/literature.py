"""The mechanisms of the literature as keys: which members are one of them by the laws, and which by other weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram
from anatomy.ir.op import Problem
from anatomy.ir.poly import Poly
from anatomy.rewrites.relate import reduced
from anatomy.rewrites.specialise import at, inner_sizes, stem
from anatomy.spaces.funnel.forms import form
from anatomy.target import load_diagram, zoo_files

HEADS = ("h", "heads", "g")
"""Names of inner axes that are also tried at size 1."""


@dataclass(frozen=True)
class Work:
    """A mechanism, as it is or with an inner size set to 1 (`at`)."""

    name: str
    at: str
    diagram: Diagram

    @property
    def title(self) -> str:
        return f"{self.name} at {self.at}" if self.at else self.name


def function(diagram: Diagram) -> bytes | None:
    """Equal keys: equal normal forms, whichever way weights are drawn; None where it is not complete."""
    return form(diagram).function


def absorbed(diagram: Diagram) -> bytes | None:
    """Equal keys: the same set of functions, by other weights; None where it is too symmetric to be compared."""
    try:
        found = reduced(diagram)
    except (AnatomyError, Problem):
        return None
    frozen = [found.absorbed.diagram.weights[i].frozen for i in found.form.weights]
    return blake2b(found.form.form + bytes(frozen), digest_size=16).digest()


def variants(diagram: Diagram) -> Iterator[tuple[str, Diagram]]:
    """A diagram, what it is with one head, and both where all its other inner sizes are that of its first input's features."""
    heads = [("", diagram)]
    for v in inner_sizes(diagram):
        if stem(v) in HEADS:
            heads += _at(diagram, f"{stem(v)} = 1", ((v, Poly.of(1)),))
    for word, made in heads:
        yield word, made
        level = square(made)
        if level is not None:
            yield f"{word}, inner sizes alike" if word else "inner sizes alike", level


def square(diagram: Diagram) -> Diagram | None:
    """With every inner size that is free set to the size of the first input's last axis; None where there is none."""
    layout = next((i.layout for i in diagram.inputs if i.layout), ())
    feature = diagram.settled.of(diagram.sizes[layout[-1]]).as_variable() if layout else None
    inside = [v for v in inner_sizes(diagram) if v != feature]
    if feature is None or not inside:
        return None
    made = _at(diagram, "", tuple((v, Poly.var(feature)) for v in inside))
    return made[0][1] if made else None


def _at(diagram: Diagram, word: str, values: tuple[tuple[str, Poly], ...]) -> list[tuple[str, Diagram]]:
    try:
        return [(word, at(diagram, values))]
    except (AnatomyError, Problem):
        return []


Signature = tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]


def signature(diagram: Diagram) -> Signature:
    """Kinds and numbers of axes of inputs and results."""
    inputs = tuple((diagram.wires[i.wire].kind.name, len(i.layout)) for i in diagram.inputs)
    return inputs, tuple((diagram.wires[o.port.wire].kind.name, len(o.layout)) for o in diagram.outputs)


@cache
def works(types: frozenset[Signature]) -> tuple[Work, ...]:
    """All mechanisms of these types, in all their variants; one that does not load is left out."""
    found = []
    for name in sorted(n for n in zoo_files() if "/" not in n):
        try:
            diagram = load_diagram(f"zoo:{name}")
        except AnatomyError:
            continue
        if diagram.holes or signature(diagram) not in types:
            continue
        found += [Work(name, word, variant) for word, variant in variants(diagram)]
    return tuple(found)


def heading(name: str) -> str:
    """Who and when, from the head of a mechanism's file."""
    rows = Path(zoo_files()[name]).read_text("utf-8").splitlines()
    told = dict(row.removeprefix("# ").split(": ", 1) for row in rows if row.startswith("# ") and ": " in row)
    return ", ".join(told[word] for word in ("authors", "year") if word in told)
