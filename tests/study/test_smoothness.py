"""The study: its estimator against dense Jacobians, the expectations on random GPT-2, and a store that survives stops."""

from __future__ import annotations

import csv
import json
import math
import xml.etree.ElementTree as ElementTree

import pytest
import torch

import anatomy
from anatomy.cli import main
from anatomy.compiler import DIFFERENTIABLE
from anatomy.errors import AnatomyError
from anatomy.study import measure
from anatomy.study.adversarial import adversarial, ascend, castin, direction, foreseen, inside
from anatomy.study.fits import fit, upper_half
from anatomy.study.gpt2 import RandomGPT2
from anatomy.study.jacobian import attained, norms, published, steepest
from anatomy.study.model import Attention, frozen
from anatomy.study.rows import Series
from anatomy.study.settings import Settings, plan
from anatomy.study.text import words

torch.set_num_threads(1)


def attention(x, a, v):
    """Softmax attention by hand, for every input of a batch."""
    return torch.softmax(x @ a @ x.mT, -1) @ x @ v


def dense(function, x):
    """The largest singular value of the whole Jacobian at one input."""
    jacobian = torch.func.jacrev(lambda y: function(y[None])[0])(x).reshape(x.numel(), -1)
    return float(torch.linalg.matrix_norm(jacobian, 2))


@pytest.mark.parametrize(("n", "d"), [(2, 1), (5, 3), (17, 4), (32, 16)])
def test_the_estimate_is_the_norm_of_the_dense_jacobian(n, d):
    generator = torch.Generator().manual_seed(n)
    x, a, v = (torch.randn(s, generator=generator, dtype=torch.float64) for s in ((4, n, d), (d, d), (d, d)))
    found = norms(lambda y: attention(y, a, v), lambda y: attention(y, a, v), x, tolerance=1e-10)
    for k in range(len(x)):
        true = dense(lambda y: attention(y, a, v), x[k])
        assert true * (1 - 1e-6) <= float(found[k]) <= true


