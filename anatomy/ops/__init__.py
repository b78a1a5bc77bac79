"""The operations of the language, one file each, and the table that names them all."""

from anatomy.ir.op import Op
from anatomy.ops.add import Add, Subtract
from anatomy.ops.cat import Cat
from anatomy.ops.compare import Compare
from anatomy.ops.contract import Contract
from anatomy.ops.cumulate import Cumsum
from anatomy.ops.elementwise import Map
from anatomy.ops.entmax import Entmax
from anatomy.ops.expand import Expand
from anatomy.ops.extremum import Extremum
from anatomy.ops.fourier import Fourier
from anatomy.ops.gather import Gather
from anatomy.ops.halves import Halves
from anatomy.ops.hole import Hole
from anatomy.ops.index import Index
from anatomy.ops.iota import Iota
from anatomy.ops.literal import Literal, Size
from anatomy.ops.logic import Both, Not
from anatomy.ops.mask import Mask
from anatomy.ops.multiply import Divide, Multiply
from anatomy.ops.noise import Noise
from anatomy.ops.normalise import Normalise
from anatomy.ops.power import Power
from anatomy.ops.reduce import Reduce
from anatomy.ops.reshape import Merge, Split
from anatomy.ops.scan import Scan
from anatomy.ops.shift import Shift
from anatomy.ops.sinkhorn import Sinkhorn
from anatomy.ops.softmax import Softmax
from anatomy.ops.solve import Solve
from anatomy.ops.sort import Sort
from anatomy.ops.sparsemax import Sparsemax
from anatomy.ops.topk import Topk
from anatomy.ops.unfold import Unfold
from anatomy.ops.where import Where

OPS: tuple[type[Op], ...] = (
    Add, Subtract, Multiply, Divide, Power, Map, Extremum, Where,
    Contract, Reduce, Cumsum, Softmax, Sparsemax, Entmax, Sinkhorn, Normalise, Solve,
    Expand, Split, Merge, Halves, Cat, Shift, Unfold, Fourier,
    Gather, Topk, Sort,
    Literal, Size, Iota, Index, Compare, Both, Not, Mask, Hole, Noise, Scan,
)  # fmt: skip


def find(word: str, bracketed: bool) -> type[Op] | None:
    """The operation that a word names; `max` and `min` are reductions exactly when they have brackets."""
    matches = [op for op in OPS if word in op.names]
    for op in matches:
        if (op.form != "plain") == bracketed:
            return op
    return matches[0] if matches else None


WORDS: frozenset[str] = frozenset(w for op in OPS for w in op.names if w[0].isalpha())

__all__ = [
    "OPS",
    "WORDS",
    "Add",
    "Both",
    "Cat",
    "Compare",
    "Contract",
    "Cumsum",
    "Divide",
    "Entmax",
    "Expand",
    "Extremum",
    "Fourier",
    "Gather",
    "Halves",
    "Hole",
    "Index",
    "Iota",
    "Literal",
    "Map",
    "Mask",
    "Merge",
    "Multiply",
    "Noise",
    "Normalise",
    "Not",
    "Power",
    "Reduce",
    "Scan",
    "Shift",
    "Sinkhorn",
    "Size",
    "Softmax",
    "Solve",
    "Sort",
    "Sparsemax",
    "Split",
    "Subtract",
    "Topk",
    "Unfold",
    "Where",
    "find",
]  # fmt: skip
