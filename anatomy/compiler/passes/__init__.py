"""The passes of the compiler: rewrites of the graph, in the order in which they run, before one line is written.

Each is a file that says what it converts and what it leaves alone; each gives a diagram with the same function and tells what it
did. All but `attention` keep ordinary PyTorch operations; that one calls a fused kernel, whose derivative
PyTorch can neither differentiate again nor take forward. `DIFFERENTIABLE` leaves that one out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from anatomy.compiler.passes.attention import attention
from anatomy.compiler.passes.chunk import chunk
from anatomy.compiler.passes.closed import closed
from anatomy.compiler.passes.convolve import convolve
from anatomy.compiler.passes.linear import linear
from anatomy.compiler.passes.multilinear import multilinear
from anatomy.compiler.passes.note import Note
from anatomy.compiler.passes.pairs import pairs
from anatomy.compiler.passes.quadratic import quadratic
from anatomy.compiler.passes.reassociate import reassociate
from anatomy.compiler.passes.scale import scale
from anatomy.compiler.passes.share import share
from anatomy.compiler.passes.sink import sink
from anatomy.compiler.passes.static import static
from anatomy.compiler.passes.turn import turn
from anatomy.compiler.passes.window import window
from anatomy.errors import fail
from anatomy.ir.graph import Diagram
from anatomy.ir.solve import Solution

__all__ = ["ALL", "DIFFERENTIABLE", "PASSES", "Note", "chosen", "optimised"]


@dataclass(frozen=True)
class Pass:
    """One rewrite of a whole diagram."""

    name: str
    summary: str
    run: Callable[[Diagram, Solution, list[Note]], Diagram]


PASSES = (
    Pass("closed", "loops with a closed form are computed for all steps at once", closed),
    Pass("share", "what is computed twice is computed once", share),
    Pass("chunk", "states of linear recurrences that queries read become products of matrices in chunks of steps", chunk),
    Pass("quadratic", "sums under a causal mask without a softmax become recurrences in chunks of steps", quadratic),
    Pass("reassociate", "divisors that are equal for all terms leave a sum, and products that several sums read are taken apart", reassociate),
    Pass("multilinear", "multiply-then-sum, and contractions of contractions, become one contraction in the cheapest order", multilinear),
    Pass("attention", "softmax attention becomes one call of scaled_dot_product_attention", attention),
    Pass("window", "attention under a mask of positions that shows few keys to a row is computed in blocks", window),
    Pass("sink", "outer products that only a loop reads, and contractions of its states, go into the loop", sink),
    Pass("pairs", "contractions of many factors become contractions of two, in the cheapest order", pairs),
    Pass("convolve", "windows of entries times taps become convolutions", convolve),
    Pass("scale", "numbers that scale a large product scale a small factor of it", scale),
    Pass("turn", "turns of pairs of features, such as rotary positions, take one pass", turn),
    Pass("linear", "a product with a weight starts from the bias that is added to it", linear),
    Pass("static", "what depends on sizes alone is computed once and kept, what a loop does not change before the loop", static),
)
ALL = tuple(p.name for p in PASSES)
DIFFERENTIABLE = tuple(n for n in ALL if n != "attention")
"""Passes whose code may be differentiated as often as one likes, forward and in reverse, and mapped over by `torch.func`."""


def optimised(diagram: Diagram, solution: Solution, names: Iterable[str], notes: list[Note]) -> Diagram:
    """The diagram after the named passes, in the order of the table; what they did is added to `notes`."""
    wanted = frozenset(names)
    for one in PASSES:
        if one.name in wanted:
            diagram = one.run(diagram, solution, notes)
    return diagram


def chosen(words: Sequence[str]) -> tuple[str, ...]:
    """The passes that a list names: `all`, `none`, names, and `-name` to take one out; a list that starts with that starts from all.

    >>> chosen(["all", "-attention"])
    ('closed', 'share', 'chunk', 'quadratic', 'reassociate', 'multilinear', 'window', 'sink', 'pairs', 'convolve', 'scale', 'turn', 'linear', 'static')
    """
    found = set(ALL) if words and words[0].startswith("-") else set[str]()
    for word in words:
        name = word.removeprefix("-")
        if name not in (*ALL, "all", "none"):
            raise fail("E409", f"there is no pass `{name}`", None, help=f"the passes are {', '.join(ALL)}; or `all`, `none`, `-NAME`")
        named = set(ALL) if name == "all" else {name} & set(ALL)
        found = found - named if word.startswith("-") else found | named
    return tuple(n for n in ALL if n in found)
