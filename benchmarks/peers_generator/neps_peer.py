"""The spaces as NePS writes them: a `PipelineSpace` of `Categorical`, an `Operation` with one of its own, `Repeated`.

It has no count. A member is what `resolve` makes; its address is the record of the samplings made, from which it is resolved
again; all in order come from the grid of its grid search, a list; objects from `sample`, which calls the operations.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from answering import Task, serve


class Chosen:
    """An option with decisions of its own."""

    def __init__(self, label: str, **below: Any):
        self.label, self.below = label, below


def prepare(spaces: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Task | str]]:
    import neps  # pyright: ignore[reportMissingImports]
    from neps.space.neps_spaces import parameters  # pyright: ignore[reportMissingImports]

    def opened(option: Any) -> Any:
        if isinstance(option, str):
            return option
        ((label, holes),) = option.items()
        return neps.Operation(operator=Chosen, args=(label,), kwargs={hole: chosen(options) for hole, options in holes.items()})

    def chosen(options: list[Any]) -> Any:
        return neps.Categorical(choices=tuple(opened(o) for o in options))

    def written(name: str, attributes: dict[str, Any]) -> Any:
        return type(name, (neps.PipelineSpace,), attributes)()

    options, times = spaces["long"]
    found = {
        "flat": written("Flat", {hole: chosen(options) for hole, options in spaces["flat"].items()}),
        "nested": written("Nested", {hole: chosen(options) for hole, options in spaces["nested"].items()}),
        "long": written("Long", {"phi": parameters.Repeated(count=times, content=parameters.Resample(chosen(options)))}),
    }
    tasks: dict[str, Task | str] = {}
    for name, space in found.items():
        tasks |= {f"{name} {what}": task for what, task in of(space).items()}
    tasks["nested in order"] = "its grid leaves what an option decides below to chance"
    tasks["nested object in order"] = tasks["nested in order"]
    tasks["long in order"] = tasks["long object in order"] = "its grid does not know repetition"
    return {"version": version("neural-pipeline-search"), "counts": {}}, tasks


def of(space: Any) -> dict[str, Task]:
    from neps.optimizers.utils.grid import make_grid  # pyright: ignore[reportMissingImports]
    from neps.space.neps_spaces.neps_space import NepsCompatConverter, resolve  # pyright: ignore[reportMissingImports]
    from neps.space.neps_spaces.sampling import OnlyPredefinedValuesSampler  # pyright: ignore[reportMissingImports]

    def drawn() -> Callable[[], int]:
        return lambda: len(resolve(space)[:1])

    def address() -> Callable[[], int]:
        known = itertools.cycle([NepsCompatConverter.to_neps_config(resolve(space)[1]) for _ in range(256)])

        def step() -> int:
            config = next(known)
            held = NepsCompatConverter.from_neps_config(config)
            again = resolve(space, OnlyPredefinedValuesSampler(held.predefined_samplings), held.environment_values)[1]
            assert NepsCompatConverter.to_neps_config(again) == config
            return 1

        return step

    def in_order() -> Callable[[], int]:
        return lambda: len(make_grid(space))

    def object_in_order() -> Callable[[], int]:
        known = itertools.cycle([NepsCompatConverter.from_neps_config(c).predefined_samplings for c in make_grid(space)])
        return lambda: len(resolve(space, OnlyPredefinedValuesSampler(next(known)))[:1])

    def sampled() -> Callable[[], int]:
        return lambda: len(space.sample()[:1])

    return {"in order": in_order, "at random": drawn, "address": address, "object in order": object_in_order, "object at random": sampled}


if __name__ == "__main__":
    serve(prepare)
