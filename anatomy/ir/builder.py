"""Builds diagrams: adds typed nodes, splices diagrams into one another, and freezes the result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from anatomy.errors import Span, fail
from anatomy.ir.graph import (
    REAL,
    Diagram,
    Equation,
    Frame,
    Init,
    Input,
    Kind,
    Node,
    Output,
    Port,
    Renames,
    Weight,
    Wire,
)
from anatomy.ir.op import Op, Problem
from anatomy.ir.poly import Poly, Sizes

MAX_AXES = 48
"""On one wire or at one box; `torch.einsum` has 52 letters, and a few are left for lifts at compile time."""


@dataclass(frozen=True, slots=True)
class View:
    """A wire under the names by which the writer sees its axes."""

    wire: int
    renames: Renames

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(inner for _, inner in self.renames)

    def rename(self, table: Mapping[str, str]) -> View:
        return View(self.wire, tuple((outer, table.get(inner, inner)) for outer, inner in self.renames))

    @property
    def port(self) -> Port:
        return Port(self.wire, self.renames)


@dataclass
class Builder:
    """A diagram under construction. Nothing that is added is ever changed."""

    wires: list[Wire] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    weights: list[Weight] = field(default_factory=list)
    sizes: Sizes = field(default_factory=Sizes)
    axes: dict[str, None] = field(default_factory=dict)
    equations: list[Equation] = field(default_factory=list)
    defaults: dict[str, Poly] = field(default_factory=dict)
    serial: int = 0
    reuse: bool = False
    """A weight whose key is there already is that weight: in the further turns of a tied loop."""

    def axis(self, name: str) -> Poly:
        self.axes.setdefault(name)
        return self.sizes.of(name)

    def frame(self, kind: str, label: str) -> Frame:
        self.serial += 1
        return Frame(kind, label, self.serial)  # type: ignore[arg-type]

    def wire(
        self, axes: Iterable[str], kind: Kind = REAL, name: str = "", span: Span | None = None
    ) -> View:
        axes = tuple(axes)
        if len(axes) > MAX_AXES:
            raise fail("E314", f"a wire with {len(axes)} axes; at most {MAX_AXES} can meet")
        for axis in axes:
            self.axis(axis)
        self.wires.append(Wire(axes, kind, name, span))
        return View(len(self.wires) - 1, tuple((a, a) for a in axes))

    def kind(self, view: View) -> Kind:
        """The kind of a view; the axis of an index keeps the wire's own name."""
        return self.wires[view.wire].kind

    def input(self, name: str, layout: Sequence[str], kind: Kind = REAL, span: Span | None = None) -> View:
        view = self.wire(layout, kind, name, span)
        self.inputs.append(Input(name, view.wire, tuple(layout), span))
        return view

    def weight(
        self,
        key: str,
        lanes: Sequence[str],
        fan_in: Sequence[str],
        fan_out: Sequence[str],
        init: Init,
        frozen: bool = False,
        span: Span | None = None,
    ) -> View:
        layout = (*lanes, *fan_in, *fan_out)
        known = next((w for w in self.weights if key in w.keys), None) if self.reuse else None
        if known is not None:
            return View(known.wire, tuple(zip(known.layout, layout, strict=True)))
        view = self.wire(layout, name=key, span=span)
        self.weights.append(
            Weight((key,), view.wire, tuple(lanes), tuple(fan_in), tuple(fan_out), init, frozen, span)
        )
        return view

    def add(
        self,
        op: Op,
        own: Sequence[str],
        views: Sequence[View],
        span: Span | None = None,
        frame: tuple[Frame, ...] = (),
        names: Sequence[str] = (),
        prove: Callable[[Poly, Poly], bool] | None = None,
        trusted: bool = False,
    ) -> tuple[View, ...]:
        """Type a node and add it; refuses with `Problem`. `trusted` skips what a callee has proved of itself."""
        own = tuple(own)
        owned = set(own)
        if len(owned) != len(own):
            twice = next(a for a in own if own.count(a) > 1)
            raise Problem("E309", f"`{op.word}` names axis `{twice}` twice", axis=twice)
        lifts: dict[str, None] = {}
        for k, view in enumerate(views):
            allowed, needed = op.takes(own, k, len(views))
            have = view.axes
            for axis in own:
                if axis in needed and axis not in have:
                    raise Problem("E306", f"`{op.word}` works on axis `{axis}`, which {f'operand {k + 1}' if len(views) > 1 else 'its operand'} lacks", k, axis)
                if axis in have and axis not in allowed:
                    raise Problem(
                        "E308",
                        f"operand {k + 1} of `{op.word}` already has axis `{axis}`, which has another role here",
                        k,
                        axis,
                        help=f"rename it first: `x[{axis} -> ...]`",
                    )
            lifts.update((a, None) for a in have if a not in owned)
        if len(lifts) + len(own) > MAX_AXES:
            raise Problem("E314", f"{len(lifts) + len(own)} axes meet at this `{op.word}`; at most {MAX_AXES} can")
        op.check(own, [v.axes for v in views])
        kinds = op.kinds([self.kind(v) for v in views])
        prove = prove or self.sizes.equal
        self._check_indices(op, own, views, prove, trusted)
        for left, right, why in [] if trusted else op.equations(own, self.axis, len(views)):
            if not prove(left, right):
                raise Problem(
                    "E401",
                    f"{why}: it is not proved that `{self.sizes.norm(left)}` equals `{self.sizes.norm(right)}`",
                    help=f"if it holds, say so in the header: `where {left} = {right}`",
                )
        if not trusted:
            self._check_shared_sizes(views)
        outs = []
        for k, given in enumerate(op.gives(own)):
            clash = next((a for a in given if a in lifts), None)
            if clash is not None:
                raise Problem("E308", f"the result of `{op.word}` would hold axis `{clash}` twice", axis=clash)
            outs.append(self.wire((*lifts, *given), op.placed(kinds[k], own), names[k] if k < len(names) else "", span))
        self.nodes.append(
            Node(op, own, tuple(v.port for v in views), tuple(v.wire for v in outs), span, frame)
        )
        return tuple(outs)

    def _check_indices(
        self, op: Op, own: tuple[str, ...], views: Sequence[View], prove: Callable[[Poly, Poly], bool], trusted: bool
    ) -> None:
        for k, place in op.into.items():
            kind, axis = self.kind(views[k]), own[place]
            word, into = axis.partition("~")[0], kind.axis.partition("~")[0]
            if kind.name != "index":
                raise Problem(
                    "E307", f"`{op.word}` wants an index into `{word}` as operand {k + 1}, but it is a {kind}", k,
                    help=f"floor and clamp it into the axis: `index[{word}](...)`",
                )  # fmt: skip
            if not trusted and not prove(self.axis(axis), self.axis(kind.axis)):
                raise Problem(
                    "E401", f"operand {k + 1} of `{op.word}` points into `{into}`, and it is not proved that its size is that of `{word}`", k,
                    help=f"if it is, declare it: `axis {into} = {word}`, or make a new index: `index[{word}](...)`",
                )  # fmt: skip

    def _check_shared_sizes(self, views: Sequence[View]) -> None:
        sizes: dict[str, Poly] = {}
        for k, view in enumerate(views):
            for outer, inner in view.renames:
                size = self.sizes.of(outer)
                if sizes.setdefault(inner, size) != size:
                    raise Problem(
                        "E401", f"operands disagree on the size of axis `{inner}`: `{sizes[inner]}` and `{size}`", k, inner
                    )

    # splicing ---------------------------------------------------------------------------------

    def splice(
        self,
        callee: Diagram,
        arguments: Sequence[View],
        axis: Mapping[str, str],
        key: Callable[[str], str],
        frame: tuple[Frame, ...] = (),
        replace_hole: Callable[[Node, list[View]], tuple[View, ...]] | None = None,
    ) -> list[View]:
        """Copy a diagram in and return its outputs.

        `axis` maps every axis of the callee to an axis here; a fresh one takes over its definition.
        The argument views already show the callee's header axes under their mapped names.
        """
        for inner, outer in axis.items():
            size = callee.sizes[inner].rename(lambda v: axis[v])
            if outer not in self.axes and size != Poly.var(outer):
                self.sizes.define(outer, size)
            self.axis(outer)
        wires: dict[int, View] = {}
        for item, view in zip(callee.inputs, arguments, strict=True):
            wires[item.wire] = view
        for weight in callee.weights:
            layout = {a: axis[a] for a in weight.layout}
            new = self.weight(
                key(weight.keys[0]),
                [layout[a] for a in weight.lanes],
                [layout[a] for a in weight.fan_in],
                [layout[a] for a in weight.fan_out],
                weight.init,
                weight.frozen,
                weight.span,
            )
            if len(weight.keys) > 1 and self.weights[-1].wire == new.wire:
                self.weights[-1] = replace(self.weights[-1], keys=tuple(key(k) for k in weight.keys))
            wires[weight.wire] = new
        serials: dict[int, int] = {}

        def copied(f: Frame) -> Frame:
            if f.serial not in serials:
                self.serial += 1
                serials[f.serial] = self.serial
            label = ", ".join(axis.get(a, a) for a in f.lanes) if f.lanes else f.label
            return Frame(f.kind, label, serials[f.serial])

        def seen(port: Port) -> View:
            source = wires[port.wire]
            formal = {axis[outer]: axis[inner] for outer, inner in port.renames}
            return source.rename(formal)

        # Noise is drawn for every lane and lift that the diagram is called in.
        lanes = [a for f in frame for a in f.lanes]
        lifts = [a for view, item in zip(arguments, callee.inputs, strict=True) for a in view.axes if a not in {axis[b] for b in item.layout}]
        around = tuple(dict.fromkeys((*lanes, *lifts)))
        for node in callee.nodes:
            views = [seen(port) for port in node.ports]
            own = (*(around if node.op.random else ()), *(axis[a] for a in node.own))
            names = [callee.wires[w].name for w in node.outs]
            inside = frame + tuple(map(copied, node.frame))
            open = node.op.hole or (node.op.body is not None and node.op.body.holes)
            op = sited(node.op, key) if open else node.op
            if open and replace_hole is not None:
                outs = replace_hole(replace(node, op=op, own=own, frame=inside), views)
            else:
                outs = self.add(op, own, views, node.span, inside, names, trusted=True)
            for wire, view in zip(node.outs, outs, strict=True):
                wires[wire] = view
        results = []
        for output in callee.outputs:
            results.append(seen(output.port))
        for equation in callee.equations:
            self.equations.append(
                Equation(
                    equation.left.rename(lambda v: axis.get(v, v)),
                    equation.right.rename(lambda v: axis.get(v, v)),
                    equation.span,
                )
            )
        return results

    # freezing ---------------------------------------------------------------------------------

    def finish(
        self,
        name: str,
        outputs: Sequence[Output],
        span: Span | None = None,
        declared: Iterable[str] = (),
        header: Sequence[str] = (),
        where: Sequence[Equation] = (),
    ) -> Diagram:
        norm = self.sizes.norm
        return Diagram(
            name,
            tuple(self.inputs),
            tuple(outputs),
            tuple(self.weights),
            tuple(self.wires),
            tuple(self.nodes),
            {a: self.sizes.of(a) for a in self.axes},
            tuple(Equation(norm(e.left), norm(e.right), e.span) for e in self.equations),
            tuple((a, norm(p)) for a, p in self.defaults.items() if a in self.axes),
            frozenset(declared),
            tuple(header),
            tuple(where),
            span,
        )


def sited(op: Op, key: Callable[[str], str]) -> Op:
    """An open operation with the path of its use as seen from outside: two calls of one diagram are two uses of its holes."""
    if op.body is not None:
        return op.within(replace(op.body, nodes=tuple(replace(n, op=sited(n.op, key)) for n in op.body.nodes))) if op.body.holes else op
    site = getattr(op, "site", "")
    return replace(op, site=key(site)) if op.hole and site else op  # type: ignore[call-arg]
