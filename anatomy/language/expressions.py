"""Expressions become typed nodes; a refusal becomes a diagnostic that says needed-here and made-there."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from anatomy.errors import Edit, Label
from anatomy.ir.builder import View
from anatomy.ir.graph import MASK, Frame, Init
from anatomy.ir.op import Op, Problem
from anatomy.ir.quantity import Quantity
from anatomy.language import syntax as s
from anatomy.language.attributes import attributes
from anatomy.language.bindings import Learner, Refused
from anatomy.language.brackets import Brackets
from anatomy.language.indexing import apart, inside, pointed, table
from anatomy.language.open import formula, literal, made, mapped, opened, whole
from anatomy.language.predicates import causal_pair
from anatomy.language.scope import library, suggestion
from anatomy.ops import WORDS, Contract, Iota, Literal, find
from anatomy.ops.add import Add


class Expressions(Brackets):
    """Every form of expression."""

    def add(
        self, op: Op, own: Sequence[str], views: Sequence[View], at: s.Node,
        operands: Sequence[s.Node] = (), names: Sequence[str] = (), frame: tuple[Frame, ...] | None = None,
    ) -> tuple[View, ...]:  # fmt: skip
        """Add a node; a refusal becomes a diagnostic that says needed-here and made-there."""
        try:
            return self.builder.add(
                op, own, views, self.span(at), self.frame if frame is None else frame, names, self.prove
            )
        except Problem as problem:
            place: s.Node = at
            secondary: tuple[Label, ...] = ()
            help = problem.help
            label = ""
            if problem.port is not None and problem.port < len(operands):
                place = operands[problem.port]
                view = views[problem.port]
                lanes = self.lanes
                axes = sorted(a for a in view.axes if a not in lanes)
                label = f"this wire has [{', '.join(axes)}]"
                secondary = self.made(view)
                if problem.axis and problem.axis not in view.axes and not help:
                    near = suggestion(problem.axis, axes)
                    help = f"did you mean `{near}`?" if near else ""
            raise self.error(problem.code, problem.message, place, label=label, secondary=secondary, help=help) from None

    def value(self, e: s.Expr, positions: bool = False) -> View | None:
        views = self.values(e, (), positions)
        if len(views) != 1:
            raise self.error("E301", f"{len(views)} results where one wire is needed", e)
        return views[0]

    def values(self, e: s.Expr, names: tuple[str, ...], positions: bool = False) -> list[View | None]:
        if self.open and (value := formula(self.open, e)) is not None:
            return literal(self, value, e)
        match e:
            case s.Ref(name=name):
                if positions and len(name.parts) == 1 and name.text in self.module.axes and name.text not in self.bound:
                    axis = self.axis(name.parts[0], may_be_lane=True)
                    return list(self.add(Iota(), (axis,), (), e))
                return [self.use(name)]
            case s.Number():
                return list(self.add(Literal(e.value), (), (), e))
            case s.Unary(op="-", operand=operand):
                return self.apply("neg", e, [operand], names, positions)
            case s.Unary(op=word, operand=operand):
                return self.apply(word, e, [operand], names, positions)
            case s.Binary(op=word, left=left, right=right):
                compare = word in ("<", "<=", ">", ">=", "==", "!=")
                pair = [right, left] if word in (">", ">=") else [left, right]
                word = {">": "<", ">=": "<="}.get(word, word)
                return self.apply(word, e, pair, names, positions or compare)
            case s.Rename(operand=s.Ref(name=name), bracket=bracket) if name.text in ("size", "iota"):
                return self.apply(name.text, e, (), names, positions, bracket)
            case s.Rename():
                return [self.rename(e, positions)]
            case s.Lin():
                return [self.lin(e, names)]
            case s.Table():
                return [table(self, e)]
            case s.Call() if self.open.get(e.name.text) == "map":
                return mapped(self, e)
            case s.Call():
                return self.call(e, names, positions)

    def apply(
        self, word: str, e: s.Expr, args: Sequence[s.Expr], names: tuple[str, ...], positions: bool,
        bracket: s.Bracket | None = None,
    ) -> list[View | None]:  # fmt: skip
        """A box of the vocabulary."""
        kind = find(word, bracket is not None)
        assert kind is not None
        own: list[str] = []
        given: dict[str, s.Expr] = {}
        if bracket is not None:
            if kind.form == "plain":
                raise self.error("E209", f"`{word}` takes no axes: it works entry by entry", bracket, help=f"write `{word}(...)`")
            groups, given = self.sides(bracket, (*kind.options, *kind.static.values()))
            arrow = kind.form == "arrow"
            if arrow != ("->" in bracket.marks):
                form = f"`{word}[a -> b](x)`" if arrow else f"`{word}[a](x)`"
                raise self.error("E209", f"`{word}` is written {form}", bracket)
            own = [self.axis(n, may_be_lane=word in ("iota", "size")) for group in groups for n in group]
            if not own or (arrow and not all(groups)):
                raise self.error("E209", f"`{word}` needs an axis in its brackets", bracket)
        elif kind.form != "plain":
            form = f"`{word}[a -> b](x)`" if kind.form == "arrow" else f"`{word}[a](x)`"
            raise self.error("E209", f"`{word}` is told the axes that it works on: {form}", e)
        set_, operands = attributes(self, kind, word, args, e.named if isinstance(e, s.Call) else (), given)
        options: dict[str, object] = {}
        given_open: dict[str, Quantity] = {}
        for option, at in set_.items():
            value = None if option in kind.flags else formula(self.open, at)
            if value is not None:
                given_open[option] = value
                if option in kind.static.values() and option not in kind.inexact and not whole(self.open, value):
                    raise self.error("E209", f"`{word}` needs an integer here", at)
                continue
            options[option] = fixed = Fraction(self.flag(at)) if option in kind.flags else self.number(at)
            if fixed.denominator != 1 and option in kind.static.values() and option not in kind.inexact:
                raise self.error("E209", f"`{word}` needs an integer here", at)
        total = len(operands) + sum(name in set_ for name in kind.static.values())
        least, most = kind.arity[0] + len(kind.static), kind.arity[1]
        if total < least or (most is not None and total > most + len(kind.static)):
            want = f"{least}" if most is not None and least == most + len(kind.static) else f"{least} or more"
            lacking = total < least
            raise self.error(
                "E302" if lacking else "E301",
                f"`{word}` wants {want} operand{'s' if want != '1' else ''}, and {total} {'is' if total == 1 else 'are'} given", e,
                label="an operand is missing" if lacking else "",
            )  # fmt: skip
        views = self.operands(operands, positions or word in ("and", "or", "not"))
        if any(v is None for v in views):
            return [None] * len(kind().gives(tuple(own)))
        ready = [v for v in views if v is not None]
        self.lint_outer(word, e, ready, operands)
        if word == "gather":
            own, ready = pointed(self, own, ready, e, tuple(operands))
        elif word == "index" and len(own) == 1:
            inside(self, own[0], ready[0], operands[0])
            own = [apart(self, own[0])] if own[0] in ready[0].axes else own
        if given_open:
            op = made(kind, word, options, given_open, self.samples, own, ready)
            return opened(self, given_open, list(self.add(op, own, ready, e, operands, names)))
        return list(self.add(kind.make(word, options), own, ready, e, operands, names))  # type: ignore[arg-type]

    def operands(self, args: Sequence[s.Expr], positions: bool) -> list[View | None]:
        """All operands, so that errors in several are all reported."""
        views: list[View | None] = []
        for arg in args:
            try:
                views.append(self.value(arg, positions))
            except Refused:
                views.append(None)
        return views

    def lint_outer(self, word: str, e: s.Expr, views: Sequence[View], operands: Sequence[s.Expr]) -> None:
        """Ruling 14: two wires that each have an axis the other lacks, outside a SIMD box."""
        if word not in ("+", "-", "max", "min", "where", "<", "<=", "==", "!=") or self.program.quiet:
            return
        if word in ("<", "<=", "==", "!=") and all(self.builder.kind(v).name == "index" for v in views):
            return
        axes = [set(v.axes) - self.lanes.keys() for v in views if not self._positional(v)]
        for i in range(len(axes)):
            for j in range(i + 1, len(axes)):
                if axes[i] - axes[j] and axes[j] - axes[i]:
                    extra = sorted(axes[i] - axes[j]) + sorted(axes[j] - axes[i])
                    self.error(
                        "W301", f"`{word}` makes an outer sum over {', '.join(f'`{a}`' for a in extra)}", e,
                        label=f"[{', '.join(sorted(axes[i]))}] with [{', '.join(sorted(axes[j]))}]",
                        help=f"if it is meant, say so: `simd {', '.join(extra)} {{ ... }}`",
                    )  # fmt: skip
                    return

    def _positional(self, view: View) -> bool:
        """A wire made of positions and numbers only."""
        for node in self.builder.nodes[self._seen :]:
            if all(port.wire in self._positions for port in node.ports):
                self._positions.update(node.outs)
        self._seen = len(self.builder.nodes)
        return view.wire in self._positions

    def rename(self, e: s.Rename, positions: bool) -> View | None:
        view = self.value(e.operand, positions)
        table = self.arrows(e.bracket)
        if view is None:
            return None
        for old, new in table.items():
            if old.text not in view.axes:
                have = sorted(a for a in view.axes if a not in self.lanes)
                near = suggestion(old.text, have)
                raise self.error(
                    "E306", f"there is no axis `{old.text}` to rename", old, label=f"this wire has [{', '.join(have)}]",
                    secondary=self.made(view), help=f"did you mean `{near}`?" if near else "",
                )  # fmt: skip
            if not self.prove(self.builder.axis(old.text), self.builder.axis(new.text)):
                raise self.error(
                    "E401", f"`{old.text}` cannot become `{new.text}`: it is not proved that their sizes are equal", e.bracket,
                    help=f"if they are, declare it: `axis {new.text} = {old.text}`",
                )  # fmt: skip
        words = {old.text: new.text for old, new in table.items()}
        result = view.rename(words)
        if len(set(result.axes)) < len(result.axes):
            twice = next(a for a in result.axes if result.axes.count(a) > 1)
            raise self.error("E304", f"the wire already has an axis `{twice}`", e.bracket, secondary=self.made(view))
        return result

    def applied(self, e: s.Lin | s.Table, letter: str) -> tuple[Learner, View | None]:
        """A learner, declared here or named again, and its one operand, which must lack the axes that it writes."""
        what = "table" if isinstance(e, s.Table) else "lin"
        if len(e.args) != 1:
            raise self.error("E301" if e.args else "E302", f"`{what}` wants 1 operand, and {len(e.args)} are given", e)
        learner = self.learner(e) if e.bracket is None else self.declare(e, e.bracket)
        x = self.value(e.args[0])
        if x is None:
            return learner, None
        for axis in learner.right:
            if axis in x.axes:
                raise self.error(
                    "E308", f"the result of `{what} {e.name.text}` would hold axis `{axis}` twice", e.args[0],
                    label=f"this wire has [{', '.join(sorted(a for a in x.axes if a not in self.lanes))}]", secondary=self.made(x),
                    help=f"rename the operand's first, `{letter}[{axis} -> ...]`, or write to another axis",
                )  # fmt: skip
        return learner, x

    def lin(self, e: s.Lin, names: tuple[str, ...]) -> View | None:
        word = e.name.text
        learner, x = self.applied(e, "x")
        if x is None:
            return None
        frame = (*self.frame, self.builder.frame("lin", word))
        (y,) = self.add(Contract(), learner.left, [x, learner.weight], e, e.args, () if learner.bias else names, frame)
        if learner.bias is not None:
            (y,) = self.add(Add(), (), [y, learner.bias], e, (), names, frame)
        return y

    def learner(self, e: s.Lin | s.Table) -> Learner:
        """A learner that is applied again, by its name."""
        word, what = e.name.text, "table" if isinstance(e, s.Table) else "lin"
        known = [name for name, found in self.learners.items() if found.rows == (what == "table")]
        key = next((p + word for p in self.scopes if p + word in known), None)
        if key is None:
            near = suggestion(word, known)
            raise self.error(
                "E202", f"there is no {'table' if what == 'table' else 'learner'} `{word}` to apply again", e.name,
                help=f"did you mean `{near}`?" if near else f"declare it with its axes: `{what} {word}[d -> e](x)`",
            )  # fmt: skip
        learner = self.learners[key]
        for axis in (*learner.left, *learner.right):
            if axis in self.lanes:
                raise self.error("E303", f"`{word}` works on axis `{axis}`, which is a lane here", e.name)
        return learner

    def declare(self, e: s.Lin | s.Table, bracket: s.Bracket) -> Learner:
        rows = isinstance(e, s.Table)
        what = "table" if rows else "lin"
        groups, given = self.sides(bracket, ("frozen",) if rows else ("bias", "frozen"))
        if bracket.marks.count("->") != 1 or bracket.marks.count(";") > 1 or bracket.leading:
            raise self.error("E209", f"a learner is written `{what} W[in -> out](x)`, with lanes before `;`", bracket)
        lanes = groups.pop(0) if ";" in bracket.marks else []
        if not groups[0] or not groups[1]:
            raise self.error("E209", f"`{what}` needs an axis on each side of the arrow", bracket)
        if rows and len(groups[0]) != 1:
            raise self.error("E311", f"`table` is looked up along one axis, but {len(groups[0])} are named", bracket)
        for name in groups[0]:
            if any(name.text == other.text for other in groups[1]):
                raise self.error(
                    "E309", f"axis `{name.text}` stands on both sides of `{what} {e.name.text}`", name,
                    help=f"write to another axis and rename: `{what} {e.name.text}[{name.text} -> c](x)[c -> {name.text}]`",
                )  # fmt: skip
        self._distinct([*lanes, *groups[0], *groups[1]])
        flags = {k: self.flag(v) for k, v in given.items()}
        per_lane, left, right = ([self.axis(n) for n in g] for g in (lanes, *groups))
        init = Init("normal", (1.0,)) if rows and e.init is None else self.initialiser(e.init, "xavier")
        self.maps(init, left, right, bracket)
        key = self.key(e.name)
        frozen = flags.get("frozen", False)
        weight = self.builder.weight(key, per_lane, left, right, init, frozen, self.span(e))
        bias = None
        if flags.get("bias", not rows):
            bias = self.builder.weight(f"{key}.bias", per_lane, (), right, Init("zeros"), frozen, self.span(e))
        learner = self.learners[key] = Learner(weight, bias, tuple(left), tuple(right), rows)
        return learner

    def call(self, e: s.Call, names: tuple[str, ...], positions: bool) -> list[View | None]:
        from anatomy.language.calls import call_diagram, call_hole

        word = e.name.text
        if len(e.name.parts) == 1:
            if word in self.holes:
                return call_hole(self, e, self.holes[word], names)
            if word in self.parts:
                self.called.add(word)
                return call_diagram(self, e, (self.module, self.parts[word]), names)
            if self.module.find(e.name) is None:
                if word == "causal":
                    return [self.causal(e, names)]
                if word == "mask":
                    return self.mask(e, names)
                if word in WORDS:
                    if e.label is not None:
                        raise self.error("E209", f"`{word}` has no weights to label", e.label)
                    return self.apply(word, e, e.args, names, positions, e.bracket)
        found = self.module.find(e.name)
        if found is None:
            if word in self.bound and word not in self.learners:
                raise self.error("E203", f"`{word}` is a wire and cannot be applied", e.name)
            if word in self.learners:
                raise self.error("E203", f"`{word}` is a learner", e.name, help=f"apply it with `lin {word}(...)`")
            known = [*WORDS, "causal", *self.module.known(), *self.holes, *self.parts]
            near = suggestion(word, known)
            fix = (Edit(self.span(e.name), near),) if near else ()
            self.operands(e.args, positions)
            help = f"it is declared in a library: `use {home} ({word})`" if (home := library(word)) else f"did you mean `{near}`?" if near else ""
            raise self.error("E203", f"there is no operation or diagram `{word}`", e.name, help=help, edits=() if home else fix)
        return call_diagram(self, e, found, names)

    def causal(self, e: s.Call, names: tuple[str, ...]) -> View | None:
        """`causal[p](s)`: `mask(p, s)` with `p` checked to be causal (ruling 15)."""
        if e.bracket is None or len(e.bracket.entries) != 1 or e.bracket.leading or isinstance(e.bracket.entries[0], s.Option):
            raise self.error("E209", "`causal` is told its predicate: `causal[m <= n](s)`", e)
        predicate = e.bracket.entries[0]
        if len(e.args) != 1:
            raise self.error("E301" if e.args else "E302", f"`causal` wants 1 operand, and {len(e.args)} are given", e)
        p, scores = self.value(predicate, positions=True), self.value(e.args[0])
        if p is None or scores is None:
            return None
        if self.builder.kind(p) == MASK and causal_pair(predicate, frozenset(self.module.axes)) is None:
            raise self.error(
                "E312", "this predicate is not proved to be causal: it may let a position read a later one", predicate,
                help="a causal predicate implies `m <= n`; a mask that need not be causal is `mask(p, s)`",
            )  # fmt: skip
        (y,) = self.add(find("mask", False)(), (), [p, scores], e, (predicate, e.args[0]), names)  # type: ignore[misc]
        return y

    def mask(self, e: s.Call, names: tuple[str, ...]) -> list[View | None]:
        return self.apply("mask", e, e.args, names, False, e.bracket)
