"""The type system: what must be refused, where the error points, and that one mistake is one error."""

import pytest

from anatomy.errors import Source
from anatomy.errors.printer import apply_edits, plain
from tests.language.trees import AXES, check, codes


def places(text: str) -> list[tuple[str, int, int]]:
    return [(d.code, *d.span.source.position(d.span.start)) for d in check(text)]


# sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "body", "fine"),
    [
        ("a = 3 * d, c = 4 * d", "split[a -> c]", False),
        ("a = 3 * d, c = 3 * d", "split[a -> c]", True),
        ("a = d + d, c = d", "split[a -> c]", False),
        ("a = d + d, c = 2 * d", "split[a -> c]", True),
        ("a = d * e, c = e * d", "split[a -> c]", True),
        ("a = d * d, c = d", "split[a -> c]", False),
        ("a = d * e + d, c = d * (e + 1)", "split[a -> c]", True),
        ("a = 2 * d, c = 3 * d", "split[a -> c]", False),
    ],
)
def test_sizes_are_exact_polynomials(where, body, fine):
    """A peer's checker takes `[3, d] -> [4, d]`, `n + n` for `n` and `2n` for `3n`."""
    text = AXES + f"diagram t(x: [a], _d: [d, e]) -> [c] where {where} {{ out {body}(x) }}"
    assert codes(text) == ([] if fine else ["E401"])


def test_reshape_of_three_rows_into_four():
    text = AXES + "axis k3 = 3, k4 = 4\ndiagram t(x: [d, e]) -> [c] where d = 3 {{ out merge[d, e -> c](x) }}".replace("{{", "{").replace("}}", "}")
    assert codes(text) == ["E401"]
    wrong = AXES + "diagram t(x: [a, e]) -> [c, e] where a = 3, c = 4 { y = merge[a, e -> p](x) out split[p -> c, e](y) }"
    assert "E401" in codes(wrong)


# five mistakes that a peer accepts in silence -------------------------------------------------

CALLEE = """axis n, m, h, d, e, f
diagram scores(q: [n, e], k: [m, e]) -> [n, m] { out dot[e](q, k) }
"""


@pytest.mark.parametrize(
    ("mistake", "body", "place"),
    [
        ("wrong rank", "diagram t(q: [n], k: [m, e]) -> [n, m] { out scores(q, k) }", ("E305", 3, 53)),
        ("axes in the wrong roles", "diagram t(q: [n, e], k: [m, e]) -> [m, n] { out scores(k, q) }", ("E305", 3, 56)),
        ("a typo that invents an axis", "diagram t(q: [n, e], k: [m, e]) -> [n, z] { out scores(q, k) }", ("E201", 3, 40)),
        ("a missing operand", "diagram t(q: [n, e]) -> [n, m] { out scores(q) }", ("E302", 3, 38)),
        ("sizes of different length", "diagram t(q: [n, e], k: [m, f]) -> [n, m] { out dot[e](q, k[f -> e]) }", ("E401", 3, 60)),
    ],
)  # fmt: skip
def test_five_mistakes(mistake, body, place):
    found = places(CALLEE + body)
    assert found[0] == place, mistake
    assert len({d[0] for d in found}) == 1, "no cascade"


# several errors, no cascade -------------------------------------------------------------------


def test_several_errors_in_one_run():
    text = AXES + (
        "diagram t(x: [n, d]) -> [n, d] {\n  y = softmax[e](x)\n  z = reluu(x)\n  u = y + z\n  v = sum[d](u) * 2\n  out x + w\n}\n"
        "diagram s(x: [n]) -> [n] { out tanhh(x) }"
    )
    assert places(text) == [("E306", 3, 18), ("E203", 4, 7), ("E202", 7, 11), ("E203", 9, 32)]


def test_errors_in_two_operands_are_both_found():
    assert codes(AXES + "diagram t(x: [n, d]) -> [n, d] { out sum[e](x) + relu(y) }") == ["E306", "E202"]


def test_a_call_of_a_diagram_with_errors_is_not_an_error():
    text = AXES + "diagram bad(x: [n]) -> [n] { out zz }\ndiagram t(x: [n, d]) -> [n, d] { y = bad(x) out relu(y) }\ndiagram s(x: [n, d]) -> [n, d] { out t(x) }"
    assert places(text) == [("E202", 2, 34)]


def test_an_unknown_axis_in_a_header_is_one_error():
    assert codes(AXES + "diagram t(x: [n, dd]) -> [n, d] { y = softmax[d](x) out y }") == ["E201"]


# rendering ------------------------------------------------------------------------------------


