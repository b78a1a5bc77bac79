"""An atlas as JSON and as a page of tables, and back from JSON."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from anatomy.library.atlas import Atlas, Check, Edge, Node, plain
from anatomy.library.entry import entries
from anatomy.library.forms import Form, entry
from anatomy.library.proof import Proof, proved

KINDS = {
    "same": "One mechanism under two names",
    "sizes": "Equal where sizes are restricted",
    "inputs": "One input for two",
    "weights": "One with values for some weights is the other",
    "fill": "Diagrams with holes, and what fills them",
}
"""Kinds of edges in the order of the page, each with its heading."""


def stamps(names: Iterable[str]) -> dict[str, str]:
    """A hash of each text."""
    return {n: blake2b(entry(n).source.text.encode(), digest_size=8).hexdigest() for n in names}


def data(atlas: Atlas) -> dict[str, Any]:
    """The atlas as plain data, the same for equal atlases, with the hashes of the texts that it is of."""
    return {
        "texts": stamps(e.name for e in entries()),
        "nodes": [{"name": n.name, "members": list(n.members), "forms": [_written(f) for f in n.forms]} for n in atlas.nodes],
        "edges": [
            {
                "left": e.left, "relation": e.relation, "right": e.right, "kind": e.kind, "steps": list(e.steps),
                "restrictions": list(e.restrictions),
                "checks": [{"left": _written(c.left), "right": _written(c.right), **c.proof.data()} for c in e.checks],
            }
            for e in atlas.edges
        ],
        "alone": list(atlas.alone),
    }  # fmt: skip


def read(found: dict[str, Any]) -> Atlas:
    """The atlas of such data."""
    nodes = [Node(n["name"], tuple(n["members"]), tuple(map(_form, n["forms"]))) for n in found["nodes"]]
    edges = [
        Edge(
            e["left"], e["right"], e["relation"], e["kind"], tuple(e["steps"]), tuple(e["restrictions"]),
            tuple(Check(_form(c["left"]), _form(c["right"]), Proof.read(c)) for c in e["checks"]),
        )
        for e in found["edges"]
    ]  # fmt: skip
    return Atlas(tuple(nodes), tuple(edges), tuple(found["alone"]))


def _written(form: Form) -> dict[str, Any]:
    return {"entry": form.entry, "open": list(form.open), "moves": list(form.moves)}


def _form(found: dict[str, Any]) -> Form:
    return Form(found["entry"], tuple(found["open"]), tuple(found["moves"]))


def why(edge: Edge) -> str:
    """How an edge is proved, in a few words."""
    proof = edge.proof
    match proof.by:
        case "term":
            return "by definition" if all(c.proof.by == "fill" for c in edge.checks) else "the same diagram"
        case "normal form":
            return "one normal form"
        case "witness":
            return "these weights, put in"
        case _:
            return f"weights: {'; '.join(w for w in proof.forth if not plain(w)) or 'the same'}"


def page(atlas: Atlas) -> str:
    """Tables of all edges, for reading."""
    lines = [
        "# The map of the zoo", "",
        "Made by `python -m zoo.map` from the texts of the zoo; every line is checked, and none is written by hand. `anatomy zoo map -o map.svg` draws it,",
        "`anatomy zoo map --json` tells it with its proofs. Here it is as a picture: [map.svg](map.svg).", "",
        "`==`: the same function for every value of the weights. `~=`: the same set of functions. `A >= B`: every function of B is one of A.",
        "A relation \"at\" some sizes holds for the left side at those sizes. A diagram with holes has the functions of all that can fill them.", "",
        f"{sum(bool(n.members) for n in atlas.nodes)} nodes of {sum(len(n.members) for n in atlas.nodes)} mechanisms, "
        f"{sum(not n.members for n in atlas.nodes)} diagrams that are none of them, {len(atlas.edges)} edges that follow from no others; "
        f"{len(atlas.alone)} mechanisms without an edge.", "",
    ]  # fmt: skip
    for kind, heading in KINDS.items():
        found = [e for e in atlas.edges if e.kind == kind]
        if not found:
            continue
        lines += [f"## {heading} ({len(found)})", "", "| | | | by | proved by |", "|---|---|---|---|---|"]
        for e in found:
            at = [r for r in e.restrictions if r not in e.steps]
            by = ", ".join([*(f"`{s}`" for s in e.steps), *(f"at `{r}`" for r in at)])
            lines.append(f"| {_link(e.left, atlas)} | `{e.relation}` | {_link(e.right, atlas)} | {by} | {_cell(why(e))} |")
        lines.append("")
    lines += [
        f"## Without an edge ({len(atlas.alone)})", "",
        "Nothing was found that leads from one of these to another or to a diagram with holes that others fill. That is no proof that there is none.", "",
        ", ".join(_link(n, atlas) for n in atlas.alone), "",
    ]  # fmt: skip
    return "\n".join(lines)


def _link(name: str, atlas: Atlas) -> str:
    if name in {e.name for e in entries()}:
        found = entry(name)
        return f"[`{name}`]({found.folder}/{found.path.name})"
    return _cell(name)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def again(edge: Edge) -> bool:
    """Whether every check of an edge is proved once more."""
    return all(proved(c.left, c.right) == c.proof for c in edge.checks)
