"""The Python interface: load, parse, compile, draw, compare, bound, generate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anatomy.errors import AnatomyError, Source
from anatomy.ir.graph import Diagram
from anatomy.language.program import Program
from anatomy.target import load_diagram

if TYPE_CHECKING:
    import torch
    from torch import nn

    from anatomy.regularity import Norm, Regularity
    from anatomy.regularity.growth import Measured
    from anatomy.render import Picture
    from anatomy.rewrites.equality import Equality
    from anatomy.spaces import Space

__all__ = [
    "AnatomyError", "Diagram", "accelerate", "compile", "draw", "equal", "load", "parse", "regularity", "source", "space",
]  # fmt: skip


def load(target: str | Path) -> Diagram:
    """The diagram at `file.anat::name`, at a file that declares just one, or at `zoo:name`.

    Raises AnatomyError with every diagnostic of the file.

    >>> load("zoo:sdpa").inputs[0].layout
    ('n', 'e')
    """
    return load_diagram(str(target))


def parse(text: str, path: str = "<text>") -> dict[str, Diagram]:
    """All diagrams of a text by name. Raises AnatomyError with every diagnostic.

    >>> parse("axis n diagram twice(x: [n]) -> [n] { out 2 * x }")
    {'twice': <diagram twice: 2 boxes, 0 weights>}
    """
    program = Program.of(Source(path, text), Path.cwd())
    errors = [d for d in program.check() if d.severity == "error"]
    if errors:
        raise AnatomyError(*errors)
    return {name: program.get(name) for name in program.names()}


def compile(
    diagram: Diagram,
    sizes: Mapping[str, int] | None = None,
    lift: Sequence[str] = (),
    seed: int | Sequence[int] = 0,
    dtype: torch.dtype | None = None,
    passes: Sequence[str] = ("all",),
    ensemble: int | None = None,
    shared: Sequence[str] = (),
) -> nn.Module:
    """The diagram as an `nn.Module`; `module.source` is its standalone text.

    Inputs are taken in header order, lifted axes first, then the header's layout. Axes that stand on an
    input and on no weight need no size. `passes` are the rewrites of `anatomy.compiler.passes`, by default all; the kernel
    that softmax attention becomes has a gradient and no second one, so that whoever differentiates twice, forward or under
    `torch.func.vmap` takes `anatomy.compiler.DIFFERENTIABLE`.

    With `ensemble=S` the module holds S models, far faster than S small modules one after the other. Weights, inputs and outputs
    have an axis of size S in front of all others; inputs that `shared` names lack it, and all members read them. Member k is the
    module that has the seed `seed + k` (or `seed[k]`): `net.member(k)` gives its state dict, a copy that such a module loads, and
    `net.load_members(states)` takes one for each member. A loss summed over members, not averaged, gives each its own gradient.

    Raises AnatomyError (E402, E403, E405, E406, E407, E409, E410, E501).

    >>> net = compile(load("zoo:mha"), {"d": 8, "h": 2}, lift=("b",))
    >>> import torch
    >>> net(torch.zeros(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    >>> nets = compile(load("zoo:mha"), {"d": 8, "h": 2}, lift=("b",), ensemble=10)
    >>> nets(torch.zeros(10, 3, 5, 8)).shape
    torch.Size([10, 3, 5, 8])
    >>> net.load_state_dict(nets.member(4))
    <All keys matched successfully>
    """
    from anatomy.compiler import build, chosen

    return build(diagram, sizes or {}, lift, seed, dtype, chosen(passes), ensemble, shared)


def accelerate(module: nn.Module, dynamic: bool | None = None) -> nn.Module:
    """The module itself, run through `torch.compile` from now on, with the matching of patterns off that breaks attention.

    Any module may be given. In torch 2.13 a plain `torch.compile` gives wrong numbers for attention whose softmax is over
    another axis than the last (pytorch issue 196468). Code is written when the module is first called, in seconds.
    """
    from anatomy.compiler.inductor import accelerate

    return accelerate(module, dynamic)


def source(
    diagram: Diagram, sizes: Mapping[str, int] | None = None, lift: Sequence[str] = (), seed: int | Sequence[int] = 0,
    passes: Sequence[str] = ("all",), ensemble: int | None = None, shared: Sequence[str] = (),
) -> str:  # fmt: skip
    """The text of the compiled module, made without importing torch; the arguments are those of `compile`."""
    from anatomy.compiler import chosen, generate

    return generate(diagram, sizes or {}, lift, seed, chosen(passes), ensemble, shared).source


def draw(diagram: Diagram, full: bool = False) -> Picture:
    """A picture of the diagram, with `.svg`, `.save("file.svg")` and a notebook's `_repr_svg_`.

    >>> draw(load("zoo:sdpa")).svg.lstrip().startswith("<?xml")
    True
    """
    from anatomy.render import draw

    return draw(diagram, full)


def equal(left: Diagram, right: Diagram, seed: int = 0) -> Equality:
    """The four named equalities of two diagrams.

    >>> equal(load("zoo:sdpa"), load("zoo:sdpa")).isomorphic
    True
    """
    from anatomy.rewrites.equality import equal

    return equal(left, right, seed)


def regularity(
    diagram: Diagram,
    sizes: Mapping[str, int],
    radius: float = 1.0,
    norm: Norm = "frobenius",
    seed: int = 0,
    module: nn.Module | None = None,
    growth: bool | Measured = True,
    advice: bool = False,
    around: Mapping[str, Any] | Sequence[Any] | None = None,
    branch: float | None = None,
) -> Regularity:
    """Verdict, sound upper bound and empirical lower bound of the diagram's Lipschitz constant.

    The domain is every token in the L2 ball of the given radius (`math.inf`: the whole space), the norm is
    Frobenius in and out, `max_token`, or `wasserstein1`, `wasserstein2` or `wasserstein_inf` of measures of tokens.
    Weights are the module's, or drawn by the initialisers with the seed.
    `growth` is False, True (the order of the bound) or `QUICK` or `THOROUGH` of `anatomy.regularity.growth` (measured too);
    with `advice` the result tells what the bound is spent on and what would reduce it. With `around`, arrays by input name or
    in header order, the domain is the one ball of that radius round them; `branch` is how many seconds branch and bound may take.
    """
    from anatomy.regularity import check
    from anatomy.regularity.verdict import asked

    asked(diagram, sizes)  # before weights are drawn
    weights, function = numeric(_smooth(diagram, sizes, seed, module))
    return check(diagram, sizes, weights, radius, norm, function, seed, growth, advice, around, branch)


def _smooth(diagram: Diagram, sizes: Mapping[str, int], seed: int, module: nn.Module | None) -> nn.Module:
    """The module as one that may be differentiated twice, with no number of tokens fixed where it can be left open."""
    import torch

    from anatomy.compiler import DIFFERENTIABLE, build
    from anatomy.regularity.growth import token_variables

    lengths = token_variables(diagram)
    free = {a: n for a, n in sizes.items() if a not in lengths}
    try:
        made = build(diagram, free, seed=seed, dtype=torch.float64, passes=DIFFERENTIABLE)  # the same weights at every length
    except AnatomyError:
        made = build(diagram, sizes, seed=seed, dtype=torch.float64, passes=DIFFERENTIABLE)
    if module is None:
        return made
    given = module.state_dict()
    if not hasattr(module, "source") or {k: v.shape for k, v in given.items()} != {k: v.shape for k, v in made.state_dict().items()}:
        return module  # somebody else's
    made.load_state_dict(given)
    return made


def numeric(module: nn.Module) -> tuple[dict[str, Any], Any]:
    """The weights of a module as float64 arrays, and the module as a function of float64 tensors."""
    import copy

    double = copy.deepcopy(module).double()
    weights = {k: v.detach().numpy() for k, v in double.state_dict().items()}
    for parameter in double.parameters():
        parameter.requires_grad_(False)
    return weights, double


def space(target: str | Path) -> Space:
    """The space at `file.anat::name` or `zoo:spaces/name`: `len`, `[i]`, `.index`, `.sample`.

    >>> len(space("zoo:spaces/scores")) >= 100
    True
    """
    from anatomy.spaces.loading import load

    return load(str(target))
