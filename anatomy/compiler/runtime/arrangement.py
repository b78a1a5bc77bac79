"""Entries moved, chosen, turned and put side by side."""

ARRANGEMENT: dict[str, str] = {
    "taps": '''
def _taps(w, x, dim, back, step):
    """The sum over c of w[..., c] times the entry of x that is c - back steps further along a dimension (counted from the last), 0 outside."""
    count, pad = w.shape[-1], [0, 0] * (-1 - dim)
    size, x = x.shape[dim], torch.nn.functional.pad(x, (*pad, back * step, (count - 1 - back) * step))
    y = w[..., 0] * x.narrow(dim, 0, size)
    for c in range(1, count):
        y = torch.addcmul(y, w[..., c], x.narrow(dim, c * step, size))
    return y
''',
    "turned": '''
def _turned(x, turn):
    """Pairs (a, b) in the last dimension times pairs (c, s): (a c - b s, b c + a s)."""
    traced = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
    if traced or x.dtype != turn.dtype or x.dtype not in (torch.float32, torch.float64):
        (a, b), (c, s) = x.unbind(-1), turn.unbind(-1)
        return torch.stack((a * c - b * s, b * c + a * s), -1)
    if x.stride(-1) != 1 or x.storage_offset() % 2 or any(step % 2 for step in x.stride()[:-1]):
        x = x.clone(memory_format=torch.contiguous_format)
    return torch.view_as_real(torch.view_as_complex(x) * torch.view_as_complex(turn))
''',
    "linear": '''
def _linear(x, w, bias, summed, zipped=0):
    """bias[z, columns] + the sum over s of x[z, rows, s] w[z, s, columns], for `zipped` dimensions z and `summed` dimensions s."""
    z, rows, columns = w.shape[:zipped], x.shape[zipped : x.dim() - summed], w.shape[zipped + summed :]
    size = w.shape[zipped : zipped + summed].numel()
    if not zipped:
        x, w = x.reshape(-1, size), w.reshape(size, -1)
        y = torch.mm(x, w) if bias is None else torch.addmm(bias.reshape(-1), x, w)
    else:
        x, w = x.reshape(z.numel(), -1, size), w.reshape(z.numel(), size, -1)
        y = torch.bmm(x, w) if bias is None else torch.baddbmm(bias.reshape(z.numel(), 1, -1), x, w)
    return y.view(z + rows + columns)
''',
    "unfold": '''
def _unfold(x, dim, count, back, step):
    """For every position the `count` entries from `back` steps before it on, as a last dimension; 0 outside."""
    before, after = list(x.shape), list(x.shape)
    before[dim], after[dim] = back * step, (count - 1 - back) * step
    x = torch.cat((x.new_zeros(before), x, x.new_zeros(after)), dim)
    return x.unfold(dim, (count - 1) * step + 1, 1)[..., ::step]
''',
    "shift": '''
def _shift(x, dim, by):
    """Entries moved `by` places along a dimension, 0 where nothing comes from."""
    size = x.shape[dim]
    if abs(by) > 4096:  # a comparison with the size would fix a free length in torch.export
        by = max(-size, min(size, by))
    pad = [0, 0] * (x.dim() - 1 - dim % x.dim()) + [max(by, 0), max(-by, 0)]
    return torch.nn.functional.pad(x, pad).narrow(dim, max(-by, 0), size)
''',
    "gather": '''
def _gather(x, index, shared):
    """x[shared, m, rest] at m = index[shared, new] as [shared, new, rest]."""
    new, rest = index.shape[shared:], x.shape[shared + 1 :]
    if shared == 0:
        return x.index_select(0, index.reshape(-1)).reshape((*new, *rest))
    index = index.long().flatten(shared) if new else index.long().unsqueeze(-1)
    index = index.reshape(*index.shape, *(1 for _ in rest)).expand(*index.shape, *rest)
    return torch.gather(x, shared, index).reshape(*x.shape[:shared], *new, *rest)
''',
    "greatest": '''
def _greatest(x, dim, count, axis):
    """The greatest entries along a dimension, descending."""
    if count > x.shape[dim]:
        raise ValueError(f"`topk` cannot take {count} of the {x.shape[dim]} entries of `{axis}`")
    return torch.topk(x, count, dim).values
''',
    "topk": '''
def _topk(x, dim, count, axis):
    """The greatest entries along a dimension, descending, and where they are; ties go to the lowest position."""
    if count > x.shape[dim]:
        raise ValueError(f"`topk` cannot take {count} of the {x.shape[dim]} entries of `{axis}`")
    values, places = torch.sort(x, dim=dim, descending=True, stable=True)
    return values.narrow(dim, 0, count), places.narrow(dim, 0, count)
''',
}
