"""The functions that a generated module may need, as the text that is written into it."""

from anatomy.compiler.runtime.arrangement import ARRANGEMENT
from anatomy.compiler.runtime.attention import ATTENTION
from anatomy.compiler.runtime.module import MODULE
from anatomy.compiler.runtime.normalisers import NORMALISERS
from anatomy.compiler.runtime.recurrences import RECURRENCES

FUNCTIONS: dict[str, str] = {**NORMALISERS, **ATTENTION, **RECURRENCES, **ARRANGEMENT, **MODULE}
