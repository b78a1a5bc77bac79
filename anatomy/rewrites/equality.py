"""The four named equalities of diagrams, never one `==`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING

from anatomy.errors import AnatomyError
from anatomy.ir.canonical import Canonical, canonical
from anatomy.ir.equations import Settled, settle
from anatomy.ir.graph import Diagram, Node, Weight
from anatomy.ir.live import live
from anatomy.ir.loop import opened
from anatomy.ir.poly import Poly
from anatomy.ir.term import term
from anatomy.rewrites.normal import normal, written
from anatomy.rewrites.search import Found, search
from anatomy.rewrites.trial import largest_place

if TYPE_CHECKING:
    import torch
    from torch import nn

    from anatomy.rewrites.relate import Relation

    Build = Callable[[Diagram, Mapping[str, int]], nn.Module]

TOLERANCE = 1e-8
"""Difference in float64, relative to the greatest entry, up to which two results count as one."""
Derivation = tuple[tuple[str, str], ...]
"""Laws, each with the side that it is applied to, "left" or "right"."""
PRIMES: tuple[int, ...] = (2, 3, 5, 7, 11, 13)
FAR = 400
"""The greatest position that sizes go beyond, where one is named."""
LARGEST = 200_000
"""Entries of a wire at which a size assignment is too large for a test."""


@dataclass(frozen=True)
class Counterexample:
    """Inputs at which two diagrams differ: standard normal ones (weights, then inputs) times `scale`, drawn with the seed.

    `sizes` are those of the axes of either diagram, `difference` the largest one of two entries.
    """

    sizes: tuple[dict[str, int], dict[str, int]]
    seed: int
    scale: float
    difference: float


@dataclass(frozen=True)
class Equality:
    """What is known of two diagrams; None is "not decided".

    `isomorphic`: the same graph up to names and order. `same_term`: the same after merging equal boxes.
    `normal_form`: one normal form; None where it was cut short, or where the values show that a law was used where it
    has no value. `evaluation`: equal values at random points; on its own it is a conjecture and no proof.
    `derivation`: the laws that lead from both sides, "left" and "right", to a common diagram, where one is known;
    `counterexample`: where the values differ. `sought`: what a search came to, where there was one.
    `relation`: that of their sets of functions, where `related` was asked.
    """

    isomorphic: bool
    same_term: bool
    normal_form: bool | None
    evaluation: bool | None
    derivation: Derivation | None = field(default=None, compare=False)
    counterexample: Counterexample | None = field(default=None, compare=False)
    sought: Found | None = field(default=None, compare=False)
    relation: Relation | None = field(default=None, compare=False)

    @property
    def proved(self) -> bool:
        """Whether the laws of the library make the two diagrams equal."""
        return self.same_term or self.normal_form is True or self.derivation is not None


def related(a: Diagram, b: Diagram, seed: int = 0, seconds: float = 4.0) -> Equality:
    """Compare two diagrams in all four ways, and where they are not equal as they stand, as sets of functions.

    The relation is the strongest one found by `relate`: `==`, `~=` (the same functions, by other weights) or `>=`, with its
    witnesses; it is a conjecture where nothing but values at random points speaks for it. Diagrams whose inputs or results
    differ in number or kind have no relation.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis n diagram a(x: [n]) -> [n] { weight w: [n] ~ ones out x * w } "
    >>> text += "diagram b(x: [n]) -> [n] { weight v: [n] ~ ones out x - x * v }"
    >>> program = Program.of(Source("two.anat", text))
    >>> found = related(program.get("a"), program.get("b"))
    >>> found.normal_form, found.relation.relation, [f.text for f in found.relation.forth]
    (False, '~=', ['w := -1 * v + 1'])
    """
    from anatomy.rewrites.relate import Relation, comparable, relate

    found = equal(a, b, seed)
    if comparable(a, b):
        return found
    if found.proved:
        return replace(found, relation=Relation("==", derivation=found.derivation or ()))
    relation = relate(a, b, seconds)
    if relation is None and found.evaluation:
        relation = Relation("==", conjecture=True)
    return replace(found, relation=relation)


def equal(a: Diagram, b: Diagram, seed: int = 0, module: Build | None = None, seconds: float = 2.0) -> Equality:
    """Compare two diagrams in all four ways, and find a derivation or a counterexample.

    Evaluation compiles both in float64 and compares them at random inputs and weights under several sizes,
    all 1, pairwise coprime, and mixed. Weights are paired by the isomorphism (of terms or normal forms), else by key and
    type; where that fails, or a hole is open, evaluation is None. `module` compiles a diagram at given sizes.
    A derivation is looked for up to `seconds`, where the values agree and the normal forms do not.
    Raises AnatomyError E505 where a diagram is too symmetric to be compared.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis n diagram a(x: [n]) -> [n] { out x * 2 } diagram b(x: [n]) -> [n] { out x + x }"
    >>> program = Program.of(Source("two.anat", text))
    >>> found = equal(program.get("a"), program.get("b"))
    >>> found.same_term, found.normal_form, found.evaluation
    (False, True, True)
    """
    left, right = canonical(a), canonical(b)
    isomorphic = left == right
    if not isomorphic:
        left, right = term(a), term(b)
    same_term = left == right
    if same_term:
        value, counter = _evaluate(a, b, _corresponding(a, b, left, right), _inner(left, right), True, seed, module)
        return Equality(isomorphic, True, True, value, (), counter)
    normal_form, derivation, forms = _normal(a, b)
    pairs = _corresponding(a, b, *forms) if forms else _by_key(a, b)
    inner = _inner(*forms) if forms else _by_name(a, b)
    value, counter = _evaluate(a, b, pairs, inner, normal_form is True, seed, module)
    if value is False and normal_form:
        normal_form, derivation = None, None
    sought = None
    if value is not False and normal_form is False and seconds > 0:
        sought = search(a, b, seconds=seconds)
        derivation = sought.derivation
    return Equality(isomorphic, False, normal_form, value, derivation, counter, sought)


def _normal(a: Diagram, b: Diagram) -> tuple[bool | None, Derivation | None, tuple[Canonical, Canonical] | None]:
    """Whether the normal forms are equal, the laws used on both sides, and the equal forms."""
    forms = normal(a), normal(b)
    try:
        left, right = map(written, forms)
    except AnatomyError:
        return None, None, None
    if left != right:
        return (False if forms[0].complete and forms[1].complete else None), None, None
    laws = {(side, law): None for side, f in zip(("left", "right"), forms, strict=True) for s in f.steps for law in s.laws}
    return True, tuple(laws), (left, right)


def _inner(left: Canonical, right: Canonical) -> list[tuple[str, str]]:
    return list(zip(left.sizes, right.sizes, strict=True))


@dataclass(frozen=True)
class _Pair:
    """Two weights that get one value: axis by axis, in the layout of the first."""

    left: Weight
    right: Weight
    axes: tuple[tuple[str, str], ...]


def _corresponding(a: Diagram, b: Diagram, left: Canonical, right: Canonical) -> list[_Pair]:
    pairs = []
    for i, j, mine, theirs in zip(left.weights, right.weights, left.axes, right.axes, strict=True):
        table = dict(zip(mine, theirs, strict=True))
        pairs.append(_Pair(a.weights[i], b.weights[j], tuple((x, table[x]) for x in a.weights[i].layout)))
    return pairs


def _by_key(a: Diagram, b: Diagram) -> list[_Pair] | None:
    mine, theirs = ({w.keys: w for w in _used(d)} for d in (a, b))
    if mine.keys() != theirs.keys():
        return None
    pairs = []
    for keys, left in mine.items():
        right = theirs[keys]
        if [len(x) for x in (left.lanes, left.fan_in, left.fan_out)] != [
            len(x) for x in (right.lanes, right.fan_in, right.fan_out)
        ]:
            return None
        pairs.append(_Pair(left, right, tuple(zip(left.layout, right.layout, strict=True))))
    return pairs


def _by_name(a: Diagram, b: Diagram) -> list[tuple[str, str]]:
    """Free sizes of both that no input has: they are given by name."""

    def inner(d: Diagram) -> frozenset[str]:
        return d.free_sizes() - {v for i in d.inputs for x in i.layout for v in d.sizes[x].variables()}

    return [(v, v) for v in sorted(inner(a) & inner(b))]


def _used(diagram: Diagram) -> Iterator[Weight]:
    alive = set(live(diagram))
    for weight in diagram.weights:
        if any(k == -1 or k in alive for k, _ in diagram.consumers[weight.wire]):
            yield weight


# sizes ----------------------------------------------------------------------------------------


def _signature(d: Diagram) -> tuple[object, ...]:
    inputs = [(len(i.layout), d.wires[i.wire].kind.name) for i in d.inputs]
    outputs = [(len(o.layout), d.wires[o.port.wire].kind.name == "mask") for o in d.outputs]
    return inputs, outputs


class _Sizes:
    """Joint sizes of two diagrams: variables are marked with the side they belong to."""

    def __init__(self, a: Diagram, b: Diagram, pairs: list[_Pair], inner: list[tuple[str, str]]):
        self.sides = (a, b)
        ends = [(x, y) for i, j in zip(a.inputs, b.inputs, strict=True) for x, y in zip(i.layout, j.layout, strict=True)]
        ends += [(x, y) for i, j in zip(a.outputs, b.outputs, strict=True) for x, y in zip(i.layout, j.layout, strict=True)]
        kinds = [(a.wires[i.wire].kind, b.wires[j.wire].kind) for i, j in zip(a.inputs, b.inputs, strict=True)]
        ends += [(k.axis, m.axis) for k, m in kinds if k.name == "index" == m.name]
        self.equations = [(self.of(0, x), self.of(1, y)) for x, y in ends]
        for side, d in enumerate(self.sides):
            self.equations += [(self.mark(side, e.left), self.mark(side, e.right)) for e in d.equations]
        self.equations += [(self.mark(0, Poly.var(x)), self.mark(1, Poly.var(y))) for x, y in inner]
        self.ends = settle(self.equations)
        self.all = settle([*self.equations, *((self.of(0, x), self.of(1, y)) for p in pairs for x, y in p.axes)])

    def mark(self, side: int, poly: Poly) -> Poly:
        return poly.rename(lambda v: f"{side}:{v}")

    def of(self, side: int, axis: str) -> Poly:
        return self.mark(side, self.sides[side].sizes[axis])

    def typed(self) -> bool:
        """Whether the weights fit without a further condition on the sizes of the inputs."""

        def free(found: Settled) -> int:
            polys = [found.of(self.of(0, x)) for i in self.sides[0].inputs for x in i.layout]
            return len(frozenset().union(*(p.variables() for p in polys))) if polys else 0

        return free(self.ends) == free(self.all) and len(self.ends.rest) >= len(self.all.rest)

    def assignments(self, rng: random.Random) -> Iterator[tuple[dict[str, int], dict[str, int]]]:
        """Sizes of all axes on both sides: all 1, coprime, and mixed ones, and those beyond every position that is named, as far as the equations allow."""
        polys = [self.of(side, axis) for side in (0, 1) for axis in self.sides[side].sizes]
        polys = [self.all.of(p) for p in polys]
        names = sorted({v for p in (*polys, *self.all.rest) for v in p.variables()})
        found: list[dict[str, int]] = []
        for attempt in range(400):
            if attempt == 0:
                values = dict.fromkeys(names, 1)
            elif attempt % 2 and len(names) <= len(PRIMES) and attempt < 40:
                values = dict(zip(names, rng.sample(PRIMES, len(names)), strict=True))
            else:
                values = {v: rng.randint(1, 2 + attempt % 4) for v in names}
            if values in found or any(p.evaluate(values) for p in self.all.rest):
                continue
            if any(not 1 <= p.evaluate(values) <= LARGEST for p in polys):
                continue
            sides = tuple(
                {x: self.all.of(self.of(side, x)).evaluate(values) for x in self.sides[side].sizes} for side in (0, 1)
            )
            if any(_volume(d, s) > LARGEST for d, s in zip(self.sides, sides, strict=True)):
                continue
            found.append(values)
            yield sides[0], sides[1]
            if len(found) == 4 or not names:
                break
        place = largest_place(*self.sides)
        if not max((n for v in found for n in v.values()), default=0) < place + 1 <= FAR:
            return
        for name in names:
            values = {**dict.fromkeys(names, 2), name: place + 2}
            sides = tuple({x: self.all.of(self.of(k, x)).evaluate(values) for x in d.sizes} for k, d in enumerate(self.sides))
            fits = all(1 <= p.evaluate(values) <= LARGEST for p in polys) and not any(p.evaluate(values) for p in self.all.rest)
            if fits and all(_volume(d, s) <= LARGEST for d, s in zip(self.sides, sides, strict=True)):
                yield sides[0], sides[1]


def _volume(diagram: Diagram, sizes: Mapping[str, int]) -> int:
    """The points of the largest box; of a loop, those of the largest box in it, at every step."""

    def of(node: Node) -> int:
        if node.op.body is None:
            return prod(sizes[a] for a in (*node.own, *node.lifts))
        return sizes[node.own[0]] * _volume(opened(diagram, node), sizes)

    return max(map(of, diagram.nodes), default=1)


# values ---------------------------------------------------------------------------------------


def _evaluate(
    a: Diagram, b: Diagram, pairs: list[_Pair] | None, inner: list[tuple[str, str]], same_term: bool, seed: int,
    module: Build | None,
) -> tuple[bool | None, Counterexample | None]:  # fmt: skip
    if a.holes or b.holes or any(n.op.random for d in (a, b) for n in d.nodes):
        return None, None
    if _signature(a) != _signature(b):
        return False, None
    if pairs is None:
        return None, None
    sizes = _Sizes(a, b, pairs, inner)
    if not same_term and not sizes.typed():
        return None, None
    build = module or _compiled
    decided = False
    for mine, theirs in sizes.assignments(random.Random(seed)):
        try:
            modules = build(a, mine), build(b, theirs)
        except AnatomyError:
            continue
        same = _agree(a, modules, (mine, theirs), pairs, seed)
        if isinstance(same, Counterexample):
            return False, same
        decided = decided or same is True
    return (True if decided else None), None


def _compiled(diagram: Diagram, sizes: Mapping[str, int]) -> nn.Module:
    import torch

    from anatomy.compiler import DIFFERENTIABLE, build

    return build(diagram, sizes, dtype=torch.float64, passes=DIFFERENTIABLE)


def _agree(
    a: Diagram, modules: tuple[nn.Module, nn.Module], sizes: tuple[dict[str, int], dict[str, int]],
    pairs: list[_Pair], seed: int,
) -> bool | Counterexample | None:  # fmt: skip
    """Whether the modules agree at random points and where all is 0, or one where they do not; None where nothing but nan came out."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    decided = False
    with torch.no_grad():
        masks = any(a.wires[i.wire].kind.name == "mask" for i in a.inputs)
        for scale, truth in ((1.0, None), (0.3, None), *(((1.0, False), (1.0, True)) if masks else ()), (0.0, None)):
            states: tuple[dict[str, torch.Tensor], ...] = ({}, {})
            for pair in pairs:
                shape = [sizes[0][x] for x, _ in pair.axes]
                value = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
                order = [[y for _, y in pair.axes].index(y) for y in pair.right.layout]
                states[0].update(dict.fromkeys(pair.left.keys, value))
                states[1].update(dict.fromkeys(pair.right.keys, value.permute(order)))
            for module, state in zip(modules, states, strict=True):
                module.load_state_dict(state, strict=False)
            inputs = [_input(a, k, sizes[0], scale, generator, truth) for k in range(len(a.inputs))]
            results = [module(*inputs) for module in modules]
            pairs_of = zip(*(r if isinstance(r, tuple) else (r,) for r in results), strict=True)
            for left, right in pairs_of:
                if left.shape != right.shape or left.dtype.is_floating_point != right.dtype.is_floating_point:
                    return Counterexample(sizes, seed, scale, math.inf)
                mine, theirs = left.double(), right.double()
                if scale == 0:  # what is undefined on both sides there may be so in different ways
                    neither = ~mine.isfinite() & ~theirs.isfinite()
                    mine, theirs = mine.masked_fill(neither, 0), theirs.masked_fill(neither, 0)
                if not _close(mine, theirs):
                    return Counterexample(sizes, seed, scale, _apart(mine, theirs))
                decided = decided or not bool(left.isnan().all()) if left.numel() else decided
    return True if decided else None


