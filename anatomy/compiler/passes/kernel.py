"""The box of a fused kernel: `F.scaled_dot_product_attention`, written so that it stays on its fast path.

Measured with PyTorch 2.13 on a processor (`torch._fused_sdp_choice`), and kept by construction here: the fast path wants four
dimensions, as many features as values, a last dimension without strides, and a mask of two or four dimensions that needs no
gradient. Operands that lack a batch axis are expanded, which costs nothing. A bias of keys alone becomes features of the keys.
A bias that needs a gradient leaves the fast path while it is trained; nothing is lost against the naive code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op

Groups = Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Scaled(Op):
    """A wire times a whole number."""

    number: int = 1
    algebra = "linear"

    @property
    def word(self) -> str:
        return "scaled"

    def bound(self, ctx: BoundContext) -> list[Bound]:
        raise ctx.unproved("a box of the compiler has no bound; the diagram that it was made from has")

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("dot", f"× {self.number}")

    def lower(self, emit: Emitter) -> list[Operand]:
        x = emit.tensor(0)
        return [Operand(f"{self.number} * {x.atom}", x.axes, bare=False)]


LONG = 40
"""Operands of the call are written inside of it up to this length."""


@dataclass(frozen=True)
class FusedAttention(Op):
    """`y = sum_keys softmax_keys(scale <q, k> + bias, where mask) v`; own axes: keys, features, rows, values, further features.

    Ports: q, k, v, further q and k whose products are added, then the factors of the scale, then masks, biases of rows and keys, and biases of keys alone.
    """

    keys: int = 1
    features: int = 1
    rows: int = 1
    values: int = 1
    factors: tuple[str, ...] = ()
    """For every factor of the scale `*` or `/`."""
    number: int = 1
    """One more factor of the scale."""
    masks: int = 0
    causal: bool = False
    """Row i sees keys 0 to i, and the mask is not a port."""
    biases: tuple[str, ...] = ()
    """For every bias of rows and keys its sign."""
    key_biases: tuple[str, ...] = ()
    """For every bias of keys its sign."""
    shifted: bool = False
    """A bias of keys is of positions, and stands for one of differences of positions."""
    sink: bool = False
    """One key more, without a value."""
    logit: bool = False
    """The score of the sink is the last port; else it is 0."""
    blocks: tuple[str, ...] = ()
    """Where keys are read by blocks of queries, what the last ports are; and what more is told of the blocks."""
    told: str = ""
    first: int = 0
    """So many rows are computed, the others are 0; none: all are computed."""
    more: tuple[int, ...] = ()
    """For every further product how many axes of features it has."""
    zips: ClassVar[bool] = True

    @property
    def word(self) -> str:
        return "attention"

    def parts(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """Keys, features, rows, values, and the features of further products."""
        ends = [0]
        for count in (self.keys, self.features, self.rows, self.values, *self.more):
            ends.append(ends[-1] + count)
        return tuple(own[a:b] for a, b in pairwise(ends))

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        _, _, rows, values, *_ = self.parts(own)
        return (rows + values,)

    def bound(self, ctx: BoundContext) -> list[Bound]:
        raise ctx.unproved("a box of the compiler has no bound; the diagram that it was made from has")

    def last(self, own: tuple[str, ...]) -> tuple[str, ...]:
        _, features, _, values, *more = self.parts(own)
        return features + values + sum(more, ())

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("normalise", "attention")

    def lower(self, emit: Emitter) -> list[Operand]:
        own = emit.node.own
        keys, features, rows, values, *more = self.parts(own)
        ports = [emit.tensor(k) for k in range(3 + 2 * len(more))]
        all_keys = ports[1:2] + ports[4::2]
        at = len(ports)
        scale, spread = "" if self.number == 1 else str(self.number), []
        for sign in self.factors:
            factor = emit.operand(at)
            at += 1
            if not factor.scalar:
                spread.append((sign, factor))
            else:
                scale = f"{scale or '1'} {sign} {factor.atom}" if scale or sign == "/" else factor.atom
        scale = scale or "1.0"
        first = at
        masks = [emit.operand(at + k) for k in range(self.masks)]
        at += self.masks
        biases = [(s, emit.tensor(at + k)) for k, s in enumerate(self.biases)]
        at += len(biases)
        beside = [(s, emit.tensor(at + k)) for k, s in enumerate(self.key_biases)]
        logit = emit.tensor(at + len(beside)) if self.logit else None
        given = [*ports, *masks, *(b for _, b in biases), *(b for _, b in beside), *([logit] if logit else [])]
        batch = emit.order(tuple(a for o in given for a in o.axes if a not in own))
        shared = tuple(a for a in batch if not any(a in o.axes for o in (*all_keys, ports[2])))  # one key for several queries
        apart = tuple(a for a in batch if a not in shared)
        if shared and self.blocks:
            apart, shared = batch, ()
        if shared:
            few = apart[-1:] if len(apart) > 1 else ()
            lead: Groups = (apart[: len(apart) - len(few)], (*few, *shared))
            lead_k: Groups = (lead[0], few)
        else:
            lead = lead_k = (apart[:-1], apart[-1:])
        q = four(emit, ports[0], (*lead, rows, features), True)
        k = four(emit, ports[1], (*lead_k, keys, features), True)
        v = four(emit, ports[2], (*lead_k, keys, values), True)
        if more:
            q = beside_one_another(emit, q, [four(emit, x, (*lead, rows, f), True) for x, f in zip(ports[3::2], more, strict=True)])
            k = beside_one_another(emit, k, [four(emit, x, (*lead_k, keys, f), True) for x, f in zip(ports[4::2], more, strict=True)])
        for sign, factor in spread:  # a number that is no Python number, such as a learned temperature
            q = f"({q} {sign} {factor.atom})"
        wide, deep = total([number(emit, f) for f in (features, *more)]), number(emit, values)
        if beside:
            bias = signed([(s, four(emit, b, (*lead_k, keys, ()), False)) for s, b in beside])
            bias = over(f"({bias})" if len(beside) > 1 or bias.startswith("-") else bias, scale)
            bias = f"{emit.helper('precise')}({bias})" if self.shifted else bias
            k = f"{emit.helper('beside')}({k}, {bias})"
            q, wide = f"F.pad({q}, (0, 1), value=1.0)", None if wide is None else wide + 1
        if logit is not None:
            k = f"{emit.helper('sink')}({k}, {over(four(emit, logit, (*lead_k, (), ()), False), scale)})"
            q, wide = f"F.pad({q}, (0, 1), value=1.0)", None if wide is None else wide + 1
        elif self.sink:
            k = f"F.pad({k}, (0, 0, 1, 0))"
        if self.sink:
            v = f"F.pad({v}, (0, 0, 1, 0))"
            q = f"F.pad({q}, (0, 0, 1, 0))" if self.causal else q
        cut = wide is not None and deep is not None and wide > deep
        if cut:
            v = f"F.pad({v}, (0, {wide - deep}))"  # type: ignore[operator]
        elif wide is not None and deep is not None and wide < deep:
            q, k = f"F.pad({q}, (0, {deep - wide}))", f"F.pad({k}, (0, {deep - wide}))"
        q, k, v = (c if len(c) <= LONG else emit.named(Operand(c, ("",))).code for c in (q, k, v))
        call, helper = [f"{q}[:, :, :{self.first}]" if self.first else q, k, v], "F.scaled_dot_product_attention"
        if self.blocks:
            helper, end = emit.helper("window"), len(emit.node.ports) - len(self.blocks)
            call += [f"{name}={emit.operand(end + j).code}" for j, name in enumerate(self.blocks)]
            call += [self.told] if self.told else []
        elif self.causal:
            call.append("is_causal=True")
        elif masks or biases:
            call.append(f"attn_mask={self._mask(emit, lead, rows, keys, masks, biases, range(first, first + len(masks) + len(biases)))}")
        if shared:
            call.append("enable_gqa=True")
        call.append(f"scale={scale}")
        code = f"{helper}({', '.join(call)})"
        if self.sink and self.causal:
            code += "[..., 1:, :]"
        if cut:
            code += f"[..., :{deep}]"
        if self.first:
            code = f"F.pad({code}, (0, 0, 0, torch.sym_max({emit.extent(rows[0])} - {self.first}, 0)))"
        return [Operand(code + back(emit, lead, rows, values), (*lead[0], *lead[1], *rows, *values))]

    def _mask(
        self, emit: Emitter, lead: Groups, rows: tuple[str, ...], keys: tuple[str, ...], masks: list[Operand], biases: list[tuple[str, Operand]],
        at: Sequence[int],
    ) -> str:  # fmt: skip
        """One mask of two dimensions, or of four."""
        axes = {a for o in (*masks, *(b for _, b in biases)) for a in o.axes}
        groups = (rows, keys) if axes <= {*rows, *keys} else (*lead, rows, keys)
        seen = " & ".join(four(emit, m, groups, False) for m in masks)
        if not biases:
            seen = f"F.pad({seen}, (1, 0), value=True)" if self.sink else seen
            return emit.named(Operand(seen, ("",)), at).code
        bias = signed([(s, four(emit, b, groups, False)) for s, b in biases])
        if masks:
            bias = f'torch.where({seen}, {bias}, float("-inf"))'
        bias = f"F.pad({bias}, (1, 0))" if self.sink else bias
        return emit.named(Operand(bias, ("",)), at).code


def four(emit: Emitter, x: Operand, groups: Groups, fill: bool) -> str:
    """A value with one dimension for every group of axes; groups that it lacks are repeated, or of size 1 where `fill` is false."""
    wanted = [a for g in groups for a in g]
    last = x.axes[-1:]
    x = emit.permute(x, tuple(a for a in wanted if a in x.axes))
    if fill and x.axes[-1:] != last:
        x = Operand(f"{x.atom}.contiguous()", x.axes)  # the kernel wants a last dimension without strides
    slots: list[str | None] = []  # the dimensions before groups are joined; None: of size 1
    counts: list[int] = []
    for group in groups:
        here: list[str | None] = [None] if not group or not (fill or set(group) & set(x.axes)) else list(group)
        slots += here
        counts.append(len(here))
    code = x.atom
    index = [":" if s in x.axes else "None" for s in slots]
    while index and index[-1] == ":":
        index.pop()
    if "None" in index:
        code += f"[{', '.join(index)}]"
    if any(s is not None and s not in x.axes for s in slots):
        sizes = ["-1" if s in x.axes or s is None else emit.extent(s) for s in slots]
        code += f".expand({', '.join(sizes)})"
    end = len(slots)
    for count in reversed(counts):
        if count > 1:
            code += f".flatten({end - count}, {end - 1})"
        end -= count
    return code


def beside_one_another(emit: Emitter, first: str, rest: Sequence[str]) -> str:
    """Features of several products in one last dimension."""
    return emit.named(Operand(f"torch.cat(({', '.join((first, *rest))}), -1)", ("",), bare=True)).code


def total(numbers: Sequence[int | None]) -> int | None:
    """A sum, where all are known."""
    known = [n for n in numbers if n is not None]
    return sum(known) if len(known) == len(numbers) else None


def back(emit: Emitter, lead: Groups, rows: tuple[str, ...], values: tuple[str, ...]) -> str:
    """From four dimensions to the axes of the groups."""
    code = ""
    groups = (*lead, rows, values)
    for k in reversed(range(4)):
        if len(groups[k]) > 1:
            code += f".unflatten({k}, ({', '.join(map(emit.extent, groups[k]))}))"
    if not values:
        code += ".squeeze(-1)"
    missing = sum(not g for g in lead)
    return code + ("" if not missing else "[0]" if missing == 1 else "[0, 0]")


def number(emit: Emitter, axes: tuple[str, ...]) -> int | None:
    """The product of sizes, where all are known."""
    sizes = [emit.size(a) for a in axes]
    return prod(map(int, sizes)) if all(s.isdigit() for s in sizes) else None


def signed(terms: Sequence[tuple[str, str]]) -> str:
    """A sum with signs."""
    first, *rest = terms
    code = first[1] if first[0] == "+" else f"-{first[1]}"
    return code + "".join(f" {sign} {term}" for sign, term in rest)


def over(code: str, scale: str) -> str:
    """A value divided by the scale, so that the scale gives it back."""
    rest = scale.removeprefix("1 / ")
    if scale == "1.0":
        return code
    return f"{code} * {rest}" if rest != scale and " " not in rest else f"{code} / ({scale})"
