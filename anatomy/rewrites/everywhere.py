"""A rule used in a diagram and in the bodies of its loops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram
from anatomy.ir.op import Op, Problem
from anatomy.language.program import Rule
from anatomy.rewrites.apply import apply
from anatomy.rewrites.finite import Same
from anatomy.rewrites.inside import Open, taken_apart
from anatomy.rewrites.match import Match, matches


def everywhere(diagram: Diagram, rule: Rule, reverse: bool = False, bare: bool = False) -> Iterator[tuple[Match, Diagram]]:
    """Every diagram that one use of a rule makes, those first in which loops are boxes.

    Then the loops are taken apart, and the rule is used on what stands in them, alone or together with what stands around; the
    match names the loop for each box of it. With `bare`, a side that is one parameter is matched too.
    Loops in which something is random or may hold -inf stay closed, and a use after which a loop cannot be closed is left out.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis n rule odd(x: []): tanh(-x) == -tanh(x) "
    >>> text += "diagram f(x: [n]) -> [n] { scan n (s: [] = 0) { next s = tanh(-(s + x)) } out s }"
    >>> program = Program.of(Source("f.anat", text))
    >>> found = [made for _, made in everywhere(program.get("f"), program.rule("odd"))]
    >>> [[inner.op.word for inner in n.op.body] for made in found for n in made if n.op.body]
    [['+', 'tanh', 'neg']]
    """
    yield from _uses(diagram, rule, reverse, bare)
    open = _apart(Same(diagram))
    if not open.loops or not (bare or (rule.right if reverse else rule.left).by_op.keys() <= open.diagram.by_op.keys()):
        return
    loops = {k for k, node in enumerate(open.origin) if diagram.nodes[node].op.body is not None}
    for match, made in _uses(open.diagram, rule, reverse, bare):
        used = set(match.nodes.values()) or {open.diagram.producer[match.root][0]}
        if used.isdisjoint(loops):
            continue
        try:
            closed = open.closed(made)
        except (AnatomyError, Problem):
            continue
        yield replace(match, nodes={k: open.origin[node] for k, node in match.nodes.items()}), closed


def kinds(diagram: Diagram) -> frozenset[type[Op]]:
    """Those of all boxes, also of loops taken apart."""
    return frozenset(diagram.by_op) | frozenset(_apart(Same(diagram)).diagram.by_op)


def _uses(diagram: Diagram, rule: Rule, reverse: bool, bare: bool) -> Iterator[tuple[Match, Diagram]]:
    for at in range(len(diagram.nodes)) if bare else (None,):
        for match in matches(diagram, rule, reverse, at):
            try:
                yield match, apply(diagram, match)
            except (AnatomyError, Problem):
                continue


@lru_cache(maxsize=64)
def _apart(same: Same) -> Open:
    assert isinstance(same.thing, Diagram)
    return taken_apart(same.thing)
