"""Folding: what becomes one element, and that nothing is hidden by it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pictures import ALL, program, sample, unusual

from anatomy.ir.graph import Diagram, Frame
from anatomy.render import draw
from anatomy.render.coverage import uncovered
from anatomy.render.dot import dot
from anatomy.render.fold import fold
from anatomy.render.loops import unfolded
from anatomy.render.scene import Element, Scene


def words(scene: Scene, shape: str) -> list[str]:
    return sorted(" ".join(e.lines) for e in scene.elements if e.shape == shape)


@pytest.mark.parametrize("full", [False, True], ids=["folded", "full"])
@pytest.mark.parametrize("name", ALL)
def test_everything_is_drawn_exactly_once(name: str, full: bool) -> None:
    d, _ = unfolded(ALL[name])
    scene = fold(ALL[name], full)
    assert uncovered(scene) == []
    assert sorted(i for e in scene.elements for i in e.nodes) == list(range(len(d.nodes)))
    if full:
        assert len(scene.elements) == len(d.nodes) + len(d.weights) + len(d.inputs) + len(d.outputs)
        assert sum(len(s.reads) for s in scene.strands) == len(d.outputs) + sum(len(n.ports) for n in d.nodes)


@pytest.mark.parametrize("field", ["nodes", "weights", "inputs", "outputs"])
def test_the_check_sees_what_is_left_out_and_what_is_drawn_twice(field: str) -> None:
    scene = fold(sample("bahdanau"))
    at = next(e.number for e in scene.elements if getattr(e, field))

    def changed(e: Element, to: tuple[int, ...]) -> Scene:
        return replace(scene, elements=tuple(replace(f, **{field: to}) if f is e else f for f in scene.elements))

    e = scene.elements[at]
    have = getattr(e, field)
    assert uncovered(changed(e, have[1:]))
    assert uncovered(changed(e, (*have, have[0])))
    assert uncovered(changed(e, (*have, 999)))


def test_the_check_sees_a_lost_strand_and_a_wrong_one() -> None:
    scene = fold(sample("mha"))
    assert uncovered(replace(scene, strands=scene.strands[1:]))
    wrong = replace(scene.strands[0], target=scene.strands[-1].target)
    assert uncovered(replace(scene, strands=(wrong, *scene.strands[1:])))


@pytest.mark.parametrize("full", [False, True], ids=["folded", "full"])
@pytest.mark.parametrize("name", ALL)
def test_walls_are_the_frames_of_the_nodes(name: str, full: bool) -> None:
    d, _ = unfolded(ALL[name])
    scene = fold(ALL[name], full)
    copies = scene.repeats
    for e in scene.elements:
        for i in e.nodes if not copies else ():
            frame = d.nodes[i].frame
            cut = next((k for k, f in enumerate(frame) if f.kind == "lin"), len(frame))
            # The number that a state starts with is written into it, and stands outside in the text.
            assert e.walls == (frame if full else frame[:cut]) or (e.shape == "state" and e.walls[:-1] == frame)


@pytest.mark.parametrize("name", ALL)
def test_a_strand_has_the_axes_that_its_reader_sees(name: str) -> None:
    scene = fold(ALL[name])
    d = scene.diagram
    for s in scene.strands:
        for i, k in s.reads:
            port = d.nodes[i].ports[k] if i >= 0 else d.outputs[k].port
            assert set(s.axes) == {scene.names[a] for a in port.axes}
            assert len(s.axes) == len(port.axes), "two axes of one wire have one name"
        assert s.lanes <= scene.lanes(scene.elements[s.source].walls) & scene.lanes(scene.elements[s.target].walls)


@pytest.mark.parametrize("name", ALL)
def test_a_name_of_the_caller_never_stands_for_another_size(name: str) -> None:
    d = ALL[name]
    names = fold(d).names
    drawn = {a for w in d.wires for a in w.axes} | {a for n in d.nodes for a in n.own}
    for axis, shown in names.items():
        if shown in drawn and "." not in shown:
            assert d.sizes[axis] == d.sizes[shown], (axis, shown)


def test_a_callee_s_axis_keeps_its_path_where_its_name_is_taken_by_another_size() -> None:
    text = """axis n, d, c
    diagram inner(x: [n, d]) -> [n, d] { out sum[c](expand[c](x)) }
    diagram outer(x: [n, d], y: [n, c]) -> [n, d] { out inner(x) + sum[c](y) }"""
    scene = fold(program(text, "t.anat").get("outer"))
    assert set(scene.axes) == {"n", "d", "c", "inner.c"}


def test_an_axis_of_a_callee_goes_by_the_name_of_the_caller() -> None:
    assert fold(sample("mha")).names["sdpa.f"] == "e"
    assert fold(sample("mha"), full=True).names["sdpa.f"] == "sdpa.f"
    assert set(fold(sample("gqa")).axes) == {"n", "m", "d", "g", "j", "e", "r"}


def test_a_lin_is_one_box_with_its_arrow() -> None:
    assert words(fold(sample("mha")), "lin") == ["lin Wk d → h e", "lin Wo h e → d", "lin Wq d → h e", "lin Wv d → h e"]
    assert "lin Wv d → h e, no bias" in words(fold(unusual("att")), "lin")
    assert not words(fold(sample("mha"), full=True), "lin")


def test_a_wall_that_a_rewrite_left_without_its_learner_is_still_drawn() -> None:
    d = sample("sdpa")
    stale = replace(d, nodes=tuple(replace(n, frame=(Frame("lin", "W", 50),)) for n in d.nodes))
    scene = fold(stale)
    assert uncovered(scene) == []
    assert draw(stale).svg
    assert [e.nodes for e in scene.elements if e.shape == "lin"] == [tuple(range(7))]


def test_a_weight_of_two_learners_is_drawn_once_outside_both() -> None:
    scene = fold(unusual("shared"))
    assert words(scene, "weight") == ["W [d, c]", "W.bias [c]"]
    assert len(words(scene, "lin")) == 2


def test_constants_are_written_into_their_box() -> None:
    assert words(fold(sample("sdpa")), "box") == ["÷ √|e|"]
    assert words(fold(sample("gqa")), "mask") == ["mask m ≤ n"]
    assert words(fold(sample("rope")), "source") == ["n·10000^(−r/|r|)"]
    assert words(fold(unusual("scalars")), "box") == ["1 ÷", "3 −", "× (1 − 2·3)", "− 2"]
    assert words(fold(sample("sdpa"), full=True), "source") == ["|e|"]


def test_equal_constants_are_drawn_once_but_equal_boxes_of_wires_are_not() -> None:
    rope = fold(sample("rope"))
    assert words(rope, "box") == ["cos", "sin"]
    assert words(rope, "dot").count("×") == 4


def test_calls_in_a_row_are_drawn_once_with_their_number() -> None:
    tower = fold(unusual("tower"))
    assert list(tower.repeats.values()) == [3]
    assert words(tower, "lin") == ["lin C d → c", "lin Wo h e → d", "lin Wq d → h e", "lin Wv d → h e, no bias"]
    assert [len(e.weights) for e in tower.elements if e.shape == "weight"] == [3]
    assert [s.carry for s in tower.strands].count(True) > 0
    assert not fold(unusual("tower"), full=True).repeats


@pytest.mark.parametrize("name", ["dense", "swapped"])
def test_calls_that_are_not_a_plain_row_are_not_folded(name: str) -> None:
    """`dense` reads the first call's result again; in `swapped` the carry enters by another operand."""
    assert not fold(unusual(name)).repeats


