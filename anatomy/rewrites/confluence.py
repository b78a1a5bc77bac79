"""Whether the structural laws lead to one normal form whichever is used first: their critical pairs, each brought to normal form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, permutations

from anatomy.errors import AnatomyError
from anatomy.ir.builder import Builder, View
from anatomy.ir.canonical import Canonical
from anatomy.ir.graph import Diagram, Node, Output, Port
from anatomy.ir.live import live
from anatomy.ir.op import Problem
from anatomy.ir.poly import Poly
from anatomy.language.program import Rule
from anatomy.rewrites.apply import apply
from anatomy.rewrites.library import law
from anatomy.rewrites.match import matches
from anatomy.rewrites.normal import form

STRUCTURAL: tuple[str, ...] = (
    # units, zeros and signs
    "add_zero", "sub_zero", "mul_one", "div_one", "pow_one", "add_zero_times", "sub_self", "neg_neg", "mul_minus_one", "neg_mul", "neg_div",
    "neg_sub", "add_neg", "sub_neg", "sub_sub", "add_sub",
    # distribution and brackets
    "add_mul", "sub_mul", "add_div", "sub_div", "add_self", "mul_div", "div_div",
    # sums, their interchange and their nesting
    "sum_sum", "sum_add", "sum_sub", "sum_neg", "sum_mul", "sum_div", "sum_add_constant", "sum_expand", "mean_definition", "mean_mean",
    "mean_mul", "mean_add_constant", "mean_expand", "sum_of_product", "sum_of_square", "dot_of_product", "sum_of_dot", "sum_into_dot",
    "dot_of_dot", "dot_of_zipped_dot", "dot_mul", "dot_div", "dot_neg", "dot_add", "dot_sub", "dot_expand", "dot_identity", "reassociate",
    "score_of_projections", "absorb_into_query", "project_after_mixing", "project_after_sum", "project_after_mean", "project_after_cumsum",
    "project_after_shift", "absorb_gain", "absorb_offset",
    # repeats, renames and hoisting
    "broadcast_add", "broadcast_mul", "hoist_relu", "hoist_exp", "hoist_sum", "hoist_dot", "hoist_softmax", "hoist_layernorm", "expand_expand",
    # choices of lanes
    "choose_relu", "choose_exp", "choose_sum", "choose_dot", "choose_softmax", "choose_layernorm", "choose_expand", "choose_choose", "choose_all",
    # axes taken apart, put together and laid end to end; axes of size one
    "merge_split", "split_merge", "cat_halves", "split_relu", "split_mul", "split_add", "split_sum", "split_dot", "merge_sum", "merge_dot",
    "cat_relu", "cat_exp", "cat_mul", "cat_softmax", "one_sum", "one_mean", "one_max", "one_expand",
)  # fmt: skip
"""The structural laws that the normal form has built in, by their names in `rules.anat`.

