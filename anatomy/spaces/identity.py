"""The identity of a space: a hash of all that decides which members it has and in which order."""

from __future__ import annotations

from hashlib import blake2b

from anatomy.language.choices import Component, Decision, SpaceDefinition


def identity(definition: SpaceDefinition) -> str:
    """A hash of the base, the decisions with every component by its own hash, and the conditions; not of names of wires or comments.

    Lines beyond hole and `label=hash` stand only where a decision is more than one component for one hole.
    """
    from anatomy.ir.canonical import digest

    text = [digest(definition.base), *definition.base.holes]
    for decision in definition.decisions:
        text += _decision(decision)
    text += [f"except {c!r}" for c in definition.excepts]
    text += [f"where {c!r}" for c in definition.where]
    text += [f"require {r.what} {r.op} {r.value}" for r in definition.requires]
    text += [f"within {w.distance} of {sorted(w.centre.items())!r}" for w in definition.within]
    text += ["pairs"] if definition.pairs else []
    return blake2b("\n".join(text).encode(), digest_size=16).hexdigest()


def _decision(d: Decision) -> list[str]:
    domain = d.domain
    text = [d.name, *(line for c in domain.components for line in _component(c))]
    more = (d.kind, domain.form, domain.least, domain.most, domain.join, domain.edges, d.sites, d.tied, d.names)
    if more != ("hole", "one", 1, 1, "add", None, (d.name,), (), ()):
        text.append(repr(more))
    if d.when is not None:
        text += [f"when {d.when!r}", "else", *(_component(d.otherwise) if d.otherwise is not None else ["nothing"])]
    if d.prefer:
        text.append(f"prefer {sorted(d.prefer.items())!r}")
    return text


def _component(c: Component) -> list[str]:
    from anatomy.ir.canonical import digest

    head = f"{c.label}={digest(c.diagram)}" if c.diagram is not None else c.label
    return [head, *(["{", *(line for d in c.inner for line in _decision(d)), "}"] if c.inner else [])]
