"""What one run a mixture can say: the noise of a run, what categories do, which mixtures beat the median one.

Without a second seed, noise is what a law of the mixture leaves: score = Σ coefficient · share over the categories
(Scheffé's linear blending model, 1958). What the law misses is counted as noise, so that the noise is told too large
rather than too small, and what follows is careful for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from composer.errors import FindingsError
from composer.findings.checked import rounding
from composer.findings.power_law import Interval
from composer.findings.published import Swarm
from composer.findings.statistics import CORRECTIONS, LEVEL, Correction

Array = NDArray[np.float64]
Move = Literal["raises", "lowers", "cannot tell"]
Verdict = Literal["higher", "lower", "cannot tell"]

# By direction: 0, 1 and −1, which is the last.
MOVES: tuple[Move, Move, Move] = ("cannot tell", "raises", "lowers")
VERDICTS: tuple[Verdict, Verdict, Verdict] = ("cannot tell", "higher", "lower")
LOW_SHARE, HIGH_SHARE = 0.1, 0.9  # quantiles of a category's shares between which its effect is told
DRAWS, BLOCK = 20_000, 1_000  # of the best of many runs that differ by noise alone
FEW_RUNS = "no more runs than categories: nothing is left to tell noise by"
EXACT = "the law leaves no noise: scores are equal or follow from the shares"
HELD = "its share never moves apart from the others'"
ONE_RUN = "one run: its noise is not told from its mixture's effect"


@dataclass(frozen=True)
class Noise:
    """The noise of one run on one benchmark.

    Attributes:
        benchmark: The benchmark.
        runs: Runs.
        spread_sd: Standard deviation of the scores.
        noise_sd: That of what the law leaves, at most this large; None for the reason in `reason`.
        df: Its degrees of freedom.
        p_law: p-value of the F test that mixtures all score alike.
        explained: Share of the variance that the law predicts of runs left out one at a time; below 0 where the mean
            of the others predicts better.
        reason: Why there is none, or None.
    """

    benchmark: str
    runs: int
    spread_sd: float
    noise_sd: float | None
    df: int
    p_law: float | None
    explained: float | None
    reason: str | None


@dataclass(frozen=True)
class Effect:
    """What a category's share does to a benchmark, the others kept in their mean proportions.

    Attributes:
        category: The category.
        benchmark: The benchmark.
        from_share: The share that a tenth of the runs stay below.
        to_share: The share that a tenth of the runs exceed.
        effect: Change of the expected score from the one to the other.
        low: Lower end of its interval, for this effect alone; None for the reason in `reason`.
        high: Upper end.
        p: p-value that there is no effect.
        p_corrected: `p` after the correction over all categories and benchmarks that were asked for.
        verdict: `raises` or `lowers` where `p_corrected` is below 1 − level; else `cannot tell`.
        reason: Why there is no interval, or None.
    """

    category: str
    benchmark: str
    from_share: float
    to_share: float
    effect: float | None
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None
    verdict: Move
    reason: str | None


@dataclass(frozen=True)
class Difference:
    """A difference in score with its test; see `Effect` for the fields."""

    value: float
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None
    verdict: Verdict


@dataclass(frozen=True)
class OverMedian:
    """One mixture against the median one.

    Attributes:
        run: Its place among the runs.
        score: Its score.
        measured: Its score less the median score: what its own run says alone.
        fitted: Its score under the law less that of the mixture that the law puts in the middle: what all runs say
            together, where the law holds. None where there is no noise to judge by.
    """

    run: int
    score: float
    measured: Difference
    fitted: Difference | None


@dataclass(frozen=True)
class Best:
    """The best run's lead over the median one, judged as the best of many.

    Attributes:
        run: The run with the highest score.
        lead: Its score less the median one.
        noise_sd: Noise of one run; None for the reason in `reason`.
        noise_lead: The lead to be expected of so many runs that differ by this noise alone.
        noise_lead_high: The lead that noise alone exceeds with probability 1 − level.
        p_noise: Probability that noise alone leads by this much.
        corrected: The mixture's expected lead, predicted from the other runs only, so that the luck that made this run
            the best one is not in it. With its interval.
        p: p-value that this is 0.
        verdict: `higher` or `lower` where `p` is below 1 − level; else `cannot tell`.
        reason: Why there is no judgement, or None.
    """

    run: int
    lead: float
    noise_sd: float | None
    noise_lead: float | None
    noise_lead_high: float | None
    p_noise: float | None
    corrected: Interval | None
    p: float | None
    verdict: Verdict
    reason: str | None


class _Told(NamedTuple):
    """An estimate, the ends of its interval, and the p-value that it is 0."""

    value: float
    low: float
    high: float
    p: float


class _Law(NamedTuple):
    """The linear law of one benchmark; see the module's docstring."""

    coefficients: Array  # (n_categories,)
    spread: Array  # (n_categories, n_categories) their covariance over the noise's variance
    variance: float
    df: int

    def contrast(self, of: Array, level: float) -> _Told:
        """A linear combination of the coefficients."""
        return _told(
            float(of @ self.coefficients), (self.variance * float(of @ self.spread @ of)) ** 0.5, self.df, level
        )


