"""DOT and what engines make of it: the same bytes, nested clusters, names that stay names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pictures import ALL, sample, unusual

from anatomy.errors import AnatomyError
from anatomy.ir.graph import Diagram, Frame, Wire
from anatomy.ir.poly import Poly
from anatomy.render import draw
from anatomy.render import engine as engines
from anatomy.render.engine import BUNDLED, Engine, engine
from anatomy.render.metrics import width
from anatomy.render.palette import AXES, axis_colour
from anatomy.render.scene import Scene

GOLDEN = Path(__file__).parents[1] / "golden" / "render"
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '"];x [label="owned" URL="javascript:1"]; <B>&amp;</B> \\N \\G \\" \n\x1b[31m\x00 --> ]]> {0} x"'


@pytest.mark.parametrize("name", ["sdpa", "mha"])
@pytest.mark.parametrize("form", ["dot", "svg", "txt"])
def test_golden(name: str, form: str) -> None:
    """Refreshed by ANATOMY_UPDATE_GOLDEN=1; SVG is that of the bundled engine, which writes one text everywhere."""
    if form == "svg" and engine().name != BUNDLED:
        pytest.skip("golden pictures are those of the bundled engine")
    picture = draw(sample(name))
    text = {"dot": picture.dot, "svg": picture.svg, "txt": picture.text}[form]
    path = GOLDEN / f"{name}.{form}"
    if os.environ.get("ANATOMY_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_pictures_are_the_same_in_another_process_with_another_hash_seed() -> None:
    code = (
        "from anatomy.language.program import Program; from anatomy.errors import Source; from anatomy.render import draw; import sys\n"
        "p = draw(Program.of(Source('sample.anat', sys.stdin.read())).get('gqa')); sys.stdout.write(p.dot + p.text)"
    )
    from pictures import SAMPLE

    def run(seed: str) -> str:
        env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONUTF8": "1"}
        root = str(Path(__file__).parents[2])
        return subprocess.run([sys.executable, "-c", code], input=SAMPLE, capture_output=True, text=True, check=True, env=env, cwd=root, encoding="utf-8").stdout

    picture = draw(sample("gqa"))
    assert run("1") == run("2") == picture.dot + picture.text


def test_drawing_imports_neither_torch_nor_a_printer_that_is_not_asked() -> None:
    code = "import sys, anatomy.render; print(sorted({'torch', 'reportlab', 'graphviz_pure', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "[]"


def clusters(dot: str) -> list[tuple[str, int]]:
    """Titles of clusters with their depth, read from the text."""
    found, depth = [], 0
    for line in dot.splitlines():
        if re.match(r'\s*subgraph "?cluster_', line):
            depth += 1
            found.append(["", depth])
        elif line.strip() == "subgraph {" or line.strip() == "{":
            depth += 100
        elif line.strip() == "}":
            depth -= 100 if depth >= 100 else 1
        title = re.search(r'tooltip=(?:"([^"]*)"|([^ \]]+))', line)
        if re.match(r"\s*graph \[", line) and 0 < depth < 100 and title:
            found[-1][0] = title[1] or title[2]
    return [(title, depth) for title, depth in found]


def clusters_of(scene: Scene) -> set[tuple[int, ...]]:
    return {tuple(f.serial for f in e.walls[: k + 1]) for e in scene.elements for k in range(len(e.walls))}


@pytest.mark.parametrize("name", ALL)
def test_clusters_are_the_frames_with_their_nesting(name: str) -> None:
    d = ALL[name]
    for full in (False, True):
        picture = draw(d, full)
        wanted = set()
        for e in picture.scene.elements:
            wanted |= {(tuple(f.serial for f in e.walls[: k + 1]), picture.scene.title(e.walls[k])) for k in range(len(e.walls))}
        assert sorted(clusters(picture.dot)) == sorted((title, len(path)) for path, title in wanted)


def test_the_boxes_of_mha_stand_in_one_another() -> None:
    assert clusters(draw(sample("mha")).dot) == [("simd h", 1), ("sdpa", 2), ("simd n", 3), ("simd m", 4)]


def test_strands_have_one_colour_an_axis() -> None:
    picture = draw(sample("sdpa"))
    colour = picture.scene.colour
    assert len(set(colour.values())) == 4
    assert f'color="{colour["n"]}:{colour["e"]}"' in picture.dot
    assert len({axis_colour(i) for i in range(60)}) == 60
    assert [axis_colour(i) for i in range(14)] == list(AXES)


def test_every_svg_is_xml_with_a_tooltip_and_a_font_list() -> None:
    for name in ("gqa", "shared", "tower", "scalars"):
        root = ElementTree.fromstring(draw(ALL[name]).svg)
        assert root.tag == f"{SVG}svg"
        texts = ["".join(t.itertext()).replace("\xa0", " ") for t in root.iter(f"{SVG}text")]
        assert name in texts
        assert all("sans-serif" in t.get("font-family", "") for t in root.iter(f"{SVG}text"))
        assert any("anat:" in str(v) for a in root.iter(f"{SVG}a") for v in a.attrib.values())


def hostile() -> Diagram:
    """`sdpa` with a name of every sort that tries to leave its quotes."""
    d = sample("sdpa")
    table = {a: f"{a}{HOSTILE}" for a in d.sizes}

    def named(port):  # type: ignore[no-untyped-def]
        return replace(port, renames=tuple((table[a], table[b]) for a, b in port.renames))

    return replace(
        d,
        name=HOSTILE,
        inputs=tuple(replace(i, name=i.name + HOSTILE, layout=tuple(table[a] for a in i.layout)) for i in d.inputs),
        outputs=tuple(replace(o, port=named(o.port), layout=tuple(table[a] for a in o.layout)) for o in d.outputs),
        wires=tuple(Wire(tuple(table[a] for a in w.axes), w.kind, HOSTILE, w.span) for w in d.wires),
        nodes=tuple(
            replace(n, own=tuple(table[a] for a in n.own), ports=tuple(map(named, n.ports)),
                    frame=(*(Frame(f.kind, table[f.label], f.serial) for f in n.frame), Frame("call", HOSTILE, 77)))
            for n in d.nodes
        ),
        sizes={table[a]: Poly.var(table[a]) for a in d.sizes},
        header=tuple(table[a] for a in d.header),
    )  # fmt: skip


@pytest.mark.parametrize("full", [False, True], ids=["folded", "full"])
def test_hostile_names_stay_names(full: bool) -> None:
    picture = draw(hostile(), full)
    root = ElementTree.fromstring(picture.svg)
    drawn = [g.get("class") for g in root.iter(f"{SVG}g")]
    assert drawn.count("node") == len(picture.scene.elements)
    assert drawn.count("edge") == len(picture.scene.strands)
    assert drawn.count("cluster") == len(clusters_of(picture.scene))
    links = [v for a in root.iter(f"{SVG}a") for k, v in a.attrib.items() if k.endswith("href")]
    assert links == []
    assert any('"];x [label="owned"' in "".join(t.itertext()).replace("\xa0", " ") for t in root.iter(f"{SVG}text"))
    assert "\x1b" not in picture.dot + picture.text + picture.svg
    assert "\x00" not in picture.dot + picture.text + picture.svg


def test_png_has_ink_and_letters() -> None:
    """Decoded here: rows of a PNG of 8-bit samples, unfiltered as its standard says."""
    pixels = decode(draw(sample("sdpa")).png)
    colours = set(pixels)
    assert sum(p != (255, 255, 255) for p in pixels) > 5000
    assert {(0xFD, 0xD9, 0x98), (0x00, 0x72, 0xB2)} <= colours
    letters = engine().run('digraph { a [label="softmax", shape=box, penwidth=0, fontname=Arial] }', "png", 96)
    assert sum(sum(p) < 300 for p in decode(letters)) > 50, "the raster has no text"


def decode(data: bytes) -> list[tuple[int, int, int]]:
    import struct
    import zlib

    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, body, head = 8, b"", (0, 0, 0, 0)
    while at < len(data):
        (size,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        chunk = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            head = struct.unpack(">IIBB", chunk[:10])
        body += chunk if kind == b"IDAT" else b""
        at += size + 12
    wide, tall, depth, colour = head
    assert depth == 8
    step = {2: 3, 6: 4}[colour]
    raw, rows, above = zlib.decompress(body), [], bytearray(wide * step)
    for y in range(tall):
        start = y * (wide * step + 1)
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + wide * step])
        for x in range(len(row)):
            a, b, c = row[x - step] if x >= step else 0, above[x], above[x - step] if x >= step else 0
            match kind:
                case 1:
                    row[x] = (row[x] + a) & 255
                case 2:
                    row[x] = (row[x] + b) & 255
                case 3:
                    row[x] = (row[x] + (a + b) // 2) & 255
                case 4:
                    p = a + b - c
                    pick = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
                    row[x] = (row[x] + pick) & 255
        rows.append(row)
        above = row
    return [(r[x], r[x + 1], r[x + 2]) for r in rows for x in range(0, wide * step, step)]


def test_pdf_shows_its_text_with_its_font_inside_and_is_the_same_each_time() -> None:
    first = draw(sample("mha")).pdf
    assert first.startswith(b"%PDF")
    assert b"BitstreamVeraSans" in first
    assert b"/FontFile2" in first
    assert b"/BaseFont /Helvetica" not in first
    assert first == draw(sample("mha")).pdf


def test_pdf_draws_the_shapes_of_the_svg_and_every_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    from reportlab.pdfgen.canvas import Canvas
    from reportlab.pdfgen.textobject import PDFTextObject

    said: list[str] = []
    paths: list[object] = []
    write, path = PDFTextObject.textOut, Canvas.drawPath
    monkeypatch.setattr(PDFTextObject, "textOut", lambda self, text: (said.append(text), write(self, text))[1])
    monkeypatch.setattr(Canvas, "drawPath", lambda self, p, **more: (paths.append(p), path(self, p, **more))[1])
    picture = draw(sample("gqa"))
    assert picture.pdf
    root = ElementTree.fromstring(picture.svg)
    wanted = "".join("".join(t.itertext()) for t in root.iter(f"{SVG}text")).replace("Σ", "∑")
    assert sorted("".join(said).replace(" ", "")) == sorted(c for c in wanted if c not in "→\xa0 ")
    shapes = sum(e.tag in (f"{SVG}polygon", f"{SVG}path", f"{SVG}polyline") for e in root.iter())
    assert len(paths) == shapes


def test_vera_has_every_letter_that_a_picture_uses() -> None:
    from reportlab.pdfbase.ttfonts import TTFont

    have = TTFont("V", "Vera.ttf").face.charToGlyph
    for d in ALL.values():
        letters = {c for e in draw(d).scene.elements for line in e.lines for c in line} - {"→"}
        assert not {c for c in letters if ord({"Σ": "∑"}.get(c, c)) not in have}


def test_save_chooses_by_suffix(tmp_path: Path) -> None:
    picture = draw(sample("sdpa"))
    starts = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF", ".dot": b"digraph", ".txt": b"sdpa("}
    for suffix, start in starts.items():
        assert picture.save(tmp_path / f"a{suffix}").read_bytes().lstrip().startswith(start)
    assert picture._repr_svg_() == picture.svg == sample("sdpa")._repr_svg_()
    with pytest.raises(AnatomyError, match="E701"):
        picture.save(tmp_path / "a.jpg")
    with pytest.raises(AnatomyError, match="E701"):
        picture.save(tmp_path / "none" / "a.dot")


def test_the_engine_falls_back_and_says_what_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(AnatomyError, match="syntax"):
        engine().run("digraph {", "svg")
    with pytest.raises(AnatomyError, match="E702"):
        Engine("gone", str(tmp_path / "gone")).run("digraph {}", "svg")
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 5\n")
    slow.chmod(0o755)
    monkeypatch.setattr(engines, "TIMEOUT", 0.05)
    with pytest.raises(AnatomyError, match="E702"):
        Engine("slow", str(slow)).run("digraph {}", "svg")
    fake = tmp_path / "dot"
    fake.write_text("#!/bin/sh\n")
    fake.chmod(0o755)
    which = engines.shutil.which
    monkeypatch.setattr(engines.shutil, "which", lambda name, path=None: which(name, path=str(tmp_path)))
    engine.cache_clear()
    try:
        assert engine() == Engine("dot", str(fake))
        fake.unlink()
        engine.cache_clear()
        with pytest.raises(AnatomyError, match="E703"):
            engine()
    finally:
        engine.cache_clear()


@pytest.mark.parametrize("text", ["dot e", "softmax m", "n·10000^(−r/|r|)", "÷ √|e|", "Σ m ≤ n → ×"])
def test_widths_are_those_of_the_font(text: str) -> None:
    """ReportLab's Helvetica and Symbol are an independent copy of Adobe's tables."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    greek = {"√": "\N{SQUARE ROOT}", "Σ": "\N{GREEK CAPITAL LETTER SIGMA}", "≤": "≤", "→": "→", "−": "−"}
    wanted = sum(stringWidth(greek.get(c, c), "Symbol" if c in greek else "Helvetica", 10) for c in text)
    assert width(text, 10) == pytest.approx(wanted, rel=0.08)


