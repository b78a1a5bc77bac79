"""Main effects of holes and interactions of pairs of them.

Effects are averages over the combinations that were swept (see `design`): how far the members with an option lie from the mean
of all options, the other holes being equal. Two questions are kept apart:

- `p`: would other seeds show no effect in these very variants? Wald F tests of the coefficients against the spread of seeds.
- `elsewhere`: would it hold in contexts that were not swept? The same tests with the variance between variants that the sum of main effects
  leaves over (lack of fit; a moment estimate) added to that of seeds. An effect that is certain for these variants may well be none elsewhere.

Intervals are of the first kind, simultaneous for all options of all holes of a task (Sidak); p values are adjusted by Holm over all tests of
the task. Where spreads differ, the degrees of freedom are those of their mean (Satterthwaite).

An interaction is what two holes do beyond the sum of their main effects, in the cells that were seen. It is estimated beside all main effects and
all other pairs; where the design cannot tell a pair from other pairs, beside the main effects alone, and marked so (`apart` is false). Shares of pairs
are what a pair adds to the others (type II), less noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from anatomy.sweep.findings import Cell, Effect, Estimate, Interaction, Level
from anatomy.sweep.statistics.design import Design, slices
from anatomy.sweep.statistics.linear import Model, model, wald
from anatomy.sweep.statistics.multiplicity import holm, sidak
from anatomy.sweep.statistics.sample import digits, estimate
from anatomy.sweep.statistics.shares import Draws, draws, shapley

WIDEST = 1200
"""Columns of the largest model that is fitted."""


@dataclass(frozen=True)
class Effects:
    main: tuple[Effect, ...] = ()
    pairs: tuple[Interaction, ...] = ()
    additive: Estimate | None = None
    confounded: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def effects(design: Design, means: np.ndarray, variances: np.ndarray, freedom: int, key: str) -> Effects:
    """All effects of a design on the means of its variants, whose variances rest on `freedom` degrees of freedom."""
    if not design.holes or freedom < 1:
        return Effects()
    columns, blocks = design.columns
    whole = model(columns, design.owner, design.variants)
    drawn = draws(design, means, variances, freedom, key)
    main, additive, beyond = _main(design, whole, blocks, drawn, means, variances, freedom, key)
    pairs, untold = _pairs(design, columns, drawn, means, variances, freedom)
    adjusted = holm([e.p for e in main] + [i.p for i in pairs])
    elsewhere = holm([e.elsewhere for e in main])
    # What holds elsewhere holds here: the wider claim is never the surer one, whatever degrees of freedom and numbers of tests say.
    wider = [None if p is None or q is None else max(p, q) for p, q in zip(adjusted, elsewhere, strict=False)]
    main = [replace(e, p=_p(p), elsewhere=_p(q)) for e, p, q in zip(main, adjusted, wider, strict=False)]
    pairs = [replace(i, p=_p(p)) for i, p in zip(pairs, adjusted[len(main) :], strict=True)]
    pairs.sort(key=lambda i: (-i.share.value, i.holes))
    confounded = (*_confounded(design, whole, blocks), *untold)
    nested = [h for h, spread, options in zip(design.holes, design.contrasts, design.options, strict=True) if spread.shape[1] < len(options) - 1]
    within = (f"No two spaces share an option of {_list(nested)}: the effects are deviations from the mean of the same space.",) if nested else ()
    return Effects(tuple(main), tuple(pairs), additive, confounded, (*within, *_words(main, pairs, additive, beyond)))


def _p(value: float | None) -> float | None:
    return None if value is None else digits(value)


def _main(
    design: Design, whole: Model, blocks: tuple[slice, ...], drawn: Draws, means: np.ndarray, variances: np.ndarray, freedom: int, key: str
) -> tuple[list[Effect], Estimate | None, float]:
    """Effects that are estimable, what they explain together, and p of the test of lack of fit."""
    fitted, covariance = whole.coefficients(means), whole.covariance(variances)
    over, left, beyond = _left_over(design, whole, means, variances, freedom)
    wider = whole.covariance(variances + over)
    squares, together = shapley(drawn, whole, blocks, key)
    open_to = [h for h, block in enumerate(blocks) if block.start < block.stop and whole.estimable(block)]
    width = sidak(sum(len(design.options[h]) for h in open_to), freedom)
    found = []
    for h in open_to:
        block, options = blocks[h], design.options[h]
        spread = design.contrasts[h]
        values = spread @ fitted[block]
        errors = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", spread, covariance[block, block], spread), 0.0))
        levels = tuple(
            Level(o, estimate(v, v - width * e, v + width * e, design.members(h, k)))
            for k, (o, v, e) in enumerate(zip(options, values, errors, strict=True))
            if spread[k].any()
        )
        share = drawn.share(squares[h], design.variants) or estimate(0.0, count=design.variants)
        p, elsewhere = wald(fitted[block], covariance[block, block], freedom), wald(fitted[block], wider[block, block], left)
        found.append(Effect(design.holes[h], levels, share, p, elsewhere))
    return found, drawn.share(together, design.variants), beyond


def _left_over(design: Design, whole: Model, means: np.ndarray, variances: np.ndarray, freedom: int) -> tuple[float, int, float]:
    """The variance between variants that the model leaves over, its degrees of freedom, and p of the test that there is none."""
    from scipy.stats import f

    weights = np.bincount(design.owner, minlength=design.variants).astype(float)
    rows = means[design.owner]
    residual = float(rows @ rows - (whole.sums @ means) @ whole.coefficients(means))
    # tr((1 - H) A diag(u) A') for u = variances and for u = 1
    seeds, ones = (
        float((weights * u).sum() - np.trace(whole.inverse @ whole.noise(u))) for u in (variances, np.ones_like(variances))
    )
    left = design.variants - whole.rank
    if left < 1 or ones <= 1e-9:
        return 0.0, 0, 1.0
    beyond = float(f.sf(residual / seeds, left, freedom)) if seeds > 0 else 1.0
    return max(0.0, (residual - seeds) / ones), left, beyond


def _confounded(design: Design, whole: Model, blocks: tuple[slice, ...]) -> list[str]:
    """What the design cannot tell apart: holes that a vector of the null space touches, with those it touches as well."""
    told: list[str] = []
    bad = [h for h, block in enumerate(blocks) if not whole.estimable(block)]
    for h in bad:
        ties = whole.null @ whole.null[blocks[h]].T
        others = [design.holes[g] for g in bad if g != h and np.abs(ties[blocks[g]]).max(initial=0.0) > 1e-6]
        told.append(f"`{design.holes[h]}` cannot be told from {_list(others) if others else 'the mean of all'}: {_why(design, h, bad)}. No effect of it is given.")
    return told


def _why(design: Design, hole: int, bad: list[int]) -> str:
    """Two options that always come together, where that is the reason."""
    for other in bad:
        for k, option in enumerate(design.options[hole]):
            here = design.codes[:, hole] == k
            for j, second in enumerate(design.options[other]):
                if other != hole and np.array_equal(here, design.codes[:, other] == j):
                    return f"`{option}` was only ever seen with `{second}` of `{design.holes[other]}`, and the other way round"
    return "their options were not swept in enough different combinations"


def _list(names: list[str]) -> str:
    quoted = [f"`{n}`" for n in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _pairs(
    design: Design, columns: np.ndarray, drawn: Draws, means: np.ndarray, variances: np.ndarray, freedom: int
) -> tuple[list[Interaction], list[str]]:
    """The interactions that the design can tell, and in words those that it cannot."""
    pairs, untold = {}, []
    for pair in combinations(range(len(design.holes)), 2):
        names = _list([design.holes[h] for h in pair])
        if len(design.options[pair[0]]) * len(design.options[pair[1]]) > WIDEST:
            untold.append(f"{names} have more pairs of options than any sweep could show; their interaction is not given.")
            continue
        built = design.pair(*pair)
        if built[0].shape[1]:
            pairs[pair] = built
    blocks = slices([found[0] for found in pairs.values()], columns.shape[1])
    full = blocks[-1].stop if blocks else 0
    every = None
    if full and full <= min(WIDEST, 2 * design.variants):
        every = model(np.hstack([columns, *(found[0] for found in pairs.values())]), design.owner, design.variants)
    ready: list[tuple[tuple[int, int], Model, slice, bool]] = []
    for (pair, (extra, _, _)), block in zip(pairs.items(), blocks, strict=True):
        if every is not None and every.estimable(block):
            ready.append((pair, every, block, True))
            continue
        names = _list([design.holes[h] for h in pair])
        if columns.shape[1] + extra.shape[1] > min(WIDEST, design.variants):
            untold.append(f"The interaction of {names} has {extra.shape[1]} degrees of freedom, more than {design.variants} variants can show.")
            continue
        alone = model(np.hstack([columns, extra]), design.owner, design.variants)
        own = slice(columns.shape[1], columns.shape[1] + extra.shape[1])
        if alone.estimable(own):
            ready.append((pair, alone, own, False))
        else:
            untold.append(f"The interaction of {names} cannot be told from the main effects of the other holes.")
    return _estimates(design, pairs, ready, drawn, means, variances, freedom), untold


def _estimates(
    design: Design, pairs: dict[tuple[int, int], tuple[np.ndarray, np.ndarray, np.ndarray]],
    ready: list[tuple[tuple[int, int], Model, slice, bool]], drawn: Draws, means: np.ndarray, variances: np.ndarray, freedom: int,
) -> list[Interaction]:  # fmt: skip
    width = sidak(sum(len(pairs[pair][2]) for pair, *_ in ready), freedom)
    solved: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    found = []
    for pair, fit, block, apart in ready:
        if id(fit) not in solved:
            solved[id(fit)] = fit.coefficients(means), fit.covariance(variances), fit.coefficients(drawn.means)
        fitted, covariance, drawings = solved[id(fit)]
        _, basis, cells = pairs[pair]
        values = basis @ fitted[block]
        errors = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", basis, covariance[block, block], basis), 0.0))
        first, second = (design.options[h] for h in pair)
        at = [(design.codes[:, pair[0]] == a) & (design.codes[:, pair[1]] == b) for a, b in cells]
        told = tuple(
            Cell(first[a], second[b], estimate(v, v - width * e, v + width * e, len(set(design.owner[here].tolist()))))
            for (a, b), v, e, here in zip(cells.tolist(), values, errors, at, strict=True)
        )
        squares = fit.explained(block, drawings) - fit.expected(block, covariance) * drawn.scales
        share = drawn.share(squares, design.variants) or estimate(0.0, count=design.variants)
        names = (design.holes[pair[0]], design.holes[pair[1]])
        found.append(Interaction(names, told, share, wald(fitted[block], covariance[block, block], freedom), apart))
    return found


def _words(main: list[Effect], pairs: list[Interaction], additive: Estimate | None, beyond: float) -> tuple[str, ...]:
    """Warnings about reading these effects."""
    found = []
    largest = max(main, key=lambda e: e.share.value, default=None)
    if additive is not None and largest is not None and beyond < 0.05 and 1 - additive.value >= largest.share.value:
        found.append(
            f"What the holes do beyond the sum of their main effects is {1 - additive.value:.0%} of the variance between variants, no less than the largest "
            f"main effect (`{largest.hole}`, {largest.share.value:.0%}): read main effects as averages over the variants of this sweep, not as what an option does anywhere."
        )
    weak = [e.hole for e in main if e.p is not None and e.p < 0.05 and (e.elsewhere is None or e.elsewhere >= 0.05)]
    if weak:
        found.append(f"The effect{'s' if len(weak) > 1 else ''} of {_list(weak)} would show again with other seeds of these variants, but var{'y' if len(weak) > 1 else 'ies'} so much with the other holes that this sweep cannot say whether {'they hold' if len(weak) > 1 else 'it holds'} in variants that were not swept.")
    mixed = [f"{_list(list(i.holes))}" for i in pairs if not i.apart]
    if mixed:
        found.append(f"The design cannot tell {len(mixed)} of {len(pairs)} interactions from other pairs ({'; '.join(mixed[:3])}{'; and others' if len(mixed) > 3 else ''}): each of these is estimated as though it were the only one.")
    few = [f"`{level.option}` of `{e.hole}`" for e in main for level in e.levels if level.effect.count < 3]
    if few:
        found.append(f"Fewer than three variants stand behind {len(few)} option{'s' if len(few) > 1 else ''} ({', '.join(few[:4])}{' and others' if len(few) > 4 else ''}): these effects are those of single variants.")
    return tuple(found)
