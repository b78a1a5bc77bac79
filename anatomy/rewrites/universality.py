"""Whether a diagram with holes approximates every continuous function of its type, its holes being universal approximators.

Non-goals: how wide an approximator must be for an accuracy; what training finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from anatomy.ir.graph import Node, Weight
from anatomy.ir.poly import Poly
from anatomy.ops import Add, Cat, Contract, Divide, Halves, Map, Merge, Multiply, Reduce, Split, Subtract
from anatomy.rewrites.learners import Learners, Unproved
from anatomy.rewrites.places import never_negative
from anatomy.rewrites.recovery import Recovery

BENT = {"exp", "tanh", "sigmoid", "relu", "gelu", "silu", "softplus", "elu", "sin", "cos", "abs"}
"""Continuous functions that are no polynomials (Leshno et al. 1993)."""


def least(sizes: Sequence[Poly]) -> str:
    return f"min({', '.join(map(str, sizes))})" if len(sizes) > 1 else str(sizes[0])


class Universality(Recovery):
    """One proof under way; `laws` and `conditions` are what it has used.

    The judgement is on tuples of wires: together they may be any continuous function of the inputs, each learner being chosen
    once. Source: Hornik et al. 1989 and Leshno et al. 1993 for networks with one hidden layer; composition, pairing and injections by
    Tietze's extension theorem, as a continuous injection of a compact set has a continuous inverse on its image;
    sums over a set by Zaheer et al. 2017 (1703.06114), Wagstaff et al. 2019 (1901.09006), Dym and Gortler 2022 (2205.02956).
    """

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
            # What a choice rests on stays as it is: two results cannot each be chosen for the value that the other has.
            self.held |= frozenset().union(*(self.depends.get(w, frozenset()) for w in group)) - self.spent.keys()

    def one(self, wires: list[int]) -> None:
        wire, d = wires[0], self.diagram
        if wire in self.inputs:
            raise Unproved(f"{self.named([wire])} is handed on as it is")
        if wire in d.weight_of:
            if self.inputs:
                raise Unproved(f"weight `{d.weight_of[wire].key}` does not depend on the inputs")
            if d.weight_of[wire].frozen:
                raise Unproved(f"weight `{d.weight_of[wire].key}` is frozen")
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
            # Symmetric functions carry a set, not its elements in their order, so that of sets only the results count.
            needed = [*([] if self.invariant else [attempt.dim(missing)]), attempt.dim(wires)]
            why = f"`{name}` reads {room} numbers, and `{room} >= {least(needed)}` is not proved (X3), so only `>=` holds"
            if any(attempt.enough(room, n, "X3") for n in needed):
                attempt.jointly(carriers)
                self.adopt(attempt)
                return
        raise Unproved(why)

    def surjection(self, node: Node) -> None:
        """A fixed function with a continuous right inverse, of wires that may be anything (X6)."""
        op, given = node.op, list(dict.fromkeys(p.wire for p in node.ports))
        why: Unproved | None = None
        match op:
            case Map(function="neg") | Split() | Merge() | Halves() | Cat() | Reduce(which="sum" | "mean"):
                if self.inputs:
                    self.laws["X4" if isinstance(op, Cat) else "X6"] = None
                self.jointly(given)
                return
            case _:
                pass
        for wire, weight in self.operands(node):
            attempt = self.trial()
            try:
                if weight is not None:
                    attempt.spend(weight.key, f"weight `{weight.key}`")
                attempt.jointly([wire])
                chosen = attempt.spent.keys() - self.spent.keys()
                if any(self.depends.get(w, frozenset()) & chosen for w in given if w != wire and (weight is None or w != weight.wire)):
                    raise Unproved(f"`{op.word}` joins what one learner gives twice")
            except Unproved as reason:
                why = why or reason
                continue
            self.adopt(attempt)
            if self.inputs:
                self.laws["X6"] = None
            return
        raise why or Unproved(self.narrow(node) or f"`{op.word}` is not known to reach every value")

    def adopt(self, attempt: Learners) -> None:
        self.laws, self.conditions, self.spent = attempt.laws, attempt.conditions, attempt.spent
        self.sets, self.held = attempt.sets, attempt.held

    def operands(self, node: Node) -> Iterator[tuple[int, Weight | None]]:
        """Operands of which one alone may make every value reachable, the others held fixed; a weight that is to be chosen onto."""
        d = self.diagram
        result = set(d.wires[node.outs[0]].axes)
        for k, port in enumerate(node.ports):
            rest = [p for j, p in enumerate(node.ports) if j != k]
            full = set(port.axes) == result and port.wire not in [p.wire for p in rest]
            learned = bool(self.depends.get(port.wire, frozenset()) - {w.key for w in d.weights}) or self.is_network(port.wire) or not self.inputs
            match node.op:
                case Add() | Subtract() if full and learned:
                    yield port.wire, None
                case Multiply() | Divide() if full and learned and (k == 0 or isinstance(node.op, Multiply)) and all(self.fixed(p.wire) for p in rest):
                    yield port.wire, None
                case Contract() if learned and len(rest) == 1 and rest[0].wire in d.weight_of:
                    weight = d.weight_of[rest[0].wire]
                    new = [a for a in rest[0].axes if a not in node.own and a not in port.axes]
                    if self.alone(weight) and self.enough(self.size(node.own), self.size(new), "X12" if self.inputs else "X11"):
                        yield port.wire, weight
                case _:
                    pass

    def narrow(self, node: Node) -> str:
        """Of a product with a weight, the room that is missing."""
        weights = self.diagram.weight_of
        if not isinstance(node.op, Contract) or len(node.ports) != 2 or not any(p.wire in weights for p in node.ports):
            return ""
        new = [self.size(a for a in p.axes if a not in node.own and a not in node.ports[1 - k].axes) for k, p in enumerate(node.ports) if p.wire in weights]
        if any(never_negative(self.size(node.own) - n) for n in new):
            return ""
        return f"`{self.size(node.own)} >= {least(new)}` is not proved ({'X12' if self.inputs else 'X11'})"

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
