"""Which proposals of a search are hopeless after some of their seeds, by paired items: the search's `Judge`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from composer.findings.gains import group
from composer.findings.items import read_paired
from composer.findings.planned import Measure
from composer.study.search_work import Judge

# Items speak of these two trainings, not of their mixtures, so the test is a strict one.
LEVEL = 0.01


def judge(run: Path) -> Judge:
    """A judge that reads the items of the trials in `run`.

    Optuna's WilcoxonPruner decides: a signed-rank test of the items that both answered, each weighted as its benchmark
    is in the objective, over the seeds that both have. It never gives up what scores above the best.
    """

    def hopeless(
        keys: Sequence[str], best: Sequence[str], benchmarks: Mapping[str, Any], weights: Mapping[str, float], /
    ) -> bool:
        import optuna
        from optuna.trial import TrialState, create_trial

        read = read_paired(run, list(dict.fromkeys([*keys, *best])))
        study = optuna.create_study(direction="maximize")
        trials = []
        for of in (best, keys):
            items = np.concatenate([_weighted(read[key], benchmarks, weights) for key in of])
            trials.append(
                create_trial(
                    state=TrialState.COMPLETE,
                    value=float(items.mean()),
                    intermediate_values=dict(enumerate(items.tolist())),
                )
            )
        study.add_trial(trials[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return bool(optuna.pruners.WilcoxonPruner(p_threshold=LEVEL).prune(study, trials[1]))

    return hopeless


def _weighted(
    values: Mapping[Any, NDArray[np.float64]], benchmarks: Mapping[str, Any], weights: Mapping[str, float]
) -> NDArray[np.float64]:
    """Every item of a trial, on a scale on which their mean is the objective."""
    found = []
    for name, weight in weights.items():
        told = benchmarks[name]["accuracy"]
        higher = told["higher_is_better"]
        of = values[group(Measure(told["task"], told["metric"], told["filter"], higher))]
        found.append((1 if higher else -1) * weight / len(of) * of)
    items = np.concatenate(found)
    scaled: NDArray[np.float64] = items * len(items)
    return scaled
