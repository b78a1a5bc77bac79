"""A normal form of diagrams: equal boxes merged, and what is arithmetic written as sums of products."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from time import monotonic

from anatomy.ir.builder import Builder
from anatomy.ir.canonical import Canonical
from anatomy.ir.graph import REAL, Diagram, Kind, Node, Port
from anatomy.ir.op import Problem
from anatomy.ir.poly import Poly
from anatomy.ir.term import merged, term
from anatomy.ops import (
    Add,
    Contract,
    Divide,
    Expand,
    Extremum,
    Gather,
    Literal,
    Map,
    Mask,
    Multiply,
    Normalise,
    Power,
    Reduce,
    Size,
    Softmax,
    Solve,
    Split,
    Subtract,
    Where,
)  # fmt: skip
from anatomy.rewrites.apply import swept
from anatomy.rewrites.atoms import Atom, Ref
from anatomy.rewrites.boxes import Boxes
from anatomy.rewrites.functions import Functions
from anatomy.rewrites.gathered import gathered
from anatomy.rewrites.grouping import ASSOCIATIVE, flat
from anatomy.rewrites.inside import taken_apart
from anatomy.rewrites.lanes import moved
from anatomy.rewrites.linear import Linear
from anatomy.rewrites.products import Algebra
from anatomy.rewrites.terms import Sum, number, scaled
from anatomy.rewrites.unrolled import unrolled

SECONDS = 5.0
BOXES = 5000
TURNS = 1
"""Times that lanes are moved again, where writing has made sums over axes along which only lanes are moved."""


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

    Loops with a closed form are unrolled and lanes moved (see `unrolled`, `moved`), and equal boxes merged. Then every box is
    rewritten once, producers first, by laws of the library used in one direction: sums, products, quotients, contractions, means,
    roots and softmax become sums of `c * sum over axes of a product of powers`, with exact coefficients, like terms added,
    products multiplied out and nested contractions flattened (so that brackets do not matter); exp of a sum is a product of powers of
    exponentials, softmax is exp and a division, and what does not depend on an axis leaves its sum. A linear map of an axis is
    applied to what depends on the axis. What stands below a line or in a function is one atom, known by what it is and not by the names
    of its axes. Where the result has sums over lanes that are only moved, lanes are moved and boxes rewritten once more.

    The measure is the number of boxes that are not yet rewritten, in this turn and the next (`Step.left`); a law used in a step
    looks at finished boxes only, so that each step lowers the measure by one. Work in a step is bounded: a product of
    more than 64 terms, or of terms of more than 24 factors, stays a product of sums; it then depends on the brackets.
    The structural laws lead to one form whichever is used first: `confluence` looks at all critical pairs.

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


def written(found: Normal, initialisers: bool = False) -> Canonical:
    """See `form`; with `initialisers`, forms whose weights are drawn in different ways are different."""
    return term(_bracketless(found.diagram), initialisers)


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
    found = _Writer(merged(apart) if laws else apart, until, boxes).run()
    if open.loops:
        try:
            found = replace(found, diagram=merged(swept(open.closed(gathered(open, found.diagram)))))
        except Problem:
            apart, laws = moved(merged(plain.diagram))
            found = _Writer(merged(apart), until, boxes).run()
    before = [*plain.laws, *(("lanes", law) for law in laws)]
    steps = [*(Step(-1, word, (law,), 0) for word, law in before), *found.steps]
    for _ in range(TURNS):
        if open.loops or not found.complete or not _movable(found.diagram):
            break
        apart, laws = moved(found.diagram)
        if not laws:
            break
        found = _Writer(merged(apart), until, boxes).run()
        steps += [*(Step(-1, "lanes", (law,), 0) for law in laws), *found.steps]
    rest = found.steps[-1].left if found.steps else 0
    return replace(found, steps=tuple(replace(s, left=rest + len(steps) - k - 1) for k, s in enumerate(steps)))


def _movable(diagram: Diagram) -> bool:
    """Whether some sum is over an axis along which each of its operands only moves lanes: the laws of lanes may then go on."""
    if not diagram.by_op.keys() & {Gather, Split}:
        return False
    made = diagram.producer

    def only_moves(port: Port, axis: str, own: set[str], depth: int) -> bool:
        outer = next((a for a, b in port.renames if b == axis), None)
        if outer is None:
            return True
        node = diagram.nodes[made[port.wire][0]] if port.wire in made else None
        if node is None or depth == 0:
            return False
        summed = {a for a, b in port.renames if b in own}
        if isinstance(node.op, Split) and outer in node.own:
            return set(node.own[1:]) <= summed
        if isinstance(node.op, Gather) and outer not in node.ports[0].axes:
            return diagram.sizes[outer] == diagram.sizes[node.own[0]]
        return bool(node.ports) and outer not in node.own and all(only_moves(p, outer, summed, depth - 1) for p in node.ports)

    return any(
        isinstance(n.op, Reduce | Contract) and any(all(only_moves(p, a, set(n.own), 4) for p in n.ports) for a in n.own) for n in diagram.nodes
    )


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

    def __post_init__(self) -> None:
        d = self.source
        self.builder = Builder(axes=dict.fromkeys(d.sizes))
        for axis, size in d.sizes.items():
            if size != Poly.var(axis):
                self.builder.sizes.define(axis, size)
        self.algebra = Algebra(self.builder.sizes.of, d.settled)
        self.atoms = self.algebra.atoms
        self.functions = Functions(self.algebra)
        self.linear = Linear(self.algebra)

    def run(self) -> Normal:
        d, algebra, builder = self.source, self.algebra, self.builder
        moved: dict[int, int] = {}
        for old in (*(i.wire for i in d.inputs), *(w.wire for w in d.weights)):
            moved[old] = len(builder.wires)
            builder.wires.append(d.wires[old])
            self.sums[old] = self._given(moved[old])
        steps: list[Step] = []
        complete = True
        for k, node in enumerate(d.nodes):
            algebra.laws.clear()
            complete = complete and len(steps) < self.boxes and monotonic() < self.until
            found = self._arithmetic(node) if complete else None
            if found is None:
                self._copied(node)
            else:
                self.sums.update(zip(node.outs, found, strict=True))
            if complete:
                steps.append(Step(k, node.op.word, tuple(algebra.laws), len(d.nodes) - k - 1))
        boxes = Boxes(builder, algebra)
        outputs = []
        for output in d.outputs:
            wire = output.port.wire
            view = boxes.view(self.atoms.ref(self.sums[wire]), d.wires[wire].axes)
            outputs.append(replace(output, port=view.rename(dict(output.port.renames)).port))
        used = {a for w in builder.wires for a in w.axes} | {a for n in builder.nodes for a in (*n.own, *n.lifts)} | d.sizes.keys()
        result = replace(
            d, outputs=tuple(outputs), wires=tuple(builder.wires), nodes=tuple(builder.nodes),
            inputs=tuple(replace(i, wire=moved[i.wire]) for i in d.inputs),
            weights=tuple(replace(w, wire=moved[w.wire]) for w in d.weights),
            sizes={a: builder.sizes.of(a) for a in builder.axes if a in used},
        )  # fmt: skip
        return Normal(merged(swept(result)), tuple(steps), complete)

    def _given(self, wire: int) -> Sum:
        """An input or a weight, without its axes of size one."""
        made = self.builder.wires[wire]
        axes = tuple(a for a in made.axes if made.kind != REAL or self.algebra.word(a) != "1")
        atom = self.atoms.add(Atom(axes, tuple(map(self.algebra.word, axes)), wire=wire))
        return self.algebra.atom((atom, axes))

    # reading ----------------------------------------------------------------------------------

    def _read(self, port: Port) -> Sum:
        return self.atoms.under(self.sums[port.wire], dict(port.renames))

    def _ref(self, port: Port) -> Ref:
        return self.atoms.ref(self._read(port))

    def _copied(self, node: Node) -> None:
        """A box that is no arithmetic."""
        op = node.op
        whole = bool(op.hole or op.random or op.body is not None)
        reads = [(self._ref(p), p.axes if whole else set(node.own).intersection(p.axes)) for p in node.ports]
        kinds = [self.source.wires[w].kind for w in node.outs]
        outs = self.atoms.box(op, node.own, reads, [k if k.name != "index" else Kind("index") for k in kinds], whole)
        for wire, (atom, args) in zip(node.outs, outs, strict=True):
            made = self.atoms[atom]
            made.infinite = made.infinite or isinstance(op, Mask)
            made.partial = made.partial or isinstance(op, Power | Normalise | Solve) or op == Map("sqrt") or op == Map("log")
            self.sums[wire] = self.algebra.atom((atom, args))

    # arithmetic -------------------------------------------------------------------------------

    def _arithmetic(self, node: Node) -> list[Sum] | None:
        """The sums of products that a box computes; None for one that is no arithmetic."""
        op = node.op
        if op.body is not None or op.hole or op.random:
            return None
        if any(self.source.wires[p.wire].kind.name == "mask" for p in node.ports) and not isinstance(op, Where):
            return None
        if len(node.outs) != 1 or self.source.wires[node.outs[0]].kind != REAL:
            return None
        found = self._one(node)
        return None if found is None else [found]

    def _one(self, node: Node) -> Sum | None:
        op, algebra, read = node.op, self.algebra, self._read
        match op:
            case Literal():
                return number(op.value) if isinstance(op.value, Fraction) else None
            case Size():
                return algebra.product([algebra.count(algebra.word(a)) for a in node.own])
            case Add():
                return algebra.collect((*read(node.ports[0]), *read(node.ports[1])))
            case Subtract():
                algebra.used("add_neg")
                return algebra.collect((*read(node.ports[0]), *scaled(read(node.ports[1]), -1)))
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
                exponent = read(node.ports[1])
                value = exponent[0].coefficient if exponent else 0
                return self.functions.power(read(node.ports[0]), value) if exponent == number(value) else None
            case Where():
                return self._where(node)
            case Extremum() if (same := read(node.ports[0])) == read(node.ports[1]):
                algebra.used("max_self", *(("min_neg",) if op.which == "min" else ()))
                return same
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
                return algebra.product([algebra.total(terms, node.own), *(algebra.inverse(algebra.count(algebra.word(a))) for a in node.own)])
            case "logsumexp" if self.atoms.finite(terms):
                above = self.functions.exp(terms)
                algebra.used("logsumexp_definition")
                return None if above is None else self.functions.log(algebra.total(above, node.own))
            case _:
                if op.which != "logsumexp" and all(algebra.word(a) == "1" for a in node.own):
                    algebra.used("one_max")
                    return algebra.total(terms, node.own)
                return None

    def _where(self, node: Node) -> Sum | None:
        """A choice is `truth * x + (1 - truth) * y`."""
        algebra = self.algebra
        x, y = self._read(node.ports[1]), self._read(node.ports[2])
        if not self.atoms.defined(x) or not self.atoms.defined(y):
            return None
        algebra.used("factor_mask")
        truth = self.functions.truth(self._ref(node.ports[0]))
        other = algebra.collect((*number(1), *scaled(truth, -1)))
        return algebra.collect((*algebra.product([truth, x]), *algebra.product([other, y])))

    def _linear(self, node: Node) -> Sum | None:
        """A linear map of some axes."""
        op = node.op
        if isinstance(op, Gather):
            if all(self.algebra.word(a) == "1" for a in node.own):
                self.algebra.used("one_sum")
                return self.algebra.total(self._read(node.ports[0]), node.own)
            return self.linear.mapped(op, node.own, self._read(node.ports[0]), [self._index(node.ports[1])])
        if op.algebra == "linear" and len(node.ports) == 1:
            return self.linear.mapped(op, node.own, self._read(node.ports[0]))
        return None

    def _index(self, port: Port) -> Ref:
        """An index; the only entry of one with an axis of size one is that one."""
        atoms, ref = self.atoms, self._ref(port)
        while (box := atoms[ref[0]].box) is not None and isinstance(box.op, Gather) and box.words[int(box.own[0][1:])] == "1":
            box, table = atoms.under_box(ref)
            ref = atoms.operand(box, table, 0)
        return ref
