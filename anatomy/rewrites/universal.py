"""Steps by universal approximation: what may fill a hole that is read as an approximator, by which laws, under which conditions.

A hole stands for a family of functions that comes, uniformly on compact sets, as near as one likes to every continuous function of
its type. A step `A >= B` says that each function of B is such a limit of functions of A, `A ~= B` that this holds both ways.
Non-goals: numbers of parameters, rates, training: nothing is said of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anatomy.errors import AnatomyError, fail
from anatomy.ir.builder import Builder
from anatomy.ir.graph import Diagram, Input, Node, Output
from anatomy.ir.live import live
from anatomy.ir.poly import Poly
from anatomy.ir.strands import strands
from anatomy.language.spaces import fits
from anatomy.ops import Hole
from anatomy.rewrites.continuity import continuity
from anatomy.rewrites.filled import hole_of
from anatomy.rewrites.learners import Unproved
from anatomy.rewrites.meetings import proved
from anatomy.rewrites.universality import Universality

LAWS: dict[str, str] = {
    "X1": "a hole is filled by a continuous function",
    "X2": "a network with one hidden layer is an approximator itself",
    "X3": "approximators in a row are one, where enough fits in between",
    "X4": "independent approximators side by side are one",
    "X5": "an approximator of what a fixed injection gives is one",
    "X6": "a fixed surjection of an approximator is one",
    "X7": "an approximator may ignore an input",
    "X8": "an approximator without inputs is a weight",
    "X9": "an approximator of all positions may treat each on its own",
    "X10": "two approximators may be one",
    "X11": "a product of two weights is one weight, where enough fits in between",
    "X12": "an approximator may be linear, and a linear map the identity",
    "X13": "an approximator of sets is one of a sum over their elements",
}
"""What each law says; grammar/README.md has their conditions and sources."""

Fills = Sequence[tuple[str, Diagram]]


def judged(
    host: Diagram, made: Diagram, fills: Fills, both: bool, invariant: Sequence[str] = (), inverse: Diagram | None = None, law: str = ""
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The laws and conditions by which `made`, `host` with its holes filled, is a limit of `host`, and, if `both`, the reverse.

    `invariant`: axes of the holes that these are symmetric in. `inverse`: a left inverse of what the filler does before its hole, or a
    right inverse of what it does behind it. `law`: one that must be among those found.
    Raises AnatomyError E323 with the condition that is not proved, E605 where a name is that of no hole.
    """
    found: dict[str, None] = {}
    conditions: dict[str, None] = {}
    limits = [continuity(made), *([continuity(host)] if both else [])]
    for limit in limits:
        if limit.jump is not None:
            raise _refused(f"a limit is not carried through: {limit.jump}", "universal approximation is for continuous functions")
    names = ", ".join(f"`{name}`" for name, _ in fills)
    conditions[f"{names} may come near any continuous function{' that is symmetric' if invariant else ''}, uniformly on compact sets, as an approximator grows"] = None
    for name, filler in fills:
        if name not in host.holes:
            raise fail("E605", f"`{host.name}` has no hole `{name}` to be an approximator", help="a weight is filled without `universal`")
        if continuity(filler).jump is not None:
            raise _refused(f"`{filler.name}` is not continuous: {continuity(filler).jump}", "universal approximation is for continuous functions")
        axes = _axes(host, name, filler, invariant)
        if axes:
            _symmetric(filler, axes)
        trusted = _inverted(filler, inverse) if inverse is not None else ""
        if both:
            proof = Universality(filler, axes, trusted)
            try:
                proof.prove()
            except Unproved as why:
                raise _refused(f"what fills `{name}` is not shown to be an approximator itself: {why}", "write `>=`, or state the sizes behind `where`") from None
            found |= proof.laws or {"X1": None}
            conditions |= proof.conditions
        else:
            found |= dict.fromkeys(_kinds(filler, axes))
    conditions |= dict.fromkeys(c for limit in limits for c in limit.conditions)
    if law and law not in LAWS:
        raise _refused(f"there is no law `{law}` of universal approximation", f"there are: {', '.join(LAWS)}")
    if law and law not in found and (both or law != "X1"):
        raise _refused(f"the step is not one by {law} ({LAWS[law]})", f"it is one by {', '.join(found)}")
    return tuple(found), tuple(conditions)


