"""Rungs of halving over real transports: one table from all, to the byte, and the variants that were stopped are the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_robust_equality import ROOT, by_two_workers, told
from test_transports import cluster, ray  # noqa: F401  (fixtures)

from anatomy import sweep

TASK = "tests.sweep.sweep_smooth"


def run(toys: Path, folder: Path, transport: str = "inline", jobs: int | None = None, address: str | None = None) -> sweep.Status:
    return sweep.run(
        f"{toys}::wide", folder, (TASK,), jobs, transport=transport, address=address, seeds=2, certify=False, halving=2, rungs=3,
        strata=("leave",), cache=folder.with_suffix(".cache"),
    )  # type: ignore[arg-type]  # fmt: skip


@pytest.fixture
def wide(toys: Path) -> Path:
    """Twelve members in two strata."""
    toys.write_text(toys.read_text("utf-8") + "".join(
        f"diagram w{k}(s: [n, m]) -> [n, m] {{ out softmax[m](causal[m <= n](s * {k}.5)) }}\n" for k in range(2, 6)
    ) + "space wide of layer { choose weigh in { past, twice, w2, w3, w4, w5 } choose leave in { same, linear } }\n", "utf-8")  # fmt: skip
    return toys


@pytest.fixture
def inline(wide: Path, tmp_path: Path) -> tuple[object, ...]:
    found = run(wide, tmp_path / "inline")
    assert found.complete
    # Of six in a stratum three go on, and of these one; no control is stopped.
    assert found.pruned == 2 * 2 * (3 + 5)
    return told(tmp_path / "inline")


def test_processes_and_a_shared_folder(wide: Path, tmp_path: Path, inline: tuple[object, ...]) -> None:
    for count in (1, 2):
        run(wide, tmp_path / f"w{count}", "process", count)
        assert told(tmp_path / f"w{count}") == inline
    folder = tmp_path / "pulled"
    by_two_workers(folder, lambda: run(wide, folder, "pull"))
    assert told(folder) == inline


@pytest.mark.slow
def test_ray_alone(ray: None, wide: Path, tmp_path: Path, inline: tuple[object, ...], monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run(wide, tmp_path / "ray", "ray", 2)
    assert told(tmp_path / "ray") == inline


@pytest.mark.slow
def test_two_ray_nodes(cluster: str, wide: Path, tmp_path: Path, inline: tuple[object, ...]) -> None:  # noqa: F811
    run(wide, tmp_path / "nodes", "ray", 2, cluster)
    assert told(tmp_path / "nodes") == inline
