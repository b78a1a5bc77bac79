"""The page of a sweep: complete, escaped, and without a single request."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from anatomy import sweep
from anatomy.sweep.page import outward
from anatomy.sweep.plots import Point, curves, front, scatter, ticks
from anatomy.sweep.ranking import ranking

VOID = {"meta", "input", "img", "br", "line"}


class Page(HTMLParser):
    """Tags in balance, attributes and visible text by tag."""

    def __init__(self, text: str):
        super().__init__()
        self.stack: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.stack, self.stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.stack[-1:] == [tag], (tag, self.stack[-4:])
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        if not self.stack or self.stack[-1] not in ("script", "style"):
            self.words.append(data)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sweep_toy import SPACE

    folder = tmp_path_factory.mktemp("report")
    (folder / "toys.anat").write_text(SPACE, "utf-8")
    task = ("tests.sweep.sweep_toy",)
    for space in ("good", "bad"):
        sweep.run(f"{folder}/toys.anat::{space}", folder / space, task, transport="inline", certify=False)
    return folder


def test_the_page_asks_for_nothing(swept: Path) -> None:
    for space in ("good", "bad"):
        page = Page((swept / space / "report.html").read_text("utf-8"))
        links = [(tag, value) for tag, name, value in page.attributes if name in ("src", "href", "xlink:href", "srcset", "action", "data")]
        assert links
        assert all(value.startswith(("#", "data:image/svg+xml;base64,")) for _, value in links)
        assert not any(tag in ("link", "iframe", "object", "embed", "base") for tag, _, _ in page.attributes)
        text = (swept / space / "report.html").read_text("utf-8")
        assert not re.search(r"""url\(|@import|fetch\(|import\(|XMLHttp""", text)
        assert len(set(page.ids)) == len(page.ids)
        inside = {value[1:] for _, value in links if value.startswith("#")}
        assert inside <= set(page.ids)


def test_the_page_tells_the_whole_sweep(swept: Path) -> None:
    page = Page((swept / "good" / "report.html").read_text("utf-8"))
    words = " ".join(page.words)
    for needed in ("6 fillings as written", "4 different diagrams", "4 members and 3 controls", "leave same for again", "anatomy sweep run",
                   "--members 0", "softmax[m](causal[m <= n]", "baseline", "no_mixing", "causal_average", "torch", "Environment"):  # fmt: skip
        assert needed in words, needed
    pictures = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    assert len(pictures) == 7


def test_the_page_shows_failures_with_tracebacks(swept: Path) -> None:
    words = " ".join(Page((swept / "bad" / "report.html").read_text("utf-8")).words)
    for needed in ("Traceback (most recent call last)", "E403", "reads later tokens", "not finite at initialisation", "the checks failed"):
        assert needed in words, needed


def test_it_says_that_it_cannot_rank_when_it_cannot(swept: Path) -> None:
    words = " ".join(Page((swept / "good" / "report.html").read_text("utf-8")).words)
    assert "supports no ranking" in words


def test_hostile_text_stays_text(swept: Path, tmp_path: Path) -> None:
    import sqlite3

    shutil.copytree(swept / "good", tmp_path / "evil")
    evil = "</pre><script>alert('1')</script><img src=x onerror=alert(2)>"
    db = sqlite3.connect(tmp_path / "evil" / "store.sqlite")
    with db:
        db.execute("update variants set text = ?, aliases = ? where role = 'member'", (evil, json.dumps([[1, evil]])))
        db.execute("update jobs set state = 'failed', class = ? where stage = 'train'", (evil,))
        db.execute("insert or replace into failures select key, ?, ? from jobs", (evil, evil))
    db.close()
    page = Page(sweep.report(tmp_path / "evil").read_text("utf-8"))
    assert evil in " ".join(page.words)
    assert not any(name.startswith("on") for _, name, _ in page.attributes)
    assert sum(tag == "script" for tag, _, _ in page.attributes) == 0


def test_a_report_is_made_again_from_the_folder(swept: Path, tmp_path: Path) -> None:
    first = (swept / "good" / "report.html").read_text("utf-8")
    assert sweep.report(swept / "good", tmp_path / "again.html").read_text("utf-8") == first


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser here")
def test_rows_sort_filter_and_open_in_a_browser(swept: Path, tmp_path: Path) -> None:
    script = """<script>
    const names = () => [...document.querySelectorAll("tr.row")].filter(r => !r.hidden).map(r => r.id);
    const said = [];
    [...document.querySelectorAll("#variants th button")].find(b => b.textContent.startsWith("tests")).click();
    said.push(names()[0]);
    filter.value = "twice linear"; filter.dispatchEvent(new Event("input"));
    said.push(names().join("+"), document.getElementById("count").textContent);
    document.querySelector("tr.row:not([hidden]) button").click();
    said.push([...document.querySelectorAll("tr.detail:not([hidden])")].map(r => r.id).join("+"));
    document.body.setAttribute("data-said", said.join("|"));
    </script></body>"""
    page = tmp_path / "page.html"
    page.write_text((swept / "good" / "report.html").read_text("utf-8").replace("</body>", script), "utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = json.loads(sweep.export(swept / "good", tmp_path / "t.json").read_text("utf-8"))
    best = max(found, key=lambda r: r["tests.sweep.sweep_toy.score"])["name"]
    assert re.search('data-said="([^"]*)"', dom)[1] == f"{best}|good_5|1 of 7|good_5-detail"  # type: ignore[index]


# what the page is made of --------------------------------------------------------------------------


def test_the_front_is_what_nothing_beats() -> None:
    points = [Point("a", 1, 0.2, False, "a"), Point("b", 2, 0.2, False, "b"), Point("c", 3, 0.9, False, "c"), Point("d", None, 1.0, False, "d"), Point("e", 1, 0.1, True, "e")]  # fmt: skip
    assert [p.name for p in front(points)] == ["a", "c"]


def test_plots_escape_and_stay_inside() -> None:
    points = [Point("<b>", x, y, False, '"><script>') for x, y in ((1e-9, 0.0), (1e12, 1.0), (float("inf"), 0.5), (None, 2.0), (0.0, 0.1))]
    svg = scatter(points, "cost & more", "none")
    assert "<b>" not in svg
    assert "<script>" not in svg
    places = [float(x) for x in re.findall(r'cx="([^"]*)"', svg)]
    assert len(places) == 5
    assert all(0 <= x <= 560 for x in places)
    assert scatter([], "cost", "none").endswith("</svg>")
    assert "polyline" in curves([[[50, 0.1, 2.0], [100, 0.9, 1.0]]])
    assert curves([[[0, 0.1, 2.0]]]) == ""


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.3, 0.34), (-3, 9), (2.0, 2.2), (4.21, 4.2101)])
def test_ticks_are_inside_and_few(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 9
    assert all(10 ** (low - 1e-9) <= t <= 10 ** (high + 1e-9) for t in found)


def test_bounds_stay_bounds_when_they_are_shortened() -> None:
    for value in (7.063805, 2.2516753, 217870.97, 1e-9 / 3):
        assert outward(value, False) <= value <= outward(value, True)
        assert outward(value, True) <= value * 1.001
    assert outward(None, True) is None
    assert outward("inf", True) == "inf"


def rows(**scores: list[float]) -> list[dict[str, object]]:
    return [
        {"name": name, "role": "control" if name in ("baseline", "no_mixing") else "member", "t.score": sum(s) / len(s), "t.scores": s, "t.trials": [1000] * len(s)}
        for name, s in scores.items()
    ]  # fmt: skip


def test_nothing_is_ranked_unless_the_baseline_beats_no_mixing() -> None:
    assert not ranking(rows(baseline=[0.05, 0.06], no_mixing=[0.05], a=[0.9]), "t").supported
    assert not ranking(rows(baseline=[0.9, 0.2], no_mixing=[0.05], a=[0.9]), "t").supported  # seeds differ too much
    assert not ranking(rows(baseline=[0.9], no_mixing=[0.05]), "t").supported
    assert ranking(rows(baseline=[0.98, 0.99], no_mixing=[0.05]), "t").supported


def test_groups_are_what_can_be_told_apart() -> None:
    found = ranking(rows(baseline=[0.98, 0.98], no_mixing=[0.03], a=[0.97], b=[0.5], c=[0.49], d=[0.04]), "t")
    assert found.groups == (("baseline", "a"), ("b", "c"), ("d", "no_mixing"))
    assert found.detectable == pytest.approx(3 * 2**0.5 * (0.98 * 0.02 / 1000) ** 0.5)
