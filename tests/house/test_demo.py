"""The demonstration runs from end to end, with few training steps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from anatomy.sweep.reports.page import unpack

ROOT = Path(__file__).resolve().parents[2]


def test_the_demonstration_ends_with_a_report(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / "demo.py"), "--out", str(tmp_path / "out"), "--steps", "2"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Mha()(x) -> [2, 10, 64]" in done.stdout
    page = (tmp_path / "out" / "sweep" / "report.html").read_text("utf-8")
    assert unpack(re.search(r'id="data-pictures">([^<]*)<', page)[1]).count("<svg") > 6  # type: ignore[index]
    assert not re.search(r"(src|href|url\()\s*=?\s*[\"']?https?:", page)
