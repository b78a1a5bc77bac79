"""The search of anatomy beside egglog: the facts that can be written as terms, and chains that grow.

`python benchmarks/egglog_trial.py` (in an environment that has both: `pip install egglog`). A diagram is unfolded to a term over
named axes, equal subterms shared; laws are those of the library that the term language can state, read in both
directions where that is how they are needed. Bound axes have the same names on both sides, which is an advantage for
egglog: an e-graph does not know that `sum[m]` of `x[m]` is `sum[n]` of `x[n]`. What moves lanes (`cat`, `gather`, `split`)
and loops is left out: it has no law in this encoding. Each proof has 10 seconds, in a process of its own,
and reading the laws is counted for neither. Here the normal form comes first and the search after it.
"""

from __future__ import annotations

import argparse
import importlib
import re
import resource
import subprocess
import sys
from pathlib import Path
from time import process_time

from anatomy.errors import Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from anatomy.ops import Add, Contract, Divide, Expand, Literal, Map, Multiply, Reduce, Size, Softmax, Subtract
from anatomy.rewrites.library import library
from anatomy.rewrites.search import search

FACTS = Path(__file__).resolve().parents[1] / "examples" / "facts" / "proved.anat"
SECONDS = 10
MEMORY = 8 << 30

# `axes` holds at most the axes that a term depends on: equal terms have the fewest that one of them shows.
LAWS = """
(sort Strings (Set String))
(datatype T
  (V String) (Num Rational) (Count String) (Add T T) (Mul T T) (Inv T) (Sum String T) (Greatest String T)
  (Softmax String T) (F String T))
(function axes (T) Strings :merge (set-intersect old new))
(rule ((= t (Num x))) ((set (axes t) (set-empty))))
(rule ((= t (Count a))) ((set (axes t) (set-empty))))
(rule ((= t (Add x y)) (= p (axes x)) (= q (axes y))) ((set (axes t) (set-union p q))))
(rule ((= t (Mul x y)) (= p (axes x)) (= q (axes y))) ((set (axes t) (set-union p q))))
(rule ((= t (Inv x)) (= p (axes x))) ((set (axes t) p)))
(rule ((= t (F f x)) (= p (axes x))) ((set (axes t) p)))
(rule ((= t (Sum a x)) (= p (axes x))) ((set (axes t) (set-remove p a))))
(rule ((= t (Greatest a x)) (= p (axes x))) ((set (axes t) (set-remove p a))))
(rule ((= t (Softmax a x)) (= p (axes x))) ((set (axes t) p)))

(rewrite (Add x y) (Add y x))
(rewrite (Mul x y) (Mul y x))
(birewrite (Add x (Add y z)) (Add (Add x y) z))
(birewrite (Mul x (Mul y z)) (Mul (Mul x y) z))
(birewrite (Mul (Add x y) z) (Add (Mul x z) (Mul y z)))
(rewrite (Add x (Num (rational 0 1))) x)
(rewrite (Mul x (Num (rational 1 1))) x)
(rewrite (Mul x (Num (rational 0 1))) (Num (rational 0 1)))
(rewrite (Mul (Num p) (Num q)) (Num (* p q)))
(rewrite (Add (Num p) (Num q)) (Num (+ p q)))
(rewrite (Add x x) (Mul (Num (rational 2 1)) x))
(birewrite (Inv (Mul x y)) (Mul (Inv x) (Inv y)))
(rewrite (Sum a (Add x y)) (Add (Sum a x) (Sum a y)))
(rewrite (Add (Sum a x) (Sum a y)) (Sum a (Add x y)))
(rule ((= t (Sum a (Mul x y))) (= p (axes x)) (set-not-contains p a)) ((union t (Mul x (Sum a y)))))
(rule ((= t (Mul x (Sum a y))) (= p (axes x)) (set-not-contains p a)) ((union t (Sum a (Mul x y)))))
(rule ((= t (Sum a x)) (= p (axes x)) (set-not-contains p a)) ((union t (Mul (Count a) x))))
(rewrite (Sum a (Sum b x)) (Sum b (Sum a x)))
(birewrite (F "exp" (Add x y)) (Mul (F "exp" x) (F "exp" y)))
(rewrite (Mul (F "exp" x) (Inv (F "exp" x))) (Num (rational 1 1)))
(rewrite (Mul (Count a) (Inv (Count a))) (Num (rational 1 1)))
(rewrite (Mul (Sum a (F "exp" x)) (Inv (Sum a (F "exp" x)))) (Num (rational 1 1)))
(rewrite (Softmax a s) (Mul (F "exp" s) (Inv (Sum a (F "exp" s)))))
(rewrite (F "square" x) (Mul x x))
(rewrite (F "neg" x) (Mul (Num (rational -1 1)) x))
(rewrite (F "abs" (F "abs" x)) (F "abs" x))
(rewrite (F "relu" (F "relu" x)) (F "relu" x))
(rewrite (F "tanh" (Mul (Num (rational -1 1)) x)) (Mul (Num (rational -1 1)) (F "tanh" x)))
(rule ((= t (Greatest a (Add x y))) (= p (axes x)) (set-not-contains p a)) ((union t (Add x (Greatest a y)))))
"""


