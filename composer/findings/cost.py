"""What trials cost, and how that compares with the baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from composer.findings.measured import Cost, Ratio

Record = Mapping[str, Any]

MEASURES: dict[str, Callable[[Record], float]] = {
    "rows": lambda record: float(record["mixture"]["rows"]),
    "tokens": lambda record: float(record["training"]["tokens"]),
    "train_seconds": lambda record: float(record["training"]["seconds"]),
    "total_seconds": lambda record: float(record["seconds"]["total"]),
}
PHASES = ("load", "tokenise", "train", "evaluate")


def cost(arm: str, records: Mapping[int, Record], baseline: Mapping[int, Record] | None) -> Cost:
    """What one trial of an arm cost.

    Args:
        arm: The arm's name.
        records: Its finished trials' records by seed.
        baseline: Those of the baseline, or None.
    """
    found = list(records.values())
    means = {name: fmean(map(measure, found)) if found else None for name, measure in MEASURES.items()}
    of_gpu = [one["training"].get("peak_gpu_memory_mb") for one in found]
    return Cost(
        arm=arm,
        seeds=tuple(sorted(records)),
        **means,
        tokens_per_second=fmean(float(one["training"]["tokens_per_second"]) for one in found) if found else None,
        peak_memory_mb=max((float(one["peak_memory_mb"]) for one in found), default=None),
        relative=None if baseline is None else _relative(records, baseline),
        useful=_mean([one["training"].get("useful") for one in found]),
        mfu=_mean([one["training"].get("mfu") for one in found]),
        gpu_hours=_mean([_gpu_hours(one) for one in found]),
        peak_gpu_memory_mb=max((mb for mb in of_gpu if mb is not None), default=None),
        seconds={phase: spent for phase in PHASES if (spent := _mean([one["seconds"].get(phase) for one in found]))},
    )


def _mean(told: Sequence[float | None]) -> float | None:
    known = [one for one in told if one is not None]
    return fmean(known) if known else None


def _gpu_hours(record: Record) -> float | None:
    if record["training"].get("device", "cpu") == "cpu":
        return None
    return float(record["seconds"]["total"]) * int(record["training"]["processes"]) / 3600


def _relative(records: Mapping[int, Record], baseline: Mapping[int, Record]) -> Ratio:
    return Ratio(**{name: _ratio(records, baseline, measure) for name, measure in MEASURES.items()})


def _ratio(
    records: Mapping[int, Record], baseline: Mapping[int, Record], measure: Callable[[Record], float]
) -> float | None:
    if not records or not baseline:
        return None
    ours = {seed: measure(record) for seed, record in sorted(records.items())}
    theirs = {seed: measure(record) for seed, record in sorted(baseline.items())}
    if min(*ours.values(), *theirs.values()) <= 0:
        return None
    common = [seed for seed in ours if seed in theirs]
    if common:
        return math.exp(fmean(math.log(ours[seed] / theirs[seed]) for seed in common))
    return fmean(ours.values()) / fmean(theirs.values())
