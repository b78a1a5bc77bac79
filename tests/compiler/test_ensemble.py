"""An ensemble is as many separate modules: same weights, outputs and gradients, for every entry of the zoo and random diagrams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import anatomy
from anatomy.claims.trial import Trial
from anatomy.cli import main
from anatomy.compiler import ALL, DIFFERENTIABLE, build, generate
from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram
from anatomy.ir.solve import solve
from anatomy.library.entry import entries
from tests.compiler.agreement import diagram
from tests.regularity.idioms import Idioms
from tests.regularity.programs import SIZES, Garden, random_diagram

torch.set_num_threads(1)
MEMBERS = 3
FLASH = 1
"""What `torch._fused_sdp_choice` returns for the flash kernel."""
ENTRIES = {e.name: e for e in entries()}
FIXED = [n for n in ENTRIES if n != "gumbel"]  # whose noise is drawn at every forward


def sizes_of(name: str) -> tuple[Diagram, dict[str, int]]:
    d = anatomy.load(f"zoo:{name}")
    stated = {p.split("=")[0].strip(): int(p.split("=")[1]) for p in (ENTRIES[name].head["sizes"] or "").split(",") if "=" in p}
    return d, dict(Trial(d, stated).chosen)


def numbers(d: Diagram, sizes: Mapping[str, int], lead: Sequence[int], shared: Sequence[str] = ()) -> list[Tensor]:
    """Inputs in float64; those that are shared lack the first of the leading axes."""
    g = torch.Generator().manual_seed(5)
    known = solve(d, sizes)
    out = []
    for i in d.inputs:
        shape = [*lead[i.name in shared :], *(known.size(d.sizes[a]).constant() or 5 for a in i.layout)]
        kind = d.wires[i.wire].kind
        if kind.name == "real":
            out.append(torch.randn(shape, dtype=torch.float64, generator=g).requires_grad_())
        elif kind.name == "mask":
            out.append(torch.rand(shape, generator=g) > 0.3)
        else:
            out.append(torch.randint(0, known.size(d.sizes[kind.axis]).constant() or 1, shape, generator=g))
    return out


def results(net: nn.Module, inputs: Sequence[Tensor], seeds: Sequence[Tensor] | None) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs, and gradients of a linear function of them by the real inputs and the weights."""
    made: Any = net(*inputs)
    outs = list(made) if isinstance(made, tuple) else [made]
    if seeds is None:
        g = torch.Generator().manual_seed(7)
        seeds = [torch.randn(y.shape, dtype=torch.float64, generator=g) for y in outs]
    by = [x for x in inputs if x.requires_grad] + list(net.parameters())
    total = sum((y * s).sum() for y, s in zip(outs, seeds, strict=True) if y.requires_grad)
    if not isinstance(total, Tensor) or not by:
        return outs, []
    found = torch.autograd.grad(total, by, allow_unused=True)
    return outs, [torch.zeros_like(x) if a is None else a for x, a in zip(by, found, strict=True)]


def weighted(outs: Sequence[Tensor]) -> list[Tensor]:
    g = torch.Generator().manual_seed(7)
    return [torch.randn(y.shape, dtype=torch.float64, generator=g) for y in outs]


def same(a: Tensor, b: Tensor) -> None:
    assert a.shape == b.shape
    scale = float(b.detach().double().abs().nan_to_num(0, 0, 0).max()) if b.numel() else 0.0
    torch.testing.assert_close(a, b, rtol=0, atol=1e-9 * (1 + scale), equal_nan=True)


