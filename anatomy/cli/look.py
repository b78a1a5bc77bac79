"""`show`, `hash`, `equal`, `render`: commands that look at diagrams; none of them needs torch, but `equal` may use it."""

from __future__ import annotations

import argparse
from math import isfinite
from typing import TYPE_CHECKING, Any

from anatomy.cli.output import add_json, emit
from anatomy.ir.graph import Diagram
from anatomy.target import load_diagram

if TYPE_CHECKING:
    from anatomy.rewrites.equality import Equality
    from anatomy.rewrites.relate import Relation
    from anatomy.rewrites.search import Found


def add(name: str, parser: argparse.ArgumentParser) -> None:
    match name:
        case "equal":
            parser.add_argument("left", metavar="A")
            parser.add_argument("right", metavar="B")
            parser.add_argument("--seed", type=int, default=0)
            parser.add_argument("--seconds", type=float, default=4.0, help="how long to look for a relation")
            parser.add_argument("--relation", choices=tuple(RELATIONS), help="succeed where this relation of A to B is proved, or a stronger one")
            add_json(parser)
            parser.set_defaults(run=equal)
        case "render":
            parser.add_argument("target", metavar="TARGET")
            parser.add_argument("-o", "--output", required=True, metavar="OUT", help=".svg .png .pdf .dot .txt, or - for text")
            parser.add_argument("--full", action="store_true", help="every box, nothing folded")
            parser.set_defaults(run=render)
        case _:
            parser.add_argument("target", metavar="TARGET")
            add_json(parser)
            parser.set_defaults(run=show if name == "show" else digest)


def signature(diagram: Diagram) -> str:
    def typed(layout: tuple[str, ...], kind: Any) -> str:
        return ("" if str(kind) == "real" else str(kind)) + f"[{', '.join(layout)}]"

    inputs = ", ".join(f"{i.name}: {typed(i.layout, diagram.wires[i.wire].kind)}" for i in diagram.inputs)
    outputs = ", ".join(typed(o.layout, diagram.wires[o.port.wire].kind) for o in diagram.outputs)
    return f"({inputs}) -> {outputs}"


def facts(diagram: Diagram) -> dict[str, Any]:
    """Everything that `anatomy show` tells."""
    from anatomy.ir.analysis import analyse
    from anatomy.ir.canonical import digest

    found = analyse(diagram)
    return {
        "name": diagram.name,
        "type": signature(diagram),
        "sizes": {a: str(p) for a, p in diagram.sizes.items() if str(p) != a and "." not in a},
        "weights": [
            {"key": w.key, "axes": list(w.layout), "init": str(w.init), "frozen": w.frozen, "tied": list(w.keys[1:])}
            for w in diagram.weights
        ],
        "holes": list(diagram.holes),
        "boxes": len(diagram.nodes),
        "parameters": str(found.parameters),
        "flops": str(found.flops),
        "memory": str(found.memory),
        "causal": found.causal,
        "equivariant": found.equivariant,
        "length_generic": found.length_generic,
        "hash": digest(diagram),
    }


def show(options: argparse.Namespace) -> int:
    data = facts(load_diagram(options.target))
    if options.json:
        emit(data)
        return 0
    words = {True: "yes", False: "no", None: "not proved"}
    print(f"{data['name']}{data['type']}")
    if data["sizes"]:
        print("  where          " + ", ".join(f"{a} = {p}" for a, p in data["sizes"].items()))
    for weight in data["weights"]:
        tied = f", tied to {', '.join(weight['tied'])}" if weight["tied"] else ""
        print(f"  weight         {weight['key']}: [{', '.join(weight['axes'])}] ~ {weight['init']}{' frozen' * weight['frozen']}{tied}")
    if data["holes"]:
        print(f"  open holes     {', '.join(data['holes'])}")
    rows = (("boxes", "boxes"), ("parameters", "parameters"), ("flops", "FLOPs"), ("memory", "memory"))
    for key, label in rows:
        print(f"  {label:<14} {data[key]}")
    for key in ("causal", "equivariant", "length_generic"):
        print(f"  {key.replace('_', ' '):<14} {words[data[key]]}")
    print(f"  hash           {data['hash']}")
    return 0


def digest(options: argparse.Namespace) -> int:
    from anatomy.ir.canonical import digest

    value = digest(load_diagram(options.target))
    emit({"target": options.target, "hash": value}) if options.json else print(value)
    return 0


RELATIONS = {"==": "the same function for all weights", "~=": "the same functions, by other weights", ">=": "the functions of the one are among those of the other"}
"""From the strongest to the weakest."""


