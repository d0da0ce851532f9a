"""What was measured: scores, gains with how they are judged, and cost. Part of `results.json`.

Scores and gains are in the benchmark's own unit: accuracy as a fraction in [0, 1], the smooth score in bits per byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from composer.findings.planned import Kind
from composer.findings.statistics import Correction, Items, McNemar

Verdict = Literal["better", "worse", "equivalent", "cannot tell"]
UNTOLD: Verdict = "cannot tell"


@dataclass(frozen=True)
class Score:
    """The score of one arm on one benchmark.

    Attributes:
        arm: The arm's name.
        benchmark: The benchmark's name.
        kind: `accuracy` or `smooth`.
        seeds: The finished seeds.
        values: (n_seeds,) the unweighted mean over items, one a seed.
        mean: Mean of `values`; null without a finished seed.
        sd: Standard deviation of `values` (n − 1); null with fewer than two.
        unfinished: Share of the items whose thinking never ended, which count as wrong; the mean over seeds. Null where
            the task does not tell.
    """

    arm: str
    benchmark: str
    kind: Kind
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float | None
    sd: float | None
    unfinished: float | None


@dataclass(frozen=True)
class Gain:
    """The score of one arm minus that of another, paired by item and by seed.

    Attributes:
        comparison: The name of a declared comparison; null for a gain over the baseline.
        arm: The arm.
        against: The arm it is compared with.
        benchmark: The benchmark's name.
        kind: `accuracy` or `smooth`. A smooth gain below 0 is an improvement where lower is better.
        margin: The largest gain, either way, that counts as none; null where equivalence is not tested.
        seeds: The seeds that both arms finished; all that follows is over these.
        differences: (n_seeds,) the mean difference over items, one a seed.
        arm_mean: Mean score of `arm`.
        against_mean: Mean score of `against`.
        gain: Mean of `differences`; null without a common seed.
        low: Lower end of the 95 % t interval for this gain alone; null for the reason in `reason`.
        high: Its upper end.
        p: Two-sided p-value of the paired t test over seeds.
        p_corrected: `p` after the correction over the family of this kind.
        p_equivalent: p-value of the two one-sided tests that the gain lies within the margin; null without a margin.
        p_equivalent_corrected: `p_equivalent` after the correction over the same family.
        df: Degrees of freedom of the seeds; null where there is no interval.
        verdict: `equivalent` where `p_equivalent_corrected` is below 1 − level: whatever the sign, the gain is smaller
            than what was declared to matter. Otherwise `better` or `worse` where `p_corrected` is below 1 − level.
            Otherwise `cannot tell`.
        reason: Why there is no interval; null where there is one.
        items: Items that are paired; null without a common seed.
        seed_sd: Standard deviation of the gain from seed to seed, on any number of items; null with one seed or item.
        item_sd: Standard deviation of the gain from item to item, with any number of seeds; null likewise.
        residual_sd: Standard deviation of what is left of one item's difference with one seed; null likewise.
        mcnemar: Each seed's exact McNemar test; null where an item is not simply right or wrong.
    """

    comparison: str | None
    arm: str
    against: str
    benchmark: str
    kind: Kind
    margin: float | None
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    arm_mean: float | None
    against_mean: float | None
    gain: float | None
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None
    p_equivalent: float | None
    p_equivalent_corrected: float | None
    df: float | None
    verdict: Verdict
    reason: str | None
    items: int | None
    seed_sd: float | None
    item_sd: float | None
    residual_sd: float | None
    mcnemar: tuple[McNemar, ...] | None


@dataclass(frozen=True)
class Rules:
    """How gains are judged, as the recipe declares it.

    Attributes:
        level: Coverage of each interval.
        items: Whether gains are meant on these items (`fixed`) or on items like these (`random`).
        margins: By kind, the largest gain, either way, that counts as none; null where equivalence is not tested.
        correction: `holm` bounds the chance of any false finding, `benjamini_hochberg` the share of false ones.
        estimand: What a gain and its interval estimate, in words.
    """

    level: float
    items: Items
    margins: Mapping[Kind, float | None]
    correction: Correction
    estimand: str


@dataclass(frozen=True)
class Family:
    """The gains that are corrected together.

    Attributes:
        kind: `accuracy` or `smooth`.
        size: Hypotheses in the family; two gains that the same trials answer are one.
        tested: How many of them have a p-value. The others count as 1, so that the size does not depend on the data.
        description: The family in words.
    """

    kind: Kind
    size: int
    tested: int
    description: str


@dataclass(frozen=True)
class Ratio:
    """An arm's cost as a multiple of the baseline's.

    It is the geometric mean of the per-seed ratios, or the ratio of the means where no seed is common; null where
    either side has no finished trial or measured nothing.
    """

    rows: float | None
    tokens: float | None
    train_seconds: float | None
    total_seconds: float | None


@dataclass(frozen=True)
class Cost:
    """What one trial of an arm cost, as the mean over its finished seeds; null without one.

    Attributes:
        arm: The arm's name.
        seeds: The finished seeds.
        rows: Rows in the mixture.
        tokens: Tokens trained on, over all epochs.
        train_seconds: Seconds in training.
        total_seconds: Seconds of the whole trial.
        tokens_per_second: Training throughput.
        peak_memory_mb: The largest of the seeds' peaks, in MB.
        relative: The same as multiples of the baseline; null without a baseline.
        useful: The share of real tokens among all that were computed; null where records do not tell.
        mfu: The share of the floating-point operations that the device could have done; null on a CPU.
        gpu_hours: Hours of the whole trial times its GPUs; null on a CPU.
        peak_gpu_memory_mb: The largest of the seeds' peaks, in MB; null on a CPU.
        seconds: By phase: `load`, `tokenise`, `train`, `evaluate`.
    """

    arm: str
    seeds: tuple[int, ...]
    rows: float | None
    tokens: float | None
    train_seconds: float | None
    total_seconds: float | None
    tokens_per_second: float | None
    peak_memory_mb: float | None
    relative: Ratio | None
    # Older results, which have none of these, are still read.
    useful: float | None = None
    mfu: float | None = None
    gpu_hours: float | None = None
    peak_gpu_memory_mb: float | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
