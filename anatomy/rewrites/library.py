"""The laws that come with the library: `rules.anat`, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from anatomy.errors import AnatomyError
from anatomy.language import syntax as s
from anatomy.language.program import Program, Rule

RULES = Path(__file__).with_name("rules.anat")
"""The file of the laws."""


@cache
def library() -> tuple[Rule, ...]:
    """The rules of the library, in the order of their file; `verify` says how each is known.

    Read once. Raises AnatomyError with the diagnostics of the file where it has errors.

    >>> from anatomy.rewrites.library import library
    >>> [rule.name for rule in library()][:3]
    ['add_zero', 'sub_zero', 'mul_one']
    """
    program = Program.of_file(RULES)
    found = [program.rule(name) for name in program.names(s.RuleDecl)]
    errors = [d for d in program.diagnostics() if d.severity == "error"]
    if errors:
        raise AnatomyError(*errors)
    return tuple(rule for rule in found if rule is not None)


def law(name: str) -> Rule:
    """The rule of the library with that name. Raises KeyError where there is none.

    >>> law("softmax_add").relation
    '=='
    """
    return _by_name()[name]


@cache
def _by_name() -> dict[str, Rule]:
    return {rule.name: rule for rule in library()}
