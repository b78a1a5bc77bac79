"""`dot[axes](a, b, ...)`: multiply by name and sum over the named axes, any number of operands."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand, dims
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op, Problem
from anatomy.ir.poly import Poly


@dataclass(frozen=True)
class Contract(Op):
    """Contraction: `y = sum_own prod_p x_p`; shared axes that are not named are zipped (ruling 8)."""

    names: ClassVar[tuple[str, ...]] = ("dot",)
    form = "axes"
    arity = (2, None)
    commutative = True
    algebra = "multilinear"

    @property
    def word(self) -> str:
        return "dot"

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(own), frozenset()

    def check(self, own: tuple[str, ...], ports: Sequence[tuple[str, ...]]) -> None:
        for axis in own:
            holders = [k for k, axes in enumerate(ports) if axis in axes]
            if len(holders) < 2:
                lacking = next(k for k in range(len(ports)) if k not in holders)
                raise Problem(
                    "E306",
                    f"`dot` contracts axis `{axis}`, which operand {lacking + 1} lacks",
                    lacking,
                    axis,
                    help=f"a contracted axis stands on two operands or more; sum it alone with `sum[{axis}](...)`",
                )

    def contraction(self) -> Op:
        return self

    def lower(self, emit: Emitter) -> list[Operand]:
        operands = [emit.real(k) for k in range(len(emit.node.ports))]
        scalars = [o for o in operands if o.scalar]
        tensors = [o for o in operands if not o.scalar]
        return [einsum(emit, tensors, scalars, frozenset(emit.node.own))]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        return [ctx.product([ctx.port(k) for k in range(len(ctx.node.ports))], ctx.node.own)]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("contract", f"dot {', '.join(own)}")

    def flops(self, work: Poly) -> Poly:
        return 2 * work


def einsum(emit: Emitter, tensors: Sequence[Operand], scalars: Sequence[Operand], summed: frozenset[str]) -> Operand:
    """One `torch.einsum` for two operands; more are contracted in pairs, in the order that opt_einsum finds cheapest.

    The order is fixed here and not by torch at run time, which would tie a traced module to the sizes it was traced at.
    """
    left = list(tensors)
    wanted = {a for o in tensors for a in o.axes} - summed
    for pair in _order(emit, tensors, wanted) if len(tensors) > 2 else []:
        taken = [left[k] for k in pair]
        left = [o for k, o in enumerate(left) if k not in pair]
        needed = wanted.union(*(o.axes for o in left))
        made = _contract(emit, taken, needed)
        left.append(emit.named(made) if left else made)
    result = left[0] if len(tensors) > 2 else _contract(emit, left, wanted)
    for scalar in scalars:
        result = Operand(f"{result.atom} * {scalar.atom}", result.axes, bare=False)
    return result


def _contract(emit: Emitter, tensors: Sequence[Operand], kept: set[str]) -> Operand:
    letters = _letters(tensors)
    axes = emit.order(tuple(a for a in letters if a in kept))
    summed = tuple(a for a in letters if a not in kept)
    holders = {a: sum(a in o.axes for o in tensors) for a in letters}
    if len(tensors) == 1:
        x = tensors[0]
        return Operand(f"{x.atom}.sum({dims(x, summed)})", tuple(a for a in x.axes if a in kept)) if summed else x
    if len(tensors) == 2 and (not summed or _by_entry(tensors, holders, kept)):
        both = emit.order(tuple(letters))
        a, b = (emit.align(o, both) for o in tensors)
        made = Operand(f"{a.atom} * {b.atom}", both, bare=False)
        return Operand(f"{made.atom}.sum({dims(made, summed)})", axes) if summed else made
    spec = ",".join("".join(letters[a] for a in o.axes) for o in tensors)
    target = "".join(letters[a] for a in axes)
    return Operand(f'torch.einsum("{spec}->{target}", {", ".join(o.code for o in tensors)})', axes)


def _by_entry(tensors: Sequence[Operand], holders: dict[str, int], kept: set[str]) -> bool:
    """Whether a product of entries and a sum are less than a product of matrices, which is one of vectors or has to move its operands."""
    if any(n == 1 and a not in kept for a, n in holders.items()):
        return False
    new = [o for o in tensors if any(holders[a] == 1 for a in o.axes)]
    return not new or (len(new) == 1 and any(n == 2 and a in kept for a, n in holders.items()) and new[0].axes[-1] in kept and holders[new[0].axes[-1]] == 2)


def _order(emit: Emitter, tensors: Sequence[Operand], kept: set[str]) -> list[tuple[int, ...]]:
    from opt_einsum import contract_path

    letters = _letters(tensors)
    spec = ",".join("".join(letters[a] for a in o.axes) for o in tensors)
    target = "".join(letter for a, letter in letters.items() if a in kept)
    shapes = [tuple(emit.likely(a) for a in o.axes) for o in tensors]
    path, _ = contract_path(f"{spec}->{target}", *shapes, shapes=True)
    return [tuple(sorted(pair)) for pair in path]


def _letters(tensors: Sequence[Operand]) -> dict[str, str]:
    axes = dict.fromkeys(a for o in tensors for a in o.axes)
    return dict(zip(axes, string.ascii_letters, strict=False))
