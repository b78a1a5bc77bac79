"""`noise z: [m] ~ gumbel`: a source that every lane and every lift of a call has for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anatomy.language import syntax as s
from anatomy.language.scope import suggestion
from anatomy.ops import Noise
from anatomy.ops.noise import LAWS

if TYPE_CHECKING:
    from anatomy.language.body import Body


def noise(body: Body, statement: s.NoiseDecl) -> None:
    """Declare a noise over its axes and the lanes that it stands in."""
    bracket = statement.bracket
    groups, _ = body.sides(bracket)
    if any(m != "," for m in bracket.marks):
        raise body.error("E209", "a noise is declared by its axes: `noise z: [n, m] ~ gumbel`", bracket)
    body._distinct(groups[0])
    own = [body.axis(a) for a in groups[0]]
    law = _law(body, statement.init)
    (view,) = body.add(law, (*body.lanes, *own), (), statement)
    body.bind(statement.name, view)


def _law(body: Body, init: s.Init | None) -> Noise:
    if init is None:
        return Noise("normal")
    word = init.name.text
    if word not in LAWS:
        near = suggestion(word, LAWS)
        raise body.error(
            "E208", f"there is no noise `{word}`", init.name, help=f"did you mean `{near}`?" if near else f"there are: {', '.join(LAWS)}"
        )
    args = tuple(float(body.number(a)) for a in init.args or ())
    least, most = LAWS[word]
    if not least <= len(args) <= most:
        raise body.error("E208", f"`{word}` takes {least if least == most else f'{least} or {most}'} numbers", init)
    if word == "normal" and args and args[0] < 0:
        raise body.error("E208", "the spread of a normal noise is at least 0", init)
    return Noise(word, () if word == "normal" and args == (1.0,) else args)
