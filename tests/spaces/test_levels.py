"""The levels of equality: what is merged computes one function, what is not merged computes another or is listed as a conjecture."""

from __future__ import annotations

from itertools import combinations
from zlib import crc32

import numpy as np
import pytest
from space_texts import space

from anatomy.spaces import Space
from anatomy.spaces.funnel import Funnel, explain, scan
from anatomy.spaces.funnel.intervals import interval
from anatomy.spaces.funnel.merging import Classes, apart, numerically

HEAD = """axis n, m = n, d, e
diagram layer(x: [n, d]) -> [n, d] {
  hole feature(x: [e]) -> [e]
  hole weigh(s: [n, m]) -> [n, m]
  hole leave(y: [n, d]) -> [n, d]
  z = x[n -> m]
  q = feature(lin Wq[d -> e, bias=false](x))
  k = feature(lin Wk[d -> e, bias=false](z))
  simd n, m { s = dot[e](q, k) }
  out leave(dot[m](weigh(s), z))
}
diagram plain(x: [e]) -> [e] { out x }
diagram soft(x: [e]) -> [e] { out softmax[e](x) }
diagram shares(x: [e]) -> [e] { out exp(x) / sum[e](exp(x)) }
diagram halved(x: [e]) -> [e] { out softmax[e](x - x / 2) }
diagram gated(x: [e]) -> [e] { weight g: [e] ~ ones out g * x }
diagram share(s: [n, m]) -> [n, m] { out softmax[m](causal[m <= n](s)) }
diagram recent(s: [n, m]) -> [n, m] { out softmax[m](causal[m <= n and n - m < 6](s)) }
diagram mass(s: [n, m]) -> [n, m] { out relu(-square(s)) }
diagram none_of(s: [n, m]) -> [n, m] { out s - s }
diagram through(y: [n, d]) -> [n, d] { out y }
diagram twice(y: [n, d]) -> [n, d] { out 2 * y - y }
diagram bent(y: [n, d]) -> [n, d] { out tanh(y) }
"""
TEXT = HEAD + """
space s of layer {
  choose feature in { plain, soft, shares, halved, gated }
  choose weigh in { share, recent, mass, none_of }
  choose leave in { through, twice, bent }
}
"""


@pytest.fixture(scope="module")
def small() -> Space:
    return space(TEXT, "s")


@pytest.fixture(scope="module")
def funnel(small: Space) -> Funnel:
    return scan(small)


def outputs(members: Space, draws: int, tokens: int) -> list[np.ndarray]:
    """Every member compiled without passes, in float64, weights drawn by key, at usual and at small scale: nothing here knows of rewriting."""
    import torch

    from anatomy.compiler import build

    rows = []
    for member in members:
        sizes = {a: k for a, k in (("d", 4), ("e", 3), ("f", 5)) if a in member.diagram.sizes}
        module = build(member.diagram, sizes, dtype=torch.float64, passes=())
        found = []
        for draw in range(draws):
            state = {}
            for key, value in module.state_dict().items():
                generator = torch.Generator().manual_seed(crc32(f"{key} {draw}".encode()))
                state[key] = (1.0, 0.01)[draw % 2] * torch.randn(value.shape, generator=generator, dtype=torch.float64)
            module.load_state_dict(state)
            x = torch.randn(tokens, 4, generator=torch.Generator().manual_seed(100 + draw), dtype=torch.float64)
            found.append(module((1.0, 0.01)[draw % 2] * x).detach().numpy().ravel())
        rows.append(np.stack(found))
    return rows


def compared(members: Space, funnel: Funnel, rows: list[np.ndarray]) -> int:
    """Every pair of members against the values; the number of pairs."""
    labels, numeric, pairs = funnel.found.algebra, funnel.found.numeric, 0
    table = np.stack(rows)
    most = np.abs(table).max(axis=2)
    for i in range(len(rows)):
        gap = np.abs(table[i + 1 :] - table[i]).max(axis=2, initial=0.0)
        close = (gap <= 1e-9 * np.maximum(most[i], most[i + 1 :]) + 1e-300).all(axis=1)
        merged = labels[i + 1 :] == labels[i]
        assert not (merged & ~close).any(), (i, i + 1 + np.flatnonzero(merged & ~close)[0])
        assert not (close & (numeric[i + 1 :] != numeric[i])).any(), (i, i + 1 + np.flatnonzero(close & (numeric[i + 1 :] != numeric[i]))[0])
        pairs += len(gap)
    return pairs


