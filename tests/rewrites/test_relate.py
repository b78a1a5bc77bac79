"""Relations of sets of functions, with witnesses that are put in by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from anatomy.cli.main import main
from anatomy.rewrites.equality import equal, related
from anatomy.rewrites.relate import comparable, contains, relate
from anatomy.rewrites.reparametrise import reparametrised
from anatomy.rewrites.specialise import at, specialisations
from anatomy.target import load_diagram
from tests.rewrites.witnesses import AXES, computed, drawn, normal, read

W = dict[str, Tensor]
HEADS = """
diagram mha(x: [n, d]) -> [n, d] {
  z = x[n -> m]
  q = lin Wq[d -> h, e](x)
  k = lin Wk[d -> h, e](z)
  v = lin Wv[d -> h, f](z)
  out lin Wo[h, f -> d](dot[m](softmax[m](dot[e](q, k) / sqrt(size[e])), v))
}
diagram joined(x: [n, d]) -> [n, d] {
  z = x[n -> m]
  q = lin Wq[d -> h, e](x)
  k = lin Wk[d -> h, e](z)
  v = lin Wv[d -> h, f](z)
  out lin Wo[hf -> d](merge[h, f -> hf](dot[m](softmax[m](dot[e](q, k) / sqrt(size[e])), v)))
}
diagram gqa(x: [n, d]) -> [n, d] {
  z = x[n -> m]
  q = lin Wq[d -> g, j, e](x)
  k = lin Wk[d -> g, e](z)
  v = lin Wv[d -> g, f](z)
  out lin Wo[g, j, f -> d](dot[m](softmax[m](dot[e](q, k) / sqrt(size[e])), v))
}
diagram mqa(x: [n, d]) -> [n, d] {
  z = x[n -> m]
  q = lin Wq[d -> h, e](x)
  k = lin Wk[d -> e](z)
  v = lin Wv[d -> f](z)
  out lin Wo[h, f -> d](dot[m](softmax[m](dot[e](q, k) / sqrt(size[e])), v))
}
diagram latent(x: [n, d]) -> [n, d] {
  z = lin Dkv[d -> c, bias=false](x[n -> m])
  q = lin Uq[a -> h, e, bias=false](lin Dq[d -> a, bias=false](x))
  k = lin Uk[c -> h, e, bias=false](z)
  v = lin Uv[c -> h, f, bias=false](z)
  out lin Wo[h, f -> d](dot[m](softmax[m](dot[e](q, k) / sqrt(size[e])), v))
}
diagram single(x: [n, d]) -> [n, d] {
  z = x[n -> m]
  q = lin Wq[d -> e](x)
  k = lin Wk[d -> e, bias=false](z)
  v = lin Wv[d -> f](z)
  out lin Wo[f -> d](dot[m](softmax[m](dot[e](q, k)), v))
}
diagram plain(x: [n, d]) -> [n, d] {
  z = x[n -> m]
  out dot[m](softmax[m](dot[d](x, z)), z)
}
"""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def heads(x: Tensor, q: Tensor, k: Tensor, v: Tensor, o: Tensor, b: Tensor) -> Tensor:
    """One head after the other: queries, keys and values [h, n, .], output maps [h, f, d]."""
    out = b.expand(x.shape[0], -1).clone()
    for i in range(q.shape[0]):
        out = out + torch.softmax(q[i] @ k[i].T / q.shape[2] ** 0.5, 1) @ v[i] @ o[i]
    return out


def mha(x: Tensor, w: W) -> Tensor:
    q, k, v = (torch.einsum("nd,dhe->hne", x, w[f"W{i}"]) + w[f"W{i}.bias"][:, None] for i in "qkv")
    return heads(x, q, k, v, w["Wo"], w["Wo.bias"])


def joined(x: Tensor, w: W) -> Tensor:
    h, f = w["Wv"].shape[1:]
    return mha(x, w | {"Wo": w["Wo"].reshape(h, f, -1)})


def mqa(x: Tensor, w: W) -> Tensor:
    q = torch.einsum("nd,dhe->hne", x, w["Wq"]) + w["Wq.bias"][:, None]
    k, v = ((x @ w[f"W{i}"] + w[f"W{i}.bias"]).expand(q.shape[0], -1, -1) for i in "kv")
    return heads(x, q, k, v, w["Wo"], w["Wo.bias"])


def gqa(x: Tensor, w: W) -> Tensor:
    d, g, j, e = w["Wq"].shape
    q = torch.einsum("nd,dhe->hne", x, w["Wq"].reshape(d, g * j, e)) + w["Wq.bias"].reshape(g * j, 1, e)
    k, v = ((torch.einsum("nd,dge->gne", x, w[f"W{i}"]) + w[f"W{i}.bias"][:, None]).repeat_interleave(j, 0) for i in "kv")
    return heads(x, q, k, v, w["Wo"].reshape(g * j, *w["Wo"].shape[2:]), w["Wo.bias"])


def latent(x: Tensor, w: W) -> Tensor:
    z, y = x @ w["Dkv"], x @ w["Dq"]
    q, k, v = (torch.einsum("nd,dhe->hne", t, u) for t, u in ((y, w["Uq"]), (z, w["Uk"]), (z, w["Uv"])))
    return heads(x, q, k, v, w["Wo"], w["Wo.bias"])


def single(x: Tensor, w: W) -> Tensor:
    q, k, v = x @ w["Wq"] + w["Wq.bias"], x @ w["Wk"], x @ w["Wv"] + w["Wv.bias"]
    return torch.softmax(q @ k.T, 1) @ v @ w["Wo"] + w["Wo.bias"]


def plain(x: Tensor, w: W) -> Tensor:
    return torch.softmax(x @ x.T, 1) @ x


SIZES = {"n": 4, "d": 6, "h": 4, "e": 3, "f": 5, "g": 2, "j": 2, "a": 2, "c": 3, "hf": 20}
WEIGHTS: dict[str, dict[str, str]] = {
    "mha": {"Wq": "dhe", "Wq__bias": "he", "Wk": "dhe", "Wk__bias": "he", "Wv": "dhf", "Wv__bias": "hf", "Wo": "hfd", "Wo__bias": "d"},
    "joined": {"Wq": "dhe", "Wq__bias": "he", "Wk": "dhe", "Wk__bias": "he", "Wv": "dhf", "Wv__bias": "hf", "Wo": "Hd", "Wo__bias": "d"},
    "gqa": {"Wq": "dgje", "Wq__bias": "gje", "Wk": "dge", "Wk__bias": "ge", "Wv": "dgf", "Wv__bias": "gf", "Wo": "gjfd", "Wo__bias": "d"},
    "mqa": {"Wq": "dhe", "Wq__bias": "he", "Wk": "de", "Wk__bias": "e", "Wv": "df", "Wv__bias": "f", "Wo": "hfd", "Wo__bias": "d"},
    "latent": {"Dkv": "dc", "Dq": "da", "Uq": "ahe", "Uk": "che", "Uv": "chf", "Wo": "hfd", "Wo__bias": "d"},
    "single": {"Wq": "de", "Wq__bias": "e", "Wk": "de", "Wv": "df", "Wv__bias": "f", "Wo": "fd", "Wo__bias": "d"},
    "plain": {},
}
FORMULAS: dict[str, Callable[[Tensor, W], Tensor]] = {
    "mha": mha, "joined": joined, "gqa": gqa, "mqa": mqa, "latent": latent, "single": single, "plain": plain,
}  # fmt: skip


def weights(name: str, seed: int) -> W:
    shapes = {k: tuple(SIZES["hf" if a == "H" else a] for a in axes) for k, axes in WEIGHTS[name].items()}
    return {k: v / 2 for k, v in drawn(seed, **shapes).items()}


@pytest.mark.parametrize(
    ("left", "right", "restrictions"),
    [
        ("mha", "mqa", {"Wk along h", "Wv along h"}),
        ("gqa", "mqa", {"g = 1"}),
        ("mha", "gqa", {"h = g * j", "Wk along j", "Wv along j"}),
        ("mha", "latent", {"Wq.bias = 0"}),
        ("mha", "single", {"h = 1"}),
        ("single", "plain", None),
    ],
)
def test_one_has_the_functions_of_the_other_and_the_witness_is_right_by_hand(left: str, right: str, restrictions: set[str] | None) -> None:
    a, b = read(HEADS, left), read(HEADS, right)
    found = contains(a, b, 120.0)
    assert found is not None
    assert (found.relation, found.greater, found.conjecture) == (">=", "left", False)
    assert restrictions is None or set(found.restrictions) == restrictions
    for seed in range(2):
        w, x = weights(right, seed), normal(seed + 5, SIZES["n"], SIZES["d"])
        full = computed(found.forth, w, SIZES)
        torch.testing.assert_close(FORMULAS[left](x, full), FORMULAS[right](x, w), rtol=1e-11, atol=1e-11)


def test_where_both_contain_each_other_the_one_with_fewer_restrictions_is_told() -> None:
    # Groups of one query head are heads, and heads that share keys are groups.
    found = relate(read(HEADS, "mha"), read(HEADS, "gqa"), 120.0)
    assert found is not None
    assert (found.greater, found.restrictions) == ("right", ("j = 1",))


def test_the_greater_may_stand_on_the_right() -> None:
    found = relate(read(HEADS, "mqa"), read(HEADS, "mha"), 120.0)
    assert found is not None
    assert (found.relation, found.greater, found.forth) == (">=", "right", ())
    w, x = weights("mqa", 1), normal(2, SIZES["n"], SIZES["d"])
    torch.testing.assert_close(mha(x, computed(found.back, w, SIZES)), mqa(x, w), rtol=1e-11, atol=1e-11)


def test_heads_side_by_side_are_a_sum_over_heads_both_ways() -> None:
    found = relate(read(HEADS, "joined"), read(HEADS, "mha"))
    assert found is not None
    assert (found.relation, found.conditions) == ("~=", ())
    x = normal(3, SIZES["n"], SIZES["d"])
    w = weights("mha", 1)
    torch.testing.assert_close(joined(x, computed(found.forth, w, SIZES)), mha(x, w), rtol=1e-11, atol=1e-11)
    w = weights("joined", 2)
    torch.testing.assert_close(mha(x, computed(found.back, w, SIZES)), joined(x, w), rtol=1e-11, atol=1e-11)


def bahdanau(t: Tensor, x: Tensor, w: W) -> Tensor:
    s = torch.tanh((t @ w["score.W"])[:, None] + (x @ w["score.U"])[None]) @ w["score.u"]
    return torch.softmax(s, 1) @ x


def concat(t: Tensor, x: Tensor, w: W) -> Tensor:
    pairs = torch.cat([t[:, None].expand(-1, x.shape[0], -1), x[None].expand(t.shape[0], -1, -1)], 2)
    return torch.softmax(torch.tanh(pairs @ w["score.Wa"]) @ w["score.u"], 1) @ x


def test_additive_and_concat_scores_are_the_same_functions_by_hand_both_ways() -> None:
    a, b = load_diagram("zoo:luong_concat"), load_diagram("zoo:bahdanau")
    found = relate(a, b)
    assert found is not None
    assert (found.relation, found.conjecture) == ("~=", False)
    sizes = {"n": 3, "m": 4, "d": 2, "c": 5, "score.a": 6}
    t, x = normal(1, 3, 2), normal(2, 4, 5)
    w = drawn(3, score__u=(6,), score__W=(2, 6), score__U=(5, 6))
    full = computed(found.forth, w, sizes)
    torch.testing.assert_close(full["score.Wa"], torch.cat([w["score.W"], w["score.U"]]), rtol=0, atol=0)
    torch.testing.assert_close(concat(t, x, full), bahdanau(t, x, w))
    w = drawn(4, score__u=(6,), score__Wa=(7, 6))
    torch.testing.assert_close(bahdanau(t, x, computed(found.back, w, sizes)), concat(t, x, w))


def test_the_general_score_has_the_plain_one_where_sizes_agree() -> None:
    found = relate(load_diagram("zoo:luong_general"), load_diagram("zoo:luong_dot"))
    assert found is not None
    assert (found.relation, found.greater) == (">=", "left")
    assert "c = d" in found.restrictions
    torch.testing.assert_close(computed(found.forth, {}, {"n": 2, "m": 3, "d": 4})["score.Wa"], torch.eye(4, dtype=torch.float64))


SCORES = """
diagram scaled(t: [n, d], x: [m, c]) -> [n, m] { out softmax[m](dot[e](lin Wq[d -> e](t), lin Wk[c -> e](x)) / sqrt(size[e])) }
diagram unscaled(t: [n, d], x: [m, c]) -> [n, m] { out softmax[m](dot[e](lin Wq[d -> e](t), lin Wk[c -> e](x))) }
diagram unbiased(t: [n, d], x: [m, c]) -> [n, m] { out softmax[m](dot[e](lin Wq[d -> e](t), lin Wk[c -> e, bias=false](x))) }
diagram warm(t: [n, d], x: [m, c]) -> [n, m] { weight T: [] ~ ones out softmax[m](T * dot[e](lin Wq[d -> e](t), lin Wk[c -> e](x))) }
diagram bare(t: [n, d], x: [m, c]) -> [n, m] { out softmax[m](dot[e](lin Wq[d -> e, bias=false](t), lin Wk[c -> e, bias=false](x))) }
diagram even(t: [n, d], x: [m, c]) -> [n, m] where e = c { out softmax[m](dot[e](lin Wq[d -> e, bias=false](t), lin Wk[c -> e, bias=false](x))) }
diagram general(t: [n, d], x: [m, c]) -> [n, m] { out softmax[m](dot[d](t, lin W[c -> d, bias=false](x))) }
diagram twin(t: [n, d], x: [m, c]) -> [n, m] where c = d { weight V: [d, e] ~ normal(1) out softmax[m](dot[e](dot[d](t, V), dot[d](x[c -> d], V))) }
"""


@pytest.mark.parametrize(
    ("left", "right", "relation", "greater"),
    [
        ("scaled", "scaled", "==", ""),
        ("scaled", "unscaled", "~=", ""),
        ("unscaled", "unbiased", "==", ""),
        ("scaled", "warm", "~=", ""),
        ("unscaled", "bare", ">=", "left"),
        ("even", "general", "~=", ""),
        ("general", "bare", ">=", "left"),
        ("bare", "general", ">=", "right"),
    ],
)
def test_scores(left: str, right: str, relation: str, greater: str) -> None:
    a, b = read(SCORES, left), read(SCORES, right)
    found = relate(a, b, 10.0)
    assert found is not None
    assert (found.relation, found.greater, found.conjecture) == (relation, greater, False)
    if (left, right) == ("general", "bare"):
        assert found.conditions == ("e >= min(c, d)",)


def test_a_key_bias_drops_out_of_a_softmax() -> None:
    w = drawn(1, Wq=(2, 3), Wq__bias=(3,), Wk=(4, 3))
    found = relate(read(SCORES, "unscaled"), read(SCORES, "unbiased"))
    assert found is not None
    assert found.relation == "=="
    t, x = normal(2, 3, 2), normal(3, 5, 4)
    q = t @ w["Wq"] + w["Wq.bias"]
    torch.testing.assert_close(torch.softmax(q @ (x @ w["Wk"] + 7).T, 1), torch.softmax(q @ (x @ w["Wk"]).T, 1))


def test_what_is_not_the_same_is_never_said_to_be() -> None:
    general, twin = read(SCORES, "general"), read(SCORES, "twin")
    found = relate(general, twin, 5.0)
    assert found is None or found.relation == ">="
    # A product of small rank is no general matrix: only the one direction holds, and the condition is named.
    found = relate(read(SCORES, "bare"), general, 5.0)
    assert found is not None
    assert found.relation != "~="
    low = "diagram low(x: [n, d]) -> [n, d] { out lin B[e -> d, bias=false](lin A[d -> e, bias=false](x)) } "
    low += "diagram one(x: [n, d]) -> [n, d] { out lin B[e -> d, bias=false](lin A[d -> e, bias=false](x)) + x } "
    low += "diagram two(x: [n, d]) -> [n, d] { weight s: [d] ~ ones out x * s * s } "
    low += "diagram any(x: [n, d]) -> [n, d] { weight s: [d] ~ ones out x * s }"
    found = relate(read(low, "low"), read(low, "one"), 3.0)
    assert found is None or found.conjecture
    found = relate(read(low, "two"), read(low, "any"), 3.0)
    assert found is None or (found.relation, found.greater) == (">=", "right")


def test_a_frozen_weight_stands_for_no_learned_one() -> None:
    text = "diagram free(x: [n, d]) -> [n, d] { weight s: [d] ~ normal(1) out exp(x * s) } "
    text += "diagram ice(x: [n, d]) -> [n, d] { frozen weight s: [d] ~ normal(1) out exp(x * s) }"
    free, ice = read(text, "free"), read(text, "ice")
    found, other = relate(free, ice, 60.0), relate(ice, free, 60.0)
    assert found is not None
    assert other is not None
    assert [(r.relation, r.greater) for r in (found, other)] == [(">=", "left"), (">=", "right")]
    assert contains(ice, free) is None


def test_diagrams_of_other_types_are_told_apart() -> None:
    a, b = read(HEADS, "mha"), read(SCORES, "bare")
    assert "1 input" in comparable(a, b)
    assert relate(a, b) is None
    assert related(a, b).relation is None


def test_every_specialisation_has_a_witness() -> None:
    a = read(SCORES, "scaled")
    names = set()
    for special in specialisations(a, ("p", "q")):
        names.add(special.name)
        again = reparametrised(at(a, special.sizes), special.fills)
        assert equal(again, special.diagram, seconds=0).same_term
        # What is a matrix of ones or zeros reads the inputs still.
        assert [len(i.layout) for i in special.diagram.inputs] == [2, 2]
    assert {"e = 1", "Wq = 0", "Wk.bias = 0", "Wq along e", "e = d, Wq = identity", "e = p * q", "Wk.bias = Wq.bias"} <= names


def files(tmp_path: Path, text: str) -> str:
    path = tmp_path / "t.anat"
    path.write_text(AXES + text)
    return str(path)


def test_the_command_tells_relations_and_witnesses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = ["zoo:luong_concat", "zoo:bahdanau"]
    assert main(["equal", *pair]) == 1
    told = capsys.readouterr().out
    assert "`luong_concat` ~= `bahdanau`" in told
    assert "score.Wa := cat[d, c -> r](W, U)" in told
    assert [main(["equal", *pair, "--relation", r]) for r in ("==", "~=", ">=")] == [1, 0, 0]
    capsys.readouterr()
    assert main(["equal", "--json", *pair]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["relation"]["relation"] == "~="
    assert {"weight": "score.Wa", "value": "cat[d, c -> r](W, U)"} in data["relation"]["forth"]
    assert data["refused"] is None
    pair = [f"{files(tmp_path, SCORES)}::{name}" for name in ("general", "bare")]
    assert [main(["equal", *p, "--relation", ">="]) for p in (pair, pair[::-1])] == [0, 0]
    told = capsys.readouterr().out
    assert "where e >= min(c, d), it is `~=`" in told
    assert [main(["equal", *pair, "--relation", "~="])] == [1]


def test_the_command_refuses_diagrams_of_other_types(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["equal", "zoo:mha", "zoo:bahdanau", "--relation", ">="]) == 1
    assert "of different types: `mha` has 1 input, `bahdanau` 2 inputs" in capsys.readouterr().out
    assert main(["equal", "--json", "zoo:mha", "zoo:bahdanau"]) == 1
    assert "1 input" in json.loads(capsys.readouterr().out)["refused"]