def agree(
    d: Diagram, sizes: Mapping[str, int], lift: Mapping[str, int], passes: Sequence[str] = ALL, shared: Sequence[str] = (), spread: float | None = 0.5, seed: Any = 4,
    members: int = MEMBERS,
) -> None:  # fmt: skip
    """The ensemble against modules of one model, at the drawn weights, or at others that it hands out."""
    together: Any = build(d, sizes, tuple(lift), seed, torch.float64, passes, members, shared)
    alone = [build(d, sizes, tuple(lift), seed + k if isinstance(seed, int) else seed[k], torch.float64, passes) for k in range(members)]
    for k, net in enumerate(alone):
        state = net.state_dict()
        for key, value in together.member(k).items():
            assert torch.equal(value, state[key])
    if spread is not None:
        g = torch.Generator().manual_seed(3)
        for p in together.parameters():
            nn.init.normal_(p, std=spread, generator=g)
        for k, net in enumerate(alone):
            net.load_state_dict(together.member(k))
    inputs = numbers(d, sizes, (members, *lift.values()), shared)
    outs, found = results(together, inputs, None)
    seeds = weighted(outs)
    reals = [i.name for i in d.inputs if d.wires[i.wire].kind.name == "real"]
    sums: dict[int, Tensor] = {}
    for k, net in enumerate(alone):
        mine = [(x if i.name in shared else x[k]).detach().requires_grad_(x.requires_grad) for i, x in zip(d.inputs, inputs, strict=True)]
        wanted, slopes = results(net, mine, [s[k] for s in seeds])
        for a, b in zip(outs, wanted, strict=True):
            same(a[k], b)
        for at, (a, b) in enumerate(zip(found, slopes, strict=True)):
            if at < len(reals) and reals[at] in shared:
                sums[at] = sums.get(at, torch.zeros_like(b)) + b
            else:
                same(a[k], b)
    for at, total in sums.items():
        same(found[at], total)


@pytest.mark.parametrize("name", FIXED)
def test_the_zoo_as_an_ensemble(name: str) -> None:
    d, sizes = sizes_of(name)
    agree(d, sizes, {"b": 2})


@pytest.mark.slow
@pytest.mark.parametrize("passes", [ALL, DIFFERENTIABLE, ()], ids=["all", "differentiable", "none"])
@pytest.mark.parametrize("name", FIXED)
def test_the_zoo_as_an_ensemble_in_every_way(name: str, passes: tuple[str, ...]) -> None:
    d, sizes = sizes_of(name)
    for lift in ({}, {"b": 2}, {"lot": 2, "turn": 1}):
        agree(d, sizes, lift, passes)
    agree(d, sizes, {"b": 1}, passes, members=1)
    names = [i.name for i in d.inputs]
    agree(d, sizes, {"b": 2}, passes, shared=names)
    agree(d, sizes, {"b": 2}, passes, shared=names[:1], seed=[9, 2, 5])


def randomly(seed: int) -> None:
    """A diagram of any operations, or of phrases that look like attention."""
    d = random_diagram(seed, 2 + seed % 5, Idioms if seed % 2 else Garden)
    sizes = {a: n for a, n in SIZES.items() if a in d.sizes}
    agree(d, sizes, ({}, {"b": 2})[seed % 2], shared=[i.name for i in d.inputs][: seed % 3], spread=0.7)


@pytest.mark.parametrize("seed", range(20))
def test_random_diagrams_as_ensembles(seed: int) -> None:
    randomly(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20, 420))
def test_hundreds_of_random_diagrams_as_ensembles(seed: int) -> None:
    randomly(seed)


def test_members_are_drawn_by_their_seeds() -> None:
    d = anatomy.load("zoo:mha")
    given: Any = anatomy.compile(d, {"d": 4, "h": 2}, seed=[7, 0, 7], ensemble=3)
    for k, seed in enumerate((7, 0, 7)):
        alone = anatomy.compile(d, {"d": 4, "h": 2}, seed=seed).state_dict()
        assert all(torch.equal(value, alone[key]) for key, value in given.member(k).items())
    given.reset_parameters(5)
    alone = anatomy.compile(d, {"d": 4, "h": 2}, seed=6).state_dict()
    assert all(torch.equal(value, alone[key]) for key, value in given.member(1).items())
    with pytest.raises(ValueError, match="2 seeds for an ensemble of 3"):
        given.reset_parameters([1, 2])


