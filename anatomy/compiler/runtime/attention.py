"""What stands round a call of the fused kernel."""

ATTENTION: dict[str, str] = {
    "beside": '''
def _beside(k, bias):
    """Keys with one feature more: their bias."""
    return torch.cat((k, bias.expand(*k.shape[:-1], 1)), -1)
''',
    "precise": '''
def _precise(bias):
    """A bias by position, which half precision cannot hold."""
    if bias.dtype not in (torch.float32, torch.float64):
        raise ValueError("positions as features need float32 or float64: compile without the pass `attention`")
    return bias
''',
    "sink": '''
def _sink(k, logit):
    """One key more in front, and one feature more by which it has a score."""
    first = F.pad(logit.expand(*k.shape[:-2], 1, 1), (k.shape[-1], 0))
    return torch.cat((first, F.pad(k, (0, 1))), -2)
''',
    "places": '''
def _places(n, m, seen, block, before, after, step=1, first=0, columns=None, head=0, sink=0, device=None):
    """For `_window`: the keys of each block of queries, which of them each query sees, and what the first `head` queries see.

    A block's keys lie together: its own places, so many before and so many behind them, seen or not there at all. Then come the
    `first` ones, or, of every period, the columns from one place to another, that are not among them. With a step, blocks are of
    every so manieth place; block 0 is all of these. `seen(i, j)` says whether query i sees key j. In front of the keys are
    `sink` more, which all see. Where blocks are no gain, the whole mask is given.
    """
    rows, keys = -(-n // step), -(-m // step)
    span = before + block + after if block else keys
    few = span + first + (-(-m // columns[0]) * (columns[2] - columns[1]) if columns else 0)
    places, queries = torch.arange(m, device=device), torch.arange(n, device=device)[:, None]
    if torch.compiler.is_exporting() or m <= 2 * few + 64:  # an export is to be right for all lengths
        return places, F.pad(seen(queries, places), (sink, 0), value=True), queries
    block = block or rows
    start = torch.arange(0, rows, block, device=device)[:, None, None]
    rest = torch.arange(step, device=device)[:, None, None, None]
    i = ((start + torch.arange(block, device=device)[:, None]) * step + rest).flatten(0, 1)
    j = ((start - before + torch.arange(span, device=device)) * step + rest).flatten(0, 1)
    mask = seen(i, j) & (j >= 0) & (j < m)
    if first or columns:
        period, low, high = columns or (m, 0, first)
        far = (torch.arange(0, m, period, device=device)[:, None] + torch.arange(low, high, device=device)).flatten()
        apart = (far < j[..., :1]) | (far > j[..., -1:])
        mask = torch.cat((seen(i, far) & apart & (far < m), mask), -1)
        j = torch.cat((far.expand(*j.shape[:-1], -1), j), -1)
    all_keys = F.pad(seen(queries[:head], places), (sink, 0), value=True)
    return F.pad(j.flatten(1).clamp(0, m - 1) + sink, (sink, 0)), F.pad(mask, (sink, 0), value=True), all_keys
''',
    "window": '''
def _window(q, k, v, mask, scale, before=0, places=None, step=1, head=None):
    """Attention in which the queries of block b read the keys at `places[b]`, or from `before` places before it on, where `mask[b]` says so.

    The first queries read all keys as `head` says.
    """
    if mask.dim() == 2:  # no blocks
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
    (count, block, span), n = mask.shape, q.shape[2]
    rows = count // step * block
    queries = F.pad(q, (0, 0, 0, rows * step - n)).unflatten(2, (rows, step)).transpose(2, 3).flatten(2, 3)
    queries = queries.unflatten(2, (count, block)).flatten(0, 1)
    if places is None:
        pad = (0, 0, before, rows - block + span - before - k.shape[2])
        keys, values = (F.pad(x, pad).flatten(0, 1).unfold(1, span, block).mT for x in (k, v))
    else:
        keys, values = (x.index_select(2, places.flatten()).unflatten(2, places.shape).flatten(0, 1) for x in (k, v))
    y = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask[None], scale=scale)
    y = y.unflatten(0, q.shape[:2]).flatten(2, 3).unflatten(2, (step, rows)).transpose(2, 3).flatten(2, 3)[:, :, :n]
    if head is not None:
        first = F.scaled_dot_product_attention(q[:, :, : len(head)], k, v, attn_mask=head, scale=scale)
        y = torch.cat((first, y[:, :, len(head) :]), 2)
    return y
''',
}
