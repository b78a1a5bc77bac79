"""From a domain, as the language describes it, to the node that counts it."""

from __future__ import annotations

from collections.abc import Callable

from anatomy.errors import fail
from anatomy.language.choices import Component, Decision, Domain
from anatomy.spaces.tree.dag import Dag
from anatomy.spaces.tree.multiset import Multiset
from anatomy.spaces.tree.node import Node
from anatomy.spaces.tree.options import Below, Options
from anatomy.spaces.tree.sequence import Sequence
from anatomy.spaces.tree.subset import Subset
from anatomy.spaces.tree.tree import Tree

Inner = Callable[[tuple[Decision, ...]], Below]
LONGEST = 100
"""Components that a sequence or a choice of several may have."""


def node(domain: Domain, kind: str, inner: Inner) -> Node:
    """The node of a domain; `inner` makes that of the decisions a component brings with it. Raises AnatomyError E630."""
    least, most = domain.least, domain.most
    if domain.form == "tree":
        return Tree([(c.label, holes(c), inner(c.inner) if c.inner else None) for c in domain.components], least, most)
    of = Options([(c.label, size(c, kind), inner(c.inner) if c.inner else None) for c in domain.components])
    if domain.form != "one" and most > LONGEST:
        raise fail("E630", f"`{domain.form}` of up to {most:,} components is too long; at most {LONGEST:,} are counted")
    match domain.form:
        case "one":
            return of
        case "seq":
            return Sequence(of, least, most)
        case "bag":
            return Multiset(of, least, most)
        case "set":
            return Subset(of, least, min(most, max(of.count, least)))
        case "dag":
            return Dag(of, least, most, domain.edges)


def size(component: Component, kind: str) -> int:
    """What a component adds to the size of a member: nothing where no part is used."""
    return 0 if kind != "hole" or component.label == "none" else 1


def holes(component: Component) -> int:
    """The holes of a component about which it decides nothing itself, and which a `tree` fills again."""
    decided = {site for d in component.inner for site in (d.names or d.sites or (d.name,))}
    return 0 if component.diagram is None else sum(hole not in decided for hole in component.diagram.holes)
