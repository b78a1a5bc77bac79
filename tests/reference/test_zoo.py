"""Every mechanism of the zoo against a hand-written float64 formula of a few lines, values and gradients.

A formula (`formulas/FOLDER.py`) sees one example and the weights by their keys; nothing of the compiler is used in it.
"""

from __future__ import annotations

import pytest
import torch
from formulas import CASES, FOLDERS
from formulas.common import Case, Sizes
from torch import Tensor

import anatomy
import zoo

torch.set_num_threads(1)


def test_every_mechanism_has_a_formula() -> None:
    assert sorted(CASES) == list(zoo.names())
    assert len(CASES) == sum(len(folder.CASES) for folder in FOLDERS)


def close(have: Tensor, want: Tensor, tolerance: float) -> bool:
    assert have.shape == want.shape
    return (have - want).abs().max().item() <= tolerance * max(1.0, want.abs().max().item())


def inputs_of(case: Case, sizes: Sizes, generator: torch.Generator, batch: tuple[int, ...], strided: bool) -> list[Tensor]:
    out = []
    for layout in case.inputs:
        kind, _, layout = layout.rpartition(") ")
        shape = [*batch, *(sizes[a] for a in layout.split())]
        full = [2 * s for s in reversed(shape)] if strided else shape
        if kind:
            x = torch.randint(sizes[kind.removeprefix("index(")], full, generator=generator)
        else:
            x = torch.randn(full, dtype=torch.float64, generator=generator)
        if strided:
            x = x.permute(*reversed(range(len(shape))))[tuple(slice(None, None, 2) for _ in shape)]
        out.append(x.detach().requires_grad_(not kind))
    return out


@pytest.mark.parametrize("lift", [(), ("b",)], ids=["plain", "lifted"])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_agree_with_the_formula(name: str, lift: tuple[str, ...]) -> None:
    case = CASES[name]
    diagram = anatomy.load(f"zoo:{name}")
    for number, sizes in enumerate(case.trials):
        g = torch.Generator().manual_seed(number)
        net = anatomy.compile(diagram, {a: sizes[a] for a in case.given.split()}, lift=lift, dtype=torch.float64)
        for p in net.parameters():
            torch.nn.init.normal_(p, std=0.7, generator=g)
        for strided in (False, True):
            batch = ((3, 1)[strided],) if lift else ()
            xs = inputs_of(case, sizes, g, batch, strided)
            assert not strided or max(x.numel() for x in xs) == 1 or not all(x.is_contiguous() for x in xs)
            torch.manual_seed(number)  # what is drawn is drawn alike
            have = net(*xs)
            weights = {k: p.detach().clone().requires_grad_() for k, p in net.state_dict().items()}
            twins = [x.detach().clone().requires_grad_(x.requires_grad) for x in xs]
            torch.manual_seed(number)
            rows = [case.formula(*row, weights, sizes) for row in zip(*twins, strict=True)] if lift else []
            want = torch.stack(rows) if lift else case.formula(*twins, weights, sizes)
            assert close(have, want, 1e-12), (name, sizes, strided)
            probe = torch.randn(want.shape, dtype=want.dtype, generator=g)
            names = list(dict(net.named_parameters()))
            keys = key_order(net, names)
            mine = gradients((have * probe).sum(), [*xs, *net.parameters()])
            theirs = gradients((want * probe).sum(), [*twins, *(weights[k] for k in keys)])
            labels = [i for i in case.inputs if not i.startswith("index")] + keys
            for label, a, b in zip(labels, mine, theirs, strict=True):
                assert close(a, b, 1e-10), (name, sizes, label)


def gradients(y: Tensor, sources: list[Tensor]) -> tuple[Tensor, ...]:
    """With respect to the real ones; 0 where nothing flows, as to what only chooses."""
    return torch.autograd.grad(y, [x for x in sources if x.requires_grad], materialize_grads=True)


def key_order(net: torch.nn.Module, names: list[str]) -> list[str]:
    """The state-dict key of each parameter, found by the storage they share."""
    state = net.state_dict(keep_vars=True)
    by_id = {id(v): k for k, v in state.items()}
    return [by_id[id(p)] for p in (net.get_parameter(n) for n in names)]
