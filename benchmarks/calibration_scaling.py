"""Do scaling curves keep their word? Simulated studies with a known law, and with none.

Run it as `python benchmarks/calibration_scaling.py`, or `… STUDIES SEED PROCESSES SIZES RUN_SD` for any first few of
these.

A study has six sizes, from 1,000 rows by doubling. Its law has an exponent of 0.2 to 1, an asymptote of 0.6 to 0.75 and
a drop to the smallest size of 0.2 to 0.3, all uniform. Around it, a seed moves all its sizes by 0.01 and a run by
another 0.01 (standard deviations), items differ by up to ±0.15 in how often they are answered, and by ±0.05 more
from size to size; each run then answers each item right or wrong. On fixed items these differences sum to 0, so that
the law holds on these items; on random items they are a draw, in which the law holds only on average.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from composer.findings.power_law import Interval
from composer.findings.scaling import ScalingCurve, Values, scaling_curve
from composer.findings.statistics import Items

SMALLEST = 1000.0
SEEDS, ITEMS = (2, 3, 5), (100, 1000)
ESTIMANDS: tuple[Items, ...] = ("fixed", "random")
SEED_SD = 0.01
CHUNK = 25  # studies that a process takes at a time


class Truth(NamedTuple):
    """The law that a study is drawn from."""

    asymptote: float
    drop: float
    exponent: float

    def __call__(self, size: float) -> float:
        """The expected score."""
        return self.asymptote - self.drop * float((size / SMALLEST) ** -self.exponent)


@dataclass(frozen=True)
class Told:
    """What one study with a law, and one without, said."""

    verdict: str
    exponent: float
    interval: Interval | None
    score: float
    predicted: Interval | None
    hold_out: bool | None
    flat_verdict: str


@dataclass(frozen=True)
class Calibration:
    """One row of the table; coverage is over the studies that gave an interval.

    Attributes:
        items: Whether the items are fixed or random.
        seeds: Seeds of each study.
        n_items: Items of each study.
        studies: Studies with a law, and as many without.
        scales: Share of the studies with a law that say `scales`.
        exponent: Share of the exponent's intervals that hold it.
        exponent_open: Share of these intervals without an upper end.
        exponent_width: Median of the interval's width, an upper end that is missing counting as infinite.
        prediction: Share of the prediction intervals of a run at twice the largest size that hold it.
        prediction_open: Share of these intervals without one end.
        prediction_width: Median of their width, likewise.
        hold_out: Share of the studies whose largest size lies in its prediction interval.
        false_scales: Share of the studies without a law that say anything but `cannot tell`.
    """

    items: Items
    seeds: int
    n_items: int
    studies: int
    scales: float
    exponent: float
    exponent_open: float
    exponent_width: float
    prediction: float
    prediction_open: float
    prediction_width: float
    hold_out: float
    false_scales: float


class _Chunk(NamedTuple):
    items: Items
    seeds: int
    n_items: int
    seed: int
    sizes: int
    run_sd: float
    studies: range

    def rungs(self) -> list[float]:
        """The sizes of a study, and after them the one that is predicted."""
        return [SMALLEST * 2**step for step in range(self.sizes + 1)]


def run(
    studies: int = 1000, seed: int = 0, processes: int = 2, sizes: int = 6, run_sd: float = 0.01
) -> list[Calibration]:
    """Simulates every row of the table; the same arguments give the same figures with any number of processes."""
    rows = [(items, seeds, n_items) for items in ESTIMANDS for seeds in SEEDS for n_items in ITEMS]
    parts = [range(start, min(start + CHUNK, studies)) for start in range(0, studies, CHUNK)]
    chunks = [_Chunk(*row, seed, sizes, run_sd, part) for row in rows for part in parts]
    if processes == 1:
        told = [_simulate(chunk) for chunk in chunks]
    else:
        with get_context("spawn").Pool(processes) as pool:
            told = pool.map(_simulate, chunks, chunksize=1)
    return [
        _calibration(*row, [one for chunk in told[place * len(parts) : (place + 1) * len(parts)] for one in chunk])
        for place, row in enumerate(rows)
    ]


def _simulate(chunk: _Chunk) -> list[Told]:
    return [_study(chunk, study) for study in chunk.studies]


def _study(chunk: _Chunk, study: int) -> Told:
    draws = np.random.default_rng([chunk.seed, ESTIMANDS.index(chunk.items), chunk.seeds, chunk.n_items, study])
    truth = Truth(draws.uniform(0.6, 0.75), draws.uniform(0.2, 0.3), draws.uniform(0.2, 1.0))
    values, largest = _draw(truth, chunk, draws), chunk.rungs()[-1]
    beyond = values.pop(largest)[chunk.seeds]
    found = scaling_curve(_without(values, chunk.seeds), items=chunk.items, predict=[largest])
    flat = _draw(Truth(0.55, 0.0, 1.0), chunk, draws)
    del flat[largest]
    return Told(
        verdict=found.verdict,
        exponent=truth.exponent,
        interval=found.exponent,
        score=float(beyond.mean()),
        predicted=found.predictions[0].run if found.predictions else None,
        hold_out=_hold_out(found),
        flat_verdict=scaling_curve(_without(flat, chunk.seeds), items=chunk.items).verdict,
    )


def _draw(truth: Truth, chunk: _Chunk, draws: np.random.Generator) -> dict[float, dict[int, NDArray[np.float64]]]:
    """Item values of every size, and of the one beyond; the seed after the last is the new run that is predicted.

    On random items the new run is asked other items.
    """
    own, new = (draws.uniform(-0.15, 0.15, chunk.n_items) for _ in range(2))
    of_seed = draws.normal(0, SEED_SD, chunk.seeds + 1)
    values: dict[float, dict[int, NDArray[np.float64]]] = {}
    for size in chunk.rungs():
        crossed, new_crossed = (draws.uniform(-0.05, 0.05, chunk.n_items) for _ in range(2))
        here, elsewhere = own + crossed, new + new_crossed
        if chunk.items == "fixed":
            here = here - here.mean()
            elsewhere = here
        values[size] = {}
        for seed in range(chunk.seeds + 1):
            asked = elsewhere if seed == chunk.seeds else here
            chance = truth(size) + of_seed[seed] + draws.normal(0, chunk.run_sd) + asked
            values[size][seed] = (draws.random(chunk.n_items) < chance).astype(np.float64)
    return values


def _without(values: Values, seed: int) -> Values:
    return {size: {name: of for name, of in runs.items() if name != seed} for size, runs in values.items()}


def _hold_out(found: ScalingCurve) -> bool | None:
    return None if found.hold_out is None else found.hold_out.inside


def _calibration(items: Items, seeds: int, n_items: int, told: Sequence[Told]) -> Calibration:
    exponents = [(one.interval, one.exponent) for one in told if one.interval is not None]
    scores = [(one.predicted, one.score) for one in told if one.predicted is not None]
    return Calibration(
        items=items,
        seeds=seeds,
        n_items=n_items,
        studies=len(told),
        scales=_share(one.verdict == "scales" for one in told),
        exponent=_share(_holds(*pair) for pair in exponents),
        exponent_open=_share(interval.high is None for interval, _ in exponents),
        # Exponents are looked for from 0 up: an interval without a lower end begins there.
        exponent_width=_median((interval.high, interval.low or 0.0) for interval, _ in exponents),
        prediction=_share(_holds(*pair) for pair in scores),
        prediction_open=_share(interval.low is None or interval.high is None for interval, _ in scores),
        prediction_width=_median((interval.high, interval.low) for interval, _ in scores),
        hold_out=_share(one.hold_out for one in told if one.hold_out is not None),
        false_scales=_share(one.flat_verdict != "cannot tell" for one in told),
    )


def _holds(interval: Interval, truth: float) -> bool:
    return (interval.low is None or interval.low <= truth) and (interval.high is None or truth <= interval.high)


def _share(of: Iterable[bool | None]) -> float:
    counted = [bool(one) for one in of]
    return sum(counted) / len(counted) if counted else float("nan")


def _median(ends: Iterable[tuple[float | None, float | None]]) -> float:
    widths = [np.inf if high is None or low is None else high - low for high, low in ends]
    return float(np.median(widths)) if widths else float("nan")


def table(rows: Sequence[Calibration]) -> str:
    """The rows as a Markdown table; shares in per cent."""
    lines = [
        "| items | seeds | says `scales` | exponent covered | width, no upper end | prediction covered | width, open "
        "| hold-out inside | false `scales` |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(
            f"| {row.n_items:,} {row.items} | {row.seeds} | {row.scales:.1%} | {row.exponent:.1%} "
            f"| {row.exponent_width:.2f}, {row.exponent_open:.0%} | {row.prediction:.1%} "
            f"| {row.prediction_width:.3f}, {row.prediction_open:.0%} | {row.hold_out:.1%} | {row.false_scales:.1%} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    counts, scatter = [int(argument) for argument in sys.argv[1:5]], [float(argument) for argument in sys.argv[5:]]
    print(table(run(*counts, *scatter)))
