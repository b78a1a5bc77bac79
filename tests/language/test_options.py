"""Options of learners, and predicates spelt with `iota`."""

from __future__ import annotations

import pytest

import anatomy
from anatomy.errors import AnatomyError, Source
from anatomy.language.program import Program


def test_a_frozen_learner_is_a_buffer() -> None:
    text = "axis n, d, e diagram f(x: [n, d]) -> [n, e] { out lin W[d -> e, frozen=true, bias=false](x) }"
    net = anatomy.compile(anatomy.parse(text)["f"], {"d": 2, "e": 3})
    assert not list(net.parameters())
    assert list(net.state_dict()) == ["W"]


def test_positions_spelt_with_iota_are_causal_too() -> None:
    text = "axis n, m = n diagram f(s: [n, m]) -> [n, m] { out causal[iota[m] <= iota[n]](s) }"
    assert anatomy.parse(text)["f"].nodes[-1].op.word == "mask"


def test_an_option_of_the_square_brackets_among_the_operands() -> None:
    with pytest.raises(AnatomyError) as error:
        Program.of(Source("u.anat", "axis n, w, d diagram f(x: [n, d]) -> [n, w, d] { out unfold[n -> w](x, step=3) }")).get("f")
    assert error.value.diagnostics[0].help == "it belongs to the square brackets: `unfold[..., step=...](...)`"
