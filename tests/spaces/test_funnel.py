"""Deduplication: equal diagrams are merged, the least rank stands for them, different ones never merge."""

import torch
from space_texts import space

from anatomy.api import space as load
from anatomy.compiler import build
from anatomy.ir.canonical import digest


def test_the_cosine_is_the_dot_product_of_unit_vectors() -> None:
    found = space()
    funnel = found.funnel()
    assert (funnel.derivations, funnel.typed, funnel.canonical) == (6, 6, 5)
    (merged,) = funnel.merged
    assert found.choices(merged.index) == {"feature": "plain", "score": "cosine"}
    assert [a.index for a in merged.aliases] == [found.index({"feature": "unit", "score": "dots"})]
    assert "feature plain for unit, score cosine for dots" in merged.aliases[0].reason
    assert merged.index < merged.aliases[0].index
    assert "plain for unit" in funnel.as_text()
    assert funnel.as_data()["canonical"] == 5


def test_merged_members_compute_the_same_and_every_rank_is_in_one_class() -> None:
    found = load("zoo:spaces/scores")
    seen: list[tuple[str, int, int]] = []
    funnel = found.funnel(level="L2", progress=lambda *said: seen.append(said))
    ranks = [i for c in funnel.classes for i in (c.index, *(a.index for a in c.aliases))]
    assert sorted(ranks) == list(range(len(found)))
    assert ("rows", len(found), len(found)) in seen
    assert 0 < len(found) - funnel.canonical < len(found)
    x = torch.randn(6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for merged in funnel.merged[::24]:
        nets = [build(found[i].diagram, {"d": 8}, dtype=torch.float64) for i in (merged.index, merged.aliases[0].index)]
        nets[1].load_state_dict(nets[0].state_dict())
        torch.testing.assert_close(nets[0](x), nets[1](x), rtol=0, atol=1e-12)


def test_the_plain_softmax_member_is_the_baseline_of_every_sweep() -> None:
    from anatomy.api import load as load_diagram

    first = load("zoo:spaces/scores")[0].diagram
    assert digest(first) == digest(load_diagram("zoo:spaces/controls::baseline"))
