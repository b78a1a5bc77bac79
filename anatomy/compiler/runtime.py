"""The functions that a generated module may need, as the text that is written into it."""

FUNCTIONS: dict[str, str] = {
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
    "unfold": '''
def _unfold(x, dim, count, back, step):
    """For every position the `count` entries from `back` steps before it on, as a last dimension; 0 outside."""
    before, after = list(x.shape), list(x.shape)
    before[dim], after[dim] = back * step, (count - 1 - back) * step
    x = torch.cat((x.new_zeros(before), x, x.new_zeros(after)), dim)
    return x.unfold(dim, (count - 1) * step + 1, 1)[..., ::step]
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
    "gumbel": '''
def _gumbel(shape, dtype, device):
    """Independent standard Gumbel numbers: -log(-log u), u uniform and kept off 0 and 1."""
    info = torch.finfo(dtype)
    u = torch.rand(shape, dtype=dtype, device=device).clamp(info.tiny, 1 - info.eps)
    return -torch.log(-torch.log(u))
''',
    "topk": '''
def _topk(x, dim, count, axis):
    """The greatest entries along a dimension, descending, and where they are; ties go to the lowest position."""
    if count > x.shape[dim]:
        raise ValueError(f"`topk` cannot take {count} of the {x.shape[dim]} entries of `{axis}`")
    values, places = torch.sort(x, dim=dim, descending=True, stable=True)
    return values.narrow(dim, 0, count), places.narrow(dim, 0, count)
''',
    "axes": '''
def _axes(module, name, value, axes, sizes, where):
    """Read the sizes of an input's axes into `sizes`; refuse an input that disagrees."""
    if value.dim() != len(axes):
        raise ValueError(
            f"{module}: input `{name}` has {value.dim()} dimensions {tuple(value.shape)}, "
            f"but its axes are [{', '.join(axes)}] ({where})"
        )
    for k, axis in enumerate(axes):
        size = value.shape[k]
        if axis in sizes and sizes[axis] != size:
            raise ValueError(
                f"{module}: input `{name}` has size {size} on axis `{axis}` (dimension {k}), "
                f"but `{axis}` is {sizes[axis]} ({where})"
            )
        sizes[axis] = size
''',
    "solve": '''
def _solve(module, variable, total, slope, where):
    """The size of an axis that an equation determines."""
    if total < slope or total % slope != 0:
        raise ValueError(f"{module}: no size of `{variable}` satisfies `{where}`: {total} is not divisible by {slope}")
    return total // slope
''',
    "affine": '''
def _affine(a, u, s, dim):
    """States after each step of `s = a * s + u`: within some stretches at once, then from stretch to stretch, by products alone."""
    n = u.shape[dim]
    size = max(1, math.isqrt(n))
    pad = [0, 0] * (u.dim() - 1 - dim) + [0, -n % size]
    a, u = F.pad(a, pad, value=1.0).unflatten(dim, (-1, size)), F.pad(u, pad).unflatten(dim, (-1, size))
    factors, states = [a.select(dim + 1, 0)], [u.select(dim + 1, 0)]
    for a_t, u_t in list(zip(a.unbind(dim + 1), u.unbind(dim + 1)))[1:]:
        factors.append(a_t * factors[-1])
        states.append(a_t * states[-1] + u_t)
    before = []
    for a_t, u_t in zip(factors[-1].unbind(dim), states[-1].unbind(dim)):
        before.append(s)
        s = a_t * s + u_t
    factors, states = torch.stack(factors, dim + 1), torch.stack(states, dim + 1)
    return (states + factors * torch.stack(before, dim).unsqueeze(dim + 1)).flatten(dim, dim + 1).narrow(dim, 0, n)
''',
    "delta": '''
def _delta(a, p, u, k, s, dim, over):
    """States before the first and after each step of `s = a * s + p * c + u`, where `c` is the sum of `k * s`."""
    states = [s]
    for a_t, p_t, u_t, k_t in zip(a.unbind(dim), p.unbind(dim), u.unbind(dim), k.unbind(dim)):
        s = a_t * s + p_t * (k_t * s).sum(over, keepdim=True) + u_t
        states.append(s)
    return torch.stack(states, dim)
''',
    "recurrence": '''
def _recurrence(q, k, v, s=None, a=None, r=None, size=64):
    """`q_t S_t` for all steps, and the last `S`, of `S_t = a_t S_(t-1) + k_t u_t`, `S_0 = s`, where `u_t = v_t - r_t a_t S_(t-1)`, or `v_t` without `r`.

    Steps are the last dimension but one. Within `size` steps everything is a product of matrices; only from one such chunk
    to the next there is a state.
    """
    n, y = k.shape[-2], []
    rows = (q if r is None else torch.stack(torch.broadcast_tensors(q, r))).split(size, -2)
    keeps = rows if a is None else a.expand(*a.shape[:-2], n, -1).split(size, -2)
    for q_c, k_c, v_c, a_c in zip(rows, k.split(size, -2), v.split(size, -2), keeps):
        w, q_c, k_c, keep = _within(q_c, k_c, None if a is None else a_c)
        if r is not None:
            (w, g), (q_c, r_c) = w, q_c
            v_c = v_c if s is None else v_c - r_c @ s
            wide = torch.promote_types(g.dtype, torch.float32)  # there is no such solver in half precision
            v_c = torch.linalg.solve_triangular(g.to(wide), v_c.to(wide), upper=False, unitriangular=True).to(g.dtype)
        y.append(w @ v_c if s is None else w @ v_c + q_c @ s)
        s = k_c.mT @ v_c if s is None else keep * s + k_c.mT @ v_c
    return torch.cat(y, -2), s


def _within(q, k, a):
    """Of a chunk: what step t reads of what step j wrote, queries of the state before, keys of the state after, and how much of it stays."""
    n = k.shape[-2]
    if a is None:
        return (q @ k.mT).tril(), q, k, 1.0
    if a.shape[-1] == 1:
        d = torch.where(torch.ones(n, n, dtype=torch.bool, device=a.device).tril(-1), a, 1.0).cumprod(-2)  # the product of a_i, j < i <= t
        start = d[..., :1] * a[..., :1, :]
        return (q @ k.mT).tril() * d, q * start, k * d[..., -1:, :].mT, start[..., -1:, :]
    pad, h = (0, 0, 0, (1 << (n - 1).bit_length()) - n), 1  # a decay for every key: pairs of halves, each from the boundary between them
    q, k, a = F.pad(q, pad), F.pad(k, pad), F.pad(a, pad, value=1.0)
    w, q, keep = (q * k).sum(-1)[..., None, None], q * a, a
    while h < k.shape[-2]:
        (q0, q1), (k0, k1), (w0, w1) = (x.unflatten(d, (-1, 2, *e)).unbind(d - len(e)) for x, d, e in ((q, -2, (h,)), (k, -2, (h,)), (w, -3, ())))
        a0, a1 = keep.unflatten(-2, (-1, 2, 1)).unbind(-3)
        w = torch.cat((F.pad(w0, (0, h)), torch.cat((q1 @ k0.mT, w1), -1)), -2)
        q, k = (torch.stack(pair, -3).flatten(-4, -2) for pair in ((q0, q1 * a0), (k0 * a1, k1)))
        keep, h = (a0 * a1).squeeze(-2), 2 * h
    return w.squeeze(-3)[..., :n, :n], q[..., :n, :], k[..., :n, :], keep.mT
''',
    "Tables": '''
class _Tables(dict):
    """What depends on sizes alone, for the last few sizes; a copy of a module starts without."""

    def __reduce__(self):
        return _Tables, ()
''',
    "kept": '''
def _kept(tables, make, like, *sizes):
    """make(like, *sizes), which reads of `like` only its type and device: from the tables, unless the code is being traced."""
    traced = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or torch.jit.is_tracing()
    if traced or type(like) not in (torch.Tensor, nn.Parameter) or any(type(n) is not int for n in sizes):
        return make(like, *sizes)
    device = like.device.type
    mixed = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device)
    key = (*sizes, like.dtype, like.device, mixed)
    made = tables.get(key)
    if made is None:
        with torch.inference_mode(False), torch.no_grad():
            made = make(like, *sizes)
        if all(type(t) is torch.Tensor for t in made):
            while len(tables) >= 4:
                tables.pop(next(iter(tables)), None)
            tables[key] = made
    return made
