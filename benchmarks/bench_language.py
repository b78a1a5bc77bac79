"""Times of the language: cold start, and parse, check and format of a diagram of 100 boxes. Prints medians.

`python benchmarks/bench_language.py`
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from anatomy.errors import Source
from anatomy.language.format import format_text
from anatomy.language.parse import parse
from anatomy.language.program import Program


def layers(count: int) -> str:
    """`count` layers of self-attention, ten boxes each, written out."""
    lines, x = [], "x0"
    for k in range(count):
        lines += [
            f"  q{k} = lin Wq{k}[d -> e]({x})", f"  k{k} = lin Wk{k}[d -> e]({x})[n -> m]", f"  v{k} = lin Wv{k}[d -> f]({x})[n -> m]",
            f"  s{k} = dot[e](q{k}, k{k}) / sqrt(size[e])", f"  w{k} = softmax[m](s{k})", f"  y{k} = dot[m](w{k}, v{k})",
            f"  o{k} = lin Wo{k}[f -> d](y{k})", f"  x{k + 1} = layernorm[d]({x} + o{k})",
        ]  # fmt: skip
        x = f"x{k + 1}"
    body = "\n".join(lines)
    return f"axis n, m = n, d, e, f\ndiagram net(x0: [n, d]) -> [n, d] {{\n{body}\n  out {x}\n}}\n"


def median(action: Callable[[], object], times: int = 15) -> float:
    """Milliseconds of processor time, of this process and its children: other work on the machine counts less."""
    spent = []
    for _ in range(times):
        own, children = time.process_time(), sum(os.times()[2:4])
        action()
        spent.append(1000 * (time.process_time() - own + sum(os.times()[2:4]) - children))
    return statistics.median(spent)


def main() -> None:
    source = Source("net.anat", layers(7))
    net = Program.of(source).get("net")
    print(f"{len(net.nodes)} boxes, {len(source.text):,} characters")
    print(f"parse           {median(lambda: parse(source)):8.1f} ms")
    print(f"parse and check {median(lambda: Program.of(source).check()):8.1f} ms")
    print(f"format          {median(lambda: format_text(source)):8.1f} ms")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.anat"
        path.write_text(source.text)
        command = [sys.executable, "-c", f"import sys; from anatomy.cli import main; sys.exit(main(['check', {str(path)!r}]))"]
        print(f"anatomy check   {median(lambda: subprocess.run(command, check=True, capture_output=True), 7):8.1f} ms, cold")


if __name__ == "__main__":
    main()
