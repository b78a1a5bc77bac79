"""A scene as text for the terminal: a line for every box, walls as nested frames."""

from __future__ import annotations

import re
from collections.abc import Sequence

from anatomy.ir.graph import Frame
from anatomy.render.scene import Element, Scene, Strand


def text(scene: Scene) -> str:
    """The listing, in the order of the text that was read.

    ```
    sdpa(q: [n, e], k: [m, e], v: [m, f]) → [n, f]
    ┌ simd n
    │ ┌ simd m
    │ │ _1 = dot[e](q, k)
    │ │ s = _1 ÷ √|e|
    │ └
    ```
    """
    return "".join(printable(line) + "\n" for line in _Listing(scene).lines())


def printable(line: str) -> str:
    """No control characters: a name cannot write to the terminal by escapes."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


class _Listing:
    def __init__(self, scene: Scene):
        self.scene = scene
        self.incoming: dict[int, list[Strand]] = {}
        for s in scene.strands:
            if not (s.carry or s.back):
                self.incoming.setdefault(s.target, []).append(s)
        boxes = [e for e in scene.elements if e.nodes]
        self.boxes = sorted(boxes, key=lambda e: e.head)
        self.boxes = self._grouped(self.boxes, 0)
        self.names = self._names()

    def _grouped(self, boxes: Sequence[Element], depth: int) -> list[Element]:
        """Boxes of one wall brought together where their first stands."""
        groups: dict[tuple[str, int], list[Element]] = {}
        for e in boxes:
            key = ("box", e.number) if len(e.walls) == depth else ("wall", e.walls[depth].serial)
            groups.setdefault(key, []).append(e)
        return [e for (kind, _), group in groups.items() for e in (self._grouped(group, depth + 1) if kind == "wall" else group)]

    def _names(self) -> dict[int, str]:
        """A name for every wire that leaves an element: its own, numbered when taken, or `_1`, `_2`, ..."""
        d = self.scene.diagram
        names = {i.wire: i.name for i in d.inputs} | {w.wire: w.key for w in d.weights}
        taken = {*names.values()}
        anonymous = 0
        for e in self.boxes:
            for wires in self._outs(e):
                wire = wires[0]
                name = d.wires[wire].name
                if not name:
                    anonymous += 1
                    name = f"_{anonymous}"
                again = 2
                while name in taken:
                    name, again = f"{name.rpartition('_')[0] if again > 2 else name}_{again}", again + 1
                taken.add(name)
                names |= dict.fromkeys(wires, name)
        return names

    def _outs(self, e: Element) -> list[list[int]]:
        """What comes out of the element, each with the wires of the nodes that are drawn as one."""
        d = self.scene.diagram
        inside = {*e.nodes}
        leaving: dict[tuple[object, ...], list[int]] = {}
        for i in e.nodes:
            node = d.nodes[i]
            for k, w in enumerate(node.outs):
                read = any(j not in inside for j, _ in d.consumers[w])
                if read or not any(d.consumers[v] for v in node.outs):
                    leaving.setdefault((k, node.op, tuple(self.scene.names[a] for a in node.own)), []).append(w)
        return list(leaving.values())

    def lines(self) -> list[str]:
        d = self.scene.diagram
        inputs = ", ".join(f"{e.lines[0]}: {e.lines[1]}" for e in self.scene.elements if e.shape == "input")
        outputs = ", ".join(e.lines[1] for e in self.scene.elements if e.shape == "output")
        result = [f"{d.name}({inputs}) → {outputs}"]
        sizes = [f"{a} = {size}" for a, size in self.scene.axes.items() if a != size]
        result += [f"  where {', '.join(sizes)}"] if sizes else []
        result += [f"  {e.tooltip}" for e in self.scene.elements if e.shape == "weight"]
        walls: tuple[Frame, ...] = ()
        for e in self.boxes:
            walls = self._enter(result, walls, e.walls)
            result.append("│ " * len(e.walls) + self._line(e))
        self._enter(result, walls, ())
        for e in self.scene.elements:
            if e.shape == "output":
                (strand,) = self.incoming[e.number]
                result.append(f"out {self._operand(strand)}  : {e.lines[1]}")
        return result

    def _enter(self, result: list[str], old: tuple[Frame, ...], new: tuple[Frame, ...]) -> tuple[Frame, ...]:
        common = 0
        while common < min(len(old), len(new)) and old[common].serial == new[common].serial:
            common += 1
        result.extend("│ " * depth + "└" for depth in reversed(range(common, len(old))))
        result.extend("│ " * depth + "┌ " + self.scene.title(new[depth]) for depth in range(common, len(new)))
        return new

    def _line(self, e: Element) -> str:
        d = self.scene.diagram
        lanes = self.scene.lanes(e.walls)
        operands = {k: self._operand(s) for s in self.incoming.get(e.number, []) for i, k in s.reads[:1]}
        if e.shape == "lin":
            wires = [s for s in self.incoming.get(e.number, []) if self.scene.elements[s.source].shape != "weight"]
            operands = {0: ", ".join(self._operand(s) for s in wires)}
        right = re.sub(r"\{(\d+)\}", lambda m: operands.get(int(m[1]), "?"), e.text)
        outs = self._outs(e)
        left = ", ".join(self.names[w[0]] for w in outs)
        types = dict.fromkeys(self._axes(d.wires[w[0]].axes, lanes) for w in outs)
        if e.shape == "next":
            left = e.lines[0] + (f", last {left}" if any(d.consumers[w] for i in e.nodes for w in d.nodes[i].outs) else "")
            types = dict.fromkeys(self._axes(d.wires[d.nodes[i].outs[0]].axes, lanes) for i in e.nodes)
        return f"{left} = {right}  : {', '.join(types)}"

    def _axes(self, axes: Sequence[str], lanes: frozenset[str]) -> str:
        shown = {self.scene.names[a] for a in axes}
        return f"[{' '.join(a for a in self.scene.axes if a in shown and a not in lanes)}]"

    def _operand(self, strand: Strand) -> str:
        name = self.names.get(strand.wire, "?")
        renamed = ", ".join(f"{a} → {b}" for a, b in strand.renamed)
        return f"{name}[{renamed}]" if renamed else name
