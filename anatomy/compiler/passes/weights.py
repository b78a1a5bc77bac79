"""Weights that are a softmax over keys, or one over keys and a sink that has a logit and no value.

    exp(s_j - softplus(lse s)) = exp(s_j) / (1 + sum_k exp(s_k)),          a sink of logit 0
    softmax_j(s) sigmoid(lse s - b) = exp(s_j) / (exp(b) + sum_k exp(s_k)), a sink of logit b

Converts: nothing; it recognises. Non-goals: sinks with values, which are keys like any other.
"""

from __future__ import annotations

from dataclasses import dataclass

from anatomy.compiler.passes.region import Region
from anatomy.ir.graph import Node, Port


@dataclass(frozen=True)
class Weights:
    """Keys, the wire of scores, how many boxes read it here, the sink, and which ports of the contraction these weights are."""

    keys: tuple[str, ...]
    score: Port
    readers: int
    used: frozenset[int]
    sink: bool = False
    logit: Port | None = None
    """None with a sink: 0."""


def weights(region: Region, node: Node, at: int) -> Weights | None:
    """The weights of a contraction that come in by one of its ports."""
    made = region.maker(node.ports[at])
    if made is None or not made.ports:
        return None
    if made.op.word == "softmax":
        keys, scored = made.own, made.ports[0]
        if not set(keys) <= set(node.own):
            return None
        for k, port in enumerate(node.ports):
            logit = _sink(region, port, scored, keys) if k != at else None
            if logit is not None:
                return Weights(keys, scored, 2, frozenset({at, k}), True, logit)
        return Weights(keys, scored, 1, frozenset({at}))
    if made.op.word == "exp":
        inside = region.maker(made.ports[0])
        if inside is None or inside.op.word != "-":
            return None
        scored, rest = inside.ports
        soft = region.maker(rest)
        if soft is None or soft.op.word != "softplus":
            return None
        keys = _total(region, soft.ports[0], scored)
        if keys and set(keys) <= set(node.own):
            return Weights(keys, scored, 2, frozenset({at}), True)
    return None


def _sink(region: Region, port: Port, scored: Port, keys: tuple[str, ...]) -> Port | None:
    """b, where a port is sigmoid(lse s - b) of the same scores."""
    gate = region.maker(port)
    if gate is None or gate.op.word != "sigmoid":
        return None
    inside = region.maker(gate.ports[0])
    if inside is None or inside.op.word != "-" or set(inside.ports[1].axes) & set(keys):
        return None
    return inside.ports[1] if _total(region, inside.ports[0], scored) == keys else None


def _total(region: Region, port: Port, scored: Port) -> tuple[str, ...]:
    """The keys over which a wire is the logsumexp of the scores, by the names that the scores have."""
    made = region.maker(port)
    if made is None or made.op.word != "logsumexp" or made.ports[0].wire != scored.wire:
        return ()
    here, there = dict(made.ports[0].renames), dict(scored.renames)
    if any(here[a] != there[a] for a in here if here[a] not in made.own):
        return ()
    back = {b: a for a, b in here.items()}
    return tuple(there[back[a]] for a in made.own)
