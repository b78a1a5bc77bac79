"""Spaces of the toy file, as the sweep's tests use them."""

from pathlib import Path

import pytest
import torch
from sweep_toy import SPACE

torch.set_num_threads(1)


@pytest.fixture
def toys(tmp_path: Path) -> Path:
    """A file with the toy spaces `good` and `bad`."""
    path = tmp_path / "toys.anat"
    path.write_text(SPACE, "utf-8")
    return path