Left out: those that sum over a seam (`cat_sum`, `project_cat`), which the normal form uses too, but where another summand has no seam it
stays as it is cut: `sum(cat(x, y)) + sum(z)` and `sum(cat(x, y) + z)` are not one form. Laws of a maximum over an axis (`split_max`, `cat_max`) and of softmax over a split axis, which the normal form has where
no other box stands between; those that permute an axis (`pool_reverse`); and all laws of functions of one real.
"""


@dataclass(frozen=True)
class Peak:
    """A diagram on which two laws meet: the left side of `law` with one wire of it being what a part of the left side of `other` computes."""

    law: str
    other: str
    diagram: Diagram


@dataclass(frozen=True)
class Report:
    """The critical pairs of some laws: peaks looked at, steps from them, and those whose two ends differ in normal form."""

    laws: int
    peaks: int
    steps: int
    apart: tuple[tuple[str, str, str], ...]
    """Of each such step, the laws of its peak and the law that was used."""

    def __str__(self) -> str:
        lines = [f"{self.laws} laws, {self.peaks} critical peaks, {self.steps} steps, {len(self.apart)} that do not meet"]
        return "\n".join([*lines, *(f"  {a} over {b}: by {c}" for a, b, c in self.apart)])


def confluence(names: Sequence[str] = STRUCTURAL, every: int = 1) -> Report:
    """Every step from every critical peak, its ends compared in normal form.

    The normal form of a diagram is one whichever of the laws is used on the diagram first when it is the same before and after each step;
    by the critical pair lemma overlaps of two left sides are all there is to look at, as a step that overlaps with no other commutes with it.
    A wire that is put in the place of a parameter may have axes that the other law does not name; peaks are made with these on
    all of its parameters and on the first alone. With `every` only each so-manieth peak is looked at. All of them take about 20 s.

    >>> print(confluence(("sum_sum", "sum_mul")))
    2 laws, 6 critical peaks, 10 steps, 0 that do not meet
    """
    rules = [law(name) for name in names]
    apart: dict[tuple[str, str, str], None] = {}
    count = steps = 0
    for peak in islice(peaks(rules), None, None, every):
        pair = [r for r in rules if r.name in (peak.law, peak.other)]
        count += 1
        before = _form(peak.diagram)
        for rule in pair:
            for match in matches(peak.diagram, rule, grouped=False):
                try:
                    after = apply(peak.diagram, match)
                except (AnatomyError, Problem):
                    continue
                steps += 1
                if _form(after) != before:
                    apart[peak.law, peak.other, rule.name] = None
    return Report(len(rules), count, steps, tuple(apart))


def _form(diagram: Diagram) -> Canonical | None:
    try:
        return form(diagram)
    except AnatomyError:
        return None


def peaks(rules: Sequence[Rule]) -> Iterator[Peak]:
    """Where the left sides of two laws overlap: each left side itself, and with a part of another in the place of a parameter.

    The part is read by the same operation as the parameter, so that the box that reads it may belong to both left sides.
    """
    for rule in rules:
        yield Peak(rule.name, rule.name, rule.left)
        for other in rules:
            for diagram in _instances(rule.left, other.left):
                yield Peak(rule.name, other.name, diagram)


def _instances(below: Diagram, above: Diagram) -> Iterator[Diagram]:
    for item in below.inputs:
        reads = [(n, p) for n in below.nodes for p in n.ports if p.wire == item.wire]
        if len(reads) != 1:
            continue
        ((reader, port),) = reads
        done: set[tuple[int, tuple[str, ...]]] = set()
        for parent in (above.nodes[i] for i in live(above)):
            if parent.op != reader.op or len(parent.own) != len(reader.own):
                continue
            for there in parent.ports:
                made = above.producer.get(there.wire)
                if made is None or above.nodes[made[0]].op.body is not None:
                    continue
                for table in _tables(reader, port, parent, there):
                    key = (there.wire, tuple(table.get(a, "") for a, _ in port.renames))
                    if key in done:
                        continue
                    done.add(key)
                    for every in (True, False):
                        try:
                            found = _put(below, item.wire, above, there.wire, table, every)
                        except (Problem, AnatomyError):
                            continue
                        if found is not None:
                            yield found


def _tables(reader: Node, port: Port, parent: Node, there: Port) -> Iterator[dict[str, str]]:
    """For axes of the parameter, axes of the part: where both are the reader's own; others are apart."""
    mine, theirs = {b: a for a, b in port.renames}, {b: a for a, b in there.renames}
    orders = permutations(parent.own) if reader.op.symmetric else [parent.own]
    for own in orders:
        pairs = list(zip(reader.own, own, strict=True))
        if all((a in mine) == (b in theirs) for a, b in pairs):
            yield {mine[a]: theirs[b] for a, b in pairs if a in mine}


def _put(below: Diagram, wire: int, above: Diagram, part: int, table: dict[str, str], every: bool) -> Diagram | None:
    """One diagram with what makes a wire of another in the place of an input; axes that this lacks are on its inputs."""
    builder = Builder()
    names = {a: f"x_{a}" for a in below.sizes}
    back = {b: names[a] for a, b in table.items()}
    inside = {a: back.get(a, f"y_{a}") for a in above.sizes}
    sizes: dict[str, Poly] = {}
    for diagram, to in ((below, names), (above, inside)):
        for axis, size in diagram.sizes.items():
            here = size.rename(lambda v, to=to: to[v])
            if here == Poly.var(to[axis]):
                continue
            if sizes.setdefault(to[axis], here) != here:
                return None
    for axis, size in sizes.items():
        if not builder.sizes.define(axis, size):
            return None
    used = _reached(above, part)
    lacking = tuple(names[a] for a in below.wires[wire].axes if a not in table)
    arguments = []
    for item in above.inputs:
        more = lacking if item.wire in used and (every or not any(i.wire in used for i in above.inputs[: above.inputs.index(item)])) else ()
        kind = above.wires[item.wire].kind
        kind = replace(kind, axis=inside[kind.axis]) if kind.axis else kind
        if item.wire in used:
            arguments.append(builder.input(f"y_{item.name}", (*(inside[a] for a in item.layout), *more), kind))
        else:
            arguments.append(View(-1, ()))
    axes = above.wires[part].axes
    piece = replace(
        above, outputs=(Output(Port(part, tuple((a, a) for a in axes)), axes),), inputs=above.inputs,
        nodes=tuple(n for n in above.nodes if set(n.outs) & used),
    )  # fmt: skip
    (view,) = builder.splice(piece, arguments, inside, str)
    operands = []
    for item in below.inputs:
        kind = below.wires[item.wire].kind
        kind = replace(kind, axis=names[kind.axis]) if kind.axis else kind
        if item.wire != wire:
            operands.append(builder.input(f"x_{item.name}", tuple(names[a] for a in item.layout), kind))
        elif builder.kind(view).name != kind.name:
            return None
        else:
            operands.append(view)
    results = builder.splice(below, operands, names, str)
    return builder.finish("peak", [Output(v.port, v.axes) for v in results])


def _reached(diagram: Diagram, wire: int) -> set[int]:
    found, stack = set(), [wire]
    while stack:
        w = stack.pop()
        if w not in found:
            found.add(w)
            if w in diagram.producer:
                node = diagram.nodes[diagram.producer[w][0]]
                found.update(node.outs)
                stack.extend(p.wire for p in node.ports)
    return found