def test_needed_here_and_made_there():
    text = """axis n, m, d, h, e, f
diagram sdpa(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] {
  out dot[m](softmax[m](dot[e](q, k)), v)
}
diagram heads(q: [h, n, e], k: [h, m, e], v: [h, m, e]) -> [h, n, e] {
  simd h { out sdpa(q, k, v) }
}"""
    assert plain(check(text, "mha.anat")) == """error[E305]: `sdpa` wants axis `f` on its wire `v`
 --> mha.anat:6:27
  |
2 | diagram sdpa(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] {
  |                                    - `v` declared here
6 |   simd h { out sdpa(q, k, v) }
  |                           ^ this wire has [e, m]
  = help: bind the axis: `sdpa[f=e](...)`"""


def test_two_files_in_one_message(tmp_path):
    (tmp_path / "mine.anat").write_text("axis n, e\ndiagram total(v: [n, e]) -> [n] { out sum[e](v) }")
    (tmp_path / "main.anat").write_text('use "mine.anat" as mine\naxis n, d\ndiagram t(x: [d]) -> [d] { out mine.total(x) }')
    from anatomy.language.program import Program

    shown = plain(Program.of_file(tmp_path / "main.anat").check()).replace(str(tmp_path) + "/", "")
    assert "main.anat:3:43" in shown
    assert "::: mine.anat:2:15" in shown
    assert "`v` declared here" in shown


def test_what_cannot_be_printed_is_not_printed():
    for text in ("axis \u202en", "axis \x1b[31mn", "# \x07\naxis n, n", 'use "a\u202e\x1b[2J" as b'):
        shown = plain(check(text) if "n, n" in text or "use" in text else found(text))
        assert shown
        assert all(c.isprintable() or c == "\n" for c in shown)


def found(text):
    from anatomy.errors import AnatomyError

    with pytest.raises(AnatomyError) as caught:
        check(text)
    return caught.value.diagnostics


# fixes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("diagram t(x: [n, d]) -> [n, d] { out sofmax[d](x) }", "diagram t(x: [n, d]) -> [n, d] { out softmax[d](x) }"),
        ("diagram t(query: [n]) -> [n] { out qery }", "diagram t(query: [n]) -> [n] { out query }"),
        ("diagram t(x: [head]) -> [head] { out softmax[haed](x) }", "diagram t(x: [head]) -> [head] { out softmax[head](x) }"),
        ("diagramm t(x: [n]) -> [n] { out x }", "diagram t(x: [n]) -> [n] { out x }"),
        ("diagram t(x: [n, d]) -> [n, d] { smid n { out x } }", "diagram t(x: [n, d]) -> [n, d] { simd n { out x } }"),
        (
            "diagram s(x: [n, f]) -> [n] { out sum[f](x) } diagram t(x: [n, d]) -> [n] { out s(x) }",
            "diagram s(x: [n, f]) -> [n] { out sum[f](x) } diagram t(x: [n, d]) -> [n] { out s[f=d](x) }",
        ),
        (
            "diagram s(x: [n, f]) -> [n] { out sum[f](x) } diagram t(x: [m, d]) -> [m] { out s[n=m](x) }",
            "diagram s(x: [n, f]) -> [n] { out sum[f](x) } diagram t(x: [m, d]) -> [m] { out s[f=d, n=m](x) }",
        ),
    ],
)  # fmt: skip
def test_fixes_mend(wrong, right):
    from anatomy.errors import AnatomyError

    head = "axis n, m, d, f, head\n"
    try:
        diagnostics = check(head + wrong)
    except AnatomyError as error:
        diagnostics = error.diagnostics
    assert diagnostics
    source = Source("test.anat", head + wrong)
    assert apply_edits(source, diagnostics) == head + right
    assert check(head + right) == ()


# lints ----------------------------------------------------------------------------------------


def test_lints():
    assert codes(AXES + "diagram t(x: [n]) -> [n] { y = relu(x) out x }") == ["W201"]
    assert codes(AXES + "diagram t(x: [n], y: [n]) -> [n] { out x }") == ["W202"]
    assert codes(AXES + "diagram t(x: [n], y: [m]) -> [n, m] { out x - y }") == ["W301"]
    assert codes(AXES + "diagram t(x: [n], _y: [n]) -> [n] { _z = relu(x) out x }") == []


def test_positions_are_told_from_wires_in_a_large_diagram():
    """The lint of outer sums knows positions by how they were made, however many boxes there are."""
    steps = "\n".join(f"y{k} = relu(y{k - 1})" for k in range(1, 600))
    text = AXES + f"diagram t(y0: [n, d]) -> [n, d, m] {{\n{steps}\nw = iota[m] * 2\nout y599 + w\n}}"
    assert codes(text) == []
