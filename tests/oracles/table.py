"""Which entry of the zoo is checked against which module of which library: data only, it imports nothing.

`ORACLES[name]` holds the dotted paths of the second parties, each of which has a test in this folder (`test_table.py`
compares the two). `DISTRIBUTIONS` names the package that a path comes from.
"""

from __future__ import annotations

__all__ = ["DISTRIBUTIONS", "NOTES", "ORACLES", "distribution"]

ORACLES: dict[str, tuple[str, ...]] = {
    # softmax
    "sdpa": ("torch.nn.functional.scaled_dot_product_attention", "attnhut.utils.masked_softmax_attention"),
    "mha": (
        "torch.nn.MultiheadAttention",
        "transformers.models.bert.modeling_bert.BertSelfAttention",
        "attnhut.StandardAttention",
    ),
    "cross": ("torch.nn.MultiheadAttention",),
    "persistent_memory": ("x_transformers.x_transformers.Attention",),
    # mask
    "causal_mha": ("torch.nn.MultiheadAttention", "attnhut.StandardAttention"),
    "sliding_window": ("attn_gym.masks.generate_sliding_window",),
    "dilated": ("attn_gym.masks.generate_dilated_sliding_window",),
    "prefix_lm": ("attn_gym.masks.generate_prefix_lm_mask",),
    "streaming_llm": ("attn_gym.masks.global_sliding_window.generate_global_sliding_window",),
    "document": ("attn_gym.masks.generate_doc_mask_mod",),
    "learned_sink": (
        "transformers.models.gpt_oss.modeling_gpt_oss.GptOssAttention",
        "x_transformers.x_transformers.Attention",
    ),
    "selective": ("x_transformers.x_transformers.Attention",),
    "longformer": ("transformers.models.longformer.modeling_longformer.LongformerSelfAttention",),
    "block_local": ("local_attention.LocalAttention",),
    "axial": ("axial_attention.AxialAttention",),
    "indexer": ("attnhut.DeepSeekSparseAttention",),
    # heads
    "gqa": ("transformers.models.llama.modeling_llama.LlamaAttention",),
    "mqa": ("attnhut.MultiQueryAttention", "x_transformers.x_transformers.Attention"),
    "mla": ("attnhut.MultiHeadLatentAttention",),
    "talking_heads": ("x_transformers.x_transformers.Attention",),
    "differential": ("attnhut.DifferentialAttention",),
    "gated_attention": ("x_transformers.x_transformers.Attention",),
    "value_residual": ("x_transformers.x_transformers.Attention",),
    # position
    "alibi": ("x_transformers.x_transformers.AlibiPositionalBias", "attn_gym.mods.generate_alibi_bias"),
    "rope_mha": ("x_transformers.x_transformers.RotaryEmbedding", "rotary_embedding_torch.RotaryEmbedding"),
    "xpos": ("x_transformers.x_transformers.RotaryEmbedding",),
    "cope": ("x_transformers.x_transformers.CoPE",),
    "forgetting": ("fla.ops.forgetting_attn.naive.naive_forgetting_attn",),
    "t5_bias": ("transformers.models.t5.modeling_t5.T5Attention",),
    "shaw": ("transformers.models.wav2vec2_bert.modeling_wav2vec2_bert.Wav2Vec2BertSelfAttention",),
    "transformer_xl": (
        "transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer.Wav2Vec2ConformerSelfAttention",
    ),
    "deberta": ("transformers.models.deberta.modeling_deberta.DisentangledSelfAttention",),
    # score
    "cosine": ("x_transformers.x_transformers.Attention",),
    "l2": ("x_transformers.x_transformers.Attention",),
    "qk_layernorm": ("transformers.models.cohere.modeling_cohere.CohereAttention",),
    "qk_rmsnorm": ("transformers.models.qwen3.modeling_qwen3.Qwen3Attention",),
    "softcap": ("transformers.models.gemma2.modeling_gemma2.Gemma2Attention",),
    "luong_dot": ("torchnlp.nn.attention.Attention",),
    "luong_general": ("torchnlp.nn.attention.Attention",),
    "gat": ("torch_geometric.nn.conv.gat_conv.GATConv",),
    "bahdanau": ("openspeech.modules.additive_attention.AdditiveAttention",),
    "two_simplicial": ("simplicial_attention.simplicial_attention.naive_two_simplicial_attend",),
    # normaliser
    "sigmoid_attention": ("x_transformers.x_transformers.Attention",),
    "softmax_one": ("torch.nn.MultiheadAttention", "x_transformers.x_transformers.Attention"),
    "cog": ("x_transformers.x_transformers.Attention",),
    "inverted": ("x_transformers.x_transformers.Attention",),
    "laser": ("x_transformers.x_transformers.Attention",),
    "relu_attention": ("x_transformers.x_transformers.Attention",),
    "topk_attention": ("x_transformers.x_transformers.Attention",),
    "sparsemax_attention": ("entmax.sparsemax",),
    "entmax_attention": ("entmax.entmax15",),
    "stick_breaking": ("fla.ops.stickbreaking_attn.naive.naive_stickbreaking_attn",),
    "sinkformer": ("fla.ops.utils.sinkhorn.naive.naive_sinkhorn",),
    "rela": ("rela_transformer.rela_transformer.ReLA",),
    "hard": ("x_transformers.attend.one_hot_straight_through",),
    "gumbel": ("torch.nn.functional.gumbel_softmax",),
    # kernel
    "linear": (
        "performer_pytorch.performer_pytorch.linear_attention",
        "fla.ops.linear_attn.naive.naive_recurrent_linear_attn",
    ),
    "efficient": ("linear_attention_transformer.linear_attention_transformer.linear_attn",),
    "causal_linear": (
        "performer_pytorch.performer_pytorch.causal_linear_attention_noncuda",
        "fla.ops.linear_attn.naive.naive_recurrent_linear_attn",
    ),
    "performer": ("performer_pytorch.performer_pytorch.softmax_kernel",),
    "based": ("fla.ops.based.naive.naive_parallel_based",),
    "rebased": ("fla.ops.rebased.naive.naive_parallel_rebased",),
    "linformer": ("linformer.LinformerSelfAttention",),
    "agent": ("agent_attention_pytorch.AgentSelfAttention",),
    "nystromformer": ("transformers.models.nystromformer.modeling_nystromformer.NystromformerSelfAttention",),
    # recurrent
    "linear_recurrent": ("performer_pytorch.performer_pytorch.causal_linear_attention_noncuda",),
    "retention": ("fla.ops.retention.naive.naive_retention",),
    "retention_recurrent": ("fla.ops.retention.naive.naive_retention",),
    "gla": ("fla.ops.gla.naive.naive_recurrent_gla",),
    "lightning": ("fla.ops.simple_gla.naive.naive_recurrent_simple_gla",),
    "rwkv": ("transformers.models.rwkv.modeling_rwkv.RwkvSelfAttention",),
    "ssd": ("transformers.models.mamba2.modeling_mamba2.Mamba2Mixer",),
    "mamba": ("transformers.models.mamba.modeling_mamba.MambaMixer",),
    "ssd_dual": ("transformers.models.mamba2.modeling_mamba2.Mamba2Mixer",),
    "delta_rule": ("fla.ops.delta_rule.naive.delta_rule_recurrence",),
    "gated_delta": ("fla.ops.gated_delta_rule.naive.naive_recurrent_gated_delta_rule",),
    "kda": ("fla.ops.kda.naive.naive_recurrent_kda",),
    "abc": ("fla.ops.abc.naive.naive_recurrent_abc",),
    "gsa": ("fla.ops.gsa.naive.naive_recurrent_gsa",),
    "hgrn2": ("fla.ops.gla.naive.naive_recurrent_gla",),
    "location_sensitive": ("openspeech.modules.location_aware_attention.LocationAwareAttention",),
    # mixing
    "mixer": ("mlp_mixer_pytorch.mlp_mixer_pytorch.PreNormResidual",),
    "fnet": ("transformers.models.fnet.modeling_fnet.FNetBasicFourierTransform",),
    "aft_full": ("aft_pytorch.AFTFull",),
    "aft_simple": ("aft_pytorch.AFTSimple",),
    "aft_local": ("aft_pytorch.AFTLocal",),
    "gmlp": ("g_mlp_pytorch.g_mlp_pytorch.gMLPBlock",),
    "pooling": ("transformers.models.poolformer.modeling_poolformer.PoolFormerPooling",),
    # pooling
    "sab": ("torch_geometric.nn.aggr.utils.SetAttentionBlock",),
    "isab": ("torch_geometric.nn.aggr.utils.InducedSetAttentionBlock",),
    "pma": ("torch_geometric.nn.aggr.utils.PoolingByMultiheadAttention",),
    "perceiver": ("transformers.models.perceiver.modeling_perceiver.PerceiverLayer",),
    "slot": ("attnhut.SlotAttention",),
    "lambda_layer": ("lambda_networks.LambdaLayer",),
}

