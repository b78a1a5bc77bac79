"""The report of a sweep: `report.html`, one file that needs no network, and `report.md` for terminals and issues."""

from anatomy.sweep.reports.markdown import markdown
from anatomy.sweep.reports.material import Material
from anatomy.sweep.reports.page import page
from anatomy.sweep.reports.write import gather, write

__all__ = ["Material", "gather", "markdown", "page", "write"]
