"""Controls take part in every sweep, whatever the members need, and may be swept alone."""

from pathlib import Path

import pytest

import anatomy.sweep as sweep
from anatomy.errors import AnatomyError

HEADS = """
axis n, m = n, d, h, e
diagram layer(x: [n, d]) -> [n, d] where d = h * e {
  hole weigh(s: [m]) -> [m]
  z = x[n -> m]
  q = lin Wq[d -> h, e](x)
  k = lin Wk[d -> h, e](z)
  v = lin Wv[d -> h, e](z)
  simd h, n, m { s = dot[e](q, k) }
  r = causal[m <= n](s)
  simd h, n {
    w = weigh(r)
    y = dot[m](w, v)
  }
  out lin Wo[h, e -> d](y)
}
diagram softmaxed(s: [m]) -> [m] { out softmax[m](s) }
space heads of layer { choose weigh in { softmaxed } }
"""


@pytest.fixture
def heads(tmp_path: Path) -> str:
    (tmp_path / "heads.anat").write_text(HEADS, "utf-8")
    return f"{tmp_path}/heads.anat::heads"


def test_sizes_of_the_members_are_not_those_of_the_controls(heads: str, tmp_path: Path) -> None:
    found = sweep.run(heads, tmp_path / "out", ["tests.sweep.sweep_toy"], transport="inline", sizes={"h": 2}, certify=False, progress=False)
    assert (found.failed, found.rejected, found.pending) == (0, 0, 0)
    with pytest.raises(AnatomyError, match="an axis of no member"):
        sweep.plan(heads, ["tests.sweep.sweep_toy"], sizes={"g": 2}, progress=False)


def test_the_controls_may_be_swept_alone(heads: str, tmp_path: Path) -> None:
    found = sweep.run(heads, tmp_path / "out", ["tests.sweep.sweep_toy"], transport="inline", sample=0, seeds=2, progress=False)
    assert (found.variants, found.failed, found.pending) == (3, 0, 0)
    assert (tmp_path / "out" / "report.html").exists()
    assert "baseline" in (tmp_path / "out" / "table.csv").read_text("utf-8")
