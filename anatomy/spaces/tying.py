"""One decision and one learner: the weights below several uses of holes become one, under all their keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from anatomy.errors import fail
from anatomy.ir.graph import Diagram, Equation, Port, Weight
from anatomy.ir.loop import boxes
from anatomy.ir.poly import Poly
from anatomy.language.loops import compact


def uses(base: Diagram, hole: str) -> list[str]:
    """The paths of the uses of a hole, in the order of the text."""
    return list(dict.fromkeys(n.op.site for n in boxes(base, base.nodes) if n.op.hole == hole))  # type: ignore[attr-defined]


def tied(diagram: Diagram, paths: Sequence[tuple[str, str]]) -> Diagram:
    """The diagram in which every weight below the second path of a pair is that below the first, as `tie p.W, q.W` says.

    What the two have inside (`p.a`, `q.a`) gets one size. Raises AnatomyError E310 where two such weights
    differ in their roles or sizes.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis n, d, e diagram f(x: [n, d]) -> [n, e] { out h@p(x) - relu(h@q(x)) } "
    >>> program = Program.of(Source("f.anat", text + "diagram h(x: [d]) -> [e] { out lin W[d -> e, bias=false](x) }"))
    >>> [w.keys for w in tied(program.get("f"), [("p", "q")]).weights]
    [('p.W', 'q.W')]
    """
    if not paths:
        return diagram
    diagram = _one_size(diagram, paths)
    first = {key: w for w in diagram.weights for key in w.keys}
    pairs: list[tuple[Weight, Weight]] = []
    merged: dict[int, int] = {}
    """From the place of a weight that goes to that of the one which stays."""
    place = {w.wire: k for k, w in enumerate(diagram.weights)}
    for k, weight in enumerate(diagram.weights):
        for stays, goes in paths:
            if weight.key.startswith(f"{goes}."):
                other = first.get(stays + weight.key[len(goes) :])
                if other is None or other.wire == weight.wire:
                    continue
                pairs.append((other, weight))
                target = place[other.wire]
                merged[k] = merged.get(target, target)
    for one, other in pairs:
        diagram = _alike(diagram, one, other)
    return _merged(diagram, merged)


def _one_size(diagram: Diagram, paths: Iterable[tuple[str, str]]) -> Diagram:
    names: dict[str, str] = {}
    for stays, goes in paths:
        for axis in diagram.sizes:
            twin = stays + axis[len(goes) :]
            if axis.startswith(f"{goes}.") and twin in diagram.sizes:
                names[axis] = names.get(twin, twin)
    if not names:
        return diagram

    def known(poly: Poly) -> Poly:
        return poly.rename(lambda v: names.get(v, v)) if poly.variables() & names.keys() else poly

    said = [Equation(known(e.left), known(e.right), e.span) for e in diagram.equations]
    return replace(
        diagram,
        sizes={a: known(p) for a, p in diagram.sizes.items()},
        equations=tuple(dict.fromkeys(said)),
        defaults=tuple((a, known(p)) for a, p in diagram.defaults if a not in names),
    )


def _alike(diagram: Diagram, a: Weight, b: Weight) -> Diagram:
    """The diagram, in which the two have equal sizes: by its equations, or by what `axis m = n` licenses (ruling 3)."""
    roles = [(len(w.lanes), len(w.fan_in), len(w.fan_out), w.init, w.frozen) for w in (a, b)]
    while roles[0] == roles[1]:
        settled = diagram.settled
        left, right = ([settled.of(diagram.sizes[axis]) for axis in w.layout] for w in (a, b))
        if left == right:
            return diagram
        licences = dict(diagram.defaults)
        unequal = [(p, q) for p, q in zip(left, right, strict=True) if p != q]
        free = sorted(v for p, q in unequal for v in (p - q).variables() & licences.keys() if diagram.sizes.get(v) == Poly.var(v))
        if not free:
            break
        diagram = _given(diagram, free[0], licences[free[0]])
    types = [f"[{', '.join(str(diagram.settled.of(diagram.sizes[axis])) for axis in w.layout)}]" for w in (a, b)]
    raise fail(
        "E310", f"`{a.key}` and `{b.key}` cannot be tied: {types[0]} and {types[1]}", b.span,
        help="tied learners have the same sizes: `share` gives each hole its own",
    )  # fmt: skip


def _given(diagram: Diagram, axis: str, size: Poly) -> Diagram:
    """The diagram with a licence taken up: as if its header said `where axis = size`."""
    value = diagram.sizes[axis].substitute({axis: size})
    value = value.substitute({a: diagram.sizes[a] for a in value.variables() & diagram.sizes.keys() if a != axis})

    def known(poly: Poly) -> Poly:
        return poly.substitute({axis: value})

    if axis in value.variables():
        return replace(diagram, defaults=tuple((a, p) for a, p in diagram.defaults if a != axis))
    return replace(
        diagram,
        sizes={a: known(p) for a, p in diagram.sizes.items()},
        equations=tuple(Equation(known(e.left), known(e.right), e.span) for e in diagram.equations),
        defaults=tuple((a, known(p)) for a, p in diagram.defaults if a != axis),
        where=(*diagram.where, Equation(Poly.var(axis), size, diagram.span)),
    )


def _merged(diagram: Diagram, merged: Mapping[int, int]) -> Diagram:
    weights = list(diagram.weights)
    ways: dict[int, tuple[int, dict[str, str]]] = {}
    for goes, stays in merged.items():
        old, new = diagram.weights[goes], weights[stays]
        ways[old.wire] = new.wire, dict(zip(new.layout, old.layout, strict=True))
        weights[stays] = replace(new, keys=(*new.keys, *old.keys))

    def port(p: Port) -> Port:
        if p.wire not in ways:
            return p
        wire, to_old = ways[p.wire]
        inner = dict(p.renames)
        return Port(wire, tuple((a, inner[to_old[a]]) for a in diagram.wires[wire].axes))

    return compact(
        replace(
            diagram,
            weights=tuple(w for k, w in enumerate(weights) if k not in merged),
            nodes=tuple(replace(n, ports=tuple(map(port, n.ports))) for n in diagram.nodes),
            outputs=tuple(replace(o, port=port(o.port)) for o in diagram.outputs),
        )
    )