def onto(host: Diagram, name: str, filler: Diagram) -> tuple[str, ...]:
    """The conditions under which what fills a weight reaches every value of it.

    Raises AnatomyError E323 where that is not proved.
    """
    if name in host.holes:
        raise _refused(f"`{name}` is a hole: that its filler may be anything is said `by universal`", "write `>=`")
    proof = Universality(filler)
    try:
        proof.prove()
    except Unproved as why:
        raise _refused(f"what fills `{name}` is not shown to reach every value: {why}", "write `>=`, or give the way back: `back V := ...`") from None
    return tuple(proof.conditions)


def _refused(message: str, help: str) -> AnatomyError:
    return fail("E323", message, help=help)


def _axes(host: Diagram, name: str, filler: Diagram, invariant: Sequence[str]) -> frozenset[str]:
    """The axes of a filler that stand for axes of the hole."""
    node = hole_of(host, name)
    table = fits(node, filler, opened=True)
    if isinstance(table, str):
        raise fail("E604", f"`{filler.name}` does not fit hole `{name}`: {table}")
    roles = node.op.roles or node.own  # type: ignore[attr-defined]
    found = set()
    for axis in invariant:
        mine = next((a for a, k in table.items() if axis in (roles[k], a)), None)
        if mine is None:
            raise fail("E203", f"hole `{name}` has no axis `{axis}`", help=f"it has: {', '.join(roles)}")
        found.add(mine)
    return frozenset(found)


def _symmetric(filler: Diagram, axes: frozenset[str]) -> None:
    """Raises AnatomyError E323 where a filler is not shown to be the same for every order of the positions of some axes."""
    known = strands(filler, compared=True)
    for axis in axes:
        token = {known.wire(i.wire, a) for i in filler.inputs for a in i.layout if a == axis}
        out = any(known.of["out", k, a] in token for k, o in enumerate(filler.outputs) for a in o.layout)
        learned = any(known.wire(w.wire, a) in token for w in filler.weights if filler.consumers[w.wire] for a in w.layout)
        boxes = any(known.box(i, a) in token for i in live(filler) for a in _positional(filler, filler.nodes[i]))
        if out or learned or boxes:
            raise _refused(f"`{filler.name}` is not shown to be the same for every order of `{axis}`", "sum over the axis, and name it in no weight and no hole")


def _positional(filler: Diagram, node: Node) -> tuple[str, ...]:
    return node.own if node.op.hole else node.op.positional(node.own, [bool(filler.consumers[w]) for w in node.outs])


def _kinds(filler: Diagram, axes: frozenset[str]) -> list[str]:
    """The laws that a filler is an instance of; that it may be put in follows from the first in any case."""
    found = ["X1"]
    holes = [(i, filler.nodes[i]) for i in live(filler) if filler.nodes[i].op.hole]
    proof = Universality(filler, axes)
    read = frozenset().union(*(proof.reads.get(o.port.wire, frozenset()) for o in filler.outputs))
    if any(i.wire not in read for i in filler.inputs):
        found.append("X7")
    if not read and not holes and filler.weights:
        found.append("X8")
    if not axes and any(n.lifts for _, n in holes):
        found.append("X9")
    if any(n.op.hole for i, node in holes for p in node.ports for n in _above(filler, p.wire) if n is not node):
        found.append("X3")
    if len(filler.outputs) > 1 and len(holes) > 1:
        found.append("X4")
    if not holes and all(_linear(proof, filler.nodes[i]) for i in live(filler)):
        found.append("X12")
    if axes and holes:
        found.append("X13")
    return found if len(found) == 1 else found[1:]


def _linear(proof: Universality, node: Node) -> bool:
    """Whether a box is affine in what depends on the inputs."""
    read = [p for p in node.ports if proof.reads.get(p.wire)]
    if len(read) <= 1 and node.op.algebra == "multilinear":
        return True
    return node.op.algebra == "linear" or node.op.word in ("+", "-") or not read


def _above(diagram: Diagram, wire: int) -> list[Node]:
    """The boxes that a wire is made by."""
    seen: set[int] = set()
    stack = [wire]
    while stack:
        made = diagram.producer.get(stack.pop())
        if made is not None and made[0] not in seen:
            seen.add(made[0])
            stack += [p.wire for p in diagram.nodes[made[0]].ports]
    return [diagram.nodes[i] for i in seen]


