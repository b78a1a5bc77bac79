"""What is told of a space is what is known of it: a member that is not proved causal, a name that cannot be one."""

from __future__ import annotations

from pathlib import Path

import pytest

import anatomy
from anatomy.errors import AnatomyError

TEXT = """axis n, m = n, d
diagram layer(x: [n, d]) -> [n, d] {
  hole weigh(s: [n, m]) -> [n, m]
  z = x[n -> m]
  simd n, m { s = dot[d](x, z) }
  out dot[m](weigh(s), z)
}
diagram proved(s: [n, m]) -> [n, m] { out softmax[m](causal[m <= n](s)) }
diagram leaking(s: [n, m]) -> [n, m] { out softmax[m](s) }
diagram unproved(s: [n, m]) -> [n, m] { out elu(causal[m <= n](s)) + 1 }
space three of layer { choose weigh in { proved, leaking, unproved } }
"""


def test_three_answers(tmp_path: Path) -> None:
    file = tmp_path / "three.anat"
    file.write_text(TEXT)
    found = next(f for f in anatomy.space(f"{file}::three").funnel().filters if f.name == "causal")
    assert (found.holds, found.fails, found.unknown) == (1, 1, 1)


def test_a_space_with_a_name_that_no_space_may_have_is_told_so(tmp_path: Path) -> None:
    file = tmp_path / "three.anat"
    file.write_text(TEXT.replace("space three", "space causal"))
    with pytest.raises(AnatomyError, match="E205"):
        anatomy.space(f"{file}::causal")
