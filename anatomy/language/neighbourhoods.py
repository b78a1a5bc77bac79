"""The middle of a neighbourhood: a member of a space, by the values of its decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from anatomy.language import syntax as s
from anatomy.language.choices import Decision, SpaceDefinition, Within
from anatomy.language.guards import check_part, check_value, refuse
from anatomy.language.scope import Module, suggestion


@dataclass(frozen=True)
class Defined:
    """A space, with what its text needs to know of it: names that conditions may test, and the values of its diagram."""

    definition: SpaceDefinition
    known: Mapping[str, Decision]
    defaults: Mapping[str, str]


def near(module: Module, part: Defined, view: s.Near) -> Defined:
    """The members near one of them. Raises Refused."""
    definition = part.definition
    centre = _centre(module, part, view)
    return replace(part, definition=replace(definition, within=(*definition.within, Within(view.distance, centre))))


def _centre(module: Module, part: Defined, view: s.Near) -> dict[str, str]:
    """The member in the middle: written out, a `member` by its name, or the diagram as it is. Raises Refused."""
    match view.centre:
        case s.QName() as name:
            found = module.find(name)
            item = found[0].names[found[1]] if found else None
            if isinstance(item, s.MemberDecl):
                return picked(module, part, item.picks, name, found[0])  # type: ignore[index]
            if name.text == part.definition.base.name or (found and found[1] == part.definition.base.name):
                return picked(module, part, (), view)
            words = [n for n, other in module.names.items() if isinstance(other, s.MemberDecl)]
            close = suggestion(name.text, [*words, part.definition.base.name])
            help = f"did you mean `{close}`?" if close else f"`member {name.text} of {part.definition.name} {{ ... }}` names one; `{part.definition.base.name}` has all parts as they are"
            raise refuse(module, "E619", f"`{name.text}` is no member of `{part.definition.name}`", name, help=help)
        case None:
            return picked(module, part, (), view)
        case picks:
            return picked(module, part, picks, view)


def picked(module: Module, part: Defined, picks: tuple[s.Pick, ...], at: s.Node, home: Module | None = None) -> dict[str, str]:
    """A member by the values of its decisions; those that are not named have the value of the diagram itself.

    Raises Refused after E611, E204, or E619 where a decision has no such value.
    """
    home = home or module
    given: dict[str, str] = {}
    for pick in picks:
        decision = part.known.get(pick.name.text)
        if decision is None:
            close = suggestion(pick.name.text, part.known)
            help = f"did you mean `{close}`?" if close else f"its decisions are: {', '.join(part.known)}"
            raise refuse(home, "E611", f"`{part.definition.name}` decides nothing about `{pick.name.text}`", pick.name, help=help)
        key = pick.name.text if decision.names else decision.name
        if key in given:
            raise refuse(home, "E204", f"`{pick.name.text}` is given twice", pick.name)
        given[key] = (check_part if decision.names else check_value)(home, decision, pick.value)
    centre: dict[str, str] = {}
    for decision in part.definition.decisions:
        if decision.names and any(n in given for n in decision.names):
            labels = [c.label for c in decision.domain.components]
            missing = next((n for n in decision.names if n not in given), None)
            if missing is not None:
                raise refuse(home, "E619", f"nothing is said of `{missing}`", at)
            parts = sorted((given[n] for n in decision.names), key=lambda t: labels.index(t.partition("(")[0]))
            centre[decision.name] = f"{decision.domain.form}({', '.join(parts)})"
        elif decision.name in given:
            centre[decision.name] = given[decision.name]
        elif decision.name in part.defaults:
            centre[decision.name] = part.defaults[decision.name]
        else:
            raise refuse(
                home, "E619", f"nothing is said of `{decision.name}`, and `{part.definition.base.name}` has no value for it that is among the options", at,
                help=f"say it: `{{ {decision.name}: ... }}`",
            )  # fmt: skip
    return centre
