"""What `RUN/results.json` holds: these classes, written as JSON objects with the same names.

Scores and gains are in the benchmark's own unit: accuracy as a fraction in [0, 1], the smooth score in bits per byte.
Every section but `cost` is a function of the plan and the items alone, so two runs of one recipe on one machine
agree in it byte for byte; `cost` holds what was timed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from composer.artifacts import read_json
from composer.errors import RequestError
from composer.findings.statistics import Correction, Items, McNemar

VERSION = 2
Kind = Literal["accuracy", "smooth"]
KINDS: tuple[Kind, ...] = ("accuracy", "smooth")
Status = Literal["finished", "failed", "missing"]
Verdict = Literal["better", "worse", "equivalent", "cannot tell"]
UNTOLD: Verdict = "cannot tell"


@dataclass(frozen=True)
class Measure:
    """Where a benchmark's item values are found: one task, metric and filter of lm-eval.

    Attributes:
        task: The lm-eval task.
        metric: The metric.
        filter: The filter whose answers are scored.
        higher_is_better: Which way is better.
    """

    task: str
    metric: str
    filter: str
    higher_is_better: bool


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        name: Its key in the recipe.
        label: Its name for people.
        items: Items behind the accuracy of one trial; null until one has finished.
        accuracy: Its accuracy.
        smooth: A smooth score of the same items (gold-answer bits per byte), or null.
    """

    name: str
    label: str
    items: int | None
    accuracy: Measure
    smooth: Measure | None

    def measure(self, kind: Kind) -> Measure | None:
        """The measure of this kind, if the benchmark has it."""
        return self.accuracy if kind == "accuracy" else self.smooth


@dataclass(frozen=True)
class Category:
    """One category of an arm's mixture.

    Attributes:
        name: The category.
        asked: Rows before the shortage policy.
        rows: Rows in the mixture.
        tokens: Their tokens under the pool's tokeniser.
    """

    name: str
    asked: int
    rows: int
    tokens: int


@dataclass(frozen=True)
class Arm:
    """One arm as planned.

    Attributes:
        name: Its key in the recipe.
        label: Its name for people.
        mixture: Digest of its mixture's manifest.
        rows: Rows in its mixture.
        tokens: Tokens it is trained on, over all epochs.
        steps: Optimiser steps.
        categories: Every category of the plan, in its order; one that the mixture lacks has no rows.
    """

    name: str
    label: str
    mixture: str
    rows: int
    tokens: int
    steps: int
    categories: tuple[Category, ...]


@dataclass(frozen=True)
class Trial:
    """One planned trial and what became of it.

    Attributes:
        arm: The arm's name.
        seed: The training seed.
        key: The hash of all that determines the trial, and its folder's name. Two arms may share it.
        status: `finished`, `failed`, or `missing` when it was not run to an end.
        error: Why it failed.
    """

    arm: str
    seed: int
    key: str
    status: Status
    error: str | None


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
    """

    arm: str
    benchmark: str
    kind: Kind
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float | None
    sd: float | None


@dataclass(frozen=True)
class Gain:
    """The score of one arm minus that of another, paired by item and by seed.

    Attributes:
        comparison: The name of a declared comparison; null for a gain over the baseline.
        arm: The arm.
        against: The arm it is compared with.
        benchmark: The benchmark's name.
        kind: `accuracy` or `smooth`. A smooth gain below 0 is an improvement where lower is better.
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
        df: Degrees of freedom; null where there is no interval.
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


