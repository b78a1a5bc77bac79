"""What an operation is: one row of the table, with its typing, lowering, glyph, bound and algebra."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Literal

from anatomy.ir.graph import REAL, Kind
from anatomy.ir.poly import Poly

if TYPE_CHECKING:
    from anatomy.ir.bound import Bound, BoundContext
    from anatomy.ir.builder import Builder, View
    from anatomy.ir.code import Emitter, Operand
    from anatomy.ir.glyph import Glyph
    from anatomy.ir.graph import Diagram, Node


class Problem(Exception):
    """A typing rule refuses; the elaborator turns it into a diagnostic with places."""

    def __init__(
        self, code: str, message: str, port: int | None = None, axis: str | None = None, help: str = ""
    ):
        super().__init__(message)
        self.code, self.message, self.port, self.axis, self.help = code, message, port, axis, help


Form = Literal["plain", "axes", "arrow", "predicate"]


@dataclass(frozen=True)
class Op(ABC):
    """An operation without its axes: attributes only, frozen, compared by value.

    The axes an operation works on stand in `Node.own`, in role order. Every other axis of the
    inputs is a lift, so no rule below ever mentions batch, heads or lanes.
    """

    names: ClassVar[tuple[str, ...]] = ()
    """The words of the language that make this operation."""
    form: ClassVar[Form] = "plain"
    """How it is written: `f(x)`, `f[a, b](x)`, `f[a -> b](x)` or `f[predicate](x)`."""
    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    """The least and the greatest number of operands."""
    commutative: ClassVar[bool] = False
    """All operands may be interchanged."""
    symmetric: ClassVar[bool] = True
    """The order of the own axes does not matter."""
    algebra: ClassVar[Literal["linear", "multilinear", "none"]] = "none"
    """Jointly linear in all operands, linear in each, or neither."""
    zips: ClassVar[bool] = False
    """Axes that several operands share want to stand first, as they do for a contraction."""
    knows_position: ClassVar[bool] = False
    """It treats the positions of its own axes differently: not equivariant under a permutation of them."""
    looks: ClassVar[Literal["all", "past", "self", "lower"]] = "all"
    """Which positions of an own axis that it keeps an output position may depend on; `lower`: of both own axes, those not after it."""
    logarithmic: ClassVar[bool] = False
    """Its work has a factor logarithmic in its own axes, which `flops` counts as a constant."""
    options: ClassVar[tuple[str, ...]] = ()
    """Names of the numeric options that may stand in the brackets."""
    flags: ClassVar[frozenset[str]] = frozenset()
    """Those options that are `true` or `false`."""
    static: ClassVar[dict[int, str]] = {}
    """Operand positions that must be literals and become attributes; `name=value` may stand there, or in the brackets."""
    inexact: ClassVar[frozenset[str]] = frozenset()
    """Those attributes that need not be integers."""
    wired: ClassVar[frozenset[str]] = frozenset()
    """Those attributes that may be a wire instead, which is then a last operand."""
    into: ClassVar[dict[int, int]] = {}
    """Operands that must be indices, each with the place in `own` of the axis that it points into."""
    random: ClassVar[bool] = False
    """It gives other numbers at every forward, so that two of them are never one."""
    hole: ClassVar[str] = ""
    """The name of the hole, for the one operation that is one."""
    body: ClassVar[Diagram | None] = None
    """What one step computes, for the one operation that is a loop; its axes are `Node.own[1:]`, in the order of its header."""
    carries: ClassVar[int] = 0
    """Of a loop, how many of its first operands are initial states."""

    @classmethod
    def make(cls, word: str, options: dict[str, float]) -> Op:
        """The operation for a word of the language with its options."""
        return cls(**options)

    @property
    @abstractmethod
    def word(self) -> str:
        """The word that writes this operation."""

    @property
    def written(self) -> tuple[tuple[str, Fraction | int], ...]:
        """The attributes that stand behind the operands, each with its name, or '' where it is given by its place."""
        return ()

    def last(self, own: tuple[str, ...]) -> tuple[str, ...]:
        """Own axes that want to be the last dimension of their operands."""
        return ()

    # typing -----------------------------------------------------------------------------------

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        """The own axes that operand `port` may have and those that it must have: by default all."""
        everything = frozenset(own)
        return everything, everything

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """For every output its own axes; lifts are added by the graph."""
        return ((),)

    def kinds(self, kinds: Sequence[Kind]) -> tuple[Kind, ...]:
        """Kinds of the outputs; refuses with `Problem` where an operand has a wrong one.

        Indices read as reals, never the reverse; masks are not numbers (ruling 24).
        """
        refuse_masks(self.word, kinds)
        return (REAL,) * len(self.gives(()) or ((),))

    def parallel(self, builder: Builder, node: Node, views: Sequence[View], used: Sequence[bool]) -> tuple[View, ...] | None:
        """The results of a loop by a closed form, where it has one; only those that are used need be right."""
        return None

    def within(self, body: Diagram) -> Op:
        """The same loop around another body with the same ends."""
        raise NotImplementedError

    def repeats(self, own: tuple[str, ...], port: int) -> frozenset[str]:
        """Own axes along which operand `port` is repeated where it lacks them: by default none."""
        return frozenset()

    def placed(self, kind: Kind, own: tuple[str, ...]) -> Kind:
        """The kind of an output at a node: an index without an axis is one into the first own axis."""
        return Kind(kind.name, own[0]) if kind.name == "index" and not kind.axis else kind

    def check(self, own: tuple[str, ...], ports: Sequence[tuple[str, ...]]) -> None:
        """Further conditions on which operand has which axes: by default none."""
        return None

    def equations(self, own: tuple[str, ...], size: Callable[[str], Poly], ports: int) -> list[tuple[Poly, Poly, str]]:
        """Size equations that must be provable, each with the words that say why."""
        return []

    def positional(self, own: tuple[str, ...], used: Sequence[bool]) -> tuple[str, ...]:
        """The own axes whose positions it treats differently, given which of its outputs are read."""
        return own if self.knows_position else ()

    def contraction(self) -> Op | None:
        """This operation as a contraction (a product of all operands summed over the own axes), where it is one."""
        return None

    # interpretation ---------------------------------------------------------------------------

    @abstractmethod
    def lower(self, emit: Emitter) -> list[Operand]:
        """The PyTorch code of the outputs."""

    @abstractmethod
    def glyph(self, own: tuple[str, ...]) -> Glyph:
        """How the box is drawn."""

    @abstractmethod
    def bound(self, ctx: BoundContext) -> list[Bound]:
        """A sound bound on the values and on the derivative of every output."""

    def flops(self, work: Poly) -> Poly:
        """Floating-point operations, given the number of points of all own axes and lifts together."""
        return work


def refuse_masks(word: str, kinds: Sequence[Kind]) -> None:
    for port, kind in enumerate(kinds):
        if kind.name == "mask":
            raise Problem(
                "E307",
                f"`{word}` wants a real wire, but operand {port + 1} is a mask",
                port,
                help="choose values with `where(mask, a, b)`",
            )


def joined(axes: Sequence[str]) -> str:
    return ", ".join(axes)