class Unwritable(Exception):
    """A box that the encoding has no term for."""


class Writer:
    """The term of a diagram, one `let` for each box and its names."""

    def __init__(self, prefix: str):
        self.prefix, self.lines, self.known = prefix, [], {}

    def write(self, diagram: Diagram) -> str:
        (output,) = diagram.outputs
        return self.wire(diagram, output.port.wire, dict(output.port.renames))

    def let(self, text: str) -> str:
        if text not in self.known:
            self.known[text] = f"${self.prefix}{len(self.known)}"
            self.lines.append(f"(let {self.known[text]} {text})")
        return self.known[text]

    def wire(self, d: Diagram, wire: int, names: dict[str, str]) -> str:
        if wire not in d.producer:
            key = d.input_of[wire].name if wire in d.input_of else d.weight_of[wire].key
            axes = sorted(names.items())
            made = self.let(f'(V "{key}[{",".join(f"{a}>{b}" for a, b in axes)}]")')
            held = " ".join(f'"{b}"' for _, b in axes)
            self.lines.append(f"(set (axes {made}) {f'(set-of {held})' if axes else '(set-empty)'})")
            return made
        node = d.nodes[d.producer[wire][0]]
        table = {**{a: a.partition("~")[0] for a in node.own}, **names}
        read = [self.wire(d, p.wire, {a: table[b] for a, b in p.renames}) for p in node.ports]
        own = [table[a] for a in node.own]
        match node.op:
            case Literal(value):
                return self.let(f"(Num (rational {value.numerator} {value.denominator}))")
            case Size():
                return self.let(f'(Count "{own[0]}")')
            case Add():
                return self.let(f"(Add {read[0]} {read[1]})")
            case Subtract():
                return self.let(f"(Add {read[0]} (Mul (Num (rational -1 1)) {read[1]}))")
            case Multiply():
                return self.let(f"(Mul {read[0]} {read[1]})")
            case Divide():
                return self.let(f"(Mul {read[0]} (Inv {read[1]}))")
            case Expand():
                return read[0]
            case Map(function=name):
                return self.let(f'(F "{name}" {read[0]})')
            case Softmax() if len(own) == 1:
                return self.let(f'(Softmax "{own[0]}" {read[0]})')
            case Contract() | Reduce(which="sum" | "mean" | "max"):
                text = read[0]
                for more in read[1:]:
                    text = self.let(f"(Mul {text} {more})")
                word = "Greatest" if node.op == Reduce("max") else "Sum"
                for a in own:
                    text = self.let(f'({word} "{a}" {text})')
                    text = self.let(f'(Mul {text} (Inv (Count "{a}")))') if node.op == Reduce("mean") else text
                return text
            case _:
                raise Unwritable(node.op.word)


def encoded(a: Diagram, b: Diagram) -> tuple[str, str, str]:
    """The commands that state two terms, and the names of both."""
    left, right = Writer("a"), Writer("b")
    ends = left.write(a), right.write(b)
    return "\n".join((LAWS, *left.lines, *right.lines)), *ends


def by_egglog(text: str, a: str, b: str) -> tuple[bool, int, float]:
    """Whether the terms are found to be equal, after how many rounds and milliseconds, those for reading the laws not counted."""
    bindings = importlib.import_module("egglog.bindings")
    graph = bindings.EGraph()
    graph.run_program(*graph.parse_program(text))
    start = process_time()
    for turn in range(1, 1000):
        graph.run_program(*graph.parse_program("(run 1)"))
        try:
            graph.run_program(*graph.parse_program(f"(check (= {a} {b}))"))
        except bindings.EggSmolError:
            continue
        return True, turn, (process_time() - start) * 1e3
    return False, 1000, (process_time() - start) * 1e3


