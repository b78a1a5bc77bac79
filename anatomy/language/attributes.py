"""Attributes of a box that are written like operands: `shift[n](x, 1)`, `sinkhorn[n, m](s, steps=5)`, `entmax[m, alpha=1.5](s)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from anatomy.ir.op import Op
from anatomy.language import syntax as s
from anatomy.language.open import formula
from anatomy.language.scope import suggestion

if TYPE_CHECKING:
    from anatomy.language.brackets import Brackets


def attributes(
    body: Brackets, kind: type[Op], word: str, args: Sequence[s.Expr], named: Sequence[s.Option], given: Mapping[str, s.Expr]
) -> tuple[dict[str, s.Expr], list[s.Expr]]:
    """The attributes of a box by name, and its operands; a wire in the place of an attribute that may be one comes last.

    `args` are what stands in round brackets, `named` what stands there with a name, `given` what stands in square ones.
    """
    found: dict[str, s.Expr] = dict(given)
    operands = [a for k, a in enumerate(args) if k not in kind.static]
    for option in named:
        if option.name.text not in kind.static.values():
            near = suggestion(option.name.text, kind.static.values())
            help = f"did you mean `{near}`?" if near else "operands are given by their places"
            if option.name.text in kind.options:
                help = f"it belongs to the square brackets: `{word}[..., {option.name.text}=...](...)`"
            raise body.error("E209", f"`{word}` has no `{option.name.text}`", option.name, help=help)
        _once(body, word, found, option.name.text, option.value)
    for position, name in kind.static.items():
        if position < len(args):
            _once(body, word, found, name, args[position])
    for name in [n for n in found if n in kind.wired and not literal(found[n]) and formula(body.open, found[n]) is None]:
        operands.append(found.pop(name))
    return found, operands


def _once(body: Brackets, word: str, found: dict[str, s.Expr], name: str, value: s.Expr) -> None:
    if name in found:
        raise body.error("E209", f"the `{name}` of `{word}` is given twice", value)
    found[name] = value


def literal(e: s.Expr) -> bool:
    match e:
        case s.Number() | s.Unary(op="-", operand=s.Number()):
            return True
        case _:
            return False
