"""Members of the set of functions of a diagram: weights that are 0, 1, an identity, equal, or the same along an axis; sizes that are 1.

Converts: a diagram into diagrams each of whose functions is one of its own, with the weights that say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import permutations

from anatomy.ir.builder import Builder, View
from anatomy.ir.graph import Diagram, Equation, Output, Weight
from anatomy.ir.poly import Poly
from anatomy.ops import Compare, Expand, Iota, Literal, Merge, Where
from anatomy.rewrites.reparametrise import Fill, reparametrised


@dataclass(frozen=True)
class Special:
    """What was done, in words and as values of size variables and fills of weights; `diagram` is what came out."""

    words: tuple[str, ...]
    diagram: Diagram
    fills: tuple[Fill, ...] = ()
    sizes: tuple[tuple[str, Poly], ...] = ()

    @property
    def name(self) -> str:
        return ", ".join(self.words)


@dataclass(frozen=True)
class Move:
    """A restriction that `make` carries out: the weight it changes, if one, and the axes that are left of it, None where nothing is."""

    word: str
    make: Callable[[], Special]
    key: str = ""
    left: tuple[str, ...] | None = None
    cost: int = 0
    """How unlikely it is: what more than needed it takes away."""


def specialisations(diagram: Diagram, names: Sequence[str] = ()) -> Iterator[Special]:
    """Every diagram that is one restriction away, with its name: `h = 1`, `W = 0`, `W = 1`, `W = identity`, `W along h`, `W = V`.

    With two `names`, an axis of several weights becomes a product of two that have these: `h = g * j`.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis n, d diagram f(x: [n, d]) -> [n, d] { weight W: [d] ~ ones out x * W }"
    >>> [s.name for s in specialisations(Program.of(Source("f.anat", text)).get("f"))]
    ['W = 0', 'W = 1', 'W along d']
    """
    for move in moves(diagram, names):
        yield move.make()


def moves(diagram: Diagram, names: Sequence[str] = ()) -> Iterator[Move]:
    """The restrictions of `specialisations`, not yet carried out."""
    inside = inner_sizes(diagram)
    for v in inside:
        yield Move(f"{stem(v)} = 1", partial(_at, diagram, f"{stem(v)} = 1", ((v, Poly.of(1)),)), cost=1)
    learned = [w for w in diagram.weights if not w.frozen and diagram.consumers[w.wire]]
    for v in inside if len(names) == 2 and not any(n in diagram.sizes for n in names) else ():
        if sum(v in (diagram.sizes[a].as_variable() for a in w.layout) for w in learned) > 1:
            yield Move(f"{stem(v)} = {names[0]} * {names[1]}", partial(_divided, diagram, v, (names[0], names[1]), learned))
    for w in learned:
        for word, value in (("0", 0), ("1", 1)):
            name = f"{w.key} = {word}"
            yield Move(name, partial(_filled, diagram, name, w, partial(_constant, diagram, w, value)), w.key, cost=(len(w.layout) > 1) * 2 + (value == len(w.layout)))
        for i, a in enumerate(w.layout):
            for b in w.layout[i + 1 :]:
                for smaller, words, values in _level(diagram, a, b, inside):
                    yield Move(", ".join((*words, f"{w.key} = identity")), partial(_identified, smaller, w.key, a, b, words, values), w.key)
        for a in w.layout:
            name = f"{w.key} along {stem(a)}"
            yield Move(name, partial(_filled, diagram, name, w, partial(_repeated, diagram, w, a)), w.key, tuple(x for x in w.layout if x != a))
    for i, w in enumerate(learned):
        for v in learned[:i]:
            for order in _orders(diagram, v, w):
                name = f"{w.key} = {v.key}"
                yield Move(name, partial(_filled, diagram, name, w, partial(_other, diagram, v, order)), w.key, cost=1)


def inner_sizes(diagram: Diagram) -> list[str]:
    """Size variables that no input or result has alone."""
    outer = {diagram.sizes[a].as_variable() for i in diagram.inputs for a in i.layout}
    outer |= {diagram.sizes[a].as_variable() for o in diagram.outputs for a in o.layout}
    return sorted(v for v in diagram.free_sizes() if v not in outer)


def _at(diagram: Diagram, word: str, values: tuple[tuple[str, Poly], ...]) -> Special:
    return Special((word,), at(diagram, values), (), values)


def _identified(diagram: Diagram, key: str, a: str, b: str, words: tuple[str, ...], values: tuple[tuple[str, Poly], ...]) -> Special:
    weight = next(w for w in diagram.weights if w.key == key)
    made = _filled(diagram, f"{key} = identity", weight, partial(_identity, diagram, weight, a, b))
    return replace(made, words=(*words, *made.words), sizes=values)


def _level(diagram: Diagram, a: str, b: str, inside: Sequence[str]) -> Iterator[tuple[Diagram, tuple[str, ...], tuple[tuple[str, Poly], ...]]]:
    """The diagram at sizes where two axes are of one size."""
    mine, theirs = diagram.sizes[a], diagram.sizes[b]
    if mine == theirs:
        yield diagram, (), ()
        return
    for v, size in ((mine.as_variable(), theirs), (theirs.as_variable(), mine)):
        if v in inside and v is not None and v not in size.variables():
            values = ((v, size),)
            yield at(diagram, values), (f"{stem(v)} = {size}",), values
            return


def _divided(diagram: Diagram, v: str, names: tuple[str, str], learned: Sequence[Weight]) -> Special:
    """An axis of weights is the product of two."""
    size = Poly.var(names[0]) * Poly.var(names[1])
    made = at(diagram, ((v, size),))
    fills = []
    for w in learned:
        axes = [a for a in w.layout if diagram.sizes[a].as_variable() == v]
        if len(axes) == 1:
            fills.append(Fill(w.key, _merged(made, w, axes[0], names)))
    return Special((f"{stem(v)} = {size}",), reparametrised(made, fills), tuple(fills), ((v, size),))


def _merged(diagram: Diagram, w: Weight, axis: str, names: tuple[str, str]) -> Diagram:
    builder = _begin(diagram, (*names, *w.layout))

    def apart(axes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(b for a in axes for b in (names if a == axis else (a,)))

    view = builder.weight(w.key, apart(w.lanes), apart(w.fan_in), apart(w.fan_out), w.init, w.frozen)
    (view,) = builder.add(Merge(), (*names, axis), [view])
    return builder.finish("value", [Output(view.port, w.layout)])


def stem(name: str) -> str:
    """The name of an axis without path and number."""
    return name.partition("~")[0].rpartition(".")[2]


def at(diagram: Diagram, sizes: Sequence[tuple[str, Poly]] | Mapping[str, Poly]) -> Diagram:
    """The diagram with values for size variables; the axes stay."""
    values = dict(sizes)
    if not values:
        return diagram
    known = {a: s.substitute(values) for a, s in diagram.sizes.items()}
    for v in {v for p in values.values() for v in p.variables()}:
        known.setdefault(v, Poly.var(v))
    equations = [Equation(e.left.substitute(values), e.right.substitute(values), e.span) for e in diagram.equations]
    return replace(diagram, sizes=known, equations=tuple(e for e in equations if e.left != e.right), defaults=(), where=())


def _filled(diagram: Diagram, word: str, weight: Weight, value: Callable[[], Diagram]) -> Special:
    fill = Fill(weight.key, value())
    return Special((word,), reparametrised(diagram, [fill]), (fill,))


def _begin(diagram: Diagram, axes: Sequence[str]) -> Builder:
    builder = Builder()
    for a in axes:
        for v in (*sorted(diagram.sizes[a].variables()), a):
            if v not in builder.axes:
                if diagram.sizes[v] != Poly.var(v):
                    builder.sizes.define(v, diagram.sizes[v])
                builder.axis(v)
    return builder


def _wide(builder: Builder, view: View, axes: Sequence[str]) -> View:
    lacking = [a for a in axes if a not in view.axes]
    return builder.add(Expand(), lacking, [view])[0] if lacking else view


def _constant(diagram: Diagram, w: Weight, value: int) -> Diagram:
    builder = _begin(diagram, w.layout)
    (view,) = builder.add(Literal(Fraction(value)), (), [])
    return builder.finish("value", [Output(_wide(builder, view, w.layout).port, w.layout)])


def _identity(diagram: Diagram, w: Weight, a: str, b: str) -> Diagram:
    builder = _begin(diagram, w.layout)
    (i,), (j,) = builder.add(Iota(), (a,), []), builder.add(Iota(), (b,), [])
    (test,) = builder.add(Compare("=="), (), [i, j])
    (one,), (zero,) = builder.add(Literal(Fraction(1)), (), []), builder.add(Literal(Fraction(0)), (), [])
    (view,) = builder.add(Where(), (), [test, one, zero])
    return builder.finish("value", [Output(_wide(builder, view, w.layout).port, w.layout)])


def _weight(builder: Builder, w: Weight, without: str = "") -> View:
    def left(axes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(a for a in axes if a != without)

    return builder.weight(w.key, left(w.lanes), left(w.fan_in), left(w.fan_out), w.init, w.frozen)


def _repeated(diagram: Diagram, w: Weight, axis: str) -> Diagram:
    builder = _begin(diagram, w.layout)
    view = _wide(builder, _weight(builder, w, axis), w.layout)
    return builder.finish("value", [Output(view.port, w.layout)])


def _other(diagram: Diagram, v: Weight, order: tuple[str, ...]) -> Diagram:
    """Another weight, its axes in an order; the axes of the first are those of the second under other names."""
    builder = _begin(diagram, v.layout)
    view = _weight(builder, v)
    return builder.finish("value", [Output(view.port, order)])


def _orders(diagram: Diagram, v: Weight, w: Weight) -> Iterator[tuple[str, ...]]:
    if len(v.layout) != len(w.layout) or len(v.layout) > 3:
        return
    for order in permutations(v.layout):
        if all(diagram.sizes[a] == diagram.sizes[b] for a, b in zip(order, w.layout, strict=True)):
            yield order
            if set(order) == set(w.layout) and order == w.layout:
                return


# two diagrams -----------------------------------------------------------------------------------


def joined(a: Diagram, b: Diagram) -> tuple[tuple[str, ...], Diagram] | None:
    """The first diagram at those of its sizes that the second can have, and the equations that say which; None where it lacks some."""
    ends = [(a.sizes[x], b.sizes[y]) for i, j in zip(a.inputs, b.inputs, strict=True) for x, y in zip(i.layout, j.layout, strict=True)]
    ends += [(a.sizes[x], b.sizes[y]) for i, j in zip(a.outputs, b.outputs, strict=True) for x, y in zip(i.layout, j.layout, strict=True)]
    known: dict[str, Poly] = {}
    for mine, theirs in ends:
        v = mine.as_variable()
        if v is not None and known.setdefault(v, theirs) != theirs:
            return None
    inside = set(inner_sizes(a))
    stand: dict[Poly, str] = {}
    names: dict[str, Poly] = {}
    values: dict[str, Poly] = {}
    words: list[str] = []
    for v, size in known.items():
        w = size.as_variable()
        if w is not None and w not in names:
            names[w], stand[size] = Poly.var(v), v
    for v, size in known.items():
        if stand.get(size) == v:
            continue
        value = Poly.var(stand[size]) if size in stand else size.rename(lambda x: str(names[x]) if x in names else x if x in inside else f"{x}~r")
        stand.setdefault(size, v)
        if value != Poly.var(v):
            values[v] = value
            words.append(f"{stem(v)} = {str(value).replace('~r', '')}")
    return tuple(words), at(a, values)
