"""The check that folding hides nothing: everything of the diagram is drawn exactly once."""

from __future__ import annotations

from collections import Counter

from anatomy.render.scene import Scene


def uncovered(scene: Scene) -> list[str]:
    """What a picture leaves out or draws twice; empty for a sound picture.

    Every node, weight, input and output stands for itself in exactly one element, and every reading of a
    wire is either inside one element or on exactly one strand between the elements of its two ends.
    """
    d = scene.diagram
    found: list[str] = []
    for what, count, of in (
        ("node", len(d.nodes), lambda e: e.nodes),
        ("weight", len(d.weights), lambda e: e.weights),
        ("input", len(d.inputs), lambda e: e.inputs),
        ("output", len(d.outputs), lambda e: e.outputs),
    ):
        seen = Counter(i for e in scene.elements for i in of(e))
        found += [f"{what} {i} is drawn {seen[i]} times" for i in range(count) if seen[i] != 1]
        found += [f"{what} {i} is drawn but does not exist" for i in seen if not 0 <= i < count]
    if found:
        return found
    home = {i: e.number for e in scene.elements for i in e.nodes}
    maker = {d.weights[i].wire: e.number for e in scene.elements for i in e.weights}
    maker |= {d.inputs[i].wire: e.number for e in scene.elements for i in e.inputs}
    maker |= {w: home[i] for w, (i, _) in d.producer.items()}
    goal = {i: e.number for e in scene.elements for i in e.outputs}
    drawn = Counter((r, s.source, s.target) for s in scene.strands for r in s.reads)
    wanted = Counter(
        ((i, k), maker[wire], goal[k] if i < 0 else home[i])
        for wire, readers in d.consumers.items()
        for i, k in readers
        if (goal[k] if i < 0 else home[i]) != maker[wire]
    )
    found += [f"reading {key[0]} is drawn {drawn[key]} times" for key in wanted if drawn[key] != 1]
    found += [f"a strand for {key[0]} joins the wrong elements" for key in drawn if key not in wanted]
    return found
