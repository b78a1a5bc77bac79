"""How large a diagram becomes when every call is unfolded, counted on the syntax before anything is built."""

from __future__ import annotations

from collections.abc import Iterator

from anatomy.language import syntax as s
from anatomy.language.scope import Module

MAX_NODES = 100_000


def weigh(module: Module, name: str, memo: dict[tuple[int, str], int]) -> int:
    """Boxes after unfolding; a call on the way to itself counts as 0 (recursion is reported elsewhere)."""
    key = (id(module), name)
    if key not in memo:
        memo[key] = 0
        declared = module.names.get(name)
        if isinstance(declared, s.DiagramDecl):
            total = 0
            for expression in _expressions(declared.body):
                total += 1
                if isinstance(expression, s.Lin):
                    total += 1
                if isinstance(expression, s.Call):
                    found = module.find(expression.name)
                    if found is not None:
                        total += weigh(*found, memo) - 1
            memo[key] = total
    return memo[key]


def _expressions(body: tuple[s.Statement, ...]) -> Iterator[s.Expr]:
    stack: list[object] = list(body)
    while stack:
        item = stack.pop()
        match item:
            case s.Assign():
                stack.append(item.value)
            case s.Out():
                stack.extend(item.values)
            case s.Simd():
                stack.extend(item.body)
            case s.Unary():
                yield item
                stack.append(item.operand)
            case s.Binary():
                yield item
                stack.extend((item.left, item.right))
            case s.Rename():
                stack.append(item.operand)
            case s.Call() | s.Lin() | s.Table():
                yield item
                stack.extend(item.args)
            case _:
                pass
