"""Certificates against random questions: `python -m benchmarks.fuzz_certificates 1000 [FIRST]`.

Each seed is one net, one draw of weights and one radius of `tests/regularity/cases.py`; what the rules of certificates prove is
weighed against the same evidence as the check is, and every certificate is read back and checked. Prints for every family
how many cases there were and how many had a certificate, and every violation with its seed. Exit status 1 where there is one.
"""

from __future__ import annotations

import math
import random
import sys
import time
import warnings
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from flint import ctx

from anatomy.certificates import certify, verify, walking
from anatomy.certificates.model import Broken
from anatomy.certificates.numbers import Tape
from anatomy.certificates.state import Lacking
from anatomy.certificates.writing import graph_of, weights_of
from anatomy.errors import AnatomyError
from tests.regularity import cases


def proved(net: cases.Net, weights: dict[str, np.ndarray], radius: float) -> Any:
    """What the rules prove, in the form in which `cases` reads bounds: constants, and entries of the output."""
    with ctx.workprec(106):
        graph = graph_of(net.diagram, net.sizes)
        s = walking.start(graph, weights_of(net.diagram, weights), radius)
        for at, node in enumerate(graph.nodes):
            s.tape = Tape()
            walking.run(s, at, node)
        s.tape = Tape()
        one, two, inf = (float(t.upper()) for t in walking.finish(s))
        facts = {o.port.wire: s.fact(s.view(o.port)) for o in graph.outputs if o.kind == "real"}
        bounds = {k: SimpleNamespace(entry=(float(f.low.lower()), float(f.high.upper()))) for k, f in facts.items()}
    return SimpleNamespace(triple=SimpleNamespace(one=one, two=two, inf=inf), bounds=bounds)


def case(seed: int, count: int = 4, climb: int = 4) -> tuple[str, str, bool, list[str]] | None:
    """Family, name, whether there is a certificate, and what contradicts it; None where no net of that draw exists."""
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    net = cases.net_of(rng, seed)
    if net is None:
        return None
    weights = cases.draw(net, numbers)
    radius = 10 ** rng.uniform(-3, math.log10(30))
    try:
        found = proved(net, weights, radius)
    except (Lacking, Broken):
        return net.family, net.name, False, []
    wrong, _ = cases.against(net, found, radius, numbers, seed, count, climb)
    if seed % 4 == 0:
        try:
            text = certify(net.diagram, net.sizes, weights, radius, ("frobenius", "max_token")[seed // 4 % 2]).text
        except AnatomyError:
            return net.family, net.name, True, [*wrong, "no certificate of what was proved"]
        again = verify(text, net.diagram)
        wrong += [] if again.holds else [f"its own certificate: {again.step}: {again.reason}"]
    return net.family, net.name, True, wrong


def main(count: int, first: int) -> int:
    torch.set_num_threads(1)
    warnings.filterwarnings("error", category=RuntimeWarning)
    tried, certified, wrong = Counter[str](), Counter[str](), 0
    for seed in range(first, first + count):
        begun = time.perf_counter()
        found = case(seed)
        if found is None:
            continue
        family, name, held, violations = found
        tried[family] += 1
        certified[family] += held
        wrong += bool(violations)
        if violations:
            print(f"  seed {seed} {family} {name}: {violations[0]}", flush=True)
        if (taken := time.perf_counter() - begun) > 30:
            print(f"  seed {seed} {family} {name} took {taken:.0f} s", flush=True)
    for family in sorted(tried):
        print(f"{family:<12} {tried[family]:>6} cases {certified[family]:>6} certified")
    print(f"{sum(tried.values())} cases, {sum(certified.values())} certified, {wrong} violations")
    return 1 if wrong else 0


if __name__ == "__main__":
    numbers = [int(a) for a in sys.argv[1:3]]
    sys.exit(main(numbers[0] if numbers else 1000, numbers[1] if len(numbers) > 1 else 0))
