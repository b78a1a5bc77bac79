"""Random small spaces as text, and all their members by brute force: nothing here is taken from `anatomy.spaces`.

A space is written and listed from one description of its own. A value is its text, the label it begins with, and how many
components it is made of; the members are all assignments in the order of the decisions, tested one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, combinations_with_replacement, permutations, product
from random import Random

UNARY = {"a0": "relu(x)", "a1": "tanh(x)", "a2": "sigmoid(x)", "a3": "2 * x", "a4": "x + 1"}
HOLES = 4
PREAMBLE = "axis d, r\n" + "".join(f"diagram {name}(x: [d]) -> [d] {{ out {body} }}\n" for name, body in UNARY.items()) + """
diagram g1(x: [d]) -> [d] { hole i(x: [d]) -> [d]  out x * i(x) }
diagram g2(x: [d]) -> [d] { hole j(x: [d]) -> [d]  hole k(x: [d]) -> [d]  out j(x) + exp(k(x)) }
diagram p1(x: [d]) -> [d] { hole u(x: [d]) -> [d]  out -u(x) }
diagram p2(x: [d]) -> [d] { hole v(x: [d]) -> [d]  hole w(x: [d]) -> [d]  out v(x) - w(x) }
diagram base(x: [d]) -> [d] {
""" + "".join(f"  hole h{k}(x: [d]) -> [d]\n" for k in range(HOLES)) + """
  out h3(h2(h1(h0(x)))) + lin B[r -> d](lin A[d -> r](x))
}
"""  # fmt: skip


@dataclass(frozen=True)
class Value:
    text: str
    label: str
    size: int
    parts: tuple[Value, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()

    def renamed(self) -> object:
        """What is left of it when the vertices of cells have no numbers."""
        return renamed_alike(len(self.parts) + 2, self.edges, [p.text for p in self.parts]) if self.edges else self.text


Env = dict[str, Value]
Check = Callable[[Env], bool]


@dataclass(frozen=True)
class Condition:
    text: str
    holds: Check


@dataclass
class Choice:
    """One decision: how it is written, its values in order, and the names that a member gives them under."""

    names: tuple[str, ...]
    text: str
    values: list[Value]
    when: Condition | None = None
    other: Value | None = None
    silent: bool = False
    """Whether the text leaves out what stands where the condition does not hold."""
    several: bool = False
    plain: bool = True
    """Whether `none` and the like may be tested by label."""

    def written(self) -> str:
        if self.when is None or self.other is None:
            return self.text
        return f"{self.text} when {self.when.text}" + ("" if self.silent else f" else {self.other.text}")

    def offered(self, env: Env) -> list[Value]:
        return self.values if self.when is None or self.when.holds(env) else [self.other or Value("none", "none", 0)]


@dataclass
class Drawn:
    """A space: its decisions, what takes members out, and statements that decide nothing."""

    choices: list[Choice]
    excepts: list[Condition] = field(default_factory=list)
    wheres: list[Condition] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    cells: int = 0

    def text(self) -> str:
        lines = [c.written() for c in self.choices] + [f"except {c.text}" for c in self.excepts] + self.extra
        return PREAMBLE + "space s of base {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"

    def rows(self) -> list[tuple[Value, ...]]:
        """All members, as one value for each decision."""
        return [row for row in self._rows((), {}) if self.lawful(self.env(row))]

    def _rows(self, row: tuple[Value, ...], env: Env) -> Iterator[tuple[Value, ...]]:
        if len(row) == len(self.choices):
            yield row
            return
        choice = self.choices[len(row)]
        for value in choice.offered(env):
            yield from self._rows((*row, value), env | given(choice, value))

    def env(self, row: Sequence[Value]) -> Env:
        return {name: value for choice, v in zip(self.choices, row, strict=True) for name, value in given(choice, v).items()}

    def lawful(self, env: Env) -> bool:
        return not any(c.holds(env) for c in self.excepts) and all(c.holds(env) for c in self.wheres)


def given(choice: Choice, value: Value) -> Env:
    if not choice.several:
        return {choice.names[0]: value}
    return dict(zip(choice.names, value.parts if value.parts else (value,) * len(choice.names), strict=True))


# values ---------------------------------------------------------------------------------------------


def leaf(label: str) -> Value:
    return Value(label, label, 0 if label in ("none", "true", "false") or label.isdecimal() else 1)


def put(label: str, parts: Sequence[Value], own: int = 1) -> Value:
    text = f"{label}({', '.join(p.text for p in parts)})" if parts else label
    return Value(text, label, own + sum(p.size for p in parts), tuple(parts))


def options(rng: Random, deep: bool = True) -> tuple[str, list[Value]]:
    """Some components in braces, a few with decisions of their own."""
    texts, values = [], []
    for name in rng.sample([*UNARY, *(("g1", "g2") if deep else ())], rng.randint(1, 3)):
        if name not in ("g1", "g2"):
            texts.append(name)
            values.append(leaf(name))
            continue
        inner = [domain(rng, False) for _ in range(1 if name == "g1" else 2)]
        holes = ("i",) if name == "g1" else ("j", "k")
        lines = [f"choose {hole} in {text}" for hole, (text, _) in zip(holes, inner, strict=True)]
        found = [put(name, parts) for parts in product(*(v for _, v in inner))]
        if rng.random() < 0.4:
            lines.insert(0, "choose bool own")
            last = inner[-1][1]
            if rng.random() < 0.5:  # the last of its decisions only where the flag is true
                lines[-1] += " when own else a0"
                last = [leaf("a0")]
            off = product(*(v for _, v in inner[:-1]), last)
            found = [put(name, (leaf("false"), *parts)) for parts in off] + [put(name, (leaf("true"), *v.parts)) for v in found]
        texts.append(f"{name} {{ {' '.join(lines)} }}")
        values += found
    return "{ " + ", ".join(texts) + " }", values


def domain(rng: Random, deep: bool = True) -> tuple[str, list[Value]]:
    """One of all forms, with its values in order."""
    form = rng.choice(["one", "one", "one", "seq", "bag", "set", "tree", "dag"] if deep else ["one", "one", "seq", "bag"])
    if form == "tree":
        return tree(rng)
    offers, of = options(rng, deep and form == "one")
    if form == "one":
        return offers, of
    if form == "dag":
        return dag(rng, offers, of)
    least = rng.randint(1, 2)
    most = rng.randint(least, 2 if form == "bag" else 3)
    if form == "set":
        least, most = min(least, len(of)), min(most, len(of))
    make = {"seq": lambda k: product(of, repeat=k), "bag": lambda k: combinations_with_replacement(of, k), "set": lambda k: combinations(of, k)}[form]
    found = [put(form, parts, 0) for k in range(least, most + 1) for parts in make(k)]
    reach = f"{least}" if least == most else f"{least} to {most}"
    join = "" if form == "seq" else rng.choice(["", " by multiply", " by max", " by min"])
    return f"{form} {reach} of {offers}{join}", found


def tree(rng: Random) -> tuple[str, list[Value]]:
    """Terms by size, then by the outermost component, then by what fills its holes from left to right."""
    arity = {name: {"p1": 1, "p2": 2}.get(name, 0) for name in (*rng.sample(list(UNARY), rng.randint(1, 2)), *rng.sample(["p1", "p2"], rng.randint(1, 2)))}
    names = rng.sample(list(arity), len(arity))
    most = rng.randint(1, 4)
    terms: list[list[Value]] = [[]]
    for size in range(1, most + 1):
        below = [v for level in terms for v in level]  # in order: small ones first
        terms.append([put(n, parts) for n in names for parts in product(below, repeat=arity[n]) if sum(p.size for p in parts) == size - 1])
    return f"tree {most} of {{ {', '.join(names)} }}", [v for level in terms for v in level]


def dag(rng: Random, offers: str, of: list[Value]) -> tuple[str, list[Value]]:
    """Cells: fewer vertices first, then the adjacency row by row with an absent edge first, then the labels."""
    least = rng.randint(2, 3)
    most = rng.randint(least, 4)
    edges = rng.randint(most - 1, most * (most - 1) // 2)
    found: list[Value] = []
    for v in range(least, most + 1):
        for parts in graphs(v, edges):
            words = " ".join(f"{a}>{b}" for a, b in parts)
            for labels in product(of, repeat=v - 2):
                inside = f"({', '.join(x.text for x in labels)})" if labels else ""
                found.append(Value(f"dag[{words}]{inside}", "dag", sum(x.size for x in labels), labels, parts))
    reach = f"{least}" if least == most else f"{least} to {most}"
    return f"dag {reach} of {offers} edges {edges}", found


def graphs(v: int, edges: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Edge sets in which every vertex lies on a way from the first vertex to the last."""
    places = list(combinations(range(v), 2))
    for present in product((False, True), repeat=len(places)):
        chosen = tuple(p for p, there in zip(places, present, strict=True) if there)
        if len(chosen) <= edges and all(reaches(chosen, 0, k) and reaches(chosen, k, v - 1) for k in range(v)):
            yield chosen


