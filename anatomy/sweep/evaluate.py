"""The one worker function: a job in, a record out, whatever the transport."""

from __future__ import annotations

import time
import traceback
from typing import Any

from anatomy.sweep.certify import certify
from anatomy.sweep.check import examine
from anatomy.sweep.initialisation import initialisation
from anatomy.sweep.job import Job
from anatomy.sweep.mixer import Mixer
from anatomy.sweep.task import load_task

Record = dict[str, Any]
"""`key`, `state` (done or failed), `class` of a failure, `result` or `traceback`, and `seconds` of CPU time."""


def evaluate(job: Job) -> Record:
    """Run a job in one thread. Never raises for a fault of the variant: that is a failed record with its traceback."""
    import torch

    started, threads = time.process_time(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        record: Record = {"key": job.key, "state": "done", "result": _work(job)}
    except Exception as error:
        record = {"key": job.key, "state": "failed", "class": _class(error), "traceback": traceback.format_exc()}
    finally:
        torch.set_num_threads(threads)
    return {**record, "seconds": round(time.process_time() - started, 3)}


def _work(job: Job) -> dict[str, Any]:
    diagram, sizes, options = job.diagram, dict(job.sizes), dict(job.options)
    assert diagram is not None
    match job.stage:
        case "check":
            tokens, features = int(options["tokens"]), int(options["features"])
            return examine(diagram, tokens, features, sizes, job.seed)
        case "initialisation":
            return initialisation(diagram, int(options["tokens"]), int(options["features"]), sizes, job.seed)
        case "regularity":
            return certify(diagram, sizes, float(options["radius"]), str(options["norm"]), job.seed)
        case "train":
            task = load_task(job.task)
            return task.train(Mixer(diagram, sizes, task.length, task.width, job.seed), job.seed, job.budget)


def _class(error: Exception) -> str:
    words = str(error).lower()
    memory = isinstance(error, MemoryError) or "not enough memory" in words or "can't allocate memory" in words
    return "out_of_memory" if memory or "out of memory" in words else "error"