def noise_of_runs(swarm: Swarm) -> tuple[Noise, ...]:
    """The noise of one run on every benchmark."""
    from scipy.special import fdtrc

    found = []
    for name in swarm.benchmarks:
        score = swarm.score(name)
        law, left = _law(swarm.shares, score), score - score.mean()
        total = float(left @ left)
        df = max(0, len(score) - _rank(swarm.shares))
        spread = (total / max(1, len(score) - 1)) ** 0.5
        if isinstance(law, str):
            found.append(Noise(name, len(score), spread, None, df, None, None, law))
            continue
        terms = len(score) - df - 1
        f = (total - law.variance * df) / max(1, terms) / law.variance
        leverage = np.einsum("ij,jk,ik->i", swarm.shares, law.spread, swarm.shares)
        with np.errstate(divide="ignore", invalid="ignore"):
            missed = (score - swarm.shares @ law.coefficients) / (1 - leverage)
        others = left * len(score) / (len(score) - 1)
        explained = 1 - float(missed @ missed) / float(others @ others)
        p = float(fdtrc(terms, df, max(0.0, f))) if terms else None
        kept = explained if np.isfinite(explained) else None
        found.append(Noise(name, len(score), spread, law.variance**0.5, df, p, kept, None))
    return tuple(found)


def category_effects(
    swarm: Swarm, benchmarks: Sequence[str] = (), level: float = LEVEL, correction: Correction = "holm"
) -> tuple[Effect, ...]:
    """The effect of every category on every benchmark, corrected as one family.

    Args:
        swarm: The runs.
        benchmarks: The benchmarks; all where none is named.
        level: Coverage of each interval.
        correction: How the p-values are corrected.

    Raises:
        FindingsError: A benchmark is not among the swarm's.
    """
    found = []
    mean = swarm.shares.mean(axis=0)
    seen = np.linalg.pinv(swarm.shares) @ swarm.shares
    ends = np.quantile(swarm.shares, [LOW_SHARE, HIGH_SHARE], axis=0)
    for name in benchmarks or swarm.benchmarks:
        law = _law(swarm.shares, _score(swarm, name))
        for place, category in enumerate(swarm.categories):
            start, end = (float(share) for share in ends[:, place])
            move = np.where(np.arange(len(mean)) == place, 1.0, -mean / max(1 - mean[place], 1e-300))
            # The runs tell the effect only where they move along it.
            held = end == start or float(np.abs(move - move @ seen).max()) > 1e-6
            reason = law if isinstance(law, str) else HELD if held else None
            told = None if held or isinstance(law, str) else law.contrast(move * (end - start), level)
            found.append(
                Effect(
                    category=category,
                    benchmark=name,
                    from_share=start,
                    to_share=end,
                    effect=told and told.value,
                    low=told and told.low,
                    high=told and told.high,
                    p=told and told.p,
                    p_corrected=None,
                    verdict="cannot tell",
                    reason=reason,
                )
            )
    corrected = CORRECTIONS[correction]([one.p for one in found])
    return tuple(
        replace(one, p_corrected=p, verdict=MOVES[_direction(one.effect, p, level)])
        for one, p in zip(found, corrected, strict=True)
    )


def over_median(
    swarm: Swarm, benchmark: str, level: float = LEVEL, correction: Correction = "holm"
) -> tuple[OverMedian, ...]:
    """Every mixture against the median one, best run first; measured and fitted are a family each.

    Raises:
        FindingsError: The benchmark is not among the swarm's.
    """
    score = _score(swarm, benchmark)
    law, leads = _law(swarm.shares, score), score - np.median(score)
    order = [int(place) for place in np.argsort(-score, kind="stable")]
    if isinstance(law, str):
        alone = [Difference(float(lead), None, None, None, None, "cannot tell") for lead in leads]
        return tuple(OverMedian(place, float(score[place]), alone[place], None) for place in order)
    # The median of n scores scatters by noise too, as the median of n normal ones at most.
    error = (law.variance * (1 + np.pi / 2 / len(score))) ** 0.5
    measured = [Difference(*_told(lead, error, law.df, level), None, "cannot tell") for lead in leads.tolist()]
    middle = _middle(swarm.shares, swarm.shares @ law.coefficients)
    fitted = [Difference(*law.contrast(shares - middle, level), None, "cannot tell") for shares in swarm.shares]
    measured, fitted = (_corrected(family, level, correction) for family in (measured, fitted))
    return tuple(OverMedian(place, float(score[place]), measured[place], fitted[place]) for place in order)


