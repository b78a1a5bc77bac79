"""Why we are slower where we are: what was found by reading the source and timing it, by case and by whom it is against."""

from __future__ import annotations

REASONS: dict[tuple[str, str | None], str] = {
    ("persistent_memory", None): "scores of tokens and of the memory are put side by side once they are computed, where an expert puts keys side by side and calls the kernel",
    ("causal core with a softcap", "as written through torch.compile, patterns off"): "Inductor writes one loop for scale, cap, mask and softmax; eager source has a pass over n x n numbers for each",
    ("inverted", None): "the sums over keys take absolute values and divide n x n weights; an expert knows that they are positive, and divides the n x e output",
    ("topk_attention", None): "ties go to the lowest position, for which whole rows are sorted stably; theirs selects, and cuts ties anyhow",
    ("aft_full", None): "n x n x d numbers in a softmax that is right at any size; theirs exponentiates keys and positions apart, without taking off a maximum, so that n x n and n x d numbers do, and overflows for large ones",
    ("mha", "einsum through torch.compile, patterns off"): "at n = 512 projections are two thirds of the work, and Inductor fuses what is between",
    ("nystromformer", None): "our landmarks are means by a matrix of n x p weights and the inverse starts from each matrix's own norm; theirs reshapes and takes one norm of the batch",
    ("agent", None): "our agents are pooled from the queries, theirs are learned and need no pooling",
}


def reason(case: str, against: str, least: float) -> str:
    """What is known of a loss whose least ratio of a round is given."""
    known = REASONS.get((case, against)) or REASONS.get((case, None))
    return known or ("in some rounds we are no slower, so it may be noise" if least <= 1.0 else "not looked into")
