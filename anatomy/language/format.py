"""The one way a text is laid out: the same words and signs, two spaces for each block, comments where they were.

Works on the tokens, so it keeps every bracket that was written; the syntax tree says where statements begin and which
minus is a sign. Blank lines are kept, at most one; a block of one statement stays on one line where it was on one and fits.
Non-goals: changing a word, sorting, aligning.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from anatomy.errors import Source
from anatomy.language import syntax as s
from anatomy.language.build import shift
from anatomy.language.lalr import Token
from anatomy.language.parse import parse

WIDTH = 100
STEP = "  "


def format_text(source: Source) -> str:
    """The text in its canonical layout; formatting it again changes nothing.

    >>> format_text(Source("a.anat", "axis n\\ndiagram d( x:[n] )->[n]{out   -x+1} # done"))
    'axis n\\ndiagram d(x: [n]) -> [n] { out -x + 1 }  # done\\n'

    Raises AnatomyError where the text cannot be parsed.
    """
    tokens: list[Token] = []

    def keep(token: Token) -> Any:
        tokens.append(token)
        return shift(token)

    file = parse(source, keep)
    return _Printer(source.text, tokens, file).run()


class _Printer:
    """Lines made so far, the line in the making, and how far the text has been read."""

    def __init__(self, text: str, tokens: list[Token], file: s.File):
        self.text, self.tokens, self.file = text, tokens, file
        self.comments = list(reversed(file.comments))
        self.index = {token.at[0]: k for k, token in enumerate(tokens)}
        self.end = {token.at[1]: k for k, token in enumerate(tokens)}
        self.opener: dict[int, int] = {}
        stack: list[int] = []
        for k, token in enumerate(tokens):
            if token.text in ("(", "[", "{"):
                stack.append(k)
            elif token.text in (")", "]", "}"):
                self.opener[k] = stack.pop()
        self.tight: set[int] = set()
        """Tokens before which no space stands: the operand of a sign, the `=` of an option and what follows it."""
        self.apart: set[int] = set()
        """Opening brackets with a space before them, though a name precedes."""
        self.lines: list[str] = []
        self.line = ""
        self.indent = 0
        self.last = 0
        self.fresh = True
        for item in file.items:
            self._look(item)

    def run(self) -> str:
        self._block(self.file.items, len(self.text) + 1)
        return "\n".join(self.lines) + "\n" if self.lines else ""

    # what the tree knows ----------------------------------------------------------------------

    def _look(self, root: s.Node) -> None:
        stack: list[object] = [root]
        while stack:
            node = stack.pop()
            match node:
                case s.Unary(op="-") | s.SizeInt():
                    k = self.index[node.at[0]]
                    while self.tokens[k].text == "(":
                        k += 1
                    if self.tokens[k].text == "-":
                        self.tight.add(k + 1)
                case s.Option():
                    k = self.index[node.name.at[0]]
                    self.tight.update((k + 1, k + 2))
                case s.Lin(init=s.Init() as init) | s.Table(init=s.Init() as init):
                    k = self.index[init.name.at[0]] + 1
                    if init.args is not None:
                        k = next(j for j, opener in self.opener.items() if opener == k) + 1
                    self.apart.add(k)
                case s.Scan():
                    self.apart.add(self.index[node.axis.at[0]] + 1)
                case s.Repeat(count=s.Name() as count):
                    self.apart.add(self.index[count.at[0]] + 1)
                case s.Edge():
                    k = self.index[node.at[0]]
                    self.tight.update((k + 1, k + 2))
                case s.Use() if node.names:
                    self.apart.add(self.index[node.names[0].at[0]] - 1)
                case _:
                    pass
            if isinstance(node, tuple):
                stack.extend(node)
            elif isinstance(node, s.Node):
                stack.extend(getattr(node, f.name) for f in dataclasses.fields(node) if f.name != "at")

    def gap(self, k: int) -> str:
        """The space before token `k`."""
        left, right = self.tokens[k - 1], self.tokens[k]
        if k in self.tight or right.text in (",", ";", ")", "]", ":", ".", "@") or left.text in ("(", "[", ".", "@"):
            return ""
        if right.text in ("(", "[") and k not in self.apart and (left.type == "NAME" or left.text in (")", "]")):
            return ""
        return " "

    # statements -------------------------------------------------------------------------------

    def _block(self, statements: Sequence[s.Node], stop: int) -> None:
        for statement in statements:
            start, end = statement.at
            self._comments(start)
            self._flush()
            self._blank(start)
            self._statement(statement, self.index[start], self.end[end])
            self.last, self.fresh = end, False
        self._comments(stop)
        self._flush()

    def _statement(self, statement: s.Node, first: int, last: int) -> None:
        if isinstance(statement, s.RuleDecl) and self._length(first, last) > WIDTH and not self._commented(first, last):
            return self._rule(statement, first, last)
        if isinstance(statement, s.Step) and statement.reason is not None:
            reason = statement.reason
            written = [*(f.filler for f in (*reason.fills, *reason.back)), reason.inverse]
            return self._parted([(w, w.body) for w in written if isinstance(w, s.Written)], first, last)
        if isinstance(statement, s.Choose):
            return self._parted([(o, o.items) for o in statement.domain.offers.options], first, last)
        inner = _inner(statement)
        if inner is None or (not inner and not self._commented(self.opener[last], last)):
            return self._words(first, last)
        opener = self.opener[last]
        if self._fits(statement, first, last):
            return self._words(first, last)
        self._words(first, opener)
        self.indent, self.fresh = self.indent + 1, True
        self._block(inner, self.tokens[last].at[0])
        self.indent -= 1
        self.line = STEP * self.indent + "}"

    def _parted(self, parts: Sequence[tuple[s.Node, Sequence[s.Node]]], first: int, last: int) -> None:
        """A step of a derivation, or a choice: what stands in inner braces is a block where it was on several lines, or is too long for one."""
        start, long = first, self._length(first, last) > WIDTH
        for part, inner in parts:
            if not inner:
                continue
            closer = self.end[part.at[1]]
            opener = self.opener[closer]
            broken = "\n" in self.text[self.tokens[opener].at[0] : self.tokens[closer].at[0]]
            if not broken and not (long and isinstance(part, s.Offer)):
                continue
            self._words(start, opener, start > first)
            self.indent, self.fresh = self.indent + 1, True
            self._block(inner, self.tokens[closer].at[0])
            self.indent -= 1
            self.line = STEP * self.indent + "}"
            self.last, start = self.tokens[closer].at[1], closer + 1
        if start <= last:
            self._words(start, last, start > first)

    def _rule(self, rule: s.RuleDecl, first: int, last: int) -> None:
        """A long rule: its parameters, and below them both sides on one line or on one each."""
        colon = max(k for k in range(first, self.index[rule.left.at[0]]) if self.tokens[k].text == ":")
        relation = max(k for k in range(first, self.index[rule.right.at[0]]) if self.tokens[k].text == rule.relation)
        self._words(first, colon)
        self._flush()
        indent, self.indent = self.indent, self.indent + 1
        if self._length(colon + 1, last) > WIDTH:
            self._words(colon + 1, relation)
            self._flush()
            self.indent += 1
            colon = relation
        self._words(colon + 1, last)
        self.indent = indent

    def _length(self, first: int, last: int) -> int:
        return len(STEP) * self.indent + sum(len(self.gap(k)) + len(self.tokens[k].text) for k in range(first, last + 1))

    def _commented(self, first: int, last: int) -> bool:
        start, end = self.tokens[first].at[0], self.tokens[last].at[1]
        return any(start <= c.at[0] < end for c in self.comments)

    def _fits(self, statement: s.Node, first: int, last: int) -> bool:
        """One statement in another, without comments, its block on one line before and after."""
        if "\n" in self.text[self.tokens[self.opener[last]].at[0] : self.tokens[last].at[1]] or self._commented(first, last):
            return False
        inner = _inner(statement)
        while inner is not None:
            if len(inner) != 1:
                return False
            inner = _inner(inner[0])
        return self._length(first, last) <= WIDTH

    # lines ------------------------------------------------------------------------------------

    def _words(self, first: int, last: int, further: bool = False) -> None:
        """Tokens with their spaces; a line that grows too long, or meets a comment, goes on below. `further` goes on in the line that there is."""
        if not further:
            self.line = STEP * self.indent
        for run in self._runs(first, last):
            word = "".join(self.tokens[k].text for k in run)
            self._inside(self.tokens[run[0]].at[0])
            gap = " " if self.line.strip() and (run[0] > first or not further or self.gap(first)) else ""
            if gap and len(self.line) + 1 + len(word) > WIDTH:
                self._flush()
                gap, self.line = "", STEP * (self.indent + 2)
            self.line += gap + word
        self.last = self.tokens[last].at[1]

    def _runs(self, first: int, last: int) -> Iterator[range]:
        """Stretches of tokens without a space or a comment in them."""
        start = first
        for k in range(first + 1, last + 1):
            if self.gap(k) or "#" in self.text[self.tokens[k - 1].at[1] : self.tokens[k].at[0]]:
                yield range(start, k)
                start = k
        yield range(start, last + 1)

    def _inside(self, stop: int) -> None:
        """Comments in the middle of a statement: at the end of the line so far, or on lines of their own."""
        while self.comments and self.comments[-1].at[0] < stop:
            comment = self.comments.pop()
            if self.line.strip():
                self.line += "  " + comment.text
            else:
                self.line = STEP * (self.indent + 2) + comment.text
            self._flush()
            self.line = STEP * (self.indent + 2)

    def _comments(self, stop: int) -> None:
        """Comments between statements: behind the last one where they were on its line, else on lines of their own."""
        while self.comments and self.comments[-1].at[0] < stop:
            comment = self.comments.pop()
            if self.line.strip() and "\n" not in self.text[self.last : comment.at[0]]:
                self.line += "  " + comment.text
            else:
                self._flush()
                self._blank(comment.at[0])
                self.line = STEP * self.indent + comment.text
            self._flush()
            self.last, self.fresh = comment.at[1], False

    def _blank(self, start: int) -> None:
        if self.lines and not self.fresh and self.text.count("\n", self.last, start) > 1:
            self.lines.append("")

    def _flush(self) -> None:
        if self.line.strip():
            self.lines.append(self.line.rstrip())
        self.line = ""


def _inner(statement: s.Node) -> tuple[s.Node, ...] | None:
    """The statements of a block."""
    match statement:
        case s.DeriveDecl(body=inner) | s.DiagramDecl(body=inner) | s.Simd(body=inner) | s.Repeat(body=inner) | s.Scan(body=inner) | s.SpaceDecl(items=inner):
            return inner
        case _:
            return None
