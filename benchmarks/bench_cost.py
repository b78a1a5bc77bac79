"""How long compiled mechanisms take as tokens are added, against the polynomial that `anatomy show` tells.

    python benchmarks/bench_cost.py [--quick] [--only NAME ...]

Every entry of the zoo is compiled with its number of tokens left open where that can be (else once for each), with d = 64 and
h = 4 where it has them and small other sizes, and its forward pass is timed at n = 256, 512, ... 4,096: processor time of one
thread, the least of the rounds. The exponent is the slope of the last two doublings in logarithms. It is compared with the slope
of the polynomial between the same sizes, which tends to its degree; a pass of more than a second, or one that does
not fit into memory, ends the row, and where fewer than three sizes are left it is begun anew at n = 32. What a pass of 16 tokens
takes is told where taking it off brings the slopes together: calls of PyTorch cost microseconds each, at any size. Writes `benchmarks/cost.json` and its part of the README.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import sys
import time
from collections import Counter
from typing import Any

import torch
from report import publish
from torch import Tensor, nn

import anatomy
from anatomy.claims.cost import growing
from anatomy.claims.sizes import settle_sizes, stated_sizes
from anatomy.compiler import build
from anatomy.errors import AnatomyError
from anatomy.ir.analysis import flops
from anatomy.ir.graph import Diagram
from anatomy.ir.poly import Poly
from anatomy.ir.solve import Solution, solve
from anatomy.library.entry import entries

TOKENS = (256, 512, 1024, 2048, 4096)
FEWER = (32, 64, 128, 256, 512)
"""Where the others take too long: `n` counts one of two token axes, or a loop runs by the step."""
FEW = 16
LONGEST, NEAR, ROOM = 1.0, 0.25, 10 * 2**30
COMFORT: tuple[dict[str, int], ...] = ({"d": 64, "h": 4}, {"d": 64}, {"e": 16, "f": 16}, {"e": 16}, {})

BLOCKS = "computed in blocks, so that the window and not n multiplies"
CHUNKS = "written with n x n weights, computed as a recurrence in chunks"
CAUSAL = "causal: the kernel leaves out blocks of later keys, a share that grows with n"
REASONS: dict[str, str] = {
    **dict.fromkeys(("luong_local_m", "longformer", "dilated", "streaming_llm", "sliding_window"), BLOCKS), **dict.fromkeys(("retention", "ssd_dual"), CHUNKS),
    **dict.fromkeys(("alibi", "causal_mha", "learned_sink", "mla", "qk_rmsnorm", "scalable_softmax", "tpa", "xpos"), CAUSAL),
}  # fmt: skip
"""Why a slope is below the polynomial's, where it was looked into."""


def chosen(diagram: Diagram, stated: dict[str, int], grown: tuple[str, ...], n: int) -> dict[str, int]:
    """Sizes with n tokens; comfortable ones where the diagram's equations allow."""
    free = diagram.free_sizes()
    tokens = dict.fromkeys(grown, n)
    for wish in COMFORT:
        given = {**{k: v for k, v in stated.items() if k not in wish}, **{k: v for k, v in wish.items() if k in free}, **tokens}
        try:
            return settle_sizes(diagram, given, frozenset(grown))
        except AnatomyError:
            continue
    raise LookupError(f"no sizes with {n} tokens")


def module(diagram: Diagram, sizes: dict[str, int], grown: tuple[str, ...]) -> tuple[nn.Module, bool]:
    """A module that takes any number of tokens, or else one for these."""
    try:
        return build(diagram, {k: v for k, v in sizes.items() if k not in grown}), True
    except AnatomyError:
        return build(diagram, sizes), False


def inputs(diagram: Diagram, known: Solution) -> list[Tensor]:
    g = torch.Generator().manual_seed(0)
    found = []
    for item in diagram.inputs:
        kind = diagram.wires[item.wire].kind
        shape = [known.size(diagram.sizes[a]).evaluate({}) for a in item.layout]
        if kind.name == "real":
            found.append(torch.randn(shape, generator=g))
        elif kind.name == "mask":
            found.append(torch.rand(shape, generator=g) > 0.3)
        else:
            found.append(torch.randint(0, known.size(diagram.sizes[kind.axis]).evaluate({}), shape, generator=g))
    return found


def once(net: nn.Module, xs: list[Tensor]) -> float:
    started = time.process_time()
    with torch.no_grad():
        net(*xs)
    return time.process_time() - started


def timed(net: nn.Module, xs: list[Tensor], rounds: int) -> tuple[float, float]:
    """The least of some rounds of at least ten milliseconds, and the share of it all that was the operating system's.

    The first pass is not counted but where it is long.
    """
    before = os.times()
    least = once(net, xs)
    if least <= LONGEST / 2:
        passes = max(1, int(0.01 / max(least, 1e-6)))
        before = os.times()
        least = min(sum(once(net, xs) for _ in range(passes)) / passes for _ in range(rounds))
    after = os.times()
    user, system = after.user - before.user, after.system - before.system
    return least, system / max(user + system, 1e-9)


def slope(points: list[tuple[int, float]]) -> float:
    """The exponent by least squares in logarithms over the last two doublings."""
    last = [(math.log(n), math.log(max(y, 1e-9))) for n, y in points[-3:]]
    x0, y0 = (sum(p[k] for p in last) / len(last) for k in (0, 1))
    return sum((x - x0) * (y - y0) for x, y in last) / sum((x - x0) ** 2 for x, _ in last)


