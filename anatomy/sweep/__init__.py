"""The sweep: check, certify and train the members of a space, with controls, a store and a report.

>>> from anatomy.sweep import plan
>>> print(plan("zoo:spaces/scores", sample=6).as_data()["members"])
6
"""

from anatomy.sweep.api import (
    Status,
    explain,
    explain_job,
    export,
    markdown,
    plan,
    query,
    report,
    resume,
    run,
    status,
    worker,
)
from anatomy.sweep.planning import Plan
from anatomy.sweep.task import Task, load_task

__all__ = ["Plan", "Status", "Task", "explain", "explain_job", "export", "load_task", "markdown", "plan", "query", "report", "resume", "run", "status", "worker"]
