"""Theorems that are recognised on a diagram by its structure and side conditions, never by a name."""