@dataclass(frozen=True)
class Results:
    """Everything a run has found.

    Attributes:
        version: Version of this schema.
        recipe: The recipe's name.
        label: The recipe's name for people.
        model: The label of the model that trials start from.
        pool: The name of the pool that mixtures are composed from.
        baseline: The arm that gains are measured against, or null.
        rules: How gains are judged.
        benchmarks: In the plan's order.
        arms: In the plan's order.
        trials: In the plan's order.
        scores: Every arm × benchmark × kind.
        gains: Every other arm against the baseline, then every declared comparison; each × benchmark × kind.
        families: One a kind.
        cost: One an arm.
    """

    version: int
    recipe: str
    label: str
    model: str
    pool: str
    baseline: str | None
    rules: Rules
    benchmarks: tuple[Benchmark, ...]
    arms: tuple[Arm, ...]
    trials: tuple[Trial, ...]
    scores: tuple[Score, ...]
    gains: tuple[Gain, ...]
    families: tuple[Family, ...]
    cost: tuple[Cost, ...]

    def to_json(self) -> dict[str, Any]:
        """This as a JSON value."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Results:
        """What `to_json` gave."""
        return cls(
            **{
                **value,
                "rules": Rules(**value["rules"]),
                "benchmarks": tuple(_benchmark(one) for one in value["benchmarks"]),
                "arms": tuple(_arm(one) for one in value["arms"]),
                "trials": tuple(Trial(**one) for one in value["trials"]),
                "scores": tuple(Score(**_tuples(one, ("seeds", "values"))) for one in value["scores"]),
                "gains": tuple(_gain(one) for one in value["gains"]),
                "families": tuple(Family(**one) for one in value["families"]),
                "cost": tuple(_cost(one) for one in value["cost"]),
            }
        )

    @classmethod
    def read(cls, run: Path) -> Results:
        """Reads `RUN/results.json`.

        Raises:
            RequestError: There is none, or it has another version.
        """
        path = run / "results.json"
        if not path.is_file():
            raise RequestError(f"{run} holds no results.json: run `composer report` on it once a trial has finished")
        value = read_json(path)
        if value.get("version") != VERSION:
            raise RequestError(
                f"{path} has version {value.get('version')}: this composer reads version {VERSION}; delete it and "
                "run `composer report` again"
            )
        return cls.from_json(value)

    def label_of(self, arm: str) -> str:
        """The label of an arm."""
        return next(one.label for one in self.arms if one.name == arm)

    def score(self, arm: str, benchmark: str, kind: Kind) -> Score:
        """The score of an arm on a benchmark, which must have this kind of measure."""
        return next(one for one in self.scores if (one.arm, one.benchmark, one.kind) == (arm, benchmark, kind))

    def contrasts(self) -> list[tuple[str | None, str, str]]:
        """Every (comparison, arm, against) that has gains, in order."""
        return list(dict.fromkeys((one.comparison, one.arm, one.against) for one in self.gains))

    def gain(self, contrast: tuple[str | None, str, str], benchmark: str, kind: Kind) -> Gain:
        """The gain of a contrast on a benchmark, which must have this kind of measure."""
        wanted = (*contrast, benchmark, kind)
        return next(g for g in self.gains if (g.comparison, g.arm, g.against, g.benchmark, g.kind) == wanted)

    def measured(self, kind: Kind) -> list[Benchmark]:
        """The benchmarks that have this kind of measure."""
        return [one for one in self.benchmarks if one.measure(kind) is not None]

    def count(self, status: Status) -> int:
        """How many planned trials have this status."""
        return sum(one.status == status for one in self.trials)


def _tuples(value: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {**value, **{name: tuple(value[name]) for name in names}}


def _benchmark(value: Mapping[str, Any]) -> Benchmark:
    smooth = value["smooth"]
    return Benchmark(
        **{**value, "accuracy": Measure(**value["accuracy"]), "smooth": None if smooth is None else Measure(**smooth)}
    )


def _arm(value: Mapping[str, Any]) -> Arm:
    return Arm(**{**value, "categories": tuple(Category(**one) for one in value["categories"])})


def _gain(value: Mapping[str, Any]) -> Gain:
    tests = value["mcnemar"]
    mcnemar = None if tests is None else tuple(McNemar(**one) for one in tests)
    return Gain(**{**_tuples(value, ("seeds", "differences")), "mcnemar": mcnemar})


def _cost(value: Mapping[str, Any]) -> Cost:
    relative = value["relative"]
    return Cost(**{**_tuples(value, ("seeds",)), "relative": None if relative is None else Ratio(**relative)})
