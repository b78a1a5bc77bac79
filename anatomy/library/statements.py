"""The statements of a mechanism around its parts, as a reader compares them with those of another.

SIMD boxes are a view and are dissolved; a diagram that the file calls once stands where it is called; a name that the other
side does not know, and that is read once, gives way to what it stands for.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property

from anatomy.errors import Source
from anatomy.language import syntax as s
from anatomy.language.format import format_text
from anatomy.language.parse import parse
from anatomy.language.unparse import ATOM, COMPARE, INFIX, NOT, SUM, UNARY
from anatomy.library.entry import Entry

WIDTH = 100
"""A statement does not grow beyond this by what is put into it."""
STEP = "  "


class Statements:
    """A file without its head, comments and parts, read again as a tree."""

    def __init__(self, entry: Entry):
        text = entry.source.text
        for part in sorted(entry.parts, key=lambda p: -len(p.text)):
            text = text.replace(part.text, "", 1)
        self.name = entry.name
        self.text = format_text(Source(entry.name, re.sub(r"#[^\n]*", "", text)))
        while (text := self._spliced()) is not None:
            self.text = text

    def _items(self) -> tuple[s.Item, ...]:
        return parse(Source(self.name, self.text)).items

    @cached_property
    def items(self) -> tuple[s.Item, ...]:
        return self._items()

    @cached_property
    def biases(self) -> dict[str, bool]:
        """The learners declared here, in the order of the text, and whether they have a bias."""
        lins = sorted((n for n in nodes(self.items) if isinstance(n, s.Lin) and n.bracket), key=lambda n: n.at)
        return {n.name.text: "bias=false" not in flat(self.text[slice(*n.at)]) for n in lins}

    @cached_property
    def bound(self) -> frozenset[str]:
        """The wires bound here."""
        return frozenset(_bound(self.items))

    def _spliced(self) -> str | None:
        """The text with one diagram put where it is called, where it is called once and no names collide."""
        items = self._items()
        diagrams = {d.name.text: d for d in items if isinstance(d, s.DiagramDecl)}
        calls = Counter(n.name.text for n in nodes(items) if isinstance(n, s.Call))
        for caller in diagrams.values():
            for statement in nodes(caller.body):
                match statement:
                    case s.Assign(names=(name,), value=s.Call(label=None) as call) if (
                        calls[call.name.text] == 1 and call.name.text in diagrams
                    ):
                        callee = diagrams[call.name.text]
                        out = next((n for n in nodes(callee.body) if isinstance(n, s.Out)), None)
                        binds = [
                            f"{p.name.text} = {self.text[slice(*a.at)]}"
                            for p, a in zip(callee.signature.params, call.args, strict=True)
                            if not isinstance(a, s.Ref) or a.name.text != p.name.text
                        ]
                        new = _bound(callee.body) | {b.partition(" ")[0] for b in binds}
                        if (
                            out is None
                            or len(out.values) != 1
                            or new & (_bound(caller.body) | {p.name.text for p in caller.signature.params})
                        ):
                            continue
                        return self._moved(callee, out, name.text, binds, statement)
                    case _:
                        pass
        return None

    def _moved(self, callee: s.DiagramDecl, out: s.Out, name: str, binds: list[str], statement: s.Assign) -> str:
        start, end = callee.body[0].at[0], callee.body[-1].at[1]
        body = (
            self.text[start : out.at[0]]
            + f"{name} = {self.text[out.values[0].at[0] : out.at[1]]}"
            + self.text[out.at[1] : end]
        )
        text = self.text[: statement.at[0]] + "\n".join([*binds, body]) + self.text[statement.at[1] :]
        if callee.at[0] < statement.at[0]:
            return text[: callee.at[0]] + text[callee.at[1] :]
        shift = len(text) - len(self.text)
        return text[: callee.at[0] + shift] + text[callee.at[1] + shift :]

    def lines(self, known: frozenset[str], told: frozenset[str]) -> list[str]:
        """One line for each sized axis and each statement, the biases of the learners `told` left out."""
        lines: list[str] = []
        for item in self.items:
            match item:
                case s.AxisDecl():
                    lines += [f"axis {flat(self.text[slice(*i.at)])}" for i in item.items if i.size is not None]
                case s.DiagramDecl():
                    lines.append(flat(self.text[slice(*item.at)].partition("{")[0]))
                    lines += self._block(item.body, known, STEP)
                case _:
                    lines.append(flat(self.text[slice(*item.at)]))
        for name in told:
            lines = [re.sub(rf"(\blin {name}\[[^]]*?), ?bias=false\b", r"\1", line) for line in lines]
        own = re.escape(self.name)
        return [re.sub(rf"\b{own}_(\w+)\b", r"layer_\1", re.sub(rf"\b{own}\b", "layer", line)) for line in lines]

    def _block(self, body: tuple[s.Statement, ...], known: frozenset[str], indent: str) -> list[str]:
        statements = list(opened(body))
        used = _reads(body)
        here = _reads(tuple(st for st in statements if not isinstance(st, s.Scan | s.Repeat)))
        given: dict[str, tuple[str, int]] = {}
        lines: list[str] = []
        for statement in statements:
            match statement:
                case s.Scan() | s.Repeat():
                    lines.append(indent + flat(self.text[slice(*statement.at)].partition("{")[0]))
                    lines += self._block(statement.body, known, indent + STEP)
                case s.Assign(names=(name,)) if name.text not in known and used[name.text] == here[name.text] == 1:
                    given[name.text] = self._filled(statement.value, given), _level(statement.value)
                case _:
                    lines += self._line(statement, given, indent)
        return lines

    def _line(self, statement: s.Statement, given: dict[str, tuple[str, int]], indent: str) -> list[str]:
        """The statement with what it alone reads put into it, as far as the line holds it."""
        before: list[str] = []
        line = indent + self._filled(statement, given)
        while len(line) > WIDTH and (inner := [n for n in _reads(statement) if n in given]):
            name = max(inner, key=lambda n: len(given[n][0]))
            before.append(f"{indent}{name} = {given.pop(name)[0]}")
            line = indent + self._filled(statement, given)
        return [*before, line]

    def _filled(self, node: s.Node, given: dict[str, tuple[str, int]]) -> str:
        """The text of a node, given names replaced by what they stand for."""
        start, end = node.at
        text = self.text[start:end]
        for ref, least in sorted(_wires(node), key=lambda found: -found[0].at[0]):
            if ref.name.text in given:
                inner, level = given[ref.name.text]
                a, b = ref.at
                text = text[: a - start] + (inner if level >= least else f"({inner})") + text[b - start :]
        return flat(text)


def flat(text: str) -> str:
    """In one line, without comments."""
    return re.sub(r"\s+", " ", re.sub(r"#[^\n]*", "", text)).strip()


def opened(body: Iterable[s.Statement]) -> Iterator[s.Statement]:
    """Statements with SIMD boxes dissolved."""
    for statement in body:
        if isinstance(statement, s.Simd):
            yield from opened(statement.body)
        else:
            yield statement


def nodes(root: object) -> Iterator[s.Node]:
    """Every node of a tree, in no order."""
    stack: list[object] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            stack.extend(node)
        elif isinstance(node, s.Node):
            yield node
            stack.extend(getattr(node, f.name) for f in dataclasses.fields(node) if f.name != "at")


def _bound(root: object) -> set[str]:
    return {name.text for n in nodes(root) if isinstance(n, s.Assign) for name in n.names}


def _reads(root: object) -> Counter[str]:
    return Counter(n.name.parts[0].text for n in nodes(root) if isinstance(n, s.Ref))


def _level(e: s.Expr) -> int:
    """How tightly an expression binds."""
    match e:
        case s.Binary(op=op):
            return INFIX[op][0] if op in INFIX else COMPARE
        case s.Unary(op=op):
            return UNARY if op == "-" else NOT
        case _:
            return ATOM


def _wires(root: s.Node) -> Iterator[tuple[s.Ref, int]]:
    """Every wire that is read, and how tightly what stands in its place must bind."""
    least: dict[int, int] = {}
    for node in nodes(root):
        match node:
            case s.Binary(op=op, left=left, right=right):
                _, least[id(left)], least[id(right)] = INFIX.get(op, (COMPARE, SUM, SUM))
            case s.Unary(operand=operand):
                least[id(operand)] = _level(node)
            case s.Rename(operand=operand):
                least[id(operand)] = ATOM
            case _:
                pass
    yield from ((node, least.get(id(node), 0)) for node in nodes(root) if isinstance(node, s.Ref))
