"""The decisions about one diagram, from text: what a space, or an option with braces, says of its holes, axes and flags."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from anatomy.errors import Label
from anatomy.ir.poly import MAX_SIZE, Poly
from anatomy.language import syntax as s
from anatomy.language.bindings import Refused
from anatomy.language.choices import Component, Condition, Decision, Domain
from anatomy.language.domains import domain_of, of_names
from anatomy.language.guards import check_value, condition, refuse, text_of
from anatomy.language.offering import NONE, Offering, interface, passes, tie_problem
from anatomy.language.opening import Opened, opened
from anatomy.language.scope import Module, suggestion
from anatomy.language.spaces import called

if TYPE_CHECKING:
    from anatomy.ir.graph import Node
    from anatomy.language.choices import Refusal
    from anatomy.language.program import Program

INNER = (s.Choose, s.ChooseFlag, s.AxisSizes, s.Take, s.Optional, s.Share, s.Prefer)
"""What may stand in the braces of an option."""


@dataclass
class Room:
    """A diagram, and what is decided about it so far."""

    program: Program
    module: Module
    home: Module
    word: str
    opened: Opened
    items: tuple[s.SpaceItem, ...]
    decisions: list[Decision] = field(default_factory=list)
    known: dict[str, Decision] = field(default_factory=dict)
    """Decisions by the names under which they can be tested."""
    places: dict[str, s.Node] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)
    """For each decision the value that the diagram itself has."""
    refused: list[Refusal] = field(default_factory=list)
    left: tuple[str, ...] = ()
    """Holes about which nothing is decided: those of a component of a tree are filled again."""
    failed: bool = False

    @staticmethod
    def of(program: Program, module: Module, home: Module, word: str, items: tuple[s.SpaceItem, ...], inner: bool = True) -> Room | None:
        """The decisions of a diagram; None, or `failed`, where there is an error, which is reported."""
        wanted: list[str] | None = []
        for item in items:
            match item:
                case s.Choose(names=names) | s.Optional(names=names) | s.Share(names=names) if wanted is not None:
                    wanted += [n.text for n in names]
                case s.Take(names=names):
                    wanted = wanted + [n.text for n in names] if names and wanted is not None else None
                case _:
                    pass
        ready = opened(program, home, word, wanted)
        if ready is None:
            return None
        room = Room(program, module, home, word, ready, items)
        for item in items if inner else ():
            if not isinstance(item, INNER):
                room.error("E601", "an option's braces hold its decisions, and nothing else", item, help="say it in the space itself")
        room.decide()
        return room

    def error(self, code: str, message: str, at: s.Node, **more: object) -> None:
        self.failed = True
        self.module.report(code, message, at, **more)

    # all decisions ------------------------------------------------------------------------------

    def decide(self) -> None:
        self.groups = Groups(self)
        for item in self.items:
            if isinstance(item, s.Choose | s.ChooseFlag | s.AxisSizes):
                for name in item.names if isinstance(item, s.Choose) else (item.name,):
                    self.claim(name)
            elif isinstance(item, s.Take):
                for name in item.names:
                    self.claim(name)
        self.optional = {n.text: n for item in self.items if isinstance(item, s.Optional) for n in item.names}
        for item in self.items:
            try:
                self.item(item)
            except Refused:
                self.failed = True
        for item in self.items:
            if isinstance(item, s.Prefer):
                self.prefer(item)
        self.groups.leftover()
        self.left = tuple(h for h in self.opened.uses if h not in self.places)

    def claim(self, name: s.Name) -> bool:
        """Each name is decided about once."""
        if name.text in self.places:
            self.error(
                "E204", f"`{name.text}` is decided twice", name,
                label="again here", secondary=(Label(self.module.span(self.places[name.text]), "first decided here"),),
            )  # fmt: skip
            return False
        self.places[name.text] = name
        return True

    def item(self, item: s.SpaceItem) -> None:
        match item:
            case s.Choose():
                self.choose(item)
            case s.ChooseFlag():
                values = Domain("one", (Component("false"), Component("true")))
                decision = Decision(item.name.text, "flag", values, span=self.module.span(item))
                self.keep(self.conditional(decision, item.when, item), "false")
            case s.AxisSizes():
                self.sizes(item)
            case s.Take():
                self.take(item)
            case s.Optional():
                for name in item.names:
                    if name.text not in self.places or self.places[name.text] is name:
                        self.places[name.text] = name
                        self.alone(name)
            case _:
                pass

    def keep(self, decision: Decision, default: str | None) -> None:
        self.decisions.append(decision)
        for name in (decision.name, *decision.sites, *decision.names):
            self.known[name] = decision
        if default is not None:
            self.defaults[decision.name] = default

    def nodes(self, names: Iterable[s.Name]) -> tuple[Node, ...]:
        """All uses of some holes, which have one interface. Raises Refused after E603 or E615."""
        found: list[Node] = []
        first = None
        for name in names:
            if name.text not in self.opened.uses:
                raise self.no_hole(name)
            mine = self.opened.uses[name.text]
            if first is not None and any(interface(n) != interface(found[0]) for n in mine):
                raise refuse(
                    self.module, "E615", f"`{first.text}` and `{name.text}` have different interfaces, so no diagram can be chosen for both at once", name
                )  # fmt: skip
            first = first or name
            found.extend(mine)
        return tuple(found)

    def no_hole(self, name: s.Name) -> Refused:
        hole, base = name.text, self.opened.base
        uses = self.opened.uses
        near = suggestion(hole, uses)
        secondary: tuple[Label, ...] = ()
        help = f"did you mean `{near}`?" if near else f"its holes are: {', '.join(uses) or 'none'}"
        inner = called(self.home, self.word, hole)
        if inner is not None:
            label, owner, part = inner
            secondary = (Label(owner.span(part), f"a part of `{label}`"),)
            help = f"`{base.name}` calls `{label}`, whose part it is: make the space of `{label}`, or give `{base.name}` a hole of its own"
        return refuse(self.module, "E603", f"`{base.name}` has no hole `{hole}`", name, secondary=secondary, help=help)

    # one decision -------------------------------------------------------------------------------

    def choose(self, item: s.Choose) -> None:
        name, *others = item.names
        if others:
            return self.interchangeable(item)
        sites, tied = self.groups.of(name)
        nodes = self.nodes(sites)
        offering = self.offering(sites, nodes, item.domain.form)
        for offer in item.domain.offers.options:
            offering.add(offer)
        if name.text in self.optional:
            if item.domain.form not in ("one", "tree"):
                self.error("E610", f"`optional` adds `none` to a plain choice, and `{name.text}` is a `{item.domain.form}`", self.optional[name.text])
            else:
                offering.none(self.optional[name.text])
        components = self.components(offering, item, item.domain.offers)
        domain = domain_of(self.module, item.domain, components, offering)
        self.finish(item, name, domain, sites, tied, item.when)

    def interchangeable(self, item: s.Choose) -> None:
        """`choose f, g in bag of { ... }`."""
        holes = item.names
        for name in holes:
            if len(self.groups.of(name)[0]) > 1:
                raise refuse(self.module, "E615", f"`{name.text}` is interchangeable with others, and cannot be shared too", name)
        nodes = self.nodes(holes)
        offering = self.offering(holes, nodes, "one")
        for offer in item.domain.offers.options:
            offering.add(offer)
        if any(n.text in self.optional for n in holes):
            offering.none(next(self.optional[n.text] for n in holes if n.text in self.optional))
        components = self.components(offering, item, item.domain.offers)
        domain = of_names(self.module, item.domain, components, item)
        names = tuple(n.text for n in holes)
        default = [self.opened.defaults.get(n, ("", None))[0] for n in names]
        labels = [c.label for c in components]
        text = None
        if all(d in labels for d in default):
            text = f"{domain.form}({', '.join(sorted(default, key=labels.index))})"
        decision = Decision(", ".join(names), "hole", domain, (), (), names, span=self.module.span(item))
        self.keep(self.conditional(decision, item.when, item), text)

    def offering(self, sites: tuple[s.Name, ...], nodes: tuple[Node, ...], form: str) -> Offering:
        return Offering(self.program, self.module, self.opened.base, tuple(n.text for n in sites), nodes, form)

    def components(self, offering: Offering, item: s.Node, at: s.Node) -> tuple[Component, ...]:
        """What was offered and can be chosen. Raises Refused, after E608 or E604 where nothing is left."""
        self.refused += offering.refused
        if offering.failed:
            raise Refused
        if not offering.components:
            if offering.refused:
                raise refuse(self.module, "E604", f"no option of {offering.shown} fits: {offering.refused[-1].reason}", item)
            raise refuse(self.module, "E608", f"nothing can be chosen for {offering.shown}", at, help="name at least one diagram in the braces")
        return tuple(offering.components.values())

    def finish(
        self, item: s.Node, name: s.Name, domain: Domain, sites: tuple[s.Name, ...], tied: tuple[s.Name, ...], when: s.When | None
    ) -> None:  # fmt: skip
        """A decision about the holes `sites`, the first of which has the learners of all that are tied."""
        for other in tied:
            problem = tie_problem(self.opened, sites[0].text, other.text, domain.components)
            if problem is not None:
                raise refuse(self.module, "E615", f"`{sites[0].text}` and `{other.text}` cannot share learners: {problem}", other)
        decision = Decision(
            name.text, "hole", domain, tuple(n.text for n in sites), tuple(n.text for n in tied), span=self.module.span(item)
        )
        label = self.opened.defaults.get(name.text, ("", None))[0]
        default = None
        if domain.form == "one" and len(domain.components) == 1 and not domain.components[0].inner:
            default = domain.components[0].label
        elif label in {c.label for c in domain.components}:
            inner = next(c for c in domain.components if c.label == label).inner
            if domain.form in ("one", "tree") and not inner and domain.least == 1:
                default = label
            elif domain.form in ("seq", "bag", "set") and not inner and domain.least == 1:
                default = f"{domain.form}({label})"
        self.keep(self.conditional(decision, when, item, sites), default)

    def alone(self, name: s.Name) -> None:
        """`optional norm` without a choice: the part as it is, or nothing."""
        sites, tied = self.groups.of(name)
        offering = self.offering(sites, self.nodes(sites), "one")
        default = self.opened.defaults.get(name.text)
        if default is not None:
            offering.diagram(*default, name)
        offering.none(name)
        components = self.components(offering, name, name)
        self.finish(name, name, Domain("one", components), sites, tied, None)

    def take(self, item: s.Take) -> None:
        """`parts score from zoo`, `parts from zoo`."""
        if item.source.text != "zoo":
            raise refuse(self.module, "E614", f"parts are taken from `zoo`, not from `{item.source.text}`", item.source, help=f"`choose ... in {item.source.text}` offers the members of a family")
        names = item.names
        if not names:
            declared = [*self.opened.defaults, *(h for h in self.opened.uses if h not in self.opened.defaults)]
            names = tuple(
                s.Name(item.at, part) for part in declared
                if part in self.opened.uses and part not in self.places and not self.groups.follows(part)
            )  # fmt: skip
        for name in names:
            sites, tied = self.groups.of(name)
            offering = self.offering(sites, self.nodes(sites), "one")
            offering.from_zoo(name.text, self.opened.defaults.get(name.text), item)
            if name.text in self.optional:
                offering.none(self.optional[name.text])
            if not offering.components and not offering.refused and not offering.failed:
                if not item.names:
                    continue
                raise refuse(self.module, "E614", f"no part of the zoo that is called `{name.text}` fits {offering.shown}", name)
            components = self.components(offering, item, item)
            self.places[name.text] = name
            self.finish(item, name, Domain("one", components), sites, tied, None)

    def sizes(self, item: s.AxisSizes) -> None:
        base, axis = self.opened.base, item.name.text
        if axis not in base.sizes:
            near = suggestion(axis, base.sizes)
            own = ", ".join(a for a in base.sizes if "." not in a)
            raise refuse(self.module, "E617", f"`{base.name}` has no axis `{axis}`", item.name, help=f"did you mean `{near}`?" if near else f"its axes are: {own}")
        if base.sizes[axis] != Poly.var(axis):
            raise refuse(self.module, "E617", f"axis `{axis}` has a size already: `{base.sizes[axis]}`", item.name, help="the equations of the diagram decide it")
        if not item.sizes:
            raise refuse(self.module, "E608", f"nothing can be chosen for axis `{axis}`", item, help="name at least one size in the braces")
        found: dict[str, Component] = {}
        for size in item.sizes:
            value = size.value if isinstance(size, s.Number) else None
            if value is None or value.denominator != 1 or not 1 <= value <= MAX_SIZE:
                raise refuse(self.module, "E617", f"axis `{axis}` cannot have this size", size, help="sizes are whole numbers from 1 to 2^40")
            label = str(int(value))
            if label in found:
                raise refuse(self.module, "E204", f"`{label}` is offered twice for axis `{axis}`", size)
            found[label] = Component(label, span=self.module.span(size))
        decision = Decision(axis, "param", Domain("one", tuple(found.values())), span=self.module.span(item))
        constant = dict(base.defaults).get(axis, Poly.var(axis)).constant()
        default = str(constant) if constant is not None else None
        self.keep(self.conditional(decision, item.when, item, default=default), default if default in found else None)

    # conditions, preferences --------------------------------------------------------------------

    def condition(self, guard: s.Guard) -> Condition:
        later = {name: at for name, at in self.places.items() if name not in self.known}
        return condition(self.module, guard, self.known, later)

    def conditional(self, decision: Decision, when: s.When | None, at: s.Node, sites: tuple[s.Name, ...] = (), default: str | None = None) -> Decision:
        """The decision with its condition, and what stands where it does not hold. Raises Refused after E611 or E616."""
        if when is None:
            return decision
        guard = self.condition(when.guard)
        otherwise = self.otherwise(decision, when, at, sites, default)
        return replace(decision, when=guard, otherwise=otherwise)

    def otherwise(self, decision: Decision, when: s.When, at: s.Node, sites: tuple[s.Name, ...], default: str | None) -> Component:
        chosen = when.otherwise
        if chosen is None and decision.kind == "flag":
            return Component("false")
        if decision.kind != "hole":
            if chosen is None and default is not None:
                return Component(default)
            if chosen is None:
                raise refuse(self.module, "E616", f"no size is given to `{decision.name}` where the condition does not hold", when, help="say one: `when ... else 1`")
            if decision.kind == "param" and chosen.label.isdecimal() and not chosen.parts and 1 <= int(chosen.label) <= MAX_SIZE:
                return Component(str(int(chosen.label)), span=self.module.span(chosen))
            check_value(self.module, decision, chosen)
            return Component(chosen.label, span=self.module.span(chosen))
        names = sites or tuple(s.Name(at.at, n) for n in decision.names)
        nodes = self.nodes(names)
        part = self.opened.defaults.get(names[0].text)
        offering = self.offering(names, nodes, "one")
        if chosen is None:
            if part is not None:
                offering.diagram(*part, at)
            elif all(map(passes, nodes)):
                return Component(NONE)
            else:
                raise refuse(
                    self.module, "E616", f"nothing can stand in {offering.shown} where the condition does not hold", when,
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
                raise refuse(self.module, "E616", "what stands where the condition does not hold is one diagram", chosen)
            else:
                words = tuple(s.Name(chosen.at, w) for w in label.split("."))
                offering.add(s.Offer(chosen.at, s.QName(chosen.at, words), (), False))
        found = self.components(offering, at, when)
        only, *others = found
        if others:
            raise refuse(self.module, "E616", "what stands where the condition does not hold is one diagram, and this is a family", chosen or when)
        return only

    def prefer(self, item: s.Prefer) -> None:
        name = item.name.text
        k = next((k for k, d in enumerate(self.decisions) if name in (d.name, *d.sites, *d.names)), None)
        if k is None:
            if not self.failed:
                near = suggestion(name, self.known)
                self.error("E611", f"there is no decision `{name}`", item.name, help=f"did you mean `{near}`?" if near else f"decided are: {', '.join(self.known)}")
            return
        decision = self.decisions[k]
        weights = dict(decision.prefer)
        labels = {c.label for c in decision.domain.components}
        for value, weight in item.weights:
            label = text_of(value)
            if label not in labels:
                near = suggestion(label, labels)
                self.error("E611", f"`{name}` has no option `{label}`", value, help=f"did you mean `{near}`?" if near else "")
            elif label in weights:
                self.error("E204", f"`{label}` is weighed twice", value)
            elif not isinstance(weight, s.Number) or weight.value.denominator != 1 or weight.value < 1 or weight.value > MAX_SIZE:
                self.error("E618", "a weight is a whole number of at least 1", weight, help="leave out what should never be drawn: `except`, or not among the options")
            else:
                weights[label] = int(weight.value)
        self.decisions[k] = replace(decision, prefer=weights)
        for known in (decision.name, *decision.sites, *decision.names):
            self.known[known] = self.decisions[k]


class Groups:
    """Holes that are decided about together: `share` and `tie`."""

    def __init__(self, room: Room):
        self.room = room
        self.table: dict[str, list[s.Name]] = {}
        self.ties: list[list[s.Name]] = []
        self.refused: set[int] = set()
        for item in room.items:
            if isinstance(item, s.Share):
                self._join(item)

    def _join(self, item: s.Share) -> None:
        room = self.room
        texts = [n.text for n in item.names]
        twice = next((n for n in item.names if texts.count(n.text) > 1), None)
        if len(texts) == 1 or twice is not None:
            room.error("E615", "several holes are named here, each once", twice or item, help="`share f, g`")
            return
        unknown = next((n for n in item.names if n.text not in room.opened.uses), None)
        if unknown is not None:
            room.no_hole(unknown)
            room.failed = True
            return
        merged: list[s.Name] = []
        for name in item.names:
            for other in self.table.get(name.text, [name]):
                if all(other.text != m.text for m in merged):
                    merged.append(other)
        for name in merged:
            self.table[name.text] = merged
        if item.learners:
            mine = list(item.names)
            for tie in [t for t in self.ties if {n.text for n in t} & set(texts)]:
                self.ties.remove(tie)
                mine = tie + [n for n in mine if all(n.text != m.text for m in tie)]
            self.ties.append(mine)

    def of(self, name: s.Name) -> tuple[tuple[s.Name, ...], tuple[s.Name, ...]]:
        """The holes that go with one, first those that share learners; and which share those of the first. Raises Refused."""
        room = self.room
        group = self.table.get(name.text)
        if group is None:
            return (name,), ()
        for other in group:
            if other.text != name.text and other.text in room.places:
                if id(group) in self.refused:
                    raise Refused
                self.refused.add(id(group))
                raise refuse(
                    room.module, "E204", f"`{other.text}` is decided together with `{name.text}`, and on its own", other,
                    secondary=(Label(room.module.span(room.places[other.text]), "decided here"),), help="leave one of the two decisions out",
                )  # fmt: skip
        names = {n.text for n in group}
        ties = [t for t in self.ties if {n.text for n in t} <= names]
        if len(ties) > 1:
            raise refuse(room.module, "E615", "the learners of holes that are decided together are tied in one group at most", ties[1][0])
        tied = ties[0] if ties else []
        rest = [n for n in group if all(n.text != t.text for t in tied)]
        if not tied:
            rest.sort(key=lambda n: n.text != name.text)
        else:
            tied = sorted(tied, key=lambda n: n.text != name.text)
        return (*tied, *rest), tuple(tied[1:])

    def follows(self, part: str) -> bool:
        """Whether a hole is decided about through another one, which has a decision already."""
        return any(n.text != part and n.text in self.room.places for n in self.table.get(part, ()))

    def leftover(self) -> None:
        """Holes of a group count as decided; a group about which nothing is decided is an error."""
        room = self.room
        for group in self.table.values():
            if any(n.text in room.places for n in group):
                for name in group:
                    room.places.setdefault(name.text, name)
            elif not room.failed:
                room.error("E605", f"nothing is chosen for `{group[0].text}`", group[0], help=f"`choose {group[0].text} in {{ ... }}`")
