"""The parser: the stored tables are those of the grammar, and the loop reads what Lark reads."""

import json
import random

import pytest
from lark import Lark, Tree
from lark import Token as LarkToken

from anatomy.errors import AnatomyError, Source
from anatomy.language import lalr
from anatomy.language.build import RULES, shift
from anatomy.language.parse import parse
from tests.language.trees import SAMPLE, data, program


def test_the_stored_tables_are_those_of_the_grammar():
    """After a change of the grammar: `python -m anatomy.language.lalr`."""
    assert lalr.TABLES.read_text("utf-8") == lalr.written(lalr.make(lalr.grammar_text()))


def test_tables_that_do_not_fit_are_made_anew(monkeypatch, tmp_path):
    stored = json.loads(lalr.TABLES.read_text("utf-8"))
    stored["grammar"] += 1
    (tmp_path / "tables.json").write_text(json.dumps(stored))
    monkeypatch.setattr(lalr, "TABLES", tmp_path / "tables.json")
    assert lalr.tables.__wrapped__() == lalr.tables()


@pytest.fixture(scope="module")
def lark():
    return Lark(lalr.grammar_text(), parser="lalr", keep_all_tokens=True, maybe_placeholders=False)


def folded(tree):
    """A tree of Lark by the rules of the parser."""
    if isinstance(tree, LarkToken):
        return shift(lalr.Token(tree.type, str(tree), tree.start_pos, tree.end_pos))
    assert isinstance(tree, Tree)
    return RULES[str(tree.data)]([folded(child) for child in tree.children])


def test_reads_what_lark_reads(lark):
    rng = random.Random(0)
    for text in [SAMPLE, *(program(rng) for _ in range(60))]:
        assert data(parse(Source("a.anat", text)).items) == data(tuple(folded(lark.parse(text)))), text


def test_refuses_what_lark_refuses(lark):
    """Texts with one token taken out or two swapped: both parsers agree whether they are in the language."""
    rng = random.Random(1)
    refused = 0
    for _ in range(150):
        words = program(rng).split(" ")
        k = rng.randrange(len(words) - 1)
        words[k : k + 2] = rng.choice([[words[k]], [words[k + 1], words[k]]])
        text = " ".join(words)
        try:
            tree = lark.parse(text)
            names = {str(t) for t in tree.scan_values(lambda t: t.type == "NAME")}
            accepted = not names & lalr.tables().words.keys()
        except Exception:
            accepted = False
        try:
            parse(Source("a.anat", text))
            assert accepted, text
        except AnatomyError:
            assert not accepted, text
            refused += 1
    assert refused > 20


def test_lark_is_not_loaded_to_check_a_file():
    import subprocess
    import sys

    code = "import sys; from anatomy.language.program import Program; from anatomy.errors import Source; "
    code += "Program.of(Source('a', 'axis n')).check(); print([m for m in ('lark', 'torch') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
