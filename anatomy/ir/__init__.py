"""The core: sizes, diagrams, operations as data, canonical form, analyses."""