def ladder(name: str, stated: dict[str, int], grown: tuple[str, ...], tokens: tuple[int, ...], rounds: int) -> dict[str, Any]:
    """Milliseconds and counted operations at each size, as far as they go."""
    diagram = anatomy.load(f"zoo:{name}")
    total = diagram.settled.of(flops(diagram))
    times: dict[int, float] = {}
    counts: dict[int, int] = {}
    ended, net, free, system = "", None, False, 0.0
    base: dict[str, int] = {}
    for n in tokens:
        try:
            sizes = {**base, **dict.fromkeys(grown, n)} if base else chosen(diagram, stated, grown, n)
            known = solve(diagram, sizes, run_time=False)
        except AnatomyError:
            sizes, net = chosen(diagram, stated, grown, n), None
            known = solve(diagram, sizes, run_time=False)
        base = sizes
        try:
            if net is None or not free:
                net, free = module(diagram, sizes, grown)
            spent, system = timed(net, inputs(diagram, known), rounds)
        except (RuntimeError, MemoryError) as error:
            if "memory" not in str(error) and not isinstance(error, MemoryError):
                raise
            ended = f"more memory than {ROOM >> 30} GiB at {n}"
            break
        times[n], counts[n] = 1e3 * spent, known.size(total).evaluate({})
        if spent > LONGEST:
            ended = f"{spent:.1f} s at {n}"
            break
    return {"open": free, "degree": total.substitute({g: Poly.var("n") for g in grown}).degree("n"), "milliseconds": times, "operations": counts, "ended": ended, "system": round(system, 2)}


def row(name: str, stated: dict[str, int], grows: str, ladders: tuple[tuple[int, ...], ...], rounds: int) -> dict[str, Any]:
    grown = growing(anatomy.load(f"zoo:{name}"), grows)
    if not grown:
        return {"entry": name, "left_out": "its number of tokens cannot grow alone"}
    found: dict[str, Any] = {}
    for tokens in ladders:
        found = {"entry": name, **ladder(name, stated, grown, tokens, rounds)}
        if len(found["milliseconds"]) >= 3:
            break
    else:
        return {**found, "left_out": f"fewer than three sizes, {found['ended']}"}
    points = list(found["milliseconds"].items())
    found |= {"polynomial": round(slope(list(found["operations"].items())), 2), "measured": round(slope(points), 2)}
    if off(found) < -NEAR:
        try:
            fixed = ladder(name, stated, grown, (FEW,), rounds)["milliseconds"][FEW]
        except LookupError:
            return found
        found |= {"fixed_ms": fixed, "without_fixed": round(slope([(n, t - fixed) for n, t in points]), 2)}
    return found


def off(found: dict[str, Any], by: str = "measured") -> float:
    return found[by] - found["polynomial"]


def why(found: dict[str, Any]) -> str:
    if found["entry"] in REASONS and off(found) < 0:
        return REASONS[found["entry"]]
    if "without_fixed" in found and abs(off(found, "without_fixed")) <= NEAR:
        return f"a pass of {FEW} tokens takes {found['fixed_ms']:.1f} ms; without it the slope is {found['without_fixed']:.2f}"
    if off(found) > NEAR and found["system"] > 0.2:
        return f"{found['system']:.0%} of the time of the longest passes is the system's, which clears the pages of tensors too large to be kept"
    return "not looked into"


def table(rows: list[dict[str, Any]]) -> str:
    fitted = [r for r in rows if "measured" in r]
    differ = [r for r in fitted if abs(off(r)) > NEAR]
    spread = Counter((r["degree"], round(r["measured"])) for r in fitted)
    below = sum(off(r) < 0 for r in differ)
    lines = [
        f"{len(fitted)} of {len(rows)} entries were fitted, {sum(r['open'] for r in fitted)} of them as one module for all lengths; the measured exponent is within {NEAR} of the "
        f"polynomial's slope between the same sizes for {len(fitted) - len(differ)}, below it for {below} and above it for {len(differ) - below}. Degree and measured exponent, rounded: "
        + ", ".join(f"{d} and {m}: {c}" for (d, m), c in sorted(spread.items())) + ".",
        "", "| entry | degree | slope of the polynomial | measured | greatest n, ms | reason |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for r in sorted(differ, key=off):
        n, spent = list(r["milliseconds"].items())[-1]
        lines.append(f"| `{r['entry']}` | {r['degree']} | {r['polynomial']:.2f} | {r['measured']:.2f} | {n}: {spent:.1f} | {why(r)} |")
    missing = [f"`{r['entry']}` ({r['left_out']})" for r in rows if "left_out" in r]
    return "\n".join([*lines, *(["", "Left out: " + ", ".join(missing) + "."] if missing else [])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three sizes, one round; writes nothing")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="these entries; writes nothing")
    options = parser.parse_args()
    if os.environ.get("MALLOC_MMAP_MAX_") != "0":  # the allocator is to keep what it has, or clearing pages is what grows
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)})
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))
    rows = []
    for entry in entries():
        if options.only and entry.name not in options.only:
            continue
        ladders, rounds = ((TOKENS[:3], FEWER[:3]), 1) if options.quick else ((TOKENS, FEWER), 3)
        try:
            rows.append(row(entry.name, stated_sizes(entry.head["sizes"] or ""), entry.head["grows"] or "", ladders, rounds))
        except LookupError as error:
            rows.append({"entry": entry.name, "left_out": str(error)})
        print(rows[-1], flush=True)
    if options.quick or options.only:
        print(table(rows))
        return
    publish("cost.json", {"torch": torch.__version__, "rows": rows}, "cost", "bench_cost.py", table(rows))


if __name__ == "__main__":
    main()
