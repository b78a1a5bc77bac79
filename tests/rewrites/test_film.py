"""Film strips: every box is accounted for, the same boxes compute the same numbers, and the strips beside the examples are current."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from anatomy.compiler import build
from anatomy.errors import AnatomyError, Source
from anatomy.ir.graph import Diagram, Output, Port
from anatomy.language.program import Program
from anatomy.rewrites.book import chapters, page, stale, write
from anatomy.rewrites.captions import comment, equation, wrapped
from anatomy.rewrites.correspondence import Change, Correspondence, audit, boxes, correspondence, named
from anatomy.rewrites.derive import Derivation, derive
from anatomy.rewrites.film import Film, changes, film
from anatomy.rewrites.frames import scene
from anatomy.rewrites.library import law, library

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "derivations"
SVG = "{http://www.w3.org/2000/svg}"
TEXT = """axis n, m, e, f
diagram late(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out dot[m](dot[e](q, k) / size[m], v) }
diagram early(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out dot[e](q, dot[m](k, v)) / size[m] }
derive linear: late == early {
  late
  == ? by divide_after_mixing
  == early by reassociate
}
"""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@cache
def found():
    return chapters(FOLDER)


def linear() -> Derivation:
    return derive(Program.of(Source("d.anat", TEXT)), "linear")


def sides(text: str) -> tuple[Diagram, Diagram]:
    program = Program.of(Source("a.anat", f"axis m, d, e {text}"))
    return program.get("a"), program.get("b")


def kinds(a: Diagram, b: Diagram) -> list[tuple[str, list[str], list[str]]]:
    return [(c.kind, [named(a, x) for x in c.before], [named(b, x) for x in c.after]) for c in correspondence(a, b).changes]


# what became of every box ---------------------------------------------------------------------


def test_nothing_is_lost_in_any_step_of_the_examples():
    steps = 0
    for d in (d for c in found() for d in c.derivations):
        drawn = [scene(x).diagram for x in (d.start, *(line.diagram for line in d.lines))]
        for a, b in itertools.pairwise(drawn):
            steps += 1
            books = correspondence(a, b)
            assert audit(books, a, b) == (), d.name
            listed = Counter(box for c in books.changes for box in c.before)
            assert listed == Counter(boxes(a))
    assert steps > 60


@pytest.mark.parametrize("start", range(0, 320, 40))
def test_nothing_is_lost_between_the_sides_of_a_law(start):
    for rule in library()[start : start + 40]:
        assert audit(correspondence(rule.left, rule.right), rule.left, rule.right) == (), rule.name
        assert audit(correspondence(rule.right, rule.left), rule.right, rule.left) == (), rule.name


def test_a_diagram_keeps_all_of_itself():
    for rule in library():
        assert {c.kind for c in correspondence(rule.left, rule.left).changes} <= {"kept"}, rule.name


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("dot_div", {"moved": 2}),
        ("reassociate", {"moved": 2}),
        ("softmax_definition", {"dead": 4, "born": 1}),
        ("add_mul", {"moved": 1, "merged": 2}),
        ("score_of_projections", {"moved": 1, "merged": 2}),
        ("softmax_add", {"kept": 1, "dead": 1}),
    ],
)
def test_what_becomes_of_the_boxes_of_a_law(name, wanted):
    rule = law(name)
    books = correspondence(rule.left, rule.right)
    assert {k: n for k in ("kept", "moved", "copied", "merged", "born", "dead") if (n := books.count(k))} == wanted
    back = correspondence(rule.right, rule.left)
    turned = {"born": "dead", "dead": "born", "merged": "copied", "copied": "merged"}
    assert {turned.get(k, k): n for k in ("kept", "moved", "copied", "merged", "born", "dead") if (n := back.count(k))} == wanted


def test_a_learner_is_itself_under_a_longer_key_and_another_one_is_not():
    a, b = sides(
        "diagram map(x: [m, d]) -> [m, e] { out lin W[d -> e](x) } diagram a(x: [m, d]) -> [m, e] { out relu(map(x)) } "
        "diagram b(x: [m, d]) -> [m, e] { out relu(lin W[d -> e](x)) + lin V[d -> e](x) }"
    )
    assert [k for k in kinds(a, b) if k[0] != "kept"] == [
        ("born", [], ["weight V"]), ("born", [], ["weight V.bias"]), ("born", [], ["dot d"]), ("born", [], ["+"]), ("born", [], ["+"]),
    ]  # fmt: skip
    assert ("kept", ["weight map.W"], ["weight W"]) in kinds(a, b)


def test_the_audit_finds_what_is_lost_or_counted_twice():
    rule = law("add_mul")
    books = correspondence(rule.left, rule.right)
    for k, change in enumerate(books.changes):
        lost = Correspondence(books.changes[:k] + books.changes[k + 1 :])
        assert audit(lost, rule.left, rule.right)
        assert audit(Correspondence((*books.changes, change)), rule.left, rule.right)
    assert audit(Correspondence((*books.changes, Change("dead", (("node", 99),), ()))), rule.left, rule.right)
    wrong = tuple(replace(c, kind="kept") for c in books.changes)
    assert "merged" not in {c.kind for c in wrong}
    assert audit(Correspondence(wrong), rule.left, rule.right)


def values(diagram: Diagram, wire: int, sizes: dict[str, int], given: list[torch.Tensor], weights: dict[str, torch.Tensor]) -> torch.Tensor:
    """What is on a wire: the numbers in no order."""
    axes = diagram.wires[wire].axes
    shown = replace(diagram, outputs=(Output(Port(wire, tuple((a, a) for a in axes)), axes),), header=())
    module = build(shown, {a: n for a, n in sizes.items() if a in shown.sizes}, dtype=torch.float64)
    own = module.state_dict()
    module.load_state_dict({k: weights[k] for k in own})
    with torch.no_grad():
        return module(*given).flatten().sort().values


def test_a_box_that_is_kept_computes_the_same_numbers():
    checked = 0
    generator = torch.Generator().manual_seed(3)
    for stem, name in (("linear_attention", "linear"), ("heads", "absorbed"), ("deep_sets", "pooling"), ("hopfield", "after_retrieval"), ("luong", "general")):
        d = next(d for c in found() if c.path.stem == stem for d in c.derivations if d.name == name)
        diagrams = [d.start, *(line.diagram for line in d.lines)]
        for line, (a, b) in zip(d.lines, itertools.pairwise(diagrams), strict=True):
            if line.relation != "==" or a.holes:
                continue
            books = correspondence(a, b)
            free = sorted({v for p in (*a.sizes.values(), *b.sizes.values()) for v in p.variables()})
            sizes = {v: 2 + k for k, v in enumerate(free)}
            full = {x: int(p.evaluate(sizes)) for x, p in {**a.sizes, **b.sizes}.items()}
            given = [torch.randn([full[x] for x in i.layout], dtype=torch.float64, generator=generator) for i in a.inputs]
            drawn = [torch.randn([full[x] for x in w.layout], dtype=torch.float64, generator=generator) for w in a.weights]
            here = {key: value for w, value in zip(a.weights, drawn, strict=True) for key in w.keys}
            kept = [(c.before[0][1], c.after[0][1]) for c in books.changes if c.kind == "kept" and c.before[0][0] == "weight"]
            there = {key: drawn[i] for i, j in kept for key in b.weights[j].keys}
            for c in books.changes:
                if c.kind == "kept" and c.before[0][0] == "node" and c.before[0][1] not in line.before and c.after[0][1] not in line.after:
                    (_, i), (_, j) = c.before[0], c.after[0]
                    one, two = (values(x, x.nodes[k].outs[0], sizes, given, w) for x, k, w in ((a, i, here), (b, j, there)))
                    torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-10)
                    checked += 1
    assert checked > 25


# the strips -----------------------------------------------------------------------------------


def test_a_strip_has_every_diagram_once_and_letters_on_both_sides_of_a_step():
    d = linear()
    text = film(d)
    assert text == film(d)
    tree = ElementTree.fromstring(text)
    ids = [e.attrib["id"] for e in tree.iter() if "id" in e.attrib]
    assert len(ids) == len(set(ids))
    assert len({i.split("-")[0] for i in ids}) == len(d.lines) + 1
    said = ["".join(t.itertext()) for t in tree.iter(f"{SVG}text")]
    letters = Counter(w for w in said if re.fullmatch("[a-z]", w) and w not in "mnefqkv")
    assert {w: n for w, n in letters.items() if w != "a"} == {"b": 2, "c": 2, "d": 2}
    assert letters["a"] == 3, "once more in the legend"
    assert "dot[m](w / z, v) = dot[m](w, v) / z" in " ".join(said)
    assert {"late", "early", "divide_after_mixing", "reassociate"} <= set(" ".join(said).split())
    assert "<title>linear: late  =  early</title>" in text
    assert not re.search("[≅\N{REPLACEMENT CHARACTER}]", text)


def test_what_a_step_takes_is_shaded_and_what_it_made_is_filled():
    text = "axis m diagram a(s: [m]) -> [m] { t = exp(s)\n out t / sum[m](t) } diagram b(s: [m]) -> [m] { out softmax[m](s) } "
    d = derive(Program.of(Source("d.anat", text + "derive x: a == b { a == b by softmax_definition }")), "x")
    tree = ElementTree.fromstring(film(d))
    halos = [e for e in tree.iter(f"{SVG}path") if e.get("fill") == "#E3D8F7"]
    assert len(halos) == 3
    assert len([e for e in tree.iter(f"{SVG}polygon") if e.get("fill") == "#BFE6C5"]) == 2, "the softmax, and the legend"
    assert ["".join(t.itertext()) for t in tree.iter(f"{SVG}text")].count("×") == 4, "exp, the sum, the quotient, and the legend"
    assert changes(d) == [[{"kind": k, "before": x, "after": y} for k, x, y in [
        ("dead", ["exp"], []), ("dead", ["sum m"], []), ("dead", ["/"], []), ("born", [], ["softmax m"]),
    ]]]  # fmt: skip


def test_axes_have_one_colour_in_all_frames():
    text = film(linear())
    frames = re.split(r'<g transform="translate\([\d. ]+\)"><g id="f\d+-', text)[1:]
    assert len(frames) == 3
    for frame in frames:
        colours = {m[0] for m in re.finditer("#0072b2|#d55e00|#009e73|#cc79a7|#e69f00", frame)}
        assert "#e69f00" not in colours, "four axes, four colours"
        assert len(colours) == 4


def test_every_format(tmp_path):
    strip = Film(linear())
    assert strip.save(tmp_path / "a.svg").read_text("utf-8") == strip.svg
    png = strip.save(tmp_path / "a.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert strip.save(tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert Film(linear()).png == png
    with pytest.raises(AnatomyError, match="E701"):
        strip.save(tmp_path / "a.gif")
    with pytest.raises(AnatomyError, match="E701"):
        strip.save(tmp_path / "none" / "a.svg")


def test_a_png_has_the_colours_of_the_svg():
    from io import BytesIO

    from PIL import Image

    image = Image.open(BytesIO(Film(linear()).png)).convert("RGB")
    wanted = {(0xE3, 0xD8, 0xF7): "shade", (0x00, 0x72, 0xB2): "n", (0xD5, 0x5E, 0x00): "e", (255, 255, 255): "paper"}
    seen = {colour for _, colour in image.getcolors(1 << 24)}
    for colour, what in wanted.items():
        assert min(sum(abs(a - b) for a, b in zip(colour, c, strict=True)) for c in seen) <= 6, what
    _, _, wide, tall = map(float, re.search(r'viewBox="([^"]+)"', Film(linear()).svg)[1].split())  # type: ignore[index]
    assert image.size == (round(2 * wide), round(2 * tall))


def test_the_words_of_a_law():
    assert equation(law("dot_identity")) == "dot[m](where(m == n, 1, 0), x) = x[m -> n]  (where m = n)"
    assert comment(law("dot_div").span).startswith("Scalars slide out")
    assert comment(law("dot_mul").span) == comment(law("dot_div").span)
    for rule in library():
        assert "  " not in equation(rule).replace("  (where", "")
        assert "---" not in comment(rule.span)
        assert all(len(line) < 60 or " " not in line for line in wrapped(equation(rule), 9, 150))


# the page -------------------------------------------------------------------------------------


def test_page_and_strips_are_current():
    changed = stale(FOLDER, found())
    assert not changed, f"run `anatomy derive examples/derivations --book`: {', '.join(p.name for p in changed)}"


def test_the_page_names_every_derivation_with_its_relation():
    text = page(found())
    for c in found():
        for d in c.derivations:
            assert f"({c.path.stem}.{d.name}.svg)" in text
            assert text.count(f'<a id="{c.path.stem}.{d.name}">') == 1
            assert f"`{d.left}`" in text
        assert c.comment().splitlines()[0] in text
        assert re.search(r"arXiv|\(20|==|>=", c.comment()), f"{c.path.name} says neither its sources nor which steps are equational"


def test_the_page_of_a_folder_follows_its_files(tmp_path):
    (tmp_path / "one.anat").write_text("# Of products.\n\n" + TEXT, "utf-8")
    assert [p.name for p in write(tmp_path)] == ["README.md", "one.linear.svg"]
    assert stale(tmp_path) == {}
    (tmp_path / "one.anat").write_text("# Of sums.\n\n" + TEXT.replace("derive linear", "derive other"), "utf-8")
    assert sorted(p.name for p in stale(tmp_path)) == ["README.md", "one.linear.svg", "one.other.svg"]
    write(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["README.md", "one.anat", "one.other.svg"]
    (tmp_path / "two.anat").write_text(TEXT.replace("by reassociate", "by dot_div"), "utf-8")
    with pytest.raises(AnatomyError, match="E323"):
        write(tmp_path)
    with pytest.raises(AnatomyError, match="E203"):
        write(tmp_path / "none")