''',
    "recurrence_of_values": '''
def _recurrence_of_values(q, k, v, a, s=None, size=64):
    """`q_t S_t` for all steps, and the last `S`, of `S_t = S_(t-1) a_t + k_t v_t`, where `a_t` has a decay for every value.

    Steps are the last dimension but one. Within a chunk the sum is taken by pairs of halves, each decayed to the boundary between them.
    """
    n, y = k.shape[-2], []
    for q_c, k_c, v_c, a_c in zip(*(x.split(size, -2) for x in (q, k, v, a.expand(*a.shape[:-2], n, -1)))):
        steps, h = k_c.shape[-2], 1
        pad = (0, 0, 0, (1 << (steps - 1).bit_length()) - steps)
        q_h, k_h, u, up = F.pad(q_c, pad), F.pad(k_c, pad), F.pad(v_c, pad), F.pad(a_c, pad, value=1.0)
        mixed, keep = (q_h * k_h).sum(-1, keepdim=True) * u, up
        while h < q_h.shape[-2]:
            (q0, q1), (k0, k1), (u0, u1), (d0, d1), (y0, y1) = (x.unflatten(-2, (-1, 2, h)).unbind(-3) for x in (q_h, k_h, u, up, mixed))
            a0, a1 = keep.unflatten(-2, (-1, 2, 1)).unbind(-3)
            pairs = ((y0, y1 + d1 * (q1 @ k0.mT @ u0)), (u0 * a1, u1), (d0, d1 * a0))
            mixed, u, up = (torch.stack(torch.broadcast_tensors(*pair), -3).flatten(-4, -2) for pair in pairs)
            keep, h = (a0 * a1).squeeze(-2), 2 * h
        out, u, up = (x[..., :steps, :] for x in (mixed, u, up))
        y.append(out if s is None else out + up * (q_c @ s))
        s = k_c.mT @ u if s is None else keep * s + k_c.mT @ u
    return torch.cat(y, -2), s
''',
    "generator": '''
def _generator(seed, key):
    """Every weight is drawn from its own stream, so that adding one changes no other."""
    digest = hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
''',
    "seeds": '''
def _seeds(seed, count):
    """The seed of every member: seed, seed + 1 and so on, or those that are given."""
    seeds = tuple(range(seed, seed + count)) if isinstance(seed, int) else tuple(seed)
    if len(seeds) != count:
        raise ValueError(f"{len(seeds)} seeds for an ensemble of {count}")
    return seeds
''',
    "orthogonal": '''
def _orthogonal(t, rows, columns, gain, g):
    """In every lane a matrix of orthonormal rows or columns, whichever are fewer, uniformly drawn, times a gain."""
    shape = (t.numel() // (rows * columns), max(rows, columns), min(rows, columns))
    q, r = torch.linalg.qr(torch.randn(shape, dtype=t.dtype, generator=g))
    q = q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None]
    return gain * (q if rows >= columns else q.mT).reshape(t.shape)
''',
    "identity": '''
def _identity(t, rows):
    """In every lane the identity matrix."""
    return torch.eye(rows, dtype=t.dtype).expand(t.numel() // rows**2, rows, rows).reshape(t.shape)
''',
}
