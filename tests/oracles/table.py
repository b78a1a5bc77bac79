"""Which entry of the zoo is checked against which module of which library: data only, it imports nothing.

`ORACLES[name]` holds the dotted paths of the second parties, each of which has a test in this folder (`test_table.py`
compares the two). `DISTRIBUTIONS` names the package that a path comes from.
"""

from __future__ import annotations

__all__ = ["DISTRIBUTIONS", "ORACLES", "distribution"]

ORACLES: dict[str, tuple[str, ...]] = {
    # softmax
    "sdpa": ("torch.nn.functional.scaled_dot_product_attention", "attnhut.utils.masked_softmax_attention"),
    "mha": ("torch.nn.MultiheadAttention", "transformers.models.bert.modeling_bert.BertSelfAttention", "attnhut.StandardAttention"),
    "cross": ("torch.nn.MultiheadAttention",),
    # mask
    "causal_mha": ("torch.nn.MultiheadAttention", "attnhut.StandardAttention"),
    # heads
    "gqa": ("transformers.models.llama.modeling_llama.LlamaAttention",),
    # position
    "alibi": ("x_transformers.x_transformers.AlibiPositionalBias", "attn_gym.mods.generate_alibi_bias"),
    # score
    "cosine": ("x_transformers.x_transformers.Attention",),
    "l2": ("x_transformers.x_transformers.Attention",),
    # normaliser
    "sigmoid_attention": ("x_transformers.x_transformers.Attention",),
    # kernel
    "linear": (
        "performer_pytorch.performer_pytorch.linear_attention",
        "fla.ops.linear_attn.naive.naive_recurrent_linear_attn",
    ),
    "efficient": ("linear_attention_transformer.linear_attention_transformer.linear_attn",),
    # mixing
    "mixer": ("mlp_mixer_pytorch.mlp_mixer_pytorch.PreNormResidual",),
    "fnet": ("transformers.models.fnet.modeling_fnet.FNetBasicFourierTransform",),
}

DISTRIBUTIONS = {
    "attn_gym": "attn-gym",
    "attnhut": "attnhut",
    "fla": "fla-core",
    "linear_attention_transformer": "linear-attention-transformer",
    "mlp_mixer_pytorch": "mlp-mixer-pytorch",
    "performer_pytorch": "performer-pytorch",
    "torch": "torch",
    "transformers": "transformers",
    "x_transformers": "x-transformers",
}


def distribution(path: str) -> str:
    """The package that installs the module or class at a dotted path: what `pip install` calls it.

    >>> distribution("x_transformers.x_transformers.Attention")
    'x-transformers'
    """
    return DISTRIBUTIONS[path.partition(".")[0]]