# inverses given as diagrams ---------------------------------------------------------------------


def _inverted(filler: Diagram, inverse: Diagram) -> str:
    """X5 where the inverse undoes what the filler does before its hole, X6 where what it does behind undoes the inverse.

    Raises AnatomyError E323 where neither is proved.
    """
    holes = [n for n in filler.nodes if n.op.hole]
    if len(holes) != 1:
        raise _refused(f"`{filler.name}` has {len(holes)} holes; an inverse is of what stands before or behind one", "")
    if continuity(inverse).jump is not None:
        raise _refused(f"the inverse is not continuous: {continuity(inverse).jump}", "")
    (node,) = holes
    behind = all(filler.producer.get(o.port.wire, (-1, 0))[0] >= 0 and filler.nodes[filler.producer[o.port.wire][0]] is node for o in filler.outputs)
    first, second = (_before(filler, node), inverse) if behind else (inverse, _behind(filler, node))
    try:
        whole = _composed(first, second)
    except (ValueError, KeyError):
        raise _refused("the inverse has another type than what it is to undo", f"it takes {'what the hole is given' if behind else 'the result'}") from None
    same = _identity(whole)
    if same is None or proved(whole, same) is None:
        raise _refused("the inverse does not undo it, as far as the laws go", "it stands for the inputs of the filler" if behind else "what it gives is what the hole gives")
    return "X5" if behind else "X6"


def _before(filler: Diagram, node: Node) -> Diagram:
    """What a hole is given."""
    op = node.op
    assert isinstance(op, Hole)
    takes = [tuple(node.own[k] for k in axes) for axes in op.takes_axes]
    outputs = tuple(Output(p, axes, kind=filler.wires[p.wire].kind) for p, axes in zip(node.ports, takes, strict=True))
    return replace(filler, outputs=outputs, nodes=tuple(n for n in filler.nodes if n is not node and node.outs[0] not in {p.wire for p in n.ports}))


def _behind(filler: Diagram, node: Node) -> Diagram:
    """What becomes of the results of a hole."""
    gone = {id(n) for n in _above(filler, node.outs[0])}
    op = node.op
    assert isinstance(op, Hole)
    gives = [tuple(node.own[k] for k in axes) for axes in op.gives_axes]
    inputs = tuple(Input(filler.wires[w].name or f"y{k + 1}", w, axes) for k, (w, axes) in enumerate(zip(node.outs, gives, strict=True)))
    return replace(filler, inputs=inputs, nodes=tuple(n for n in filler.nodes if id(n) not in gone))


def _composed(first: Diagram, second: Diagram) -> Diagram:
    """One diagram after another; the axes of the second are those that the first gives."""
    builder = Builder()
    for axis, size in first.sizes.items():
        if size != Poly.var(axis):
            builder.sizes.define(axis, size)
        builder.axis(axis)
    views = [builder.input(i.name, i.layout, first.wires[i.wire].kind) for i in first.inputs]
    outs = builder.splice(first, views, {a: a for a in first.sizes}, lambda k: f"first.{k}")
    table: dict[str, str] = {}
    for item, output in zip(second.inputs, first.outputs, strict=True):
        for theirs, mine in zip(item.layout, output.layout, strict=True):
            if table.setdefault(theirs, mine) != mine:
                raise ValueError(theirs)
    table |= {a: f"second.{a}" for a in second.sizes if a not in table}
    results = builder.splice(second, outs, table, lambda k: f"second.{k}")
    outputs = [Output(v.port, tuple(table[a] for a in o.layout)) for v, o in zip(results, second.outputs, strict=True)]
    return builder.finish("composite", outputs)


def _identity(whole: Diagram) -> Diagram | None:
    """What gives back its inputs, of the type of a diagram, or None where results and inputs differ in type."""
    if len(whole.inputs) != len(whole.outputs):
        return None
    builder = Builder()
    views = [builder.input(i.name, i.layout, whole.wires[i.wire].kind) for i in whole.inputs]
    if any(len(i.layout) != len(o.layout) for i, o in zip(whole.inputs, whole.outputs, strict=True)):
        return None
    return builder.finish("identity", [Output(v.port, i.layout) for v, i in zip(views, whole.inputs, strict=True)])
