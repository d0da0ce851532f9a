"""Scores of every arm, gains of every declared pair of arms, and their correction for being several."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from composer.findings.items import Group
from composer.findings.measured import UNTOLD, Family, Gain, Rules, Score, Verdict
from composer.findings.planned import KINDS, Benchmark, Kind, Measure
from composer.findings.statistics import CORRECTIONS, paired_gain

Values = Mapping[str, Mapping[Group, NDArray[np.float64]]]  # trial key → group → (n_items,)
Keys = Mapping[str, Mapping[int, str]]  # arm → seed → trial key; finished trials only
Contrast = tuple[str | None, str, str]  # a comparison's name or None, the arm, the arm it is compared with

UNFINISHED = "unfinished"  # the metric of tasks for thinking models: 1 where the thinking never ended
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


def compared_arms(plan: Mapping[str, Any]) -> list[str]:
    """The arms of a plan to compare with the baseline: all but those that only make up a ladder or a factorial."""
    designs = plan["designs"].values()
    made = {point["arm"] for design in designs for point in design["points"]}
    by_gain = {point["arm"] for design in designs if "gains" in design["findings"] for point in design["points"]}
    return [arm for arm, of in plan["arms"].items() if of["declared"] or arm in by_gain or arm not in made]


def contrasts(baseline: str | None, arms: Iterable[str], comparisons: Mapping[str, Any]) -> list[Contrast]:
    """What is compared with what: every other of these arms with the baseline, then every declared comparison."""
    over_baseline: list[Contrast] = [(None, arm, baseline) for arm in arms if baseline and arm != baseline]
    return over_baseline + [(name, pair["arm"], pair["against"]) for name, pair in comparisons.items()]


def scores(benchmarks: Sequence[Benchmark], keys: Keys, values: Values) -> Iterator[Score]:
    """The score of every arm on every measure."""
    for arm, of in keys.items():
        seeds = sorted(of)
        for benchmark, kind, measure in measures(benchmarks):
            by_seed = stacked(of, seeds, measure, values).mean(axis=1)
            yield Score(
                arm=arm,
                benchmark=benchmark.name,
                kind=kind,
                seeds=tuple(seeds),
                values=tuple(by_seed.tolist()),
                mean=float(by_seed.mean()) if seeds else None,
                sd=float(by_seed.std(ddof=1)) if len(seeds) > 1 else None,
                unfinished=_unfinished(of, seeds, measure, values) if kind == "accuracy" else None,
            )


def _unfinished(keys: Mapping[int, str], seeds: Sequence[int], measure: Measure, values: Values) -> float | None:
    """The share of items whose thinking never ended, where the task has that as a metric."""
    told = Group(measure.task, measure.filter, UNFINISHED)
    if not seeds or any(told not in values[keys[seed]] for seed in seeds):
        return None
    return float(np.mean([values[keys[seed]][told].mean() for seed in seeds]))


def gains(
    pairs: Iterable[Contrast],
    benchmarks: Sequence[Benchmark],
    keys: Keys,
    values: Values,
    rules: Rules,
    margins: Mapping[Contrast, float | None] | None = None,
) -> Iterator[Gain]:
    """The gain of every pair of arms on every measure, over the seeds that both have finished; not yet corrected.

    Args:
        pairs: What is compared with what.
        benchmarks: The benchmarks.
        keys: Each arm's finished trials.
        values: Their items.
        rules: How gains are judged.
        margins: Margins of accuracy of single pairs, in the place of that of `rules`.
    """
    for comparison, arm, against in pairs:
        own = dict(margins or {})
        ours, theirs = keys[arm], keys[against]
        seeds = sorted(ours.keys() & theirs.keys())
        same = bool(seeds) and all(ours[seed] == theirs[seed] for seed in seeds)
        for benchmark, kind, measure in measures(benchmarks):
            margin = rules.margins[kind]
            if kind == "accuracy":
                margin = own.get((comparison, arm, against), margin)
            paired = paired_gain(
                stacked(ours, seeds, measure, values),
                stacked(theirs, seeds, measure, values),
                rules.level,
                rules.items,
                margin,
            )
            gain = Gain(
                comparison=comparison,
                arm=arm,
                against=against,
                benchmark=benchmark.name,
                kind=kind,
                margin=margin,
                seeds=tuple(seeds),
                p_corrected=None,
                p_equivalent_corrected=None,
                verdict=UNTOLD,
                items=values[ours[seeds[0]]][group(measure)].size if seeds else None,
                **vars(paired),
            )
            yield replace(gain, reason=SAME_TRIALS) if same else gain


def corrected(
    found: Iterable[Gain], benchmarks: Sequence[Benchmark], keys: Keys, rules: Rules
) -> tuple[tuple[Gain, ...], tuple[Family, ...]]:
    """The gains with their corrected p-values and verdicts, and the families these were taken over.

    Two gains that the same trials answer are one hypothesis, and two arms that are the same trials are none.
    """
    done = list(found)
    correct = CORRECTIONS[rules.correction]
    higher = {(benchmark.name, kind): of.higher_is_better for benchmark, kind, of in measures(benchmarks)}
    families = []
    for kind in KINDS:
        places = [place for place, gain in enumerate(done) if gain.kind == kind and gain.reason != SAME_TRIALS]
        differing = _once(places, [_hypothesis(done[place], keys) for place in places])
        # The same gain held against two margins is two hypotheses.
        alike = _once(places, [(_hypothesis(done[place], keys), done[place].margin) for place in places])
        for of, p in zip(differing, correct([done[of[0]].p for of in differing]), strict=True):
            for place in of:
                done[place] = replace(done[place], p_corrected=p)
        for of, p in zip(alike, correct([done[of[0]].p_equivalent for of in alike]), strict=True):
            for place in of:
                done[place] = replace(done[place], p_equivalent_corrected=p)
        for place in places:
            gain = done[place]
            done[place] = replace(gain, verdict=_verdict(gain, higher[gain.benchmark, kind], 1 - rules.level))
        if places:
            tested = sum(done[of[0]].p is not None for of in differing)
            families.append(Family(kind, len(differing), tested, FAMILIES[kind]))
    return tuple(done), tuple(families)


def _once(places: Sequence[int], hypotheses: Sequence[object]) -> list[list[int]]:
    """The places of each hypothesis, in the order of its first."""
    found: dict[object, list[int]] = {}
    for place, hypothesis in zip(places, hypotheses, strict=True):
        found.setdefault(hypothesis, []).append(place)
    return list(found.values())


def _hypothesis(gain: Gain, keys: Keys) -> object:
    if not gain.seeds:
        return gain.benchmark, frozenset((gain.arm, gain.against))
    sides = (tuple(keys[arm][seed] for seed in gain.seeds) for arm in (gain.arm, gain.against))
    return gain.benchmark, frozenset(sides)


def _verdict(gain: Gain, higher_is_better: bool, alpha: float) -> Verdict:
    if gain.p_equivalent_corrected is not None and gain.p_equivalent_corrected < alpha:
        return "equivalent"
    if gain.gain is None or gain.p_corrected is None or gain.p_corrected >= alpha:
        return UNTOLD
    return "better" if (gain.gain > 0) == higher_is_better else "worse"


def measures(benchmarks: Iterable[Benchmark]) -> Iterator[tuple[Benchmark, Kind, Measure]]:
    """Every measure of every benchmark."""
    for benchmark in benchmarks:
        for kind in KINDS:
            measure = benchmark.measure(kind)
            if measure is not None:
                yield benchmark, kind, measure


def stacked(keys: Mapping[int, str], seeds: Sequence[int], measure: Measure, values: Values) -> NDArray[np.float64]:
    """(n_seeds, n_items) item values of one arm."""
    if not seeds:
        return np.empty((0, 1))
    return np.stack([values[keys[seed]][group(measure)] for seed in seeds])
