"""Every format says what the table says; Optuna opens its storage; a query reads tables and nothing else."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from anatomy import sweep
from anatomy.cli import main
from anatomy.errors import AnatomyError
from anatomy.sweep import config as settings
from anatomy.sweep.exports import frames, studies
from anatomy.sweep.results import Entry, Failure, Results, Run, TaskFacts, results

TOY = "tests.sweep.sweep_toy"


@pytest.fixture
def swept(toys: Path, tmp_path: Path) -> Path:
    """A sweep of two tasks and two seeds with failures and rejections."""
    folder = tmp_path / "swept"
    sweep.run(f"{toys}::bad", folder, (TOY, f"{TOY}:budget=5"), transport="inline", certify=False, seeds=2, cache=tmp_path / "cache")
    return folder


def read(folder: Path) -> Results:
    with sweep.api.opened(folder) as store:
        return results(store, settings.read(folder))


def ladder() -> Results:
    """By hand: one variant of each end that halving knows, and infinities."""
    config = settings.Config(target="t::s", path="t", text="", space="s", digest="", tasks=("words",), cache="")
    task = TaskFacts("words", "words", budgets=(10, 30))

    def run(budget: int, state: str, score: float | None = None) -> Run:
        curve = ((budget / 2, 0.1, 2.0), (float(budget), score, 1.0)) if score is not None else ()
        return Run("words", budget, 0, f"{budget}{state}{score}", state, "" if state == "done" else f"why {state}", score, 1.0, 5, budget, parameters=7, curve=curve)

    ends = {
        "whole": (run(10, "done", 0.2), run(30, "done", 0.5)), "cut": (run(10, "done", 0.1), run(30, "pruned")),
        "waits": (run(10, "done", 0.3), run(30, "pending")), "broken": (run(10, "failed"), run(30, "pending")), "refused": (run(10, "rejected"), run(30, "rejected")),
    }  # fmt: skip
    entries = tuple(
        Entry(
            k, f"s_{k}", "member", k, f"d{k}", {"a": "xy"[k % 2], "b": "z"}, ((9, "equal"),), "diagram", "done",
            bounds={"verdict": "v", "upper": "inf" if k else 2.5, "lower": 1.0}, runs=ends[name],
            failures=(Failure("train", "failed", "error", "Traceback"),) if name == "broken" else (),
        )
        for k, name in enumerate(ends)
    )  # fmt: skip
    return Results(config, (task,), entries, {}, {}, {})


def test_csv_and_json(swept: Path, tmp_path: Path) -> None:
    table = sweep.export(swept, tmp_path / "a.csv")
    assert table.read_bytes() == (swept / "table.csv").read_bytes()
    wide = json.loads(sweep.export(swept, tmp_path / "a.json").read_text("utf-8"))
    assert [row["name"] for row in wide] == [row["name"] for row in csv.DictReader(table.read_text("utf-8").splitlines())]
    long = list(csv.DictReader(sweep.export(swept, tmp_path / "r.csv", runs=True).read_text("utf-8").splitlines()))
    typed = json.loads(sweep.export(swept, tmp_path / "r.json", runs=True).read_text("utf-8"))
    assert len(long) == len(typed) == sum(len(e.runs) for e in read(swept).entries) == len(wide) * 4
    assert [row["key"] for row in long] == [row["key"] for row in typed]
    assert [float(row["score"]) if row["score"] else None for row in long] == [row["score"] for row in typed]
    with pytest.raises(AnatomyError, match=r"E806.*\.xlsx"):
        sweep.export(swept, tmp_path / "a.xlsx")
    with pytest.raises(AnatomyError, match="E813"):
        sweep.export(swept, swept / "store.sqlite" / "a.csv")


def test_parquet_holds_the_same(swept: Path, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="the extra `export` is not installed")
    wide = json.loads(sweep.export(swept, tmp_path / "a.json").read_text("utf-8"))
    place = tmp_path / "it's"
    place.mkdir()
    sweep.export(swept, place / "a.parquet")
    sweep.export(swept, place / "r.parquet", runs=True)
    assert sorted(p.name for p in place.iterdir()) == ["a.parquet", "r.parquet"]
    db = duckdb.connect()
    found = db.execute("select * from read_parquet(?)", [str(place / "a.parquet")])
    names, kinds = [c[0] for c in found.description], {c[0]: str(c[1]) for c in found.description}
    for told, row in zip(wide, found.fetchall(), strict=True):
        for name, value in zip(names, row, strict=True):
            assert (json.loads(value) if isinstance(told[name], list) and isinstance(value, str) else value) == told[name], name
    assert (kinds["rank"], kinds["causal"], kinds["text"]) == ("BIGINT", "BOOLEAN", "VARCHAR")
    assert kinds[f"{TOY}.score"] == "DOUBLE"
    assert kinds[f"{TOY}.scores"] == "DOUBLE[]"
    runs = db.execute("select key, score, state from read_parquet(?)", [str(place / "r.parquet")]).fetchall()
    typed = json.loads(sweep.export(swept, tmp_path / "r.json", runs=True).read_text("utf-8"))
    assert runs == [(r["key"], r["score"], r["state"]) for r in typed]


def test_columns_keep_their_kind() -> None:
    found = frames.variants(ladder())
    kinds = dict(zip(found.names, found.kinds, strict=True))
    assert kinds["upper"] == "double"
    assert found.columns[found.names.index("upper")] == (2.5, *[float("inf")] * 4)
    empty = Results(ladder().config, (), (), {}, {}, {})
    for make in frames.FRAMES.values():
        assert list(make(empty).rows) == []


def test_optuna_opens_its_storage(swept: Path, tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna", reason="the extra `export` is not installed")
    path = sweep.export(swept, tmp_path / "a.db")
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    found = read(swept)
    assert [s.study_name for s in optuna.get_all_study_summaries(storage)] == [f"bad/{TOY}", f"bad/{TOY}:budget=5"]
    study = optuna.load_study(study_name=f"bad/{TOY}", storage=storage)
    told = {(t.user_attrs["variant"], t.user_attrs["seed"]): t for t in study.trials}
    assert len(told) == len(study.trials) == 2 * len(found.entries)
    for entry in found.entries:
        for run in (r for r in entry.runs if r.task == TOY):
            trial = told[entry.name, run.seed]
            assert trial.params == dict(entry.choices)
            assert trial.state.name == ("COMPLETE" if run.state == "done" else "FAIL")
            assert trial.value == run.score
            assert trial.intermediate_values == {int(p[0]): p[1] for p in run.curve}
            assert (trial.user_attrs["text"], trial.user_attrs["digest"], trial.user_attrs["reason"]) == (entry.text, entry.digest, run.reason)
    best = max((r.score, e.name) for e in found.entries for r in e.runs if r.task == TOY and r.score is not None)
    assert (study.best_value, study.best_trial.user_attrs["variant"]) == best
    for trial in study.trials:
        for kind in trial.distributions.values():
            assert set(kind.choices) >= {"past", "leaky", "broken"} or set(kind.choices) == {"lost", "same"}
    storage.engine.dispose()
    sweep.export(swept, path)  # over the old one


def test_what_halving_stopped_is_pruned(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna", reason="the extra `export` is not installed")
    studies.write(ladder(), tmp_path / "a.db", False)
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'a.db'}")
    trials = optuna.load_study(study_name="s/words", storage=storage).trials
    storage.engine.dispose()
    assert [t.state.name for t in trials] == ["COMPLETE", "PRUNED", "WAITING", "FAIL", "FAIL"]
    assert [t.value for t in trials] == [0.5, 0.1, None, None, None]
    assert [t.user_attrs["reason"] for t in trials] == ["", "why pruned", "why pending", "why failed", "why rejected"]
    assert trials[0].intermediate_values == {15: 0.1, 30: 0.5}
    assert trials[1].intermediate_values == {5: 0.1, 10: 0.1}
    assert trials[1].user_attrs["upper"] == "inf"


def test_the_dashboard_reads_it(swept: Path, tmp_path: Path) -> None:
    dashboard = pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    import optuna

    path = sweep.export(swept, tmp_path / "a.db")
    app = dashboard.wsgi(optuna.storages.RDBStorage(f"sqlite:///{path}"))
    said: list[str] = []
    body = b"".join(app({"REQUEST_METHOD": "GET", "PATH_INFO": "/api/studies", "SERVER_NAME": "x", "SERVER_PORT": "1", "wsgi.input": None, "wsgi.errors": sys.stderr, "wsgi.url_scheme": "http"}, lambda status, headers, *more: said.append(status)))  # fmt: skip
    assert said[0].startswith("200")
    assert f"bad/{TOY}" in body.decode()


# queries -------------------------------------------------------------------------------------------


def test_queries_answer_from_five_tables(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("duckdb", reason="the extra `export` is not installed")
    found = read(swept)
    states = Counter(r.state for e in found.entries for r in e.runs)
    assert dict(sweep.query(swept, "select state, count(*) from runs group by state").rows) == states  # type: ignore[arg-type]
    joined = sweep.query(swept, "select h.option, avg(r.score) from holes h join runs r using (variant) where h.hole = 'weigh' and r.state = 'done' group by 1")
    assert [row[0] for row in joined.rows] == ["past"]
    assert sweep.query(swept, "select count(*) from curves").rows == ((sum(len(r.curve) for e in found.entries for r in e.runs),),)
    assert sweep.query(swept, "select count(*) from failures").rows[0][0] == sum(len(e.failures) for e in found.entries)
    assert ("name", "VARCHAR") in [row[:2] for row in sweep.query(swept, "describe variants").rows]
    assert main(["sweep", "query", str(swept), "select name, rank, [1, 2] as pair from variants order by name", "--json"]) == 0
    assert {"name": "bad_0", "rank": 0, "pair": [1, 2]} in json.loads(capsys.readouterr().out)
    assert main(["sweep", "query", str(swept), "select name from variants where rank is null"]) == 0
    out = capsys.readouterr().out
    assert "baseline" in out
    assert "3 rows" in out


HOSTILE = (
    "select * from '{file}'", "select * from read_text('{file}')", "select * from read_csv('{file}')", "select * from read_blob('{file}')",
    "select * from glob('/*')", "copy runs to '{out}'", "copy (select 1) to '{out}'", "attach '{out}'", "export database '{out}'", "install httpfs",
    "load httpfs", "select * from read_parquet('https://example.com/x.parquet')", "set enable_external_access = true", "reset lock_configuration",
    "pragma enable_external_access", "drop table runs", "insert into holes values ('a', 1, 'b', 'c')", "delete from runs", "update runs set score = 1",
    "create table x as select 1", "create table x as select * from read_text('{file}')", "call pragma_version()", "select 1; select 2", "",
    "select * from secret", "explain analyze copy runs to '{out}'", "with x as (select 1) insert into holes select 'a', 1, 'b', 'c' from x", "checkpoint",
    "import database '{file}'", "select * from sqlite_scan('{file}', 'x')", "prepare p as select 1", "begin", "nonsense", "select", "select * from read_json('{file}')",
)  # fmt: skip


@pytest.mark.parametrize("sql", HOSTILE)
def test_queries_touch_nothing_else(sql: str, tmp_path: Path) -> None:
    pytest.importorskip("duckdb", reason="the extra `export` is not installed")
    from anatomy.sweep.exports.query import ask

    secret = tmp_path / "secret.csv"
    secret.write_text("a\nhidden\n")
    out = tmp_path / "out"
    with pytest.raises(AnatomyError, match="E806") as caught:
        ask(ladder(), sql.format(file=secret, out=out))
    assert "hidden" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == [secret]


def test_without_the_extra(swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    monkeypatch.setitem(sys.modules, "optuna", None)
    for act in (lambda: sweep.query(swept, "select 1"), lambda: sweep.export(swept, tmp_path / "a.parquet"), lambda: sweep.export(swept, tmp_path / "a.db")):
        with pytest.raises(AnatomyError, match=r"(?s)E806.*not installed.*attention-anatomy\[export\]"):
            act()
    assert not (tmp_path / "a.parquet").exists()
    assert sweep.export(swept, tmp_path / "a.csv").exists()
