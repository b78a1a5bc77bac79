"""Ticks of logarithmic axes."""

import pytest

from anatomy.cli.curves import ticks


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.3, 0.34), (-3, 9), (2.0, 2.2), (4.21, 4.2101)])
def test_ticks_are_inside_and_few(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 9
    assert all(10 ** (low - 1e-9) <= t <= 10 ** (high + 1e-9) for t in found)
