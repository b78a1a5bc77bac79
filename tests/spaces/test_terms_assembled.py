"""Members with composites, ties, shares and sizes of their own: terms from segments are those of the diagram that is assembled."""

from __future__ import annotations

import itertools

from decided import decision, sizes, space_of, value
from test_assembly import TEXT

from anatomy.errors import Source
from anatomy.ir.canonical import digest
from anatomy.ir.solve import solve
from anatomy.language.choices import SpaceDefinition
from anatomy.language.program import Program
from anatomy.spaces.assembly import assemble
from anatomy.spaces.terms.draws import Draws, Ends
from anatomy.spaces.terms.fold import key, slow_key, terms
from anatomy.spaces.terms.measures import Gauge, near
from anatomy.spaces.terms.members import Members
from anatomy.spaces.terms.proofs import Proofs
from anatomy.spaces.terms.small import assign, preferred

PROGRAM = Program.of(Source("t.anat", TEXT))


def check(definition: SpaceDefinition, *values: tuple[str, ...], folds: bool = True) -> None:
    """All combinations: the same key, parameters, settled sizes and values as the diagram."""
    members = Members(definition)
    forth: dict[bytes, str] = {}
    back: dict[str, bytes] = {}
    for texts in itertools.product(*values):
        chosen = [value(t) for t in texts]
        diagram = assemble(definition, chosen, "member")
        own = terms(diagram)
        mine = key(own) or slow_key(diagram)
        fold = members.fold(chosen)
        assert (fold is not None) == folds, texts
        if fold is not None:
            assert (key(fold) or slow_key(diagram)) == mine, texts
            proofs = Proofs()
            assert proofs.parameters(fold.weights) == proofs.parameters(own.weights), texts
            assert proofs.length_generic(fold) == proofs.length_generic(own), texts
            assert {str(fold.context.settled.of(p)) for w in fold.weights for _, p in w.sized} == {
                str(own.context.settled.of(p)) for w in own.weights for _, p in w.sized
            }, texts
            wanted = preferred(definition.base, 0) | {"d": 4}
            names = sorted(diagram.free_sizes() | {"d", "n"})
            tables = [assign(names, wanted, f.context.defaults, [(e.left, e.right) for e in f.context.equations]) for f in (fold, own)]
            assert tables[0] == tables[1], texts
            if tables[0] is not None:
                outputs = [Draws(tables[0]).outputs(f, Ends.of(f)) for f in (fold, own)]
                assert outputs[0] is not None, texts
                assert outputs[1] is not None, texts
                assert near(outputs[0], outputs[1]), texts
                ends = [Ends.of(f) for f in (fold, own)]
                found = [
                    Gauge().measure(o, f, e, Draws(tables[0])) for o, f, e in zip(outputs, (fold, own), ends, strict=True) if o is not None
                ]
                assert found[0] == found[1], texts
        code = digest(diagram)
        assert forth.setdefault(mine, code) == code, texts
        assert back.setdefault(code, mine) == mine, texts


NAMES = "rise bend map wide fixed halved none"


def test_plain_shared_and_optional() -> None:
    one, two = PROGRAM.get("one"), PROGRAM.get("two")
    every = tuple(NAMES.split())
    check(space_of(one, decision(PROGRAM, "phi", "one", NAMES)), every)
    check(space_of(two, decision(PROGRAM, "f", "one", NAMES, sites="f g")), every)


def test_tied() -> None:
    two = PROGRAM.get("two")
    check(space_of(two, decision(PROGRAM, "f", "one", NAMES, sites="f g", tied="f g")), tuple(NAMES.split()))
    seq = decision(PROGRAM, "f", "seq", NAMES, sites="f g", tied="f g", least=1, most=2)
    check(space_of(two, seq), ("seq(map, rise)", "seq(wide, wide)", "seq(halved, map)"))


def test_composites() -> None:
    one = PROGRAM.get("one")
    seq = decision(PROGRAM, "phi", "seq", NAMES, least=1, most=3)
    check(space_of(one, seq), ("seq(rise, bend)", "seq(map, map, rise)", "seq(halved, wide)", "seq(fixed, bend)"))
    for join in ("add", "multiply", "max"):
        bag = decision(PROGRAM, "phi", "bag", NAMES, least=1, most=3, join=join)
        check(space_of(one, bag), ("bag(rise, rise)", "bag(bend, map, wide)", "bag(map, map)", "bag(map, map, map)", "bag(halved, fixed)"))
    dag = decision(PROGRAM, "phi", "dag", NAMES, least=2, most=5)
    check(space_of(one, dag), ("dag[0>1 1>2](map)", "dag[0>1 0>2 1>3 2>3](map, map)", "dag[0>1 0>2 1>2 2>3](rise, wide)"))


def test_interchangeable() -> None:
    two = PROGRAM.get("two")
    both = decision(PROGRAM, "f", "bag", NAMES, sites="f g", several="f g")
    pairs = tuple(f"bag({a}, {b})" for a, b in itertools.combinations_with_replacement(NAMES.split(), 2))
    check(space_of(two, both), pairs)


def test_sizes() -> None:
    one = PROGRAM.get("one")
    phi = decision(PROGRAM, "phi", "one", NAMES)
    check(space_of(one, phi, sizes("r", 1, 2, 3)), tuple(NAMES.split()), ("1", "2", "3"))
    check(space_of(one, phi, sizes("e", 2, 3)), tuple(NAMES.split()), ("2", "3"))


def test_holes_in_loops_are_built() -> None:
    recur = PROGRAM.get("recur")
    check(space_of(recur, decision(PROGRAM, "phi", "one", "rise bend"), decision(PROGRAM, "psi", "one", "rise map")), ("rise", "bend"), ("rise", "map"), folds=False)
    check(space_of(PROGRAM.get("stack"), decision(PROGRAM, "phi", "one", NAMES)), tuple(NAMES.split()))


def test_the_sizes_that_are_tried_are_allowed() -> None:
    """What `assign` finds is what the compiler's own solver accepts."""
    two = PROGRAM.get("two")
    definition = space_of(two, decision(PROGRAM, "f", "one", NAMES, sites="f g"))
    for name in NAMES.split():
        diagram = assemble(definition, [value(name)], "member")
        found = assign(sorted(diagram.free_sizes()), preferred(two, 0), diagram.defaults, [(e.left, e.right) for e in diagram.equations])
        assert found is not None
        solve(diagram, {a: n for a, n in found.items() if a in diagram.sizes})
