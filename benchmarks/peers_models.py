"""How the attention classes of transformers are found, told apart and built from configurations, without weights."""

from __future__ import annotations

import importlib
import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peers_build import D, E, H, Mechanism, N, fitting, where
from peers_source import computes, fingerprint, method, top
from peers_trial import Call, Inputs, run
from torch import nn

SMALL: dict[str, Any] = {
    "hidden_size": D, "d_model": D, "n_embd": D, "dim": D, "embed_dim": D, "emb_dim": D, "num_attention_heads": H, "n_head": H, "n_heads": H, "num_heads": H,
    "num_key_value_heads": 2, "head_dim": E, "intermediate_size": 64, "num_hidden_layers": 2, "vocab_size": 64, "all_head_size": D, "encoder_attention_heads": H,
    "decoder_attention_heads": H, "attention_probs_dropout_prob": 0.0, "attention_dropout": 0.0, "dropout": 0.0, "max_position_embeddings": 64,
    "qk_rope_head_dim": E, "qk_nope_head_dim": E, "qk_head_dim": 2 * E, "v_head_dim": E, "kv_lora_rank": 16, "q_lora_rank": 16,
    "layer_idx": 0, "layer_id": 0, "layer_number": 0,
}  # fmt: skip
STATES = ("hidden_states", "x", "hidden_state", "query_states", "inputs", "encoder_hidden_states", "query", "key", "value", "queries", "keys", "values")
NOTHING = ("attention_mask", "past_key_values", "layer_past", "head_mask", "output_attentions", "alibi", "cu_seqlens")


def given(name: str, width: int, rotary: int) -> Callable[[int], Any]:
    """What a required argument of `forward` is given, by its name. Raises KeyError for another name."""
    made: dict[str, Callable[[int], Any]] = {
        **dict.fromkeys(STATES, lambda b: torch.randn(b, N, width)),
        **dict.fromkeys(NOTHING, lambda _: None),
        "position_embeddings": lambda b: (torch.randn(b, N, rotary), torch.randn(b, N, rotary)),
        "position_ids": lambda b: torch.arange(N).expand(b, N),
    }
    return made[name]


def transformers() -> list[Mechanism]:
    """Classes called Attention, Attn, Mixer or DeltaNet whose `forward`, with what it calls in its file, multiplies or takes a softmax."""
    alike: dict[str, list[tuple[str, Path]]] = {}
    for path in sorted((where("transformers") / "models").glob("*/modeling_*.py")):
        for name, s in top(path).items():
            if re.search("Attention|Attn|Mixer|DeltaNet", name) and method(s, "forward") and computes(path, name):
                alike.setdefault(fingerprint(path, name), []).append((name, path))
    first = [(members[0], tuple(n for n, _ in members[1:])) for members in alike.values()]
    return [Mechanism(n, p, n, partial(from_config, p, n), rest) for (n, p), rest in first]


def configurations(home: Any, annotation: Any) -> Iterator[Any]:
    """Configurations of small sizes: of the annotated class, else of those that the file names; with all of `SMALL`, else as it is."""
    kind = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    kind = kind.split("|")[0].strip().strip("\"'")
    others = sorted(n for n in vars(home) if n.endswith("Config") and not n.startswith("PreTrained"))
    for of in (vars(home)[n] for n in dict.fromkeys((kind, *others)) if n in vars(home)):
        for pool in (SMALL, {}):
            try:
                plain = of()
                yield of(**{k: v for k, v in pool.items() if hasattr(plain, k)})
            except Exception:
                continue


def from_config(path: Path, name: str) -> tuple[nn.Module, Inputs]:
    """The class with the first configuration, and inputs by the names of the arguments of `forward`, with which it runs."""
    home = importlib.import_module(f"transformers.models.{path.parent.name}.{path.stem}")
    c = getattr(home, name)
    asked = inspect.signature(c.__init__).parameters
    takes = [
        p.name
        for p in inspect.signature(c.forward).parameters.values()
        if p.name != "self" and p.kind is p.POSITIONAL_OR_KEYWORD and (p.default is p.empty or p.name == "position_embeddings")
    ]
    wanted = configurations(home, asked["config"].annotation) if "config" in asked else iter([None])
    failed: Exception = TypeError("no configuration")
    for config, rotary in itertools.product(wanted, (E, E // 2)):
        try:
            if config is not None:
                config._attn_implementation = "eager"
            net = c(**fitting(c.__init__, {**SMALL, "config": config}))
            for p in net.parameters():
                nn.init.normal_(p, std=1 / 6)
            width = getattr(config, "hidden_size", D) or D
            makers = {k: given(k, width, rotary) for k in takes}
            bound = {k: None for k, m in makers.items() if m(1) is None}
            free = [k for k in makers if k not in bound]
            keyed = Call(net, free, bound).eval()
            run(keyed, tuple(makers[k](2) for k in free))
        except Exception as error:
            failed = error
            continue
        return keyed, lambda b, makers=makers, free=free: tuple(makers[k](b) for k in free)
    raise failed
