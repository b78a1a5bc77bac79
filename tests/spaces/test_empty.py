"""A space without members says which conditions contradict each other."""

from pathlib import Path

import pytest

from anatomy.api import space
from anatomy.errors import AnatomyError

TEXT = """
axis d
diagram a(x: [d]) -> [d] { hole f(x: [d]) -> [d] hole g(x: [d]) -> [d] out g(f(x)) }
diagram one(x: [d]) -> [d] { out exp(x) }
diagram two(x: [d]) -> [d] { out tanh(x) }
space s of a {
  choose f in { one, two }
  choose g in { one, two }
  except f == one and g == one
  except f == g_is
}
"""


@pytest.mark.parametrize(
    ("conditions", "named", "unnamed"),
    [
        ("except f == one except f == two except g == one and f == one", ["`except f == one`", "`except f == two`"], "g == one"),
        ("except f in { one, two }", ["`except f in { one, two }`"], "and `"),
        ("except f == one or g == one except f == two and g == two", ["f == one or g == one", "f == two and g == two"], "within"),
    ],
)
def test_the_contradiction_is_named_and_nothing_else(tmp_path: Path, conditions: str, named: list[str], unnamed: str) -> None:
    file = tmp_path / "empty.anat"
    file.write_text(TEXT.replace("  except f == one and g == one\n  except f == g_is", conditions))
    with pytest.raises(AnatomyError, match="E634") as caught:
        space(file)
    message = caught.value.diagnostics[0].message
    assert all(words in message for words in named)
    assert unnamed not in message


def test_sub_spaces_may_contradict_too(tmp_path: Path) -> None:
    file = tmp_path / "empty.anat"
    file.write_text(TEXT.replace("  except f == g_is", "") + "space t = s where f == one where g == one")
    with pytest.raises(AnatomyError, match="`except f == one and g == one` and `where f == one` and `where g == one` cannot all hold"):
        space(f"{file}::t")
    assert space(f"{file}::s").count == 3
    assert space(f"{file}::s").where("f == one").where("g == one").count == 0  # in Python an empty space is a space