NOTES = {
    "axial": "without the biases of queries, keys and values",
    "deberta": "with a table that is the same for j - i and i - j, which the code takes for each other",
    "gumbel": "the normaliser, with the same noise",
    "hard": "the normaliser's values, without gradients",
    "l2": "the core; the tied maps around it are ours",
    "lambda_layer": "with position weights that depend on the offset only",
    "linformer": "with one map for all heads",
    "luong_dot": "the attention weights",
    "luong_general": "the attention weights",
    "mamba": "with the discretisation of the authors' code in the place of the paper's",
    "rela": "for one head, as the other party's norm is in every head",
    "relu_attention": "all but the normaliser, which is handed to the other party",
    "shaw": "the keys' table; that of the values is zero",
    "value_residual": "with the mix fixed at one half",
}
"""What a comparison leaves out, where it is not the whole mechanism; masks are compared forwards only."""

DISTRIBUTIONS = {
    "aft_pytorch": "aft-pytorch",
    "agent_attention_pytorch": "agent-attention-pytorch",
    "attn_gym": "attn-gym",
    "attnhut": "attnhut",
    "axial_attention": "axial-attention",
    "entmax": "entmax",
    "fla": "fla-core",
    "g_mlp_pytorch": "g-mlp-pytorch",
    "lambda_networks": "lambda-networks",
    "linear_attention_transformer": "linear-attention-transformer",
    "linformer": "linformer",
    "local_attention": "local-attention",
    "mlp_mixer_pytorch": "mlp-mixer-pytorch",
    "openspeech": "openspeech-core",
    "performer_pytorch": "performer-pytorch",
    "rela_transformer": "rela-transformer",
    "rotary_embedding_torch": "rotary-embedding-torch",
    "simplicial_attention": "simplicial-attention",
    "torch": "torch",
    "torch_geometric": "torch-geometric",
    "torchnlp": "pytorch-nlp",
    "transformers": "transformers",
    "x_transformers": "x-transformers",
}


def distribution(path: str) -> str:
    """The package that installs the module or class at a dotted path: what `pip install` calls it.

    >>> distribution("x_transformers.x_transformers.Attention")
    'x-transformers'
    """
    return DISTRIBUTIONS[path.partition(".")[0]]
