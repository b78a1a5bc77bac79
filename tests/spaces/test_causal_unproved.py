"""What is not proved causal is only said to fail where it was seen to read later tokens."""

from __future__ import annotations

from pathlib import Path

import anatomy

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
