"""The decisions about one diagram, from text: what a space, or an option with braces, says of its holes, axes and flags."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anatomy.errors import Label
from anatomy.ir.poly import MAX_SIZE, Poly
from anatomy.language import syntax as s
from anatomy.language.alternatives import conditional, prefer
from anatomy.language.bindings import Refused
from anatomy.language.choices import Component, Condition, Decision, Domain
from anatomy.language.domains import domain_of, of_names
from anatomy.language.groups import Groups
from anatomy.language.guards import condition, refuse
from anatomy.language.offering import Offering, interface, tie_problem
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
    deciding: tuple[str, ...] = ()
    """The names that the statement at hand decides."""

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
            names = item.names if isinstance(item, s.Choose) else (item.name,) if isinstance(item, s.ChooseFlag | s.AxisSizes) else ()
            self.deciding = tuple(n.text for n in names)
            try:
                self.item(item)
            except Refused:
                self.failed = True
        for item in self.items:
            if isinstance(item, s.Prefer):
                prefer(self, item)
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
                self.keep(conditional(self, decision, item.when, item), "false")
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
        self.keep(conditional(self, decision, item.when, item), text)

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
        self.keep(conditional(self, decision, when, item, sites), default)

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
        self.keep(conditional(self, decision, item.when, item, default=default), default if default in found else None)

    # conditions, preferences --------------------------------------------------------------------

    def condition(self, guard: s.Guard) -> Condition:
        later = {name: at for name, at in self.places.items() if name not in self.known}
        return condition(self.module, guard, self.known, later, self.deciding)
