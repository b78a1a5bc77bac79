"""Steps by universal approximation: each law with its conditions, each refused where one is not proved; continuity against the claims of the zoo."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from anatomy.cli import main
from anatomy.errors import Source
from anatomy.language.program import Program
from anatomy.rewrites.continuity import continuity
from anatomy.rewrites.derive import Derivation, derive_all

ROOT = Path(__file__).resolve().parents[2]
ZOO = sorted((ROOT / "zoo").glob("*/*.anat"))
BASE = """axis n, m, e, f, a, b, c, z
diagram score(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] {
  hole s(q: [e], k: [e]) -> []
  out dot[m](softmax[m](s(q, k)), v)
}
diagram vaswani(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] { out dot[m](softmax[m](dot[e](q, k)), v) }
diagram key_only(q: [n, e], k: [m, e], v: [m, f]) -> [n, f] {
  hole s(k: [e]) -> []
  out dot[m](softmax[m](expand[n](s(k))), v) * sum[e](q) / sum[e](q)
}
diagram row(x: [n, e]) -> [n, f] { hole net(x: [e]) -> [f] out net(x) }
diagram linear(x: [n, e]) -> [n, f] { out lin W[e -> f, bias=false](x) }
diagram rows(x: [n, e]) -> [n, e] { hole net(x: [n, e]) -> [n, e] out net(x) }
diagram lanes(x: [n, e]) -> [n, e] { hole each(x: [e]) -> [e] out each(x) }
diagram two(x: [n, e]) -> [n, e], [n, f] { hole net(x: [e]) -> [e], [f] y, w = net(x) out y, w }
diagram pooled(x: [m, e]) -> [f] { hole pool(x: [m, e]) -> [f] out pool(x) }
diagram numbers(x: [m]) -> [f] { hole pool(x: [m]) -> [f] out pool(x) }
diagram pairs(x: [m, e], y: [m, e]) -> [f] { hole pool(x: [m, e], y: [m, e]) -> [f] out pool(x, y) }
diagram start(x: [n, e]) -> [n, e] { hole q() -> [e] out x * q() }
diagram normed(x: [m]) -> [m] { hole h(x: []) -> [] y = h(x) out y / sum[m](y) }
diagram choosing(x: [m]) -> [] { hole h(x: []) -> [] y = h(x) out sum[m](where(y == max[m](y), x, 0)) }
diagram state(x: [n, e]) -> [n, e] { hole f(s: [e], x: [e]) -> [e] scan n (s: [e] = 0) { next s = f(s, x) } now = f(s, x) out now }
"""
DEEP = "(x: [e]) -> [f] where b = e + a { hole one(x: [e]) -> [b] hole two(y: [b]) -> [f] out two(one(x)) }"
NARROW_OUT = "(x: [e]) -> [f] where b = f + a { hole one(x: [e]) -> [b] hole two(y: [b]) -> [f] out two(one(x)) }"
SETS = "(x: [m, e]) -> [f] where z = 2 * m * e + 1 { hole phi(x: [e]) -> [z] hole rho(y: [z]) -> [f] out rho(sum[m](phi(x))) }"
OF_NUMBERS = "(x: [m]) -> [f] where z = m { hole phi(x: []) -> [z] hole rho(y: [z]) -> [f] out rho(mean[m](phi(x))) }"
ADDITIVE = "{ weight u: [c] out dot[c](u, tanh(lin W[e -> c](q) + lin U[e -> c, bias=false](k))) }"


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def derived(text: str) -> Derivation:
    program = Program.of(Source("d.anat", BASE + text))
    assert not [d for d in program.check() if d.severity == "error"]
    return derive_all(program)[-1]


def there_and_back(host: str, hole: str, filler: str, law: str = "", more: str = "", after: str = "") -> Derivation:
    way = f"{law} {more}"
    return derived(f"derive d: {host} ~= {host} {{ {host} ~= ? by universal {way} fill {hole} := {filler} {after} ~= {host} by universal {more} back {hole} := {filler} }}")


@pytest.mark.parametrize(
    ("host", "hole", "filler", "law", "more", "condition"),
    [
        ("score", "s", ADDITIVE, "X2", "", "`s.c` grows|`c` grows"),
        ("row", "net", DEEP, "X3", "", "a \\+ e >= e"),
        ("row", "net", NARROW_OUT, "X3", "", "a \\+ f >= f"),
        ("two", "net", "{ hole p(x: [e]) -> [e] hole q(x: [e]) -> [f] out p(x), q(x) }", "X4", "", ""),
        ("row", "net", "{ hole g(x: [e]) -> [f] out g(tanh(x) + 1) }", "X5", "", ""),
        ("row", "net", "{ hole g(x: [e], y: [e]) -> [f] out g(cos(x), exp(-x)) }", "X5", "", ""),
        ("row", "net", "{ hole g(x: [e]) -> [f] out -2 * g(x) }", "X6", "", ""),
        ("row", "net", "{ hole g(x: [e]) -> [f] out g(x) + sum[e](x) }", "X6", "", ""),
        ("row", "net", "{ hole g(x: [e]) -> [a, f] out mean[a](g(x)) }", "X6", "", ""),
        ("start", "q", "{ weight w: [e] out w }", "X8", "", ""),
        ("row", "net", "(x: [e]) -> [f] where b = e + a { hole g(x: [b]) -> [f] out g(lin L[e -> b](x)) }", "X12", "", "a \\+ e >= e"),
        ("row", "net", "(x: [e]) -> [f] where b = f + a { hole g(x: [e]) -> [b] out lin L[b -> f](g(x)) }", "X12", "", "a \\+ f >= f"),
        ("pooled", "pool", SETS, "X13", "invariant m", "2 \\* e \\* m \\+ 1 >= 2 \\* e \\* m \\+ 1"),
        ("numbers", "pool", OF_NUMBERS, "X13", "invariant m", "m >= m"),
    ],
)
def test_what_is_an_approximator_again(host, hole, filler, law, more, condition):
    found = there_and_back(host, hole, filler, law, more)
    assert not found.diagnostics, found.diagnostics[0]
    assert found.relation == "~="
    assert found.limit
    assert all(law in line.laws and line.limit for line in found.lines)
    assert "uniformly on compact sets" in found.conditions[0]
    assert re.search(condition, "; ".join(found.conditions)), found.conditions


@pytest.mark.parametrize(
    ("host", "hole", "filler", "more", "why"),
    [
        ("score", "s", "{ weight u: [c] out dot[c](u, tanh(lin W[e -> c, bias=false](q) + lin U[e -> c, bias=false](k))) }", "", "no bias"),
        ("score", "s", "{ weight u: [c] out dot[c](u, square(lin W[e -> c](q) + lin U[e -> c, bias=false](k))) }", "", "not known to reach every value"),
        ("score", "s", "(q: [e], k: [e]) -> [] where c = e { weight u: [c] out dot[c](u, tanh(lin W[e -> c](q) + lin U[e -> c, bias=false](k))) }", "", "no hidden axis may grow"),
        ("score", "s", "{ hole one(k: [e]) -> [] out one(k) }", "", "`q` is not read \\(X7\\)"),
        ("row", "net", "{ hole one(x: [e]) -> [b] hole two(y: [b]) -> [f] out two(one(x)) }", "", "`b >= min\\(e, f\\)` is not proved \\(X3\\)"),
        ("rows", "net", "{ hole each(x: [e]) -> [e] out each(x) }", "", "each position of `n`"),
        ("row", "net", "{ hole g(x: [e]) -> [f] out g(cos(x)) }", "", "`g` does not learn enough"),
        ("row", "net", "{ hole g(x: [e]) -> [f] out exp(g(x)) }", "", "`exp` is not known to reach every value"),
        ("row", "net", "{ hole g(x: [e]) -> [f] out 0 * g(x) }", "", "not known to reach every value"),
        ("row", "net", "{ out lin W[e -> f](x) }", "", "not known to reach|not proved"),
        ("two", "net", "{ hole p(x: [e]) -> [e] y = p(x) out y, lin W[e -> f](y) }", "", "two things at once|not proved"),
        ("two", "net", "{ hole p(x: [e]) -> [e] hole q(x: [e]) -> [f] y = q(x) out p(x) + sum[f](y), y + sum[e](p(x)) }", "", "two things at once|joins what|not known"),
        ("start", "q", "{ weight w: [e] out exp(w) }", "", "`exp` is not known"),
        ("start", "q", "{ frozen weight w: [e] out w }", "", "frozen"),
        ("pooled", "pool", SETS.replace("2 * m * e + 1", "2 * m * e"), "invariant m", "`2 \\* e \\* m >= 2 \\* e \\* m \\+ 1` is not proved \\(X13\\)"),
        ("pooled", "pool", "{ hole rho(y: [e]) -> [f] out rho(sum[m](x)) }", "invariant m", "does not learn enough of `x`"),
        ("pooled", "pool", SETS, "", "does not learn enough|applied to each"),
        ("pairs", "pool", "(x: [m, e], y: [m, e]) -> [f] where z = 2 * m * e + 1 { hole p(x: [e]) -> [z] hole q(x: [e]) -> [z] hole rho(y: [z], w: [z]) -> [f] out rho(sum[m](p(x)), sum[m](q(y))) }", "invariant m", ">= f` is not proved \\(X3\\)"),
    ],
)
def test_what_is_no_approximator(host, hole, filler, more, why):
    found = there_and_back(host, hole, filler, "", more)
    (wrong,) = found.diagnostics
    assert wrong.code == "E323"
    assert re.search(why, wrong.message), wrong.message
    assert wrong.help


def test_two_results_that_are_chosen_for_each_other_are_not_two():
    """`v + w` and `w + v` are one value twice, though either sum alone may be anything."""
    text = "diagram ends(x: [n, e]) -> [n, e], [n, e] { hole q() -> [e], [e] s, t = q() out x * s, x * t }"
    filler = "{ weight v: [e] weight w: [e] out v + w, 2 * v + 2 * w }"
    found = derived(f"{text} derive d: ends ~= ends {{ ends ~= ? by universal fill q := {filler} ~= ends by universal back q := {filler} }}")
    assert "at once" in found.diagnostics[0].message
    filler = "{ weight v: [e] weight w: [e] out v + w, 2 * v }"
    found = derived(f"{text} derive d: ends ~= ends {{ ends ~= ? by universal fill q := {filler} ~= ends by universal back q := {filler} }}")
    assert "at once" in found.diagnostics[0].message, "true, but not found: the first sum is given the weight that the second needs"
    filler = "{ weight v: [e] weight w: [e] out v, v + w }"
    found = derived(f"{text} derive d: ends ~= ends {{ ends ~= ? by universal fill q := {filler} ~= ends by universal back q := {filler} }}")
    assert not found.diagnostics


@pytest.mark.parametrize(
    ("steps", "law"),
    [
        ("score >= vaswani { score >= vaswani by universal X1 fill s := dot[e](q, k) }", "X1"),
        ("rows >= lanes { rows >= lanes by universal X9 fill net := { hole each(x: [e]) -> [e] out each(x) } }", "X9"),
        ("row >= linear { row >= linear by universal X12 fill net := { out lin W[e -> f, bias=false](x) } }", "X12"),
        ("state >= lanes { state >= lanes by universal X7 fill f := { hole each(x: [e]) -> [e] out each(x) } }", "X7"),
    ],
)
def test_an_approximator_may_be_less(steps, law):
    found = derived(f"derive d: {steps}")
    assert not found.diagnostics, found.diagnostics[0]
    assert found.relation == ">="
    assert found.lines[0].laws == (law,)
    claimed = derived(f"derive d: {steps.replace('>=', '~=')}")
    assert claimed.diagnostics, "none of them goes both ways"


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("score >= vaswani { score >= vaswani by universal X7 fill s := dot[e](q, k) }", "not one by X7"),
        ("score >= vaswani { score >= vaswani by universal X99 fill s := dot[e](q, k) }", "there is no law `X99`"),
        ("linear >= linear { linear >= ? by universal fill W := { weight V: [e -> f] out V } >= linear by normal }", "has no hole `W`"),
        ("score == vaswani { score == vaswani by universal fill s := dot[e](q, k) }", "is `>=`, and this one claims `==`"),
        ("pooled >= pooled { pooled >= ? by universal invariant n fill pool := { hole r(y: [e]) -> [f] out r(sum[m](x)) } >= pooled by normal }", "has no axis `n`|different normal"),
        ("row >= linear { row >= linear by universal fill net := { out lin W[e -> f, bias=false](floor(x)) } }", "`floor`|makes another"),
    ],
)
def test_labels_that_do_not_fit(steps, message):
    (wrong,) = derived(f"derive d: {steps}").diagnostics
    assert re.search(message, wrong.message), wrong.message


def test_a_symmetric_hole_takes_symmetric_fillers():
    positions = "(x: [m, e]) -> [f] { hole r(y: [e]) -> [f] out r(sum[m](x * iota[m])) }"
    found = derived(
        f"diagram goal(x: [m, e]) -> [f] {{ hole r(y: [e]) -> [f] out r(sum[m](x * iota[m])) }}"
        f"derive d: pooled >= goal {{ pooled >= goal by universal invariant m fill pool := {positions} }}"
    )
    assert "for every order of `m`" in found.diagnostics[0].message
    assert not derived(
        f"diagram goal(x: [m, e]) -> [f] {{ hole r(y: [e]) -> [f] out r(sum[m](x * iota[m])) }}"
        f"derive d: pooled >= goal {{ pooled >= goal by universal fill pool := {positions} }}"
    ).diagnostics


@pytest.mark.parametrize("filler", ["{ out where(x > 0, x, 0) }", "{ out floor(x) }", "{ noise g: [] ~ normal(1) out x + g }"])
def test_what_jumps_fills_no_approximator(filler):
    host = "diagram one(x: [m]) -> [m] { hole h(x: []) -> [] out h(x) } "
    made = f"diagram made(x: [m]) -> [m] {{ part p(x: []) -> [] {filler} out p(x) }} "
    found = derived(f"{host}{made}derive d: one >= made {{ one >= made by universal fill h := {filler} }}")
    assert "a limit is not carried through" in found.diagnostics[0].message
    assert not derived(f"{host}{made}derive d: one >= made {{ one >= made by fill h := {filler} }}").diagnostics


def test_a_limit_is_not_carried_through_a_choice():
    found = derived("diagram made(x: [m]) -> [] { y = exp(x) out sum[m](where(y == max[m](y), x, 0)) } derive d: choosing >= made { choosing >= made by universal fill h := exp(x) }")
    assert "`where` chooses by a comparison of data" in found.diagnostics[0].message


def test_denominators_are_conditions_unless_they_are_positive():
    exp = derived("diagram made(x: [m]) -> [m] { y = exp(x) out y / sum[m](y) } derive d: normed >= made { normed >= made by universal fill h := exp(x) }")
    assert not exp.diagnostics
    assert len(exp.conditions) == 1
    tanh = derived("diagram made(x: [m]) -> [m] { y = tanh(x) out y / sum[m](y) } derive d: normed >= made { normed >= made by universal fill h := tanh(x) }")
    assert "nothing is divided by 0" in tanh.conditions


def test_one_reading_of_holes_in_one_derivation():
    text = "diagram both(x: [m]) -> [m] { hole h(x: []) -> [] hole g(x: []) -> [] out g(h(x)) } "
    text += "diagram made(x: [m]) -> [m] { out sign(exp(x)) } "
    one = derived(text + "derive d: both >= made { both >= made by fill h := exp(x), g := sign(x) }")
    assert not one.diagnostics
    mixed = derived(text + "derive d: both >= made { both >= ? by universal fill h := exp(x) >= made by fill g := sign(x) }")
    assert "another step takes holes for universal approximators" in mixed.diagnostics[0].message


REVERSED = "gather[e]({0}, index[e](size[e] - 1 - iota[e]))"


INVERTED = [
    ("g({})".format(REVERSED.format("x")), "(y: [e]) -> [e] { out " + REVERSED.format("y") + " }", "X5"),
    ("gather[f](g(x), index[f](size[f] - 1 - iota[f]))", "(y: [f]) -> [f] { out gather[f](y, index[f](size[f] - 1 - iota[f])) }", "X6"),
]


@pytest.mark.parametrize(("result", "inverse", "law"), INVERTED, ids=["X5", "X6"])
def test_an_inverse_given_as_a_diagram(result, inverse, law):
    made = f"diagram made(x: [n, e]) -> [n, f] {{ hole g(x: [e]) -> [f] out {result} }} "
    filler = f"{{ hole g(x: [e]) -> [f] out {result} }}"

    def step(after: str) -> Derivation:
        return derived(f"{made} derive d: row ~= made {{ row ~= made by universal fill net := {filler} {after} }}")

    assert "not shown to be an approximator" in step("").diagnostics[0].message
    found = step(f"inverse {inverse}")
    assert not found.diagnostics, found.diagnostics[0]
    assert law in found.lines[0].laws
    assert f"inverse {inverse}" in found.lines[0].reason
    assert "does not undo it" in step(f"inverse {inverse.replace('out ', 'out 2 * ')}").diagnostics[0].message
    assert "not continuous" in step("inverse (y: [e]) -> [e] { out floor(y) }").diagnostics[0].message


def test_the_output_is_complete(tmp_path, capsys):
    file = tmp_path / "d.anat"
    file.write_text(BASE + f"derive d: row ~= row {{ row ~= ? by universal X3 fill net := {DEEP} ~= row by universal back net := {DEEP} }}\n", "utf-8")
    assert main(["derive", str(file), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["limit"] is True
    assert [step["laws"] for step in row["steps"]] == [["X3"], ["X3"]]
    assert [step["limit"] for step in row["steps"]] == [True, True]
    assert "a + e >= e" in row["conditions"]
    assert main(["derive", str(file)]) == 0
    out = capsys.readouterr().out
    assert "universal approximation: 2 of 2 steps up to limits, uniform on compact sets" in out
    assert "(limit: X3)" in out
    assert "and a + e >= e" in out


# continuity, and why the conditions are there ----------------------------------------------------


@pytest.mark.parametrize("file", ZOO, ids=lambda f: f.stem)
def test_continuity_and_the_claims_of_the_zoo(file):
    """A mechanism that claims to jump is refused; one that is Lipschitz on bounded sets is continuous, and found to be, with one exception."""
    claim = re.search(r"lipschitz=(\w+)", file.read_text("utf-8"))
    if claim is None or claim[1] == "unknown":
        pytest.skip("no claim")
    jump = continuity(Program.of_file(file).get(file.stem)).jump
    if file.stem == "cope":
        assert jump == "`index` jumps", "it interpolates between positions, so that the jumps of `floor` cancel"
        return
    assert (jump is not None) == (claim[1] == "not_lipschitz_on_domain"), jump


def _residual(features: torch.Tensor, target: torch.Tensor) -> float:
    fitted = features @ torch.linalg.lstsq(features, target).solution
    return float((fitted - target).abs().max())


def test_additive_scores_need_a_bias_and_width():
    """Least squares on random hidden layers: with a bias an even function is approximated, better with more width; without one it is not."""
    generator = torch.Generator().manual_seed(0)
    grid = torch.cartesian_prod(torch.linspace(-1, 1, 25), torch.linspace(-1, 1, 25)).double()
    target = (grid[:, :1] * grid[:, 1:]).cos() + grid[:, :1].square()

    def layer(width: int, bias: bool) -> torch.Tensor:
        weight = 2 * torch.randn(2, width, generator=generator, dtype=torch.float64)
        shift = 2 * torch.randn(width, generator=generator, dtype=torch.float64) * bias
        return torch.tanh(grid @ weight + shift)

    wide, narrow, odd = _residual(layer(200, True), target), _residual(layer(6, True), target), _residual(layer(200, False), target)
    assert wide < 1e-3 < narrow
    assert odd > 0.9, "every combination of odd functions is 0 at 0, where the target is 1"


def test_a_narrow_product_does_not_reach_every_matrix():
    a, b = torch.randn(5, 2, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    assert torch.linalg.matrix_rank(a @ b) == 2
    text = "derive d: linear ~= made { linear ~= made by fill W := %s { weight A: [e -> b] weight B: [b -> f] out dot[b](A, B) } }"
    made = "diagram made(x: [n, e]) -> [n, f]%s { weight A: [e -> b] weight B: [b -> f] out dot[e](x, dot[b](A, B)) } "
    narrow = derived(made % "" + text % "")
    assert "`b >= min(e, f)` is not proved (X11)" in narrow.diagnostics[0].message
    wide = derived(made % " where b = f + a" + text % "() -> [e, f] where b = f + a")
    assert not wide.diagnostics, wide.diagnostics[0]
    assert (wide.relation, wide.limit, wide.conditions) == ("~=", False, ("a + f >= f",))
    below = derived((made % "" + text % "").replace("~=", ">="))
    assert not below.diagnostics


def test_one_number_less_confuses_two_sets():
    """Sums of one feature agree for {0, 2} and {1, 1}: of two numbers, two are needed, as X13 demands; the power sums of two tell them apart."""
    left, right = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 1.0])
    assert left.sum() == right.sum()
    assert left.square().sum() != right.square().sum()
    found = there_and_back("numbers", "pool", OF_NUMBERS.replace("z = m", "m = z + 1"), "", "invariant m")
    assert "is not proved (X13)" in found.diagnostics[0].message
