"""Text to syntax tree: guards against hostile text, Lark's LALR parser, and errors that help."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from anatomy.errors import AnatomyError, Diagnostic, Label, Source, Span, fail
from anatomy.language import syntax as s

MAX_BYTES = 4_000_000
MAX_LINE = 20_000
MAX_DEPTH = 200
MAX_TOKENS = 400_000


def grammar_text() -> str:
    """The grammar, from the installed package or from the checkout."""
    here = Path(__file__).resolve().parent.parent
    for place in (here / "grammar" / "anat.lark", here.parent / "grammar" / "anat.lark"):
        if place.is_file():
            return place.read_text("utf-8")
    raise FileNotFoundError("grammar/anat.lark is missing: reinstall attention-anatomy")


MEANT = frozenset({"INT", "NUMBER", "STRING", "COMPARE", "SIMILAR", "FROZEN", "TIED", "LATER", "DERIVE"})
"""Tokens that carry meaning; the rest are punctuation and keywords, kept by Lark for their places only."""

Children = list[Any]


def _at(children: Children) -> s.At:
    """From the start of the first child to the end of the last."""
    if not children:
        return (0, 0)
    first, last = children[0], children[-1]
    start = first.start_pos if isinstance(first, Token) else first.at[0]
    end = last.end_pos if isinstance(last, Token) else last.at[1]
    return (start or 0, end or 0)


def _rule(build: Callable[..., Any]) -> Callable[[Any, Children], Any]:
    """A rule of the grammar: `build(at, *children that carry meaning)`."""

    def method(self: Any, children: Children) -> Any:
        return build(_at(children), *[c for c in children if not isinstance(c, Token) or c.type in MEANT])

    return method


def _of(kind: type, children: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(c for c in children if isinstance(c, kind))


def _one(kind: type, children: tuple[Any, ...]) -> Any:
    return next((c for c in children if isinstance(c, kind)), None)


class _Group(tuple):  # type: ignore[type-arg]
    """Children gathered under one rule, with their place."""

    at: s.At

    @staticmethod
    def of(at: s.At, *children: Any) -> _Group:
        group = _Group(children)
        group.at = at
        return group


def _binary(op: str) -> Callable[[Any, Children], Any]:
    return _rule(lambda at, a, b: s.Binary(at, op, a, b))


def _refused(word: str) -> Callable[[Any, Children], Any]:
    return _rule(lambda at, *c: s.Later(at, word, ""))


def _bracket(self: Any, children: Children) -> s.Bracket:
    inner = children[1:-1]
    entries = tuple(c for c in inner if not isinstance(c, Token))
    marks = tuple(str(c) for c in inner if isinstance(c, Token))
    return s.Bracket(_at(children), entries, marks, bool(inner) and isinstance(inner[0], Token))


def _lin(at: s.At, name: s.Name, *c: Any) -> s.Lin:
    bracket, groups, inits = _one(s.Bracket, c), _of(_Group, c), _of(s.Name, c)
    init = s.Init(inits[0].at, inits[0], groups[0] if len(groups) == 2 else None) if inits else None
    return s.Lin(at, name, bracket, init, groups[-1])


class _Build(Transformer):  # type: ignore[type-arg]
    """Each rule of the grammar to its node."""

    def NAME(self, token: Token) -> s.Name:  # noqa: N802
        start = token.start_pos or 0
        return s.Name((start, start + len(token)), str(token))

    def start(self, children: Children) -> Children:
        return children

    def atom(self, children: Children) -> Any:
        return children[1]

    size_atom = atom

    lang = _rule(lambda at, version: s.Lang(at, int(version)))
    axis_decl = _rule(lambda at, *c: s.AxisDecl(at, c))
    axis_item = _rule(lambda at, name, size=None: s.AxisItem(at, name, size))
    use_names = _rule(lambda at, module, *names: s.Use(at, module, names, None, module.at))
    use_file = _rule(
        lambda at, path, alias: s.Use(at, str(path)[1:-1], (), alias, (path.start_pos, path.end_pos))
    )
    diagram = _rule(
        lambda at, name, signature, *c: s.DiagramDecl(at, name, signature, tuple(c[0]) if len(c) > 1 else (), tuple(c[-1]))
    )
    signature = _rule(lambda at, *c: s.Signature(at, _of(s.Param, c), _of(s.Type, c)))
    param = _rule(lambda at, name, type: s.Param(at, name, type))
    result = _rule(lambda at, type: type)
    type = _rule(
        lambda at, *c: s.Type(at, *(c[0] if c and isinstance(c[0], _Group) else (None, None)), _of(s.Name, c))
    )
    type_kind = _rule(lambda at, kind, of=None: _Group.of(at, kind, of))
    where = _rule(_Group.of)
    equation = _rule(s.Equation)
    size_int = _rule(lambda at, value: s.SizeInt(at, int(value)))
    size_neg = _rule(lambda at, value: s.SizeInt(at, -int(value)))
    size_name = _rule(s.SizeName)
    size_add = _rule(lambda at, a, b: s.SizeOp(at, "+", a, b))
    size_sub = _rule(lambda at, a, b: s.SizeOp(at, "-", a, b))
    size_mul = _rule(lambda at, a, b: s.SizeOp(at, "*", a, b))

    def body(self, children: Children) -> _Group:
        return _Group.of(_at(children), *children)

    assign = _rule(lambda at, *c: s.Assign(at, c[:-1], c[-1]))
    weight = _rule(
        lambda at, *c: s.WeightDecl(at, isinstance(c[0], Token), _one(s.Name, c), _one(s.Bracket, c), _one(s.Init, c))
    )
    simd = _rule(lambda at, *c: s.Simd(at, c[:-1], tuple(c[-1])))
    hole = _rule(s.HoleDecl)
    tie = _rule(lambda at, *c: s.Tie(at, c))
    out = _rule(lambda at, *c: s.Out(at, c))
    init = _rule(lambda at, name, *c: s.Init(at, name, c or None))
    number = _rule(lambda at, text: s.Number(at, str(text)))
    minus = _rule(lambda at, text: s.Unary(at, "-", s.Number(at, str(text))))
    literal = number

    noise, part, next = _refused("noise"), _refused("part"), _refused("next")
    scan, repeat, derive = _refused("scan"), _refused("repeat"), _refused("derive")
    carry = turn = _rule(_Group.of)
    later = _rule(lambda at, text: s.Later(at, str(text).split()[0], str(text)))

    either, both = _binary("or"), _binary("and")
    add, sub, mul, div, pow = _binary("+"), _binary("-"), _binary("*"), _binary("/"), _binary("^")
    negate = _rule(lambda at, x: s.Unary(at, "not", x))
    neg = _rule(lambda at, x: s.Unary(at, "-", x))
    compare = _rule(lambda at, a, sign, b: s.Binary(at, str(sign), a, b))
    qname = _rule(lambda at, *parts: s.QName(at, parts))
    name = _rule(s.Ref)
    rename = _rule(lambda at, x, b: s.Rename(at, s.Ref(x.at, x) if isinstance(x, s.QName) else x, b))

    def args(self, children: Children) -> _Group:
        return _Group.of(_at(children), *(c for c in children if not isinstance(c, Token)))

    call = _rule(lambda at, name, *c: s.Call(at, name, _one(s.Name, c), _one(s.Bracket, c), tuple(c[-1])))
    lin = lin_init = lin_init_args = _rule(_lin)
    table = _rule(s.Table)
    option = _rule(s.Option)
    bracket = _bracket

    rule = _rule(
        lambda at, name, *c: s.RuleDecl(at, name, _of(s.Param, c), _one(_Group, c) or (), c[-3], str(c[-2]), c[-1])
    )
    choose = _rule(lambda at, hole, *options: s.Choose(at, hole, options, None))
    choose_from = _rule(lambda at, hole, family: s.Choose(at, hole, (), family))
    family_of = _rule(lambda at, name, of, *c: s.SpaceDecl(at, "family", name, of, c))
    family_set = _rule(lambda at, name, *c: s.FamilyDecl(at, name, c))
    space = _rule(lambda at, name, of, *c: s.SpaceDecl(at, "space", name, of, c))


_comments: list[Token] = []


@cache
def _parser() -> Lark:
    return Lark(
        grammar_text(),
        parser="lalr",
        keep_all_tokens=True,
        maybe_placeholders=False,
        transformer=_Build(),
        lexer_callbacks={"COMMENT": _comments.append},  # type: ignore[dict-item]
    )


def parse(source: Source) -> s.File:
    """The syntax tree of a text.

    Raises AnatomyError: E100 to E104 for text that cannot be read, with the place and what would help.
    """
    guard(source)
    _comments.clear()
    try:
        items = _parser().parse(source.text)
    except UnexpectedInput as error:
        raise AnatomyError(_syntax_error(source, error)) from None
    comments = tuple(s.Comment((t.start_pos or 0, t.end_pos or 0), str(t).rstrip()) for t in _comments)
    return s.File((0, len(source.text)), tuple(items), comments)  # type: ignore[arg-type]


def guard(source: Source) -> None:
    """Refuse what no diagram needs, before the parser sees it: cost is linear in the text."""
    text = source.text
    if len(text) > MAX_BYTES:
        raise fail("E103", f"the text has {len(text):,} characters; at most {MAX_BYTES:,} are read", Span(source, 0, 0))
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        if end - start > MAX_LINE:
            raise fail(
                "E103",
                f"a line of {end - start:,} characters; at most {MAX_LINE:,} are read",
                Span(source, start, start + 1),
                label="this line",
            )
        start = end + 1
    stack: list[tuple[str, int]] = []
    for match in re.finditer(r'#[^\n]*|"[^"\n]*"|[\[\](){}]', text):
        token = match[0]
        if token[0] in "#\"":
            continue
        if token in "[({":
            stack.append((token, match.start()))
            if len(stack) > MAX_DEPTH:
                raise fail(
                    "E104",
                    f"brackets are nested more than {MAX_DEPTH} deep",
                    Span(source, match.start(), match.end()),
                    label="too deep here",
                )
        else:
            opener = {"]": "[", ")": "(", "}": "{"}[token]
            here = Span(source, match.start(), match.end())
            if not stack:
                raise fail("E102", f"`{token}` closes nothing", here)
            if stack[-1][0] != opener:
                start_of = stack[-1][1]
                raise AnatomyError(
                    Diagnostic(
                        "E102",
                        f"`{token}` does not close `{stack[-1][0]}`",
                        here,
                        secondary=(Label(Span(source, start_of, start_of + 1), "opened here"),),
                    )
                )
            stack.pop()
    if stack:
        bracket, at = stack[-1]
        raise fail("E102", f"`{bracket}` is never closed", Span(source, at, at + 1), label="opened here")
    # A chain of binary operators builds a left-deep tree; the passes recurse on it.
    if re.search(r"(?:[-+*/^]\s*){%d}" % MAX_DEPTH, text):
        raise fail("E104", f"more than {MAX_DEPTH} operators in a row", Span(source, 0, 0))


WORDS = {
    "LPAR": "`(`", "RPAR": "`)`", "LSQB": "`[`", "RSQB": "`]`", "LBRACE": "`{`", "RBRACE": "`}`",
    "NAME": "a name", "INT": "a number", "NUMBER": "a number", "EQUAL": "`=`", "ARROW": "`->`",
    "COMMA": "`,`", "COLON": "`:`", "$END": "the end of the file", "STRING": "a file name in quotes",
    "COMPARE": "a comparison", "SEMICOLON": "`;`", "__ANON_0": "`->`",
}  # fmt: skip
STARTERS = ("diagram", "axis", "rule", "family", "space", "derive", "use", "lang")
STATEMENTS = ("simd", "out", "weight", "hole", "tie", "lin", "scan", "repeat", "part")


def _syntax_error(source: Source, error: UnexpectedInput) -> Diagnostic:
    at = error.pos_in_stream or 0
    if isinstance(error, UnexpectedCharacters):
        char = source.text[at]
        shown = char if char.isprintable() else f"character U+{ord(char):04X}"
        help = "multiplication is `*`, powers are `^`" if char in "×·" else ""
        return Diagnostic("E101", f"`{shown}` has no meaning here", Span(source, at, at + 1), help=help)
    if isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END"):
        end = len(source.text.rstrip())
        return Diagnostic("E101", "the text ends too early", Span(source, max(end - 1, 0), end), label="after this")
    assert isinstance(error, UnexpectedToken)
    token = str(error.token)
    at = error.token.start_pos or 0
    span = Span(source, at, at + max(len(token), 1))
    expected = sorted({WORDS.get(name, f"`{name.lower()}`") for name in error.accepts or error.expected})
    near = difflib.get_close_matches(token, STARTERS + STATEMENTS, 1, 0.7)
    before = source.text[:at].rstrip()
    previous = re.search(r"[A-Za-z_]+$", before)
    help = f"did you mean `{near[0]}`?" if near and token not in STARTERS + STATEMENTS else ""
    if not help and previous and error.token.type == "NAME":
        close = difflib.get_close_matches(previous[0], STARTERS + STATEMENTS, 1, 0.7)
        if close and previous[0] != close[0]:
            start = at - (len(source.text[:at]) - len(before)) - len(previous[0])
            span = Span(source, start, start + len(previous[0]))
            return Diagnostic("E101", f"`{previous[0]}` is not a word of the language here", span, help=f"did you mean `{close[0]}`?")
    if not help and len(expected) <= 6:
        help = "expected " + " or ".join(expected)
    return Diagnostic("E101", f"`{token}` is not expected here", span, help=help)
