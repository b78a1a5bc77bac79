"""The sweep: check, certify and train the members of a space, with controls, a store and a report.

>>> from anatomy.sweep import plan
>>> print(plan("zoo:spaces/scores", sample=6).as_data()["members"])
6
"""

from anatomy.sweep.api import Status, export, plan, report, resume, run, status, worker
from anatomy.sweep.planning import Plan
from anatomy.sweep.task import Task, load_task

__all__ = ["Plan", "Status", "Task", "export", "load_task", "plan", "report", "resume", "run", "status", "worker"]
