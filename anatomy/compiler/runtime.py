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
    "shift": '''
def _shift(x, dim, by):
    """Entries moved `by` places along a dimension, 0 where nothing comes from."""
    size = x.shape[dim]
    if abs(by) > 4096:  # a comparison with the size would fix a free length in torch.export
        by = max(-size, min(size, by))
    pad = [0, 0] * (x.dim() - 1 - dim % x.dim()) + [max(by, 0), max(-by, 0)]
    return torch.nn.functional.pad(x, pad).narrow(dim, max(-by, 0), size)
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
    "generator": '''
def _generator(seed, key):
    """Every weight is drawn from its own stream, so that adding one changes no other."""
    digest = hashlib.blake2b(f"{seed}/{key}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
''',
}
