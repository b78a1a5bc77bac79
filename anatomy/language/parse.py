"""Text to syntax tree: guards against hostile text, and syntax errors that help."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any

from anatomy.errors import AnatomyError, Diagnostic, Edit, Label, Source, Span, fail
from anatomy.language import syntax as s
from anatomy.language.build import RULES, Refusal, shift
from anatomy.language.lalr import Token, TooDeep, TooLong, Unexpected, run, tables

MAX_BYTES = 4_000_000
MAX_LINE = 20_000
MAX_DEPTH = 128
"""Brackets in brackets, and nodes on a path of the tree: the passes over it recurse, at most five calls to a node."""
MAX_TOKENS = 150_000


def parse(source: Source, shift: Callable[[Token], Any] = shift) -> s.File:
    """The syntax tree of a text.

    >>> [item.name.text for item in parse(Source("a.anat", "axis n diagram d(x: [n]) -> [n] { out x }")).items[1:]]
    ['d']

    `shift` makes the value of each token, in the order of the text.

    Raises AnatomyError: E101 to E104 and E107 for text that is not in the language, with the place and what would help.
    """
    comments = guard(source)
    try:
        items = run(tables(), source.text, RULES, shift, MAX_DEPTH, MAX_TOKENS)
    except Unexpected as error:
        raise AnatomyError(_syntax_error(source, error)) from None
    except Refusal as refused:
        raise fail(refused.code, str(refused), Span(source, *refused.at), help=refused.help) from None
    except TooDeep as error:
        start, end = error.at
        raise fail(
            "E104", f"this is nested more than {MAX_DEPTH} deep", Span(source, start, end),
            help="give parts of it names: `y = ...`",
        ) from None  # fmt: skip
    except TooLong:
        raise fail(
            "E103", f"the text has more than {MAX_TOKENS:,} words and signs", Span(source, 0, 0),
            help='put parts of it into files of their own: `use "part.anat" as part`',
        ) from None  # fmt: skip
    return s.File((0, len(source.text)), tuple(items), comments)


def guard(source: Source) -> tuple[s.Comment, ...]:
    """Refuse what no diagram needs, before the parser sees it, at a cost linear in the text; the comments on the way."""
    text = source.text
    if len(text) > MAX_BYTES:
        raise fail("E103", f"the text has {len(text):,} characters; at most {MAX_BYTES:,} are read", Span(source, 0, 0))
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        if end - start > MAX_LINE:
            raise fail(
                "E103", f"a line of {end - start:,} characters; at most {MAX_LINE:,} are read", Span(source, start, start + 1),
                label="this line",
            )  # fmt: skip
        start = end + 1
    comments: list[s.Comment] = []
    stack: list[tuple[str, int]] = []
    for match in re.finditer(r'#[^\n]*|"[^"\n]*"|[\[\](){}]', text):
        token = match[0]
        if token[0] == "#":
            comments.append(s.Comment(match.span(), token.rstrip()))
        elif token in "[({":
            stack.append((token, match.start()))
            if len(stack) > MAX_DEPTH:
                here = Span(source, match.start(), match.end())
                raise fail("E104", f"brackets are nested more than {MAX_DEPTH} deep", here, label="too deep here")
        elif token in "])}":
            _close(source, stack, token, match.start())
    if stack:
        bracket, at = stack[-1]
        raise fail("E102", f"`{bracket}` is never closed", Span(source, at, at + 1), label="opened here")
    return tuple(comments)


def _close(source: Source, stack: list[tuple[str, int]], token: str, at: int) -> None:
    here = Span(source, at, at + 1)
    if not stack:
        raise fail("E102", f"`{token}` closes nothing", here, help="there is one bracket too many, or an opening one is missing")
    opener, start = stack.pop()
    if opener != {"]": "[", ")": "(", "}": "{"}[token]:
        raise fail(
            "E102", f"`{token}` does not close `{opener}`", here, secondary=(Label(Span(source, start, start + 1), "opened here"),)
        )


WORDS = {
    "LPAR": "`(`", "RPAR": "`)`", "LSQB": "`[`", "RSQB": "`]`", "LBRACE": "`{`", "RBRACE": "`}`",
    "NAME": "a name", "INT": "a number", "NUMBER": "a number", "EQUAL": "`=`", "ARROW": "`->`",
    "COMMA": "`,`", "COLON": "`:`", "$END": "the end of the file", "STRING": "a file name in quotes",
    "COMPARE": "a comparison", "SEMICOLON": "`;`", "DOT": "`.`", "AT": "`@`", "TILDE": "`~`", "SIMILAR": "`~=`",
}  # fmt: skip
STARTERS = ("diagram", "axis", "rule", "family", "space", "derive", "use", "lang")
STATEMENTS = ("simd", "out", "weight", "hole", "tie", "lin", "scan", "repeat", "part")
SIGNS = {"×": "multiplication is `*`", "·": "multiplication is `*`", "−": "minus is `-`", "→": "an arrow is `->`", "≤": "write `<=`",
         "≥": "write `>=`", "%": "there is no remainder", "&": "write `and`", "|": "write `or`", "!": "write `not`",
         "'": 'a file name stands in double quotes: `"mine.anat"`', '"': "the quote is not closed on its line"}  # fmt: skip


def _syntax_error(source: Source, error: Unexpected) -> Diagnostic:
    token, expected = error.token, error.expected
    start, end = token.at
    span = Span(source, start, end)
    if token.type == "$BAD":
        shown = token.text if token.text.isprintable() else f"character U+{ord(token.text):04X}"
        help = SIGNS.get(token.text, "")
        if not help and token.text.isalpha():
            help = "names are made of the letters a to z and A to Z, digits and `_`"
        return Diagnostic("E101", f"`{shown}` has no meaning here", span, help=help)
    if token.type == "$END":
        last = max((m.end() for m in re.finditer(r"[^\s#]+|#[^\n]*", source.text) if m[0][0] != "#"), default=0)
        return Diagnostic("E101", "the text ends too early", Span(source, max(last - 1, 0), last), label="something is missing after this", help=_wanted(expected))
    words = STARTERS + STATEMENTS
    typos = [(token.text, span)]
    before = re.search(r"([A-Za-z_]+)\s*$", source.text[max(0, start - 80) : start])
    if before and token.type == "NAME":
        place = start - len(before[0])
        typos.append((before[1], Span(source, place, place + len(before[1]))))
    for typo, where in typos:
        near = [] if typo in words else difflib.get_close_matches(typo, words, 1, 0.7)
        if near:
            return Diagnostic(
                "E101", f"`{typo}` is not a word of the language", where, help=f"did you mean `{near[0]}`?", edits=(Edit(where, near[0]),)
            )
    if token.text in tables().words and token.text.isalpha() and "NAME" in expected:
        if token.text == "not":
            return Diagnostic("E101", "`not` is not expected here", span, help="put it in brackets: `(not ...)`")
        if token.text in words:
            help = "something is missing before it; and it is a word of the language, so it cannot be a name"
            return Diagnostic("E101", f"`{token.text}` is not expected here", span, help=help)
        return Diagnostic("E101", f"`{token.text}` is a word of the language and cannot be a name", span, help="take another name")
    shown = token.text if len(token.text) <= 40 else token.text[:40] + "…"
    return Diagnostic("E101", f"`{shown}` is not expected here", span, help=_wanted(expected))


def _wanted(expected: list[str]) -> str:
    names = sorted({WORDS.get(name, f"`{name.lower()}`") for name in expected})
    return f"expected {' or '.join(names)}" if len(names) <= 6 else ""
