"""Verdicts and sound bounds on how far an attention variant can move its outputs when its inputs move."""
