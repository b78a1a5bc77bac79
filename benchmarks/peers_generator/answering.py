"""What every peer of the generator does: read the spaces, say who it is and what it counts, then time what it is asked for.

A peer runs in an environment of its own and speaks a line of JSON for a line of JSON. First come the spaces:
`{"flat": {"hole": ["option", ...]}, "nested": {"hole": ["option", {"option": {"hole": [...]}}]}, "long": [[...], times]}`.
Then each line names a task and how many seconds of processor time to spend on it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

Task = Callable[[], Callable[[], int]]
"""Makes ready, and gives what is timed: each call does some objects and returns how many."""


def rate(step: Callable[[], int], seconds: float) -> float:
    """Objects per second of processor time."""
    done, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        done += step()
    return done / spent


def serve(prepare: Callable[[dict[str, Any]], tuple[dict[str, Any], dict[str, Task | str]]]) -> None:
    """`prepare` gives what to say first, and the tasks, or why there is none."""
    try:
        first, tasks = prepare(json.loads(sys.stdin.readline()))
    except ImportError as error:
        first, tasks = {"unavailable": f"it cannot be imported: {error}"}, {}
    first["missing"] = {name: task for name, task in tasks.items() if isinstance(task, str)}
    print(json.dumps(first), flush=True)
    ready: dict[str, Callable[[], int]] = {}
    for line in sys.stdin:
        question = json.loads(line)
        name, task = question["task"], tasks.get(question["task"])
        if not callable(task):
            print(json.dumps(None), flush=True)
            continue
        if name not in ready:
            ready[name] = task()
            ready[name]()  # what is paid once is not counted
        print(json.dumps(rate(ready[name], question["seconds"])), flush=True)
