"""The generator: spaces counted exactly, addressed by rank, filled, and deduplicated by canonical form."""

from anatomy.language.filling import fill
from anatomy.spaces.enumeration import Enumeration
from anatomy.spaces.funnel import Alias, Class, Funnel
from anatomy.spaces.member import Member
from anatomy.spaces.permutation import Permutation
from anatomy.spaces.space import Space

__all__ = ["Alias", "Class", "Enumeration", "Funnel", "Member", "Permutation", "Space", "fill"]
