"""The sample text of the language, elaborated once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anatomy.errors import Source
from anatomy.language.program import Program

torch.set_num_threads(1)
SAMPLE = Path(__file__).resolve().parents[1] / "language" / "sample.anat"


@pytest.fixture(scope="session")
def sample() -> Program:
    program = Program.of(Source("sample.anat", SAMPLE.read_text("utf-8")))
    assert not [d for d in program.check() if d.severity == "error"]
    return program
