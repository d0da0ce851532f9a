"""Which dose an adaptive design tries next, from what its finished trials say: the study's `Proposer`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from composer.artifacts import read_json
from composer.findings.dose import NO_TREND, dose_response
from composer.findings.dose_adaptive import narrow_enough, next_dose
from composer.findings.gains import group
from composer.findings.items import read_paired
from composer.findings.planned import Measure
from composer.study.adaptive import Observed, Proposer
from composer.study.designs import Design

CANDIDATES = 60  # doses that are weighed, evenly spaced by ratio
Scores = dict[float, dict[int, NDArray[np.float64]]]


def proposer(run: Path) -> Proposer:
    """A proposer that reads the items of the trials in `run`.

    The dose asked for is that which is expected to narrow the widest threshold interval of the design's benchmarks
    most. A benchmark whose interval is narrow enough, or on which the full dose does no good, asks for no more.
    """

    def propose(design: Design, found: Sequence[Observed], /) -> int | None:
        plan = read_json(run / "plan.json")
        config, level = design.config, plan["findings"]["level"]
        doses = [one.dose for one in found]
        candidates = _candidates(min(doses), max(doses))
        wanted: list[tuple[float, int]] = []
        for benchmark in config.benchmarks or list(plan["benchmarks"]):
            told = plan["benchmarks"][benchmark]["accuracy"]
            measure = Measure(told["task"], told["metric"], told["filter"], told["higher_is_better"])
            scores = _scores(run, found, measure)
            response = dose_response(scores, config.restore, level, measure.higher_is_better)
            if narrow_enough(response, config.narrow) or (response.threshold is None and response.reason != NO_TREND):
                continue
            dose = next_dose(scores, candidates, config.restore, level, measure.higher_is_better)
            if dose is not None:
                threshold = response.threshold
                low = max(1.0, (threshold.low or 1.0) if threshold else 1.0)
                high = (threshold.high or max(doses)) if threshold else float(max(doses))
                wanted.append((high / low, round(dose)))
        return max(wanted, key=lambda one: one[0])[1] if wanted else None

    return propose


def _candidates(lowest: int, full: int) -> list[int]:
    spaced = np.geomspace(max(1, lowest), full, CANDIDATES)
    return sorted({round(float(dose)) for dose in spaced} - {lowest, full})


def _scores(run: Path, found: Sequence[Observed], measure: Measure) -> Scores:
    values = read_paired(run, [key for one in found for key in one.keys.values()])
    return {
        float(one.dose): {seed: values[key][group(measure)] for seed, key in sorted(one.keys.items())}
        for one in found
        if one.keys
    }