def test_members_go_out_and_in() -> None:
    """Weights whose name is one of a method, whose key is no attribute, which are frozen, or tied under several keys."""
    d = diagram("""
    axis n, d = 4, h = 2, c = d
    diagram f(x: [n, d]) -> [n, h, d] {
      weight member: [d] ~ normal(1)
      frozen weight fixed: [d] ~ normal(1)
      repeat tied 2 (y = x) { next y = lin A[d -> c](y)[c -> d] * member }
      lanes = lin W[d -> h, c](y)[c -> d]
      out lanes + fixed
    }""")
    together: Any = build(d, {}, ("b",), 0, torch.float64, ensemble=3)
    states = [build(d, {}, ("b",), 10 + k, torch.float64).state_dict() for k in range(3)]
    together.load_members(states)
    for k, state in enumerate(states):
        out = together.member(k)
        assert out.keys() == state.keys()
        assert all(torch.equal(out[key], value) for key, value in state.items())
    together.member(0)["member"].zero_()  # a copy
    assert torch.equal(together.member(0)["member"], states[0]["member"])
    with pytest.raises(ValueError, match="2 state dicts for an ensemble of 3"):
        together.load_members(states[:2])
    with pytest.raises(IndexError):
        together.member(3)


def test_a_step_of_an_optimiser_is_one_for_each_member() -> None:
    d = anatomy.load("zoo:mha")
    sizes = {"d": 6, "h": 2}
    together = build(d, sizes, ("b",), 0, torch.float64, ensemble=MEMBERS)
    alone = [build(d, sizes, ("b",), k, torch.float64) for k in range(MEMBERS)]
    x = torch.randn(MEMBERS, 2, 5, 6, dtype=torch.float64)
    for nets, inputs in (([together], [x]), (alone, list(x))):
        for net, given in zip(nets, inputs, strict=True):
            step = torch.optim.AdamW(net.parameters(), lr=0.1)
            for _ in range(3):
                step.zero_grad()
                net(given).square().mean((-3, -2, -1)).sum().backward()
                step.step()
    for k, net in enumerate(alone):
        for key, value in together.member(k).items():  # type: ignore[operator]
            torch.testing.assert_close(value, net.state_dict()[key], rtol=1e-7, atol=1e-7)


def test_noise_is_drawn_by_every_member_for_itself() -> None:
    d = diagram("axis n, m diagram f(x: [n, m]) -> [n, m] { noise z: [n, m] ~ normal\n weight w: [m] ~ ones\n out x * w + z }")
    net = build(d, {"m": 50}, ("b",), 0, torch.float64, ensemble=3, shared=["x"])
    y = net(torch.zeros(2, 40, 50, dtype=torch.float64)).flatten(2).flatten(0, 1)
    assert y.shape == (6, 2000)
    assert float((torch.corrcoef(y.detach()) - torch.eye(6)).abs().max()) < 0.12


def test_the_gumbel_entry() -> None:
    d, sizes = sizes_of("gumbel")
    net = build(d, sizes, ("b",), 0, torch.float64, ensemble=3)
    inputs = numbers(d, sizes, (1, 2))
    made: Any = net(*(x.expand(3, *x.shape[1:]) for x in inputs))
    y = made[0] if isinstance(made, tuple) else made
    assert y.shape[:2] == (3, 2)
    assert not torch.allclose(y[0], y[1])


def test_loops_without_a_closed_form_and_states_from_a_literal() -> None:
    d = diagram("""
    axis t, d, e, c = e
    diagram f(x: [t, d]) -> [t, e] {
      scan t (s: [e] = 0) { next s = tanh(lin A[d -> e](x) + lin B[e -> c](s)[c -> e]) }
      out s
    }""")
    for passes in (ALL, ()):
        agree(d, {"t": 4, "d": 3, "e": 2}, {"b": 2}, passes)
        agree(d, {"t": 4, "d": 3, "e": 2}, {}, passes, shared=["x"])
        agree(d, {"t": 1, "d": 1, "e": 1}, {"b": 1, "lot": 1}, passes, members=1)


