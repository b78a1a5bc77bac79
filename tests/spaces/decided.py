"""Spaces by hand, from a text with open diagrams and a few decisions about them, for tests of what is built from them."""

from anatomy.ir.graph import Diagram
from anatomy.language.choices import Component, Decision, Domain, SpaceDefinition
from anatomy.language.program import Program
from anatomy.spaces.tree.value import Value


def value(text: str) -> Value:
    """`seq(relu, tanh)` and `dag[0>1 1>2](c3)` as values; names hold no brackets."""
    found, rest = _value(text.replace(" ", "~"))
    assert not rest, rest
    return found


def _value(text: str) -> tuple[Value, str]:
    k = next((i for i, c in enumerate(text) if c in "[(),"), len(text))
    label, rest = text[:k].strip("~"), text[k:]
    edges: tuple[tuple[int, int], ...] = ()
    if rest.startswith("["):
        inside, _, rest = rest[1:].partition("]")
        edges = tuple((int(a), int(b)) for a, _, b in (pair.partition(">") for pair in inside.split("~")))
    parts: list[Value] = []
    if rest.startswith("("):
        while rest[0] in "(,":
            part, rest = _value(rest[1:])
            parts.append(part)
        rest = rest[1:].strip("~")
    return Value(label, tuple(parts), edges), rest


def components(program: Program, *names: str) -> tuple[Component, ...]:
    return tuple(Component(name, None if name == "none" else program.get(name)) for name in names)


def decision(program: Program, hole: str, form: str, names: str, sites: str = "", tied: str = "", several: str = "", **more: object) -> Decision:
    """`names` separated by blanks; `sites`, `tied`, `several` are holes, separated likewise."""
    domain = Domain(form, components(program, *names.split()), **more)  # type: ignore[arg-type]
    return Decision(hole, "hole", domain, tuple(sites.split()) or (hole,), tuple(tied.split()), tuple(several.split()))


def sizes(axis: str, *numbers: int) -> Decision:
    return Decision(axis, "param", Domain("one", tuple(Component(str(k)) for k in numbers)))


def space_of(base: Diagram, *decisions: Decision) -> SpaceDefinition:
    return SpaceDefinition("s", base, decisions)
