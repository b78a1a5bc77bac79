"""What a module needs of itself: the sizes of its inputs, kept tables, and draws."""

MODULE: dict[str, str] = {
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
    "gumbel": '''
def _gumbel(shape, dtype, device):
    """Independent standard Gumbel numbers: -log(-log u), u uniform and kept off 0 and 1."""
    info = torch.finfo(dtype)
    u = torch.rand(shape, dtype=dtype, device=device).clamp(info.tiny, 1 - info.eps)
    return -torch.log(-torch.log(u))
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