def test_an_input_has_the_same_estimate_in_any_batch():
    x = torch.randn(6, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    together = norms(lambda y: attention(y, eye, eye), lambda y: attention(y, eye, eye), x)
    alone = torch.cat([norms(lambda y: attention(y, eye, eye), lambda y: attention(y, eye, eye), x[k : k + 1]) for k in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=0)


def test_a_linear_map_has_the_product_of_its_norms_and_another_published_value():
    generator = torch.Generator().manual_seed(3)
    m, v, x = (torch.randn(s, generator=generator, dtype=torch.float64) for s in ((6, 6), (4, 4), (2, 6, 4)))
    found = norms(lambda y: m @ y @ v, lambda y: m @ y @ v, x, tolerance=1e-12)
    expected = float(torch.linalg.matrix_norm(m, 2) * torch.linalg.matrix_norm(v, 2))
    torch.testing.assert_close(found, torch.full((2,), expected, dtype=torch.float64), rtol=1e-7, atol=0)
    assert bool((found <= expected).all())
    assert float((published(lambda y: m @ y @ v, x) / found - 1).abs().min()) > 0.05


def test_the_published_functional_of_doubling_is_not_2():
    x = torch.tensor([[[3.0, 0.0]]], dtype=torch.float64)
    assert float(norms(lambda y: 2 * y, lambda y: 2 * y, x)) == pytest.approx(2, rel=1e-8)
    assert float(published(lambda y: 2 * y, x)) == pytest.approx(math.sqrt(12), rel=1e-12)


def test_a_quotient_is_a_lower_bound_for_any_direction():
    x = torch.randn(8, 5, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    found = attained(lambda y: attention(y, -eye, eye), x, torch.randn(x.shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64))
    assert all(float(found[k]) < dense(lambda y: attention(y, -eye, eye), x[k]) for k in range(8))


def test_rank_deficient_jacobians_do_not_trouble_the_iteration():
    x = torch.ones(2, 3, 2, dtype=torch.float64)
    assert steepest(lambda y: 0 * y, x).values.tolist() == [0.0, 0.0]
    first = torch.zeros(2, 2, dtype=torch.float64)
    first[0, 0] = 5.0
    assert norms(lambda y: y @ first, lambda y: y @ first, x).tolist() == pytest.approx([5.0, 5.0], rel=1e-8)


# adversarial inputs -------------------------------------------------------------------------------


def small(d: int, a: torch.Tensor, v: torch.Tensor) -> Attention:
    """One head with the scores x^T A y and values y V, through the zoo's diagram."""
    diagram = anatomy.load("zoo:mha")
    module = frozen(anatomy.compile(diagram, {"d": d, "h": 1}, lift=("b",), dtype=torch.float64, passes=DIFFERENTIABLE))
    state = {k: torch.zeros_like(w) for k, w in module.state_dict().items()}
    state |= {"Wq": (a * d**0.5).reshape(d, 1, d), "Wk": torch.eye(d).reshape(d, 1, d), "Wv": v.reshape(d, 1, d), "Wo": torch.eye(d).reshape(1, d, d)}
    module.load_state_dict(state)
    return Attention(diagram, {"d": d, "h": 1}, module, False, plain=True)


@pytest.mark.parametrize(("g", "n", "value", "formula"), [(1, 5, 2.45840, 2.20902), (2, 65, 11.88612, 11.63262), (3, 257, 32.81993, 32.58895)])
def test_the_construction_of_the_paper_stretches_as_known(g, n, value, formula):
    one = torch.ones(1, 1, dtype=torch.float64)
    layer = small(1, -one, one)
    radius = math.sqrt(g)
    assert foreseen(direction(0, layer.heads[0]), n, radius) == pytest.approx(formula, abs=1e-5)
    found = adversarial(layer, radius, n, torch.ones(1, n, 1, dtype=torch.float64), 0, True, 0)
    assert found.constructed == pytest.approx(value, rel=1e-4)
    assert found.value >= found.constructed


def test_the_ascent_stays_in_the_ball_and_never_loses():
    generator = torch.Generator().manual_seed(7)
    a, v = torch.randn(3, 3, generator=generator, dtype=torch.float64), torch.randn(3, 3, generator=generator, dtype=torch.float64)
    x = inside(torch.randn(4, 6, 3, generator=generator, dtype=torch.float64), 1.5)
    function = small(3, a, v).module
    climbed = ascend(function, x, 1.5, 20)
    assert float(torch.linalg.vector_norm(climbed, dim=-1).max()) < 1.5
    assert float(norms(function, function, climbed).max()) > 1.1 * float(norms(function, function, x).max())


@pytest.mark.parametrize(("n", "value"), [(2, 5.744562647), (10, 12.369316877), (100, 38.768543950)])
def test_the_finite_formula_has_its_known_values(n, value):
    one = torch.ones(1, 1, dtype=torch.float64)
    assert castin(small(1, one, one), 1.0, n) == pytest.approx(value, rel=1e-9)


# fits ---------------------------------------------------------------------------------------------


def test_a_fit_finds_an_exponent_and_an_interval_around_it():
    generator = torch.Generator().manual_seed(11)
    values = {2**k: (3 * (2**k) ** 0.4 * torch.exp(0.05 * torch.randn(10, generator=generator))).tolist() for k in range(1, 9)}
    found = fit(values)
    assert found is not None
    assert found.low < 0.4 < found.high
    assert found.high - found.low < 0.05
    assert found.factor == pytest.approx(3, rel=0.1)
    assert sorted(upper_half(values)) == [32, 64, 128, 256]
    assert fit({2: [1.0], 4: [2.0]}) is None


# random GPT-2 -------------------------------------------------------------------------------------


def exponents(model: RandomGPT2, ns: tuple[int, ...], inputs: int) -> dict[str, float]:
    layer = model.depth // 2
    causal, full = model.attention(layer, True), model.attention(layer, False)
    gathered: dict[str, dict[int, list[float]]] = {"published": {}, "causal": {}, "full": {}}
    for n in ns:
        x = model.inputs(model.windows(n, inputs, 0), [layer])[layer]
        gathered["published"][n] = published(causal.double, x.double()).tolist()
        gathered["causal"][n] = norms(causal.module, causal.double, x).tolist()
        gathered["full"][n] = norms(full.module, full.double, x).tolist()
    found = {key: Series("", 0, True, key, values).whole for key, values in gathered.items()}
    return {key: each.exponent for key, each in found.items() if each is not None}


def test_random_gpt2_of_a_quarter_of_the_width():
    found = exponents(RandomGPT2(width=192, heads=3, depth=4), (2, 8, 32, 98), 3)
    assert abs(found["published"] - 0.25) < 0.06
    assert 0.03 < found["causal"] <= 0.13
    assert abs(found["full"]) < 0.03


@pytest.mark.slow
def test_random_gpt2():
    found = exponents(RandomGPT2(), (2, 8, 32, 98), 4)
    assert abs(found["published"] - 0.25) <= 0.04
    assert 0.03 < found["causal"] <= 0.13
    assert abs(found["full"]) < 0.03


def test_words_of_the_text_are_numbered_as_they_come():
    assert words("to be, or not to be") == ([0, 1, 2, 3, 4, 0, 1], 5)


# the whole ----------------------------------------------------------------------------------------

TINY = Settings(("gpt2-random",), (2, 3, 5, 8), 2, "middle", 2, 0)


@pytest.fixture
def tiny(monkeypatch):
    maker = measure.Maker(lambda seed: RandomGPT2(seed, width=12, heads=3, depth=2), RandomGPT2.title, 2, 12)
    monkeypatch.setitem(measure.MAKERS, "gpt2-random", maker)


def test_a_study_that_was_stopped_goes_on_to_the_same_results(tiny, tmp_path, monkeypatch):
    whole = measure.smoothness(tmp_path / "whole", TINY)
    measured = measure.Bench.measure
    left = [7]

    def stopping(self, cell):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return measured(self, cell)

    monkeypatch.setattr(measure.Bench, "measure", stopping)
    with pytest.raises(KeyboardInterrupt):
        measure.smoothness(tmp_path / "parts", TINY)
    assert "cells of gpt2-random are not measured yet" in (tmp_path / "parts" / "README.md").read_text()
    monkeypatch.setattr(measure.Bench, "measure", measured)
    with (tmp_path / "parts" / "cells.jsonl").open("a") as file:
        file.write('{"cell": "text/gpt2-random/1/masked/5/0", "val')  # what a kill leaves
    parts = measure.smoothness(tmp_path / "parts", TINY)
    assert parts.measured == whole.measured - 7
    for name in ("cells.jsonl", "table.csv", "results.json", "README.md", "report.html"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert measure.smoothness(tmp_path / "parts", TINY).measured == 0


def test_the_files_of_the_report_can_be_read(tiny, tmp_path):
    found = measure.smoothness(tmp_path, TINY)
    results = json.loads((tmp_path / "results.json").read_text())
    assert {s["quantity"] for s in results["series"]} == {"local", "published", "adversarial", "constructed", "bound", "castin"}
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert {int(r["n"]) for r in rows} == {2, 3, 5, 8}
    assert all(float(r["least"]) <= float(r["mean"]) * (1 + 1e-8) <= float(r["largest"]) * (1 + 2e-8) for r in rows)
    plots = sorted(tmp_path.glob("*.svg"))
    assert len(plots) == 4
    for plot in plots:
        assert ElementTree.parse(plot).getroot().tag.endswith("svg")
    assert {f["key"] for f in found.findings} == {"a", "b", "bound"}
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 4
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    for finding in found.findings:
        assert finding["words"] in (tmp_path / "README.md").read_text()


def test_another_study_is_refused_and_an_attained_value_above_a_bound_too(tiny, tmp_path):
    measure.smoothness(tmp_path, TINY)
    with pytest.raises(AnatomyError, match="E811"):
        measure.smoothness(tmp_path, Settings(("gpt2-random",), (2, 3, 5, 8), 2, "middle", 2, 1))
    cells = {"bound/m/0/masked/2/0": {"bound": 1.0}, "adversarial/m/0/masked/2/0": {"adversarial": 1.5}}
    with pytest.raises(AnatomyError, match="E901"):
        measure.sound(cells)


def test_the_command(tiny, tmp_path, capsys, monkeypatch):
    assert main(["study", "smoothness", "--out", str(tmp_path / "s"), "--models", "gpt3"]) == 1
    assert "E811" in capsys.readouterr().err
    monkeypatch.setattr("anatomy.study.plan", lambda models, quick, seed: Settings(tuple(models), TINY.tokens, 2, "middle", 2, seed))

    def gone(seed):
        raise measure.Missing("the package is not here")

    monkeypatch.setitem(measure.MAKERS, "minilm", measure.Maker(gone, "MiniLM", 6, 384))
    assert main(["study", "smoothness", "--out", str(tmp_path / "s"), "--models", "gpt2-random,minilm", "--quick"]) == 0
    assert "minilm is left out: the package is not here." in capsys.readouterr().out
    assert "minilm is left out" in (tmp_path / "s" / "README.md").read_text()


def test_settings_are_the_same_in_any_order_of_asking():
    assert plan(["minilm"], quick=True).inputs == 4
    with pytest.raises(AnatomyError, match="E811"):
        plan([])
