"""Members of spaces written in the language, for every construct: checked, printed and read back, compiled, differentiated."""

from __future__ import annotations

import pytest
import torch
from space_texts import program

from anatomy.compiler import build
from anatomy.errors import Source
from anatomy.ir.canonical import digest
from anatomy.language.choices import SpaceDefinition
from anatomy.language.program import Program
from anatomy.language.unparse import unparse
from anatomy.spaces import Space

TEXT = """
axis n, m = n, d, c = d, r
diagram net(x: [n, d]) -> [n, d] {
  part norm(x: [d]) -> [d] { out rmsnorm[d](x) }
  hole phi(x: [d]) -> [d]
  hole psi(x: [d]) -> [d]
  y = phi(norm(x))
  out x + psi(y) + dot[m](softmax[m](dot[d](y, y[n -> m])), y[n -> m])
}
diagram rise(x: [d]) -> [d] { out relu(x) }
diagram bend(x: [d]) -> [d] { out tanh(x) }
diagram map(x: [d]) -> [d] { out lin F[d -> c, bias=false](x)[c -> d] }
diagram plus(x: [d]) -> [d] {
  hole left(x: [d]) -> [d]
  hole right(x: [d]) -> [d]
  out left(x) + right(x)
}
diagram gated(x: [d]) -> [d] {
  hole gate(x: [d]) -> [d]
  out lin V[d -> c, bias=false](x)[c -> d] * gate(x)
}
diagram slim(x: [n, d]) -> [n, d] {
  hole phi(x: [r]) -> [r]
  out lin B[r -> d](phi(lin A[d -> r](x)))
}
diagram walk(x: [n, d]) -> [n, d] {
  hole phi(x: [d]) -> [d]
  hole psi(x: [d]) -> [d]
  scan n (s: [d] = 0) {
    y = phi(s) + psi(x)
    next s = y
  }
  out y
}
family maps = { rise, bend, map }
"""

SPACES = {
    "plain": "of net { choose phi in maps choose psi in { rise, none } }",
    "dependent": "of net { choose phi in { rise, gated { choose gate in maps } } choose psi in { map } }",
    "flag": "of net { choose bool fancy choose phi in maps when fancy else bend choose psi in { rise } }",
    "optional": "of net { choose phi in { rise } choose psi in { map } optional norm }",
    "seq": "of net { choose phi in seq 1 to 2 of maps choose psi in { bend } }",
    "bag": "of net { choose phi in bag 2 of maps by multiply choose psi in { bend } }",
    "set": "of net { choose phi in set 1 to 2 of maps by max choose psi in { bend } }",
    "tree": "of net { choose phi in tree 5 of { rise, map, plus } choose psi in { bend } }",
    "cell": "of net { choose phi in dag 2 to 4 of { rise, map } edges 5 choose psi in { bend } }",
    "several": "of net { choose phi, psi in bag of maps }",
    "share": "of net { choose phi in seq 2 of maps share phi, psi }",
    "tie": "of net { choose phi in seq 2 of maps tie phi, psi }",
    "sizes": "of slim { param r in { 2, 3 } choose phi in { rise, bend } }",
    "loop": "of walk { choose phi in seq 1 to 2 of { bend, map } tie phi, psi }",
    "apart": "of walk { choose phi in bag 2 of { bend, map } choose psi in { bend, gated { choose gate in maps } } }",
}


@pytest.mark.parametrize("name", SPACES)
def test_members(name: str) -> None:
    definition = program(f"{TEXT} space {name}_ {SPACES[name]}").space(f"{name}_")
    assert isinstance(definition, SpaceDefinition)
    space = Space(definition)
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    for member in space.sample(3, 0):
        diagram = member.diagram
        assert not diagram.holes
        assert diagram.name == f"{name}__{member.index}"
        text = unparse(diagram)
        again = Program.of(Source("again.anat", text))
        assert not [d for d in again.check() if d.severity == "error"], text
        other = again.get(again.names()[-1])
        assert digest(other) == digest(diagram), text
        sizes = {"d": 3}
        net = build(diagram, sizes, seed=1, dtype=torch.float64)
        out = net(x)
        assert out.shape == x.shape
        assert torch.isfinite(out).all()
        (gradient,) = torch.autograd.grad(out.square().sum(), [x])
        assert torch.isfinite(gradient).all()
        copy = build(other, sizes, dtype=torch.float64)
        assert sum(p.numel() for p in copy.parameters()) == sum(p.numel() for p in net.parameters())


def test_keys_are_paths() -> None:
    found = program(f"{TEXT} space s {SPACES['share']} space t {SPACES['tie']} space u {SPACES['apart']}")
    chosen = {"phi": "seq(map, map)", "psi": "seq(map, map)"}
    keys = {}
    for name in "st":
        definition = found.space(name)
        assert isinstance(definition, SpaceDefinition)
        space = Space(definition)
        keys[name] = [w.keys for w in space[space.index({"phi": chosen["phi"]})].diagram.weights]
    assert keys["s"] == [("phi.1.F",), ("phi.2.F",), ("psi.1.F",), ("psi.2.F",)]
    assert keys["t"] == [("phi.1.F", "psi.1.F"), ("phi.2.F", "psi.2.F")]
    definition = found.space("u")
    assert isinstance(definition, SpaceDefinition)
    space = Space(definition)
    member = space[space.index({"phi": "bag(map, map)", "psi": "gated(map)"})]
    assert sorted(w.key for w in member.diagram.weights) == ["phi.1.F", "phi.2.F", "psi.V", "psi.gate.F"]
