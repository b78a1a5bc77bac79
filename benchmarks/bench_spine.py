"""Times of the spine beyond the language: hash and picture of a diagram of about 100 boxes, source, cold commands.

`python benchmarks/bench_spine.py` prints the median, least and greatest of repeated runs in milliseconds.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench_language import layers

from anatomy.compiler import generate
from anatomy.errors import Source
from anatomy.ir.canonical import digest
from anatomy.language.program import Program
from anatomy.render import draw

ROOT = Path(__file__).resolve().parents[1]


def measure(name: str, action: Callable[[], object], times: int = 11) -> None:
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        spent.append((time.perf_counter() - start) * 1e3)
    print(f"{name:<44} {statistics.median(spent):8.1f}   {min(spent):8.1f} .. {max(spent):.1f}")


def main() -> None:
    text = layers(10)
    net = Program.of(Source("net.anat", text)).get("net")
    small = Program.of_file(ROOT / "examples" / "attention.anat").get("mha")
    print(f"{'milliseconds':<44}   median      least .. greatest")
    measure(f"parse and check, {len(net.nodes)} boxes", lambda: Program.of(Source("net.anat", text)).check())
    measure("hash", lambda: digest(net))
    measure("picture as SVG, multi-head attention", lambda: draw(small).svg)
    measure("picture as SVG, ten layers", lambda: draw(net).svg)
    measure("source, multi-head attention", lambda: generate(small, {"d": 64, "h": 4}, ("b",)))
    command = [sys.executable, "-m", "anatomy", "check", str(ROOT / "examples" / "attention.anat")]
    measure("anatomy check, cold", lambda: subprocess.run(command, check=True, capture_output=True, cwd=ROOT))


if __name__ == "__main__":
    main()
