"""From a diagram to a scene: what is one drawn element, and which strands join them.

Folded: a `lin` is one element, constants are written into the box that uses them, equal constants are
drawn once, and calls in a row are drawn once with their number. Full: an element for every node.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from anatomy.errors import Span
from anatomy.ir.graph import Diagram, Frame, Kind, Node
from anatomy.render.expression import Expressions, label, listing
from anatomy.render.loops import Back, unfolded
from anatomy.render.naming import axis_names, axis_sizes
from anatomy.render.repeats import Repeats, find_repeats
from anatomy.render.scene import Element, Scene, Strand


def fold(diagram: Diagram, full: bool = False) -> Scene:
    """The scene of a diagram; its elements are numbered by a walk back from the outputs."""
    flat, back = unfolded(diagram)
    return _Folding(flat, full, back).scene()


@dataclass
class _Folding:
    diagram: Diagram
    full: bool
    back: tuple[Back, ...] = ()
    names: Mapping[str, str] = field(init=False)
    repeats: Repeats = field(init=False)
    words: Expressions = field(init=False)
    same: dict[int, int] = field(default_factory=dict)
    """Node to the node that is drawn for it: the first of equal ones."""

    def __post_init__(self) -> None:
        d = self.diagram
        self.names = axis_names(d, self.full)
        self.repeats = Repeats() if self.full else find_repeats(d, self.names)
        drawn = [i for i in range(len(d.nodes)) if i not in self.repeats.node]
        self.words = Expressions(d, self.names)
        if not self.full:
            self.words.run([i for i in drawn if not self._lin(d.nodes[i])])
        self.same = {i: self.repeats.node.get(i, i) for i in range(len(d.nodes))}
        if not self.full:
            self._merge_constants(drawn)

    def _merge_constants(self, drawn: Sequence[int]) -> None:
        """Equal nodes that depend on no input and no weight are drawn once (`cos(w)` written twice)."""
        d, seen, constant = self.diagram, dict[object, int](), set[int]()
        for i in drawn:
            node = d.nodes[i]
            makers = [d.producer.get(p.wire) for p in node.ports]
            if any(m is None or m[0] not in constant for m in makers):
                continue
            constant.add(i)
            if not node.ports or i in self.words.into or any(self.words.operands(i)) or self._lin(node):
                continue
            reads = [(self.same[m[0]], m[1], p.renames) for m, p in zip(makers, node.ports, strict=True) if m]
            key = (node.op, node.own, node.frame, tuple(reads))
            self.same[i] = seen.setdefault(key, i)

    # which element a thing belongs to -----------------------------------------------------------

    def _lin(self, node: Node) -> tuple[Frame, ...] | None:
        if self.full:
            return None
        return next((node.frame[: k + 1] for k, f in enumerate(node.frame) if f.kind == "lin"), None)

    def _home(self, i: int) -> tuple[object, ...]:
        i = self.same[i]
        while i in self.words.into:
            i = self.same[self.words.into[i]]
        lin = self._lin(self.diagram.nodes[i])
        return ("lin", *(f.serial for f in lin)) if lin else ("node", i)

    def _weight_home(self, k: int) -> tuple[object, ...]:
        k = self.repeats.weight.get(k, k)
        homes = {self._home(i) if i >= 0 else ("output",) for i, _ in self.diagram.consumers[self.diagram.weights[k].wire]}
        home = homes.pop() if len(homes) == 1 else ("weight", k)
        return home if home[0] == "lin" else ("weight", k)

    # elements -----------------------------------------------------------------------------------

    def scene(self) -> Scene:
        d = self.diagram
        nodes: dict[tuple[object, ...], list[int]] = {}
        weights: dict[tuple[object, ...], list[int]] = {}
        for i in range(len(d.nodes)):
            nodes.setdefault(self._home(i), []).append(i)
        for k in range(len(d.weights)):
            weights.setdefault(self._weight_home(k), []).append(k)
        made: dict[tuple[object, ...], Element] = {("input", k): self._input(k) for k in range(len(d.inputs))}
        for home, members in weights.items():
            if home[0] == "weight":
                made[home] = self._weight(members)
        for home, members in nodes.items():
            made[home] = self._lin_element(members, weights.get(home, [])) if home[0] == "lin" else self._box(home[1], members)
        made |= {("output", k): self._output(k) for k in range(len(d.outputs))}
        strands = self._strands(made)
        order = self._order(made, strands)
        strands += self._ways_back()
        number = {home: n for n, home in enumerate(order)}
        elements = tuple(replace(made[home], number=n) for home, n in number.items())
        axes = axis_sizes(d, self.names, self._used(elements, [s for _, _, s in strands]))
        rank = {a: n for n, a in enumerate(axes)}
        joined = sorted(
            (
                replace(s, source=number[a], target=number[b], axes=tuple(sorted(s.axes, key=rank.__getitem__)))
                for a, b, s in strands
            ),
            key=lambda s: (s.target, s.reads),
        )
        scene = Scene(d, self.full, elements, tuple(joined), self.names, axes, self.repeats.times)
        return replace(scene, strands=_labelled(scene))

    def _input(self, k: int) -> Element:
        given = self.diagram.inputs[k]
        wire = self.diagram.wires[given.wire]
        text = f"{given.name} {self._type(given.layout, wire.kind)}"
        return Element(0, "input", (given.name, self._type(given.layout, wire.kind)), f"input {text}{where(given.span)}", inputs=(k,), text=given.name)

    def _output(self, k: int) -> Element:
        out = self.diagram.outputs[k]
        wire = self.diagram.wires[out.port.wire]
        kind = self._type(out.layout, wire.kind)
        number = f"out {k + 1}" if len(self.diagram.outputs) > 1 else "out"
        return Element(0, "output", (number, kind), f"output {kind}{where(out.span)}", outputs=(k,))

    def _weight(self, members: list[int]) -> Element:
        w = self.diagram.weights[members[0]]
        about = f"{'frozen ' if w.frozen else ''}weight {', '.join(w.keys)} {self._type(w.layout)} ~ {w.init}{where(w.span)}"
        walls = self._common([i for i, _ in self.diagram.consumers[w.wire]])
        key = w.key
        for wall in () if self.full else walls:
            if wall.kind in ("call", "part"):
                key = key.removeprefix(f"{wall.label}.")
            elif wall.kind == "repeat":
                key = re.sub(r"^\d+(_\d+)?\.", "", key)
        return Element(0, "weight", (key, self._type(w.layout)), about, walls, weights=tuple(members), text=w.key)

    def _common(self, readers: Sequence[int]) -> tuple[Frame, ...]:
        """A weight that is read inside one call or part is drawn in it, but outside of every SIMD box there."""
        frames = [self.diagram.nodes[self.same[i]].frame if i >= 0 else () for i in readers] or [()]
        walls: list[Frame] = []
        for column in zip(*frames, strict=False):
            if len({f.serial for f in column}) != 1 or (column[0].kind == "lin" and not self.full):
                break
            walls.append(column[0])
        while walls and walls[-1].lanes:
            walls.pop()
        return tuple(walls)

    def _lin_element(self, members: list[int], weights: list[int]) -> Element:
        d = self.diagram
        node = d.nodes[members[0]]
        walls = self._lin(node)
        assert walls is not None
        first = members[: sum(1 for i in members if self.same[i] == i)]
        body = [d.nodes[i] for i in first]
        maps = next((n for n in body if n.own), body[0])
        found = ((d.weight_of[p.wire], p) for p in maps.ports if p.wire in d.weight_of and set(maps.own) <= set(p.axes))
        weight, port = next(found, (None, None))
        name, arrow, bias = walls[-1].label, "", True
        if weight is not None and port is not None:  # a rewrite may have left a wall without its learner
            seen = {a: self.names[b] for a, b in port.renames}
            lanes, fan_in, fan_out = (" ".join(seen[a] for a in axes) for axes in (weight.lanes, weight.fan_in, weight.fan_out))
            arrow = f"{lanes}{'; ' if lanes else ''}{fan_in} → {fan_out}"
            bias = any(p.wire in d.weight_of for n in body if n is not maps for p in n.ports)
        about = [f"lin {name}: {arrow}{'' if bias else ', no bias'}{where(node.span)}"]
        about += [f"{', '.join(w.keys)}: {self._type(w.layout)} ~ {w.init}" for w in (d.weights[k] for k in weights[:8])]
        lines = (f"lin {name}", arrow if bias else f"{arrow}, no bias")
        return Element(
            0, "lin", lines, "\n".join(about), walls[:-1], tuple(members), tuple(weights),
            text=f"lin {name}[{arrow}]({{0}})", head=first[-1],
        )  # fmt: skip

    def _box(self, head: object, members: list[int]) -> Element:
        assert isinstance(head, int)
        node = self.diagram.nodes[head]
        own = tuple(self.names[a] for a in node.own)
        glyph = node.op.glyph(own)
        operands = self.words.operands(head)
        closed = self.words.closed.get(head)
        line = closed[1] if closed else label(node, glyph.label, operands)
        lines = (line, glyph.detail) if self.full and glyph.detail else (line,)
        shape = glyph.shape
        if closed:
            shape = "source" if shape != "mask" else shape
        elif shape == "dot" and any(operands):
            shape = "box"
        outs = "; ".join(self._wire(w) for w in node.outs)
        about = f"{node.op.word}{'[' + ', '.join(own) + ']' if own else ''} : {outs}{where(node.span)}"
        text = closed[1] if closed else listing(node, own, glyph.label, [o and o[1] for o in operands])
        return Element(0, shape, lines, about, node.frame, tuple(members), text=text, head=head)

    def _type(self, layout: Sequence[str], kind: Kind | None = None) -> str:
        word = "" if kind is None or kind.name == "real" else f"index({self.names[kind.axis]})" if kind.name == "index" else kind.name
        return f"{word}[{', '.join(self.names[a] for a in layout)}]"

    def _wire(self, w: int) -> str:
        wire = self.diagram.wires[w]
        return f"{wire.name + ' ' if wire.name else ''}{self._type(wire.axes, wire.kind)}"

    # strands ------------------------------------------------------------------------------------

    def _strands(self, made: Mapping[tuple[object, ...], Element]) -> list[tuple[tuple[object, ...], tuple[object, ...], Strand]]:
        d = self.diagram
        maker: dict[int, tuple[object, ...]] = {g.wire: ("input", k) for k, g in enumerate(d.inputs)}
        maker |= {w.wire: self._weight_home(k) for k, w in enumerate(d.weights)}
        maker |= {w: self._home(i) for w, (i, _) in d.producer.items()}
        found: dict[tuple[object, ...], tuple[tuple[object, ...], tuple[object, ...], Strand]] = {}
        readings = [(i, k, port) for i, node in enumerate(d.nodes) for k, port in enumerate(node.ports)]
        readings += [(-1, k, output.port) for k, output in enumerate(d.outputs)]
        for i, k, port in readings:
            source, target = maker[port.wire], ("output", k) if i < 0 else self._home(i)
            if source == target:
                continue
            carry = i in self.repeats.node and self._carried(port.wire)
            key = (source, target, self.same.get(i, i), k, carry)
            if key in found:
                a, b, strand = found[key]
                found[key] = (a, b, replace(strand, reads=(*strand.reads, (i, k))))
                continue
            lanes = self._lanes(made[source].walls) & self._lanes(made[target].walls)
            axes = tuple(self.names[a] for a in port.axes)
            renamed = tuple((self.names[a], self.names[b]) for a, b in port.renames if self.names[a] != self.names[b])
            span = d.wires[port.wire].span
            count = len(d.nodes[i].ports) if i >= 0 else 1
            ordered = i >= 0 and count > 1 and not d.nodes[i].op.commutative and made[target].shape != "lin"
            free = [j for j, o in enumerate(self.words.operands(i)) if o is None] if i >= 0 else []
            place = (free.index(k), len(free)) if ordered and len(free) > 1 and k in free else None
            found[key] = (source, target, Strand(
                0, 0, port.wire, ((i, k),), axes, renamed, lanes & frozenset(axes), "",
                self._wire(port.wire) + where(span), place, carry,
            ))  # fmt: skip
        return list(found.values())

    def _ways_back(self) -> list[tuple[tuple[object, ...], tuple[object, ...], Strand]]:
        """From each `next` to its `state`, where both are drawn."""
        found = []
        for a, b in self.back:
            if a in self.repeats.node or b in self.repeats.node:
                continue
            port = self.diagram.nodes[a].ports[0]
            axes = tuple(self.names[x] for x in port.axes)
            strand = Strand(0, 0, port.wire, (), axes, (), frozenset(), "next step", f"next step: {self._wire(port.wire)}", None, back=True)
            found.append((self._home(a), self._home(b), strand))
        return found

    def _carried(self, wire: int) -> bool:
        """Made by a copy of a repeated call, or by its first: then a later copy reads the one before it."""
        maker = self.diagram.producer.get(wire)
        return maker is not None and (maker[0] in self.repeats.node or maker[0] in self.repeats.node.values())

    def _lanes(self, walls: Sequence[Frame]) -> frozenset[str]:
        return frozenset(self.names.get(a, a) for w in walls for a in w.lanes)

    # order --------------------------------------------------------------------------------------

    def _order(
        self, made: Mapping[tuple[object, ...], Element],
        strands: Sequence[tuple[tuple[object, ...], tuple[object, ...], Strand]],
    ) -> list[tuple[object, ...]]:  # fmt: skip
        """Makers before readers, by a walk back from the outputs in port order; then what no output needs."""
        feeds: dict[tuple[object, ...], list[tuple[object, ...]]] = {home: [] for home in made}
        for source, target, strand in sorted(strands, key=lambda t: t[2].reads):
            if not strand.carry:
                feeds[target].append(source)
        order: dict[tuple[object, ...], None] = {}
        roots = [h for h in made if h[0] == "output"] + [h for h in made if h[0] != "output"]
        inputs = [h for h in made if h[0] == "input"]
        order.update(dict.fromkeys(inputs))
        for root in roots:
            stack = [(root, iter(feeds[root]))]
            open_: set[tuple[object, ...]] = {root}
            while stack and root not in order:
                home, rest = stack[-1]
                following = next((f for f in rest if f not in order and f not in open_), None)
                if following is None:
                    order.setdefault(home)
                    stack.pop()
                else:
                    open_.add(following)
                    stack.append((following, iter(feeds[following])))
        return list(order)

    def _used(self, elements: Sequence[Element], strands: Sequence[Strand]) -> set[str]:
        """The drawn axes, by their drawn names."""
        d = self.diagram
        used = {a for s in strands for a in s.axes}
        used |= {self.names[a] for e in elements for i in e.nodes for a in d.nodes[i].own}
        used |= {self.names[a] for g in (*d.inputs, *d.outputs) for a in g.layout}
        used |= {self.names[a] for e in elements for k in e.weights for a in d.weights[k].layout}
        return used | {a for e in elements for a in self._lanes(e.walls)}


def _labelled(scene: Scene) -> tuple[Strand, ...]:
    """A strand says its axes where a box has changed them, and `n → m` where they are renamed."""
    arriving: dict[int, set[str]] = {e.number: set() for e in scene.elements}
    for s in scene.strands:
        arriving[s.target] |= set(s.axes)
    said: set[int] = set()
    result = []
    for s in scene.strands:
        source = scene.elements[s.source]
        label = s.label
        if s.back:
            pass
        elif s.renamed:
            label = ", ".join(f"{a} → {b}" for a, b in s.renamed)
        elif source.shape not in ("input", "weight") and s.wire not in said:
            name = scene.diagram.wires[s.wire].name
            several = source.nodes and len(scene.diagram.nodes[source.nodes[-1]].outs) > 1
            axes = " ".join(a for a in s.axes if a not in s.lanes)
            changed = set(s.axes) != arriving[s.source]
            label = f"{name}: {axes}" if several and name else axes if changed else ""
            said.add(s.wire)
        result.append(replace(s, label=label))
    return tuple(result)


def where(span: Span | None) -> str:
    """The file's own name and the line: no folders, so that a picture is the same everywhere."""
    return f"  ({PurePath(span.source.path).name}:{span.line})" if span is not None else ""
