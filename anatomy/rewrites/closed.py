"""A diagram without inputs as one expression."""

from __future__ import annotations

from anatomy.ir.graph import Diagram


def expression(diagram: Diagram) -> str:
    """What a diagram without inputs computes; where boxes have several readers, with `where` they are named.

    >>> from anatomy.errors import Source
    >>> from anatomy.language.program import Program
    >>> text = "axis d diagram f() -> [d] { weight W: [d] ~ ones out W * 2 }"
    >>> expression(Program.of(Source("f.anat", text)).get("f"))
    'W * 2'
    """
    from anatomy.language.unparse import unparse

    text = unparse(diagram).partition(" {\n")[2].rpartition("}")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith(("weight ", "frozen weight "))]
    body = " ".join(lines)
    head, found, last = body.rpartition("out ")
    return f"{last} where {head.strip()}" if head.strip() else last if found else body
