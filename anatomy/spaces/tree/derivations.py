"""Fillings as written: what is counted before types, conditions and symmetry take anything away."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from anatomy.language.choices import Component, Decision, Refusal
from anatomy.spaces.tree.decisions import Decisions
from anatomy.spaces.tree.node import admit


def derivations(decisions: tuple[Decision, ...], refused: tuple[Refusal, ...] = ()) -> int:
    """`prod_k |values of decision k|` with refused components among them, and n^m for m interchangeable holes."""
    found = [_offered(d, tuple(Component(r.label) for r in refused if r.name == d.name)) for d in decisions]
    admit(sum(n.bit_length() for n in found), "the space as written")
    return prod(found)


def _offered(d: Decision, extra: tuple[Component, ...]) -> int:
    domain = replace(d.domain, components=(*d.domain.components, *extra)) if extra else d.domain
    if d.names:
        domain = replace(domain, form="one")
    count = Decisions((replace(d, domain=domain, names=(), when=None, otherwise=None, prefer={}),)).count
    return count ** len(d.names) if d.names else count
