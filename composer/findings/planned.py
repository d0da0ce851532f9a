"""What a run's findings speak of, as planned: benchmarks, arms and trials. Part of `results.json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["accuracy", "smooth"]
KINDS: tuple[Kind, ...] = ("accuracy", "smooth")
Status = Literal["finished", "failed", "missing"]


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
class TrialEvent:
    """Something that a trial's monitors told while it trained.

    Attributes:
        arm: The trial's.
        seed: The trial's.
        step: Of the optimizer, from 1.
        kind: `spike`, `repeats`, `drift`, `plateau` or `divergence`.
        policy: What was to be done about it.
        told: A sentence for people.
    """

    arm: str
    seed: int
    step: int
    kind: str
    policy: str
    told: str
