"""Diagrams to standalone PyTorch source: solve sizes, fuse contractions, emit lines, assemble a module."""

from anatomy.compiler.build import build, instantiate
from anatomy.compiler.module import Generated, generate
from anatomy.ir.solve import Solution, solve

__all__ = ["Generated", "Solution", "build", "generate", "instantiate", "solve"]
