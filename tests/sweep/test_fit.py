"""Training side by side is training one by one; the rate is chosen on other rows than those of the report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from anatomy.api import load, parse
from anatomy.errors import AnatomyError
from anatomy.sweep.backbone import FACTORS, model
from anatomy.sweep.fit import Members, fit, schedule
from anatomy.sweep.mixer import Mixer
from zoo.tasks.recall import Recall

SMALL = Recall(batch=4, width=16, rates=3, length=12, pairs=2, vocabulary=12)


def mixer(name: str = "baseline", task: Recall = SMALL) -> Mixer:
    return Mixer(load(f"zoo:spaces/controls::{name}"), {}, task.length, task.width, 0)


@dataclass(frozen=True, kw_only=True)
class Sparing(Recall):
    sparing = True


@pytest.mark.parametrize("kind", [Recall, Sparing])
def test_members_train_as_they_would_alone(kind: type[Recall]) -> None:
    """Against torch's own AdamW and clipping, one model for each rate, in float64."""
    from anatomy.compiler import build
    from anatomy.sweep.check import lift_name

    task = kind(**{**asdict(SMALL), "decay": 0.1})
    together = Members(task, mixer(), 5)
    together.net.double()
    whole = model(mixer(), task)
    sizes = {"n": task.length, "d": task.width, "v": task.vocabulary}
    alone = []
    for rate in together.rates:
        net = build(whole, sizes, (lift_name(whole),), 5).double()
        spared = [p for p in net.parameters() if p.dim() < 2]
        groups = [{"params": [p for p in net.parameters() if p.dim() > 1]}, {"params": spared, "weight_decay": 0.0 if kind.sparing else task.decay}]
        alone.append((rate, net, torch.optim.AdamW(groups, lr=rate, betas=(0.9, task.beta), weight_decay=task.decay)))
    for step in range(8):
        share = schedule(step, 8)
        together.learn(task.draw("train", 5, step), share)
        tokens, targets = (torch.from_numpy(a) for a in task.draw("train", 5, step))
        for rate, net, optimiser in alone:
            for group in optimiser.param_groups:
                group["lr"] = rate * share
            optimiser.zero_grad()
            cross_entropy(net(tokens)[targets >= 0], targets[targets >= 0]).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
    names = [n for n, _ in together.net.named_parameters()]
    for k, (_, net, _) in enumerate(alone):
        theirs = dict(net.named_parameters())
        for name, p in zip(names, together.net.parameters(), strict=True):
            torch.testing.assert_close(p[k], theirs[name], rtol=1e-7, atol=1e-9)


def test_training_is_deterministic_and_reports_on_other_rows() -> None:
    first = fit(SMALL, mixer(), 1, 6)
    assert first == fit(SMALL, mixer(), 1, 6)
    assert first != fit(SMALL, mixer(), 2, 6)
    assert (first["steps"], first["diverged"], first["trials"]) == (6, False, 16 * 4 * 2)
    assert first["rate"] in [rate for rate, _, _ in first["rates"]]
    assert first["rate"] == min(first["rates"], key=lambda item: item[2])[0]
    assert len(first["rates"]) == 3


def test_a_member_that_diverges_harms_no_other() -> None:
    wild = replace(SMALL, rate=1e3, rates=5)
    members = Members(wild, mixer(), 0)
    members.rates[-1] = float("nan")
    for step in range(4):
        members.learn(wild.draw("train", 0, step), 1.0)
    assert members.alive.tolist()[-1] is False
    steady = Members(wild, mixer(), 0)
    for step in range(4):
        steady.learn(wild.draw("train", 0, step), 1.0)
    for a, b in zip(members.net.parameters(), steady.net.parameters(), strict=True):
        assert torch.equal(a[:1], b[:1])


def test_divergence_is_a_result() -> None:
    text = "axis n, d diagram hot(x: [n, d]) -> [n, d] { out exp(1000 * (abs(x) + 1)) }"
    found = fit(SMALL, replace(mixer(), diagram=parse(text)["hot"]), 0, 5)
    assert found["diverged"] is True
    assert found["loss"] == -1.0
    assert found["score"] <= 1


@pytest.mark.parametrize(
    "factors",
    [
        {"place": "nowhere", "convolution": "direct"}, {"place": "sinusoidal", "norm": "rms"}, {"feedforward": "swiglu", "depth": 3},
        {"feedforward": "gelu_mlp"}, {"feedforward": "gelu_plain", "norm": "scaled"},
    ],
)  # fmt: skip
def test_the_backbone_is_a_declared_factor(factors: dict[str, Any]) -> None:
    task = replace(SMALL, **factors)
    found = fit(task, mixer(task=task), 0, 2)
    assert found["parameters"] != fit(SMALL, mixer(), 0, 1)["parameters"]
    assert 0 <= found["score"] <= 1


def test_unknown_factors_are_refused() -> None:
    with pytest.raises(AnatomyError, match="swiglu"):
        model(mixer(), replace(SMALL, feedforward="swigla"))
    assert set(FACTORS) <= set(Recall.__dataclass_fields__)


def test_the_packed_model_tells_the_row_from_its_last_token() -> None:
    """Whatever the first tokens' vectors are, only the last token's counts."""
    from anatomy.compiler import build

    whole = model(mixer("no_mixing"), replace(SMALL, convolution="direct"), "last")
    net = build(whole, {"n": 12, "d": 16, "v": 12}, ("b",), 0)
    a = torch.randint(0, 12, (3, 12), generator=torch.Generator().manual_seed(0))
    b = a.clone()
    b[:, :-1] = (b[:, :-1] + 1) % 12
    assert torch.equal(net(a), net(b))
    b[:, -1] = (b[:, -1] + 1) % 12
    assert not torch.equal(net(a), net(b))
