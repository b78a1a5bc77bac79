"""Texts that nobody writes, each with the code of its refusal; run as a program it checks them in bounded memory."""

from __future__ import annotations

import json
import resource
import sys

from anatomy.errors import AnatomyError, Source
from anatomy.language.format import format_text
from anatomy.language.program import Program

HEAD = "axis n, m = n, d, e, a, b\n"


def body(text: str) -> str:
    return HEAD + f"diagram t(x: [n, d]) -> [n, d] {{ {text} }}"


def sized(where: str, axes: int = 60) -> str:
    names = ", ".join(f"a{k}" for k in range(axes))
    return f"axis n, m, {names}\ndiagram t(x: [n]) -> [n] where {where} {{ out x }}"


MANY = ", ".join(f"a{k}" for k in range(200))
SQUARES = ", ".join(f"a{k} = a{k - 1} * a{k - 1}" for k in range(1, 60))

TEXTS: dict[str, tuple[str, str]] = {
    "a line of a megabyte": ("a" * 1_000_000, "E103"),
    "10,000 brackets": (body("out " + "(\n" * 10_000 + "x" + ")\n" * 10_000), "E104"),
    "10,000 square brackets": (body("out x" + "[\n" * 10_000 + "]\n" * 10_000), "E104"),
    "10,000 boxes in boxes": (body("simd n {\n" * 10_000 + "out x" + "}\n" * 10_000), "E104"),
    "50,000 terms": (body("out " + " +\n".join(["x"] * 50_000)), "E104"),
    "many signs": (body("out " + "- " * 9_000 + "x"), "E104"),
    "many negations": (body("out " + "not " * 4_000 + "x"), "E104"),
    "many renamings": (body("out x" + "[n -> m][m -> n]\n" * 5_000), "E104"),
    "a tower of powers": (body("out " + "x ^ " * 3_000 + "x"), "E104"),
    "a long polynomial": (sized("n = " + "+\n".join(["m"] * 5_000)), "E104"),
    "a deep rule": (HEAD + "rule r(x: [n]): " + "-" * 5_000 + "x == x", "E104"),
    "400,000 axes": ("axis " + ",\n".join(f"a{k}" for k in range(400_000)), "E103"),
    "a million axes": ("axis " + ",\n".join(f"a{k}" for k in range(1_000_000)), "E103"),
    "a diagram that calls itself": (body("out t(x)"), "E206"),
    "a circle of 3,000 calls": ("axis n\n" + "".join(f"diagram d{k}(x: [n]) -> [n] {{ out d{(k + 1) % 3000}(x) }}\n" for k in range(3000)), "E206"),
    "a chain of 3,000 calls": ("axis n\n" + "".join(f"diagram d{k}(x: [n]) -> [n] {{ out d{k + 1}(x) + x }}\n" for k in range(3000)) + "diagram d3000(x: [n]) -> [n] { out x }", "E502"),
    "2^40 boxes": ("axis n\ndiagram d0(x: [n]) -> [n] { out x + x }\n" + "".join(f"diagram d{k}(x: [n]) -> [n] {{ out d{k - 1}(d{k - 1}(x)) }}\n" for k in range(1, 41)), "E502"),
    "2^40 members": ("axis n\ndiagram f0(x: [n]) -> [n] { out x }\n" + "".join(f"family f{k} = {{ f{k - 1}, f{k - 1} }}\n" for k in range(1, 41)), "E204"),
    "a family in itself": ("axis n\nfamily f = { g }\nfamily g = { f }", "E206"),
    "5,000 mistakes": (body("\n".join(f"y{k} = reluu(zz{k})" for k in range(5_000)) + "\nout x"), "E203"),
    "5,000 unknown axes": ("axis n\n" + "\n".join(f"diagram d{k}(x: [nn{k}]) -> [n] {{ out x }}" for k in range(5_000)), "E201"),
    "a size of 0": ("axis n = 0", "E405"),
    "a negative size": ("axis n = -3", "E405"),
    "a size of 10^13": ("axis n = 10000000000000", "E405"),
    "a size of 300 digits": ("axis n = " + "9" * 300, "E405"),
    "a size of 5,000 digits": ("axis n = " + "9" * 5_000, "E107"),
    "1e400": (body("out x * 1e400"), "E107"),
    "1e-400": (body("out x * 1e-400"), "E107"),
    "1e999999999": (body("out x * 1e999999999"), "E107"),
    "1e-999999999": (body("weight u: [d] ~ normal(1e-999999999) out x * u"), "E107"),
    "19,000 digits": (body("out x * " + "9" * 19_000), "E107"),
    "a product of sums": (sized("n = " + " * ".join(["(a1+a2+a3+a4+m)"] * 60)), "E408"),
    "squares of squares": (sized("a0 = n + 1, " + SQUARES), "E408"),
    "squares of squares, upside down": (sized(SQUARES + ", a0 = n + 1"), "E408"),
    "squares of squares of 3": (sized("a0 = 3, " + SQUARES), "E405"),
    "200 axes on a wire": (f"axis {MANY}\ndiagram t(x: [{MANY}]) -> [{MANY}] {{ out x * x }}", "E314"),
    "a name in another alphabet": ("axis ñ", "E101"),
    "a sign that turns the text": ("axis \u202e n", "E101"),
    "a control character": ("axis \x1b n", "E101"),
    "a zero": ("axis n\0", "E101"),
    "an open quote": ('use "mine.anat', "E101"),
}
GOOD: dict[str, str] = {
    "nothing": "",
    "white space": " \n" * 100_000,
    "4 MB of comments": ("#" + "y" * 99 + "\n") * 39_000,
    "4 MB of blanks": (" " * 19_000 + "\n") * 200,
    "5,000 diagrams": "axis n\n" + "".join(f"diagram d{k}(x: [n]) -> [n] {{ out relu(x) }}\n" for k in range(5_000)),
    "120 terms": body("out " + " + ".join(["x"] * 120)),
    "100 signs": body("out " + "- " * 100 + "x"),
    "60 calls in a call": body("out " + "relu(" * 60 + "x" + ")" * 60),
    "100 calls deep": "axis n\n" + "".join(f"diagram d{k}(x: [n]) -> [n] {{ out d{k + 1}(x) + x }}\n" for k in range(99)) + "diagram d99(x: [n]) -> [n] { out x }",
    "families of families": "axis n\ndiagram f0(x: [n]) -> [n] { out x }\n" + "".join(f"family f{k} = {{ f{k - 1} }}\n" for k in range(1, 2_000)),
    "3,000 statements": body("y0 = x\n" + "\n".join(f"y{k} = relu(y{k - 1})" for k in range(1, 3_000)) + "\nout y2999"),
}  # fmt: skip


def code(text: str) -> str:
    """The first error, or ''; formatting must not fail otherwise than checking does."""
    try:
        program = Program.of(Source("x.anat", text))
        format_text(Source("x.anat", text))
    except AnatomyError as error:
        return error.diagnostics[0].code
    errors = [d.code for d in program.check() if d.severity == "error"]
    return errors[0] if errors else ""


if __name__ == "__main__":
    limit = 1_500_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    texts = {name: text for name, (text, _) in TEXTS.items()} | GOOD
    json.dump({name: code(text) for name, text in texts.items()}, sys.stdout)
