"""What the designs of a plan show: dose-responses, scaling curves and effects, each family of tests corrected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from composer.findings.dose import FRACTION, NO_TREND, DoseResponse, dose_response
from composer.findings.gains import Keys, Values, group, measures, stacked
from composer.findings.measured import UNTOLD, Rules, Verdict
from composer.findings.planned import Benchmark, Kind, Measure
from composer.findings.scaling import ScalingCurve, scaling_curves
from composer.findings.statistics import CORRECTIONS, paired_gain

Runs = dict[float, dict[int, NDArray[np.float64]]]  # dose or size → seed → (n_items,)


@dataclass(frozen=True)
class DoseFinding:
    """How one benchmark answers to the dose of one category.

    Attributes:
        design: The design's name in the plan.
        category: The category whose rows are the dose.
        benchmark: The benchmark's name.
        kind: `accuracy` or `smooth`.
        p_corrected: The p-value that the dose matters, corrected over all dose-responses of the run and this kind.
        response: What was found; a threshold is in it only where `p_corrected` is below 1 − level.
    """

    design: str
    category: str
    benchmark: str
    kind: Kind
    p_corrected: float | None
    response: DoseResponse


@dataclass(frozen=True)
class ScalingFinding:
    """How one benchmark grows with the rows of one category.

    Attributes:
        design: The design's name in the plan.
        category: The category whose rows grow; null where the whole mixture does.
        benchmark: The benchmark's name.
        kind: `accuracy` or `smooth`.
        curve: What was found.
        fits: Whether the sizes are compatible with the law (`curve.p_form` at least 1 − level, or too few sizes to
            tell); null without a law. Where it does not fit, its exponent, band and predictions mean nothing.
    """

    design: str
    category: str | None
    benchmark: str
    kind: Kind
    curve: ScalingCurve
    fits: bool | None


@dataclass(frozen=True)
class EffectFinding:
    """A main effect or an interaction of a factorial on one benchmark, as a difference of mean scores.

    Attributes:
        design: The design's name in the plan.
        effect: Its name: a factor, or factors joined by ` × `.
        benchmark: The benchmark's name.
        kind: `accuracy` or `smooth`.
        seeds: The seeds that all arms finished.
        gain: The effect; null without such a seed.
        low: Lower end of its interval; null for the reason in `reason`.
        high: Its upper end.
        p: Two-sided p-value of the paired t test over seeds.
        p_corrected: The same, corrected over all effects of the run and this kind.
        verdict: `better`, `worse`, or `cannot tell`.
        reason: Why there is no interval.
    """

    design: str
    effect: str
    benchmark: str
    kind: Kind
    seeds: tuple[int, ...]
    gain: float | None
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None
    verdict: Verdict
    reason: str | None


def dose_findings(
    designs: Mapping[str, Any], benchmarks: Sequence[Benchmark], keys: Keys, values: Values, rules: Rules
) -> tuple[DoseFinding, ...]:
    """The dose-response of every design with doses on every measure that has finished trials."""
    found = []
    for name, design in designs.items():
        if "dose" not in design["findings"]:
            continue
        doses = {float(point["dose"]): point["arm"] for point in design["points"] if point["dose"] is not None}
        fraction = design["config"].get("restore", FRACTION)
        category = next(point["category"] for point in design["points"] if point["category"] is not None)
        for benchmark, kind, measure in measures(benchmarks):
            runs = _runs(doses, measure, keys, values)
            if runs:
                response = dose_response(runs, fraction, rules.level, measure.higher_is_better)
                found.append(DoseFinding(name, category, benchmark.name, kind, response.p, response))
    for places in _of_kind([one.kind for one in found]):
        corrected = CORRECTIONS[rules.correction]([found[place].response.p for place in places])
        for place, p in zip(places, corrected, strict=True):
            found[place] = _told(replace(found[place], p_corrected=p), rules.level)
    return tuple(found)


def scaling_findings(
    designs: Mapping[str, Any], benchmarks: Sequence[Benchmark], keys: Keys, values: Values, rules: Rules
) -> tuple[ScalingFinding, ...]:
    """The scaling curve of every design with sizes, category by category, on every measure with finished trials."""
    found: list[ScalingFinding] = []
    for kind, higher in dict.fromkeys((kind, of.higher_is_better) for _, kind, of in measures(benchmarks)):
        family: dict[tuple[str, str | None, str], Runs] = {}
        for name, design in designs.items():
            if "scaling" not in design["findings"]:
                continue
            for category, sizes in _ladders(design).items():
                for benchmark, of, measure in measures(benchmarks):
                    runs = _runs(sizes, measure, keys, values)
                    if runs and (of, measure.higher_is_better) == (kind, higher):
                        family[name, category, benchmark.name] = runs
        curves = scaling_curves(
            {" · ".join(filter(None, place)): runs for place, runs in family.items()},
            higher_is_better=higher,
            items=rules.items,
            level=rules.level,
            correction=rules.correction,
        )
        for place, curve in zip(family, curves.values(), strict=True):
            fits = None if curve.exponent is None else curve.p_form is None or curve.p_form >= 1 - rules.level
            found.append(ScalingFinding(*place, kind, curve, fits))
    return tuple(found)


def effect_findings(
    designs: Mapping[str, Any], benchmarks: Sequence[Benchmark], keys: Keys, values: Values, rules: Rules
) -> tuple[EffectFinding, ...]:
    """Every effect of every factorial on every measure."""
    found, better = [], []
    for name, design in designs.items():
        for effect in design["effects"]:
            for benchmark, kind, measure in measures(benchmarks):
                found.append(_effect(name, effect, benchmark.name, kind, measure, keys, values, rules))
                better.append(measure.higher_is_better)
    for places in _of_kind([one.kind for one in found]):
        corrected = CORRECTIONS[rules.correction]([found[place].p for place in places])
        for place, p in zip(places, corrected, strict=True):
            one = found[place]
            told = p is not None and one.gain is not None and p < 1 - rules.level
            verdict: Verdict = UNTOLD if not told else "better" if ((one.gain or 0) > 0) == better[place] else "worse"
            found[place] = replace(one, p_corrected=p, verdict=verdict)
    return tuple(found)


def _effect(
    design: str,
    effect: Mapping[str, Any],
    benchmark: str,
    kind: Kind,
    measure: Measure,
    keys: Keys,
    values: Values,
    rules: Rules,
) -> EffectFinding:
    weights: Mapping[str, float] = effect["weights"]
    seeds = sorted(set.intersection(*(set(keys[arm]) for arm in weights)))

    def side(sign: int) -> NDArray[np.float64]:
        parts = [w * sign * stacked(keys[arm], seeds, measure, values) for arm, w in weights.items() if w * sign > 0]
        total: NDArray[np.float64] = np.sum(parts, axis=0)
        return total

    paired = paired_gain(side(1), side(-1), rules.level, rules.items)
    return EffectFinding(
        design, effect["name"], benchmark, kind, tuple(seeds), paired.gain, paired.low, paired.high, paired.p,
        None, UNTOLD, paired.reason,
    )  # fmt: skip


def _told(finding: DoseFinding, level: float) -> DoseFinding:
    """The finding without a threshold and a curve where the corrected test does not show that the dose matters."""
    if finding.p_corrected is None or finding.p_corrected < 1 - level or finding.response.reason == NO_TREND:
        return finding
    return replace(finding, response=replace(finding.response, curve=(), threshold=None, reason=NO_TREND))


def _ladders(design: Mapping[str, Any]) -> dict[str | None, dict[float, str]]:
    """Category (None: the whole) → size → arm; the base belongs to all of them."""
    ladders: dict[str | None, dict[float, str]] = {}
    for point in design["points"]:
        if point["dose"]:
            ladders.setdefault(point["category"], {})[float(point["dose"])] = point["arm"]
    return ladders


def _runs(arms: Mapping[float, str], measure: Measure, keys: Keys, values: Values) -> Runs:
    found: Runs = {}
    for dose, arm in sorted(arms.items()):
        if keys[arm]:
            found[dose] = {seed: values[key][group(measure)] for seed, key in sorted(keys[arm].items())}
    return found


def _of_kind(kinds: Sequence[Kind]) -> Iterator[list[int]]:
    """The places of each kind."""
    for kind in dict.fromkeys(kinds):
        yield [place for place, one in enumerate(kinds) if one == kind]
