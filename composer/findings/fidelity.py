"""Can a small run speak for a large one, and can a metric tell arms apart at all?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from composer.errors import FindingsError
from composer.findings.checked import item_values, rounding
from composer.findings.statistics import CORRECTIONS, LEVEL, NO_VARIANCE, ONE_ITEM, ONE_SEED, Correction, Items
from composer.findings.trend import EXACT_SIZES, orders

Arms = Mapping[str, Mapping[int, NDArray[np.float64]]]  # arm → seed → (n_items,)

Noisiness = Literal["comparable", "too noisy", "cannot tell"]
Order = Literal["same order", "reversed order", "cannot tell"]

FEWEST_ARMS = 4  # with fewer, no order of ranks is rare enough
FEW_ARMS = f"fewer than {FEWEST_ARMS} common arms"
ONE_ARM = "one arm"
NO_COMMON_SEED = "no seed that all arms have"
ALL_EQUAL = "all scores are equal"


@dataclass(frozen=True)
class Agreement:
    """Whether arms come in the same order at two fidelities, such as two model sizes.

    Both orders are as measured: noise in either lowers the agreement. Arms whose scores have the reliabilities r and s
    (see `Signal`) cannot be expected to correlate by more than √(r·s).

    Attributes:
        arms: Arms that both fidelities have.
        spearman: Spearman's (1904) rank correlation, mid-ranks for ties; None for the reason in `reason`.
        low: Lower end of its interval, over arms like these.
        high: Upper end.
        p: Two-sided p-value that the orders have nothing to do with each other.
        p_corrected: `p` after the correction over the family.
        verdict: `same order` or `reversed order` where `p_corrected` is below 1 − level, by the sign; of tendency,
            which the interval measures. Else `cannot tell`.
        reason: Why there is no correlation, or None.
    """

    arms: int
    spearman: float | None
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None
    verdict: Order
    reason: str | None


@dataclass(frozen=True)
class Signal:
    """How far arms differ on one metric, against the noise of their means over seeds.

    Attributes:
        arms: Arms.
        seeds: Seeds that all of them have; the others are left out.
        signal_sd: Standard deviation of the arms' true scores; 0 where the noise explains all.
        noise_sd: Standard deviation of the noise of one arm's mean over these seeds, beside what a seed does to all
            arms alike; on random items the draw of the items is in it. None for the reason in `reason`.
        ratio: `signal_sd` over `noise_sd`.
        low: Lower end of the ratio's interval, at least 0.
        high: Upper end.
        reliability: Share of the variance of measured arm means that is signal, ratio² / (1 + ratio²).
        p: p-value of the F test that all arms score alike. It screens a metric, and is not corrected.
        verdict: `comparable` where `p` is below 1 − level, else `too noisy`, or `cannot tell` where there is no `p`.
        reason: Why the metric is not comparable, in a sentence; None where it is.
    """

    arms: int
    seeds: tuple[int, ...]
    signal_sd: float | None
    noise_sd: float | None
    ratio: float | None
    low: float | None
    high: float | None
    reliability: float | None
    p: float | None
    verdict: Noisiness
    reason: str | None


def rank_agreements(
    small: Mapping[str, Mapping[str, float]],
    large: Mapping[str, Mapping[str, float]],
    level: float = LEVEL,
    correction: Correction = "holm",
) -> dict[str, Agreement]:
    """The agreement on every benchmark that both fidelities have, corrected for being several.

    The interval is Fisher's with the standard error of Bonett and Wright (2000). The p-value is that of all orders for
    up to seven arms, and of Student's t beyond.

    Args:
        small: Benchmark → arm → score at the lower fidelity.
        large: Likewise at the higher.
        level: Coverage of each interval, for its benchmark alone.
        correction: How the p-values are corrected.

    Raises:
        FindingsError: A score is not a finite number.
    """
    found = {name: _agreement(name, small[name], large[name], level) for name in small if name in large}
    corrected = CORRECTIONS[correction]([one.p for one in found.values()])
    judged = {}
    for (name, one), p in zip(found.items(), corrected, strict=True):
        verdict: Order = "cannot tell"
        if p is not None and p < 1 - level and one.spearman is not None:
            verdict = "same order" if one.spearman > 0 else "reversed order"
        judged[name] = replace(one, p_corrected=p, verdict=verdict)
    return judged


def _agreement(name: str, small: Mapping[str, float], large: Mapping[str, float], level: float) -> Agreement:
    from scipy.special import ndtri, stdtr
    from scipy.stats import rankdata

    arms = sorted(small.keys() & large.keys())
    for arm in arms:
        if not (np.isfinite(small[arm]) and np.isfinite(large[arm])):
            raise FindingsError(
                f"rank agreement on {name}: arm {arm} has the scores {small[arm]} and {large[arm]}, of which one is "
                "not a finite number: leave the arm out or score it again"
            )
    n = len(arms)
    if n < FEWEST_ARMS:
        return Agreement(n, None, None, None, None, None, "cannot tell", FEW_ARMS)
    ours, theirs = (2 * rankdata([of[arm] for arm in arms]) - n - 1 for of in (small, large))
    spread = float((ours @ ours) * (theirs @ theirs)) ** 0.5
    if not spread:
        return Agreement(n, None, None, None, None, None, "cannot tell", ALL_EQUAL)
    rho = float(ours @ theirs) / spread
    # A perfect order of few arms is no proof of perfect agreement: half a step of the statistic is left.
    most = 1 - 6 / (n**3 - n)
    z = np.arctanh(np.clip(rho, -most, most))
    half = float(ndtri((1 + level) / 2)) * ((1 + rho**2 / 2) / (n - 3)) ** 0.5
    if n <= EXACT_SIZES:
        p = float((np.abs(theirs[orders(n)] @ ours) >= abs(ours @ theirs) - 1e-9).mean())
    else:
        p = float(2 * stdtr(n - 2, -abs(rho) * ((n - 2) / max(1 - rho**2, 1e-300)) ** 0.5))
    return Agreement(n, rho, float(np.tanh(z - half)), float(np.tanh(z + half)), p, None, "cannot tell", None)


def signal_to_noise(name: str, values: Arms, items: Items = "fixed", level: float = LEVEL) -> Signal:
    """Whether a metric can tell these arms apart: an analysis of variance of arms × seeds (× items).

    Arms are compared on common seeds, so that what a seed does to all arms is no noise. On random items, the draw of
    the items is noise too; the variances are put together with Satterthwaite's (1946) degrees of freedom. With one seed
    the noise between seeds is unknown: a metric can be `too noisy` by its items alone, but never `comparable`.

    Args:
        name: The metric, for messages.
        values: Arm → seed → item values, the same items in all.
        items: Whether arms are compared on these items, or on items like these.
        level: Coverage of the ratio's interval.

    Raises:
        FindingsError: A value is not a finite number, or runs have different items.
    """
    table, seeds = _table(name, values)
    arms = len(values)

    def untold(reason: str) -> Signal:
        return Signal(arms, seeds, None, None, None, None, None, None, None, "cannot tell", reason)

    if arms < 2:
        return untold(ONE_ARM)
    if not seeds:
        return untold(NO_COMMON_SEED)
    score = table.mean(axis=2)
    if np.ptp(score) <= rounding(score):
        return untold(ALL_EQUAL)
    if items == "random" and table.shape[2] == 1:
        return untold(ONE_ITEM)
    if len(seeds) == 1 and items == "fixed":
        return untold(ONE_SEED)
    noise, df = _noise(table, items)
    if noise <= rounding(score) ** 2:
        return untold(ONE_SEED if len(seeds) == 1 else NO_VARIANCE)
    signal = _signal(score, noise, df, seeds, level)
    return untold(ONE_SEED) if len(seeds) == 1 and signal.verdict == "comparable" else signal


def _table(name: str, values: Arms) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """(n_arms, n_seeds, n_items) values on the seeds that all arms have, and these seeds."""
    common = sorted(set.intersection(*(set(of) for of in values.values()))) if values else []
    n_items: int | None = None
    rows = []
    for arm, of in values.items():
        checked = {}
        for seed in sorted(of):
            checked[seed] = item_values(f"metric {name}, arm {arm}, seed {seed}", of[seed], n_items)
            n_items = checked[seed].size
        rows.append([checked[seed] for seed in common])
    return np.array(rows), tuple(common)


def _noise(table: NDArray[np.float64], items: Items) -> tuple[float, float]:
    """The variance of one arm's mean over seeds (and items), beside what all arms share; and its degrees of freedom."""
    arms, seeds, n_items = table.shape
    own = table - table.mean(axis=0)  # what seeds and items do to all arms is taken off
    own = own - own.mean(axis=(1, 2), keepdims=True)
    of_seed, of_item = own.mean(axis=2, keepdims=True), own.mean(axis=1, keepdims=True)
    left = own - of_seed - of_item
    freedom = (arms - 1) * np.array([seeds - 1, n_items - 1, (seeds - 1) * (n_items - 1)])
    # Each is the variance of an arm's mean that its mean square stands for.
    squares = np.array([(of_seed**2).sum() / seeds, (of_item**2).sum() / n_items, (left**2).sum() / (seeds * n_items)])
    with np.errstate(invalid="ignore", divide="ignore"):
        seed, item, residual = np.where(freedom > 0, squares / freedom, 0.0)
    if items == "fixed":
        return float(seed), float(freedom[0])
    kept = max(seed + item - residual, seed, item)
    parts = [(value, df) for value, df in zip((seed, item, residual), freedom, strict=True) if df > 0]
    return float(kept), float(max(1.0, kept**2 / max(sum(value**2 / df for value, df in parts), 1e-300)))


def _signal(score: NDArray[np.float64], noise: float, df: float, seeds: tuple[int, ...], level: float) -> Signal:
    from scipy.special import fdtrc, fdtri

    arms, means = len(score), score.mean(axis=1)
    f = float(means.var(ddof=1)) / noise
    p = float(fdtrc(arms - 1, df, f))
    low, high = (
        max(0.0, f / float(fdtri(arms - 1, df, tail)) - 1) ** 0.5 for tail in ((1 + level) / 2, (1 - level) / 2)
    )
    share = max(0.0, 1 - 1 / f)
    reason = None
    if p >= 1 - level:
        many = f"{len(seeds)} seeds" if len(seeds) > 1 else "one seed"
        reason = (
            f"the means of {arms} arms over {many} differ by {means.std(ddof=1):.3g} (standard deviation), "
            f"and noise alone makes them differ by {noise**0.5:.3g}: no arm can be told from another"
        )
    return Signal(
        arms=arms,
        seeds=seeds,
        signal_sd=(share * f * noise) ** 0.5,
        noise_sd=noise**0.5,
        ratio=(share * f) ** 0.5,
        low=low,
        high=high,
        reliability=share,
        p=p,
        verdict="comparable" if reason is None else "too noisy",
        reason=reason,
    )