def test_results_of_shared_inputs_alone_are_repeated() -> None:
    d = diagram("axis n diagram f(x: [n], y: [n]) -> [n], [n], [] { out exp(x), y + x, 3 }")
    net = build(d, {}, ("b",), 0, torch.float64, ensemble=3, shared=["x"])
    x, y = torch.randn(2, 4, dtype=torch.float64), torch.randn(3, 2, 4, dtype=torch.float64)
    a, b, c = net(x, y)
    assert torch.equal(a, x.exp().expand(3, 2, 4))
    assert torch.equal(b, y + x)
    assert torch.equal(c, torch.full((3, 2), 3.0, dtype=torch.float64))
    nothing: Any = build(diagram("axis n = 2 diagram f() -> [n] { out iota[n] * 1 }"), {}, (), 0, torch.float64, ensemble=3)
    assert nothing().shape == (3, 2)
    assert nothing.member(0) == {}
    nothing.load_members([{}, {}, {}])


@pytest.mark.parametrize("name", [n for n in FIXED if "scaled_dot_product" in generate(*sizes_of(n)).source])
def test_the_kernel_stays_on_the_fast_path_of_one_model(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    d, sizes = sizes_of(name)
    paths: list[int] = []
    call = functional.scaled_dot_product_attention

    def spy(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False) -> Tensor:
        paths.append(torch._fused_sdp_choice(q, k, v, attn_mask, 0.0, is_causal, scale=scale, enable_gqa=enable_gqa))
        return call(q, k, v, attn_mask=attn_mask, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", spy)
    build(d, sizes, ("b",), 0, torch.float64)(*numbers(d, sizes, (2,)))
    wanted, paths[:] = tuple(paths), ()
    build(d, sizes, ("b",), 0, torch.float64, ensemble=MEMBERS)(*numbers(d, sizes, (MEMBERS, 2)))
    assert set(paths) == {FLASH} or set(wanted) != {FLASH}
    assert name != "mha" or wanted == (FLASH,)


def test_the_text_names_the_axis() -> None:
    d = anatomy.load("zoo:mha")
    text = anatomy.source(d, {"d": 8, "h": 2}, lift=("b",), ensemble=4)
    assert text == anatomy.source(d, {"d": 8, "h": 2}, lift=("b",), ensemble=4)
    assert "# [ensemble, d, h, e]" in text
    assert "[ensemble, b, n, d] -> [ensemble, b, n, d]" in text
    net = anatomy.compile(d, {"d": 8, "h": 2}, lift=("b",), ensemble=4)
    with pytest.raises(ValueError, match="size 3 on axis `ensemble`"):
        net(torch.zeros(3, 2, 5, 8))
    with pytest.raises(ValueError, match="ensemble, b, n, d"):
        net(torch.zeros(2, 5, 8))


def test_what_is_no_ensemble() -> None:
    d = anatomy.load("zoo:mha")
    sizes = {"d": 8, "h": 2}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"ensemble": 0}, "E405"), ({"ensemble": -1}, "E405"), ({"ensemble": 2.0}, "E405"), ({"ensemble": True}, "E405"),
        ({"ensemble": 2, "lift": ["ensemble"]}, "E407"), ({"ensemble": 3, "seed": [1, 2]}, "E410"), ({"ensemble": 1, "seed": [1, 2]}, "E410"),
        ({"seed": [1, 2]}, "E410"), ({"ensemble": 2, "shared": ["y"]}, "E410"), ({"shared": ["x"]}, "E410"),
    ]  # fmt: skip
    for given, code in wrong:
        with pytest.raises(AnatomyError, match=code):
            anatomy.source(d, sizes, **given)
    clash = diagram("axis ensemble diagram f(x: [ensemble]) -> [ensemble] { out 2 * x }")
    anatomy.source(clash, {})
    with pytest.raises(AnatomyError, match="E407"):
        anatomy.source(clash, {}, ensemble=2)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    target = ["compile", "zoo:mha", "--size", "d=8", "--size", "h=2", "--lift", "b"]
    assert main([*target, "--ensemble", "3", "--shared", "x"]) == 0
    text = capsys.readouterr().out
    assert text == anatomy.source(anatomy.load("zoo:mha"), {"d": 8, "h": 2}, ("b",), ensemble=3, shared=["x"])
    assert "x: [b, n, d] -> [ensemble, b, n, d]" in text
    assert main([*target, "--ensemble", "0"]) == 1
    assert "E405" in capsys.readouterr().err
