"""Why we are slower where we are: what was found by reading the source and timing it, by case and by whom it is against."""

from __future__ import annotations

PASSES = "scale, cap or shift and the guard for empty rows are passes of their own over n x n numbers, which by hand go into the queries or are proved away"
REASONS: dict[tuple[str, str | None], str] = {
    ("talking_heads", None): "the mixing of heads is taken for the product of queries and keys, so that the kernel multiplies every head's values for each and 8 features are padded to 512",
    ("efficient", None): "the softmax over a query's features is taken for attention with x as queries, 512 features wide, and values padded from 64 to 512",
    ("persistent_memory", None): "scores of tokens and of the memory are put side by side once they are computed, where an expert puts keys side by side and calls the kernel",
    ("softcap", None): PASSES,
    ("causal core with a softcap", "as written"): PASSES,
    ("causal core with a softcap", "as written through torch.compile, patterns off"): "Inductor writes one loop for scale, cap, mask and softmax; eager source has a pass over n x n numbers for each",
    ("sigmoid_attention", None): PASSES,
    ("cog", None): PASSES,
    ("inverted", None): "the sums over keys divide n x n weights, by hand the n x e output",
    ("topk_attention", None): "ties go to the lowest position, for which whole rows are sorted stably; theirs selects, and cuts ties anyhow",
    ("selective", None): "the entry takes the first head's scores by a sum over heads of masked ones, and we compute it so; theirs is an index",
    ("aft_full", None): "n x n x d numbers in a softmax that is right at any size; theirs exponentiates keys and positions apart, without taking off a maximum, so that n x n and n x d numbers do, and overflows for large ones",
    ("mha", "einsum through torch.compile, patterns off"): "at n = 512 projections are two thirds of the work, and Inductor fuses what is between",
    ("nystromformer", None): "our landmarks are means by a matrix of n x p weights and the inverse starts from each matrix's own norm; theirs reshapes and takes one norm of the batch",
    ("ssd", None): "theirs computes the state's chunks in one product of all heads with shared keys and queries",
    ("agent", None): "our agents are pooled from the queries, theirs are learned and need no pooling",
}


def reason(case: str, against: str) -> str:
    return REASONS.get((case, against)) or REASONS.get((case, None)) or "not looked into"
