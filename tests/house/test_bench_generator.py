"""The benchmark of the generator runs, and the README has the table of its figures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize("options", [("--quick", "--alone"), pytest.param(("--quick",), marks=pytest.mark.slow)])
def test_a_quick_run_measures_every_line_and_writes_nothing(options: tuple[str, ...]) -> None:
    kept = (BENCHMARKS / "generator.json").read_bytes()
    command, env = [sys.executable, str(BENCHMARKS / "bench_generator.py"), *options], {**os.environ, "PYTHONPATH": str(BENCHMARKS.parent)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=BENCHMARKS.parent, env=env, timeout=600)
    assert done.returncode == 0, done.stderr
    for words in ("rank and unrank", "canonical key", "static rung", "finite-field", "Burnside", "extrapolated", "PyGlove", "NePS"):
        assert words in done.stdout
    assert (BENCHMARKS / "generator.json").read_bytes() == kept


def test_the_readme_has_the_table_of_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import bench_generator  # pyright: ignore[reportMissingImports]

    kept = json.loads((BENCHMARKS / "generator.json").read_text("utf-8"))
    assert not kept["quick"]
    text = (BENCHMARKS / "README.md").read_text("utf-8")
    between = text.partition("<!-- generator: written by bench_generator.py -->\n")[2].partition("<!-- generator: end -->")[0]
    assert between.strip() == bench_generator.table(kept).strip()


def test_peers_are_given_the_spaces_that_we_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import generator_rates  # pyright: ignore[reportMissingImports]

    def members(holes: dict) -> int:
        total = 1
        for options in holes.values():
            total *= sum(1 if isinstance(o, str) else members(*o.values()) for o in options)
        return total

    given, counts = generator_rates.opened(), generator_rates.counts()
    assert {name: members(given[name]) for name in ("flat", "nested")} == {"flat": counts["flat"], "nested": counts["nested"]}
    options, times = given["long"]
    assert len(options) ** times == counts["long"] == 10**30
