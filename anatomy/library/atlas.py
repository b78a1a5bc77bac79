"""A computed taxonomy of the zoo: which mechanisms are one, which become which, and the diagrams with holes that they fill.

Converts: the texts of the zoo into nodes (mechanisms, diagrams with holes) and edges, each with the steps that prove it.
Non-goals: relations that no step of `forms` and `hunt` reaches; two mechanisms without an edge may be related all the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from anatomy.errors import AnatomyError
from anatomy.library import shelf
from anatomy.library.entry import entries
from anatomy.library.forms import Form, closed, entry, key, lifted_key, narrowed, survey
from anatomy.library.hunt import Face, by_size, by_weight
from anatomy.library.proof import Proof, proved

BARE = "biases := 0"
"""A mechanism without its biases is a goal too, where others reach it."""
Told = Callable[[str, int, int], None]
"""What is being done, how much of it is, and of how much."""


@dataclass(frozen=True)
class Node:
    """What is one up to the names of its weights: `forms` are the ways to write it, `members` the mechanisms among them."""

    name: str
    members: tuple[str, ...]
    forms: tuple[Form, ...]

    @property
    def best(self) -> Form:
        return self.forms[0]


@dataclass(frozen=True)
class Check:
    """That one form is another (or, by "fill", becomes it when its own parts are put into its holes), and the proof."""

    left: Form
    right: Form
    proof: Proof


@dataclass(frozen=True)
class Edge:
    """`left relation right`, at `restrictions` of sizes where there are any; `left` is made into `right` by `steps`, and `checks` prove each of them.

    `kind`: "same", "sizes" (equal where the sizes are restricted), "inputs" (one input for two), "weights" (the left with values for
    weights, or a function of weights for one), "fill" (the left with parts for holes).
    """

    left: str
    right: str
    relation: str
    kind: str
    steps: tuple[str, ...]
    restrictions: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def proof(self) -> Proof:
        """The weakest of the proofs of what is one."""
        same = [c.proof for c in self.checks if c.proof.by != "fill"]
        return max(same, key=lambda p: ("term", "normal form", "weights", "witness").index(p.by), default=Proof("==", "term"))


@dataclass(frozen=True)
class Atlas:
    """All nodes that are shown, and all edges between them that follow from no others."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    alone: tuple[str, ...] = ()
    """Mechanisms without an edge."""

    def node(self, name: str) -> Node:
        return next(n for n in self.nodes if n.name == name)


# computing keys ---------------------------------------------------------------------------------


def _survey(name: str) -> list[Any]:
    found = shelf.name("survey", entry(name).source.text)
    rows = shelf.read(found)
    if rows is None:
        shelf.write(found, rows := survey(name))
    return rows


def _keys(task: tuple[str, Sequence[Form]]) -> dict[Form, str]:
    """The keys of some forms of one mechanism; those known already are read."""
    name, forms = task
    found = shelf.name("keys", entry(name).source.text)
    known: dict[str, str] = shelf.read(found) or {}
    result: dict[Form, str] = {}
    fresh = False
    for form in forms:
        if str(form) not in known:
            try:
                known[str(form)] = key(form.diagram())
            except AnatomyError:
                known[str(form)] = ""
            fresh = True
        result[form] = known[str(form)]
    if fresh:
        shelf.write(found, known)
    return result


def _lifted(name: str) -> str:
    found = shelf.name("lifted", entry(name).source.text)
    known = shelf.read(found)
    if known is None:
        shelf.write(found, known := [lifted_key(Form(name).diagram())])
    return known[0]


def _hunt(task: tuple[str, Sequence[Form], Sequence[tuple[str, Face]]]) -> list[Form]:
    name, forms, goals = task
    found = shelf.name("hunt", entry(name).source.text, repr((forms, goals)))
    known = shelf.read(found)
    if known is None:
        others = [g for n, g in goals if n != name]
        made: dict[Form, None] = {}
        for form in forms:
            diagram = form.diagram()
            made.update(dict.fromkeys(f for f in by_size(form, diagram, others) if not form.open or len(f.moves) == len(form.moves) + 1))
            if not form.open:
                made.update(dict.fromkeys(by_weight(form, diagram, others)))
        known = [[f.open, f.moves] for f in made]
        shelf.write(found, known)
    return [Form(name, tuple(o), tuple(m)) for o, m in known]


def _face(name: str) -> Face:
    return Face.of(Form(name).diagram())


