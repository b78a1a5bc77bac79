"""The page of a sweep: complete, escaped, and without a single request; and the same in words."""

import json
import re
import shutil
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report_synthetic import material

from anatomy import sweep
from anatomy.cli import main
from anatomy.sweep.findings import Estimate
from anatomy.sweep.reports import Material, markdown, page
from anatomy.sweep.reports.page import unpack
from anatomy.sweep.reports.payload import core, front
from anatomy.sweep.reports.pictures import slim
from anatomy.sweep.reports.rounding import outward
from anatomy.sweep.reports.words import supported

VOID = {"meta", "input", "img", "br"}
EVIL = "</pre></script><script>alert('1')</script><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """Tags in balance, attributes, visible text, and what is packed."""

    def __init__(self, text: str):
        super().__init__()
        self.stack: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.feed(text)
        assert not self.stack, self.stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack[-1:] == [tag], (tag, self.stack[-4:])
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        if self.stack[-1:] == ["script"]:
            told, text = self.scripts[-1]
            self.scripts[-1] = (told, text + data)
        elif self.stack[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def block(self, key: str) -> str:
        return next((unpack(text) for told, text in self.scripts if told.get("id") == f"data-{key}"), "")

    def packed(self, key: str) -> Any:
        return json.loads(self.block(key))


def opened(path: Path) -> Page:
    return Page(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sweep_toy import SPACE

    folder = tmp_path_factory.mktemp("report")
    (folder / "toys.anat").write_text(SPACE, "utf-8")
    task = ("tests.sweep.sweep_toy",)
    for space in ("good", "bad"):
        sweep.run(f"{folder}/toys.anat::{space}", folder / space, task, transport="inline", certify=False)
    return folder


@pytest.fixture(scope="module")
def made() -> Material:
    return material(40)


def test_the_page_asks_for_nothing(swept: Path) -> None:
    for space in ("good", "bad"):
        found = opened(swept / space / "report.html")
        links = [(tag, value) for tag, name, value in found.attributes if name in ("src", "href", "xlink:href", "srcset", "action", "data")]
        assert links
        assert all(value.startswith("#") for _, value in links)
        assert not any(tag in ("link", "iframe", "object", "embed", "base") for tag, _, _ in found.attributes)
        own = "".join(text for told, text in found.scripts if "id" not in told)
        assert not re.search(r"""url\(|@import|fetch\(|import\(|XMLHttp|\beval\(|new Function|innerHTML|insertAdjacent|document\.write""", own)
        assert len(set(found.ids)) == len(found.ids)
        assert {value[1:] for _, value in links} <= set(found.ids)


def test_the_policy_lets_only_the_scripts_of_the_page_run(swept: Path) -> None:
    found = opened(swept / "good" / "report.html")
    (policy,) = [value for _, name, value in found.attributes if name == "content" and "default-src" in value]
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    runs = [text for told, text in found.scripts if "type" not in told] + [found.block("plots")]
    assert len(runs) == 2
    assert rules["script-src"] == " ".join(f"'sha256-{b64encode(sha256(code.encode()).digest()).decode()}'" for code in runs)
    inert = [told for told, _ in found.scripts if "type" in told]
    assert all(told["type"] == "text/plain" for told in inert)
    assert not any(name.startswith("on") for _, name, _ in found.attributes)


def test_the_page_tells_the_whole_sweep(swept: Path) -> None:
    found = opened(swept / "good" / "report.html")
    for needed in ("fillings as written", "different diagrams", "4 variants with 1 seed each and 3 controls, the baseline with two seeds at least", "weigh, leave", "anatomy sweep run", "baseline", "no_mixing", "causal_average", "torch", "Environment"):  # fmt: skip
        assert needed in found.text, needed
    for words, count in (("fillings as written", 6), ("different diagrams", 4), ("swept here", 4)):
        assert re.search(rf"{words}\s+{count}\b", re.sub(r"\s+", " ", found.text)), words
    details = json.dumps(found.packed("details"), ensure_ascii=False)
    for needed in ("leave same for again", "--members 0", "softmax[m](causal[m <= n]"):
        assert needed in details, needed
    pictures = found.packed("pictures")
    assert len(pictures) == 7
    assert all(svg.startswith("<svg") and svg.endswith("</svg>") for svg in pictures.values())


def test_the_page_shows_failures_with_tracebacks(swept: Path) -> None:
    found = opened(swept / "bad" / "report.html")
    for needed in ("Traceback (most recent call last)", "E403", "reads later tokens", "not finite at initialisation", "the checks failed"):
        assert needed in found.text, needed
    tracebacks = [f[3] for entry in found.packed("details") for f in entry["failures"]]
    assert sum(t.startswith("Traceback") for t in tracebacks) == 3


def test_it_says_that_it_cannot_rank_when_it_cannot(swept: Path) -> None:
    found = opened(swept / "good" / "report.html")
    assert "supports no ranking" in found.text
    assert "Nothing is ranked here" in found.text
    assert not any(c["key"].startswith(("group.", "letters.")) for c in found.packed("core")["columns"])
    assert "supports no ranking" in (swept / "good" / "report.md").read_text("utf-8")
    unsupported = material(30, supported=False)
    words = Page(page(unsupported)).text + markdown(unsupported)
    assert "largest share" not in words
    assert "The highest score" not in words
    # Neither the table nor the plots put in an order what nothing supports an order of.
    assert unsupported.order == unsupported.results.entries
    assert not any(places for t in core(unsupported)["tasks"] for places in t["front"].values())
    assert not any(t["supported"] for t in core(unsupported)["tasks"])


def test_no_part_is_said_to_matter_that_was_not_shown_to(made: Material) -> None:
    task = made.findings.tasks[0]
    large, small, *_ = sorted(task.effects, key=lambda e: -e.share.value)
    large, small = replace(large, share=Estimate(0.4, 0.3, 0.5)), replace(small, share=Estimate(0.3, 0.2, 0.35))

    def said(first: float | None, second: float | None) -> str:
        return " ".join(supported(replace(task, effects=(replace(large, p=first), replace(small, p=second)), interactions=())))

    assert f"largest share of the variance between variants is {large.hole}" in said(0.001, 0.5)
    assert f"That of {small.hole} may be as large." in said(0.001, 0.001)
    assert "No part on its own can be shown to matter" in said(0.3, None)
    assert "No part on its own can be shown to matter" in said(None, 0.05)
    assert f"Of the parts, {small.hole} can be shown to matter" in said(0.3, 0.001)
    pairs = tuple(replace(i, p=p) for i, p in zip(task.interactions[:2], (0.5, 0.01), strict=True))
    words = " ".join(supported(replace(task, interactions=pairs)))
    assert f"between {pairs[1].holes[0]} and {pairs[1].holes[1]}" in words
    assert "No pair" not in words


def test_hostile_text_stays_text(swept: Path, tmp_path: Path) -> None:
    import sqlite3

    shutil.copytree(swept / "good", tmp_path / "evil")
    db = sqlite3.connect(tmp_path / "evil" / "store.sqlite")
    with db:
        db.execute("update variants set text = ?, aliases = ? where role = 'member'", (EVIL, json.dumps([[1, EVIL]])))
        db.execute("update jobs set state = 'failed', class = ? where stage = 'train'", (EVIL,))
        db.execute("insert or replace into failures select key, ?, ? from jobs", (EVIL, EVIL))
    db.close()
    found = opened(sweep.report(tmp_path / "evil"))
    assert EVIL in found.text
    details = found.packed("details")
    assert details[-1]["text"] == details[-1]["aliases"][0][1] == details[-1]["failures"][0][3] == EVIL
    assert not any(name.startswith("on") for _, name, _ in found.attributes)
    assert sum("type" not in told for told, _ in found.scripts) == 1


def test_hostile_names_stay_text_everywhere() -> None:
    found = Page(page(material(30, hostile=EVIL)))
    assert found.text.count(EVIL) > 50
    assert not any(name.startswith("on") for _, name, _ in found.attributes)
    assert [tag for tag, _, _ in found.attributes if tag in ("img", "pre")] == []
    assert sum("type" not in told for told, _ in found.scripts) == 1
    words = markdown(material(30, hostile=EVIL))
    assert not re.search(r"<(?!\d)", re.sub(r"`[^`\n]*`", "", words).replace("p < 0.001", ""))
    tables = [line for line in words.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == len(re.findall(r"(?<!\\)\|", other)) for line, other in zip(tables[:8], tables[:8], strict=True))


def test_a_report_is_made_again_from_the_folder(swept: Path, tmp_path: Path) -> None:
    first = (swept / "good" / "report.html").read_text("utf-8")
    assert sweep.report(swept / "good", tmp_path / "again.html").read_text("utf-8") == first
    assert [p.name for p in tmp_path.iterdir()] == ["again.html"]
    words = (swept / "good" / "report.md").read_text("utf-8")
    assert sweep.report(swept / "good", tmp_path / "again.md").read_text("utf-8") == words == sweep.markdown(swept / "good")


def test_the_words_are_printed(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted((p.name, p.stat().st_mtime_ns) for p in (swept / "good").iterdir() if p.is_file())
    assert main(["sweep", "report", str(swept / "good"), "--markdown"]) == 0
    assert capsys.readouterr().out == (swept / "good" / "report.md").read_text("utf-8")
    assert sorted((p.name, p.stat().st_mtime_ns) for p in (swept / "good").iterdir() if p.is_file()) == before


def test_pictures_are_those_that_are_asked_for(swept: Path, tmp_path: Path) -> None:
    shutil.copytree(swept / "good", tmp_path / "few")
    assert main(["sweep", "report", str(tmp_path / "few"), "--pictures", "2"]) == 0
    assert len(opened(tmp_path / "few" / "report.html").packed("pictures")) == 2
    shutil.rmtree(tmp_path / "few" / "pictures")
    (tmp_path / "few" / "pictures").write_text("no folder")
    assert len(opened(sweep.report(tmp_path / "few")).packed("pictures")) == 7


def test_the_words_hold_what_the_page_holds(made: Material) -> None:
    words, found = markdown(made), Page(page(made))
    for task in made.findings.tasks:
        assert task.words in words
        assert task.words in found.text
        for effect in task.effects:
            assert effect.hole in words
    for needed in ("What can be told", "What cannot be told", "Scores near 1 are pressed together", "The tasks hardly agree"):
        assert needed in words
        assert needed in found.text
    # Warnings come before everything that they are about.
    assert words.index("What cannot be told") < words.index("## Funnel") < words.index("## Task")
    for line in words.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")


def test_effects_and_pairs_carry_their_intervals(made: Material) -> None:
    found = Page(page(made))
    text = re.sub(r"\s+", " ", found.text)
    for task in made.findings.tasks:
        for effect in task.effects:
            for level in effect.levels:
                low, high = (f"{x:+.3f}".replace("-", "−") for x in (level.effect.low or 0, level.effect.high or 0))
                assert f"{low} to {high}" in text or "0.000" in (f"{abs(level.effect.low or 0):.3f}", f"{abs(level.effect.high or 0):.3f}")
    tips = [value for _, name, value in found.attributes if name == "data-tip"]
    assert len(tips) > 100
    assert all(re.search(r"\(.* to .*\), \d+ variants?", tip) for tip in tips)


def test_the_columns_hold_every_number_of_the_sweep(made: Material) -> None:
    found = {c["key"]: c for c in core(made)["columns"]}
    entries = made.results.entries
    assert all(len(c["values"]) == len(entries) for c in found.values())
    assert found["name"]["values"] == [e.name for e in entries]
    for hole in made.results.holes:
        column = found[f"hole.{hole}"]
        assert [None if v is None else column["options"][v] for v in column["values"]] == [e.choices.get(hole) for e in entries]
    for task in made.results.tasks:
        for k, e in enumerate(entries):
            told = made.estimate(e, task)
            assert found[f"score.{task.label}"]["values"][k] == (pytest.approx(told.value, abs=1e-5) if told else None)
    for k, e in enumerate(entries):
        upper = found["upper"]["values"][k]
        # A bound is only ever rounded outward, and no bound is never a number.
        assert upper == e.bounds["upper"] if not isinstance(e.bounds["upper"], float) else upper >= e.bounds["upper"]
        verdict = found["verdict"]["options"][found["verdict"]["values"][k]]
        assert verdict == e.bounds["verdict"].replace("_", " ")


def test_a_variant_without_a_bound_is_on_no_front(made: Material) -> None:
    task = made.results.tasks[0]
    best = max((e for e in made.results.members if made.estimate(e, task)), key=lambda e: made.estimate(e, task).value)  # type: ignore[union-attr]
    endless = replace(best, bounds={**best.bounds, "verdict": "not_globally_lipschitz", "upper": "inf"})
    changed = replace(made, results=replace(made.results, entries=tuple(endless if e is best else e for e in made.results.entries)))
    assert best.place not in front(changed, task, "upper")
    assert "not globally lipschitz" in Page(page(changed)).text


def test_the_front_is_what_nothing_beats(made: Material) -> None:
    task = made.results.tasks[0]
    points = {e.place: (e.check["parameters"], told.value) for e in made.results.entries if (told := made.estimate(e, task)) is not None}
    found = front(made, task, "parameters")
    for place, (cost, score) in points.items():
        beaten = any((c <= cost and s > score) or (c < cost and s >= score) for c, s in points.values())
        assert (place in found) == (not beaten) or any(points[p] == (cost, score) for p in found)


def test_pages_stay_small(made: Material) -> None:
    study = page(material(70, pictures=0))
    assert len(study) < 300_000
    large = material(2000, pictures=0)
    assert len(page(large)) < 1_500_000
    assert page(made) == page(material(40))


def test_slim_pictures_show_the_same() -> None:
    from anatomy.render import draw
    from anatomy.sweep.planning import controls

    for _, diagram in controls():
        svg = draw(diagram).svg
        thin = slim(svg)
        assert len(thin) < 0.75 * len(svg)
        assert slim(thin) == thin
        assert re.findall(r">([^<>]+)</text>", svg) == re.findall(r">([^<>]+)</text>", thin)
        for kind in ("<path", "<polygon", "<ellipse", "<text"):
            assert svg.count(kind) == thin.count(kind)


def test_the_library_is_the_same_every_time(tmp_path: Path) -> None:
    from anatomy.sweep.reports.library import library, made

    first = library(tmp_path)
    made.cache_clear()
    assert made() == first == library(tmp_path) == library()
    assert len(list(tmp_path.iterdir())) == 1
    assert b64decode(b64encode(first.encode())).decode() == first


def test_bounds_stay_bounds_when_they_are_shortened() -> None:
    for value in (7.063805, 2.2516753, 217870.97, 1e-9 / 3):
        assert outward(value, False) <= value <= outward(value, True)
        assert outward(value, True) <= value * 1.001
    assert outward(None, True) is None
    assert outward("inf", True) == "inf"
    assert outward(float("inf"), True) == float("inf")
