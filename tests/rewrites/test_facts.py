"""What the field knows: each fact of examples/facts is decided by the machine alone, or refuted by inputs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from anatomy.compiler import build
from anatomy.language.program import Program
from anatomy.rewrites.equality import equal, related

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "facts"
FACT = re.compile(r"^# fact: (\w+) (==|!=|~=|>=) (\w+)", re.MULTILINE)
PROGRAMS = {path.name: Program.of_file(path) for path in sorted(FOLDER.glob("*.anat"))}
FACTS = [(name, *fact) for name in PROGRAMS for fact in FACT.findall((FOLDER / name).read_text(encoding="utf-8"))]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_files_have_no_findings(name: str) -> None:
    program = PROGRAMS[name]
    assert [d.code for d in (*program.check(), *program.diagnostics())] == []


def test_the_facts_that_are_asked_for_are_there() -> None:
    claimed = {(a, sign, b) for _, a, sign, b in FACTS}
    assert {
        ("quadratic", "==", "reassociated"), ("multi_query", "==", "grouped_query"),
        ("heads_end_to_end", "==", "heads_summed"), ("alibi", "==", "alibi_folded"), ("softmax_one", "==", "zero_key"),
        ("luong_general", "==", "projected_dot"), ("retention_recurrent", "==", "retention_parallel"),
        ("additive", "==", "concat"), ("additive", "~=", "concat"), ("multi_query", "~=", "grouped_query"), ("shaw_on_one_coordinate", "==", "t5"), ("reversed_before", "==", "reversed_after"),
        ("softmax_of_the_keys", "!=", "softmax_of_the_queries"),
        ("softmax_of_the_keys", "!=", "reassociated_across_softmax"),
        ("causal_reversed_before", "!=", "causal_reversed_after"),
    } <= claimed  # fmt: skip


@pytest.mark.parametrize(("name", "left", "sign", "right"), FACTS, ids=lambda f: f if f.isidentifier() else "")
def test_fact(name: str, left: str, sign: str, right: str) -> None:
    a, b = PROGRAMS[name].get(left), PROGRAMS[name].get(right)
    if sign in ("~=", ">="):
        relation = related(a, b, seconds=60).relation
        assert relation is not None
        assert (relation.relation, relation.greater, relation.conjecture) == (sign, "left" if sign == ">=" else "", False)
        assert {fill.key for fill in relation.forth} == {w.key for w in a.weights}
        assert sign == ">=" or {fill.key for fill in relation.back} == {w.key for w in b.weights}
        return
    found = equal(a, b, seconds=60)
    if sign == "==":
        assert not found.same_term, "nothing is to be shown"
        assert found.proved
        assert (found.evaluation, found.counterexample) == (True, None)
        assert found.derivation
    else:
        assert sign == "!="
        assert not found.proved
        assert found.counterexample is not None
        assert found.counterexample.difference > 1e-3


def module(name: str, file: str = "proved.anat", **sizes: int) -> torch.nn.Module:
    return build(PROGRAMS[file].get(name), sizes, dtype=torch.float64)


def test_quadratic_attention_by_hand() -> None:
    q, k, v = (torch.randn(*s, dtype=torch.float64) for s in ((3, 2), (5, 2), (5, 4)))
    s = (torch.nn.functional.elu(q) + 1) @ (torch.nn.functional.elu(k) + 1).T
    expected = (s / s.sum(1, keepdim=True)) @ v
    for name in ("quadratic", "reassociated"):
        torch.testing.assert_close(module(name)(q, k, v), expected)


def test_alibi_by_hand() -> None:
    n, h, e = 5, 4, 3
    q, k, v = (torch.randn(n, h, e, dtype=torch.float64) for _ in range(3))
    expected = torch.zeros(n, h, e, dtype=torch.float64)
    for i in range(n):
        for j in range(h):
            s = torch.stack([q[i, j] @ k[t, j] / e**0.5 - 2 ** (-8 * (j + 1) / h) * (i - t) for t in range(i + 1)])
            expected[i, j] = s.softmax(0) @ v[: i + 1, j]
    for name in ("alibi", "alibi_folded"):
        torch.testing.assert_close(module(name)(q, k, v), expected)


def test_softmax_one_by_hand() -> None:
    q, k, v = (torch.randn(*s, dtype=torch.float64) for s in ((3, 2), (5, 2), (5, 4)))
    p = (q @ k.T / 2**0.5).exp()
    for name in ("softmax_one", "zero_key"):
        torch.testing.assert_close(module(name)(q, k, v), (p / (1 + p.sum(1, keepdim=True))) @ v)


def test_relative_bias_by_hand() -> None:
    q, k = torch.randn(3, 2, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)
    places = torch.randint(6, (3, 4))
    for name in ("t5", "shaw_on_one_coordinate"):
        made = module(name, b=6)
        bias = next(p for key, p in made.named_parameters() if key.endswith("B")).detach()
        torch.testing.assert_close(made(q, k, places).detach(), (q @ k.T + bias[places, 0]).softmax(1))


def test_one_group_by_hand() -> None:
    """The weights of one, with an axis of size one, are those of the other."""
    sizes = {"d": 4, "h": 3, "e": 2, "f": 5}
    multi = module("multi_query", "reparametrised.anat", **sizes)
    grouped = module("grouped_query", "reparametrised.anat", d=4, c=3, e=2, f=5)
    state, shapes = multi.state_dict(), {k: v.shape for k, v in grouped.state_dict().items()}
    assert state.keys() == shapes.keys()
    grouped.load_state_dict({k: v.reshape(shapes[k]) for k, v in state.items()})
    x = torch.randn(6, 4, dtype=torch.float64)
    torch.testing.assert_close(grouped(x), multi(x))


def test_concat_weights_by_hand() -> None:
    additive = module("additive", "reparametrised.anat", d=3, e=2, r=4)
    concat = module("concat", "reparametrised.anat", d=3, e=2, r=4)
    mine = additive.state_dict()
    concat.load_state_dict({"v": mine["v"], "W": torch.cat((mine["W"], mine["U"]))})
    s, z = torch.randn(5, 3, dtype=torch.float64), torch.randn(7, 2, dtype=torch.float64)
    torch.testing.assert_close(concat(s, z), additive(s, z))
