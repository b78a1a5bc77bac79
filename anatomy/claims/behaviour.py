"""What a compiled mechanism does: leaks from the future, permutations, lengths. Each finding comes with a witness."""

from __future__ import annotations

from anatomy.claims.trial import Trial, same

SEEDS = 3
LEAST = 1e-9
"""Smaller changes are rounding."""


def leak(trial: Trial) -> str:
    """How an output looks at the future, or '' when no perturbation of later positions reaches it.

    Later positions of every input are replaced, earlier outputs compared. Positions are those of the first axis
    that an output shares with the tokens of an input; an input whose tokens are counted by other axes may be read
    whole, and counts as a look at everything.
    """
    import torch

    axis = position_axis(trial)
    if axis is None:
        return "no output has the positions of an input"
    strangers = [trial.diagram.inputs[k].name for k in _asked(trial) if axis not in trial.diagram.inputs[k].layout]
    if strangers:
        return f"input `{strangers[0]}` has positions of its own"
    others = [a for a in trial.token_axes if a != axis and trial.diagram.sizes[a] == trial.diagram.sizes[axis]]
    if others:
        return f"positions are counted by `{axis}` and by `{others[0]}`"
    length = trial.sizes[axis]
    for seed in range(SEEDS):
        scale = (1.0, 4.0, 0.25)[seed % 3]
        xs, fresh = trial.inputs(seed, scale), trial.inputs(seed + 100, 3 * scale)
        before = trial.run(xs)
        for t in range(length - 1):
            keep = torch.arange(length) <= t
            moved = []
            for item, x, y in zip(trial.diagram.inputs, xs, fresh, strict=True):
                if axis in item.layout:
                    shape = [1] * x.dim()
                    shape[item.layout.index(axis)] = length
                    x = torch.where(keep.reshape(shape), x, y)
                moved.append(x)
            after = trial.run(moved)
            for out, a, b in zip(trial.diagram.outputs, before, after, strict=True):
                if axis not in out.layout:
                    if not same(a, b, LEAST):
                        return f"an output without positions reads position {t + 1}"
                    continue
                at = out.layout.index(axis)
                a, b = a.narrow(at, 0, t + 1), b.narrow(at, 0, t + 1)
                if not same(a, b, LEAST):
                    change = (a.nan_to_num() - b.nan_to_num()).abs().amax()
                    return f"outputs up to position {t} change by {change.item():.3g} when inputs after it do"
    return ""


def position_axis(trial: Trial) -> str | None:
    """The axis that counts positions: the first of an output that an input has as a token axis."""
    shared = (a for o in trial.diagram.outputs for a in o.layout if a in trial.token_axes)
    return next(shared, None)


def _asked(trial: Trial) -> list[int]:
    """The inputs that have tokens."""
    return [k for k, i in enumerate(trial.diagram.inputs) if any(a in trial.token_axes for a in i.layout)]


def moved_by_permutation(trial: Trial) -> str:
    """How a permutation of tokens shows, or '' when permuting inputs permutes the outputs alike."""
    import torch

    for seed in range(SEEDS):
        xs = trial.inputs(seed)
        plain = trial.run(xs)
        for axis in trial.token_axes:
            g = torch.Generator().manual_seed(seed + 7)
            order = torch.randperm(trial.sizes[axis], generator=g)
            if (order == torch.arange(len(order))).all():
                order = order.roll(1)
            moved = trial.run([_along(x, i.layout, axis, order) for x, i in zip(xs, trial.diagram.inputs, strict=True)])
            for out, a, b in zip(trial.diagram.outputs, plain, moved, strict=True):
                want = _along(a, out.layout, axis, order)
                if not same(b, want, LEAST):
                    change = (b.nan_to_num() - want.nan_to_num()).abs().max().item()
                    return f"permuting `{axis}` changes more than the order, by {change:.3g}"
    return ""


def _along(x, layout, axis, order):  # type: ignore[no-untyped-def]
    return x.index_select(layout.index(axis), order) if axis in layout else x


def lengths(trial: Trial, grown: tuple[str, ...]) -> str:
    """Why one set of weights does not serve another length, or '' when it was run at two lengths."""
    from anatomy.errors import AnatomyError

    fixed = {k: v for k, v in trial.chosen.items() if k not in trial.counts or k not in (*grown, *trial.token_axes)}
    try:
        net = trial.at(fixed)
        longer = {k: 2 * v if k in grown else v for k, v in trial.chosen.items()}
        for at in (trial.sizes, trial.sized(longer)):
            found = trial.run(trial.inputs(0, 1.0, at), net)
            for out, y in zip(trial.diagram.outputs, found, strict=True):
                if list(y.shape) != [at[a] for a in out.layout]:
                    return f"at another length the output has shape {list(y.shape)}"
    except (AnatomyError, ValueError) as error:
        return str(error.diagnostics[0].message if isinstance(error, AnatomyError) else error)
    return ""
