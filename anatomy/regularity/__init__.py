"""Verdicts and sound bounds on how far an attention variant can move its outputs when its inputs move."""

from anatomy.regularity.verdict import Norm, Regularity, Verdict, check

__all__ = ["Norm", "Regularity", "Verdict", "check"]
