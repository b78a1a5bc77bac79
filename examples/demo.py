"""The main job on real input, step by step: `make demo`.

A diagram file is checked, drawn, compiled and run; a space is counted, some members are certified, six are swept.
Pass `--steps 20` for a quick pass.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path

from anatomy.cli import main

HERE = Path(__file__).resolve().parent
FILE = HERE / "attention.anat"


def run(command: str) -> None:
    """Show a command, run it, stop the demonstration if it fails."""
    shown = command.replace(str(HERE.parent) + "/", "")
    print(f"\n\x1b[1m$ anatomy {shown}\x1b[0m" if sys.stdout.isatty() else f"\n$ anatomy {shown}", flush=True)
    status = main(shlex.split(command))
    if status:
        sys.exit(status)


def demo() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="demo-out", help="where pictures, the module and the report go")
    parser.add_argument("--steps", type=int, default=120, help="training steps for each variant")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()

    run(f"check {FILE}")
    run(f"render {FILE}::sdpa -o -")
    run(f"render {FILE}::mha -o {out}/mha.svg")
    run(f"render {FILE}::mha -o {out}/mha.png")
    run(f"show {FILE}::mha")
    run(f"compile {FILE}::mha --size d=64 --size h=4 --lift b -o {out}/mha.py")

    print("\nThe module stands alone; run on a random batch of 2 sequences of 10 tokens:")
    import importlib.util

    import torch

    spec = importlib.util.spec_from_file_location("mha", out / "mha.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(0)
    y = module.Mha()(torch.randn(2, 10, 64))
    print(f"  Mha()(x) -> {list(y.shape)}, mean square {y.square().mean().item():.4f}")

    run(f"regularity {FILE}::mha --size n=16 --size d=16 --size h=4")
    run("space count zoo:spaces/scores")
    run("space funnel zoo:spaces/scores")
    run("space sample zoo:spaces/scores -k 3 --seed 1")
    run(f"sweep run zoo:spaces/scores --members 0,12,18,32,96,149 --steps {options.steps} --jobs {options.jobs} --out {out}/sweep")

    print(f"\nDone in {time.monotonic() - started:.0f} s.")
    print(f"Picture:  {out}/mha.svg")
    print(f"Module:   {out}/mha.py")
    print(f"Report:   {(out / 'sweep' / 'report.html').resolve()}")


if __name__ == "__main__":
    demo()
