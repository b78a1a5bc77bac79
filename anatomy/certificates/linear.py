"""Linear operations: sums, and rearrangements of axes as explicit matrices of zeros and ones."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from flint import arb, fmpq

from anatomy.certificates.affine import Form, add, multiply
from anatomy.certificates.model import Broken, Node
from anatomy.certificates.state import Lacking, State, View
from anatomy.certificates.tensors import Tensor, count, plus, scalar, spend, tensor

NOTHING: frozenset[str] = frozenset()


def fraction(text: str) -> Fraction:
    """An exact rational `p/q`, of bounded length."""
    p, _, q = text.partition("/")
    if len(text) > 120 or not p.lstrip("-").isdecimal() or not (q or "1").isdecimal() or int(q or 1) == 0:
        raise Broken("graph", "an option is no rational number")
    return Fraction(int(p), int(q or 1))


def exact(x: Fraction) -> arb:
    return arb(fmpq(x.numerator, x.denominator))


def add_up(s: State, n: Node) -> None:
    a, b = (s.view(p, masked=True) for p in n.ports)
    hidden = [v for v in (a, b) if v.wire in s.masks]
    if len(hidden) > 1 or (hidden and n.op == "-" and b.wire in s.masks):
        raise Lacking("a masked value is used outside a softmax")
    if n.op == "-":
        b = View(b.wire, b.axes, b.tokens, multiply(b.form, scalar(-1), NOTHING, s.sizes), b.names)
    s.affine(n.outs[0], add(a.form, b.form, s.sizes), a.tokens | b.tokens)
    if hidden:  # -inf and what is finite add up to -inf
        hide(s, n.outs[0], a.axes | b.axes, s.masks[hidden[0].wire][0], hidden[0].names)


def hide(s: State, wire: int, axes: frozenset[str], mask: Tensor | None, names: dict[str, str]) -> None:
    """Marks a wire as -inf outside a mask; `mask` None: not known."""
    view = View(wire, axes, s.tokens[wire], s.forms[wire], {a: a for a in axes})
    s.masks[wire] = (None if mask is None else mask.rename(names), view)


def negative(s: State, n: Node) -> None:
    x = s.view(n.ports[0])
    s.affine(n.outs[0], multiply(x.form, scalar(-1), NOTHING, s.sizes), x.tokens)


def same(s: State, n: Node) -> None:
    x = s.view(n.ports[0])
    s.affine(n.outs[0], x.form, x.tokens)


def moved(s: State, wire: int, x: View, by: Tensor, gone: frozenset[str], new: dict[str, str]) -> None:
    """`sum over gone of x * by`; `new` gives the axes that the tensor brings their names in the result."""
    form = multiply(x.form, by, gone, s.sizes).rename(new)
    tokens = x.tokens - gone
    if gone and gone <= x.tokens:
        tokens |= frozenset(new.values())
    s.affine(wire, form, tokens)


def rearrange(s: State, n: Node) -> None:
    x, own = s.view(n.ports[0]), n.own
    size = [s.sizes[a] for a in own]
    spend(2 * math.prod(size) * (1 if n.op == "expand" else math.prod(size) if n.op[:3] in ("cum", "shi", "fft") else max(size)))
    match n.op:
        case "split" | "merge":
            whole, parts = (own[0], own[1:]) if n.op == "split" else (own[-1], own[:-1])
            if count(parts, s.sizes) != s.sizes[whole]:
                raise Broken("graph", f"`{n.op}` of sizes that do not fit")
            by = tensor((whole, *parts), np.eye(s.sizes[whole], dtype=int).reshape(s.sizes[whole], *(s.sizes[a] for a in parts)))
            gone, new = ({whole}, parts) if n.op == "split" else (set(parts), (whole,))
            moved(s, n.outs[0], x, by, frozenset(gone), {a: a for a in new})
        case "halves":
            if size[0] != 2 * size[1]:
                raise Broken("graph", "`halves` of sizes that do not fit")
            for k, out in enumerate(n.outs):
                by = np.zeros(size, dtype=int)
                by[np.arange(size[1]) + k * size[1], np.arange(size[1])] = 1
                moved(s, out, x, tensor(own, by), frozenset(own[:1]), {own[1]: own[1]})
        case "cumsum" | "shift":
            inside = "|in|" + own[0]
            s.sizes[inside] = size[0]
            x = s.renamed(x, {own[0]: inside})
            by = np.tri(size[0], dtype=int) if n.op == "cumsum" else np.eye(size[0], k=-_whole(n, "by", size[0]), dtype=int)
            moved(s, n.outs[0], x, tensor((own[0], inside), by), frozenset({inside}), {own[0]: own[0]})
        case "unfold":
            inside = "|in|" + own[0]
            s.sizes[inside] = size[0]
            x = s.renamed(x, {own[0]: inside})
            step, back = _whole(n, "step", 2**20), size[1] // 2 if n.options.get("centred") == "1" else size[1] - 1
            by = np.zeros((size[0], size[1], size[0]), dtype=int)
            for c in range(size[1]):
                by[:, c, :] = np.eye(size[0], k=min(max(step * (c - back), -size[0]), size[0]), dtype=int)
            moved(s, n.outs[0], x, tensor((*own, inside), by), frozenset({inside}), {a: a for a in own})
        case "expand":
            s.affine(n.outs[0], x.form, x.tokens | frozenset(own))
        case _:
            s.affine(n.outs[0], _fourier(s, n, x), x.tokens)


def _whole(n: Node, name: str, limit: int) -> int:
    value = fraction(n.options.get(name, "1"))
    if value.denominator != 1:
        raise Broken("graph", f"`{name}` is no integer")
    return max(-limit, min(limit, int(value)))


def _fourier(s: State, n: Node, x: View) -> Form:
    """cos or -sin of 2 pi sum_a i_a j_a / size a."""
    phase = scalar(0)
    for a in n.own:
        s.sizes["|in|" + a] = s.sizes[a]
        i = np.arange(s.sizes[a])
        exactly = np.vectorize(lambda k, m=s.sizes[a]: arb(fmpq(2 * (int(k) % m), m)), otypes=[object])
        phase = plus(phase, Tensor((a, "|in|" + a), exactly(np.outer(i, i)) if len(i) else np.empty((0, 0), dtype=object)))
    by = phase.each(arb.cos_pi if n.op == "fft_re" else lambda y: -y.sin_pi())
    x = s.renamed(x, {a: "|in|" + a for a in n.own})
    return multiply(x.form, by, frozenset("|in|" + a for a in n.own), s.sizes)


def lay(s: State, n: Node) -> None:
    given, whole = n.own[:-1], n.own[-1]
    names = given if len(given) > 1 else given * len(n.ports)
    if len(names) != len(n.ports) or sum(s.sizes[a] for a in names) != s.sizes[whole]:
        raise Broken("graph", "`cat` of sizes that do not fit")
    views = [s.view(p, masked=True) for p in n.ports]
    form, before, tokens = None, 0, NOTHING
    masks: Tensor | None = None
    as_token = all(a in v.tokens for a, v in zip(names, views, strict=True) if v.value is None)
    for a, v in zip(names, views, strict=True):
        inside = "|in|" + a
        s.sizes[inside] = s.sizes[a]
        spend(s.sizes[whole] * s.sizes[a])
        by = tensor((whole, inside), np.eye(s.sizes[whole], s.sizes[a], k=-before, dtype=int))
        v = s.renamed(v, {a: inside})
        piece = multiply(v.form, by, frozenset({inside}), s.sizes)
        form = piece if form is None else add(form, piece, s.sizes)
        if any(w.wire in s.masks for w in views):
            mask = s.masks[v.wire][0] if v.wire in s.masks else scalar(1)
            if mask is None:
                raise Lacking("the mask is not known")
            mask = multiply(Form((), mask.rename(v.names)), by, frozenset({inside}), s.sizes).value
            assert mask is not None
            masks = mask if masks is None else plus(masks, mask)
        before, tokens = before + s.sizes[a], tokens | (v.tokens - {inside})
    assert form is not None
    s.affine(n.outs[0], form, tokens | ({whole} if as_token else NOTHING))
    if masks is not None:
        hide(s, n.outs[0], frozenset().union(*(v.axes for v in views)) - set(given) | {whole}, boolean(masks), {})


def boolean(x: Tensor) -> Tensor:
    """A mask, whose entries are 0 and 1 exactly."""
    if any(not (y.is_zero() or (y - 1).is_zero()) for y in x.data.ravel()):
        raise Lacking("a mask is not decided")
    return x