def _prove(task: tuple[Form, Form]) -> Proof | None:
    found = shelf.name("proof", entry(task[0].entry).source.text, entry(task[1].entry).source.text, repr(task))
    known = shelf.read(found)
    if known is None:
        proof = proved(*task)
        shelf.write(found, known := [None if proof is None else proof.data()])
    return None if known[0] is None else Proof.read(known[0])


def _mapped(pool: Executor | None, work: Callable[[Any], Any], tasks: Sequence[Any], told: Told, what: str) -> Iterator[Any]:
    for k, result in enumerate(map(work, tasks) if pool is None else pool.map(work, tasks)):
        told(what, k + 1, len(tasks))
        yield result


# building ---------------------------------------------------------------------------------------


def build(names: Sequence[str] | None = None, jobs: int = 2, told: Told = lambda *_: None) -> Atlas:
    """The atlas of some mechanisms, by default all of them; a pure function of their texts.

    >>> found = build(["causal_mha", "sliding_window"], jobs=1)
    >>> [(e.left, e.relation, e.right, e.steps) for e in found.edges if e.kind == "sizes"]
    [('sliding_window', '==', 'causal_mha', ('mask.w >= n',))]
    """
    chosen = sorted(names or (e.name for e in entries()))
    if jobs == 1:
        return _Building(chosen, None, told).run()
    with ProcessPoolExecutor(jobs) as pool:
        return _Building(chosen, pool, told).run()