def equal(options: argparse.Namespace) -> int:
    from anatomy.rewrites.equality import related
    from anatomy.rewrites.relate import comparable, contains

    left, right = load_diagram(options.left), load_diagram(options.right)
    found = related(left, right, options.seed, options.seconds)
    why = comparable(left, right)
    rows = {
        "isomorphic": found.isomorphic,
        "same_term": found.same_term,
        "normal_form": found.normal_form,
        "evaluation": found.evaluation,
    }
    if options.json:
        steps, counter = found.derivation, found.counterexample
        emit({
            **rows,
            "derivation": None if steps is None else [{"side": side, "rule": rule} for side, rule in steps],
            "counterexample": None if counter is None else {
                "sizes": {"left": counter.sizes[0], "right": counter.sizes[1]}, "seed": counter.seed,
                "scale": counter.scale, "difference": counter.difference if isfinite(counter.difference) else None,
            },
            "search": None if found.sought is None else _sought(found.sought),
            "relation": None if found.relation is None else _related(found.relation),
            "refused": why or None,
        })  # fmt: skip
    else:
        meaning = {
            "isomorphic": "the same diagram up to names and order",
            "same_term": "the same after merging equal boxes",
            "normal_form": "equal normal forms",
            "evaluation": "indistinguishable at random points",
        }
        words = {True: "yes", False: "no", None: "not decided"}
        for key, value in rows.items():
            print(f"{key:<12} {words[value]:<12} {meaning[key]}")
        for line in (*_reasons(found, _partial(left) or _partial(right)), *_relation(found, left, right, why)):
            print(line)
    if options.relation is None:
        return 0 if found.proved else 1
    known = found.relation
    if options.relation == ">=" and known is not None and known.greater == "right":
        known = contains(left, right, options.seconds)
    if known is None or known.conjecture or known.greater == "right":
        return 1
    return 0 if list(RELATIONS).index(known.relation) <= list(RELATIONS).index(options.relation) else 1


def _sought(found: Found) -> dict[str, Any]:
    return {
        "tried": found.tried, "complete": found.complete, "waiting": found.waiting, "distance": found.distance,
        "near": [{"side": side, "rule": rule} for side, rule in found.near],
        "boxes": {"left": list(found.boxes[0]), "right": list(found.boxes[1])},
    }  # fmt: skip


def _related(found: Relation) -> dict[str, Any]:
    return {
        "relation": found.relation, "greater": found.greater or None, "conjecture": found.conjecture,
        "restrictions": list(found.restrictions), "conditions": list(found.conditions),
        "forth": [{"weight": f.key, "value": f.expression} for f in found.forth],
        "back": [{"weight": f.key, "value": f.expression} for f in found.back],
    }  # fmt: skip


def _relation(found: Equality, left: Diagram, right: Diagram, why: str) -> list[str]:
    """The relation in words, with its witnesses."""
    if why:
        return [f"\nThey are of different types: {why}."]
    relation = found.relation
    if relation is None:
        return ["\nNo relation `~=` or `>=` of their sets of functions was found; that refutes none."]
    if relation.relation == "==":
        return []
    a, b = (f"`{left.name}`", f"`{right.name}`")
    if relation.relation == "~=":
        head = f"{a} ~= {b}: the same functions, by other weights."
    elif relation.greater == "left":
        head = f"{a} >= {b}: every function of {b} is one of {a}."
    else:
        head = f"{b} >= {a}: every function of {a} is one of {b}."
    lines = ["", head]
    if relation.restrictions:
        lines.append(f"  where {', '.join(relation.restrictions)}")
    for name, other, fills in ((a, b, relation.forth), (b, a, relation.back)):
        shown = [f.text for f in fills if f.expression != f.key.replace(".", "_") and f.expression != f.key.rpartition(".")[2]]
        if fills:
            reverse = relation.conditions and (relation.greater == "left") == (name == b)
            lines.append(f"  {name} is {other} with{f' (where {and_(relation.conditions)})' if reverse else ''}")
            lines += [f"    {text}" for text in shown] or ["    the same weights"]
    if relation.conditions:
        lines.append(f"  where {and_(relation.conditions)}, it is `~=`")
    if relation.conjecture:
        lines.append("  No derivation is known: this is a conjecture, not a proof.")
    return lines


def and_(words: tuple[str, ...]) -> str:
    return " and ".join(words)


def _partial(diagram: Diagram) -> bool:
    """Whether something in it has no value everywhere: a quotient, a power, a logarithm, a mask."""
    return any(n.op.word in ("/", "^", "log", "sqrt", "mask", "logsumexp", "l1norm", "l2norm") for n in diagram.nodes)


def _reasons(found: Equality, partial: bool) -> list[str]:
    """A derivation or a counterexample in words."""
    lines = []
    if found.derivation and not found.same_term:
        lines.append("\nEqual by the laws (`anatomy/rewrites/rules.anat`):")
        for side in ("left", "right"):
            names = [rule for s, rule in found.derivation if s == side]
            if names:
                lines.append(f"  {side:<6} {', '.join(names)}")
        if any(rule.endswith("^") for _, rule in found.derivation):
            lines.append("  (^: from right to left)")
        if partial:
            lines.append("  wherever both are finite: no denominator is 0, no row of a mask is empty")
    elif found.evaluation and not found.proved:
        lines.append("\nNo derivation is known: this is a conjecture, not a proof.")
    related = found.relation is not None and not found.relation.conjecture
    if found.sought is not None and found.sought.words and not related:
        lines.append(found.sought.words if found.evaluation else f"\nNo derivation was found. {found.sought.words}")
    if found.counterexample is not None:
        c = found.counterexample
        sizes = ", ".join(f"{a}={n}" for a, n in c.sizes[0].items() if "~" not in a and "." not in a)
        lines.append(f"\nThey differ by {c.difference:.3g} at random inputs (seed {c.seed}) of sizes {sizes}.")
    return lines


def render(options: argparse.Namespace) -> int:
    from anatomy.render import draw

    picture = draw(load_diagram(options.target), options.full)
    if options.output == "-":
        print(picture.text)
    else:
        picture.save(options.output)
        print(options.output)
    return 0
