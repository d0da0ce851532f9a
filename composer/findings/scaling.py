"""Scaling curves: how a score grows with the size, once a test has shown that it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from composer.errors import FindingsError
from composer.findings.checked import item_values, rounding
from composer.findings.power_law import Array, Interval, PowerLaw, Runs, additive_residual, fit, noise
from composer.findings.statistics import CORRECTIONS, LEVEL, NO_VARIANCE, ONE_ITEM, ONE_SEED, Correction, Items
from composer.findings.trend import Trend, page_test

Values = Mapping[float, Mapping[int, NDArray[np.float64]]]  # size → seed → (n_items,)
Verdict = Literal["scales", "worsens", "cannot tell"]
UNTOLD: Verdict = "cannot tell"

BAND = 33  # sizes at which the band is given
ONE_SIZE = "one size"
TWO_SIZES = "two sizes: a law of any exponent passes through them"
ALL_EQUAL = "all scores are equal"
UNCROSSED = "too few seeds have several sizes: what a run adds cannot be told from what its size does"
TOO_FEW = "too few seeds and sizes: whatever the scores, the test of trend cannot reject"
FEW_FOR_HOLD_OUT = "fewer than three smaller sizes with two seeds that the largest has too"


@dataclass(frozen=True)
class Point:
    """The runs of one size.

    Attributes:
        size: The size.
        seeds: Its seeds.
        values: (n_seeds,) the mean over items, one a seed.
        mean: Mean of `values`.
    """

    size: float
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float


@dataclass(frozen=True)
class Prediction:
    """What the law says of one size.

    Attributes:
        size: The size.
        expected: The expected score over seeds, with its confidence interval.
        run: The score of one new run of a new seed, with its prediction interval.
    """

    size: float
    expected: Interval
    run: Interval


@dataclass(frozen=True)
class HoldOut:
    """The largest size, predicted from the smaller ones.

    Attributes:
        size: The largest size.
        seeds: Its seeds that a smaller size has too; predicted and measured are over these.
        predicted: Their mean score, with its prediction interval; None for the reason in `reason`.
        measured: Their mean score as it came out.
        inside: Whether it lies in that interval.
        reason: Why nothing was predicted, or None.
    """

    size: float
    seeds: tuple[int, ...]
    predicted: Interval | None
    measured: float | None
    inside: bool | None
    reason: str | None


@dataclass(frozen=True)
class ScalingCurve:
    """A score over sizes: score = asymptote − coefficient · size^(−exponent).

    The coefficient is above 0 for a score that rises, and below for one that falls.

    Attributes:
        points: By ascending size.
        items: Items behind each score.
        p: p-value of the test of trend (see `scaling_curves`); None for the reason in `reason`.
        p_corrected: `p` after the correction over the family.
        verdict: `scales` or `worsens` where `p_corrected` is below 1 − level, by the direction; else `cannot tell`.
        reason: Why there is no law; None where there is one. Every field below is None or empty where there is none.
        exponent: The likeliest one, with its interval. No lower end: a logarithm, which has no asymptote, is not
            excluded. No upper end: a single step from the smallest size to the next is not excluded.
        asymptote: The score at infinite size, with its interval; no value and no ends where a logarithm is likeliest.
        coefficient: At the likeliest exponent; None where a logarithm is likeliest.
        p_form: p-value of the lack of fit; a small one says that the law is wrong and its intervals with it. None
            with fewer than four sizes.
        seed_sd: Standard deviation of what a seed does to all its sizes alike.
        run_sd: Standard deviation of what is left of one run.
        band: `BAND` sizes from the smallest to the largest that is predicted, evenly spaced by ratio.
        predictions: The sizes asked for.
        hold_out: The check on the largest size.
    """

    points: tuple[Point, ...]
    items: int
    p: float | None
    p_corrected: float | None
    verdict: Verdict
    reason: str | None
    exponent: Interval | None
    asymptote: Interval | None
    coefficient: float | None
    p_form: float | None
    seed_sd: float | None
    run_sd: float | None
    band: tuple[Prediction, ...]
    predictions: tuple[Prediction, ...]
    hold_out: HoldOut | None


def scaling_curves(
    family: Mapping[str, Values],
    *,
    higher_is_better: bool = True,
    items: Items = "fixed",
    level: float = LEVEL,
    correction: Correction = "holm",
    predict: Sequence[float] = (),
) -> dict[str, ScalingCurve]:
    """The scaling curves of several scores, whose tests of trend are corrected for being several.

    The trend is tested by Page's exact test with seeds as blocks: without an effect, every order of a seed's scores is
    taken to be as likely as any other. On random items, sizes differ also by the draw of the items, which all seeds
    share; there the larger p-value counts of Page's and of a t test of the slope on the logarithm of the size, whose
    error has the items in it. With one seed nothing is known of how seeds scatter, and nothing is said.

    Intervals are given only where the trend is told. Where so few runs would seldom tell it, those that do are the
    lucky ones, and their prediction intervals hold somewhat less often than `level`.

    Args:
        family: One entry a curve, e.g. one a category and benchmark: size → seed → (n_items,) item values, the same
            items in the same order throughout a curve. A seed may lack sizes.
        higher_is_better: Which way is better.
        items: Whether the curve is meant on these items, or on items like these.
        level: Coverage of the intervals, in (0, 1); each is for its curve alone.
        correction: How the p-values are corrected.
        predict: Sizes to predict; twice the largest one where none is named.

    Raises:
        FindingsError: A curve has no run, a size or a value is not a usable number, or runs have different items.
    """
    studies = {name: _study(name, values, items) for name, values in family.items()}
    corrected = CORRECTIONS[correction]([study.p for study in studies.values()])
    return {
        name: _curve(study, p, higher_is_better, level, predict)
        for (name, study), p in zip(studies.items(), corrected, strict=True)
    }


def scaling_curve(
    values: Values,
    *,
    higher_is_better: bool = True,
    items: Items = "fixed",
    level: float = LEVEL,
    predict: Sequence[float] = (),
) -> ScalingCurve:
    """The scaling curve of one score; see `scaling_curves`."""
    family = {"curve": values}
    return scaling_curves(family, higher_is_better=higher_is_better, items=items, level=level, predict=predict)["curve"]


class _Study(NamedTuple):
    """The runs of one curve; `law` is None for the reason in `no_law`, `trend` and `p` for that in `no_test`."""

    runs: Runs
    table: list[Array]
    seeds: list[int]
    items: Items
    no_test: str | None
    no_law: str | None
    trend: Trend | None
    law: PowerLaw | None
    p: float | None


def _study(name: str, values: Values, items: Items) -> _Study:
    runs, table, seeds = _runs(name, values)
    no_test = _no_test(runs, table, items)
    if no_test is not None:
        return _Study(runs, table, seeds, items, no_test, no_test, None, None, None)
    trend = page_test([runs.score[runs.seed == place] for place in range(len(seeds))])
    no_law = _no_law(runs)
    if no_law is not None and items == "random":  # the draw of the items is then not told from the trend either
        return _Study(runs, table, seeds, items, no_law, no_law, trend, None, None)
    law = None if no_law else fit(runs, noise(runs, table, items))
    p = max(trend.p, law.p_slope()) if law and items == "random" else trend.p
    return _Study(runs, table, seeds, items, None, no_law, trend, law, p)


def _no_test(runs: Runs, table: Sequence[Array], items: Items) -> str | None:
    """Why the trend cannot be tested, or None."""
    if len(np.unique(runs.size)) == 1:
        return ONE_SIZE
    if not runs.seed.any():
        return ONE_SEED
    if items == "random" and table[0].size == 1:
        return ONE_ITEM
    return ALL_EQUAL if np.ptp(runs.score) <= rounding(runs.score) else None


def _no_law(runs: Runs) -> str | None:
    """Why no law can be fitted though there is a trend, or None."""
    residual, df = additive_residual(runs)
    if df < 1:
        return UNCROSSED
    return NO_VARIANCE if np.abs(residual).max() <= rounding(runs.score) else None


def _curve(
    study: _Study, p_corrected: float | None, higher_is_better: bool, level: float, predict: Sequence[float]
) -> ScalingCurve:
    verdict, reason = _judged(study, p_corrected, higher_is_better, level)
    points, items = _points(study.runs, study.seeds), study.table[0].size
    if reason is not None or study.law is None:
        nothing = dict.fromkeys(("exponent", "asymptote", "coefficient", "p_form", "seed_sd", "run_sd", "hold_out"))
        return ScalingCurve(points, items, study.p, p_corrected, verdict, reason, band=(), predictions=(), **nothing)
    law, scatter = study.law, study.law.noise
    wanted = [float(size) for size in predict] or [2 * points[-1].size]
    spread = np.geomspace(points[0].size, max(points[-1].size, *wanted), BAND)
    return ScalingCurve(
        points=points,
        items=items,
        p=study.p,
        p_corrected=p_corrected,
        verdict=verdict,
        reason=None,
        exponent=law.exponent(level),
        asymptote=law.curve(np.inf, level),
        coefficient=law.coefficient(),
        p_form=law.p_form(),
        seed_sd=(max(0.0, scatter.seed.variance - scatter.run.variance) / scatter.per_seed) ** 0.5,
        run_sd=scatter.run.variance**0.5,
        band=tuple(_prediction(law, float(size), level) for size in spread),
        predictions=tuple(_prediction(law, size, level) for size in wanted),
        hold_out=_hold_out(study, level),
    )


def _judged(
    study: _Study, p_corrected: float | None, higher_is_better: bool, level: float
) -> tuple[Verdict, str | None]:
    """The verdict, and why there is no law."""
    if study.trend is None or p_corrected is None:
        return UNTOLD, study.no_test
    if study.trend.smallest >= 1 - level:
        return UNTOLD, TOO_FEW
    if p_corrected >= 1 - level:
        return UNTOLD, f"no monotone trend is shown (p = {p_corrected:.2g})"
    two = len(np.unique(study.runs.size)) == 2
    return "scales" if (study.trend.sign > 0) == higher_is_better else "worsens", TWO_SIZES if two else study.no_law


def _runs(name: str, values: Values) -> tuple[Runs, list[Array], list[int]]:
    """The runs, by size then seed; the item values of each; and the seeds that their places stand for."""
    table: list[Array] = []
    sizes: list[float] = []
    seeds: list[int] = []
    for size in sorted(values):
        if not (np.isfinite(size) and size > 0):
            raise FindingsError(
                f"scaling curve {name}: size {size} is not a number above 0: name sizes in rows or tokens"
            )
        for seed in sorted(values[size]):
            where = f"scaling curve {name}, size {size:g}, seed {seed}"
            of_run = item_values(where, values[size][seed], table[0].size if table else None)
            table.append(of_run)
            sizes.append(float(size))
            seeds.append(seed)
    if not table:
        raise FindingsError(f"scaling curve {name} has no run: give at least one size with one seed")
    names, places = np.unique(seeds, return_inverse=True)
    score = np.array([of_run.mean() for of_run in table])
    return Runs(np.array(sizes), places.astype(np.int64), score), table, [int(seed) for seed in names]


def _points(runs: Runs, seeds: Sequence[int]) -> tuple[Point, ...]:
    found = []
    for size in np.unique(runs.size):
        here = runs.size == size
        values = runs.score[here]
        names = tuple(seeds[place] for place in runs.seed[here])
        found.append(Point(float(size), names, tuple(values.tolist()), float(values.mean())))
    return tuple(found)


def _prediction(law: PowerLaw, size: float, level: float) -> Prediction:
    return Prediction(size, law.curve(size, level), law.new_run(size, level))


def _hold_out(study: _Study, level: float) -> HoldOut:
    runs, largest = study.runs, study.runs.size.max()
    smaller = runs.size < largest
    names, places = np.unique(runs.seed[smaller], return_inverse=True)
    common = np.intersect1d(names, runs.seed[~smaller])
    told = tuple(study.seeds[place] for place in common)
    rest = Runs(runs.size[smaller], places.astype(np.int64), runs.score[smaller])
    few = len(names) < 2 or not len(common) or len(np.unique(rest.size)) < 3
    reason = FEW_FOR_HOLD_OUT if few else _no_law(rest)
    if reason is not None:
        return HoldOut(float(largest), told, None, None, None, reason)
    table = [values for values, kept in zip(study.table, smaller, strict=True) if kept]
    law = fit(rest, noise(rest, table, study.items))
    measured = float(runs.score[~smaller & np.isin(runs.seed, common)].mean())
    predicted = law.same_seeds(float(largest), np.searchsorted(names, common), level)
    above = predicted.low is None or measured >= predicted.low
    below = predicted.high is None or measured <= predicted.high
    return HoldOut(float(largest), told, predicted, measured, above and below, None)