@dataclass
class _Building:
    names: Sequence[str]
    pool: Executor | None
    told: Told
    keys: dict[Form, str] = field(default_factory=dict)
    """The class of each form that is looked at."""
    classes: dict[str, list[Form]] = field(default_factory=lambda: defaultdict(list))
    ways: dict[str, dict[str, tuple[Form, Form]]] = field(default_factory=lambda: defaultdict(dict))
    """From class to class: a form of the first, and what it becomes in the second."""

    def run(self) -> Atlas:
        self._shared()
        self._hunted()
        for form, k in self.keys.items():
            self.classes[k].append(form)
        self._ways()
        self._lifts()
        kept = self._kept()
        return self._proved(kept)

    def _put(self, found: Mapping[Form, str]) -> None:
        for form, k in found.items():
            self.keys[form] = k or f"{form}"

    def _keyed(self, forms: Iterable[Form], what: str) -> None:
        wanted: dict[str, list[Form]] = defaultdict(list)
        for form in forms:
            if form not in self.keys:
                wanted[form.entry].append(form)
        tasks = sorted(wanted.items(), key=lambda t: -len(t[1]))
        for found in _mapped(self.pool, _keys, tasks, self.told, what):
            self._put(found)

    def _shared(self) -> None:
        """Forms whose profile another mechanism has too get a key; of the others only those that are needed as they are."""
        groups: dict[str, list[Form]] = defaultdict(list)
        for name, rows in zip(self.names, _mapped(self.pool, _survey, self.names, self.told, "parts"), strict=True):
            for opened, moves, found in rows:
                groups[found].append(Form(name, tuple(opened), tuple(moves)))
        shared = [f for forms in groups.values() if len({f.entry for f in forms}) > 1 for f in forms]
        self._keyed([*shared, *map(Form, self.names)], "forms")
        for forms in groups.values():
            for form in forms:
                self.keys.setdefault(form, str(form))

    def _hunted(self) -> None:
        faces = list(_mapped(self.pool, _face, self.names, self.told, "faces"))
        goals = list(zip(self.names, faces, strict=True))
        passed: dict[str, list[Form]] = {n: [] for n in self.names}
        for form in self.keys:
            # Scores that are not normalised are another mechanism, whose sizes are its own affair.
            if closed(form) and len(form.moves) == len(form.open) and "normaliser" not in form.open:
                passed[form.entry].append(form)
        tasks = [(n, passed[n], goals) for n in self.names]
        guesses = [f for found in _mapped(self.pool, _hunt, tasks, self.told, "moves") for f in found]
        plain = [Form(n, (), (BARE,)) for n in self.names if any(w.key.endswith(".bias") for w in Form(n).diagram().weights)]
        self._keyed(plain, "without biases")
        before = set(self.keys)
        self._keyed(guesses, "keys")
        mine = {self.keys[f] for f in (*map(Form, self.names), *plain)}
        for form in set(self.keys) - before:
            if self.keys[form] not in mine:
                del self.keys[form]

    def _ways(self) -> None:
        """Every form comes from the one with the same parts open and no moves, and that one from each with more parts open."""
        for form, k in self.keys.items():
            if form.moves:
                passed = tuple(m for m in form.moves if m.endswith(" := identity") and m.partition(" ")[0] in form.open)
                for source in dict.fromkeys((Form(form.entry, form.open), Form(form.entry, form.open, passed))):
                    if source in self.keys and source != form:
                        self._way(self.keys[source], k, source, form)
                continue
            for count in range(len(form.open)):
                for fewer in combinations(form.open, count):
                    target = Form(form.entry, fewer)
                    if target in self.keys:
                        self._way(k, self.keys[target], form, target)

    def _lifts(self) -> None:
        """What a mechanism becomes when functions of weights are any weights has all its functions."""
        by_key: dict[str, str] = {}
        for n in self.names:
            by_key.setdefault(self.keys[Form(n)], n)
        for name, k in zip(self.names, _mapped(self.pool, _lifted, self.names, self.told, "products"), strict=True):
            if k in by_key and k != self.keys[Form(name)]:
                self._way(k, self.keys[Form(name)], Form(by_key[k]), Form(name))

    def _way(self, left: str, right: str, source: Form, made: Form) -> None:
        if left == right:
            return
        old = self.ways[left].get(right)
        if old is None or _cost(source, made) < _cost(*old):
            self.ways[left][right] = (source, made)

    # what is shown ------------------------------------------------------------------------------

    def _below(self, start: str) -> set[str]:
        seen: set[str] = set()
        stack = [start]
        while stack:
            for k in self.ways.get(stack.pop(), ()):
                if k not in seen:
                    seen.add(k)
                    stack.append(k)
        return seen

    def _kept(self) -> list[str]:
        """Classes with mechanisms; of those with holes the least that holds what it holds, where that is the least for a mechanism, or the greatest of all."""
        real = {k for k in self.classes if any(not f.open and not f.moves for f in self.classes[k])}
        below = {k: self._below(k) for k in self.classes}
        bare = [k for k in self.classes if k not in real and any(f.moves == (BARE,) for f in self.classes[k])]
        shared = [k for k in bare if len(self._tops({j for j in real if k in below[j]}, below, up=True)) > 1]
        groups: dict[frozenset[str], list[str]] = defaultdict(list)
        for k in self.classes:
            held = frozenset(self._tops(below[k] & real, below))
            if k not in real and len(held) > 1 and any(f.open and not f.moves for f in self.classes[k]):
                groups[held].append(k)
        least = {held: min(ks, key=lambda k: (sum(j in below[k] for j in ks), _rank(self.classes[k]))) for held, ks in groups.items()}
        wide = {held: frozenset(below[k] & real) for held, k in least.items()}
        kept: dict[str, None] = {}
        for k in sorted(real):
            over = [held for held in least if k in held]
            count = {held: len(min(self.classes[least[held]], key=_order).open) for held in over}
            related = any(j in real for j in self.ways.get(k, ())) or any(k in self.ways[j] for j in real if j in self.ways)
            most = 1 if related else min(count.values(), default=0)
            for held in over:
                if count[held] <= most and not any(wide[other] < wide[held] and count[other] <= most for other in over):
                    kept.setdefault(least[held])
        if least:
            kept.setdefault(least[max(least, key=lambda held: (sum(g in below[least[held]] for g in kept), -len(min(self.classes[least[held]], key=_order).open)))])
        return [*sorted(real), *shared, *kept]

    def _tops(self, found: set[str], below: Mapping[str, set[str]], up: bool = False) -> set[str]:
        """Those that none of the others becomes; with `up`, those that become none of the others."""
        return {k for k in found if not any(j != k and (j in below[k] if up else k in below[j]) and not (k in below[j] and j in below[k]) for j in found)}

    def _proved(self, kept: Sequence[str]) -> Atlas:
        names = {k: self._name(k) for k in kept}
        nodes = {k: self._node(k, names[k]) for k in kept}
        inside = set(kept)
        paths: list[tuple[str, str, list[tuple[Form, Form]]]] = []
        for k in kept:
            reached = self._paths(k, inside)
            far = {j for m in reached for j in self._below(m) if j in inside and m != j}
            paths += [(k, j, path) for j, path in reached.items() if j not in far or (k in self._below(j) and _direct(path))]
        checks = list(dict.fromkeys(check for k, j, path in paths for check in self._checks(k, j, path)))
        for k in kept:
            mates = [Form(m) for m in nodes[k].members]
            checks += [(mates[0], m) for m in mates[1:]]
        proofs = dict(zip(checks, _mapped(self.pool, _prove, checks, self.told, "proofs"), strict=True))
        edges: list[Edge] = []
        for k, j, path in paths:
            found = [Check(*c, proof) for c in self._checks(k, j, path) if (proof := proofs[c]) is not None]
            if len(found) == len(list(self._checks(k, j, path))):
                edges.append(_edge(names[k], names[j], path, tuple(found)))
        for k in kept:
            first, *others = [Form(m) for m in nodes[k].members] or [Form("")]
            for other in others:
                proof = proofs[first, other]
                if proof is not None:
                    edges.append(Edge(first.entry, other.entry, proof.relation, "same", (), (), (Check(first, other, proof),)))
        touched = {n for e in edges for n in (e.left, e.right)}
        lone = tuple(m for k in kept for m in nodes[k].members if names[k] not in touched and m not in touched)
        shown = tuple(n for n in nodes.values() if n.members or n.name in touched)
        return Atlas(shown, tuple(sorted(edges, key=lambda e: (e.kind, e.left, e.right))), tuple(sorted(lone)))

    def _checks(self, left: str, right: str, path: Sequence[tuple[Form, Form]]) -> Iterator[tuple[Form, Form]]:
        """Along a path: what is made is what the next step starts from, and the last is what stands at the end; parts are put in as said."""
        here = self._node(left, "").best
        for source, made in path:
            if here != source:
                yield here, source
            if len(made.open) < len(source.open) or made.entry != source.entry:
                yield source, made
            here = made
        if here != self._node(right, "").best:
            yield here, self._node(right, "").best

    def _paths(self, start: str, inside: set[str]) -> dict[str, list[tuple[Form, Form]]]:
        """The shortest way to each shown class that needs no other shown one."""
        found: dict[str, list[tuple[Form, Form]]] = {}
        seen = {start}
        layer: list[tuple[str, list[tuple[Form, Form]]]] = [(start, [])]
        while layer:
            following: list[tuple[str, list[tuple[Form, Form]]]] = []
            for k, path in layer:
                for j, way in sorted(self.ways.get(k, {}).items(), key=lambda w: (_cost(*w[1]), w[0])):
                    if j in seen:
                        continue
                    seen.add(j)
                    if j in inside:
                        found[j] = [*path, way]
                    else:
                        following.append((j, [*path, way]))
            layer = following
        return found

    def _node(self, k: str, name: str) -> Node:
        forms = tuple(sorted(self.classes[k], key=_order))
        return Node(name, tuple(f.entry for f in forms if not f.open and not f.moves), forms)

    def _name(self, k: str) -> str:
        return str(min(self.classes[k], key=_order))


