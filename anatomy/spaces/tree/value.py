"""What was decided, as data and as text: `dots`, `seq(relu, tanh)`, `gated(sigmoid)`, `dag[0>1 1>2](conv)`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Value:
    """A component, with what was decided below it; or several components put together.

    `label` is a component's, or `seq`, `bag`, `set`, `dag`. `parts` are the components put together, in order; for a
    component of a `tree`, what fills its holes; for one with decisions of its own, their values. `edges` are those of a
    `dag`, whose vertex 0 is the input and whose last vertex is the output; `parts` label the vertices between.

    >>> str(Value("seq", (Value("relu"), Value("tanh"))))
    'seq(relu, tanh)'
    """

    label: str
    parts: tuple[Value, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        edges = f"[{' '.join(f'{a}>{b}' for a, b in self.edges)}]" if self.edges else ""
        parts = f"({', '.join(map(str, self.parts))})" if self.parts else ""
        return f"{self.label}{edges}{parts}"