def best_over_median(swarm: Swarm, benchmark: str, level: float = LEVEL) -> Best:
    """The best run's lead over the median one, against noise and without the winner's luck.

    Noise alone is drawn 20,000 times from a fixed seed, with the uncertainty of its size.

    Raises:
        FindingsError: The benchmark is not among the swarm's.
    """
    score = _score(swarm, benchmark)
    run = int(np.argmax(score))
    lead = float(score[run] - np.median(score))
    law = _law(swarm.shares, score)
    others = np.arange(len(score)) != run
    rest = _law(swarm.shares[others], score[others]) if others.any() else ONE_RUN
    if isinstance(law, str) or isinstance(rest, str):
        reason = law if isinstance(law, str) else str(rest)
        return Best(run, lead, None, None, None, None, None, None, "cannot tell", reason)
    by_noise = _best_by_noise(len(score), law.df) * law.variance**0.5
    move = swarm.shares[run] - _middle(swarm.shares, swarm.shares @ rest.coefficients)
    told = rest.contrast(move, level)
    return Best(
        run=run,
        lead=lead,
        noise_sd=law.variance**0.5,
        noise_lead=float(by_noise.mean()),
        noise_lead_high=float(np.quantile(by_noise, level)),
        p_noise=float((1 + (by_noise >= lead).sum()) / (1 + len(by_noise))),
        corrected=Interval(told.value, told.low, told.high),
        p=told.p,
        verdict=VERDICTS[_direction(told.value, told.p, level)],
        reason=None,
    )


def _law(shares: Array, score: Array) -> _Law | str:
    """The law by least squares, or why there is none."""
    df = len(score) - _rank(shares)
    if len(score) < 2:
        return ONE_RUN
    if df < 1:
        return FEW_RUNS
    inverse = np.linalg.pinv(shares)
    coefficients = inverse @ score
    left = score - shares @ coefficients
    if np.ptp(score) <= rounding(score) or np.abs(left).max() <= 1e-9 * np.ptp(score):
        return EXACT
    return _Law(coefficients, inverse @ inverse.T, float(left @ left) / df, df)


def _rank(shares: Array) -> int:
    return int(np.linalg.matrix_rank(shares))


def _score(swarm: Swarm, benchmark: str) -> Array:
    if benchmark not in swarm.benchmarks:
        raise FindingsError(f"runs of {swarm.name} have no score {benchmark}: they have {', '.join(swarm.benchmarks)}")
    return swarm.score(benchmark)


def _middle(shares: Array, fitted: Array) -> Array:
    """(n_categories,) the mixture that the law puts in the middle; between two of them, their mean."""
    order = np.argsort(fitted, kind="stable")
    middle: Array = shares[order[[(len(order) - 1) // 2, len(order) // 2]]].mean(axis=0)
    return middle


def _best_by_noise(runs: int, df: int) -> Array:
    """(DRAWS,) leads of the best of `runs` runs over the median one, in units of their estimated noise."""
    draws = np.random.default_rng(0)
    leads = []
    for _ in range(DRAWS // BLOCK):
        score = draws.standard_normal((BLOCK, runs))
        estimated = (draws.chisquare(df, BLOCK) / df) ** 0.5
        leads.append((score.max(axis=1) - np.median(score, axis=1)) / estimated)
    return np.concatenate(leads)


def _corrected(family: Sequence[Difference], level: float, correction: Correction) -> list[Difference]:
    corrected = CORRECTIONS[correction]([one.p for one in family])
    return [
        replace(one, p_corrected=p, verdict=VERDICTS[_direction(one.value, p, level)])
        for one, p in zip(family, corrected, strict=True)
    ]


def _told(value: float, error: float, df: int, level: float) -> _Told:
    from scipy.special import stdtr, stdtrit

    half = float(stdtrit(df, (1 + level) / 2)) * error
    return _Told(value, value - half, value + half, float(2 * stdtr(df, -abs(value) / error)) if error else 1.0)


def _direction(value: float | None, p: float | None, level: float) -> int:
    """1 up, −1 down, 0 where neither is told."""
    return 0 if value is None or p is None or p >= 1 - level else 1 if value > 0 else -1
