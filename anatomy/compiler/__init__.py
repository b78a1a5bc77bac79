"""Diagrams to standalone PyTorch source: solve sizes, rewrite the graph by passes, emit lines, assemble a module."""

from anatomy.compiler.build import build, instantiate
from anatomy.compiler.module import Generated, generate
from anatomy.compiler.passes import ALL, DIFFERENTIABLE, Note, chosen
from anatomy.ir.solve import Solution, solve

__all__ = ["ALL", "DIFFERENTIABLE", "Generated", "Note", "Solution", "build", "chosen", "generate", "instantiate", "solve"]
