"""The model around a mixer, a diagram of zoo/spaces/backbone.anat with its factors decided and the mixer put in."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Protocol

from anatomy.errors import fail
from anatomy.ir.graph import Diagram
from anatomy.language import syntax as s
from anatomy.language.filling import fill
from anatomy.language.program import Program
from anatomy.language.scope import suggestion
from anatomy.target import zoo_folder

if TYPE_CHECKING:
    from anatomy.sweep.mixer import Mixer

FACTORS = ("place", "norm", "convolution", "feedforward")
"""The parts that a task may choose anew; `depth` and `width` are numbers."""
READOUTS = {"each": "tokens", "last": "packed"}


class Factors(Protocol):
    """What decides a backbone."""

    @property
    def depth(self) -> int: ...
    @property
    def place(self) -> str: ...
    @property
    def norm(self) -> str: ...
    @property
    def convolution(self) -> str: ...
    @property
    def feedforward(self) -> str: ...


def model(mixer: Mixer, factors: Factors, readout: str = "each") -> Diagram:
    """The whole model: tokens [n] come in, logits [n, v] go out. Raises AnatomyError E801 for a factor that does not exist."""
    program, base = _opened(READOUTS[readout], factors.depth)
    fillers = {}
    for name in FACTORS:
        word = getattr(factors, name)
        if word not in program.names():
            near = suggestion(word, program.names())
            raise fail("E801", f"a backbone has no {name} `{word}`", help=f"did you mean `{near}`?" if near else "zoo/spaces/backbone.anat declares them")
        fillers[name] = program.get(word)
    return fill(base, {**fillers, "mixer": mixer.diagram}, "model")


@cache
def _opened(name: str, depth: int) -> tuple[Program, Diagram]:
    """The diagram of this name, so many blocks deep, with its factors open."""
    program = Program.of_file(zoo_folder() / "spaces" / "backbone.anat")
    declared = program.root.names[name]
    assert isinstance(declared, s.DiagramDecl)
    for statement in declared.body:
        if isinstance(statement, s.Repeat):
            statement.count = depth
    base = program.opened(program.root, name, frozenset(FACTORS))
    assert base is not None
    return program, base
