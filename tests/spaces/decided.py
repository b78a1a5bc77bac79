"""Spaces by hand, from a text with open diagrams and a few decisions about them, for tests of what is built from them."""

import torch
from space_texts import program

from anatomy.compiler import build
from anatomy.errors import Source
from anatomy.ir.canonical import digest
from anatomy.ir.graph import Diagram
from anatomy.language.choices import Component, Decision, Domain, SpaceDefinition
from anatomy.language.program import Program
from anatomy.language.unparse import unparse
from anatomy.spaces.assembly import assemble
from anatomy.spaces.tree.value import Value

TEXT = """
axis n, d, dd = d, e, r
diagram one(x: [n, d]) -> [n, d] {
  hole phi(x: [d]) -> [d]
  weight W: [d] ~ normal(1)
  out phi(x * W) + x
}
diagram two(x: [n, d]) -> [n, d] {
  hole f(x: [d]) -> [d]
  hole g(x: [d]) -> [d]
  out f(x) - 2 * g(x)
}
diagram pairs(x: [n, d], y: [n, d]) -> [n, d] {
  hole meet(x: [d], y: [d]) -> [d]
  out meet(x, y)
}
diagram rise(x: [d]) -> [d] { out relu(x) }
diagram bend(x: [d]) -> [d] { out tanh(x) }
diagram map(x: [d]) -> [d] { out lin F[d -> dd](x)[dd -> d] }
diagram wide(x: [d]) -> [d] { out lin B[r -> d, bias=false](relu(lin A[d -> r, bias=false](x))) }
diagram fixed(x: [d]) -> [d] { _x = x weight c: [d] ~ normal(1) out c }
diagram halved(x: [d]) -> [d] where d = 2 * e { lo, hi = halves[d -> e](x) out cat[e -> d](hi, lo) }
diagram plus(x: [d]) -> [d] {
  hole left(x: [d]) -> [d]
  hole right(x: [d]) -> [d]
  out left(x) + right(x)
}
diagram gated(x: [d]) -> [d] {
  hole gate(x: [d]) -> [d]
  out lin V[d -> dd](x)[dd -> d] * gate(x)
}
diagram add(x: [d], y: [d]) -> [d] { out x + lin U[d -> dd](y)[dd -> d] }
diagram times(x: [d], y: [d]) -> [d] { out x * y }
diagram recur(x: [n, d]) -> [n, d] {
  hole phi(s: [d]) -> [d]
  hole psi(s: [d]) -> [d]
  scan n (s: [d] = 0) {
    y = phi(s) + psi(x)
    next s = y
  }
  out y
}
diagram stack(x: [n, d]) -> [n, d] {
  hole phi(s: [d]) -> [d]
  repeat 3 (z = x) { next z = z + phi(z) }
  out z
}
"""
NAMES = "rise bend map wide fixed halved none"


def value(text: str) -> Value:
    """`seq(relu, tanh)` and `dag[0>1 1>2](c3)` as values; names hold no brackets."""
    found, rest = _value(text.replace(" ", "~"))
    assert not rest, rest
    return found


def _value(text: str) -> tuple[Value, str]:
    k = next((i for i, c in enumerate(text) if c in "[(),"), len(text))
    label, rest = text[:k].strip("~"), text[k:]
    edges: tuple[tuple[int, int], ...] = ()
    if rest.startswith("["):
        inside, _, rest = rest[1:].partition("]")
        edges = tuple((int(a), int(b)) for a, _, b in (pair.partition(">") for pair in inside.split("~")))
    parts: list[Value] = []
    if rest.startswith("("):
        while rest[0] in "(,":
            part, rest = _value(rest[1:])
            parts.append(part)
        rest = rest[1:].strip("~")
    return Value(label, tuple(parts), edges), rest


def components(program: Program, *names: str) -> tuple[Component, ...]:
    return tuple(Component(name, None if name == "none" else program.get(name)) for name in names)


def decision(program: Program, hole: str, form: str, names: str, sites: str = "", tied: str = "", several: str = "", **more: object) -> Decision:
    """`names` separated by blanks; `sites`, `tied`, `several` are holes, separated likewise."""
    domain = Domain(form, components(program, *names.split()), **more)  # type: ignore[arg-type]
    return Decision(hole, "hole", domain, tuple(sites.split()) or (hole,), tuple(tied.split()), tuple(several.split()))


def sizes(axis: str, *numbers: int) -> Decision:
    return Decision(axis, "param", Domain("one", tuple(Component(str(k)) for k in numbers)))


def space_of(base: Diagram, *decisions: Decision) -> SpaceDefinition:
    return SpaceDefinition("s", base, decisions)


def by_hand(text: str, name: str = "hand") -> Diagram:
    return program(TEXT + text).get(name)


def made(definition: SpaceDefinition, *texts: str) -> Diagram:
    return assemble(definition, [value(t) for t in texts], "member")


def reads_back(diagram: Diagram) -> None:
    text = unparse(diagram)
    again = Program.of(Source("again.anat", text))
    assert digest(again.get(again.names()[-1])) == digest(diagram), text


def same(mine: Diagram, theirs: Diagram, keys: dict[str, str], inputs: int = 1, **given: int) -> None:
    """Equal digests, and equal values and gradients in float64 under the same learners; `keys` from mine to theirs."""
    assert digest(mine) == digest(theirs)
    reads_back(mine)
    nets = [build(d, {"d": 4, **given}, seed=5, dtype=torch.float64) for d in (mine, theirs)]
    state = nets[1].state_dict()
    assert set(nets[0].state_dict()) == set(keys), sorted(nets[0].state_dict())
    assert set(keys.values()) == set(state)
    nets[0].load_state_dict({k: state[v] for k, v in keys.items()})
    generator = torch.Generator().manual_seed(1)
    xs = [torch.randn(3, 4, dtype=torch.float64, generator=generator, requires_grad=True) for _ in range(inputs)]
    outs = [net(*xs) for net in nets]
    torch.testing.assert_close(outs[0], outs[1], rtol=0, atol=1e-13)
    grads = [torch.autograd.grad(out.square().sum(), xs, allow_unused=True) for out in outs]
    for a, b in zip(*grads, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def both(mine: str, theirs: str) -> dict[str, str]:
    """A learner with its bias."""
    return {mine: theirs, f"{mine}.bias": f"{theirs}.bias"}
