"""Statistics at initialisation against what is known of simple mixers, and against a plain computation."""

import pytest
import torch
from sweep_toy import SPACE

from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from anatomy.sweep.initialisation import STATISTICS, initialisation, ranks, similarity
from anatomy.sweep.planning import controls

TEXT = SPACE + """
diagram echo(x: [n, d]) -> [n, d] { out x }
diagram triple(x: [n, d]) -> [n, d] { out 3 * x }
diagram alike(x: [n, d]) -> [n, d] { z = x[n -> m] out mean[m](z) + 0 * x }
diagram nothing(x: [n, d]) -> [n, d] { out 0 * x }
diagram broken_all(x: [n, d]) -> [n, d] { out log(0 - square(x)) }
"""


def diagram(name: str) -> Diagram:
    return Program.of(Source("a.anat", TEXT)).get(name)


def test_the_identity_is_one_in_everything() -> None:
    found = initialisation(diagram("echo"), 8, 6, {}, 0)
    assert {found[k] for k in ("gain", "input_gradient", "stable_rank", "effective_rank")} == {1.0}
    assert found["weight_gradient"] == 0.0
    assert {found[f"{k}_spread"] for k in STATISTICS} == {0.0}
    assert abs(found["similarity"]) < 0.2


def test_known_mixers() -> None:
    found = initialisation(diagram("triple"), 8, 6, {}, 0)
    assert (found["gain"], found["input_gradient"]) == (pytest.approx(3.0, rel=1e-5), pytest.approx(3.0, rel=1e-5))
    flat = initialisation(diagram("alike"), 8, 6, {}, 0)
    assert flat["similarity"] == pytest.approx(1.0, abs=1e-5)
    assert flat["stable_rank"] * _given("stable") == pytest.approx(1.0, rel=1e-4)
    assert flat["effective_rank"] * _given("effective") == pytest.approx(1.0, rel=1e-4)
    dead = initialisation(diagram("nothing"), 8, 6, {}, 0)
    assert {dead[k] for k in STATISTICS} == {0.0}
    assert initialisation(diagram("broken_all"), 8, 6, {}, 0)["gain"] is None


def _given(which: str) -> float:
    """The mean rank of the input rows that the function draws for these sizes."""
    x = torch.randn(1, 4, 8, 6, generator=torch.Generator().manual_seed(0))
    return ranks(x)[which == "effective"].item()


def test_ranks_and_similarity_against_the_definitions() -> None:
    y = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for k in range(2):
        stable, effective, cosines = [], [], []
        for row in y[k]:
            eigen = torch.linalg.eigvalsh(row.T @ row)
            stable.append((eigen.sum() / eigen.max()).item())
            share = eigen.clamp(min=0).sqrt() / eigen.clamp(min=0).sqrt().sum()
            effective.append(torch.exp(-(share * share.log()).sum()).item())
            cosines += [torch.cosine_similarity(row[i], row[j], dim=0).item() for i in range(5) for j in range(5) if i != j]
        assert ranks(y)[0][k].item() == pytest.approx(sum(stable) / 3)
        assert ranks(y)[1][k].item() == pytest.approx(sum(effective) / 3)
        assert similarity(y)[k].item() == pytest.approx(sum(cosines) / len(cosines))


def test_the_gradients_are_those_of_finite_differences() -> None:
    """One linear map: <g, y> has the gradient g W^T in x, and x^T g in W."""
    found = initialisation(dict(controls())["no_mixing"], 8, 6, {}, 0)
    assert found["input_gradient"] == pytest.approx(found["gain"], rel=0.35)  # one random matrix product, forth and back
    assert found == initialisation(dict(controls())["no_mixing"], 8, 6, {}, 0)
    assert found["gain_spread"] > 0


def test_they_tell_mixers_apart() -> None:
    made = {name: initialisation(d, 32, 64, {}, 0) for name, d in controls()}
    similar = {name: m["similarity"] for name, m in made.items()}
    assert similar["causal_average"] > similar["baseline"] > similar["no_mixing"]
    rank = {name: m["effective_rank"] for name, m in made.items()}
    assert rank["causal_average"] < rank["baseline"] < rank["no_mixing"]
