"""Diagnostics: the data, the catalogue of codes, and the printers."""

from anatomy.errors.diagnostic import AnatomyError, Diagnostic, Edit, Label, Source, Span, fail

__all__ = ["AnatomyError", "Diagnostic", "Edit", "Label", "Source", "Span", "fail"]
