"""A normal form of diagrams: equal boxes merged, and what is arithmetic written as sums of products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from time import monotonic

from anatomy.ir.builder import Builder, View
from anatomy.ir.canonical import Canonical
from anatomy.ir.graph import REAL, Diagram, Node, Port
from anatomy.ir.op import Problem
from anatomy.ir.poly import Poly
from anatomy.ir.term import merged, term
from anatomy.ops import (
    Add,
    Both,
    Compare,
    Contract,
    Divide,
    Expand,
    Gather,
    Iota,
    Literal,
    Map,
    Mask,
    Multiply,
    Not,
    Power,
    Reduce,
    Shift,
    Size,
    Softmax,
    Subtract,
    Where,
)  # fmt: skip
from anatomy.rewrites.algebra import Algebra
from anatomy.rewrites.apply import swept
from anatomy.rewrites.functions import Functions
from anatomy.rewrites.gathered import gathered
from anatomy.rewrites.grouping import ASSOCIATIVE, flat
from anatomy.rewrites.inside import taken_apart
from anatomy.rewrites.lanes import moved
from anatomy.rewrites.sums import Sum, Term, number, scaled
from anatomy.rewrites.unrolled import unrolled

SECONDS = 5.0
BOXES = 5000


@dataclass(frozen=True)
class Step:
    """One box written in normal form: its place and word in the merged diagram, the laws used, and the boxes still to come."""

    box: int
    word: str
    laws: tuple[str, ...]
    left: int


@dataclass(frozen=True)
class Normal:
    """A normal form, how it was reached, and whether all boxes were; where not, the rest stands as it was."""

    diagram: Diagram
    steps: tuple[Step, ...]
    complete: bool


def normal_form(diagram: Diagram) -> tuple[Diagram, tuple[Step, ...]]:
    """The diagram in normal form, with one step for each box that takes part.

    Equal boxes are merged first. Then every box is rewritten once, producers first, by laws of the library used in one
    direction: sums, products, quotients, contractions, means and softmax become sums of `c * sum of products *
    exp(sum)`, with exact coefficients, like terms added, products multiplied out, nested contractions flattened
    (so that brackets do not matter), softmax written as exp and a division, and factors that do not depend on
    an axis taken out of its sum. A linear map of an axis is applied to what depends on the axis.
    The measure is the number of boxes of the merged diagram that are not yet rewritten (`Step.left`); a law used in a step
    looks at finished boxes only, so that each step lowers the measure by one. Work in a step is bounded:
    a product of more than 64 terms stays a product.

    The laws hold for finite reals and denominators other than 0. What a mask may have made -inf is never cancelled.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis m diagram f(s: [m], t: []) -> [m] { out softmax[m](s + 2 * t - t) } "
    >>> text += "diagram g(s: [m], _t: []) -> [m] { out exp(s) / sum[m](exp(s)) }"
    >>> program = Program.of(Source("two.anat", text))
    >>> form(program.get("f")) == form(program.get("g"))
    True
    """
    found = normal(diagram)
    return found.diagram, found.steps


def form(diagram: Diagram) -> Canonical:
    """The normal form as something to compare: brackets and the order of sums and products are gone.

    Raises AnatomyError E505 where it is too symmetric.
    """
    return written(normal(diagram))


def written(found: Normal) -> Canonical:
    """See `form`."""
    return term(_bracketless(found.diagram))


def normal(diagram: Diagram, seconds: float = SECONDS, boxes: int = BOXES) -> Normal:
    """The normal form within a budget: boxes that come later are copied.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> program = Program.of(Source("f.anat", "axis n diagram f(x: [n]) -> [n] { out x + x }"))
    >>> [(s.word, s.left) for s in normal(program.get("f")).steps], normal(program.get("f"), boxes=0).complete
    ([('+', 0)], False)
    """
    until = monotonic() + seconds
    plain = unrolled(diagram)
    open = taken_apart(plain.diagram)
    apart, laws = moved(merged(open.diagram))
    found = _Writer(merged(apart), until, boxes).run()
    if open.loops:
        try:
            found = replace(found, diagram=merged(swept(open.closed(gathered(open, found.diagram)))))
        except Problem:
            apart, laws = moved(merged(plain.diagram))
            found = _Writer(merged(apart), until, boxes).run()
    before = [*plain.laws, *(("lanes", law) for law in laws)]
    left = found.steps[0].left if found.steps else -1
    first = [Step(-1, word, (law,), left + len(before) - k) for k, (word, law) in enumerate(before)]
    return replace(found, steps=(*first, *found.steps))


def _bracketless(diagram: Diagram) -> Diagram:
    """Chains of one associative operation as one box each, for comparison only."""
    nodes = [replace(n, ports=flat(diagram, n)) if isinstance(n.op, ASSOCIATIVE) and _short(diagram, n) else n for n in diagram.nodes]
    inner = [n if n.op.body is None else replace(n, op=n.op.within(_bracketless(n.op.body))) for n in nodes]
    return replace(diagram, nodes=tuple(inner))


def _short(diagram: Diagram, node: Node) -> bool:
    """Whether a chain has few operands, counted with repetition."""
    count, stack = 0, list(node.ports)
    while stack and count < 256:
        made = diagram.producer.get(stack.pop().wire)
        inner = None if made is None else diagram.nodes[made[0]]
        if inner is not None and inner.op == node.op:
            stack.extend(inner.ports)
        count += 1
    return count < 256


@dataclass
class _Writer:
    source: Diagram
    until: float
    boxes: int
    sums: dict[int, Sum] = field(default_factory=dict)
    views: dict[int, View] = field(default_factory=dict)

    def __post_init__(self) -> None:
        d = self.source
        self.builder = Builder(axes=dict.fromkeys(d.sizes))
        for axis, size in d.sizes.items():
            if size != Poly.var(axis):
                self.builder.sizes.define(axis, size)
        self.algebra = Algebra(self.builder, d.settled)
        self.functions = Functions(self.algebra)

    def run(self) -> Normal:
        d, algebra, builder = self.source, self.algebra, self.builder
        moved: dict[int, int] = {}
        for old in (*(i.wire for i in d.inputs), *(w.wire for w in d.weights)):
            moved[old] = len(builder.wires)
            builder.wires.append(d.wires[old])
            self.sums[old] = self._atom(moved[old])
        steps: list[Step] = []
        complete = True
        for k, node in enumerate(d.nodes):
            algebra.laws.clear()
            complete = complete and len(steps) < self.boxes and monotonic() < self.until
            found = self._arithmetic(node) if complete else None
            if found is None:
                self._copied(node)
            else:
                self.sums[node.outs[0]] = found
            if complete:
                steps.append(Step(k, node.op.word, tuple(algebra.laws), len(d.nodes) - k - 1))
        outputs = []
        for output in d.outputs:
            view = self._wire(output.port.wire, d.wires[output.port.wire].axes)
            outputs.append(replace(output, port=view.rename(dict(output.port.renames)).port))
        used = {a for w in builder.wires for a in w.axes} | {a for n in builder.nodes for a in (*n.own, *n.lifts)} | d.sizes.keys()
        result = replace(
            d, outputs=tuple(outputs), wires=tuple(builder.wires), nodes=tuple(builder.nodes),
            inputs=tuple(replace(i, wire=moved[i.wire]) for i in d.inputs),
            weights=tuple(replace(w, wire=moved[w.wire]) for w in d.weights),
            sizes={a: builder.sizes.of(a) for a in builder.axes if a in used},
        )  # fmt: skip
        return Normal(merged(swept(result)), tuple(steps), complete)

    def _atom(self, wire: int) -> Sum:
        """A wire without its axes of size one."""
        algebra, made = self.algebra, self.builder.wires[wire]
        view = View(wire, tuple((a, a) for a in made.axes))
        ones = tuple(a for a in made.axes if algebra.size(a).constant() == 1)
        if ones and made.kind == REAL:
            view = algebra.box(Reduce("sum"), ones, [view])
            if wire in algebra.infinite:
                algebra.infinite.add(view.wire)
        return algebra.atom(view)

    # reading ----------------------------------------------------------------------------------

    def _read(self, port: Port) -> Sum:
        table = dict(port.renames)
        return tuple(self.algebra.fresh(t).rename(table) for t in self.sums[port.wire])

    def _wire(self, wire: int, axes: Sequence[str] = ()) -> View:
        """The boxes of a wire, under its own axes; those in `axes` are there."""
        if wire not in self.views:
            self.views[wire] = self.algebra.wire(self.sums[wire])
        view = self.views[wire]
        lacking = tuple(a for a in axes if a not in view.axes)
        if lacking:
            infinite = view.wire in self.algebra.infinite
            view = self.algebra.box(Expand(), lacking, [view])
            if infinite:
                self.algebra.infinite.add(view.wire)
        return view

    def _view(self, port: Port, axes: set[str]) -> View:
        return self._wire(port.wire, [a for a, b in port.renames if b in axes]).rename(dict(port.renames))

    def _copied(self, node: Node) -> None:
        """A box that is no arithmetic."""
        op, algebra = node.op, self.algebra
        whole = bool(op.hole or op.random or op.body is not None)
        views = [self._view(p, set(p.axes) if whole else set(node.own)) for p in node.ports]
        outs = self.builder.add(op, node.own, views, node.span, trusted=True)
        infinite = isinstance(op, Mask) or any(v.wire in algebra.infinite for v in views)
        for old, new in zip(node.outs, outs, strict=True):
            if infinite:
                algebra.infinite.add(new.wire)
            self.sums[old] = self._atom(new.wire)
        if isinstance(op, Mask):
            self.functions.masks[outs[0].wire] = (views[0], self._read(node.ports[1]))
        if isinstance(op, Both | Not):
            self.functions.logic[outs[0].wire] = self.builder.nodes[-1]
        if isinstance(op, Iota):
            self.functions.places.add(outs[0].wire)
        if op == Compare("==") and len(outs[0].axes) == 2 and all(v.wire in self.functions.places for v in views):
            self.functions.equals.add(outs[0].wire)
        if isinstance(op, Compare) and len(axes := self._positions(node)) == 2:
            self.functions.compared[outs[0].wire] = op.sign, *axes
        if isinstance(op, Map) and op.function == "sqrt" and all(map(algebra.positive, self._read(node.ports[0]))):
            algebra.never_zero.add(outs[0].wire)

    def _positions(self, node: Node) -> tuple[str, ...]:
        """The axes of the operands, where these are the positions of different ones."""
        makers = [self.source.producer.get(p.wire) for p in node.ports]
        if any(m is None or not isinstance(self.source.nodes[m[0]].op, Iota) for m in makers):
            return ()
        return tuple(dict.fromkeys(p.axes[0] for p in node.ports))

    # arithmetic -------------------------------------------------------------------------------

    def _arithmetic(self, node: Node) -> Sum | None:
        """The sum of products that a box computes; None for one that is no arithmetic."""
        op, algebra = node.op, self.algebra
        if op.body is not None or op.hole or op.random or len(node.outs) != 1:
            return None
        if any(self.source.wires[p.wire].kind.name == "mask" for p in node.ports) and not isinstance(op, Where):
            return None
        read = self._read
        match op:
            case Literal():
                return number(op.value)
            case Size():
                return algebra.count_of(node.own[0])
            case Add():
                return algebra.collect((*read(node.ports[0]), *read(node.ports[1])))
            case Subtract():
                algebra.used("add_neg")
                return algebra.collect((*read(node.ports[0]), *scaled(read(node.ports[1]), Fraction(-1))))
            case Multiply():
                return algebra.product([read(p) for p in node.ports])
            case Divide():
                algebra.used("mul_div")
                return algebra.product([read(node.ports[0]), algebra.inverse(read(node.ports[1]))])
            case Contract():
                algebra.used("dot_of_dot", "sum_of_product")
                return algebra.total(algebra.product([read(p) for p in node.ports]), node.own)
            case Expand() if all(a in self.source.wires[node.outs[0]].axes for a in node.own):
                algebra.used("broadcast_mul")
                return read(node.ports[0])
            case Reduce():
                return self._reduced(op, node)
            case Softmax():
                return self.functions.softmax(read(node.ports[0]), node.own)
            case Map():
                return self.functions.mapped(op, read(node.ports[0]))
            case Power():
                return self.functions.power(read(node.ports[0]), read(node.ports[1]))
            case Where():
                return self._where(node)
            case _:
                return self._linear(node)

    def _reduced(self, op: Reduce, node: Node) -> Sum | None:
        algebra, terms = self.algebra, self._read(node.ports[0])
        match op.which:
            case "sum":
                algebra.used("sum_of_product")
                return algebra.total(terms, node.own)
            case "mean":
                algebra.used("mean_definition")
                return algebra.product([algebra.total(terms, node.own), *(algebra.inverse(algebra.count_of(a)) for a in node.own)])
            case "logsumexp":
                above = self.functions.exp(terms)
                algebra.used("logsumexp_definition")
                return None if above is None else self.functions.log(algebra.total(above, node.own))
            case _:
                return self._read_one(node)

    def _read_one(self, node: Node) -> Sum | None:
        """The greatest of one."""
        terms = self._read(node.ports[0])
        if all(self.algebra.size(a).constant() == 1 for a in node.own) and node.op != Reduce("logsumexp"):
            self.algebra.used("one_max")
            return self.algebra.total(terms, node.own)
        return None

    def _where(self, node: Node) -> Sum | None:
        """A choice is `truth * x + (1 - truth) * y`."""
        algebra = self.algebra
        x, y = self._read(node.ports[1]), self._read(node.ports[2])
        if not algebra.defined(x) or not algebra.defined(y):
            return None
        algebra.used("factor_mask")
        truth = self.functions.truth(self._view(node.ports[0], set()))
        other = algebra.collect((*number(1), *scaled(truth, Fraction(-1))))
        return algebra.collect((*algebra.product([truth, x]), *algebra.product([other, y])))

    def _linear(self, node: Node) -> Sum | None:
        """A linear map of some axes, applied to the factors that have them."""
        op, algebra = node.op, self.algebra
        if isinstance(op, Gather):
            if all(algebra.size(a).constant() == 1 for a in node.own) and op.gives(node.own) == ((),):
                algebra.used("one_sum")
                return algebra.total(self._read(node.ports[0]), node.own)
            views = [self._view(node.ports[1], set())]
        elif op.algebra == "linear" and len(node.ports) == 1:
            views = []
        else:
            return None
        held = set(node.own).intersection(node.ports[0].axes)
        around = {a for v in views for a in v.axes}
        if around & set(node.own):
            return None
        found = []
        for t in self._read(node.ports[0]):
            if op == Shift(1) and (less := algebra.positions.shifted(t, node.own[0])) is not None:
                found.extend(less)
                continue
            inner = Term(
                factors=tuple(f for f in t.factors if held.intersection(f.axes)),
                exponent=tuple(e for e in t.exponent if held & e.axes),
            )
            outer = replace(
                t, factors=tuple(f for f in t.factors if not held.intersection(f.axes)),
                exponent=tuple(e for e in t.exponent if not held & e.axes),
            )  # fmt: skip
            view = algebra.box(op, node.own, [algebra.wire((inner,), held), *views])
            if not algebra.finite((inner,)):
                algebra.infinite.add(view.wire)
            # The bound axes stay names of this term, so the two halves are not renamed apart.
            both = (*outer.factors, *algebra.atom(view)[0].factors)
            found.append(replace(outer, factors=tuple(sorted(both, key=lambda f: (f.wire, f.renames)))))
            algebra.used("project_after_cumsum")
        return algebra.collect(map(algebra.fresh, found))


