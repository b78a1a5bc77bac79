"""How smooth attention is on text and at worst: local constants, adversarial inputs and bounds against n, layer by layer.

After Castin, Ablin and Peyré, "How Smooth Is Attention?" (2024, arXiv 2312.14820), with the Jacobian's norm in the place
of the functional that the released code computes, and with that functional beside it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anatomy import __version__
from anatomy.errors import fail
from anatomy.regularity.compose import Stuck, compose, sizes_of
from anatomy.study.adversarial import adversarial, castin
from anatomy.study.gpt2 import RandomGPT2
from anatomy.study.jacobian import norms, published
from anatomy.study.model import Attention, Model, chosen
from anatomy.study.pretrained import MiniLM, Missing, SmolLM2
from anatomy.study.report import write
from anatomy.study.settings import HALF, Settings
from anatomy.study.store import Store
from anatomy.study.text import fingerprint


@dataclass(frozen=True)
class Maker:
    """How a model is made from the seed, and what is known of it before it is loaded."""

    make: Callable[[int], Model]
    title: str
    depth: int
    width: int


MAKERS = {
    "gpt2-random": Maker(RandomGPT2, RandomGPT2.title, 12, 768),
    "smollm2": Maker(lambda seed: SmolLM2(), SmolLM2.title, 30, 576),
    "minilm": Maker(lambda seed: MiniLM(), MiniLM.title, 6, 384),
}


@dataclass(frozen=True)
class Outcome:
    """Where the report lies, how many cells it stands on, what it says, and what was left out and why."""

    folder: Path
    cells: int
    measured: int
    findings: list[dict[str, Any]]
    skipped: list[str] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        return {"folder": str(self.folder), "cells": self.cells, "measured": self.measured, "findings": self.findings,
                "skipped": self.skipped}  # fmt: skip


def smoothness(folder: str | Path, wanted: Settings, progress: bool = False) -> Outcome:
    """Measure what is not measured yet, then write tables, plots and the page into the folder.

    Raises AnatomyError: E811 where the folder holds another study, E901 where an attained value exceeds a bound.
    """
    folder = Path(folder)
    conditions = {k: v for k, v in wanted.as_data().items() if k != "models"}
    store = Store(folder, conditions | {"text": fingerprint(), "python": platform.python_version(),
                                        "torch": torch.__version__, "anatomy": __version__})  # fmt: skip
    skipped: list[str] = []
    before = len(store.cells)
    try:
        with bar(progress) as tell:
            for name in wanted.models:
                fill(name, wanted, store, skipped, tell)
    except KeyboardInterrupt:
        conclude(folder, wanted, store, skipped)
        raise
    found = conclude(folder, wanted, store, skipped)
    return Outcome(folder, len(store.cells), len(store.cells) - before, found, skipped)


def fill(name: str, wanted: Settings, store: Store, skipped: list[str], tell: Callable[[str, int, int], None]) -> None:
    """Measure what is missing of a model; a model that is not installed is left out, and said to be."""
    missing = [cell for cell in cells(name, wanted) if cell.name not in store]
    if not missing:
        return
    tell(f"loading {name}", 0, len(missing))
    try:
        bench = Bench(MAKERS[name].make(wanted.seed), wanted, store)
    except Missing as why:
        skipped.append(f"{name} is left out: {why}.")
        return
    for k, cell in enumerate(missing):
        tell(cell.name, k, len(missing))
        store.put(cell.name, bench.measure(cell))


def conclude(folder: Path, wanted: Settings, store: Store, skipped: Sequence[str]) -> list[dict[str, Any]]:
    """Write the report of what is measured so far, and say what is not."""
    sound(store.cells)
    notes = list(skipped)
    for name in wanted.models:
        every = cells(name, wanted)
        missing = sum(cell.name not in store for cell in every)
        if 0 < missing < len(every):
            notes.append(f"{missing} of {len(every)} cells of {name} are not measured yet; the same command goes on with them.")
    return write(folder, store.cells, wanted, {name: maker.title for name, maker in MAKERS.items()}, notes)


@dataclass(frozen=True)
class Cell:
    """One thing to measure; `batch` counts the batches of inputs."""

    kind: str
    model: str
    layer: int
    masked: bool = False
    n: int = 0
    batch: int = 0

    @property
    def name(self) -> str:
        if self.kind == "scale":
            return f"scale/{self.model}/{self.layer}"
        return f"{self.kind}/{self.model}/{self.layer}/{'masked' if self.masked else 'unmasked'}/{self.n}/{self.batch}"


COST = {"scale": 0, "text": 1, "adversarial": 4}
"""How long a cell takes for each token, roughly, against the others."""

BOUND = 100
"""The same of a bound, for any number of tokens: of one layer they share what takes long."""


def cells(model: str, wanted: Settings) -> list[Cell]:
    """All cells of a model, quick ones first."""
    layers = chosen(MAKERS[model].depth, wanted.layers)
    found = [Cell("scale", model, layer) for layer in layers]
    for n in wanted.tokens:
        for layer in layers:
            for masked in (True, False):
                found += [Cell("text", model, layer, masked, n, k) for k in range(len(wanted.batches(n, MAKERS[model].width)))]
                found.append(Cell("adversarial", model, layer, masked, n))
                found.append(Cell("bound", model, layer, masked, n))
    return sorted(found, key=lambda c: (BOUND, c.layer, c.masked, c.n) if c.kind == "bound" else (COST[c.kind] * c.n, c.layer, c.masked, c.n))


class Bench:
    """A loaded model with what its cells share."""

    def __init__(self, model: Model, wanted: Settings, store: Store):
        self.model, self.wanted, self.store = model, wanted, store
        self.layers = chosen(model.depth, wanted.layers)
        self._inputs: dict[int, dict[int, Tensor]] = {}
        self._attention: dict[tuple[int, bool], Attention] = {}

    def inputs(self, n: int, layer: int) -> Tensor:
        if n not in self._inputs:
            tokens = self.model.windows(n, self.wanted.count(n), self.wanted.seed)
            found = [self.model.inputs(tokens[r.start : r.stop], self.layers) for r in self.wanted.batches(n, self.model.width)]
            self._inputs[n] = {k: torch.cat([each[k] for each in found]) for k in self.layers}
        return self._inputs[n][layer]

    def attention(self, layer: int, masked: bool) -> Attention:
        if (layer, masked) not in self._attention:
            self._attention[layer, masked] = self.model.attention(layer, masked)
        return self._attention[layer, masked]

    def radius(self, layer: int) -> float:
        return self.store.cells[f"scale/{self.model.name}/{layer}"]["rms"]

    def measure(self, cell: Cell) -> dict[str, Any]:
        return getattr(self, f"_{cell.kind}")(cell)

    def _scale(self, cell: Cell) -> dict[str, Any]:
        """Norms of the layer's input tokens on text, and how well our diagram agrees with the model's own attention."""
        sizes = torch.cat([torch.linalg.vector_norm(self.inputs(n, cell.layer).double(), dim=-1).flatten() for n in self.wanted.tokens if n <= HALF])
        tokens = self.model.windows(min(64, max(self.wanted.tokens)), 1, self.wanted.seed)
        return {"rms": float(sizes.square().mean().sqrt()), "max": float(sizes.max()), "agreement": self.model.agreement(tokens, cell.layer),
                "source": self.model.source}  # fmt: skip

    def _text(self, cell: Cell) -> dict[str, Any]:
        layer, each = self.attention(cell.layer, cell.masked), self.wanted.batches(cell.n, self.model.width)[cell.batch]
        points = self.inputs(cell.n, cell.layer)[each.start : each.stop]
        return {
            "local": norms(layer.module, layer.double, points, self.wanted.seed).tolist(),
            "published": published(layer.double, points.double()).tolist(),
        }

    def _adversarial(self, cell: Cell) -> dict[str, Any]:
        found = adversarial(
            self.attention(cell.layer, cell.masked), self.radius(cell.layer), cell.n, self.inputs(cell.n, cell.layer),
            self.wanted.climb(cell.n), cell.n <= HALF, self.wanted.seed,
        )  # fmt: skip
        return {"adversarial": found.value, "start": found.start, "constructed": found.constructed}

    def _bound(self, cell: Cell) -> dict[str, Any]:
        layer, radius = self.attention(cell.layer, cell.masked), self.radius(cell.layer)
        published_bound = castin(layer, radius, cell.n)
        try:
            full = sizes_of(layer.diagram, {**layer.sizes, "n": cell.n})
            made = compose(layer.diagram, full, layer.weights, radius)
        except Stuck as stuck:
            return {"bound": None, "method": stuck.why, "castin": published_bound}
        bound = made.triple.two
        return {"bound": bound if bound < float("inf") else None, "method": made.method, "castin": published_bound}


def sound(measured: dict[str, dict[str, Any]]) -> None:
    """Nothing attained in the ball may exceed the bound for the ball."""
    for name, value in measured.items():
        if name.startswith("bound/") and value["bound"] is not None:
            attained = measured.get(name.replace("bound/", "adversarial/", 1))
            if attained is not None and attained["adversarial"] > value["bound"]:
                raise fail(
                    "E901", f"soundness: {attained['adversarial']!r} was attained in {name}, above the bound {value['bound']!r}",
                    notes=(f"the attained input: {attained}", "this is a defect of the checker: please report it"),
                )  # fmt: skip


@contextmanager
def bar(wanted: bool) -> Iterator[Callable[[str, int, int], None]]:
    """One line of progress on standard error, where it is wanted."""
    if not wanted:
        yield lambda words, done, total: None
        return
    from rich import progress as parts
    from rich.console import Console

    columns = (parts.BarColumn(), parts.MofNCompleteColumn(), parts.TimeElapsedColumn(), parts.TextColumn("{task.description}"))
    with parts.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("")
        yield lambda words, done, total: shown.update(task, description=words, completed=done, total=total)
