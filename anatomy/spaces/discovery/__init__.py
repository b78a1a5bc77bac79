"""What a space holds: the literature found again by derivation, conjectures, surprises, and what is new."""

from anatomy.spaces.discovery.discover import Discovery, discover

__all__ = ["Discovery", "discover"]
