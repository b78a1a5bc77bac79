"""Normalisers that PyTorch has not, or not with rows that see nothing."""

NORMALISERS: dict[str, str] = {
    "masked_softmax": '''
def _masked_softmax(s, dim):
    """Softmax in which a row of -inf gives 0, with gradient 0."""
    empty = torch.isneginf(s).all(dim, keepdim=True) if isinstance(dim, int) else torch.isneginf(s.amax(dim, keepdim=True))
    s = s.masked_fill(empty, 0.0)
    p = torch.softmax(s, dim) if isinstance(dim, int) else torch.exp(s - torch.logsumexp(s, dim, keepdim=True))
    return p.masked_fill(empty, 0.0)
''',
    "masked": '''
def _masked(function, s, *rest):
    """A row of -inf gives 0, with gradient 0."""
    empty = torch.isneginf(s).all(-1, keepdim=True)
    return function(s.masked_fill(empty, 0.0), *rest).masked_fill(empty, 0.0)
''',
    "sparsemax": '''
def _sparsemax(s):
    """The projection of the last dimension onto the simplex: relu(s - t), with t between max s - 1 and max s."""
    z = (s - s.detach().amax(-1, keepdim=True)).clamp(min=-2.0)
    ordered = z.detach().sort(-1, descending=True).values
    rank = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype, device=z.device)
    count = (1 + rank * ordered > ordered.cumsum(-1)).sum(-1, keepdim=True)
    inside = z.detach() >= ordered.gather(-1, (count - 1).clamp(min=0))
    t = (torch.where(inside, z, 0.0).sum(-1, keepdim=True) - 1) / inside.sum(-1, keepdim=True)
    return torch.relu(z - t)
''',
    "entmax15": '''
def _entmax15(s):
    """relu(s / 2 - t)^2 over the last dimension, with the t that makes the sum 1."""
    z = ((s - s.detach().amax(-1, keepdim=True)) / 2).clamp(min=-2.0)
    ordered = z.detach().sort(-1, descending=True).values
    rank = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype, device=z.device)
    mean = ordered.cumsum(-1) / rank
    spread = torch.square(ordered).cumsum(-1) - rank * torch.square(mean)
    count = (mean - torch.sqrt(((1 - spread) / rank).clamp(min=0)) <= ordered).sum(-1, keepdim=True)
    inside = z.detach() >= ordered.gather(-1, (count - 1).clamp(min=0))
    count = inside.sum(-1, keepdim=True)
    mean = torch.where(inside, z, 0.0).sum(-1, keepdim=True) / count
    spread = torch.square(torch.where(inside, z - mean, 0.0)).sum(-1, keepdim=True)
    return torch.square(torch.relu(z - mean + torch.sqrt((1 - spread) / count)))
''',
    "entmax": '''
def _entmax(s, alpha, steps):
    """exp(log(1 + a (s - t)) / a), 0 where that has no logarithm, with a = alpha - 1 and the t that makes the sum 1.

    t is bisected from below without gradient; two steps of Newton give it those of the implicit function. A series stands
    for the logarithm near 1, so that a may be as small as an epsilon: there it is softmax.
    """
    eps = torch.finfo(s.dtype).eps
    a = (torch.as_tensor(alpha, dtype=s.dtype, device=s.device) - 1).clamp(min=eps)
    hidden = torch.isneginf(s)
    z = (s - s.detach().amax(-1, keepdim=True)).masked_fill(hidden, 0.0)

    def weights(z, t, a):
        y = z - t
        x = a * y
        near, out = x.abs() < eps**0.25, hidden | (x <= -1)
        series = y * (1 - x * (1 / 2 - x * (1 / 3 - x / 4)))
        log = torch.where(near, series, torch.log1p(torch.where(near | out, 0.5, x)) / a)
        return torch.where(out, 0.0, torch.exp(torch.where(out, 0.0, log))), torch.where(out, 1.0, 1 + x)

    t = torch.zeros_like(z.detach()[..., :1])
    width = torch.minimum(1 / a.detach(), torch.zeros_like(z).logsumexp(-1, keepdim=True))  # log n, where all are equal
    for _ in range(steps):
        width = width / 2
        t = torch.where(weights(z.detach(), t + width, a.detach())[0].sum(-1, keepdim=True) >= 1, t + width, t)
    for _ in range(2):
        p, rest = weights(z, t, a)
        t = t + (p.sum(-1, keepdim=True) - 1) / (p / rest).sum(-1, keepdim=True)
    return weights(z, t, a)[0]
''',
    "log_normal": '''
def _log_normal(s, dim):
    """Logarithms of weights that sum to 1 along a dimension; a slice of -inf stays one."""
    empty = torch.isneginf(s).all(dim, keepdim=True)
    return s - torch.logsumexp(s.masked_fill(empty, 0.0), dim, keepdim=True)
''',
    "sinkhorn": '''
def _sinkhorn(s, first, last, steps):
    """Sums of 1 along one dimension, then along the other, `steps` times."""
    for _ in range(steps):
        s = _log_normal(_log_normal(s, first), last)
    return torch.exp(s)
''',
}
