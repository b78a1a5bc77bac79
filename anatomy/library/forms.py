"""The forms of a mechanism: as it is, with parts left open, with parts passed through, at some sizes, with some weights given; and the key of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

from anatomy.errors import AnatomyError
from anatomy.ir.canonical import Canonical
from anatomy.ir.graph import Diagram
from anatomy.ir.live import live
from anatomy.ir.op import Problem
from anatomy.ir.poly import Poly
from anatomy.language.program import Program
from anatomy.library.entry import Entry
from anatomy.library.entry import entry as looked_up
from anatomy.rewrites.normal import normal, written
from anatomy.rewrites.relate import reduced
from anatomy.rewrites.special import Move, hole_moves, moved

entry = cache(looked_up)
"""The mechanism of a name, read once: a map is of the texts as they are when it is begun."""
SECONDS = 30.0
"""For one normal form; what takes longer has no key, and equals only itself."""
OPENED = 5
"""Parts of one mechanism that are opened together."""


@dataclass(frozen=True, order=True)
class Form:
    """A mechanism with some of its parts left open, after some moves; both as text, so that it can be made again.

    >>> str(Form("mha", ("score",))), str(Form("sliding_window", (), ("mask.w >= n",)))
    ('mha with any score', 'sliding_window at mask.w >= n')
    """

    entry: str
    open: tuple[str, ...] = ()
    moves: tuple[str, ...] = ()

    def __str__(self) -> str:
        opened = [f"any {p}" for p in self.open]
        words = f" with {' and '.join([', '.join(opened[:-1]), opened[-1]] if len(opened) > 1 else opened)}" if opened else ""
        return f"{self.entry}{words}" + (f" at {', '.join(self.moves)}" if self.moves else "")

    def diagram(self) -> Diagram:
        """The diagram of the form. Raises AnatomyError where it has none."""
        here = _opened(entry(self.entry), self.open)
        for text in self.moves:
            for one in text.split(" and "):
                here = moved(here, Move.read(one, here))
        return here


def narrowed(source: Form, made: Form) -> tuple[str, ...]:
    """What must hold of the sizes of a mechanism where moves on weights or sizes make one form of it from another.

    >>> narrowed(Form("luong_general"), Form("luong_general", (), ("score.Wa := identity",)))
    ('d = c',)
    """
    before, after = source.diagram(), made.diagram()
    own = [v for v in sorted(before.free_sizes()) if before.sizes.get(v) == Poly.var(v) and v in after.sizes]
    # `w >= n` is put in as w + n - 1 for w, which says no more than the move does.
    return tuple(f"{v} = {after.sizes[v]}" for v in own if v not in after.sizes[v].variables())


def _opened(found: Entry, parts: tuple[str, ...]) -> Diagram:
    program = Program.of_file(found.path)
    program.through = frozenset(parts)
    return program.get(found.name)


def labels(found: Entry) -> tuple[str, ...]:
    """The labels of the parts of a mechanism, each once."""
    return tuple(dict.fromkeys(p.name for p in found.parts))


def key(diagram: Diagram) -> str:
    """The hash of the normal form after functions of weights have become weights; equal keys are a hint, which is proved afterwards.

    Empty where there is none: what has no key is the same as nothing else.
    """
    try:
        return _written(reduced(diagram).form, diagram)
    except (AnatomyError, Problem, KeyError):
        pass
    try:
        found = normal(diagram, SECONDS)
        return _written(written(found), diagram) if found.complete else ""
    except (AnatomyError, Problem):
        return ""


def lifted_key(diagram: Diagram) -> str:
    """The key of the least diagram that has all functions of this one, where functions of weights are any weights whatever the sizes are."""
    try:
        return _written(reduced(diagram, conditional=True).form, diagram)
    except (AnatomyError, Problem, KeyError):
        return ""


def _written(found: Canonical, diagram: Diagram) -> str:
    """Frozen weights are no learned ones, so that they count."""
    frozen = sum(w.frozen for w in diagram.weights)
    return f"{found.digest}{f'-{frozen}' if frozen else ''}"


def opened_forms(found: Entry) -> Iterator[Form]:
    """The mechanism with every choice of its parts left open, none first; then with open parts passed through, where they can be."""
    names = labels(found)
    for count in range(min(len(names), OPENED) + 1):
        for parts in combinations(names, count):
            yield Form(found.name, parts)


def passes(form: Form, diagram: Diagram) -> Iterator[Form]:
    """A form with one or more of its open parts passed through."""
    moves = [str(m) for m in hole_moves(diagram)]
    for count in (1, 2, 3):
        for chosen in combinations(moves, count):
            yield Form(form.entry, form.open, chosen)


def closed(form: Form) -> bool:
    """Whether all parts that the form left open have been passed through."""
    return {m.partition(" := ")[0] for m in form.moves if m.endswith(":= identity")} >= set(form.open)


def profile(diagram: Diagram) -> str:
    """What two forms with one key have in common, and what takes no time: types, holes, and the functions that no law takes away."""
    ends = [f"{len(i.layout)}{diagram.wires[i.wire].kind.name}" for i in diagram.inputs] + [f"{len(o.layout)}" for o in diagram.outputs]
    words: set[str] = set()
    holes: Counter[str] = Counter()
    stack = [diagram.nodes[k] for k in live(diagram)]
    for node in stack:
        if node.op.hole:
            holes[f"{node.op.hole}{node.op.takes_axes}{node.op.gives_axes}"] += 1  # type: ignore[attr-defined]
        elif node.op.body is not None:
            stack.extend(node.op.body.nodes[k] for k in live(node.op.body))
        elif (word := WORDS.get(node.op.word, node.op.word)) in KEPT:
            words.add(word)
    return f"{' '.join(ends)} | {' '.join(sorted(words))} | {' '.join(sorted(holes))}"


KEPT = frozenset(
    ["tanh", "relu", "gelu", "sigmoid", "elu", "softplus", "layernorm", "rmsnorm", "l2norm", "sort", "topk", "fft_re", "sparsemax", "entmax", "sinkhorn", "gather", "shift", "unfold", "cat", "halves", "index", "noise"]
)
"""Words of boxes that stay in a normal form."""
WORDS = {"silu": "sigmoid", "fft": "fft_re", "split": "split", "merge": "merge"}


def survey(name: str) -> list[Any]:
    """All forms of one mechanism with their profiles, as plain data."""
    rows: list[Any] = []
    for form in opened_forms(entry(name)):
        try:
            diagram = form.diagram()
        except AnatomyError:
            continue
        rows.append([form.open, (), profile(diagram)])
        for further in passes(form, diagram):
            here = diagram
            for text in further.moves:
                here = moved(here, Move.read(text, here))
            rows.append([further.open, further.moves, profile(here)])
    return rows


