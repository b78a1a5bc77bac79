"""The spaces as PyGlove writes them: `oneof` where an option is chosen, an object with a `oneof` of its own, `manyof`.

Its address of a member is a DNA, whose numbers are written down and read again; members in order come from `next_dna`,
random ones from `random_dna`, and objects from `iter` and `random_sample`, which decode a DNA into a symbolic object.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

from answering import Task, serve


def prepare(spaces: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Task | str]]:
    import pyglove as pg  # pyright: ignore[reportMissingImports]

    class Chosen(pg.Object):
        """An option with decisions of its own."""

        label: str
        below: pg.Dict

    def opened(option: Any) -> Any:
        if isinstance(option, str):
            return option
        ((label, holes),) = option.items()
        return Chosen(label, written(holes))

    def written(holes: dict[str, list[Any]]) -> Any:
        return pg.Dict({hole: pg.oneof([opened(o) for o in options]) for hole, options in holes.items()})

    options, times = spaces["long"]
    found = {
        "flat": written(spaces["flat"]),
        "nested": written(spaces["nested"]),
        "long": pg.Dict(phi=pg.manyof(times, options, distinct=False, sorted=False)),
    }
    tasks: dict[str, Task | str] = {}
    for name, space in found.items():
        tasks |= {f"{name} {what}": task for what, task in of(pg, space).items()}
    counts = {name: str(pg.dna_spec(space).space_size) for name, space in found.items()}
    return {"version": pg.__version__, "counts": counts}, tasks


def of(pg: Any, space: Any) -> dict[str, Task]:
    spec = pg.dna_spec(space)

    def following() -> Callable[[], int]:
        held = [spec.first_dna()]

        def step() -> int:
            held[0] = spec.next_dna(held[0]) or spec.first_dna()
            return 1

        return step

    def drawn() -> Callable[[], int]:
        rng = random.Random(0)
        return lambda: len([spec.random_dna(rng)])

    def address() -> Callable[[], int]:
        rng = random.Random(1)
        known = itertools.cycle([spec.random_dna(rng) for _ in range(64)])

        def step() -> int:
            dna = next(known)
            assert pg.DNA.from_numbers(dna.to_numbers(), spec) == dna
            return 1

        return step

    def objects() -> Callable[[], int]:
        made: list[Any] = [pg.iter(space)]

        def step() -> int:
            if next(made[0], None) is None:
                made[0] = pg.iter(space)
            return 1

        return step

    def sampled() -> Callable[[], int]:
        made = pg.random_sample(space, seed=2)
        return lambda: len([next(made)])

    return {"in order": following, "at random": drawn, "address": address, "object in order": objects, "object at random": sampled}


if __name__ == "__main__":
    serve(prepare)
