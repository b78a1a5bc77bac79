"""`@pytest.mark.against(entry, path)`: a test of a zoo entry against the module at that path; the run counts them."""

from __future__ import annotations

from typing import Any

import pytest

from .common import find
from .table import distribution


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "against(entry, path): an entry of the zoo against another party's module")


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
