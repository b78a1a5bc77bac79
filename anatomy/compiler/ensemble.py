"""Several models of one diagram in one module: one more axis, in front of every weight, input and output.

Converts: nothing in the graph. An operation is vectorised over every axis that is not its own, so an axis on the values that
enter `forward` is carried through each of its lines, as a lifted axis is; only this one is on the weights too. It stands first, so that
a contraction with a weight is one batched matrix product, and that of an attention is part of the batch of the fused kernel.
Member k is the module of the same diagram with a seed of its own: same draws, same function, noise drawn by itself.
Non-goals: members of different diagrams or sizes; what their optimisers hold (one step of an elementwise optimiser, such as AdamW, on
the ensemble is one step on each member; clipping by the norm of all gradients is not).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anatomy.errors import fail
from anatomy.ir.graph import Diagram
from anatomy.ir.poly import MAX_SIZE

AXIS = "ensemble"
"""The name of the axis: in messages, comments and documentation, and what no axis of the diagram may be called."""


@dataclass(frozen=True)
class Ensemble:
    """How many members there are, and which inputs all of them read, without an axis for the members."""

    size: int
    shared: frozenset[str] = frozenset()

    def lead(self, name: str) -> tuple[str, ...]:
        """The axes in front of the lifts of an input."""
        return () if name in self.shared else (AXIS,)

    def of(self, shape: Sequence[int]) -> list[int]:
        """The shape of a weight of all members."""
        return [self.size, *shape]

    def reset(self, seed: int | tuple[int, ...], draws: Sequence[str]) -> list[str]:
        """The lines that draw the weights, given those of the table of draws."""
        return [
            "    @torch.no_grad()",
            f"    def reset_parameters(self, seed={seed}):",
            '        """Draw every weight anew, in float64, from its own stream; member k by seed + k, or by the k-th of several seeds."""',
            f"        for k, own in enumerate(_seeds(seed, {self.size})):",
            "            for name, key, draw in (",
            *(f"    {line}" for line in draws),
            "            ):",
            "                weight = getattr(self, name)[k]",
            "                weight.copy_(draw(torch.empty(weight.shape, dtype=torch.float64), _generator(own, key)))",
            "",
        ]

    def members(self) -> list[str]:
        """The lines of the methods by which members come out and go in."""
        return [
            "    def member(self, k):",
            '        """The state dict of member k, a copy, for the module of one model."""',
            "        return {key: value[k].clone() for key, value in self.state_dict().items()}",
            "",
            "    def load_members(self, states):",
            '        """Take the weights of modules of one model, by one state dict for each member."""',
            f"        if len(states) != {self.size}:",
            f'            raise ValueError(f"{{len(states)}} state dicts for an ensemble of {self.size}")',
            "        self.load_state_dict({key: torch.stack([state[key] for state in states]) for key in self.state_dict()})",
            "",
        ]


def asked(
    diagram: Diagram, size: int | None, shared: Sequence[str], lift: Sequence[str], seed: int | Sequence[int]
) -> Ensemble | None:
    """The ensemble that is asked for, or None for one model.

    Raises AnatomyError: E405 for its size, E407 where its axis has the name of another, E410 for seeds and shared inputs.
    """
    if size is None:
        if not isinstance(seed, int):
            raise fail("E410", "several seeds are given, and no ensemble", help=f"`ensemble={len(seed)}` makes a model for each")
        if shared:
            raise fail("E410", f"`{shared[0]}` is to be shared, and there is no ensemble")
        return None
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MAX_SIZE:
        raise fail("E405", f"the size of `{AXIS}` is {size}; sizes are integers from 1 to 2^40")
    if AXIS in diagram.sizes or AXIS in lift:
        whose = "a lifted axis" if AXIS in lift else f"an axis of `{diagram.name}`"
        raise fail("E407", f"`{AXIS}` is {whose}, and the axis of the members is called so", help="rename it")
    if not isinstance(seed, int) and len(seed) != size:
        raise fail("E410", f"{len(seed)} seeds are given for an ensemble of {size}", help="one for each member; or one number, to which k is added for member k")
    inputs = {i.name for i in diagram.inputs}
    for name in shared:
        if name not in inputs:
            raise fail("E410", f"`{name}` is to be shared, and is no input of `{diagram.name}`", help=f"its inputs are: {', '.join(sorted(inputs))}")
    return Ensemble(size, frozenset(shared))