def reaches(edges: Sequence[tuple[int, int]], start: int, stop: int) -> bool:
    return start == stop or any(reaches(edges, b, stop) for a, b in edges if a == start)


def renamed_alike(v: int, edges: Sequence[tuple[int, int]], labels: Sequence[str]) -> tuple[object, ...]:
    """The least of what a cell becomes when the vertices between input and output are numbered otherwise."""
    found = []
    for order in permutations(range(1, v - 1)):
        to = {0: 0, v - 1: v - 1} | {old: new for new, old in enumerate(order, 1)}
        found.append((tuple(sorted((to[a], to[b]) for a, b in edges)), tuple(labels[old - 1] for old in order)))
    return v, min(found)


# conditions and spaces ------------------------------------------------------------------------------


def test(rng: Random, known: list[Choice]) -> Condition:
    choice = rng.choice(known)
    name = rng.choice(choice.names) if choice.several else choice.names[0]
    values = [p for v in choice.values for p in v.parts] if choice.several else choice.values
    if values[0].text.isdecimal() and rng.random() < 0.6:
        op, number = rng.choice(["<", "<=", ">", ">="]), rng.choice(values).text
        compare = {"<": int.__lt__, "<=": int.__le__, ">": int.__gt__, ">=": int.__ge__}[op]
        return Condition(f"{name} {op} {number}", lambda env: compare(int(env[name].text), int(number)))
    if values[0].text == "false" and rng.random() < 0.5:
        return Condition(name, lambda env: env[name].text == "true")
    words = {rng.choice([v.label, v.text]) if choice.plain else v.text for v in rng.sample(values, rng.randint(1, min(2, len(values))))}
    said = sorted(words)

    def among(env: Env) -> bool:
        return env[name].text in words or (choice.plain and env[name].label in words)

    if len(said) > 1 or rng.random() < 0.2:
        return Condition(f"{name} in {{ {', '.join(said)} }}", among)
    if rng.random() < 0.5:
        return Condition(f"{name} != {said[0]}", lambda env: not among(env))
    return Condition(f"{name} == {said[0]}", among)


