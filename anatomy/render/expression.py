"""Small constants written into the box that uses them: `÷ √|e|`, `mask m ≤ n`, `+ 1`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from anatomy.ir.graph import Diagram, Node

LONGEST = 30
"""Characters; a longer expression is drawn as boxes."""

INFIX: dict[str, tuple[int, str]] = {
    "and": (1, " and "), "or": (1, " or "),
    "<": (2, " < "), "<=": (2, " ≤ "), "==": (2, " = "), "!=": (2, " ≠ "),
    "+": (3, " + "), "-": (3, " − "), "*": (4, "·"), "/": (4, "/"), "^": (6, "^"),
}  # fmt: skip
"""Binding strength and sign of the operations that stand between their operands."""
PREFIX: dict[str, tuple[int, str]] = {"neg": (5, "−"), "sqrt": (7, "√"), "not": (1, "not ")}
CALLS = frozenset({"exp", "log", "abs", "sign", "floor", "tanh", "sigmoid", "sin", "cos", "square", "max", "min"})
USERS = frozenset({*INFIX, "mask", "where", "max", "min"})
"""Operations whose box may carry a constant operand."""
ATOM = 9


@dataclass
class Expressions:
    """Which nodes are written into another (`into`), and the words for those that depend on no wire (`closed`)."""

    diagram: Diagram
    names: Mapping[str, str]
    closed: dict[int, tuple[int, str]] = field(default_factory=dict)
    into: dict[int, int] = field(default_factory=dict)

    def run(self, nodes: list[int]) -> Expressions:
        for i in nodes:
            operands = [self._operand(i, k) for k in range(len(self.diagram.nodes[i].ports))]
            text = self._text(self.diagram.nodes[i], operands)
            if text is not None and len(text[1]) <= LONGEST:
                self.closed[i] = text
                self._take(i)
            elif any(operands) and (self.diagram.nodes[i].op.word == "state" or (self.diagram.nodes[i].op.word in USERS and not all(operands))):
                self._take(i)
        return self

    def operands(self, i: int) -> list[tuple[int, str] | None]:
        """For every port the words written into the box, or None for a wire."""
        result: list[tuple[int, str] | None] = []
        for port in self.diagram.nodes[i].ports:
            maker = self.diagram.producer.get(port.wire)
            taken = maker is not None and self.into.get(maker[0]) == i
            result.append(self.closed[maker[0]] if taken and maker is not None else None)
        return result

    def _take(self, i: int) -> None:
        for k, port in enumerate(self.diagram.nodes[i].ports):
            if self._operand(i, k) is not None:
                self.into[self.diagram.producer[port.wire][0]] = i

    def _operand(self, i: int, k: int) -> tuple[int, str] | None:
        """The words for an operand that only this port reads, in these walls and by these names."""
        node = self.diagram.nodes[i]
        port, word = node.ports[k], node.op.word
        maker = self.diagram.producer.get(port.wire)
        if maker is None or maker[0] not in self.closed or len(self.diagram.consumers[port.wire]) != 1:
            return None
        same_walls = self.diagram.nodes[maker[0]].frame == node.frame[: -1 if word == "state" else None]
        same_names = all(self.names[a] == self.names[b] for a, b in port.renames)
        return self.closed[maker[0]] if same_walls and same_names else None

    def _text(self, node: Node, operands: list[tuple[int, str] | None]) -> tuple[int, str] | None:
        word = node.op.word
        if not node.ports:
            return self._source(node)
        texts = [o for o in operands if o is not None]
        if len(texts) < len(operands):
            return None
        if word in INFIX:
            level, sign = INFIX[word]
            right = level if word in ("^",) or node.op.commutative else level + 1
            return level, wrap(texts[0], level + (word == "^")) + sign + wrap(texts[1], right)
        if word in PREFIX:
            level, sign = PREFIX[word]
            return level, sign + wrap(texts[0], level)
        if word in CALLS:
            return ATOM, f"{word}({', '.join(t for _, t in texts)})"
        return None

    def _source(self, node: Node) -> tuple[int, str] | None:
        own = tuple(self.names[a] for a in node.own)
        glyph = node.op.glyph(own)
        if glyph.shape != "source":
            return None
        # A position is written as in the predicates of the language: by the name of its axis alone.
        text = own[0] if node.op.word == "iota" else glyph.label
        return (PREFIX["neg"][0] if text.startswith("-") else ATOM), text


def wrap(text: tuple[int, str], level: int) -> str:
    return text[1] if text[0] >= level else f"({text[1]})"


def label(node: Node, sign: str, operands: list[tuple[int, str] | None]) -> str:
    """The label of a box with constants written into it.

    The open operands are not written, so a box `÷ √|e|` divides what comes in, and `1 ÷` is divided by it.
    """
    if not any(operands):
        return sign
    word = node.op.word
    if word == "state" and operands[0] is not None:
        return f"{sign} = {operands[0][1]}"
    if word in INFIX and len(operands) == 2:
        left, right = operands
        level = INFIX[word][0]
        if right is not None:
            return f"{sign} {wrap(right, level + 1)}"
        assert left is not None
        return f"{sign} {wrap(left, level + 1)}" if node.op.commutative else f"{wrap(left, level + 1)} {sign}"
    if (sum(o is None for o in operands) == 1 and operands[-1] is None) or node.op.commutative:
        return f"{sign} {', '.join(o[1] for o in operands if o is not None)}"
    return f"{sign} {', '.join('·' if o is None else o[1] for o in operands)}"


def listing(node: Node, own: Sequence[str], sign: str, operands: Sequence[str | None]) -> str:
    """The box as text; `{k}` stands for the wire on port k."""
    args = [o if o is not None else f"{{{k}}}" for k, o in enumerate(operands)]
    word = node.op.word
    if len(args) == 2 and not node.own and not word[0].isalpha():
        return f"{args[0]} {sign} {args[1]}"
    if word == "neg":
        return f"−{args[0]}"
    if word == "state":
        return f"{args[0]}, then next {sign}".rstrip()
    if word == "next":
        return args[0]
    axes = ", ".join(own)
    if node.op.form == "arrow":
        new = {a for given in node.op.gives(tuple(own)) for a in given}
        axes = f"{', '.join(a for a in own if a not in new)} → {', '.join(a for a in own if a in new)}"
    bracket = f"[{axes}]" if own else ""
    return f"{word}{bracket}({', '.join(args)})" if args else f"{word}{bracket}"
