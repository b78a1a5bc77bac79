"""A set takes different values, not different components: one component with a decision of its own gives several."""

import pytest
from space_texts import program

from anatomy.errors import AnatomyError
from anatomy.spaces import Space

TEXT = """axis n
diagram a(x: [n]) -> [n] {{ hole f(x: [n]) -> [n] hole g(x: [n]) -> [n] out f(x) + g(x) }}
diagram outer(x: [n]) -> [n] {{ hole h(x: [n]) -> [n] out tanh(h(x)) }}
diagram p(x: [n]) -> [n] {{ out exp(x) }}
diagram q(x: [n]) -> [n] {{ out sin(x) }}
space s of a {{ choose f, g in set of {{ outer {{ choose h in {{ {} }} }} }} }}
"""


def test_values_count() -> None:
    definition = program(TEXT.format("p, q")).space("s")
    assert definition is not None
    space = Space(definition)
    assert [space.choices(i) for i in range(space.count)] == [{"f": "outer(p)", "g": "outer(q)"}]


def test_too_few_values() -> None:
    definition = program(TEXT.format("p")).space("s")
    assert definition is not None
    with pytest.raises(AnatomyError, match="E604"):
        Space(definition)
