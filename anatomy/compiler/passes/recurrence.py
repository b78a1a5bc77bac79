"""The box of a linear recurrence that queries read: products of matrices within chunks of steps, a state only between them.

For `S_t = a_t S_(t-1) + k_t v_t^T` and `y_t = q_t S_t`, with `D_tj` the product of `a_i` over `j < i <= t` and `S` the state before a chunk,

    y_t = q_t D_t S + sum_(j <= t in the chunk) <q_t, D_tj k_j> v_j.

No `[steps, keys, values]` ever stands in memory. Decays come as they are, of any sign and also 0: only products of them are
made, never quotients or logarithms. With decays of every key the sum is taken by halves of halves, each decayed to the
boundary between them, and so with decays of every value. What is written may be corrected by what is read, `v_t - r_t a_t S_(t-1)`: a triangular system in each chunk.
Sources: Hua et al., Transformer quality in linear time, 2022 (arXiv 2202.10447), section 3.2; Yang et al., Gated linear attention
transformers, 2023 (arXiv 2312.06635), section 4; Yang et al., 2024 (arXiv 2406.06484), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from anatomy.compiler.passes.kernel import LONG, four
from anatomy.ir.bound import Bound, BoundContext
from anatomy.ir.code import Emitter, Operand
from anatomy.ir.glyph import Glyph
from anatomy.ir.op import Op


@dataclass(frozen=True)
class Recurrence(Op):
    """`y_t = q_t S_t`, of the states above; own axes: the steps, keys, values. Also the last state, where it is asked for.

    Ports: q, k, v, then a, r and the state before the first step, where there are such. Lanes are all other axes.
    """

    keys: int = 1
    values: int = 1
    decay: bool = False
    by_value: bool = False
    """The decay has axes of the values, and none of the keys."""
    read: bool = False
    start: bool = False
    before: bool = False
    """Queries read the state before the step and not after it."""
    alone: bool = False
    """There is no port of values: they are 1."""
    ones: bool = False
    """One value more, which is 1: the sums of the weights are a second result."""
    end: bool = False
    """The last state is one more result."""
    zips: ClassVar[bool] = True

    @property
    def word(self) -> str:
        return "recurrence"

    def gives(self, own: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        keys, values = own[1 : 1 + self.keys], own[1 + self.keys :]
        return ((own[0], *values), *([own[:1]] * self.ones), *([(*keys, *values)] * self.end))

    def bound(self, ctx: BoundContext) -> list[Bound]:
        raise ctx.unproved("a box of the compiler has no bound; the diagram that it was made from has")

    def last(self, own: tuple[str, ...]) -> tuple[str, ...]:
        return own[1:]

    def glyph(self, own: tuple[str, ...]) -> Glyph:
        return Glyph("box", f"recurrence {own[0]}")

    def lower(self, emit: Emitter) -> list[Operand]:
        own = emit.node.own
        along, keys, values = own[0], own[1 : 1 + self.keys], own[1 + self.keys :]
        given = [emit.tensor(k) for k in range(len(emit.node.ports))]
        lanes = emit.order(tuple(a for o in given for a in o.axes if a not in own))
        lead = [(a,) for a in lanes]
        shapes = [keys, keys, *([values] * (not self.alone)), *([values if self.by_value else keys] * self.decay), *([keys] * self.read)]
        ports = [four(emit, x, (*lead, (along,), s), False) for x, s in zip(given, shapes, strict=False)]
        if self.start:
            ports.append(four(emit, given[-1], (*lead, keys, values), True))
        ports = [self._short(emit, p) for p in ports]
        if self.alone:
            ports[1] = emit.named(Operand(ports[1], ("",))).code
            ports.insert(2, f"torch.ones_like({ports[1]}[..., :1])")
        elif self.ones:
            ports[2] = f"F.pad({ports[2]}, (0, 1), value=1.0)"
        first = ports[0]
        if self.before:
            first = emit.named(Operand(first, ("",))).code
            ports[0] = f"F.pad({first}[..., 1:, :], (0, 0, 0, 1))"
        rest = dict(zip(["a"] * self.decay + ["r"] * self.read + ["s"] * self.start, ports[3:], strict=True))
        call = ", ".join([*ports[:3], *(f"{n}={rest[n]}" for n in "sar" if n in rest)])
        code = f"{emit.helper('recurrence_of_values' if self.by_value else 'recurrence')}({call})"
        if self.end:
            code = emit.named(Operand(code, ("",))).code
        y, end = f"{code}[0]", f"{code}[1]"
        if self.before and self.start:
            y = f"torch.cat(({first}[..., :1, :] @ {rest['s']}, {y}[..., :-1, :]), -2)"
        elif self.before:
            y = f"F.pad({y}[..., :-1, :], (0, 0, 1, 0))"
        if self.ones:
            y = emit.named(Operand(y, ("",))).code
        apart = self._apart(emit, (values,)) if values else "[..., 0]"
        outs = [Operand(y + "[..., :-1]" * (self.ones and bool(values)) + apart, (*lanes, along, *values))]
        outs += [Operand(f"{y}[..., -1]", (*lanes, along))] * self.ones
        outs += [Operand(end + self._apart(emit, (keys, values)), (*lanes, *keys, *values))] * self.end
        return outs

    def _short(self, emit: Emitter, code: str) -> str:
        return code if len(code) <= LONG else emit.named(Operand(code, ("",))).code

    def _apart(self, emit: Emitter, groups: tuple[tuple[str, ...], ...]) -> str:
        """The last dimensions as the axes that they are made of."""
        code = ""
        for k, group in enumerate(groups):  # those in front first, counted from the end, where nothing is taken apart yet
            if len(group) > 1:
                code += f".unflatten({k - len(groups)}, ({', '.join(map(emit.extent, group))}))"
        return code