def test_text_nests_boxes_and_names_every_line_once() -> None:
    text = draw(sample("mha")).text
    assert "│ │ │ │ s = _1 ÷ √|e|  : []" in text
    assert text.count("┌") == text.count("└") == 4
    for name, d in ALL.items():
        for full in (False, True):
            lines = draw(d, full).text.splitlines()
            assert sum("┌" in x for x in lines) == sum("└" in x for x in lines)
            made = [n for x in lines[1:] if " = " in x and "where" not in x.split()[0] and not x.startswith("  ")
                    for n in x.strip("│ ").split(" = ")[0].split(", ")]  # fmt: skip
            assert len(made) == len(set(made)), (name, made)


def test_shared_learners_are_written_as_applied_to_their_wire() -> None:
    text = draw(unusual("shared")).text
    assert "y = lin W[d → c](x)  : [n c]" in text
    assert "z = lin W[d → c](y[c → d])  : [n c]" in text


def test_the_way_back_of_a_loop_is_dashed_and_named() -> None:
    text = draw(unusual("loops")).dot
    back = [line for line in text.splitlines() if "dir=back" in line]
    assert len(back) == 2
    assert all("dashed" in line and "next step" in line for line in back)
    assert "scan n" in text


def test_a_loop_as_text() -> None:
    lines = draw(unusual("nested")).text.splitlines()
    assert lines[1:] == [
        "┌ scan n",
        "│ s = 0, then next s  : [e]",
        "│ ┌ scan d",
        "│ │ z = s, then next z  : [e]",
        "│ │ _1 = z + x  : [e]",
        "│ │ _2 = tanh(_1)  : [e]",
        "│ │ next z, last z_last = _2  : [e]",
        "│ └",
        "│ next s = z_last  : [e]",
        "└",
        "out s  : [n, e]",
    ]
