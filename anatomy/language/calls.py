"""Calls: formal axes bound to the caller's, sizes proved or inherited, bodies spliced in (rulings 1, 4, 7, 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anatomy.errors import Edit, Label, Span
from anatomy.ir.builder import View
from anatomy.ir.graph import REAL, Diagram, Equation, Kind
from anatomy.language import syntax as s
from anatomy.language.scope import Module, suggestion
from anatomy.language.weigh import MAX_NODES
from anatomy.ops import Hole

if TYPE_CHECKING:
    from anatomy.language.expressions import Expressions


@dataclass(frozen=True, slots=True)
class Formal:
    """One port of an interface."""

    name: str
    axes: tuple[str, ...]
    kind: Kind
    span: Span | None


@dataclass(frozen=True, slots=True)
class Interface:
    """What a caller sees: ports in, ports out, and the axes of the header in order."""

    name: str
    params: tuple[Formal, ...]
    results: tuple[Formal, ...]
    internal: frozenset[str] = frozenset()

    @property
    def header(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(a for p in (*self.params, *self.results) for a in p.axes))


def interface(diagram: Diagram) -> Interface:
    params = tuple(Formal(i.name, i.layout, diagram.wires[i.wire].kind, i.span) for i in diagram.inputs)
    results = tuple(Formal("", o.layout, diagram.wires[o.port.wire].kind, o.span) for o in diagram.outputs)
    inner = frozenset(diagram.sizes) - {a for p in (*params, *results) for a in p.axes}
    return Interface(diagram.name, params, results, inner)


@dataclass(frozen=True, slots=True)
class Binding:
    """How a call connects axes: `to` from formal to caller axis, `place` from formal to the axis used inside."""

    to: dict[str, str]
    place: dict[str, str]
    sizes: dict[str, str]
    views: tuple[View, ...]


def bind(body: Expressions, e: s.Call, face: Interface, path: str, views: Sequence[View]) -> Binding:
    """Match formal axes by name or by `[f=e]`; every other axis is a lift."""
    explicit, sizes = _explicit(body, e, face)
    to: dict[str, str] = dict(explicit)
    from anatomy.language.bindings import Refused

    for formal in face.header:
        if formal not in to:
            if formal in body.lanes:
                holder = next((k for k, p in enumerate(face.params) if formal in p.axes), None)
                at = e.args[holder] if holder is not None else e
                raise body.error(
                    "E303", f"`{face.name}` works on axis `{formal}`, which is a lane here", at,
                    secondary=(Label(body.span(body.lanes[formal]), f"`{formal}` becomes a lane here"),),
                    help=f"bind another axis, `{face.name}[{formal}=...](...)`, or call it outside the box",
                )  # fmt: skip
            to[formal] = formal
    failed = False
    for k, (param, view) in enumerate(zip(face.params, views, strict=True)):
        named = {to[f] for f in param.axes}
        for formal in param.axes:
            if to[formal] not in view.axes:
                failed = True
                _missing(body, e, face, k, param, formal, to, view)
                break
        else:
            twice = [f for f in param.axes if [to[g] for g in param.axes].count(to[f]) > 1]
            if twice:
                failed = True
                body.error("E309", f"`{twice[0]}` and `{twice[1]}` of `{face.name}` are both bound to `{to[twice[0]]}` on `{param.name}`", e.args[k])
            stray = next((a for a in view.axes if a not in named and a in to.values()), None)
            if stray is not None:
                failed = True
                formal = next(f for f, c in to.items() if c == stray)
                body.error(
                    "E305", f"axis `{stray}` is bound to `{formal}` of `{face.name}`, but its wire `{param.name}` has no `{formal}`", e.args[k],
                    label=f"this wire has `{stray}`", secondary=_declared(param),
                    help="rename the axis on this operand, or bind another",
                )  # fmt: skip
            found = body.builder.kind(view)
            if found.name != param.kind.name and not (param.kind == REAL and found.name == "index"):
                failed = True
                body.error(
                    "E307", f"`{face.name}` wants {param.kind} as `{param.name}`, but this is {found}", e.args[k],
                    secondary=_declared(param),
                )  # fmt: skip
            elif param.kind.name == "index":
                failed |= not _points(body, e, face, k, param, found, to, sizes)
    for result in face.results:
        outer = [to[f] for f in result.axes]
        if len(set(outer)) < len(outer):
            failed = True
            body.error("E309", f"the result of `{face.name}` would hold axis `{max(outer, key=outer.count)}` twice", e)
        for formal in result.axes:
            if to[formal] not in body.module.axes:
                failed = True
                body.error(
                    "E305", f"`{face.name}` gives an axis `{formal}`, which is not declared here", e,
                    help=f"bind it: `{face.name}[{formal}=...](...)`",
                )  # fmt: skip
    if failed:
        raise Refused
    place: dict[str, str] = {}
    taken: set[str] = set()
    for formal in face.header:
        outer = to[formal]
        body.builder.axis(outer)
        if outer in taken:
            place[formal] = f"{path}.{formal}"
            body.builder.sizes.define(place[formal], body.builder.axis(outer))
        else:
            taken.add(outer)
            place[formal] = outer
    seen = tuple(
        view.rename({to[f]: place[f] for f in param.axes}) for param, view in zip(face.params, views, strict=True)
    )
    return Binding(to, place, sizes, seen)


def _points(
    body: Expressions, e: s.Call, face: Interface, k: int, param: Formal, found: Kind, to: dict[str, str], sizes: dict[str, str]
) -> bool:
    """An index argument points into the axis that the callee means; one that no layout of the callee has is taken from it."""
    into = param.kind.axis
    if into not in face.header:
        sizes.setdefault(into, found.axis)
    wanted = to.get(into) or sizes[into]
    if body.prove(body.builder.axis(wanted), body.builder.axis(found.axis)):
        return True
    body.error(
        "E401", f"`{param.name}` of `{face.name}` points into `{wanted}`, and it is not proved that `{found.axis}` has its size", e.args[k],
        secondary=_declared(param), help=f"if it has, declare it: `axis {found.axis} = {wanted}`",
    )  # fmt: skip
    return False


def _explicit(body: Expressions, e: s.Call, face: Interface) -> tuple[dict[str, str], dict[str, str]]:
    to: dict[str, str] = {}
    sizes: dict[str, str] = {}
    for entry in e.bracket.entries if e.bracket else ():
        if not isinstance(entry, s.Option):
            raise body.error("E209", f"a call binds axes by name: `{face.name}[{(face.header or ('a',))[0]}=...](...)`", entry)
        formal = entry.name.text
        if formal not in face.header and formal not in face.internal:
            near = suggestion(formal, [*face.header, *face.internal])
            raise body.error(
                "E201", f"`{face.name}` has no axis `{formal}`", entry.name,
                help=f"did you mean `{near}`?" if near else f"it has: {', '.join(face.header)}",
            )  # fmt: skip
        match entry.value:
            case s.Ref(name=s.QName(parts=(only,))):
                (to if formal in face.header else sizes)[formal] = body.axis(only)
            case _:
                raise body.error("E209", "an axis is needed here", entry.value)
    return to, sizes


def _declared(param: Formal) -> tuple[Label, ...]:
    return (Label(param.span, f"`{param.name}` declared here"),) if param.span else ()


def _missing(
    body: Expressions, e: s.Call, face: Interface, k: int, param: Formal, formal: str, to: dict[str, str], view: View
) -> None:
    have = sorted(a for a in view.axes if a not in body.lanes)
    others = {to[f] for f in param.axes if f != formal}
    free = [a for a in have if a not in others]
    shown = f" (bound to `{to[formal]}`)" if to[formal] != formal else ""
    help, edits = "", ()
    if free:
        help = f"bind the axis: `{face.name}[{formal}=...](...)`, one of {', '.join(f'`{a}`' for a in free)}"
    if len(free) == 1 and to[formal] == formal:
        help = f"bind the axis: `{face.name}[{formal}={free[0]}](...)`"
        at = body.span(e.name).end if e.bracket is None else e.bracket.at[0] + 1
        text = f"[{formal}={free[0]}]" if e.bracket is None else f"{formal}={free[0]}, "
        if e.label is None:
            edits = (Edit(Span(body.module.source, at, at), text),)
    body.error(
        "E305", f"`{face.name}` wants axis `{formal}`{shown} on its wire `{param.name}`", e.args[k],
        label=f"this wire has [{', '.join(have)}]", secondary=_declared(param) or body.made(view), help=help, edits=edits,
    )  # fmt: skip


def _arguments(body: Expressions, e: s.Call, face: Interface) -> list[View] | None:
    if e.named:
        raise body.error("E209", "the operands of a diagram are given by their places", e.named[0], help=f"axes are bound in square brackets: `{face.name}[a=b](...)`")
    if len(e.args) != len(face.params):
        lacking = len(e.args) < len(face.params)
        names = ", ".join(p.name for p in face.params)
        raise body.error(
            "E302" if lacking else "E301",
            f"`{face.name}` wants {len(face.params)} operand{'s' if len(face.params) != 1 else ''} ({names}), and {len(e.args)} {'is' if len(e.args) == 1 else 'are'} given",
            e, label=f"`{face.params[len(e.args)].name}` is missing" if lacking else "",
            secondary=_declared(face.params[len(e.args)]) if lacking else (),
        )  # fmt: skip
    views = body.operands(e.args, False)
    return None if any(v is None for v in views) else [v for v in views if v is not None]


def call_diagram(body: Expressions, e: s.Call, found: tuple[Module, str], names: tuple[str, ...]) -> list[View | None]:
    module, word = found
    declared = module.names[word]
    if not isinstance(declared, s.DiagramDecl):
        raise body.error("E203", f"`{word}` is not a diagram", e.name)
    callee = body.program.diagram(module, word)
    word = declared.name.text
    if callee is None:
        body.poisoned = True
        body.operands(e.args, False)
        results = declared.signature.results
        return [None] * len(results)
    face = interface(callee)
    path = body.path(e, word)
    views = _arguments(body, e, face)
    if views is None:
        return [None] * len(face.results)
    if callee.holes and not body.program.through:
        raise body.error("E501", f"`{word}` has open holes ({', '.join(callee.holes)}) and cannot be called", e.name)
    if len(body.builder.nodes) + len(callee.nodes) > MAX_NODES:
        raise body.error("E502", f"unfolding this diagram needs more than {MAX_NODES:,} boxes", e.name)
    binding = bind(body, e, face, path, views)
    axis = dict(binding.place)
    sizes = body.builder.sizes
    for inner in sorted(callee.sizes):
        if inner in axis:
            continue
        axis[inner] = f"{path}.{inner}"
        if inner in binding.sizes:
            sizes.define(axis[inner], body.builder.axis(binding.sizes[inner]))
            body.builder.axis(axis[inner])
    header = set(face.header)
    for equation in callee.where:
        left, right = (p.rename(lambda v: axis.get(v, v)) for p in (equation.left, equation.right))
        names_in = equation.left.variables() | equation.right.variables()
        if names_in <= header:
            if not body.prove(left, right):
                raise body.error(
                    "E402", f"`{word}` needs `{left} = {right}`, which is not proved here", e,
                    secondary=(Label(equation.span, "needed here"),) if equation.span else (),
                    help=f"if it holds, say so in the header: `where {left} = {right}`",
                )  # fmt: skip
        elif equation.left.as_variable() in header or inner_bound(equation, binding):
            body.builder.equations.append(Equation(left, right, equation.span))
    for axis_name, value in callee.defaults:
        if axis_name not in header:
            body.builder.defaults[axis[axis_name]] = value.rename(lambda v: axis.get(v, v))
    wall = "part" if isinstance(declared, s.PartDecl) else "call"
    frame = (*body.frame, body.builder.frame(wall, path.removeprefix(body.prefix)))
    outs = body.builder.splice(callee, binding.views, axis, lambda key: f"{path}.{key}", frame)
    back = {binding.place[f]: binding.to[f] for f in face.header}
    return [view.rename({a: back.get(a, a) for a in view.axes}) for view in outs]


def inner_bound(equation: Equation, binding: Binding) -> bool:
    """An internal axis with an equation and an explicit binding: both must hold."""
    return bool((equation.left.variables() | equation.right.variables()) & binding.sizes.keys())


def hole_interface(body: Expressions, hole: s.HoleDecl) -> Interface:
    def formal(name: str, type: s.Type) -> Formal:
        return Formal(name, tuple(a.text for a in type.axes), body.program.kind(body, type), body.span(type))

    params = tuple(formal(p.name.text, p.type) for p in hole.signature.params)
    return Interface(hole.name.text, params, tuple(formal("", t) for t in hole.signature.results))


def call_hole(body: Expressions, e: s.Call, hole: s.HoleDecl, names: tuple[str, ...]) -> list[View | None]:
    """A use of a hole: an opaque node with the hole's interface; every use gets the same filler."""
    face = hole_interface(body, hole)
    views = _arguments(body, e, face)
    if views is None:
        return [None] * len(face.results)
    if any(turn.tied for turn in body.turns):
        raise body.error(
            "E507", f"hole `{hole.name.text}` stands in `repeat tied`, whose turns would have to share the weights of its filler", e.name,
            help="leave out `tied`, or declare the weights outside and hand them to the hole",
        )  # fmt: skip
    path = body.path(e, hole.name.text)
    binding = bind(body, e, face, path, views)
    number = {f: k for k, f in enumerate(face.header)}
    op = Hole(
        hole.name.text,
        tuple(tuple(number[a] for a in p.axes) for p in face.params),
        tuple(tuple(number[a] for a in r.axes) for r in face.results),
        tuple(p.kind for p in face.params),
        tuple(r.kind for r in face.results),
        path,
        tuple(p.name for p in face.params),
        tuple(face.header),
    )
    own = [binding.place[f] for f in face.header]
    outs = body.add(op, own, binding.views, e, e.args, names)
    back = {binding.place[f]: binding.to[f] for f in face.header}
    return [view.rename({a: back.get(a, a) for a in view.axes}) for view in outs]
