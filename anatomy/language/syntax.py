"""The syntax tree: what was written, with the place of every piece (`at` = start and end offsets)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

At = tuple[int, int]


@dataclass(slots=True, eq=False)
class Node:
    at: At


@dataclass(slots=True, eq=False)
class Name(Node):
    text: str


@dataclass(slots=True, eq=False)
class QName(Node):
    """A dotted name: `sdpa`, `mine.sdpa`, `s.last`."""

    parts: tuple[Name, ...]

    @property
    def text(self) -> str:
        return ".".join(p.text for p in self.parts)


# sizes


@dataclass(slots=True, eq=False)
class SizeInt(Node):
    value: int


@dataclass(slots=True, eq=False)
class SizeName(Node):
    name: Name


@dataclass(slots=True, eq=False)
class SizeOp(Node):
    op: str
    left: Size
    right: Size


Size = SizeInt | SizeName | SizeOp


@dataclass(slots=True, eq=False)
class Equation(Node):
    left: Size
    right: Size


# expressions


@dataclass(slots=True, eq=False)
class Ref(Node):
    name: QName


@dataclass(slots=True, eq=False)
class Number(Node):
    text: str

    @property
    def value(self) -> Fraction:
        return Fraction(self.text)


@dataclass(slots=True, eq=False)
class Unary(Node):
    op: str
    operand: Expr


@dataclass(slots=True, eq=False)
class Binary(Node):
    op: str
    left: Expr
    right: Expr


@dataclass(slots=True, eq=False)
class Option(Node):
    """`name = value` in brackets: a binding of axes or an option."""

    name: Name
    value: Expr


@dataclass(slots=True, eq=False)
class Bracket(Node):
    """`[a, b -> c; d=e]`: entries and the marks `,` `->` `;` between them; a leading `->` is marks[0]."""

    entries: tuple[Expr | Option, ...]
    marks: tuple[str, ...]
    leading: bool = False


@dataclass(slots=True, eq=False)
class Init(Node):
    name: Name
    args: tuple[Expr, ...] | None


@dataclass(slots=True, eq=False)
class Call(Node):
    name: QName
    label: Name | None
    bracket: Bracket | None
    args: tuple[Expr, ...]
    named: tuple[Option, ...] = ()
    """Attributes by name, behind the operands: `steps=5`."""


@dataclass(slots=True, eq=False)
class Lin(Node):
    name: Name
    bracket: Bracket | None
    init: Init | None
    args: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class Table(Node):
    name: Name
    bracket: Bracket | None
    init: Init | None
    args: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class Rename(Node):
    operand: Expr
    bracket: Bracket


Expr = Ref | Number | Unary | Binary | Call | Lin | Table | Rename


# types and headers


@dataclass(slots=True, eq=False)
class Type(Node):
    """`[n, d]`, `mask[n, m]`, `index(m)[n]`."""

    kind: Name | None
    of: Name | None
    axes: tuple[Name, ...]


@dataclass(slots=True, eq=False)
class Param(Node):
    name: Name
    type: Type


@dataclass(slots=True, eq=False)
class Signature(Node):
    params: tuple[Param, ...]
    results: tuple[Type, ...]


# statements


@dataclass(slots=True, eq=False)
class Assign(Node):
    names: tuple[Name, ...]
    value: Expr


@dataclass(slots=True, eq=False)
class WeightDecl(Node):
    frozen: bool
    name: Name
    bracket: Bracket
    init: Init | None


@dataclass(slots=True, eq=False)
class NoiseDecl(Node):
    name: Name
    bracket: Bracket
    init: Init | None


@dataclass(slots=True, eq=False)
class Simd(Node):
    axes: tuple[Name, ...]
    body: tuple[Statement, ...]


@dataclass(slots=True, eq=False)
class HoleDecl(Node):
    name: Name
    signature: Signature


@dataclass(slots=True, eq=False)
class Carry(Node):
    """A state of a loop and its first value: `s: [d] = 0`."""

    name: Name
    type: Type
    value: Expr


@dataclass(slots=True, eq=False)
class Scan(Node):
    axis: Name
    carries: tuple[Carry, ...]
    body: tuple[Statement, ...]


@dataclass(slots=True, eq=False)
class Tie(Node):
    names: tuple[QName, ...]


@dataclass(slots=True, eq=False)
class Out(Node):
    values: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class Next(Node):
    """`next s = e`: what a state of the loop around it is after this step."""

    name: Name
    value: Expr


@dataclass(slots=True, eq=False)
class Turn(Node):
    """`z = z0`: a state of a `repeat`, with its first value."""

    name: Name
    value: Expr


@dataclass(slots=True, eq=False)
class Repeat(Node):
    """`repeat 6 (z = z0) { ... next z = e }`; `tied` shares the weights of all turns."""

    tied: bool
    count: int | Name
    turns: tuple[Turn, ...]
    body: tuple[Statement, ...]


# items

@dataclass(slots=True, eq=False)
class Lang(Node):
    version: int

@dataclass(slots=True, eq=False)
class AxisItem(Node):
    name: Name
    size: Size | None

@dataclass(slots=True, eq=False)
class AxisDecl(Node):
    items: tuple[AxisItem, ...]

@dataclass(slots=True, eq=False)
class Use(Node):
    """`use std.attn (sdpa, rope)` or `use "mine.anat" as mine`."""

    module: QName | str
    names: tuple[Name, ...]
    alias: Name | None
    module_at: At

@dataclass(slots=True, eq=False)
class DiagramDecl(Node):
    name: Name
    signature: Signature
    where: tuple[Equation, ...]
    body: tuple[Statement, ...]

@dataclass(slots=True, eq=False)
class PartDecl(DiagramDecl):
    """A hole with a default: a diagram declared inside another, under the name `outer.part` (ruling 20)."""

@dataclass(slots=True, eq=False)
class Variable(Node):
    """`c: number`, `k: integer`, `f: map`: what a rule leaves open besides wires."""

    name: Name
    kind: Name

@dataclass(slots=True, eq=False)
class Condition(Node):
    """`0 < t`, `n = 2 * r`, `f(0) = 0`; without a sign it is asked as it stands, `some[m](p)`."""

    left: Expr
    sign: str
    right: Expr | None

@dataclass(slots=True, eq=False)
class RuleDecl(Node):
    name: Name
    params: tuple[Param | Variable, ...]
    where: tuple[Condition, ...]
    left: Expr
    relation: str
    right: Expr

# spaces

@dataclass(slots=True, eq=False)
class Chosen(Node):
    """A value as text: `dots`, `2`, `seq(relu, tanh)`, `dag[0>1 1>2](conv)`."""

    label: str
    parts: tuple[Chosen, ...] = ()
    edges: tuple[Edge, ...] = ()

@dataclass(slots=True, eq=False)
class Edge(Node):
    source: int
    sign: str
    target: int

@dataclass(slots=True, eq=False)
class GuardTest(Node):
    """`score == dots`, `r in {1, 2}`; a bare flag has no `op`."""

    name: QName
    op: str
    values: tuple[Chosen, ...]

@dataclass(slots=True, eq=False)
class GuardNot(Node):
    of: Guard

@dataclass(slots=True, eq=False)
class GuardOp(Node):
    op: str
    left: Guard
    right: Guard

Guard = GuardTest | GuardNot | GuardOp

@dataclass(slots=True, eq=False)
class When(Node):
    guard: Guard
    otherwise: Chosen | None

@dataclass(slots=True, eq=False)
class Offer(Node):
    """An option; with `items`, the decisions of its own holes."""

    name: QName
    items: tuple[SpaceItem, ...]
    opened: bool

@dataclass(slots=True, eq=False)
class Offers(Node):
    """`{ a, b }`, or a name in the place of the braces."""

    options: tuple[Offer, ...]

@dataclass(slots=True, eq=False)
class DomainText(Node):
    """`{ a, b }`, `seq 1 to 3 of { a, b }`; numbers that are not written are None."""

    form: str
    offers: Offers
    least: int | None = None
    most: int | None = None
    ranged: bool = False
    """Whether both bounds are written: `3` is 3, but of a tree at most 3."""
    join: Name | None = None
    edges: int | None = None

@dataclass(slots=True, eq=False)
class Choose(Node):
    names: tuple[Name, ...]
    domain: DomainText
    when: When | None

@dataclass(slots=True, eq=False)
class ChooseFlag(Node):
    name: Name
    when: When | None

@dataclass(slots=True, eq=False)
class AxisSizes(Node):
    """`param r in { 1, 2, 4 }`."""

    name: Name
    sizes: tuple[Expr, ...]
    when: When | None

@dataclass(slots=True, eq=False)
class Optional(Node):
    names: tuple[Name, ...]

@dataclass(slots=True, eq=False)
class Share(Node):
    """`share f, g`; with `learners`, `tie f, g`."""

    names: tuple[Name, ...]
    learners: bool

@dataclass(slots=True, eq=False)
class Except(Node):
    guard: Guard

@dataclass(slots=True, eq=False)
class Require(Node):
    """`require causal`, `require not causal`, `require cost <= n^2`."""

    what: Name
    sign: str
    value: Expr | None
    negated: bool = False

@dataclass(slots=True, eq=False)
class Prefer(Node):
    name: Name
    weights: tuple[tuple[Chosen, Expr], ...]

@dataclass(slots=True, eq=False)
class Take(Node):
    """`parts score from zoo`; without names, all parts."""

    names: tuple[Name, ...]
    source: Name

@dataclass(slots=True, eq=False)
class Pick(Node):
    name: Name
    value: Chosen

@dataclass(slots=True, eq=False)
class Near(Node):
    """`within 2`, `within 2 of NAME`, `within 2 of { score: dots }`."""

    distance: int
    centre: QName | tuple[Pick, ...] | None

SpaceItem = Choose | ChooseFlag | AxisSizes | Optional | Share | Except | Require | Prefer | Take | Near

@dataclass(slots=True, eq=False)
class AnySpace(Node):
    name: Name

@dataclass(slots=True, eq=False)
class SpaceDecl(AnySpace):
    """`family S of D { choose ... }` or `space S of D { ... }`."""

    word: str
    of: QName
    items: tuple[SpaceItem, ...]

@dataclass(slots=True, eq=False)
class SpaceView(AnySpace):
    """`space T = pairs S where ... within ...`, `space W = { S, T }`."""

    pairs: bool
    sources: tuple[QName, ...]
    united: bool
    views: tuple[Guard | Near, ...]

@dataclass(slots=True, eq=False)
class MemberDecl(Node):
    """`member best of S { score: dots }`."""

    name: Name
    of: QName
    picks: tuple[Pick, ...]

@dataclass(slots=True, eq=False)
class FamilyDecl(Node):
    name: Name
    members: tuple[QName, ...]

@dataclass(slots=True, eq=False)
class Written(Node):
    """A diagram written where it is used: `{ ... }` with the header of what it fills, or with a header of its own."""

    signature: Signature | None
    where: tuple[Equation, ...]
    body: tuple[Statement, ...]

@dataclass(slots=True, eq=False)
class Fill(Node):
    """`fill score := general`: a hole, or a weight by its key, and what takes its place; a lone name may be that of a diagram."""

    hole: QName
    filler: Expr | Written

@dataclass(slots=True, eq=False)
class Reason(Node):
    """What follows `by`: `word` says which of the other fields count, "rules", "fill", "sizes", "tie" or "universal"."""

    word: str
    names: tuple[QName, ...] = ()
    """Of rules, or of weights and holes that become one."""
    fills: tuple[Fill, ...] = ()
    back: tuple[Fill, ...] = ()
    sizes: tuple[Equation, ...] = ()
    law: Name | None = None
    invariant: tuple[Name, ...] = ()
    inverse: Expr | Written | None = None

@dataclass(slots=True, eq=False)
class Step(Node):
    """`== c by rule1, rule2`; `to` is None where the diagram is left open, as `?` or `...`."""

    relation: str
    to: QName | None
    text: str
    reason: Reason | None

@dataclass(slots=True, eq=False)
class DeriveDecl(Node):
    """`derive name: a >= b { a  == c by rule  >= b by fill h := d }`; `body` is a name and its steps."""

    name: Name
    left: QName
    relation: str
    right: QName
    body: tuple[Node, ...]

Statement = Assign | WeightDecl | NoiseDecl | Simd | HoleDecl | PartDecl | Tie | Out | Scan | Repeat | Next
Item = Lang | AxisDecl | Use | DiagramDecl | RuleDecl | AnySpace | FamilyDecl | MemberDecl | DeriveDecl

@dataclass(slots=True, eq=False)
class Comment(Node):
    text: str

@dataclass(slots=True, eq=False)
class File(Node):
    items: tuple[Item, ...]
    comments: tuple[Comment, ...]
