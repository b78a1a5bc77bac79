"""Lookups, tables, the greatest entries and sorting, against PyTorch with explicit indices, values and gradients."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

import anatomy
from anatomy.language.unparse import unparse

AXES = "axis n, m, p, c, r, v, d, b, k = m\n"


def module(signature: str, body: str, lift: tuple[str, ...] = (), **given: int) -> torch.nn.Module:
    """Compiled, after what is printed has been shown to be the same diagram."""
    diagram = anatomy.parse(f"{AXES}diagram it{signature} {{ {body} }}")["it"]
    again = anatomy.parse(unparse(diagram))["it"]
    assert anatomy.equal(diagram, again).isomorphic, unparse(diagram)
    return anatomy.compile(diagram, given, lift=lift, dtype=torch.float64)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def whole(high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def same(have: Tensor, want: Tensor, *inputs: Tensor) -> None:
    """Values, and gradients of a random combination."""
    assert have.shape == want.shape
    torch.testing.assert_close(have, want, rtol=1e-12, atol=1e-12)
    if inputs:
        u = draw(*have.shape, seed=9).detach()
        for a, b in zip(*(torch.autograd.grad((y * u).sum(), inputs, retain_graph=True) for y in (have, want)), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("n", "m", "p", "c"), [(5, 4, 3, 2), (1, 1, 1, 1), (3, 1, 2, 4), (1, 6, 1, 3)])
def test_gather_against_loops(n: int, m: int, p: int, c: int) -> None:
    x = draw(n, m, p)
    plain, zipped, both = whole(m, c), whole(m, n), whole(m, c, p)
    run = module("(x: [n, m, p], i: index(m)[c]) -> [p, c, n]", "out gather[m](x, i)")
    same(run(x, plain), torch.stack([x[:, plain[j]] for j in range(c)], 1).permute(2, 1, 0), x)
    run = module("(x: [n, m, p], i: index(m)[n]) -> [n, p]", "out gather[m](x, i)")
    same(run(x, zipped), torch.stack([x[j, zipped[j]] for j in range(n)]), x)
    run = module("(x: [n, m, p], i: index(m)[c, p]) -> [n, c, p]", "out gather[m](x, i)")
    want = torch.stack([torch.stack([x[:, both[j, k], k] for k in range(p)], -1) for j in range(c)], 1)
    same(run(x, both), want, x)
    run = module("(x: [n, m, p], i: index(m)[]) -> [n, p]", "out gather[m](x, i)")
    same(run(x, plain[0]), x[:, plain[0]], x)
    run = module("(x: [n, m, p], i: index(m)[m]) -> [n, m, p]", "out gather[m](x, i)")
    same(run(x, whole(m, m)), x[:, whole(m, m)], x)
    run = module("(x: [n, m, p], i: index(m)[n, m]) -> [n, m, p]", "out gather[m](x, i)")
    same(run(x, whole(m, n, m)), torch.stack([x[j, whole(m, n, m)[j]] for j in range(n)]), x)
    run = module("(x: [n, m, p], i: index(m)[p, n]) -> [n, p]", "out gather[m](x, i)")
    i = whole(m, p, n)
    same(run(x, i), torch.stack([torch.stack([x[j, i[k, j], k] for k in range(p)]) for j in range(n)]), x)


def test_gather_with_lifts_of_either_operand_and_at_compile_time() -> None:
    x, i = draw(2, 5, 4, 3), whole(4, 2, 5, 6)
    run = module("(x: [n, m, d], i: index(m)[n, c]) -> [n, c, d]", "out gather[m](x, i)", lift=("b",))
    same(run(x, i), torch.stack([torch.stack([x[a, j, i[a, j]] for j in range(5)]) for a in range(2)]), x)


def test_gather_moves_masks_and_indices_and_minus_infinity() -> None:
    i = whole(4, 5)
    mask = whole(2, 4).bool()
    run = module("(q: mask[m], i: index(m)[n]) -> mask[n]", "out gather[m](q, i)")
    assert torch.equal(run(mask, i), mask[i])
    inner = whole(3, 4, seed=1)
    run = module("(j: index(p)[m], i: index(m)[n], x: [p]) -> [n], index(p)[n]", "a = gather[m](j, i) out gather[p](x, a), a")
    x = draw(3)
    value, place = run(inner, i, x)
    same(value, x[inner[i]], x)
    assert place.dtype == torch.long
    assert torch.equal(place, inner[i])
    s = draw(5, 4).detach()
    run = module("(s: [n, m]) -> [n, c]", "t = mask(m <= n, s) out gather[m](t, index[m](2 * iota[c]))", c=2)
    want = s.masked_fill(~torch.ones(5, 4).tril().bool(), -math.inf)[:, [0, 2]]
    assert torch.equal(run(s), want)


def test_constants_as_indices() -> None:
    x = draw(5, 4)
    same(module("(x: [n, m]) -> [n]", "out gather[m](x, 0)")(x), x[:, 0], x)
    same(module("(x: [n, m]) -> [n]", "out gather[m](x, size[m] - 1)")(x), x[:, -1], x)
    same(module("(x: [n, m]) -> [n, m]", "out gather[m](x, index[m](size[m] - 1 - iota[m]))")(x), x.flip(1), x)
    same(module("(x: [n]) -> []", "out gather[n](x, size[n] - 1)")(x[:, 0]), x[-1, 0], x)


def test_a_constant_must_fit_every_size() -> None:
    head = "axis m, k diagram it(x: [m]) -> [] {} {{ out {} }}"
    x = draw(6)
    for where, body, want in (
        ("where m = 6", "gather[m](x, 5)", x[5]),
        ("where m = k + 3", "gather[m](x, size[k] + 1)", x[4]),
        ("", "gather[m](x, index[m](9))", x[5]),
    ):
        same(anatomy.compile(anatomy.parse(head.format(where, body))["it"], dtype=torch.float64)(x), want, x)


def test_table_is_an_embedding() -> None:
    tokens = whole(7, 2, 5)
    run = module("(i: index(v)[n]) -> [n, d]", "out table E[v -> d](i)", lift=("b",), v=7, d=3)
    assert set(run.state_dict()) == {"E"}
    weight = run.get_parameter("E")
    assert weight.shape == (7, 3)
    assert 0.5 < weight.std() < 1.6
    same(run(tokens), torch.nn.functional.embedding(tokens, weight), weight)
    run = module("(i: index(v)[n], j: index(v)[n]) -> [n, d]", "out table E[v -> d] ~ normal(0.02) (i) + table E(j)", v=7, d=3)
    weight = run.get_parameter("E")
    assert weight.std() < 0.05
    same(run(tokens[0], tokens[1]), weight[tokens[0]] + weight[tokens[1]], weight)
    frozen = module("(i: index(v)[n]) -> [n, d]", "out table E[v -> d, frozen=true](i)", v=7, d=3)
    assert not list(frozen.parameters())
    assert set(frozen.state_dict()) == {"E"}
    lanes = module("(i: index(v)[n, r]) -> [n, r, d]", "out table E[r; v -> d](i)", v=7, d=3, r=2)
    weight, i = lanes.get_parameter("E"), whole(7, 5, 2)
    same(lanes(i), torch.stack([weight[k, i[:, k]] for k in range(2)], 1), weight)


def test_a_diagram_with_a_table_is_called_with_indices_into_an_axis_of_its_caller() -> None:
    text = "axis n, v, d, w, b\n"
    text += "diagram embed(i: index(v)[n]) -> [n, d] { out table E[v -> d](i) }\n"
    text += "diagram it(j: index(w)[b, n]) -> [b, n, d] { out embed(j) }"
    diagram = anatomy.parse(text)["it"]
    assert anatomy.equal(diagram, anatomy.parse(unparse(diagram))["it"]).isomorphic
    run = anatomy.compile(diagram, {"w": 6, "d": 2}, dtype=torch.float64)
    weight, j = run.state_dict()["embed.E"], whole(6, 3, 4)
    assert weight.shape == (6, 2)
    same(run(j), weight[j])


def ranking(row: Tensor, descending: bool) -> list[int]:
    """Positions by value, ties by position: a stable insertion sort."""
    order: list[int] = []
    for k, value in enumerate(row.tolist()):
        at = next((a for a, j in enumerate(order) if (row[j] < value if descending else row[j] > value)), len(order))
        order.insert(at, k)
    return order


ROWS = [[3.0, 1.0, 3.0, 2.0, 3.0], [0.0, 0.0, 0.0, 0.0, 0.0], [-math.inf, 1.0, -math.inf, 1.0, -2.0], [-math.inf] * 5, [5.0, 4.0, 3.0, 2.0, 1.0]]


@pytest.mark.parametrize("c", [1, 2, 5])
def test_topk_is_descending_and_ties_go_to_the_lowest_position(c: int) -> None:
    x = torch.tensor(ROWS, dtype=torch.float64).requires_grad_()
    run = module("(s: [n, m]) -> [c, n], index(m)[n, c]", "w, i = topk[m -> c](s) out w, i", c=c)
    order = torch.tensor([ranking(row, True)[:c] for row in x.detach()])
    values, places = run(x)
    assert places.dtype == torch.long
    assert torch.equal(places, order)
    same(values, x.gather(1, order).T, x)


def test_sort_is_ascending_and_stable() -> None:
    x = torch.tensor(ROWS, dtype=torch.float64).requires_grad_()
    order = torch.tensor([ranking(row, False) for row in x.detach()])
    values, places = module("(s: [n, m]) -> [n, m], index(m)[n, m]", "w, i = sort[m](s) out w, i")(x)
    assert torch.equal(places, order)
    same(values, x.gather(1, order), x)
    y = draw(2, 5, 4)
    lifted = module("(s: [n, m]) -> [m, n]", "w, _ = sort[n](s) out w", lift=("b",))
    same(lifted(y), y.sort(1).values.transpose(1, 2), y)


def test_what_is_picked_by_rank_learns_and_where_it_was_does_not() -> None:
    x, y = draw(5, 4), draw(4, 3)
    run = module("(s: [n, m], x: [m, p]) -> [n, c, p]", "_, i = topk[m -> c](s) out gather[m](x, i)", c=2)
    have = run(x, y)
    same(have, y[x.topk(2).indices], y)
    assert torch.autograd.grad(have.sum(), x, allow_unused=True)[0] is None
    assert all(0 < len(set(row)) == 2 for row in x.topk(2).indices.tolist())


def test_one_hot_by_comparison() -> None:
    x = draw(5, 4)
    run = module("(s: [n, m]) -> [n, m]", "_, i = topk[m -> c](s) simd n, m, c { h = where(m == i, 1, 0) } out sum[c](h)", c=2)
    want = torch.zeros(5, 4, dtype=torch.float64)
    for row, places in enumerate(x.topk(2).indices.tolist()):
        want[row, places] = 1
    same(run(x), want)
    run = module("(s: [n, m], x: [m]) -> [n]", "_, i = topk[m -> c](s) out sum[m, c](where(m == i, x, 0))", c=2)
    same(run(x, y := draw(4, seed=3)), y[x.topk(2).indices].sum(-1), y)


def test_topk_of_more_than_there_is() -> None:
    text = "axis n, m, c diagram it(s: [n, m]) -> [n, c] { w, _ = topk[m -> c](s) out w }"
    diagram = anatomy.parse(text)["it"]
    with pytest.raises(anatomy.AnatomyError, match="cannot take 5 of the 4 entries of `m`") as error:
        anatomy.compile(diagram, {"m": 4, "c": 5})
    assert error.value.diagnostics[0].code == "E405"
    with pytest.raises(ValueError, match="cannot take 5 of the 4 entries of `m`"):
        anatomy.compile(diagram, {"c": 5})(torch.zeros(3, 4))


REFUSED = {
    "out gather[m](x, size[m])": "E316", "out gather[m](x, -1)": "E316", "out gather[m](x, index[m](size[m] * 2))": "E316",
    "out gather[m](x, 1)": "E316", "out gather[m](x, size[n] - 1)": "E316",
    "out gather[m](x, size[m] - size[n] - size[m])": "E316", "out gather[m](x, iota[n])": "E401", "out gather[m](x, x)": "E307",
    "out gather[n, m](x, iota[n])": "E311", "out gather[c](x, iota[c])": "E306", "w = sort[m](x) out w": "E301",
    "w, i = topk[m](x) out w": "E209", "w, i = sort[n, m](x) out w": "E311", "out table E[n -> d](x)": "E307",
    "out table E[v, r -> d](iota[n])": "E311", "out table E[v -> d, bias=true](index[v](x))": "E209", "out table E(iota[n])": "E202",
    "a = lin W[m -> d](x) out table W(iota[n])": "E202", "out table E[v -> n](index[v](x))": "E308",
}  # fmt: skip


@pytest.mark.parametrize("body", REFUSED)
def test_what_is_refused(body: str) -> None:
    with pytest.raises(anatomy.AnatomyError) as error:
        anatomy.parse(f"{AXES}diagram it(x: [n, m]) -> [n] {{ {body} }}")
    assert [d.code for d in error.value.diagnostics] == [REFUSED[body]]


def test_an_index_result_into_another_axis_is_refused() -> None:
    with pytest.raises(anatomy.AnatomyError, match="not proved equal"):
        anatomy.parse("axis n, m, c diagram it(x: [n, m]) -> index(n)[n, c] { _, i = topk[m -> c](x) out i }")


@pytest.mark.parametrize("flip", list(itertools.product([False, True], repeat=2)))
def test_positions_declared_as_reals_come_out_as_reals(flip: tuple[bool, bool]) -> None:
    word = "index(m)[n, c]" if flip[0] else "[n, c]"
    given = draw(3, 4).detach().to(torch.float64 if flip[1] else torch.float32)
    diagram = anatomy.parse(f"axis n, m, c diagram it(x: [n, m]) -> {word} {{ _, i = topk[m -> c](x) out i }}")["it"]
    found = anatomy.compile(diagram, {"c": 2})(given)
    assert found.dtype == (torch.long if flip[0] else given.dtype)


def test_values_alone_need_no_order_of_equal_entries() -> None:
    net = module("(x: [n, m]) -> [n, c]", "top, at = topk[m -> c](x) out top", c=3)
    assert "torch.topk" in net.source
    assert "torch.sort" not in net.source
    x = draw(4, 7)
    same(net(x), torch.sort(x, dim=-1, descending=True, stable=True).values[:, :3], x)
    ties = torch.tensor([[1.0, 2.0, 2.0, -math.inf, 2.0, 0.0, 1.0]], dtype=torch.float64)
    assert net(ties).tolist() == [[2.0, 2.0, 2.0]]
    with pytest.raises(ValueError, match="cannot take 3 of the 2 entries of `m`"):
        net(draw(4, 2))
