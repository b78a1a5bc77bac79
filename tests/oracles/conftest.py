"""`@pytest.mark.against(entry, path)`: a test of a zoo entry against the module at that path; the run counts them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import zoo

from .common import find
from .table import distribution

AGREED = pytest.StashKey[set[tuple[str, str]]]()
ABSENT = pytest.StashKey[set[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "against(entry, path): an entry of the zoo against another party's module")
    config.stash[AGREED], config.stash[ABSENT] = set(), set()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("against"):
            item.add_marker(pytest.mark.filterwarnings("ignore"))  # what the libraries warn of is not ours to mend


@pytest.fixture
def party(request: pytest.FixtureRequest) -> Any:
    """What stands at the path of the test's `against` mark."""
    return find(request.node.get_closest_marker("against").args[1])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report: Any = yield
    marker = item.get_closest_marker("against")
    if marker and report.when == "call" and report.passed:
        item.config.stash[AGREED].add((marker.args[0], distribution(marker.args[1])))
    if marker and report.skipped:
        item.config.stash[ABSENT].add(distribution(marker.args[1]))
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    agreed, absent = config.stash[AGREED], sorted(config.stash[ABSENT])
    if agreed:
        entries, libraries = {entry for entry, _ in agreed}, sorted({library for _, library in agreed})
        found = f"{len(entries)} of {len(zoo.names())} zoo entries checked by {len(libraries)} libraries"
        terminalreporter.write_line(f"second parties: {found} ({', '.join(libraries)})")
    if absent:
        terminalreporter.write_line(f"second parties not installed, their tests skipped: {', '.join(absent)}")
