"""The same functions with fewer weights: what depends on weights only and may have any value becomes one weight.

Converts: a diagram into one of the same set of functions, with the weights of each in those of the other.
Non-goals: weights inside the bodies of loops; functions of weights that are no sums of products, such as exp(w).
"""

from __future__ import annotations

from dataclasses import dataclass

from anatomy.ir.graph import Diagram
from anatomy.rewrites.factors import merge_products
from anatomy.rewrites.joints import join
from anatomy.rewrites.normal import normal
from anatomy.rewrites.parametric import Parametric
from anatomy.rewrites.reparametrise import Fill, composed
from anatomy.rewrites.summands import free_summands, scales, totals, unread
from anatomy.rewrites.written import fills_of, reads_of, written

ROUNDS = 3


@dataclass(frozen=True)
class Absorbed:
    """A diagram with the same set of functions, and how the weights of both give one another.

    `fills` give the weights of the diagram that was absorbed in those of `diagram`, `reads` the reverse. `conditions` are
    inequalities of sizes; where one fails, `diagram` has more functions; `open` are conditions under which fewer weights
    would do. `moves` says what was done.
    """

    diagram: Diagram
    fills: tuple[Fill, ...]
    reads: tuple[Fill, ...]
    conditions: tuple[str, ...] = ()
    moves: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


def absorbed(diagram: Diagram, conditional: bool | frozenset[str] = False) -> Absorbed:
    """The diagram with every free function of weights as one weight.

    From the normal form: weights that are only ever scaled by `c != 0`, summed along an axis, or added to other weights take in
    what they stand with; `W = cat(W1, W2)` or a reshaped one that meets a vector of that form is taken apart;
    and `sum over e of A[d, e] * B[e, f]` is any matrix if and only if `e >= min(d, f)`, which is done where the sizes imply it,
    or, if `conditional`, always, with the condition noted, or where the condition is one of a given set.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis n, d, e diagram f(x: [n, d]) -> [n, e] { out lin W[d -> e](x) / 2 + lin V[d -> e](x) }"
    >>> found = absorbed(Program.of(Source("f.anat", text)).get("f"))
    >>> sorted(w.key for w in found.diagram.weights), found.conditions
    (['W', 'W.bias'], ())
    """
    fills: tuple[Fill, ...] | None = None
    reads: tuple[Fill, ...] = ()
    conditions: dict[str, None] = {}
    moves: list[str] = []
    here, open_ = diagram, ()
    for _ in range(ROUNDS):
        state = Parametric(normal(here).diagram)
        settle(state, conditional)
        open_ = tuple(state.open)
        if not state.moves and fills is not None:
            break
        forth, back = reads_of(state), fills_of(state)
        here = written(state) if state.moves else state.diagram
        reads = forth if fills is None else composed(forth, reads)
        fills = back if fills is None else composed(fills, back)
        conditions |= state.conditions
        moves += state.moves
        if not state.moves:
            break
    return Absorbed(here, fills or (), reads, tuple(conditions), tuple(moves), open_)


def settle(state: Parametric, conditional: bool | frozenset[str]) -> None:
    """Every move as often as it goes; each lowers the number of weights, of terms or of axes, or of odd coefficients."""
    while join(state) or totals(state) or free_summands(state) or merge_products(state, conditional):
        pass
    scales(state)
    unread(state)
