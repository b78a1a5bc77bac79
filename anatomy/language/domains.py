"""What a decision chooses from, from text: the form, its bounds, how components are joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

from anatomy.language import syntax as s
from anatomy.language.choices import Component, Domain, Form, Join
from anatomy.language.guards import refuse
from anatomy.language.scope import Module, suggestion

if TYPE_CHECKING:
    from anatomy.language.offering import Offering

JOINS: tuple[str, ...] = get_args(Join)
MAX_TOGETHER = 64
"""Components that one decision may put together."""
MAX_VERTICES = 9
MAX_EDGES = MAX_VERTICES * (MAX_VERTICES - 1) // 2


def domain_of(module: Module, text: s.DomainText, components: tuple[Component, ...], offering: Offering) -> Domain:
    """The domain of a decision about one hole. Raises Refused after E609, E610 or E604."""
    form = text.form
    hole = offering.shown
    _only(module, text)
    if form == "one":
        return Domain("one", components)
    if text.least is None or text.most is None:
        if form == "tree":
            raise refuse(
                module, "E609", "a recursion without a bound", text,
                help="say how many components it may have in all: `tree 3 of { ... }`",
            )  # fmt: skip
        raise refuse(module, "E610", f"a `{form}` says how many components it has", text, help=f"`{form} 2 of {{ ... }}`, or `{form} 1 to 3 of {{ ... }}`")
    least, most = text.least, text.most
    if form == "tree" and not text.ranged:
        least = 1
    _bounds(module, text, least, most)
    _fits(module, text, components, offering)
    if form == "set" and most > len(components) and not any(c.inner for c in components):
        raise refuse(module, "E610", f"a set of {most} of {len(components)} options", text, help="a set holds each option at most once; a `bag` may repeat")
    if form == "tree" and not any(not _arity(c) for c in components):
        raise refuse(module, "E609", f"every option of {hole} has holes to be filled again, so the recursion never ends", text, help="offer a component without holes")
    if form == "tree":
        _reached(module, text, components, least, most)
    join = text.join.text if text.join else "add"
    return Domain(form, components, least, most, cast(Join, join), text.edges)  # type: ignore[arg-type]


def of_names(module: Module, text: s.DomainText, components: tuple[Component, ...], item: s.Choose) -> Domain:
    """The domain of several interchangeable holes. Raises Refused after E610."""
    count = len(item.names)
    if text.form not in ("bag", "set"):
        names = ", ".join(n.text for n in item.names)
        raise refuse(
            module, "E610", "several holes are filled from one domain: say how they hang together", item,
            help=f"interchangeable: `choose {names} in bag of ...`; all the same: one `choose`, and `share {names}`",
        )  # fmt: skip
    twice = next((n for k, n in enumerate(item.names) if n.text in {m.text for m in item.names[:k]}), None)
    if twice is not None:
        raise refuse(module, "E204", f"`{twice.text}` is named twice", twice)
    if (text.least, text.most) not in ((None, None), (count, count)):
        raise refuse(module, "E610", f"{count} holes are named, so the {text.form} has {count} components", text, help=f"leave out the number: `{text.form} of`")
    if text.join is not None or text.edges is not None:
        raise refuse(module, "E610", "nothing is joined where each hole gets one component", text)
    if text.form == "set" and count > len(components) and not any(c.inner for c in components):
        raise refuse(module, "E610", f"{count} different components of {len(components)} options", text, help="a `bag` may repeat")
    if count > MAX_TOGETHER:
        raise refuse(module, "E610", f"at most {MAX_TOGETHER} holes are interchangeable", text)
    return Domain(cast(Form, text.form), components, count, count)


def _only(module: Module, text: s.DomainText) -> None:
    """Words that belong to some forms only."""
    form = text.form
    if text.join is not None and form not in ("bag", "set"):
        raise refuse(module, "E610", f"`by` says how a bag or a set is joined, and this is a `{form}`", text.join)
    if text.join is not None and text.join.text not in JOINS:
        near = suggestion(text.join.text, JOINS)
        raise refuse(module, "E610", f"components are not joined by `{text.join.text}`", text.join, help=f"did you mean `{near}`?" if near else f"one of: {', '.join(JOINS)}")
    if text.edges is not None and form != "dag":
        raise refuse(module, "E610", f"`edges` bounds the edges of a `dag`, and this is a `{form}`", text)


def _bounds(module: Module, text: s.DomainText, least: int, most: int) -> None:
    form = text.form
    if least > most:
        raise refuse(module, "E610", f"at least {least} and at most {most}", text, help=f"`{most} to {least}`?")
    if form == "dag":
        if least < 2 or most > MAX_VERTICES:
            raise refuse(module, "E610", f"a cell has 2 to {MAX_VERTICES} vertices, the input and the output among them", text)
        if text.edges is not None and not 1 <= text.edges <= MAX_EDGES:
            raise refuse(module, "E610", f"a cell has 1 to {MAX_EDGES} edges", text)
    elif least < 1:
        raise refuse(module, "E610", f"a `{form}` has at least one component", text, help="`optional` adds the choice of none")
    elif most > MAX_TOGETHER:
        raise refuse(module, "E610", f"at most {MAX_TOGETHER} components are put together", text)


def _fits(module: Module, text: s.DomainText, components: tuple[Component, ...], offering: Offering) -> None:
    from anatomy.language.offering import unary

    if text.form in ("seq", "dag") and not all(map(unary, offering.faces)):
        words = "one after the other" if text.form == "seq" else "in a cell"
        raise refuse(
            module, "E604", f"components of {offering.shown} do not stand {words}", text,
            help=f"`{text.form}` is for holes of one operand, whose result is of its type",
        )  # fmt: skip
    if text.form in ("bag", "set") and any(k.name != "real" for n in offering.faces for k in n.op.gives_kinds):  # type: ignore[attr-defined]
        raise refuse(module, "E604", f"what {offering.shown} gives is no real number, and cannot be joined", text)


def _arity(component: Component) -> int:
    """How many holes of a component are filled again."""
    if component.diagram is None:
        return 0
    decided = {site for d in component.inner for site in (*d.sites, *d.names)}
    return sum(hole not in decided for hole in component.diagram.holes)


def _reached(module: Module, text: s.DomainText, components: tuple[Component, ...], least: int, most: int) -> None:
    """Refuse bounds between which no tree has its size."""
    arities = {a for a in map(_arity, components) if a < most}
    sizes = {1}
    forests = {0: {0}}
    for _ in range(most):
        for k in range(1, max(arities, default=0) + 1):
            forests[k] = {a + b for a in forests[k - 1] for b in sizes if a + b < most}
        grown = sizes | {1 + n for a in arities for n in forests[a] if 1 + n <= most}
        if grown == sizes:
            break
        sizes = grown
    if not any(least <= n <= most for n in sizes):
        raise refuse(module, "E610", f"no tree of these options has {least} to {most} components", text)
