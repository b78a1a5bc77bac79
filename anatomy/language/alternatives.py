"""What depends on earlier decisions: where a condition does not hold something else stands; and weights of options."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from anatomy.ir.poly import MAX_SIZE
from anatomy.language import syntax as s
from anatomy.language.choices import Component, Decision
from anatomy.language.guards import check_value, refuse, text_of
from anatomy.language.offering import NONE, passes
from anatomy.language.scope import suggestion

if TYPE_CHECKING:
    from anatomy.language.rooms import Room


def conditional(room: Room, decision: Decision, when: s.When | None, at: s.Node, sites: tuple[s.Name, ...] = (), default: str | None = None) -> Decision:
    """The decision with its condition, and what stands where it does not hold. Raises Refused after E611 or E616."""
    if when is None:
        return decision
    guard = room.condition(when.guard)
    otherwise = otherwise_of(room, decision, when, at, sites, default)
    return replace(decision, when=guard, otherwise=otherwise)

def otherwise_of(room: Room, decision: Decision, when: s.When, at: s.Node, sites: tuple[s.Name, ...], default: str | None) -> Component:
    """What stands where the condition of a decision does not hold. Raises Refused."""
    chosen = when.otherwise
    if chosen is None and decision.kind == "flag":
        return Component("false")
    if decision.kind != "hole":
        if chosen is None and default is not None:
            return Component(default)
        if chosen is None:
            raise refuse(room.module, "E616", f"no size is given to `{decision.name}` where the condition does not hold", when, help="say one: `when ... else 1`")
        if decision.kind == "param" and chosen.label.isdecimal() and not chosen.parts and 1 <= int(chosen.label) <= MAX_SIZE:
            return Component(str(int(chosen.label)), span=room.module.span(chosen))
        check_value(room.module, decision, chosen)
        return Component(chosen.label, span=room.module.span(chosen))
    names = sites or tuple(s.Name(at.at, n) for n in decision.names)
    nodes = room.nodes(names)
    part = room.opened.defaults.get(names[0].text)
    offering = room.offering(names, nodes, "one")
    if chosen is None:
        if part is not None:
            offering.diagram(*part, at)
        elif all(map(passes, nodes)):
            return Component(NONE)
        else:
            raise refuse(
                room.module, "E616", f"nothing can stand in {offering.shown} where the condition does not hold", when,
                help="say what does: `when ... else NAME`",
            )  # fmt: skip
    else:
        label = text_of(chosen)
        known = next((c for c in decision.domain.components if c.label == label and not c.inner), None)
        if known is not None and not known.diagram:
            return known
        if known is not None and not known.diagram.holes:  # type: ignore[union-attr]
            return known
        if part is not None and label == part[0]:
            offering.diagram(*part, chosen)
        elif chosen.parts or chosen.edges:
            raise refuse(room.module, "E616", "what stands where the condition does not hold is one diagram", chosen)
        else:
            words = tuple(s.Name(chosen.at, w) for w in label.split("."))
            offering.add(s.Offer(chosen.at, s.QName(chosen.at, words), (), False))
    found = room.components(offering, at, when)
    only, *others = found
    if others:
        raise refuse(room.module, "E616", "what stands where the condition does not hold is one diagram, and this is a family", chosen or when)
    return only


def prefer(room: Room, item: s.Prefer) -> None:
    """Weights of options, for sampling; what is wrong is reported, E611, E204 or E618."""
    name = item.name.text
    k = next((k for k, d in enumerate(room.decisions) if name in (d.name, *d.sites, *d.names)), None)
    if k is None:
        if not room.failed:
            near = suggestion(name, room.known)
            room.error("E611", f"there is no decision `{name}`", item.name, help=f"did you mean `{near}`?" if near else f"decided are: {', '.join(room.known)}")
        return
    decision = room.decisions[k]
    weights = dict(decision.prefer)
    labels = {c.label for c in decision.domain.components}
    for value, weight in item.weights:
        label = text_of(value)
        if label not in labels:
            near = suggestion(label, labels)
            room.error("E611", f"`{name}` has no option `{label}`", value, help=f"did you mean `{near}`?" if near else "")
        elif label in weights:
            room.error("E204", f"`{label}` is weighed twice", value)
        elif not isinstance(weight, s.Number) or weight.value.denominator != 1 or weight.value < 1 or weight.value > MAX_SIZE:
            room.error("E618", "a weight is a whole number of at least 1", weight, help="leave out what should never be drawn: `except`, or not among the options")
        else:
            weights[label] = int(weight.value)
    room.decisions[k] = replace(decision, prefer=weights)
    for known in (decision.name, *decision.sites, *decision.names):
        room.known[known] = room.decisions[k]
