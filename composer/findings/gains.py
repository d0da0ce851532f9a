"""Scores of every arm, gains of every declared pair of arms, and their correction for being several."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from composer.findings.items import Group
from composer.findings.results import KINDS, Benchmark, Family, Gain, Kind, Measure, Score, Verdict
from composer.findings.statistics import LEVEL, holm, paired_gain

Values = Mapping[str, Mapping[Group, NDArray[np.float64]]]  # trial key → group → (n_items,)
Keys = Mapping[str, Mapping[int, str]]  # arm → seed → trial key; finished trials only
Contrast = tuple[str | None, str, str]  # a comparison's name or None, the arm, the arm it is compared with

SAME_TRIALS = "both arms are the same trials"
FAMILIES: dict[Kind, str] = {
    "accuracy": "all accuracy gains of this run: every arm over the baseline and every declared comparison, "
    "on every benchmark",
    "smooth": "all smooth-score gains of this run: every arm over the baseline and every declared comparison, "
    "on every benchmark that has a smooth score",
}


def group(measure: Measure) -> Group:
    """The items that a measure reads."""
    return Group(measure.task, measure.filter, measure.metric)


def contrasts(baseline: str | None, arms: Iterable[str], comparisons: Mapping[str, Any]) -> list[Contrast]:
    """What is compared with what: every other arm with the baseline, then every declared comparison."""
    over_baseline: list[Contrast] = [(None, arm, baseline) for arm in arms if baseline and arm != baseline]
    return over_baseline + [(name, pair["arm"], pair["against"]) for name, pair in comparisons.items()]


def scores(benchmarks: Sequence[Benchmark], keys: Keys, values: Values) -> Iterator[Score]:
    """The score of every arm on every measure."""
    for arm, of in keys.items():
        seeds = sorted(of)
        for benchmark, kind, measure in _measures(benchmarks):
            by_seed = _stacked(of, seeds, measure, values).mean(axis=1)
            yield Score(
                arm=arm,
                benchmark=benchmark.name,
                kind=kind,
                seeds=tuple(seeds),
                values=tuple(by_seed.tolist()),
                mean=float(by_seed.mean()) if seeds else None,
                sd=float(by_seed.std(ddof=1)) if len(seeds) > 1 else None,
            )


def gains(pairs: Iterable[Contrast], benchmarks: Sequence[Benchmark], keys: Keys, values: Values) -> Iterator[Gain]:
    """The gain of every pair of arms on every measure, over the seeds that both have finished; not yet corrected."""
    for comparison, arm, against in pairs:
        ours, theirs = keys[arm], keys[against]
        seeds = sorted(ours.keys() & theirs.keys())
        same = bool(seeds) and all(ours[seed] == theirs[seed] for seed in seeds)
        for benchmark, kind, measure in _measures(benchmarks):
            paired = paired_gain(
                _stacked(ours, seeds, measure, values), _stacked(theirs, seeds, measure, values), LEVEL
            )
            gain = Gain(
                comparison=comparison,
                arm=arm,
                against=against,
                benchmark=benchmark.name,
                kind=kind,
                seeds=tuple(seeds),
                p_holm=None,
                verdict="open",
                items=values[ours[seeds[0]]][group(measure)].size if seeds else None,
                **asdict(paired),
            )
            yield replace(gain, reason=SAME_TRIALS) if same else gain


def corrected(
    found: Iterable[Gain], benchmarks: Sequence[Benchmark], keys: Keys
) -> tuple[tuple[Gain, ...], tuple[Family, ...]]:
    """The gains with Holm's correction and their verdicts, and the families it was taken over.

    Two gains that the same trials answer are one hypothesis, and two arms that are the same trials are none.
    """
    done = list(found)
    measures = {(benchmark.name, kind): measure for benchmark, kind, measure in _measures(benchmarks)}
    families = []
    for kind in KINDS:
        hypotheses: dict[object, list[int]] = {}
        for place, gain in enumerate(done):
            if gain.kind == kind and gain.reason != SAME_TRIALS:
                hypotheses.setdefault(_hypothesis(gain, keys), []).append(place)
        raw = [done[places[0]].p for places in hypotheses.values()]
        for p_holm, places in zip(holm(raw), hypotheses.values(), strict=True):
            for place in places:
                higher = measures[done[place].benchmark, kind].higher_is_better
                done[place] = replace(done[place], p_holm=p_holm, verdict=_verdict(done[place].gain, p_holm, higher))
        if hypotheses:
            tested = sum(p is not None for p in raw)
            families.append(Family(kind, len(hypotheses), tested, FAMILIES[kind]))
    return tuple(done), tuple(families)


def _hypothesis(gain: Gain, keys: Keys) -> object:
    if not gain.seeds:
        return gain.benchmark, frozenset((gain.arm, gain.against))
    sides = (tuple(keys[arm][seed] for seed in gain.seeds) for arm in (gain.arm, gain.against))
    return gain.benchmark, frozenset(sides)


def _verdict(gain: float | None, p_holm: float | None, higher_is_better: bool) -> Verdict:
    if gain is None or p_holm is None or p_holm >= 1 - LEVEL:
        return "open"
    return "better" if (gain > 0) == higher_is_better else "worse"


def _measures(benchmarks: Iterable[Benchmark]) -> Iterator[tuple[Benchmark, Kind, Measure]]:
    for benchmark in benchmarks:
        for kind in KINDS:
            measure = benchmark.measure(kind)
            if measure is not None:
                yield benchmark, kind, measure


def _stacked(keys: Mapping[int, str], seeds: Sequence[int], measure: Measure, values: Values) -> NDArray[np.float64]:
    """(n_seeds, n_items) item values of one arm."""
    if not seeds:
        return np.empty((0, 1))
    return np.stack([values[keys[seed]][group(measure)] for seed in seeds])