def test_turns_are_drawn_once_with_their_number_also_inside_one_another() -> None:
    text = """axis n, d, a, e = d
    diagram step(z: [d]) -> [d] { weight g: [d] ~ normal(1) out tanh(g * lin W[d -> e](z)[e -> d]) }
    diagram it(x: [n, d]) -> [n, d] {
      repeat 6 (z = x) {
        repeat tied 3 (y = z) { next y = y + step(y) }
        next z = y + lin V[a -> e](relu(lin U[d -> a](y)))[e -> d]
      }
      repeat 2 (w = z) { next w = step(w) }
      out w
    }"""
    it = program(text, "t.anat").get("it")
    scene = fold(it)
    assert sorted(scene.repeats.values()) == [2, 3, 6]
    titles = {scene.title(w) for e in scene.elements for w in e.walls if w.kind == "repeat"}
    assert titles == {"repeat  ×6", "repeat tied  ×3", "repeat  ×2"}
    assert words(scene, "lin") == ["lin U d → a", "lin V a → e", "lin W d → e", "lin W d → e"]
    assert words(scene, "weight") == ["step.g [d]", "step.g [d]"] or words(scene, "weight") == ["g [d]", "g [d]"]
    assert sorted(len(e.weights) for e in scene.elements if e.shape == "lin") == [4, 12, 12, 12]
    assert not fold(it, full=True).repeats
    uneven = program(text.replace("next w = step(w)", "next w = step(w) + x"), "t.anat").get("it")
    assert sorted(fold(uneven).repeats.values()) == [2, 3, 6], "what all turns read from outside is shared"


def test_numbers_do_not_depend_on_the_order_of_statements() -> None:
    text = """axis n, d, e
    diagram a(x: [n, d]) -> [n, e] {{ {} out p * q }}"""
    one, two = "p = lin U[d -> e](x) ", "q = tanh(lin W[d -> e](x)) "
    left, right = (program(text.format(s), "t.anat").get("a") for s in (one + two, two + one))
    assert dot(fold(left)) == dot(fold(right))


def test_the_empty_picture() -> None:
    d = unusual("straight")
    scene = fold(d)
    assert [e.shape for e in scene.elements] == ["input", "input", "output"]
    assert len(scene.strands) == 1
    assert isinstance(scene.diagram, Diagram)


@pytest.mark.parametrize("full", [False, True], ids=["folded", "full"])
def test_a_loop_goes_back_from_every_next_to_its_state(full: bool) -> None:
    scene = fold(unusual("loops"), full)
    ends = {shape: [e for e in scene.elements if e.shape == shape] for shape in ("state", "next")}
    assert [sorted(e.lines[0] for e in found) for found in ends.values()] == [["s", "z"] if full else ["s = 0", "z"], ["next s", "next z"]]
    back = {(scene.elements[s.source].lines[0], scene.elements[s.target].lines[0][0]) for s in scene.strands if s.back}
    assert back == {("next s", "s"), ("next z", "z")}
    for e in (*ends["state"], *ends["next"]):
        assert [w.kind for w in e.walls] == ["simd", "scan"]
    # What goes back is drawn, and is no reading of the diagram.
    assert all(not s.reads for s in scene.strands if s.back)
    assert uncovered(scene) == []


def test_a_loop_in_a_loop_is_drawn_in_it() -> None:
    scene = fold(unusual("nested"))
    walls = {e.lines[0]: [w.label for w in e.walls] for e in scene.elements if e.shape in ("state", "next")}
    assert walls == {"s = 0": ["n"], "next s": ["n"], "z": ["n", "d"], "next z": ["n", "d"]}