# what is compared -----------------------------------------------------------------------------

AXES = "axis n, m, d, e, f, " + ", ".join(f"a{k}" for k in range(40)) + " "


def program(text: str) -> Program:
    return Program.of(Source("trial.anat", AXES + text))


def chain(n: int) -> Program:
    """A product of n matrices, with brackets from the left and from the right."""
    inputs = ", ".join(f"x{k}: [a{k}, a{k + 1}]" for k in range(n))
    left, right = "x0", f"x{n - 1}"
    for k in range(1, n):
        left = f"dot[a{k}]({left}, x{k})"
        right = f"dot[a{n - k}](x{n - k - 1}, {right})"
    head = f"({inputs}) -> [a0, a{n}]"
    return program(f"diagram left{head} {{ out {left} }} diagram right{head} {{ out {right} }}")


def slides(n: int) -> Program:
    """n scales, on one operand of a contraction or on its result."""
    inputs = "q: [e], k: [e], " + ", ".join(f"t{k}: []" for k in range(n))
    scale = " * ".join(f"t{k}" for k in range(n))
    back = " * ".join(f"t{k}" for k in reversed(range(n)))
    return program(f"diagram left({inputs}) -> [] {{ out dot[e](q, k) * {scale} }} diagram right({inputs}) -> [] {{ out dot[e](q * ({back}), k) }}")


def apart(n: int) -> Program:
    """n laws that the normal form does not know, each in a place of its own."""
    inputs = ", ".join(f"x{k}: [n]" for k in range(n))
    left = " + ".join(f"{'relu(relu' if k % 2 else 'abs(abs'}(x{k}))" for k in range(n))
    right = " + ".join(f"{'relu' if k % 2 else 'abs'}(x{k})" for k in range(n))
    return program(f"diagram left({inputs}) -> [n] {{ out {left} }} diagram right({inputs}) -> [n] {{ out {right} }}")


def tower(n: int) -> Program:
    """A sign carried out of n boxes, one above the other."""
    left, right = "-x", "x"
    for _ in range(n):
        left, right = f"tanh({left})", f"tanh({right})"
    return program(f"diagram left(x: [n]) -> [n] {{ out {left} }} diagram right(x: [n]) -> [n] {{ out -{right} }}")


SCALED = {"matrix chain": (chain, (3, 4, 5, 6, 8, 16, 32)), "scales": (slides, (2, 3, 4, 6, 12)),
          "laws apart": (apart, (1, 2, 3, 4, 5, 8)), "tower": (tower, (1, 4, 8, 16))}  # fmt: skip


def cases() -> dict[str, tuple[Diagram, Diagram]]:
    found = {}
    facts = Program.of_file(FACTS)
    for a, b in re.findall(r"^# fact: (\w+) == (\w+)", FACTS.read_text(encoding="utf-8"), re.MULTILINE):
        found[f"{a} == {b}"] = facts.get(a), facts.get(b)
    for name, (make, sizes) in SCALED.items():
        for n in sizes:
            made = make(n)
            found[f"{name} {n}"] = made.get("left"), made.get("right")
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", help=argparse.SUPPRESS)
    one = parser.parse_args().one
    if one is not None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        found, turns, spent = by_egglog(*encoded(*cases()[one]))
        print("found" if found else "not found", turns, f"{spent:.1f}")
        return
    library()
    print(f"{'milliseconds of processor time':<44} {'anatomy':>10} {'how':<14} {'egglog':>10} rounds")
    for name, (a, b) in cases().items():
        start = process_time()
        found = search(a, b, seconds=SECONDS)
        spent = (process_time() - start) * 1e3
        how = "not found" if found.derivation is None else f"search, {found.tried}" if found.derivation else "normal form"
        try:
            encoded(a, b)
            command = [sys.executable, __file__, "--one", name]
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 8, check=True)
            word, turns, took = done.stdout.rsplit(None, 2)
            other = (took, turns) if word == "found" else ("not found", turns)
        except Unwritable as box:
            other = "-", f"no term for {box}"
        except subprocess.TimeoutExpired:
            other = f"> {SECONDS * 1000}", ""
        except subprocess.CalledProcessError as error:
            other = "failed", error.stderr.strip().splitlines()[-1][:60] if error.stderr else "memory"
        print(f"{name:<44} {spent:10.1f} {how:<14} {other[0]:>10} {other[1]}", flush=True)


if __name__ == "__main__":
    main()
