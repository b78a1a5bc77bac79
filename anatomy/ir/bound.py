"""Placeholder for the vocabulary of regularity."""

from __future__ import annotations


class Bound: ...


class BoundContext: ...
