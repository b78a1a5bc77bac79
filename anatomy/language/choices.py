"""What a space leaves open, as data: decisions, the domains they choose from, conditions and requirements.

Nothing here counts or builds; `anatomy.language.spaces` makes these from text and `anatomy.spaces` counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from anatomy.errors import Span
from anatomy.ir.graph import Diagram

Form = Literal["one", "seq", "bag", "set", "tree", "dag"]
Join = Literal["add", "multiply", "max", "min"]


@dataclass(frozen=True)
class Component:
    """One thing that may be chosen: a diagram for a hole, or (`diagram` is None) a number or a truth value.

    `label` is what stands for it in the text of a member: `dots`, `cosine.score` for the part of a mechanism of the zoo,
    `none` for a hole that passes its first wire on, `2`, `true`. `inner` are the decisions of its own holes.
    """

    label: str
    diagram: Diagram | None = None
    inner: tuple[Decision, ...] = ()
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Domain:
    """What one decision chooses from.

    `one`: one component. `seq`: least to most components, one after the other. `bag`, `set`: least to most components side by
    side, joined by `join`; a bag may repeat, a set may not, and neither has an order. `tree`: a component whose open holes
    are filled from the same domain again, of least to most components in all. `dag`: least to most vertices, the first the
    input and the last the output, those between them labelled with components, along at most `edges` edges, each on a way
    from input to output; what meets at a vertex is added.
    """

    form: Form
    components: tuple[Component, ...]
    least: int = 1
    most: int = 1
    join: Join = "add"
    edges: int | None = None


@dataclass(frozen=True)
class Test:
    """`name op value`, with `in` for a set of labels; a bare flag is `name == true`."""

    __test__ = False
    name: str
    op: Literal["==", "!=", "<", "<=", ">", ">=", "in"]
    values: tuple[str, ...]


@dataclass(frozen=True)
class Not:
    of: Condition


@dataclass(frozen=True)
class Both:
    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Either:
    parts: tuple[Condition, ...]


Condition = Test | Not | Both | Either


@dataclass(frozen=True)
class Decision:
    """One choice: what is chosen, from what, and where it goes.

    `hole`: fills the holes `sites`, all with the same component; those in `tied` share the learners of the first site too,
    the others have learners of their own. With several names (`choose f, g in bag of ...`, a domain whose form is `bag` or
    `set` over `names`) the holes are interchangeable: the value is the sorted tuple of what fills them. `param`: gives the axis
    `name` a size. `flag`: `true` or `false`, for conditions.

    Where `when` is false nothing is chosen and `otherwise` stands. `when` may only test decisions that come before.
    """

    name: str
    kind: Literal["hole", "param", "flag"]
    domain: Domain
    sites: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    when: Condition | None = None
    otherwise: Component | None = None
    prefer: Mapping[str, int] = field(default_factory=dict)
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Requirement:
    """A predicate on the diagram that was built; it takes members out, and is not part of the count.

    `what`: `causal`, `length_generic`, `equivariant`, `alive`, `finite` (truth values, `op` is `==`, `value` `true` or `false`);
    `cost` (`op` and a power of the length as text: `<= n`, `<= n^2`); `parameters` (a polynomial as text); `verdict` (a verdict's
    name; `>=` in the order not_globally_lipschitz < lipschitz_on_domain < globally_lipschitz); `scale` (a number: output's
    standard deviation at initialisation over the input's).
    """

    what: str
    op: str
    value: str
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Within:
    """Members that differ from one of them in at most `distance` decisions."""

    distance: int
    centre: Mapping[str, str]


@dataclass(frozen=True)
class Refusal:
    """A component that is offered to a hole but cannot fill it, with the reason."""

    name: str
    label: str
    reason: str


@dataclass(frozen=True)
class SpaceDefinition:
    """A diagram with open holes and what may be decided about them: the input of the generator."""

    name: str
    base: Diagram
    decisions: tuple[Decision, ...]
    excepts: tuple[Condition, ...] = ()
    """No member has one of these."""
    where: tuple[Condition, ...] = ()
    """Every member has all of these."""
    requires: tuple[Requirement, ...] = ()
    within: tuple[Within, ...] = ()
    pairs: bool = False
    """A small set of members in which every two values of every two decisions meet, where they may."""
    refused: tuple[Refusal, ...] = ()
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class UnionDefinition:
    """Spaces side by side, each member in the first that has it by rank; labels are their names."""

    name: str
    members: tuple[SpaceDefinition, ...]
    span: Span | None = field(default=None, compare=False)
