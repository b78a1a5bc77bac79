"""The funnel of a space: members merged level by level, each merge with its reason, filtered and counted."""

from anatomy.spaces.funnel.classes import Alias, Class, classes
from anatomy.spaces.funnel.explanation import Explanation, explain
from anatomy.spaces.funnel.record import Filter, Funnel
from anatomy.spaces.funnel.sampling import Estimate, estimate
from anatomy.spaces.funnel.scanning import scan
from anatomy.spaces.funnel.work import Stopped

__all__ = ["Alias", "Class", "Estimate", "Explanation", "Filter", "Funnel", "Stopped", "classes", "estimate", "explain", "scan"]