def _close(left: torch.Tensor, right: torch.Tensor) -> bool:
    import torch

    finite = left[left.isfinite()]
    scale = float(finite.abs().max()) if finite.numel() else 0.0
    return torch.allclose(left, right, rtol=TOLERANCE, atol=TOLERANCE * max(scale, 1e-300), equal_nan=True)


def _apart(left: torch.Tensor, right: torch.Tensor) -> float:
    """The largest difference; infinite where one is not a number and the other is."""
    gap = (left - right).abs()
    gap[(left == right) | (left.isnan() & right.isnan())] = 0.0
    return float(gap.nan_to_num(nan=math.inf).max())


def _input(
    diagram: Diagram, k: int, sizes: Mapping[str, int], scale: float, generator: torch.Generator, truth: bool | None = None
) -> torch.Tensor:  # fmt: skip
    import torch

    item = diagram.inputs[k]
    kind = diagram.wires[item.wire].kind
    shape = [sizes[x] for x in item.layout]
    match kind.name:
        case "mask":
            drawn = torch.rand(shape, generator=generator) < 0.7
            return drawn if truth is None else torch.full_like(drawn, truth)
        case "index":
            return torch.randint(sizes[kind.axis], shape, generator=generator)
        case _:
            return scale * torch.randn(shape, generator=generator, dtype=torch.float64)
