"""Loops for all steps at once, and in chunks."""

RECURRENCES: dict[str, str] = {
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
    k = k.expand(*torch.broadcast_shapes(k.shape[:-2], a.shape[:-2]), -1, -1)
    q = q.expand(*torch.broadcast_shapes(q.shape[:-2], a.shape[:-2]), -1, -1)
    w, q, keep = (q * k).sum(-1)[..., None, None], q * a, a
    while h < k.shape[-2]:
        (q0, q1), (k0, k1), (w0, w1) = (x.unflatten(d, (-1, 2, *e)).unbind(d - len(e)) for x, d, e in ((q, -2, (h,)), (k, -2, (h,)), (w, -3, ())))
        a0, a1 = keep.unflatten(-2, (-1, 2, 1)).unbind(-3)
        w = torch.cat((F.pad(w0, (0, h)), torch.cat((q1 @ k0.mT, w1), -1)), -2)
        q, k = (torch.stack(pair, -3).flatten(-4, -2) for pair in ((q0, q1 * a0), (k0 * a1, k1)))
        keep, h = (a0 * a1).squeeze(-2), 2 * h
    return w.squeeze(-3)[..., :n, :n], q[..., :n, :], k[..., :n, :], keep.mT
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
        u = u.expand(*torch.broadcast_shapes(u.shape[:-2], up.shape[:-2]), -1, -1)
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
}
