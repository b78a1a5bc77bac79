"""Rules: two sides of one type, what they leave open besides wires, and the conditions under which they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING, Literal

from anatomy.errors import Span
from anatomy.ir.graph import MASK, REAL, Diagram, Output
from anatomy.ir.quantity import Quantity
from anatomy.language import syntax as s
from anatomy.language.bindings import Refused
from anatomy.language.body import Body, finish
from anatomy.ops import WORDS

if TYPE_CHECKING:
    from anatomy.language.program import Program

Sign = Literal["<", "<=", "=", "!=", "some", "vanishes"]
KINDS = ("number", "integer", "map")


@dataclass(frozen=True)
class Variable:
    """What a rule leaves open besides wires: a number, a whole number, or a function of one real."""

    name: str
    kind: Literal["number", "integer", "map"]


@dataclass(frozen=True)
class Condition:
    """`left sign right`; with `some`, the wire `left` has a true (or finite) entry in each row along `axes`; with
    `vanishes`, the map `left` gives 0 for 0."""

    sign: Sign
    left: Quantity
    right: Quantity
    text: str
    axes: tuple[str, ...] = ()

    @property
    def wire(self) -> str | None:
        """The parameter that it speaks of."""
        found = (*self.left.names("wire"), *self.right.names("wire"))
        return found[0] if found else None

    def at(self, numbers: Mapping[str, Fraction], sizes: Mapping[str, int] | None = None) -> bool | None:
        """Whether it holds, or None where that is not known."""
        a, b = self.left.at(numbers, sizes), self.right.at(numbers, sizes)
        if a is None or b is None or self.sign in ("some", "vanishes"):
            return None
        return a < b if self.sign == "<" else a <= b if self.sign == "<=" else a == b if self.sign == "=" else a != b


@dataclass(frozen=True)
class Rule:
    """`left == right` (or `~=`, `>=`) for all wires of the declared types and any lifts, and all values of the variables, where the conditions hold."""

    name: str
    relation: str
    left: Diagram
    right: Diagram
    span: Span | None = None
    variables: tuple[Variable, ...] = ()
    conditions: tuple[Condition, ...] = ()


def samples(
    variables: Sequence[Variable], conditions: Sequence[Condition], count: int, sizes: Mapping[str, int] | None = None
) -> list[dict[str, Fraction]]:
    """Values of the numbers of a rule that satisfy its conditions, as far as these are known; the same at every call.

    >>> [v["c"] for v in samples([Variable("c", "number")], [], 3)]
    [Fraction(2, 1), Fraction(1, 2), Fraction(3, 1)]
    """
    names = [v for v in variables if v.kind != "map"]
    plain = [c for c in conditions if c.wire is None and c.sign not in ("some", "vanishes")]
    marks = {leaf.parts[0] for c in plain for side in (c.left, c.right) for leaf in side.leaves if leaf.form == "number"}
    near = [m + k for m in sorted(m for m in marks if isinstance(m, Fraction)) for k in (Fraction(1, 2), 0, 1, Fraction(-1, 2), -1)]
    pools = []
    for v in names:
        pool = [Fraction(t) for t in ("2", "1/2", "3", "0", "-1", "1", "1/3", "3/2", "-2", "5", "1/4", "3/4", "2/3", "-1/2", "7/3", "1/100000", "7", "4")]
        pool = list(dict.fromkeys((*pool, *near)))
        pools.append([p for p in pool if v.kind == "number" or p.denominator == 1])
    rng, found = Random(len(names)), []
    for turn in range(600 if names else 1):
        usual = turn % 2 and len(names) > 1
        values = {v.name: rng.choice([p for p in pool if p not in (0, 1)]) if usual else pool[turn] if turn < len(pool) and k == turn % len(names) else rng.choice(pool) for k, (v, pool) in enumerate(zip(names, pools, strict=True))}
        if len(names) == 1 and turn >= len(pools[0]):
            break
        if values not in found and all(c.at(values, sizes) is not False for c in plain):
            found.append(values)
            if len(found) == count:
                break
    return found


# from the text --------------------------------------------------------------------------------


def define_rule(program: Program, name: str) -> Rule | None:
    """The rule of that name, or None where it has errors, which are reported."""
    root = program.root
    declared = root.names[name]
    assert isinstance(declared, s.RuleDecl)
    sides: list[Diagram] = []
    variables = tuple(v for p in declared.params if isinstance(p, s.Variable) if (v := _variable(p)) is not None)
    conditions: tuple[Condition, ...] = ()
    for which, e in (("lhs", declared.left), ("rhs", declared.right)):
        body = Body(program, root)
        quiet, program.quiet = program.quiet, True
        view = None
        try:
            conditions = _header(program, body, declared, variables)
            view = body.value(e)
        except Refused:
            pass
        finally:
            program.quiet = quiet
        program.found.extend(d for d in body.diagnostics if d not in program.found)
        if view is None or any(d.severity == "error" for d in body.diagnostics):
            return None
        layout = tuple(a for a in body.header if a in view.axes) + tuple(a for a in view.axes if a not in body.header)
        body.outputs.append(Output(view.port, layout, body.span(e)))
        sides.append(finish(body, f"{name}.{which}", declared.name))
    ends = [d.outputs[0] for d in sides]
    masks = [d.wires[o.port.wire].kind == MASK for d, o in zip(sides, ends, strict=True)]
    if set(ends[0].layout) != set(ends[1].layout) or masks[0] != masks[1]:
        left, right = (f"{'mask' * m}[{', '.join(sorted(o.layout))}]" for o, m in zip(ends, masks, strict=True))
        root.report("E313", f"the two sides of rule `{name}` have different types: {left} and {right}", declared.name)
        return None
    return Rule(name, declared.relation, sides[0], sides[1], root.span(declared), variables, conditions)


def _variable(p: s.Variable) -> Variable | None:
    return Variable(p.name.text, p.kind.text) if p.kind.text in KINDS else None  # type: ignore[arg-type]


def _header(program: Program, body: Body, declared: s.RuleDecl, variables: Sequence[Variable]) -> tuple[Condition, ...]:
    """The parameters into the body; what its `where` says besides equations of sizes."""
    equations: list[s.Equation] = []
    others: list[s.Condition] = []
    for c in declared.where:
        sides = (_size(body, c.left), _size(body, c.right) if c.right is not None else None)
        if c.sign == "=" and sides[0] is not None and sides[1] is not None:
            equations.append(s.Equation(c.at, sides[0], sides[1]))
        else:
            others.append(c)
    for p in declared.params:
        if isinstance(p, s.Variable):
            if p.kind.text not in KINDS:
                body.error("E307", f"there is no kind of wire `{p.kind.text}`", p.kind, help="a wire is `[...]`, `mask[...]` or `index(a)[...]`; a rule may leave open a `number`, an `integer` or a `map`")
            elif p.kind.text == "map" and p.name.text in WORDS:
                body.error("E205", f"`{p.name.text}` is a word of the language and cannot be declared", p.name)
            body.bind(p.name, None)
    body.open = {v.name: v.kind for v in variables}
    program.header(body, tuple(p for p in declared.params if isinstance(p, s.Param)), (), tuple(equations))
    found = tuple(_condition(body, c) for c in others)
    body.samples = samples(variables, found, 8) or [{}]
    if body.samples == [{}] and any(v.kind != "map" for v in variables):
        raise body.error("E325", "no number that was tried satisfies the conditions of this rule", declared.where[0] if declared.where else declared.name)
    return found


def _size(body: Body, e: s.Expr | None) -> s.Size | None:
    """An expression as a size, where it is one."""
    match e:
        case s.Number(text=text) if text.isdigit():
            return s.SizeInt(e.at, int(text))
        case s.Unary(op="-", operand=s.Number(text=text)) if text.isdigit():
            return s.SizeInt(e.at, -int(text))
        case s.Ref(name=s.QName(parts=(only,))) if only.text in body.module.axes:
            return s.SizeName(e.at, only)
        case s.Binary(op="+" | "-" | "*" as op, left=left, right=right):
            a, b = _size(body, left), _size(body, right)
            return s.SizeOp(e.at, op, a, b) if a is not None and b is not None else None
    return None


def _condition(body: Body, c: s.Condition) -> Condition:
    zero = Quantity.of(0)
    text = body.span(c).text
    match c:
        case s.Condition(left=s.Call(name=name, bracket=s.Bracket() as bracket, args=(s.Ref() as ref,)), sign="") if name.text == "some":
            axes = tuple(body.axis(n) for n in body.sides(bracket)[0][0])
            wire = quantity(body, ref)
            held = body.bound[str(wire.parts[0])].view if wire.form == "wire" else None
            if held is None or not axes or not set(axes) <= set(held.axes) or body.builder.kind(held).name == "index":
                raise body.error("E325", "`some[m](p)` speaks of the rows of a parameter that is a mask or real and has these axes", c)
            return Condition("some", wire, zero, text, axes)
        case s.Condition(left=s.Call(name=name, bracket=None, args=(s.Number(text="0"),)), sign="=", right=s.Number(text="0")) if body.open.get(name.text) == "map":
            return Condition("vanishes", Quantity("variable", (name.text,)), zero, text)
        case s.Condition(sign="" | "=="):
            raise body.error("E325", "a rule cannot have this condition", c, help="conditions are `0 < t`, `t != 0`, `c <= 1`, `n = 2 * r`, `2 <= n`, `some[m](p)` and `f(0) = 0`")
    assert c.right is not None
    left, right = quantity(body, c.left), quantity(body, c.right)
    sign = c.sign
    if sign in (">", ">="):
        left, right, sign = right, left, {">": "<", ">=": "<="}[sign]
    found = Condition(sign, left, right, text)  # type: ignore[arg-type]
    wires = [leaf for leaf in (*left.leaves, *right.leaves) if leaf.form == "wire"]
    if wires:
        view = body.bound[str(wires[0].parts[0])].view
        alone = len(wires) == 1 and wires[0] in (left, right) and sign != "="
        if view is None or not alone or body.builder.kind(view) != REAL:
            raise body.error(
                "E325", "a condition on wires compares one real parameter with numbers and sizes", c,
                help="write one for each parameter: `where 0 < t, x != 0`",
            )  # fmt: skip
    return found


def quantity(body: Body, e: s.Expr) -> Quantity:
    """A formula in the numbers, sizes and parameters of a rule."""
    match e:
        case s.Number():
            return Quantity("number", (e.value,))
        case s.Unary(op="-", operand=s.Number() as inner):
            return Quantity("number", (-inner.value,))
        case s.Unary(op="-", operand=inner):
            return Quantity("-", (Quantity.of(0), quantity(body, inner)))
        case s.Binary(op="+" | "-" | "*" | "/" as op, left=left, right=right):
            return Quantity(op, (quantity(body, left), quantity(body, right)))
        case s.Rename(operand=s.Ref(name=name), bracket=s.Bracket(entries=(s.Ref(name=s.QName(parts=(only,))),))) if name.text == "size":
            body.axis(only)
            return Quantity("size", (body.poly(s.SizeName(e.at, only)),))
        case s.Ref(name=s.QName(parts=(only,))):
            if body.open.get(only.text) in ("number", "integer"):
                return Quantity("variable", (only.text,))
            if only.text in body.module.axes:
                return Quantity("size", (body.poly(s.SizeName(e.at, only)),))
            body.use(e.name)
            return Quantity("wire", (only.text,))
    raise body.error("E325", "a condition is made of numbers, sizes and parameters, with `+`, `-`, `*` and `/`", e)
