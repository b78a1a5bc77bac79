"""The Lipschitz check against thousands of random questions: `make fuzz-regularity`, or `python -m benchmarks.fuzz_regularity 10000`.

Each seed is one case of `tests/regularity/cases.py`. Findings go to `fuzz-out/regularity.jsonl` as they come; a run that is
stopped goes on where it was, and one with another number of cases adds to it. Prints for every family how many cases
there were, how many had a bound, and the least and the median of bound over attained; and every violation with its seed.
Exit status 1 where there is one.
"""

from __future__ import annotations

import json
import statistics
import sys
import traceback
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from tests.regularity import cases

OUT = Path("fuzz-out/regularity.jsonl")


def main(count: int, start: int, out: Path) -> int:
    torch.set_num_threads(1)
    warnings.filterwarnings("error", category=RuntimeWarning)
    out.parent.mkdir(exist_ok=True)
    known = [json.loads(line) for line in out.read_text("utf-8").splitlines()] if out.exists() else []
    done = {row["seed"] for row in known}
    with out.open("a", encoding="utf-8") as file:
        for seed in range(start, start + count):
            if seed not in done:
                row = _row(seed)
                known.append(row)
                file.write(json.dumps(row) + "\n")
                file.flush()
    return report(known)


def _row(seed: int) -> dict[str, Any]:
    try:
        found = cases.run(seed)
    except Exception as error:  # a crash is a finding too
        where = traceback.extract_tb(error.__traceback__)[-1]
        return {"family": "crash", "name": "", "seed": seed, "verdict": "crash", "ratio": None,
                "violations": [f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"]}  # fmt: skip
    return {"family": "none", "name": "", "seed": seed, "verdict": "none", "ratio": None, "violations": []} if found is None else asdict(found)


def report(rows: list[dict[str, Any]]) -> int:
    print(f"{'family':<12} {'cases':>6} {'bounded':>8} {'least':>8} {'median':>8} {'greatest':>10}   bound over attained")
    for family in sorted({r["family"] for r in rows} - {"none"}):
        here = [r for r in rows if r["family"] == family]
        ratios = [r["ratio"] for r in here if r["ratio"] is not None]
        shown = f"{min(ratios):8.4f} {statistics.median(ratios):8.3g} {max(ratios):10.3g}" if ratios else ""
        print(f"{family:<12} {len(here):>6} {sum(r['verdict'] != 'unknown' for r in here):>8} {shown}")
    wrong = [r for r in rows if r["violations"]]
    print(f"{sum(r['family'] != 'none' for r in rows)} cases, {len(wrong)} violations")
    for r in wrong:
        print(f"  seed {r['seed']} {r['family']} {r['name']}: {r['violations'][0]}")
    return 1 if wrong else 0


if __name__ == "__main__":
    numbers = [int(a) for a in sys.argv[1:3]]
    sys.exit(main(numbers[0] if numbers else 10_000, numbers[1] if len(numbers) > 1 else 0, Path(sys.argv[3]) if len(sys.argv) > 3 else OUT))