def test_merged_members_agree_and_equal_ones_are_merged_or_listed(small: Space, funnel: Funnel) -> None:
    assert compared(small, funnel, outputs(small, 2, 9)) == 60 * 59 // 2
    assert funnel.normal is not None
    assert funnel.algebra is not None
    assert funnel.typed >= funnel.canonical > funnel.normal >= funnel.algebra


def test_no_class_that_is_proved_equal_is_split(small: Space, funnel: Funnel) -> None:
    from anatomy.rewrites.equality import equal

    labels, numeric = funnel.found.algebra, funnel.found.numeric
    kept = np.flatnonzero(labels == np.arange(len(small))).tolist()
    near = [(a, b) for a, b in combinations(kept, 2) if numeric[a] == numeric[b] or b - a < 4]
    assert near
    assert not [(a, b) for a, b in near if equal(small[a].diagram, small[b].diagram, seconds=0).proved]


def test_a_merge_tells_its_laws(small: Space, funnel: Funnel) -> None:
    a, b = (small.index({"feature": f, "weigh": "share", "leave": "through"}) for f in ("soft", "shares"))
    found = explain(small, a, b)
    assert (found.level, found.merged) == ("L2", True)
    assert found.steps
    assert found.differ == (("feature", "soft", "shares"),)
    assert funnel.level(b) == "L2"
    other = explain(small, a, small.index({"feature": "plain", "weigh": "share", "leave": "through"}))
    assert other.level == "different"
    assert other.counterexample is not None


def test_sizes_go_beyond_what_a_window_shows(small: Space, funnel: Funnel) -> None:
    a, b = (small.index({"feature": "plain", "weigh": w, "leave": "bent"}) for w in ("share", "recent"))
    assert funnel.found.numeric[a] != funnel.found.numeric[b]


def test_weights_that_are_drawn_otherwise_keep_members_apart() -> None:
    text = """axis n, d
    diagram base(x: [n, d]) -> [n, d] { hole f(x: [d]) -> [d] out f(x) }
    diagram ones_(x: [d]) -> [d] { weight w: [d] ~ ones out x * w }
    diagram zeros_(x: [d]) -> [d] { weight w: [d] ~ zeros out w * x }
    space s of base { choose f in { ones_, zeros_ } }"""
    members = space(text, "s")
    found = scan(members)
    assert found.algebra == 2
    assert found.found.redrawn == [(0, 1)]
    assert explain(members, 0, 1).level == "L2 redrawn"


@pytest.mark.slow
def test_a_hundred_thousand_pairs_against_independent_evaluation() -> None:
    from anatomy.api import space as load

    members = load("zoo:spaces/scores")
    assert compared(members, scan(members), outputs(members, 2, 12)) >= 100_000


def test_unions_know_the_least_rank() -> None:
    found = Classes()
    assert found.join(7, 3)
    assert found.join(3, 5)
    assert not found.join(5, 7)
    assert found.labels(np.arange(8)).tolist() == [0, 1, 2, 3, 4, 3, 6, 3]


def test_groups_chain_over_both_grids() -> None:
    labels = numerically(np.array([[1, 9], [2, 9], [2, 7], [3, 7], [4, 4]], np.uint64))
    assert labels.tolist() == [0, 0, 0, 0, 4]
    assert [g.tolist() for g in apart(np.arange(5), labels, np.array([0, 0, 2, 3, 4]))] == [[0, 2, 3]]


@pytest.mark.parametrize(("hits", "drawn"), [(0, 20), (3, 20), (10, 20), (20, 20)])
def test_the_interval_is_exact(hits: int, drawn: int) -> None:
    from math import comb

    low, high = interval(hits, drawn)
    tail = lambda p, ks: sum(comb(drawn, k) * p**k * (1 - p) ** (drawn - k) for k in ks)  # noqa: E731
    assert low == 0 or tail(low, range(hits, drawn + 1)) == pytest.approx(0.025)
    assert high == 1 or tail(high, range(hits + 1)) == pytest.approx(0.025)
