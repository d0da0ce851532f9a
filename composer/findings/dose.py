"""Dose-response: does a category matter on a benchmark, and how little of it restores what the full dose gives?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from composer.errors import FindingsError
from composer.findings.dose_models import SHAPES, Candidate, Grid, averaged_gain, candidates, grid
from composer.findings.dose_runs import ItemScores, Ladder, free_fit, read_ladder, sums
from composer.findings.dose_threshold import ABOVE, BELOW, PROFILE, Profile, band, bounds, profile, reach
from composer.findings.dose_trend import TREND, trend_test
from composer.findings.statistics import LEVEL, NO_VARIANCE, ONE_SEED

FRACTION = 0.95
CURVE_DOSES = 41
REFINEMENTS = 6
ONE_DOSE = "one dose"
NO_TREND = "no test shows that the dose matters"
WRONG_WAY = "the full dose scores worse than the lowest"


@dataclass(frozen=True)
class DosePoint:
    """What was seen at one dose.

    Attributes:
        dose: Rows of the category.
        seeds: The seeds that ran it.
        values: (n_seeds,) mean over items, one a seed.
        mean: Mean of `values`.
    """

    dose: float
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float


@dataclass(frozen=True)
class CurvePoint:
    """The fitted gain over the lowest dose at one dose.

    Attributes:
        dose: Rows of the category.
        gain: The model-averaged gain, in the benchmark's unit.
        low: Lower end of its interval, at this dose by itself.
        high: Its upper end.
    """

    dose: float
    gain: float
    low: float
    high: float


@dataclass(frozen=True)
class Threshold:
    """The smallest dose that restores a fraction of the full-dose gain.

    Attributes:
        fraction: The fraction.
        dose: The model-averaged estimate.
        low: Lower end of the interval; None for the reason in `low_reason`.
        high: Upper end; None for the reason in `high_reason`.
        low_reason: Why there is no lower end; None where there is one.
        high_reason: Why there is no upper end; None where there is one.
        method: How the interval is made.
    """

    fraction: float
    dose: float
    low: float | None
    high: float | None
    low_reason: str | None
    high_reason: str | None
    method: str = PROFILE


@dataclass(frozen=True)
class DoseResponse:
    """What the runs of a ladder say of one benchmark, in the benchmark's unit.

    Attributes:
        points: What was seen, by ascending dose.
        items: Items of the benchmark; the estimand is the expected score over seeds on these.
        level: Coverage of the intervals.
        paired: Whether seeds recur at several doses and were compared with themselves.
        run_sd: Standard deviation of a run around its dose and, if paired, its seed; None for the reason in `reason`.
        df: Its degrees of freedom.
        p: Two-sided p-value that the dose matters; None for the reason in `reason`.
        test: Which test gave it.
        p_fit: p-value of lack of fit of the best candidate: where it is small, no candidate has the curve's form and
            the threshold is not to be trusted. None with too few doses to tell.
        candidates: The curves that were compared; none without a p-value.
        curve: The averaged curve; none unless the dose matters.
        threshold: The threshold; None for the reason in `reason`.
        reason: Why there is no threshold; None where there is one.
    """

    points: tuple[DosePoint, ...]
    items: int
    level: float
    paired: bool
    run_sd: float | None
    df: int
    p: float | None
    test: str
    p_fit: float | None
    candidates: tuple[Candidate, ...]
    curve: tuple[CurvePoint, ...]
    threshold: Threshold | None
    reason: str | None

    def to_json(self) -> dict[str, Any]:
        """Plain objects with the same names; no NaN and no infinity."""
        return asdict(self)


def dose_response(
    scores: ItemScores, fraction: float = FRACTION, level: float = LEVEL, higher_is_better: bool = True
) -> DoseResponse:
    """The dose-response of one category on one benchmark, on these items, over seeds.

    First a test that the dose matters; only if it does, and does good, the threshold, with its interval. The noise of
    a run comes from seeds that repeat a dose: with one seed there is none, and neither test nor interval.

    Args:
        scores: Dose → seed → the run's (n_items,) item scores; the same items in the same order in all.
        fraction: The part of the gain of the largest dose over the lowest that a threshold restores, in (0, 1).
        level: Coverage of the intervals, in (0, 1); the test is one at 1 − level.
        higher_is_better: Whether a gain is a rise.

    Raises:
        FindingsError: There are no runs, the scores do not pair or are not finite, or fraction or level is out of
            range.
    """
    for name, value in (("fraction", fraction), ("level", level)):
        if not 0 < value < 1:
            raise FindingsError(f"{name} is {value}: it must be in (0, 1), such as 0.95")
    ladder = read_ladder(scores)
    reason = _untestable(ladder)
    if reason is not None:
        return _response(ladder, level, reason=reason)
    of = sums(ladder.at, ladder.levels, ladder.score)
    curves = grid(tuple(ladder.doses.tolist()), fraction)
    p, sign = trend_test(ladder, of, fraction)
    possible = profile(of, curves, reach(ladder.noise, level), sign)
    response = _response(
        ladder,
        level,
        p=p,
        p_fit=_p_fit(ladder, free_fit(of) - possible.taken),
        candidates=candidates(ladder, of, curves, fraction),
        reason=NO_TREND if p >= 1 - level else None if (sign > 0) == higher_is_better else WRONG_WAY,
    )
    if response.reason == NO_TREND:
        return response
    response = replace(response, curve=_curve(ladder, response.candidates, possible, curves, fraction))
    if response.reason is not None:
        return response
    return replace(response, threshold=_threshold(ladder, response.candidates, possible, curves, fraction))


def _untestable(ladder: Ladder) -> str | None:
    if len(ladder.doses) == 1:
        return ONE_DOSE
    if not ladder.replicates.df:
        return ONE_SEED
    return None if ladder.noise else NO_VARIANCE


def _response(ladder: Ladder, level: float, **more: Any) -> DoseResponse:
    """What is known of any ladder, and `more`."""
    known: dict[str, Any] = {
        "points": tuple(_points(ladder)),
        "items": ladder.items,
        "level": level,
        "paired": ladder.paired,
        "run_sd": ladder.variance**0.5 if ladder.replicates.df else None,
        "df": ladder.replicates.df,
        "p": None,
        "test": TREND,
        "p_fit": None,
        "candidates": (),
        "curve": (),
        "threshold": None,
    }
    return DoseResponse(**{**known, **more})


def _points(ladder: Ladder) -> Iterator[DosePoint]:
    for place, dose in enumerate(ladder.doses.tolist()):
        runs = ladder.at == place
        values = ladder.score[runs]
        yield DosePoint(
            dose, tuple(ladder.seeds[ladder.of[runs]].tolist()), tuple(values.tolist()), float(values.mean())
        )


def _p_fit(ladder: Ladder, misfit: float) -> float | None:
    from scipy.special import fdtrc

    free = len(ladder.doses) - 1 - SHAPES["hill"]
    if free < 1:
        return None
    return max(float(fdtrc(free, part.df, max(0.0, misfit) / free / part.variance)) for part in ladder.noise)


def _curve(
    ladder: Ladder, found: tuple[Candidate, ...], possible: Profile, curves: Grid, fraction: float
) -> tuple[CurvePoint, ...]:
    low, full = float(ladder.doses[0]), float(ladder.doses[-1])
    dose = low + (full - low) * np.linspace(0, 1, CURVE_DOSES) ** 2  # thresholds lie low: they get the finer steps
    gain = averaged_gain(dose, found, fraction, low, full)
    lower, upper = band(possible, curves, ladder, fraction, dose)
    return tuple(
        CurvePoint(*point) for point in zip(dose.tolist(), gain.tolist(), lower.tolist(), upper.tolist(), strict=True)
    )


def _threshold(
    ladder: Ladder, found: tuple[Candidate, ...], possible: Profile, curves: Grid, fraction: float
) -> Threshold:
    low, high = bounds(possible, curves, ladder.doses)
    estimate = _averaged_threshold(found, fraction, float(ladder.doses[0]), float(ladder.doses[-1]))
    return Threshold(
        fraction=fraction,
        dose=estimate,
        # The average leans on plainer curves than the interval does; the interval is widened where it leaves it.
        low=None if low is None else min(low, estimate),
        high=None if high is None else max(high, estimate),
        low_reason=BELOW if low is None else None,
        high_reason=ABOVE if high is None else None,
    )


def _averaged_threshold(found: tuple[Candidate, ...], fraction: float, low: float, full: float) -> float:
    """Where the averaged curve first reaches the fraction of its own gain at the full dose."""
    target = fraction * averaged_gain(np.array([full]), found, fraction, low, full)[0]
    start, end = low, full
    for _ in range(REFINEMENTS):
        dose = np.linspace(start, end, 33)
        gain = averaged_gain(dose, found, fraction, low, full)
        above = max(1, int(np.argmax(np.abs(gain) >= abs(target))))
        start, end = float(dose[above - 1]), float(dose[above])
    return end
