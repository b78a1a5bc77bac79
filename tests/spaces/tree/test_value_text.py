"""Values to text and back, and text that is no value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anatomy.errors import AnatomyError
from anatomy.spaces.tree.value import Value

NAMES = st.from_regex(r"[a-z][a-z0-9_.]{0,8}", fullmatch=True) | st.sampled_from(["none", "2", "true", "cosine.score", "1/2"])
EDGES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=4).map(tuple)
VALUES = st.recursive(
    st.builds(Value, NAMES), lambda inner: st.builds(Value, NAMES, st.lists(inner, max_size=3).map(tuple), EDGES), max_leaves=12
)


@given(VALUES)
def test_text_and_back(value: Value) -> None:
    assert Value.parse(str(value)) == value
    assert Value.parse(f"  {str(value).replace(',', ' ,  ')} ") == value


@given(st.text(alphabet="ab(),[]>0 1\n", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = Value.parse(text)
    except AnatomyError as error:
        codes = [d.code for d in error.diagnostics]
    else:
        codes = ["E632"] if Value.parse(str(value)) == value else []
    assert codes == ["E632"]


@pytest.mark.parametrize(
    "text", ["", " ", "(", ")", "a(", "a)", "a(b", "a(b))", "a b", "a(,)", "a()b", "a[0>1", "a[]", "a[0]", "a[0>1][0>1]", "[0>1]", ",",
             "a(b,)", "a(" * 10_000, "a(" * 500 + "b" + ")" * 500, "x" * 200_000, "a[99999>1]"],
)  # fmt: skip
def test_what_is_refused(text: str) -> None:
    with pytest.raises(AnatomyError, match="E632"):
        Value.parse(text)
