"""What each rule of the grammar makes of its children: the nodes of the syntax tree."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

from anatomy.language import syntax as s
from anatomy.language.lalr import Token

MAX_DIGITS = 400

MEANT = frozenset({"INT", "NUMBER", "STRING", "COMPARE", "SIMILAR", "FROZEN", "TIED", "OPEN", "FORM", "PAIRS"})
"""Tokens that carry meaning; the rest are punctuation and keywords, kept for their places only."""

Children = list[Any]


def _at(children: Children) -> s.At:
    """From the start of the first child to the end of the last."""
    return (children[0].at[0], children[-1].at[1]) if children else (0, 0)


def _rule(build: Callable[..., Any]) -> Callable[[Children], Any]:
    """A rule of the grammar: `build(at, *children that carry meaning)`."""

    def method(children: Children) -> Any:
        return build(_at(children), *[c for c in children if type(c) is not Token or c.type in MEANT])

    return method


def _of(kind: type | tuple[type, ...], children: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(c for c in children if isinstance(c, kind))


def _one(kind: type, children: tuple[Any, ...]) -> Any:
    return next((c for c in children if isinstance(c, kind)), None)


class _Group(tuple):  # type: ignore[type-arg]
    """Children gathered under one rule, with their place."""

    at: s.At
    word: str = ""

    @staticmethod
    def of(at: s.At, *children: Any, word: str = "") -> _Group:
        group = _Group(children)
        group.at, group.word = at, word
        return group


def _named(word: s.Name | Token) -> s.Name:
    """A keyword where a name may stand: the option `frozen=true`."""
    return s.Name(word.at, word.text) if isinstance(word, Token) else word


def _binary(op: str) -> Callable[[Children], Any]:
    return _rule(lambda at, a, b: s.Binary(at, op, a, b))


def _bracket(children: Children) -> s.Bracket:
    inner = children[1:-1]
    entries = tuple(c for c in inner if not isinstance(c, Token))
    marks = tuple(c.text for c in inner if isinstance(c, Token))
    return s.Bracket(_at(children), entries, marks, bool(inner) and isinstance(inner[0], Token))


def _learner(made: type[s.Lin] | type[s.Table], at: s.At, name: s.Name, *c: Any) -> s.Lin | s.Table:
    bracket, groups, inits = _one(s.Bracket, c), _of(_Group, c), _of(s.Name, c)
    for option in (o for group in groups for o in group if isinstance(o, s.Option)):
        raise Refusal("E209", "an option of a learner stands in its square brackets", option.at)
    init = s.Init(inits[0].at, inits[0], groups[0] if len(groups) == 2 else None) if inits else None
    return made(at, name, bracket, init, groups[-1])


def _diagram(at: s.At, name: s.Name, signature: s.Signature, *c: Any, made: type[s.DiagramDecl] = s.DiagramDecl) -> s.DiagramDecl:
    *where, body = c
    return made(at, name, signature, tuple(where[0]) if where else (), tuple(body))


def _repeat(at: s.At, *c: Any) -> s.Repeat:
    tied = isinstance(c[0], Token) and c[0].type == "TIED"
    count = c[1] if tied else c[0]
    return s.Repeat(at, tied, count if isinstance(count, s.Name) else whole(count), _of(s.Turn, c), tuple(c[-1]))


def _step(at: s.At, sign: Token, to: s.QName | Token, reason: s.Reason | None = None) -> s.Step:
    return s.Step(at, sign.text, to if isinstance(to, s.QName) else None, to.text, reason)


def _reason(word: str, at: s.At, *c: Any) -> s.Reason:
    groups = {g.word: tuple(g) for g in _of(_Group, c)}
    fields = {name: groups.get(name, ()) for name in ("fills", "back", "invariant")}
    (inverse,) = groups.get("inverse", (None,))
    return s.Reason(at, word, names=_of(s.QName, c), sizes=_of(s.Equation, c), law=_one(s.Name, c), inverse=inverse, **fields)


def _written(at: s.At, *c: Any) -> s.Written:
    return s.Written(at, _one(s.Signature, c), tuple(c[1]) if len(c) == 3 else (), tuple(c[-1]))


def _type(at: s.At, *c: Any) -> s.Type:
    kind = _one(_Group, c)
    word, of = kind if kind is not None else (None, None)
    return s.Type(at, word, of, _of(s.Name, c))


def _grouped(children: Children) -> Any:
    """What stands in round brackets; its place takes them in."""
    inner = children[1]
    inner.at = _at(children)
    return inner


def _call(at: s.At, name: s.QName, *c: Any) -> s.Call:
    args = tuple(a for a in c[-1] if not isinstance(a, s.Option))
    return s.Call(at, name, _one(s.Name, c), _one(s.Bracket, c), args, _of(s.Option, c[-1]))


def _unsigned(number: s.Number | s.Unary) -> s.Number:
    while isinstance(number, s.Unary):
        number = number.operand  # type: ignore[assignment]
    return number


def _offer(children: Children) -> s.Offer:
    return s.Offer(_at(children), children[0], tuple(c for c in children[1:] if type(c) is not Token), len(children) > 1)


def _offered(offered: s.QName | s.Offers) -> s.Offers:
    """A name may stand for the braces around it."""
    return s.Offers(offered.at, (s.Offer(offered.at, offered, (), False),)) if isinstance(offered, s.QName) else offered


def _domain(at: s.At, form: Token, *c: Any) -> s.DomainText:
    groups = {g.word: g for g in _of(_Group, c)}
    least, most, ranged = groups.get("reach", (None, None, False))
    (join,), (edges,) = groups.get("joined", (None,)), groups.get("along", (None,))
    return s.DomainText(at, form.text, _offered(next(x for x in c if not isinstance(x, _Group))), least, most, ranged, join, edges)


def _view(at: s.At, name: s.Name, *c: Any) -> s.SpaceView:
    pairs = isinstance(c[0], Token)
    source, *views = c[1:] if pairs else c
    united = isinstance(source, _Group)
    return s.SpaceView(at, name, pairs, tuple(source) if united else (source,), united, tuple(views))


class Refusal(Exception):
    """A token that the grammar allows and the language does not."""

    def __init__(self, code: str, message: str, at: s.At, help: str = ""):
        super().__init__(message)
        self.code, self.message, self.at, self.help = code, message, at, help


def shift(token: Token) -> Any:
    """What stands for a token on the stack."""
    return s.Name(token.at, token.text) if token.type == "NAME" else token


def number(token: Token) -> s.Number:
    """A literal, kept as written; refused where its exact value is out of reach of any float."""
    text = token.text
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > MAX_DIGITS or len(exponent) > 5 or abs(int(exponent or 0)) > MAX_DIGITS:
        raise Refusal("E107", "a number far outside what a computation can hold", token.at, "floats reach from about 1e-308 to 1e308")
    value = Fraction(text)
    if value and (abs(value) > Fraction(10) ** 308 or abs(value) < Fraction(1, 10**308)):
        raise Refusal("E107", f"`{text}` is outside what a float can hold", token.at, "floats reach from about 1e-308 to 1e308")
    return s.Number(token.at, text)


def whole(token: Token) -> int:
    if len(token.text) > MAX_DIGITS:
        raise Refusal("E107", "a number far outside what a computation can hold", token.at, "sizes are from 1 to 2^40")
    return int(token.text)


RULES: dict[str, Callable[[Children], Any]] = {
    "start": lambda children: children,
    "atom": _grouped,
    "size_atom": _grouped,
    "body": lambda children: _Group.of(_at(children), *children),
    "args": lambda children: _Group.of(_at(children), *(c for c in children if type(c) is not Token)),
    "lang": _rule(lambda at, version: s.Lang(at, whole(version))),
    "axis_decl": _rule(lambda at, *c: s.AxisDecl(at, c)),
    "axis_item": _rule(lambda at, name, size=None: s.AxisItem(at, name, size)),
    "use_names": _rule(lambda at, module, *names: s.Use(at, module, names, None, module.at)),
    "use_file": _rule(lambda at, path, alias: s.Use(at, path.text[1:-1], (), alias, path.at)),
    "diagram": _rule(_diagram),
    "signature": _rule(lambda at, *c: s.Signature(at, _of(s.Param, c), _of(s.Type, c))),
    "param": _rule(lambda at, name, type: s.Param(at, name, type)),
    "result": _rule(lambda at, type: type),
    "type": _rule(_type),
    "type_kind": _rule(lambda at, kind, of=None: _Group.of(at, kind, of)),
    "where": _rule(_Group.of),
    "equation": _rule(s.Equation),
    "size_int": _rule(lambda at, value: s.SizeInt(at, whole(value))),
    "size_neg": _rule(lambda at, value: s.SizeInt(at, -whole(value))),
    "size_name": _rule(lambda at, name: s.SizeName(at, name)),
    "size_add": _rule(lambda at, a, b: s.SizeOp(at, "+", a, b)),
    "size_sub": _rule(lambda at, a, b: s.SizeOp(at, "-", a, b)),
    "size_mul": _rule(lambda at, a, b: s.SizeOp(at, "*", a, b)),

    "assign": _rule(lambda at, *c: s.Assign(at, c[:-1], c[-1])),
    "weight": _rule(
        lambda at, *c: s.WeightDecl(at, isinstance(c[0], Token), _one(s.Name, c), _one(s.Bracket, c), _one(s.Init, c))
    ),
    "simd": _rule(lambda at, *c: s.Simd(at, c[:-1], tuple(c[-1]))),
    "hole": _rule(s.HoleDecl),
    "part": _rule(lambda at, *c: _diagram(at, *c, made=s.PartDecl)),
    "tie": _rule(lambda at, *c: s.Tie(at, c)),
    "out": _rule(lambda at, *c: s.Out(at, c)),
    "init": _rule(lambda at, name, *c: s.Init(at, name, c or None)),
    "number": _rule(lambda at, text: number(text)),
    "minus": _rule(lambda at, text: s.Unary(at, "-", number(text))),
    "literal": _rule(lambda at, text: number(text)),

    "noise": _rule(lambda at, *c: s.NoiseDecl(at, _one(s.Name, c), _one(s.Bracket, c), _one(s.Init, c))),
    "next": _rule(s.Next),
    "scan": _rule(lambda at, axis, *c: s.Scan(at, axis, c[:-1], tuple(c[-1]))),
    "carry": _rule(s.Carry),
    "repeat": _rule(_repeat),
    "derive": _rule(lambda at, name, left, sign, right, start, *c: s.DeriveDecl(at, name, left, sign.text, right, (start, *c))),
    "step": _rule(_step),
    **{f"by_{word}": _rule(partial(_reason, word)) for word in ("rules", "fill", "sizes", "tie", "universal")},
    **{word: _rule(partial(_Group.of, word=word)) for word in ("fills", "back", "invariant", "inverse")},
    "fill": _rule(s.Fill),
    "written": _rule(_written),
    "turn": _rule(s.Turn),

    "either": _binary("or"),
    "both": _binary("and"),
    "add": _binary("+"),
    "sub": _binary("-"),
    "mul": _binary("*"),
    "div": _binary("/"),
    "pow": _binary("^"),
    "negate": _rule(lambda at, x: s.Unary(at, "not", x)),
    "neg": _rule(lambda at, x: s.Unary(at, "-", x)),
    "compare": _rule(lambda at, a, sign, b: s.Binary(at, sign.text, a, b)),
    "qname": _rule(lambda at, *parts: s.QName(at, parts)),
    "name": _rule(s.Ref),
    "rename": _rule(lambda at, x, b: s.Rename(at, s.Ref(x.at, x) if isinstance(x, s.QName) else x, b)),

    "call": _rule(_call),
    **dict.fromkeys(("lin", "lin_init", "lin_init_args"), _rule(partial(_learner, s.Lin))),
    **dict.fromkeys(("table", "table_init", "table_init_args"), _rule(partial(_learner, s.Table))),
    "option": _rule(lambda at, name, value: s.Option(at, _named(name), value)),
    "bracket": _bracket,

    "rule": _rule(
        lambda at, name, *c: s.RuleDecl(at, name, _of((s.Param, s.Variable), c), tuple(_one(_Group, c) or ()), c[-3], c[-2].text, c[-1])
    ),
    "variable": _rule(s.Variable),
    "conditions": _rule(_Group.of),
    "equals": _rule(lambda at, left, right: s.Condition(at, left, "=", right)),
    "holds": _rule(lambda at, left, sign=None, right=None: s.Condition(at, left, sign.text if sign else "", right)),
    "names": _rule(_Group.of),
    "chosen": _rule(lambda at, name, *c: s.Chosen(at, name.text, _of(s.Chosen, c), _of(s.Edge, c))),
    "chosen_number": _rule(lambda at, number: s.Chosen(at, ("-" if isinstance(number, s.Unary) else "") + _unsigned(number).text)),
    "edge": _rule(lambda at, a, sign, b: s.Edge(at, whole(a), sign.text, whole(b))),
    "guard_flag": _rule(lambda at, name: s.GuardTest(at, name, "", ())),
    "guard_test": _rule(lambda at, name, sign, value: s.GuardTest(at, name, sign.text, (value,))),
    "guard_in": _rule(lambda at, name, *values: s.GuardTest(at, name, "in", values)),
    "guard_not": _rule(s.GuardNot),
    "guard_both": _rule(lambda at, a, b: s.GuardOp(at, "and", a, b)),
    "guard_either": _rule(lambda at, a, b: s.GuardOp(at, "or", a, b)),
    "guard_group": _grouped,
    "otherwise": _rule(lambda at, guard, value=None: s.When(at, guard, value)),
    "offer": _offer,
    "offers": _rule(lambda at, *options: s.Offers(at, options)),
    "domain": _rule(lambda at, offered: s.DomainText(at, "one", _offered(offered))),
    "domain_form": _rule(_domain),
    "reach": _rule(lambda at, a, b=None: _Group.of(at, whole(a), whole(b or a), b is not None, word="reach")),
    "joined": _rule(partial(_Group.of, word="joined")),
    "along": _rule(lambda at, a: _Group.of(at, whole(a), word="along")),
    "choose": _rule(lambda at, names, domain, when=None: s.Choose(at, tuple(names), domain, when)),
    "flag": _rule(lambda at, name, when=None: s.ChooseFlag(at, name, when)),
    "axis_sizes": _rule(
        lambda at, name, *c: s.AxisSizes(at, name, tuple(x for x in c if not isinstance(x, s.When)), _one(s.When, c))
    ),
    "optional": _rule(lambda at, names: s.Optional(at, tuple(names))),
    "share": _rule(lambda at, names: s.Share(at, tuple(names), False)),
    "alike": _rule(lambda at, names: s.Share(at, tuple(names), True)),
    "exclude": _rule(s.Except),
    "require": _rule(lambda at, what, sign=None, value=None: s.Require(at, what, sign.text if sign else "", value)),
    "require_not": _rule(lambda at, what: s.Require(at, what, "", None, True)),
    "weighing": _rule(_Group.of),
    "prefer": _rule(lambda at, name, *weights: s.Prefer(at, name, tuple(map(tuple, weights)))),
    "take": _rule(lambda at, *c: s.Take(at, tuple(c[0]) if len(c) == 2 else (), c[-1])),
    "pick": _rule(s.Pick),
    "picks": _rule(_Group.of),
    "within": _rule(lambda at, k, centre=None: s.Near(at, whole(k), tuple(centre) if isinstance(centre, _Group) else centre)),
    "view_where": _rule(lambda at, guard: guard),
    "united": _rule(_Group.of),
    "member": _rule(lambda at, name, of, picks: s.MemberDecl(at, name, of, tuple(picks))),
    "space_view": _rule(_view),
    "family_of": _rule(lambda at, name, of, *c: s.SpaceDecl(at, name, "family", of, c)),
    "family_set": _rule(lambda at, name, *c: s.FamilyDecl(at, name, c)),
    "space": _rule(lambda at, name, of, *c: s.SpaceDecl(at, name, "space", of, c)),
}
