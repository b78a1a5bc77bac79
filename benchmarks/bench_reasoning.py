"""Times of reasoning: one law in 1,000 boxes, all laws verified, all normal forms of the zoo, every fact decided.

`python benchmarks/bench_reasoning.py` prints median, least and greatest in milliseconds of processor time, so that other
work on the machine counts less, and beside them what is to be reached and how many are beyond it. Networkx is asked the same
where it has an answer.
"""

from __future__ import annotations

import random
import re
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time

import networkx as nx
import torch
from bench_language import layers

from anatomy.errors import AnatomyError, Source
from anatomy.ir.canonical import canonical
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program, Rule
from anatomy.rewrites.apply import apply
from anatomy.rewrites.equality import Equality, equal, related
from anatomy.rewrites.library import RULES, law, library
from anatomy.rewrites.match import matches
from anatomy.rewrites.normal import normal, written
from anatomy.rewrites.verify import verify

ROOT = Path(__file__).resolve().parents[1]
FOUND = ("softmax_definition^", "layernorm_centred^", "reassociate", "dot_of_dot", "dot_div", "layernorm_add")
"""Laws that are looked for in a net of 1,000 boxes; the last two do not apply."""


def spent(action: Callable[[], object]) -> float:
    start = process_time()
    action()
    return (process_time() - start) * 1e3


def row(name: str, times: Sequence[float], goal: float | None = None) -> None:
    beyond = "" if goal is None else f"{goal:>8.0f} {sum(t > goal for t in times):>4} of {len(times)}"
    print(f"{name:<66} {statistics.median(times):9.1f} {min(times):9.1f} {max(times):9.1f} {beyond}", flush=True)


def thousand() -> Diagram:
    """Layers of self-attention until there are 1,000 boxes."""
    count = 1
    while len((net := Program.of(Source("net.anat", layers(count))).get("net")).nodes) < 1000:
        count += 1
    return net


def laws_in(net: Diagram) -> None:
    for name in FOUND:
        rule, reverse = law(name.removesuffix("^")), name.endswith("^")
        places = list(matches(net, rule, reverse))
        if places:
            box = net.producer[places[len(places) // 2].root][0]

            def step(rule: Rule = rule, reverse: bool = reverse, box: int | None = None) -> Diagram:
                return apply(net, next(matches(net, rule, reverse, at=box)))

            row(f"{name} found anywhere, applied", [spent(step) for _ in range(11)], 10)
            row(f"{name} found at a given box, applied", [spent(lambda s=step, b=box: s(box=b)) for _ in range(11)], 10)
        row(f"{name}, all {len(places)} places found", [spent(lambda r=rule, v=reverse: list(matches(net, r, v))) for _ in range(11)])


def isomorphic(net: Diagram, count: int = 200) -> None:
    """Whether a net is a shuffled copy of itself: by canonical forms, and by VF2 over boxes and wires with labels."""
    names = list(range(len(net.nodes)))
    random.Random(0).shuffle(names)

    def graph(order: Sequence[int]) -> nx.DiGraph:
        made = nx.DiGraph()
        for i, node in enumerate(net.nodes):
            made.add_node(order[i], label=node.op.word)
        for i, node in enumerate(net.nodes):
            for k, port in enumerate(node.ports):
                if port.wire in net.producer:
                    made.add_edge(order[net.producer[port.wire][0]], order[i], label=0 if node.op.commutative else k)
        return made

    left, right = graph(range(len(net.nodes))), graph(names)
    row(f"isomorphic, {len(net.nodes)} boxes, both canonical forms", [spent(lambda: canonical(net) == canonical(net)) for _ in range(3)])

    def peer() -> None:
        same = nx.is_isomorphic(left, right, lambda a, b: a["label"] == b["label"], lambda a, b: a["label"] == b["label"])
        assert same

    # VF2 is recursive, one level for each box.
    sys.setrecursionlimit(10 * len(net.nodes))
    row("  the same by networkx (VF2; boxes only, no axes)", [spent(peer) for _ in range(3)])


def rules() -> None:
    program = Program.of_file(RULES)
    times, slow = [], []
    for rule in library():
        fresh = program.rule(rule.name)
        assert fresh is not None
        times.append(spent(lambda fresh=fresh: verify(fresh)))
        slow.append((times[-1], rule.name))
    row(f"verify a law, {len(times)} of them", times, 50)
    print("  slowest:", ", ".join(f"{name} {t:.0f}" for t, name in sorted(slow, reverse=True)[:5]))


def zoo() -> None:
    times, slow, cut = [], [], []
    for path in sorted((ROOT / "zoo").glob("*/*.anat")):
        program = Program.of_file(path)
        if path.stem not in program.names():
            continue
        diagram = program.get(path.stem)
        try:
            normal(diagram)
            times.append(spent(lambda d=diagram: written(normal(d))))
        except AnatomyError as error:
            cut.append(f"{path.stem} {error.diagnostics[0].code}")
            continue
        slow.append((times[-1], f"{path.stem} ({len(diagram.nodes)} boxes)"))
        if not normal(diagram).complete:
            cut.append(path.stem)
    row(f"normal form of a zoo entry, {len(times)} of them", times, 50)
    print("  slowest:", ", ".join(f"{name} {t:.0f}" for t, name in sorted(slow, reverse=True)[:5]))
    print("  not brought to an end:", ", ".join(cut) or "none")


def decided(found: Equality) -> str:
    if found.relation is not None:
        return "weights"
    if found.normal_form:
        return "normal form"
    return f"search, {found.sought.tried} tried" if found.derivation and found.sought else "inputs" if found.counterexample else "open"


def facts() -> None:
    for path in sorted((ROOT / "examples" / "facts").glob("*.anat")):
        program = Program.of_file(path)
        times: list[float] = []
        for a, sign, b in re.findall(r"^# fact: (\w+) (==|!=|~=|>=) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            left, right = program.get(a), program.get(b)
            decide = related if sign in ("~=", ">=") else equal
            how = decided(decide(left, right))
            here = [spent(lambda d=decide, x=left, y=right: d(x, y)) for _ in range(3)]
            times.append(statistics.median(here))
            row(f"  {a} {sign} {b}, {how}", here, 2000)
        row(f"decide a fact, {len(times)} of {path.stem}", times, 2000)


def main() -> None:
    torch.set_num_threads(1)
    library()
    print(f"{'milliseconds':<66} {'median':>9} {'least':>9} {'greatest':>9} {'goal':>8} beyond it")
    net = thousand()
    laws_in(net)
    isomorphic(net)
    rules()
    zoo()
    facts()


if __name__ == "__main__":
    main()
