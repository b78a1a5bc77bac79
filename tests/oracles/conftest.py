"""`@pytest.mark.against(entry, path)`: a test of a zoo entry against the module at that path; the run counts them."""

from __future__ import annotations

from typing import Any

import pytest

import zoo

from .common import find
from .table import distribution


class Count:
    """Which entries agreed with which library, and which libraries are not installed; reports come from all workers."""

    def __init__(self) -> None:
        self.agreed: set[tuple[str, str]] = set()
        self.absent: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for key, value in report.user_properties:
            if key == "second party" and report.when == "call" and report.passed:
                entry, library = str(value).split()
                self.agreed.add((entry, library))
            if key == "second party" and report.skipped:
                self.absent.add(str(value).split()[1])

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.agreed:
            entries, libraries = {entry for entry, _ in self.agreed}, sorted({library for _, library in self.agreed})
            found = f"{len(entries)} of {len(zoo.names())} zoo entries checked by {len(libraries)} libraries"
            terminalreporter.write_line(f"second parties: {found} ({', '.join(libraries)})")
        if self.absent:
            terminalreporter.write_line(f"second parties not installed, their tests skipped: {', '.join(sorted(self.absent))}")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "against(entry, path): an entry of the zoo against another party's module")
    config.pluginmanager.register(Count(), "second parties")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("against"):
            item.add_marker(pytest.mark.filterwarnings("ignore"))  # what the libraries warn of is not ours to mend


@pytest.fixture
def party(request: pytest.FixtureRequest) -> Any:
    """What stands at the path of the test's `against` mark."""
    return find(request.node.get_closest_marker("against").args[1])


@pytest.fixture(autouse=True)
def _counted(request: pytest.FixtureRequest) -> None:
    marker = request.node.get_closest_marker("against")
    if marker:
        request.node.user_properties.append(("second party", f"{marker.args[0]} {distribution(marker.args[1])}"))
