"""Whether a diagram with holes approximates every continuous function of its type, its holes being universal approximators.

Non-goals: how wide an approximator must be for an accuracy; what training finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from math import prod

from anatomy.ir.graph import Diagram, Node, Weight
from anatomy.ir.live import live
from anatomy.ir.poly import Poly
from anatomy.ops import Add, Cat, Contract, Divide, Expand, Halves, Hole, Map, Merge, Multiply, Reduce, Split, Subtract
from anatomy.rewrites.places import never_negative
from anatomy.rewrites.ranges import Ranges

INJECTIVE = {"neg", "exp", "tanh", "sigmoid", "softplus", "elu"}
BENT = {"exp", "tanh", "sigmoid", "relu", "gelu", "silu", "softplus", "elu", "sin", "cos", "abs"}
"""Continuous functions that are no polynomials (Leshno et al. 1993)."""
RESHAPES = (Split, Merge)


class Unproved(Exception):
    """Why a diagram is not shown to be a universal approximator."""


class Universality:
    """One proof under way; `laws` and `conditions` are what it has used.

    The judgement is on tuples of wires: together they may be any continuous function of the inputs, each learner being chosen
    once. Source: Hornik et al. 1989 and Leshno et al. 1993 for networks with one hidden layer; composition, pairing and injections by
    Tietze's extension theorem, as a continuous injection of a compact set has a continuous inverse on its image;
    sums over a set by Zaheer et al. 2017 (1703.06114), Wagstaff et al. 2019 (1901.09006), Dym and Gortler 2022 (2205.02956).
    """

    def __init__(self, diagram: Diagram, invariant: frozenset[str] = frozenset(), trusted: str = ""):
        """`trusted`: the law, X5 or X6, that an inverse given elsewhere has settled."""
        self.diagram, self.invariant, self.trusted = diagram, invariant, trusted
        self.inputs = {i.wire for i in diagram.inputs}
        self.ranges = Ranges(diagram)
        self.laws: dict[str, None] = {}
        self.conditions: dict[str, None] = {}
        self.spent: dict[str, None] = {}
        self.sets: set[int] = set()
        """Wires of elements that are known up to their order."""
        self.depends: dict[int, frozenset[str]] = {w.wire: frozenset([w.key]) for w in diagram.weights}
        """The learners that a wire depends on."""
        self.reads: dict[int, frozenset[int]] = {w: frozenset([w]) for w in self.inputs}
        """The inputs that a wire depends on."""
        for i in live(diagram):
            node = diagram.nodes[i]
            own = [f"{node.op.hole} {i}"] if node.op.hole else []
            learners = frozenset(own).union(*(self.depends.get(p.wire, frozenset()) for p in node.ports))
            for wire in node.outs:
                self.depends[wire] = learners
                self.reads[wire] = frozenset().union(*(self.reads.get(p.wire, frozenset()) for p in node.ports))

    def prove(self) -> None:
        """Raises Unproved."""
        used = [o.port.wire for o in self.diagram.outputs]
        unread = self.inputs - frozenset().union(*(self.reads.get(w, frozenset()) for w in used))
        if unread:
            raise Unproved(f"{self.named(unread)} is not read (X7), so only `>=` holds")
        if self.trusted == "X6":
            used = list(dict.fromkeys(w for i in self.holes() for w in self.diagram.nodes[i].outs))
            self.laws["X6"] = None
        self.jointly(used)

    def holes(self) -> list[int]:
        return [i for i in live(self.diagram) if self.diagram.nodes[i].op.hole]

    # sizes ------------------------------------------------------------------------------------

    def size(self, axes: Iterable[str]) -> Poly:
        d = self.diagram
        return prod((d.settled.of(d.sizes[a]) for a in axes), start=Poly.of(1))

    def dim(self, wires: Iterable[int]) -> Poly:
        """The number of reals on some wires together."""
        total = Poly()
        for wire in wires:
            if self.diagram.wires[wire].kind.name != "real":
                raise Unproved(f"{self.named([wire])} holds positions or truth values, which are not counted in dimensions")
            total = total + self.size(self.diagram.wires[wire].axes)
        return total

    def enough(self, here: Poly, needed: Poly, law: str) -> bool:
        """Whether there is room: known of the sizes, and noted."""
        if not never_negative(here - needed):
            return False
        self.laws[law] = None
        self.conditions[f"{here} >= {needed}"] = None
        return True

    def named(self, wires: Iterable[int]) -> str:
        names = (self.diagram.wires[w].name for w in sorted(wires))
        return ", ".join(f"`{n}`" if n else "a wire" for n in names)

    # targets ----------------------------------------------------------------------------------

    def jointly(self, wires: Sequence[int]) -> None:
        """Together the wires may be any continuous function of the inputs."""
        groups: dict[object, list[int]] = {}
        for wire in dict.fromkeys(wires):
            made = self.diagram.producer.get(wire)
            many = made is not None and (self.diagram.nodes[made[0]].op.hole or isinstance(self.diagram.nodes[made[0]].op, Halves))
            groups.setdefault(("box", made[0]) if made is not None and many else ("wire", wire), []).append(wire)
        if len(wires) != len(set(wires)):
            raise Unproved("two results are one wire")
        if len(groups) > 1:
            self.laws["X4"] = None
        for group in groups.values():
            self.one(group)

    def spend(self, learner: str, what: str) -> None:
        if learner in self.spent:
            raise Unproved(f"{what} would have to be chosen for two things at once")
        self.spent[learner] = None

    def one(self, wires: list[int]) -> None:
        wire, d = wires[0], self.diagram
        if wire in self.inputs:
            raise Unproved(f"{self.named([wire])} is handed on as it is")
        if wire in d.weight_of:
            if self.inputs:
                raise Unproved(f"weight `{d.weight_of[wire].key}` does not depend on the inputs")
            self.spend(d.weight_of[wire].key, f"weight `{d.weight_of[wire].key}`")
            self.laws["X8"] = None
            return
        i, _ = d.producer[wire]
        node = d.nodes[i]
        if node.op.hole:
            self.hole(i, node, wires)
        elif not self.network(node):
            self.surjection(node)

    def hole(self, i: int, node: Node, wires: list[int]) -> None:
        name = node.op.hole
        if node.lifts:
            raise Unproved(f"`{name}` is applied to each position of {', '.join(f'`{a}`' for a in node.lifts)} on its own, by all in the same way (X9)")
        self.spend(f"{name} {i}", f"hole `{name}`")
        given = list(dict.fromkeys(p.wire for p in node.ports))
        missing = self.inputs - self.recovered(given)
        if not missing:
            if not self.laws.keys() & {"X3", "X5", "X13"}:
                self.laws.setdefault("X1")
            return
        carriers = [w for w in given if self.inputs and self.reads.get(w) and self.depends.get(w)]
        attempt = self.trial()
        why = f"`{name}` does not learn enough of {self.named(missing)}"
        if carriers:
            room = attempt.dim(carriers)
            needed = [attempt.dim(missing), attempt.dim(wires)]
            why = f"`{name}` reads {room} numbers, and `{room} >= min({', '.join(map(str, needed))})` is not proved (X3), so only `<=` holds"
            if any(attempt.enough(room, n, "X3") for n in needed):
                attempt.jointly(carriers)
                self.laws, self.conditions, self.spent, self.sets = attempt.laws, attempt.conditions, attempt.spent, attempt.sets
                return
        raise Unproved(why)

    def trial(self) -> Universality:
        """A copy that may fail."""
        made = copy(self)
        made.laws, made.conditions, made.spent, made.sets = dict(self.laws), dict(self.conditions), dict(self.spent), set(self.sets)
        return made

    def surjection(self, node: Node) -> None:
        """A fixed function with a continuous right inverse, of wires that may be anything (X6)."""
        op, given = node.op, [p.wire for p in node.ports]
        wanted: list[int] | None = None
        match op:
            case Map(function="neg") | Split() | Merge() | Halves() | Cat() | Reduce(which="sum" | "mean"):
                wanted = given
            case Add() | Subtract() | Multiply() | Divide() | Contract():
                wanted = self.free_operand(node)
            case _:
                pass
        if wanted is None:
            raise Unproved(f"`{op.word}` is not known to reach every value")
        if self.inputs:
            self.laws["X4" if isinstance(op, Cat) else "X6"] = None
        before = dict(self.spent)
        self.jointly(wanted)
        others = [w for w in given if w not in wanted]
        chosen = self.spent.keys() - before.keys()
        shared = [w for w in others if self.depends.get(w, frozenset()) & chosen]
        if shared:
            raise Unproved(f"`{op.word}` joins what one learner gives twice")

    def free_operand(self, node: Node) -> list[int] | None:
        """The operand that alone makes every value reachable, the others held fixed."""
        d = self.diagram
        result = set(d.wires[node.outs[0]].axes)
        for k, port in enumerate(node.ports):
            rest = [p for j, p in enumerate(node.ports) if j != k]
            full = set(port.axes) == result and port.wire not in [p.wire for p in rest]
            learned = bool(self.depends.get(port.wire, frozenset()) - {w.key for w in d.weights}) or self.is_network(port.wire) or not self.inputs
            match node.op:
                case Add() | Subtract() if full and learned:
                    return [port.wire]
                case Multiply() | Divide() if full and learned and (k == 0 or isinstance(node.op, Multiply)) and all(self.fixed(p.wire) for p in rest):
                    return [port.wire]
                case Contract() if learned and len(rest) == 1 and rest[0].wire in d.weight_of:
                    weight = d.weight_of[rest[0].wire]
                    new = [a for a in rest[0].axes if a not in node.own and a not in port.axes]
                    if self.alone(weight) and self.enough(self.size(node.own), self.size(new), "X12" if self.inputs else "X11"):
                        self.spend(weight.key, f"weight `{weight.key}`")
                        return [port.wire]
                case _:
                    pass
        return None

    def fixed(self, wire: int) -> bool:
        """No input and no learner has a part in it, and it is not 0."""
        return not self.reads.get(wire) and not self.depends.get(wire) and self.ranges.of(wire).nonzero

    def alone(self, weight: Weight) -> bool:
        return len(self.diagram.consumers[weight.wire]) == 1 and not weight.frozen

    # networks with one hidden layer ------------------------------------------------------------

    def is_network(self, wire: int) -> bool:
        made = self.diagram.producer.get(wire)
        if made is None:
            return False
        try:
            return self.trial().network(self.diagram.nodes[made[0]])
        except Unproved:
            return False

    def network(self, node: Node) -> bool:
        """`W2 . act(W1 x + b)` with a hidden axis that nothing bounds (Leshno et al. 1993)."""
        d = self.diagram
        if not isinstance(node.op, Contract) or len(node.ports) != 2:
            return False
        for k, port in enumerate(node.ports):
            outer, made = node.ports[1 - k], d.producer.get(port.wire)
            bend = d.nodes[made[0]] if made is not None else None
            if bend is None or not isinstance(bend.op, Map) or bend.op.function not in BENT or outer.wire not in d.weight_of:
                continue
            hidden = set(port.axes)
            if hidden != set(node.own) or set(outer.axes) - hidden != set(d.wires[node.outs[0]].axes):
                continue
            terms = self.summands(bend.ports[0].wire)
            biased, read, learners = False, list[int](), [d.weight_of[outer.wire]]
            names = set(d.wires[bend.outs[0]].axes)
            for wire, axes in terms:
                weight = d.weight_of.get(wire)
                maker = d.producer.get(wire)
                if weight is not None and set(axes) == names:
                    biased = True
                    learners.append(weight)
                elif maker is not None and isinstance(box := d.nodes[maker[0]].op, Contract) and box is not None:
                    inner = d.nodes[maker[0]]
                    sides = [(a, b) for a, b in (inner.ports, inner.ports[::-1]) if b.wire in d.weight_of] if len(inner.ports) == 2 else []
                    if not sides or set(sides[0][0].axes) != set(inner.own) or set(axes) != names:
                        return False
                    read.append(sides[0][0].wire)
                    learners.append(d.weight_of[sides[0][1].wire])
                else:
                    return False
            if not biased:
                raise Unproved(f"the hidden layer before `{bend.op.function}` has no bias, so that not every function is a limit")
            free = [v for a in node.own if (v := d.settled.of(d.sizes[a]).as_variable()) is not None and self.unbounded(v)]
            if not free:
                raise Unproved("no hidden axis may grow: its size is that of an axis outside, or is equated")
            missing = self.inputs - self.recovered(read)
            if missing or not all(map(self.alone, learners)):
                return False
            for weight in learners:
                self.spend(weight.key, f"weight `{weight.key}`")
            self.laws["X2"] = None
            self.conditions[f"`{free[0]}` grows without bound"] = None
            return True
        return False

    def summands(self, wire: int) -> list[tuple[int, tuple[str, ...]]]:
        made = self.diagram.producer.get(wire)
        node = self.diagram.nodes[made[0]] if made is not None else None
        if node is None or not isinstance(node.op, Add):
            return [(wire, self.diagram.wires[wire].axes)]
        found: list[tuple[int, tuple[str, ...]]] = []
        for port in node.ports:
            table = dict(port.renames)
            found += [(w, tuple(table[a] for a in axes)) for w, axes in self.summands(port.wire)]
        return found

    def unbounded(self, variable: str) -> bool:
        d = self.diagram
        header = [a for e in (*d.inputs, *d.outputs) for a in e.layout]
        bound = {v for a in header for v in d.sizes[a].variables()} | {v for e in (*d.equations, *d.where) for p in (e.left, e.right) for v in p.variables()}
        return variable not in bound

    # what is known of the inputs ---------------------------------------------------------------

    def recovered(self, given: Iterable[int]) -> set[int]:
        """The wires that given ones determine continuously on compact sets, learners on the way being chosen so that they do."""
        known = set(given)
        if self.trusted == "X5":
            self.laws["X5"] = None
            return known | self.inputs
        for i in reversed(live(self.diagram)):
            node = self.diagram.nodes[i]
            if not any(w in known for w in node.outs):
                continue
            law = self.undone(i, node, known)
            if law is not None:
                new = {p.wire for p in node.ports if self.reads.get(p.wire)} - known
                if new and law:
                    self.laws[law] = None
                known |= new
        return known

    def undone(self, i: int, node: Node, known: set[int]) -> str | None:
        """The law by which the operands of a box follow from its results and from what is known; None where they do not."""
        op, d = node.op, self.diagram
        open = [p for p in node.ports if p.wire not in known and self.reads.get(p.wire)]
        rest = [p for p in node.ports if p not in open]
        match op:
            case Map() if op.function in INJECTIVE:
                return "X5"
            case Expand() | Cat() | Split() | Merge():
                return "X5" if not isinstance(op, Expand) else ""
            case Halves() if all(w in known for w in node.outs):
                return "X5"
            case Add() | Subtract() if len(open) == 1 and [p.wire for p in node.ports].count(open[0].wire) == 1:
                return "X5"
            case Multiply() | Divide() if len(open) == 1 and all(self.fixed(p.wire) for p in rest) and (isinstance(op, Multiply) or open[0] is node.ports[0]):
                return "X5"
            case Contract() if len(open) == 1 and len(rest) == 1 and rest[0].wire in d.weight_of:
                weight = d.weight_of[rest[0].wire]
                new = [a for a in rest[0].axes if a not in node.own and a not in open[0].axes]
                if self.alone(weight) and weight.key not in self.spent and self.enough(self.size(new), self.size(node.own), "X12"):
                    self.spend(weight.key, weight.key)
                    return "X12"
            case Hole() if node.outs[0] in self.sets:
                return ""
            case Hole() if f"{op.hole} {i}" not in self.spent and all(d.wires[p.wire].kind.name == "real" for p in node.ports):
                takes = sum((self.size(node.own[k] for k in axes) for axes in op.takes_axes), start=Poly())
                gives = sum((self.size(node.own[k] for k in axes) for axes in op.gives_axes), start=Poly())
                if all(w in known for w in node.outs) and self.enough(gives, takes, "X3"):
                    self.spend(f"{op.hole} {i}", op.hole)
                    return "X3"
            case Reduce(which="sum" | "mean") if len(node.own) == 1:
                return self.of_set(node)
            case _:
                pass
        return None

    def of_set(self, node: Node) -> str | None:
        """A sum over a set of which the order does not count, of what a hole makes of its elements (X13): the set is determined."""
        d, (port,) = self.diagram, node.ports
        made = d.producer.get(port.wire)
        inner = d.nodes[made[0]] if made is not None else None
        if made is None or inner is None or not isinstance(inner.op, Hole) or f"{inner.op.hole} {made[0]}" in self.spent:
            return None
        axis = next((a for a, b in port.renames if b == node.own[0]), None)
        if axis not in self.invariant or set(inner.lifts) != {axis}:
            return None
        op = inner.op
        element = sum((self.size(inner.own[k] for k in axes) for axes in op.takes_axes), start=Poly())
        count = self.size([axis])
        gives = self.size(inner.own[k] for k in op.gives_axes[0])
        needed = count if element == Poly.of(1) else 2 * count * element + 1
        if not self.enough(gives, needed, "X13"):
            raise Unproved(f"`{op.hole}` gives {gives} numbers for each element, and `{gives} >= {needed}` is not proved (X13)")
        self.spend(f"{op.hole} {made[0]}", op.hole)
        self.sets.add(port.wire)
        return "X13"
