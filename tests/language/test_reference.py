"""The reference of the language: its blocks do what they say, and it leaves nothing out."""

import re
from pathlib import Path

import pytest

from anatomy.errors import Source
from anatomy.language.brackets import INITS
from anatomy.language.format import format_text
from anatomy.language.lalr import tables
from anatomy.language.program import Program
from anatomy.ops import OPS
from anatomy.rewrites.derive import derive_all
from anatomy.rewrites.statuses import verify_all
from tests.language.trees import codes

TEXT = (Path(__file__).resolve().parents[2] / "grammar" / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```anat *(\w*)\n(.*?)^```$", TEXT, re.M | re.S)


@pytest.mark.parametrize(("code", "text"), BLOCKS, ids=[f"{k}{code}" for k, (code, _) in enumerate(BLOCKS)])
def test_block(code, text):
    found = codes(text)
    if not found and "\nrule " in text:
        found = [c.diagnostic.code for c in verify_all(Program.of(Source("README.md", text))) if c.diagnostic]
    if not found and "\nderive " in text:
        found = [d.code for derivation in derive_all(Program.of(Source("README.md", text))) for d in derivation.diagnostics]
    assert found == ([code] if code else [])
    assert format_text(Source("README.md", text)) == text, "the reference is written as `fmt` writes"


def named() -> set[str]:
    """Every word in backticks outside of blocks."""
    prose = re.sub(r"^```.*?^```$", "", TEXT, flags=re.M | re.S)
    return {word for span in re.findall(r"`([^`]+)`", prose) for word in re.findall(r"[A-Za-z_]\w*|[^\s\w]+", span)} | set(re.findall(r"`([^`]+)`", prose))


def test_every_operation_keyword_and_initialiser_is_named():
    words = {word for op in OPS for word in op.names} | {"lin", "causal", "mask"} | INITS.keys()
    words |= {word for word in tables().words if word.isalpha()}
    assert words <= named(), sorted(words - named())


def test_every_limit_is_stated():
    from anatomy.ir import builder, poly
    from anatomy.language import bindings, parse, weigh

    for number in (
        parse.MAX_BYTES, parse.MAX_TOKENS, parse.MAX_LINE, parse.MAX_DEPTH, builder.MAX_AXES, weigh.MAX_NODES,
        weigh.MAX_ALL_NODES, weigh.MAX_CALLS, bindings.MAX_FOUND, poly.MAX_TERMS, poly.MAX_DEGREE,
    ):  # fmt: skip
        assert f"{number:,}" in TEXT.partition("## 13.")[2], number
