"""The key of terms against the canonical digest: the same partition, from the diagram or from its members' segments."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from anatomy.errors import Source
from anatomy.ir.canonical import digest
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from anatomy.spaces.rung import Rung
from anatomy.spaces.space import Space
from anatomy.spaces.terms.fold import key, slow_key, terms
from anatomy.spaces.terms.members import Members
from anatomy.target import load_space, resolve, zoo_files
from tests.ir.samples import copy, random_diagram, samples
from tests.ir.test_canonical import swap_any, swapped, untied

SPACE = """
axis n, m = n, d, e = d, h, r
diagram base(x: [n, d]) -> [n, d] {
  hole score(q: [e], k: [e]) -> []
  hole mix(s: [n, m]) -> [n, m]
  hole left(y: [d]) -> [d]
  hole right(y: [d]) -> [d]
  hole end(a: [d], b: [d]) -> [d]
  z = x[n -> m]
  q = lin Wq[d -> e, bias=false](x)
  k = lin Wk[d -> e, bias=false](z)
  simd n, m { s = score(q, k) }
  w = mix(s)
  y = dot[m](w, z)
  out end(left(y), right(y))
}
diagram dots(q: [e], k: [e]) -> [] { out dot[e](q, k) }
diagram bilinear(q: [e], k: [e]) -> [] { out dot[r](lin A[e -> r, bias=false](q), lin B[e -> r, bias=false](k)) }
diagram shared(q: [e], k: [e]) -> [] { a = lin A[e -> r, bias=false](q)
  out dot[r](a, a) + sum[e](k) }
diagram heads(q: [e], k: [e]) -> [] where e = h * r { out dot[h, r](split[e -> h, r](q), split[e -> h, r](k)) }
diagram blind(q: [e], k: [e]) -> [] { _k = k
  out sum[e](tanh(q)) }
diagram nothing(q: [e], k: [e]) -> [] { _q = q
  _k = k
  out 1 }
diagram soft(s: [n, m]) -> [n, m] { out softmax[m](s) }
diagram past(s: [n, m]) -> [n, m] { out softmax[m](causal[m <= n](s)) }
diagram both(s: [n, m]) -> [n, m] { out softmax[m](s) * sigmoid(s) }
diagram plain(y: [d]) -> [d] { out y }
diagram wide(y: [d]) -> [d] { out lin G[r -> d](relu(lin F[d -> r](y))) }
diagram zero(y: [d]) -> [d] { out y - y }
diagram steps(y: [d]) -> [d] { out cumsum[d](y) }
diagram plus(a: [d], b: [d]) -> [d] { out a + b }
diagram times(a: [d], b: [d]) -> [d] { out b * a }
diagram minus(a: [d], b: [d]) -> [d] { out a - b }
diagram first(a: [d], b: [d]) -> [d] { _b = b
  out a }
space all of base {
  choose score in { dots, bilinear, shared, blind, nothing }
  choose mix in { soft, past, both }
  choose left in { plain, wide, zero, steps }
  choose right in { plain, wide, steps }
  choose end in { plus, times, minus, first }
}
"""


def space_of(text: str, name: str) -> Space:
    program = Program.of(Source("space.anat", text))
    errors = [d for d in program.check() if d.severity == "error"]
    assert not errors, errors
    return Space(program.space(name))


def mine(diagram: Diagram) -> bytes:
    found = key(terms(diagram))
    return slow_key(diagram) if found is None else found


def same_partition(diagrams: list[Diagram]) -> None:
    forth: dict[bytes, str] = {}
    back: dict[str, bytes] = {}
    for k, diagram in enumerate(diagrams):
        a, b = mine(diagram), digest(diagram)
        assert forth.setdefault(a, b) == b, (k, diagram.name)
        assert back.setdefault(b, a) == a, (k, diagram.name)


def check_random(seeds: range) -> None:
    found = []
    for seed in seeds:
        rng = random.Random(seed)
        diagram = random_diagram(rng, rng.randint(1, 20))
        twin = copy(diagram, rng)
        assert mine(diagram) == mine(twin), seed
        others = (swapped(diagram, rng), untied(diagram, rng), swap_any(diagram, rng))
        found += [diagram, twin, *(d for d in others if d is not None)]
    same_partition(found)


def test_random_diagrams() -> None:
    check_random(range(300))


@pytest.mark.slow
def test_many_random_diagrams() -> None:
    check_random(range(300, 5300))


def test_samples_and_copies() -> None:
    rng = random.Random(5)
    found = list(samples().values())
    same_partition([*found, *(copy(d, rng) for d in found)])


def test_zoo() -> None:
    found = []
    for name in zoo_files():
        if not name.startswith("spaces/"):
            program, _ = resolve(f"zoo:{name}")
            found += [d for d in map(program.get, program.names()) if not d.holes]
    same_partition(found)
    given_up = [d.name for d in found if key(terms(d)) is None]
    assert len(given_up) < len(found) / 4


def test_frozen_and_initialisers_count() -> None:
    diagram = samples()["twins"]
    weight = replace(diagram.weights[0], frozen=not diagram.weights[0].frozen)
    assert mine(diagram) != mine(replace(diagram, weights=(weight, *diagram.weights[1:])))


def check_members(space: Space, ranks: range) -> None:
    """Members folded from segments have the key of the diagram that is built, and the partition of the digest."""
    members = Members(space.definition)  # type: ignore[arg-type]
    forth: dict[bytes, str] = {}
    back: dict[str, bytes] = {}
    folded = 0
    for rank in ranks:
        diagram = space[rank].diagram
        fold = members.fold(space.values(rank))
        found = mine(diagram)
        if fold is not None:
            folded += 1
            assert key(fold) in (found, None), rank
        code = digest(diagram)
        assert forth.setdefault(found, code) == code, rank
        assert back.setdefault(code, found) == found, rank
    assert folded > len(ranks) / 2


def test_members_of_scores() -> None:
    space = Space(load_space("zoo:spaces/scores"))
    check_members(space, range(0, space.count, 3))


@pytest.mark.slow
def test_all_members_of_scores() -> None:
    check_members(Space(load_space("zoo:spaces/scores")), range(720))


def test_members_that_ignore_and_repeat() -> None:
    space = space_of(SPACE, "all")
    check_members(space, range(0, space.count, 2))


def test_order_of_asking_changes_nothing() -> None:
    space = space_of(SPACE, "all")
    ranks = list(range(0, space.count, 11))
    forwards = Rung(space).chunk(ranks)
    random.Random(1).shuffle(ranks)
    rung = Rung(space)
    backwards = {rank: rung.facts(rank) for rank in ranks}
    assert all(backwards[f.rank] == f for f in forwards)
    assert all(rung.key(f.rank) == f.key for f in forwards)
