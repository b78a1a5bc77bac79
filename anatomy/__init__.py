"""Attention architectures as diagrams: write, draw, compile, compare, generate, bound and sweep them."""
