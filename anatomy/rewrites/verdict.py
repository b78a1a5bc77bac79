"""What is known of a rule: its status, where it was tried, and the point that refutes it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from anatomy.errors import Diagnostic
from anatomy.language.program import Rule

Status = Literal["proved-mod-p", "tested", "assumed", "false", "unverified"]


@dataclass(frozen=True)
class Witness:
    """One point at which the two sides differ."""

    sizes: Mapping[str, int]
    inputs: Mapping[str, tuple[float, ...]]
    at: Mapping[str, int]
    what: Literal["value", "derivative"]
    left: float
    right: float
    lifted: tuple[tuple[str, ...], ...] = ()
    """For every added axis the parameters that have it."""
    chosen: Mapping[str, str] = field(default_factory=dict)
    """The numbers and maps that the rule leaves open."""

    @property
    def place(self) -> str:
        """The sizes, in words, and what was chosen for the numbers and maps."""
        words = [f"{a} = {n}" for a, n in self.sizes.items()]
        words += [f"{name} = {value}" for name, value in self.chosen.items() if not value.startswith("map")]
        words += [f"some map {name}" for name, value in self.chosen.items() if value.startswith("map")]
        return f"at {', '.join(words)}" if words else "at a point"

    @property
    def numbers(self) -> str:
        what = "" if self.what == "value" else ", as derivatives along one direction"
        if math.isnan(self.left) or math.isnan(self.right):
            sides = (("left", self.left), ("right", self.right))
            return ", ".join(f"the {side} side {'has no value' if math.isnan(x) else f'gives {x:.6g}'}" for side, x in sides)
        return f"the left side gives {self.left:.6g}, the right side {self.right:.6g}{what}"

    @property
    def zeros(self) -> tuple[str, ...]:
        """The inputs that are 0 somewhere, where one side has no value."""
        undefined = math.isnan(self.left) or math.isnan(self.right)
        return tuple(name for name, row in self.inputs.items() if undefined and 0.0 in row)

    @property
    def point(self) -> str:
        """The inputs, where they are few, and the entry."""
        given = ", ".join(f"`{name}` = {_row(row)}" for name, row in self.inputs.items() if len(row) <= 8)
        at = ", ".join(f"{a} = {i}" for a, i in self.at.items() if not a.startswith("+"))
        lifted = "; ".join(f"an added axis on {', '.join(some)}" for some in self.lifted)
        return ", ".join(w for w in (f"with {given}" if given else "", f"in the entry {at}" if at else "", lifted) if w)

    def __str__(self) -> str:
        return f"{self.place} {self.point}: {self.numbers}"


def _row(row: Sequence[float]) -> str:
    shown = [f"{x:.4g}" for x in row]
    return shown[0] if len(shown) == 1 else f"({', '.join(shown)})"


@dataclass(frozen=True)
class Verification:
    """What is known of a rule.

    `proved-mod-p`: equal as rational functions of all entries at the sizes tried, up to an error of probability
    `error` (functions such as `exp` may stand for any function there). `tested`: no difference of values and
    derivatives at random points. `assumed`: not decided, with the reason that the text gives; `unverified`: not
    decided, and no reason given. `false`: there is a witness.
    """

    rule: str
    relation: str
    status: Status
    sizes: tuple[Mapping[str, int], ...] = ()
    lifts: tuple[tuple[tuple[str, ...], ...], ...] = ()
    """The lifts tried: for every added axis the parameters that have it."""
    witness: Witness | None = None
    error: float | None = None
    reason: str = ""
    masked: tuple[str, ...] = ()
    """Parameters that were found to keep the rule true where they hold -inf, as a masked score does."""
    rows: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Further ones that do where each row along these axes keeps a finite entry."""
    numbers: tuple[Mapping[str, str], ...] = ()
    """What was tried for the numbers and maps that the rule leaves open."""

    @property
    def holds(self) -> bool:
        """Whether the rule may be used."""
        return self.status in ("proved-mod-p", "tested", "assumed")


def assumption(rule: Rule) -> str:
    """The reason behind `# assumed:` on the rule's last line or in the comment lines right above it."""
    if rule.span is None:
        return ""
    lines = rule.span.source.text.split("\n")
    first, last = rule.span.line, rule.span.source.position(max(rule.span.start, rule.span.end - 1))[0]
    above = []
    while first >= 2 and lines[first - 2].lstrip().startswith("#"):
        first -= 1
        above.append(lines[first - 1])
    for line in (lines[last - 1], *above):
        match = re.search(r"#\s*assumed:\s*(\S.*)", line)
        if match:
            return match.group(1).strip()
    return ""


def diagnose(rule: Rule, found: Verification) -> Diagnostic | None:
    """E321 for a false rule, E322 for one that is not decided and not assumed."""
    match found.status:
        case "false":
            assert found.witness is not None
            message = f"rule `{rule.name}` is false {found.witness.place}: {found.witness.numbers}"
            zeros = " or ".join(f"`where {name} != 0`" for name in found.witness.zeros[:2])
            help = f"if it holds elsewhere, say where: {zeros}" if zeros else ""
            return Diagnostic("E321", message, rule.span, notes=tuple(filter(None, [found.witness.point])), help=help)
        case "unverified":
            return Diagnostic(
                "E322", f"rule `{rule.name}` is not verified: {found.reason}", rule.span,
                help="if it is known to hold, say why in a comment right above it: `# assumed: reason`",
            )  # fmt: skip
    return None
