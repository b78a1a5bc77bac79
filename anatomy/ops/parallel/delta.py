"""`next s = a * s + p * c + u` with `c = dot[E](k, s)`: what is read along the way solves a triangular system.

Converts: the delta rule, `next s = s + k * b * (v - dot[E](k, s))`, and its kin with a decay `a`.
Conditions: `a` has no axis of `E`. Then, with `D_tj` the product of `a` over the steps between `j` and `t`, and `r` the states
before each step of the loop without its read, `next r = a * r + u`,

    c_t - sum_(j < t) D_tj dot[E](k_t, p_j) c_j = dot[E](k_t, r_t),

a system with ones on its diagonal, whatever the keys. Given `c`, the loop is affine in its state.
Source: Yang et al., Parallelizing linear transformers with the delta rule over sequence length, 2024 (arXiv 2406.06484),
section 3, there for p_t = -b_t k_t.
"""

from __future__ import annotations

from dataclasses import dataclass

from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op


@dataclass(frozen=True)
class Decays(Op):
    """`D_tj`, the product of `a_i` over `j < i < t`, of one operand; own axes: t and j, of one size. 1 where there is none."""

    symmetric = False

    @property
    def word(self) -> str:
        return "decays"

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(own[:1]), frozenset(own[:1])

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own,)

    def lower(self, emit: Emitter) -> list[Operand]:
        t, j = emit.node.own
        a = emit.tensor(0)
        rest = tuple(x for x in a.axes if x != t)
        return [Operand(f"{emit.helper('decays')}({emit.permute(a, (*rest, t)).code})", (*rest, t, j))]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        raise ctx.unproved("a box of compiled loops has no rule")

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", f"decays {own[0]}")


@dataclass(frozen=True)
class Solve(Op):
    """`c` with `c_t - sum_(j < t) g_tj c_j = r_t`, of operands `g` and `r`; own axes: t and j, of one size."""

    arity = (2, 2)
    symmetric = False

    @property
    def word(self) -> str:
        return "solve"

    def takes(self, own: tuple[str, ...], port: int, ports: int) -> tuple[frozenset[str], frozenset[str]]:
        axes = frozenset(own if port == 0 else own[:1])
        return axes, axes

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return (own[:1],)

    def lower(self, emit: Emitter) -> list[Operand]:
        t, j = emit.node.own
        g, r = emit.tensor(0), emit.tensor(1)
        many = emit.order(tuple(x for x in g.axes if x not in (t, j)))
        columns = emit.order(tuple(x for x in r.axes if x != t and x not in many))
        g = emit.permute(g, (*many, t, j))
        r = emit.permute(r, (*(x for x in many if x in r.axes), t, *columns))
        if any(x not in r.axes for x in many):
            index = ", ".join(":" if x in r.axes else "None" for x in (*many, t, *columns))
            r = Operand(f"{r.atom}[{index}]", (*many, t, *columns))
        return [Operand(f"{emit.helper('triangular')}({g.code}, {r.code}, {len(many)})", (*many, t, *columns))]

    def bound(self, ctx: BoundContext) -> list[Bound]:
        raise ctx.unproved("a box of compiled loops has no rule")

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", f"solve {own[0]}")
