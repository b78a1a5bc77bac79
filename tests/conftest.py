"""What all tests share: small tensors on one thread, and no deadlines, for machines are shared and noisy."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
import torch

import zoo

hypothesis.settings.register_profile("anatomy", deadline=None)
hypothesis.settings.load_profile("anatomy")
torch.set_num_threads(1)


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
    config.pluginmanager.register(Count(), "second parties")
