"""The calls of a file, walked before anything is built: in which order, how large, and whether they ever end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from anatomy.language import syntax as s
from anatomy.language.scope import Module

MAX_NODES = 100_000
MAX_ALL_NODES = 200_000
"""For one diagram, and for all diagrams of one file together."""
MAX_CALLS = 100
"""Calls within calls within calls: every box keeps the path of calls to it."""

Key = tuple[int, str]


@dataclass
class Calls:
    """How many boxes each diagram has when every call in it is unfolded, counted on the syntax.

    The walk keeps its own stack, so a chain of calls may be as long as the file.
    """

    weights: dict[Key, int] = field(default_factory=dict)
    depths: dict[Key, int] = field(default_factory=dict)
    cycles: dict[Key, tuple[Module, s.QName, tuple[str, ...]]] = field(default_factory=dict)
    """For a diagram that calls itself: where the call that closes the circle stands, and the names on it."""

    def order(self, module: Module, name: str) -> list[tuple[Module, str]]:
        """What was not weighed yet of a diagram and all that it calls, callees first."""
        done: list[tuple[Module, str]] = []
        if (id(module), name) in self.weights:
            return done
        path: dict[Key, int] = {}
        factor: dict[Key, int] = {}
        stack: list[tuple[Module, str, Iterator[tuple[Module, str, s.QName, int]]]] = []

        def enter(module: Module, name: str) -> None:
            path[(id(module), name)] = _own_boxes(module.names[name])
            self.depths[(id(module), name)] = 1
            stack.append((module, name, callees(module, name)))

        enter(module, name)
        while stack:
            here, word, rest = stack[-1]
            key = (id(here), word)
            for home, callee, at, times in rest:
                inner = (id(home), callee)
                if inner in path:
                    circle = [w for _, w in path]
                    circle = [*circle[list(path).index(inner) :], callee]
                    self.cycles.setdefault(inner, (here, at, tuple(circle)))
                elif inner in self.weights:
                    path[key] += times * self.weights[inner]
                    self.depths[key] = max(self.depths[key], 1 + self.depths[inner])
                else:
                    factor[(id(home), callee)] = times
                    enter(home, callee)
                    break
            else:
                stack.pop()
                self.weights[key] = path.pop(key)
                done.append((here, word))
                if stack:
                    outer = (id(stack[-1][0]), stack[-1][1])
                    path[outer] += factor[key] * self.weights[key]
                    self.depths[outer] = max(self.depths[outer], 1 + self.depths[key])
        return done


def _own_boxes(declared: s.Node) -> int:
    if not isinstance(declared, s.DiagramDecl):
        return 0
    return sum(times * (2 if isinstance(e, s.Lin) else 1) for e, times in expressions(declared.body))


def callees(module: Module, name: str) -> Iterator[tuple[Module, str, s.QName, int]]:
    """Every call of a diagram in its body: what it calls, where, and in how many turns."""
    declared = module.names[name]
    if not isinstance(declared, s.DiagramDecl):
        return
    holes = {x.name.text for x in declared.body if isinstance(x, s.HoleDecl)}
    for expression, times in expressions(declared.body):
        if isinstance(expression, s.Call) and expression.name.text not in holes:
            part = f"{name}.{expression.name.text}"
            found = (module, part) if part in module.names else module.find(expression.name)
            if found is not None and isinstance(found[0].names[found[1]], s.DiagramDecl):
                yield (*found, expression.name, times)


def expressions(body: tuple[s.Statement, ...]) -> Iterator[tuple[s.Expr, int]]:
    """The boxes and calls of a body, in no particular order, each with how many times it is unrolled."""
    stack: list[tuple[object, int]] = [(item, 1) for item in body]
    while stack:
        item, times = stack.pop()
        inner: tuple[object, ...] = ()
        match item:
            case s.Assign() | s.Next():
                inner = (item.value,)
            case s.Out():
                inner = item.values
            case s.Simd():
                inner = item.body
            case s.Scan():
                inner = (*item.body, *(carry.value for carry in item.carries))
            case s.Repeat():
                stack.extend((turn.value, times) for turn in item.turns)
                count = item.count if isinstance(item.count, int) else 1
                stack.extend((statement, times * max(1, count)) for statement in item.body)
            case s.Unary():
                yield item, times
                inner = (item.operand,)
            case s.Binary():
                yield item, times
                inner = (item.left, item.right)
            case s.Rename():
                inner = (item.operand,)
            case s.Call() | s.Lin() | s.Table():
                yield item, times
                inner = item.args
            case _:
                pass
        stack.extend((part, times) for part in inner)
