"""The sizes of a mixer's axes, by its own names and by those inside of a model."""

from __future__ import annotations

import re
from collections.abc import Mapping

from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram
from anatomy.ir.solve import concerning, solve

MIXER = re.compile(r"(?:\d+\.)*mixer(?:_\d+)?\.")
"""How the axes of the mixer begin in a model: those of block 1 with `1.mixer.`."""


def bound_sizes(diagram: Diagram, tokens: int, features: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """Sizes by the mixer's own axis names, its input [tokens, features] among them."""
    n, d = diagram.inputs[0].layout
    return {**sizes, n: tokens, d: features}


def heeded(diagram: Diagram, axis: str, sizes: Mapping[str, int], tokens: int, features: int) -> bool:
    """Whether an axis of this name, or of one that ends with it, comes out with the size that is given; also where sizes contradict, which its check will tell."""
    try:
        found = solve(diagram, bound_sizes(diagram, tokens, features, concerning(diagram, sizes)), run_time=False)
        return any(found.size(size).constant() == sizes[axis] for a, size in diagram.sizes.items() if a == axis or a.endswith(f".{axis}"))
    except (AnatomyError, ValueError):
        return True


def model_sizes(whole: Diagram, mixer: Diagram, tokens: int, features: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """Sizes by the names that the mixer's axes have in a model that holds it, for every block: an axis `c` of the model keeps its own size.

    Raises AnatomyError E402, E403, E405, E406 as the mixer alone would.
    """
    found = solve(mixer, bound_sizes(mixer, tokens, features, sizes), run_time=False).values
    given = {}
    for axis in whole.sizes:
        begin = MIXER.match(axis)
        inner = mixer.sizes.get(axis[begin.end() :]) if begin else None
        if inner is not None:
            given[axis] = inner.evaluate(found)
    return given