def condition(rng: Random, known: list[Choice], depth: int = 2) -> Condition:
    form = rng.choice(["test", "test", "not", "and", "or"]) if depth else "test"
    if form == "test":
        return test(rng, known)
    a = condition(rng, known, depth - 1)
    if form == "not":
        return Condition(f"not ({a.text})", lambda env: not a.holds(env))
    b = condition(rng, known, depth - 1)
    if form == "and":
        return Condition(f"({a.text} and {b.text})", lambda env: a.holds(env) and b.holds(env))
    return Condition(f"({a.text} or {b.text})", lambda env: a.holds(env) or b.holds(env))


def guarded(rng: Random, choice: Choice, known: list[Choice], others: Sequence[str]) -> Choice:
    """Perhaps made only where a condition holds."""
    if known and rng.random() < 0.35:
        choice.when, choice.other = condition(rng, known, 1), leaf(rng.choice(others))
        choice.silent = choice.other.text in ("false", "none") and rng.random() < 0.5
    return choice


def draw(seed: int) -> Drawn:
    """A space of at most some hundreds of members."""
    rng = Random(seed)
    known: list[Choice] = []
    extra: list[str] = []
    holes = [f"h{k}" for k in range(HOLES)]
    plan = ["hole"] * rng.randint(1, 3) + ["flag"] * rng.randint(0, 1) + ["param"] * rng.randint(0, 1)
    plan += rng.choice([[], [], ["alike"], ["share"], ["tie"]])
    rng.shuffle(plan)
    cells = 0
    for kind in plan:
        if kind == "flag":
            known.append(guarded(rng, Choice(("fancy",), "choose bool fancy", [leaf("false"), leaf("true")]), known, ["false", "true"]))
        elif kind == "param":
            sizes = [str(n) for n in rng.sample([1, 2, 3, 4, 8], rng.randint(1, 3))]
            known.append(guarded(rng, Choice(("r",), f"param r in {{ {', '.join(sizes)} }}", [leaf(n) for n in sizes]), known, sizes))
        elif kind == "alike" and len(holes) >= 2:
            names, form = (holes.pop(), holes.pop()), rng.choice(["bag", "set"])
            offers, of = options(rng)
            if len({v.label for v in of}) < 2:  # two that differ only below are refused
                form = "bag"
            pick = combinations if form == "set" else combinations_with_replacement
            found = [put(form, parts, 0) for parts in pick(of, 2)]
            known.append(Choice(names, f"choose {', '.join(names)} in {form} of {offers}", found, several=True))
        elif kind in ("share", "tie") and len(holes) >= 2:
            first, second = holes.pop(), holes.pop()
            offers, of = options(rng)
            extra.append(f"{kind} {first}, {second}")
            known.append(Choice((first,), f"choose {first} in {offers}", of))
        elif holes:
            hole = holes.pop(rng.randrange(len(holes)))
            offers, of = domain(rng)
            plain = not offers.startswith(("seq", "bag", "set", "dag"))
            if plain and not offers.startswith("tree") and rng.random() < 0.25:
                extra.append(f"optional {hole}")
                of = [*of, leaf("none")]
            cells += offers.startswith("dag")
            known.append(guarded(rng, Choice((hole,), f"choose {hole} in {offers}", of, plain=plain), known, ["a0", "a1", "none"]))
    for hole in holes:
        known.append(Choice((hole,), f"choose {hole} in {{ a0 }}", [leaf("a0")]))
    total = 1
    for choice in known:
        total *= len(choice.values)
    if total > 3000:
        return draw(seed + 1_000_003)
    drawn = Drawn(known, extra=extra, cells=cells)
    drawn.excepts = [condition(rng, known) for _ in range(rng.choice([0, 0, 1, 2]))]
    return drawn
