"""Which metrics of a run can tell its arms apart, and whether its arms come in the order of another run's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from composer.findings.fidelity import Agreement, Signal, rank_agreements, signal_to_noise
from composer.findings.gains import Keys, Values, group, measures
from composer.findings.measured import Rules, Score
from composer.findings.planned import KINDS, Benchmark, Kind


@dataclass(frozen=True)
class SignalFinding:
    """Whether one metric tells the arms of a run apart.

    Attributes:
        benchmark: The benchmark's name.
        kind: `accuracy` or `smooth`.
        signal: What was found.
    """

    benchmark: str
    kind: Kind
    signal: Signal


@dataclass(frozen=True)
class AgreementFinding:
    """Whether one metric ranks the arms as a reference run ranked the arms of the same names.

    Attributes:
        benchmark: The benchmark's name, the same in both runs.
        kind: `accuracy` or `smooth`.
        agreement: What was found.
    """

    benchmark: str
    kind: Kind
    agreement: Agreement


def signal_findings(
    benchmarks: Sequence[Benchmark], keys: Keys, values: Values, rules: Rules
) -> tuple[SignalFinding, ...]:
    """The signal-to-noise of every measure, over the arms that have finished trials and are not the same trials."""
    once: dict[tuple[tuple[int, str], ...], str] = {}
    for arm, of in keys.items():
        if of:
            once.setdefault(tuple(of.items()), arm)
    arms = list(once.values())
    found = []
    for benchmark, kind, measure in measures(benchmarks):
        of_arms = {arm: {seed: values[key][group(measure)] for seed, key in keys[arm].items()} for arm in arms}
        signal = signal_to_noise(benchmark.name, of_arms, rules.items, rules.level)
        found.append(SignalFinding(benchmark.name, kind, signal))
    return tuple(found)


def agreement_findings(
    scores: Sequence[Score], reference: Sequence[Score], rules: Rules
) -> tuple[AgreementFinding, ...]:
    """The rank agreement with a reference run on every measure that both have, by mean scores."""
    found = []
    for kind in KINDS:
        ours, theirs = _means(scores, kind), _means(reference, kind)
        for name, agreement in rank_agreements(ours, theirs, rules.level, rules.correction).items():
            found.append(AgreementFinding(name, kind, agreement))
    return tuple(found)


def _means(scores: Sequence[Score], kind: Kind) -> dict[str, dict[str, float]]:
    means: dict[str, dict[str, float]] = {}
    for score in scores:
        if score.kind == kind and score.mean is not None:
            means.setdefault(score.benchmark, {})[score.arm] = score.mean
    return means
