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

from anatomy.compiler import generate
from anatomy.errors import Source
from anatomy.ir.canonical import digest
from anatomy.language.program import Program
from anatomy.render import draw

ROOT = Path(__file__).resolve().parents[1]


def stack(layers: int) -> str:
    """Attention layers of ten boxes each, written out."""
    lines, x = [], "x0"
    for k in range(layers):
        lines += [
            f"  q{k} = lin Wq{k}[d -> e]({x})", f"  k{k} = lin Wk{k}[d -> e]({x})[n -> m]", f"  v{k} = lin Wv{k}[d -> f]({x})[n -> m]",
            f"  s{k} = dot[e](q{k}, k{k}) / sqrt(size[e])", f"  w{k} = softmax[m](s{k})", f"  y{k} = dot[m](w{k}, v{k})",
            f"  o{k} = lin Wo{k}[f -> d](y{k})", f"  x{k + 1} = layernorm[d]({x} + o{k})",
        ]  # fmt: skip
        x = f"x{k + 1}"
    return "axis n, m = n, d, e, f\ndiagram net(x0: [n, d]) -> [n, d] {\n" + "\n".join(lines) + f"\n  out {x}\n}}\n"


def measure(name: str, action: Callable[[], object], times: int = 11) -> None:
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        spent.append((time.perf_counter() - start) * 1e3)
    print(f"{name:<44} {statistics.median(spent):8.1f}   {min(spent):8.1f} .. {max(spent):.1f}")


def main() -> None:
    text = stack(10)
    net = Program.of(Source("net.anat", text)).get("net")
    small = Program.of_file(ROOT / "examples" / "attention.anat").get("mha")
    print(f"{'milliseconds':<44}   median      least .. greatest")
    measure(f"parse and check, {len(net.nodes)} boxes", lambda: Program.of(Source("net.anat", text)).check())
    measure("hash", lambda: digest(Program.of(Source("net.anat", text)).get("net")))
    measure("hash, without parsing", lambda: digest.__wrapped__(net) if hasattr(digest, "__wrapped__") else digest(net))
    measure("picture as SVG, multi-head attention", lambda: draw(small).svg)
    measure("picture as SVG, ten layers", lambda: draw(net).svg)
    measure("source, multi-head attention", lambda: generate(small, {"d": 64, "h": 4}, ("b",)))
    command = [sys.executable, "-m", "anatomy", "check", str(ROOT / "examples" / "attention.anat")]
    measure("anatomy check, cold", lambda: subprocess.run(command, check=True, capture_output=True, cwd=ROOT))


if __name__ == "__main__":
    main()
