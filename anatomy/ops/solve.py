"""`solve_triangular[n, m](a, b)`: the solution of a lower triangular system."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from anatomy.ir.bound import Bound, BoundContext, magnitude, mul, up
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op, Problem
from anatomy.ir.poly import Poly


@dataclass(frozen=True)
class Solve(Op):
    """`x` over the columns m with `sum_(m <= n) a_nm x_m = b_n` for every row n, by substitution from the first on.

    Only entries on and below the diagonal (positions `m <= n`) are read; with `unit` only those below it, and the
    diagonal is taken for 1. A zero on the diagonal gives infinities. Rows and columns have provably equal sizes.
    Source: Golub and Van Loan, Matrix Computations, section 3.1; `torch.linalg.solve_triangular`.
    """

    names: ClassVar[tuple[str, ...]] = ("solve_triangular",)
    form = "axes"
    arity = (2, 2)
    symmetric = False
    knows_position = True
    looks = "lower"
    options: ClassVar[tuple[str, ...]] = ("unit",)
    flags: ClassVar[frozenset[str]] = frozenset({"unit"})
    unit: bool = False

    @classmethod
    def make(cls, word: str, options: dict[str, float]) -> Solve:
        return cls(bool(options.get("unit", False)))

    @property
    def word(self) -> str:
        return "solve_triangular"

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        given = frozenset(own if port == 0 else own[:1])
        return given, given

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own[1:],)

    def check(self, own: tuple[str, ...], ports: Sequence[tuple[str, ...]]) -> None:
        if len(own) != 2:
            raise Problem("E311", f"`solve_triangular` takes the axis of the rows and that of the columns, but {len(own)} {'is' if len(own) == 1 else 'are'} named")

    def equations(self, own: tuple[str, ...], size: Callable[[str], Poly], ports: int) -> list[tuple[Poly, Poly, str]]:
        return [(size(own[0]), size(own[1]), "a triangular matrix is square")]

    def lower(self, emit: Emitter) -> list[Operand]:
        rows, columns = emit.node.own
        a, b = emit.tensor(0), emit.tensor(1)
        batch = emit.order(tuple(x for x in a.axes if x not in (rows, columns)))
        free = emit.order(tuple(x for x in b.axes if x not in batch and x != rows))
        a, b = emit.permute(a, (*batch, rows, columns)), emit.align(b, (*batch, rows, *free))
        if len(free) > 1:
            b = emit.named(b)
        side = f"{b.atom}.flatten({-len(free)})" if len(free) > 1 else b.code if free else f"{b.atom}.unsqueeze(-1)"
        code = f"torch.linalg.solve_triangular({a.code}, {side}, upper=False{', unitriangular=True' if self.unit else ''})"
        if len(free) > 1:
            code += f".unflatten(-1, {b.code}.shape[{-len(free)}:])"
        elif not free:
            code += ".squeeze(-1)"
        return [Operand(code, (*batch, columns, *free))]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        rows, columns = ctx.node.own
        a, b = ctx.port(0), ctx.port(1)
        if not self.unit:
            raise ctx.unproved("its diagonal is not proved to stay away from 0; with `unit=true` it is 1")
        # |x_i| <= |b_i| + c sum_(j < i) |x_j| with c >= |a_ij| gives |x_i| <= (1 + c)^i max |b| for i = 0, 1, ...; the same
        # bound holds for absolute row sums and (reading the inverse by columns) column sums of the inverse.
        c, growth = magnitude(a.entry), 1.0
        for _ in range(ctx.size(rows) - 1):
            growth = mul(growth, up(1.0 + c))
        size = mul(growth, magnitude(b.entry))
        # dx = a^-1 (db - da x): the derivative of `b - a x` at a fixed x, and then the inverse.
        return [ctx.substituted(a, b, rows, columns, growth, size)]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", f"solve {' '.join(own)}", detail="unit lower triangular" if self.unit else "lower triangular")