def _direct(path: Sequence[tuple[Form, Form]]) -> bool:
    return len(path) == 1 and not path[0][0].open


def _order(form: Form) -> tuple[int, int, int, str]:
    """The simplest way to write a class: nothing passed through, few open parts, an old paper."""
    return len(form.moves), len(form.open), entry(form.entry).head.year or 9999, str(form)


def _rank(forms: Sequence[Form]) -> tuple[int, int, int, str]:
    return min(map(_order, forms))


def _cost(source: Form, made: Form) -> tuple[int, int, str]:
    return len(made.moves) - len(source.moves), len(source.open) - len(made.open), f"{source} {made}"


def plain(fill: str) -> bool:
    """Whether a weight is given itself."""
    left, _, right = fill.partition(" := ")
    return left.replace(".", "_") == right.replace(".", "_")


def steps(path: Sequence[tuple[Form, Form]]) -> Iterator[str]:
    """What is done along a path, in words: parts filled in, and moves."""
    for source, made in path:
        for part in source.open:
            if part not in made.open:
                yield f"{part} := {made.entry}.{part}"
        yield from made.moves[len(source.moves) :]


def _edge(left: str, right: str, path: Sequence[tuple[Form, Form]], checks: tuple[Check, ...]) -> Edge:
    done = (*steps(path), *(w for c in checks if c.proof.by == "witness" for w in c.proof.forth if not plain(w)))
    sizes = tuple(s for s in done if " := " not in s)
    made = [m for _, m in path if m.entry == path[0][0].entry and m.open == path[0][0].open]
    tied = narrowed(path[0][0], made[-1]) if made else ()
    restrictions = tuple(dict.fromkeys((*sizes, *tied, *(f"~= if {r}" for c in checks for r in c.proof.restrictions))))
    if any(source.open for source, _ in path):
        kind = "fill"
    else:
        feeds = tuple(f"{i.name} := " for source, _ in path for i in source.diagram().inputs)
        kind = "sizes" if len(sizes) == len(done) else "inputs" if any(s.startswith(feeds) for s in done) else "weights"
    relation = ">=" if kind != "sizes" else max((c.proof.relation for c in checks), key=("==", "~=", ">=").index, default="==")
    return Edge(left, right, relation, kind, done, restrictions, checks)
