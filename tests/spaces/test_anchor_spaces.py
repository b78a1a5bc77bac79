"""The anchors, written as spaces: their counts, by Burnside, by independent enumeration, and on the diagrams themselves."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from itertools import accumulate, islice, product
from pathlib import Path

import pytest
import torch
from decided import value
from nasbench import OPS_201, cells, graphs, learners, published, sound

from anatomy.compiler import build
from anatomy.errors import Source
from anatomy.ir.canonical import digest
from anatomy.ir.graph import Diagram
from anatomy.ir.term import term
from anatomy.language.choices import SpaceDefinition
from anatomy.language.format import format_text
from anatomy.language.program import Program
from anatomy.language.unparse import unparse
from anatomy.rewrites.normal import form
from anatomy.spaces import Space
from anatomy.spaces.assembly import assemble
from anatomy.spaces.tree.value import Value
from anatomy.target import load_space

PLACE = Path(__file__).resolve().parents[2] / "examples" / "spaces"
FILES = sorted(PLACE.glob("*.anat"))


def definition(name: str) -> SpaceDefinition:
    found = load_space(str(PLACE / f"{name}.anat"))
    assert isinstance(found, SpaceDefinition)
    return found


def row_of(ops: tuple[str, ...]) -> list[Value]:
    return [Value(op) for op in ops]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_files_are_as_fmt_writes_them(path: Path) -> None:
    source = Source(path.name, path.read_text("utf-8"))
    assert not Program.of(source).check()
    assert format_text(source) == source.text


def test_the_readme_says_what_is_counted() -> None:
    text = (PLACE / "README.md").read_text("utf-8")
    for name in ("nasbench101", "nasbench201", "fourteen"):
        assert f"`{name}.anat`" in text
        (number,) = re.findall(rf"^\| `{name}\.anat` \| ([\d,]+) \|", text, re.M)
        assert number == f"{Space(definition(name)).count:,}"
    for number in (6466, 12751, 4930, 5260, 5200):
        assert f"{number:,}" in text


# NAS-Bench-101 ----------------------------------------------------------------------------------------


def test_cells_counted_by_hand() -> None:
    """1, 7, 91, 2,532, 64,542 and 423,624, out of 1,293,208, by listing all labelled graphs."""
    found = [cells(v) for v in range(2, 8)]
    assert list(accumulate(unlike for _, unlike in found)) == [1, 7, 91, 2532, 64542, 423624]
    assert sum(raw for raw, _ in found) == 1293208 == Space(definition("nasbench101")).count


def test_cells_are_merged_by_the_canonical_hash() -> None:
    """The hash of the diagrams of up to four vertices, and of some with five and six, tells what renumbering does."""
    space = definition("nasbench101")
    for vertices, unlike in ((2, 1), (3, 6), (4, 84)):
        found = {
            digest(assemble(space, [Value("dag", tuple(map(Value, row)), tuple(sorted(edges)))], "cell"))
            for edges in graphs(vertices, 9)
            for row in product(("c3", "c1", "mp"), repeat=vertices - 2)
        }
        assert len(found) == unlike


@pytest.mark.slow
def test_cells_of_five_vertices_are_merged_by_the_canonical_hash() -> None:
    space = definition("nasbench101")
    members = (
        assemble(space, [Value("dag", tuple(map(Value, row)), tuple(sorted(edges)))], "cell")
        for edges in graphs(5, 9)
        for row in product(("c3", "c1", "mp"), repeat=3)
    )
    assert len(set(map(digest, members))) == 2441


@pytest.mark.parametrize("seed", range(3))
def test_a_renumbered_cell_is_the_same_diagram(seed: int) -> None:
    space, draw = definition("nasbench101"), random.Random(seed)
    every = list(islice(graphs(7, 9), 2000))
    for _ in range(4):
        edges, row = draw.choice(every), [draw.choice(("c3", "c1", "mp")) for _ in range(5)]
        order = _order(edges, draw)
        moved = tuple(sorted((order[a], order[b]) for a, b in edges))
        labels = {order[k + 1]: word for k, word in enumerate(row)}
        one = assemble(space, [Value("dag", tuple(map(Value, row)), tuple(sorted(edges)))], "one")
        two = assemble(space, [Value("dag", tuple(Value(labels[k]) for k in range(1, 6)), moved)], "two")
        assert digest(one) == digest(two)


def _order(edges: frozenset[tuple[int, int]], draw: random.Random) -> dict[int, int]:
    """Another topological numbering of seven vertices."""
    place: dict[int, int] = {}
    while len(place) < 7:
        ready = [v for v in range(7) if v not in place and all(a in place for a, b in edges if b == v) and (v < 6 or len(place) == 6)]
        place[draw.choice(ready)] = len(place)
    return place


def test_a_cell_runs() -> None:
    space = definition("nasbench101")
    cell = value("dag[0>1 0>2 1>3 2>3 1>4 3>4](c3, mp, c1)")
    diagram = assemble(space, [cell], "cell")
    net = build(diagram, {"d": 3}, dtype=torch.float64)
    state = net.state_dict()
    assert [*state] == ["body.1.Here", "body.1.Here.bias", "body.1.Before", "body.1.After", "body.3.Here", "body.3.Here.bias"]
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    nothing = torch.zeros(1, 3, dtype=torch.float64)
    before, after = torch.cat([nothing, x[:-1]]), torch.cat([x[1:], nothing])
    one = torch.relu(x @ state["body.1.Here"] + state["body.1.Here.bias"] + before @ state["body.1.Before"] + after @ state["body.1.After"])
    two = torch.maximum(torch.maximum(x, before), after)
    three = torch.relu((one + two) @ state["body.3.Here"] + state["body.3.Here.bias"])
    torch.testing.assert_close(net(x), one + three, rtol=0, atol=1e-12)
    net(x).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


# NAS-Bench-201 ----------------------------------------------------------------------------------------

ROWS = list(product(OPS_201, repeat=6))


def test_the_published_rule_and_a_sound_one() -> None:
    """15,625 rows; 12,751 names without and 6,466 with a mark for zero, the published number; 4,930 sums of trees; 5,260 with learners."""
    assert len(ROWS) == 15625 == Space(definition("nasbench201")).count
    assert len({published(row, zero=False) for row in ROWS}) == 12751
    names = {row: published(row) for row in ROWS}
    trees = {row: sound(row) for row in ROWS}
    assert len(set(names.values())) == 6466
    assert len(set(trees.values())) == 4930
    split = {trees[row]: names[row] for row in ROWS}
    assert sum(split[trees[row]] != names[row] for row in ROWS)  # names tell apart what is one sum of trees
    apart = ("conv1", "conv1", "zero", "zero", "skip", "skip")  # two learners: relu(x A) + relu(x B)
    twice = ("conv1", "zero", "skip", "zero", "skip", "skip")  # one learner, read twice: 2 relu(x A)
    assert trees[apart] == trees[twice]
    assert learners(apart) != learners(twice)


def test_rows_with_learners() -> None:
    found = {row: learners(row) for row in ROWS}
    assert len(set(found.values())) == 5260
    below: dict[object, set[object]] = defaultdict(set)
    for row in ROWS:
        below[found[row]].add(sound(row))
    assert all(len(trees) == 1 for trees in below.values())  # learners only split what trees merge
    assert len({learners(row, homogeneous=True) for row in set(_first(found))}) == 5200


def _first(found: dict[tuple[str, ...], object]) -> list[tuple[str, ...]]:
    """A row of each class."""
    return list({form: row for row, form in found.items()}.values())


def test_what_the_operations_of_the_file_know_more() -> None:
    """`relu(2 y) = 2 relu(y)`, so some rows are one function though neither the normal form nor opaque operations say so."""
    one, other = ("skip", "skip", "skip", "zero", "zero", "conv1"), ("conv1", "zero", "skip", "zero", "skip", "skip")
    assert learners(one) != learners(other)
    assert learners(one, homogeneous=True) == learners(other, homogeneous=True)
    space = definition("nasbench201")
    pair = [assemble(space, row_of(row), "row") for row in (one, other)]
    assert form(pair[0]) != form(pair[1])
    nets = [build(d, {"d": 3}, dtype=torch.float64) for d in pair]
    weight = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for net, key in zip(nets, ("e6.Here", "e1.Here"), strict=True):
        net.load_state_dict({key: weight})
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(nets[0](x), nets[1](x), rtol=0, atol=1e-13)
    torch.testing.assert_close(nets[0](x), 2 * torch.relu(x @ weight), rtol=0, atol=1e-13)


def test_the_diagrams_of_some_rows_are_merged_as_learners_say() -> None:
    """The normal form of the diagrams, against the count by hand: neither splits what the other merges."""
    rows = random.Random(201).sample(ROWS, 300)
    _agree(rows)


@pytest.mark.slow
def test_the_diagrams_of_all_rows_are_merged_as_learners_say() -> None:
    kept, classes = _agree(ROWS)
    assert (len(kept), classes) == (12320, 5260)  # nothing is known of zero, passing on is no box
    assert len({term(d).digest for d in kept}) == 12090


def _agree(rows: list[tuple[str, ...]]) -> tuple[list[Diagram], int]:
    space = definition("nasbench201")
    kept: dict[str, Diagram] = {}
    normal: dict[str, object] = {}
    by_form: dict[object, object] = {}
    by_hand: dict[object, object] = {}
    for row in rows:
        diagram = assemble(space, row_of(row), "row")
        key = digest(diagram)
        if key not in normal:
            kept[key], normal[key] = diagram, form(diagram).form
        mine, theirs = normal[key], learners(row)
        assert by_form.setdefault(mine, theirs) == theirs, row
        assert by_hand.setdefault(theirs, mine) == mine, row
    return [*kept.values()], len(by_form)


# the fourteen -----------------------------------------------------------------------------------------


def test_fourteen() -> None:
    space = Space(definition("fourteen"))
    members = list(space)
    assert len(members) == 14 == len({digest(m.diagram) for m in members})
    assert len({form(m.diagram).form for m in members}) == 11
    assert not any(m.choices["query"] == m.choices["key"] == m.choices["value"] == "constant" for m in members)
    assert [sum(m.choices["mix"] == mix for m in members) for mix in ("softmaxed", "linear")] == [7, 7]
    for member in members:
        again = Program.of(Source("again.anat", unparse(member.diagram)))
        assert digest(again.get(again.names()[-1])) == digest(member.diagram)


def test_fourteen_diagrams_are_six_functions() -> None:
    """With a constant value the result is that constant; with a constant key, softmax or not, it is the mean."""
    generator = torch.Generator().manual_seed(0)
    learnt = {"Wo": (3, 3), **{f"{hole}.{w}": shape for hole in ("query", "key", "value") for w, shape in (("W", (3, 3)), ("c", (3,)))}}
    state = {key: torch.randn(shape, dtype=torch.float64, generator=generator) for key, shape in learnt.items()}
    x = torch.randn(5, 3, dtype=torch.float64, generator=generator)
    found: dict[tuple[int, ...], list[tuple[str, ...]]] = defaultdict(list)
    for member in Space(definition("fourteen")):
        net = build(member.diagram, {"d": 3}, dtype=torch.float64)
        net.load_state_dict({key: state[key] for key in net.state_dict()})
        found[tuple(torch.round(net(x).detach() * 1e9).to(torch.int64).flatten().tolist())].append(tuple(member.choices.values()))
    assert sorted(map(len, found.values())) == [1, 1, 1, 1, 4, 6]
    assert all(row[3] == "constant" for rows in found.values() if len(rows) == 6 for row in rows)
    assert all(row[2:] == ("constant", "input") for rows in found.values() if len(rows) == 4 for row in rows)
