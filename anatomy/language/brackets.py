"""What stands in brackets and behind `~`: axes, arrows, options, numbers, initialisers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod

from anatomy.ir.graph import Init
from anatomy.ir.poly import Poly
from anatomy.language import syntax as s
from anatomy.language.bindings import Bindings
from anatomy.language.scope import suggestion

INITS: dict[str, tuple[int, int]] = {
    "xavier": (0, 0), "xavier_normal": (0, 0), "kaiming": (0, 0), "kaiming_normal": (0, 0), "lecun": (0, 0),
    "orthogonal": (0, 1), "identity": (0, 0),
    "normal": (1, 1), "uniform": (1, 2), "constant": (1, 1), "zeros": (0, 0), "ones": (0, 0),
}  # fmt: skip
"""Initialisers with the number of their arguments; those in the first two rows read fan-in and fan-out."""
FAN_BASED = frozenset({"xavier", "xavier_normal", "kaiming", "kaiming_normal", "lecun", "orthogonal", "identity"})
MATRICES = frozenset({"orthogonal", "identity"})
"""Initialisers of a map from fan-in to fan-out."""


class Brackets(Bindings):
    """Reads the small syntaxes that come with a name."""

    def initialiser(self, init: s.Init | None, default: str) -> Init:
        if init is None:
            return Init(default)
        word = init.name.text
        if word not in INITS:
            near = suggestion(word, INITS)
            help = f"did you mean `{near}`?" if near else f"there are: {', '.join(INITS)}"
            raise self.error("E208", f"there is no initialiser `{word}`", init.name, help=help)
        args = tuple(float(self.number(a)) for a in init.args or ())
        least, most = INITS[word]
        if not least <= len(args) <= most:
            raise self.error("E208", f"`{word}` takes {least if least == most else f'{least} or {most}'} numbers", init)
        return Init(word, args)

    def maps(self, init: Init, left: Sequence[str], right: Sequence[str], at: s.Bracket) -> None:
        """A matrix has two sides, and the identity two of one size."""
        if init.name not in MATRICES:
            return
        if not left or not right:
            raise self.error(
                "E208", f"`{init.name}` draws a map, and this weight has no axis on one side", at,
                help="write it with an arrow, `[d -> e]`, or take `normal(0.02)`",
            )  # fmt: skip
        rows, columns = (prod((self.builder.axis(a) for a in side), start=Poly.of(1)) for side in (left, right))
        if init.name == "identity" and not self.prove(rows, columns):
            raise self.error(
                "E401", f"`identity` maps `{', '.join(left)}` to `{', '.join(right)}`: it is not proved that their sizes are equal", at,
                help=f"if they are, say so in the header: `where {right[0]} = {left[0]}`" if len((*left, *right)) == 2 else
                f"if they are, say so in the header: `where {' * '.join(left)} = {' * '.join(right)}`",
            )  # fmt: skip

    def number(self, e: s.Expr) -> Fraction:
        match e:
            case s.Number():
                return e.value
            case s.Unary(op="-", operand=s.Number() as inner):
                return -inner.value
            case _:
                raise self.error("E209", "a number is needed here", e)

    def sides(self, bracket: s.Bracket, options: tuple[str, ...] = ()) -> tuple[list[list[s.Name]], dict[str, s.Expr]]:
        """`[h; d -> e, bias=false]` as lists of names separated by `;` and `->`, and its options."""
        groups: list[list[s.Name]] = [[]]
        given: dict[str, s.Expr] = {}
        marks = iter(bracket.marks[1:] if bracket.leading else bracket.marks)
        if bracket.leading:
            groups.append([])
        for k, entry in enumerate(bracket.entries):
            if k and next(marks) != ",":
                groups.append([])
            match entry:
                case s.Option(name=name, value=value):
                    if name.text not in options:
                        near = suggestion(name.text, options)
                        raise self.error(
                            "E209", f"there is no option `{name.text}` here", name, help=f"did you mean `{near}`?" if near else ""
                        )
                    given[name.text] = value
                case s.Ref(name=s.QName(parts=(only,))):
                    groups[-1].append(only)
                case _:
                    raise self.error("E209", "an axis is needed here", entry)
        return groups, given

    def _distinct(self, names: Sequence[s.Name]) -> None:
        seen: set[str] = set()
        for name in names:
            if name.text in seen:
                raise self.error(
                    "E309", f"axis `{name.text}` stands twice on one weight", name,
                    help=f"two axes of one name never meet: give one another name, and rename, `lin W[{name.text} -> c](x)[c -> {name.text}]`",
                )  # fmt: skip
            seen.add(name.text)

    def arrows(self, bracket: s.Bracket) -> dict[s.Name, s.Name]:
        """`[n -> m, m -> n]`: simultaneous renamings; lanes may not be touched."""
        names: list[s.Name] = []
        for entry in bracket.entries:
            match entry:
                case s.Ref(name=s.QName(parts=(only,))):
                    names.append(only)
                case _:
                    raise self.error("E209", "an axis is needed here", entry)
        if bracket.leading or list(bracket.marks) != ["->" if k % 2 == 0 else "," for k in range(len(bracket.marks))] or len(names) % 2:
            raise self.error("E209", "a renaming is written `x[n -> m]`, several as `x[n -> m, m -> n]`", bracket)
        for name in names:
            self.axis(name)
        pairs = list(zip(names[::2], names[1::2], strict=True))
        if len({old.text for old, _ in pairs}) < len(pairs):
            raise self.error("E309", "an axis is renamed twice", bracket)
        return dict(pairs)

    def flag(self, e: s.Expr) -> bool:
        match e:
            case s.Ref(name=name) if name.text in ("true", "false"):
                return name.text == "true"
            case _:
                raise self.error("E209", "`true` or `false` is needed here", e)
