"""What a search has found: its objective at every arm, the best of them, and how far noise may have made it so.

The best of many noisy means is partly the luckiest, so its value is too high on average, and its lead says less than
that of an arm that was named beforehand. Both are reckoned with here: the lead by a critical value for the best of all
arms, the value by a bound of its bias.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any, Literal

import numpy as np

from composer.config_search import COST, SearchConfig
from composer.findings.fidelity import Signal, signal_to_noise
from composer.findings.gains import Keys
from composer.findings.measured import Rules, Score
from composer.findings.planned import Benchmark, Trial
from composer.findings.selection import expected_maximum, selection_quantile
from composer.study.domain import EDIT
from composer.study.objectives import Objectives, pooled_noise

DECIMALS = 12  # of a mean: equal means that differ by rounding alone are equal

State = Literal["finished", "failed", "unfinished"]


@dataclass(frozen=True)
class Objective:
    """One objective; more is better.

    Attributes:
        name: A benchmark, `cost`, or `weighted` for the sum of several benchmarks.
        label: Its name for people.
        weights: Benchmark → weight, which sum to 1; empty for `cost`.
        sd: Standard deviation of one arm from seed to seed, pooled over all arms; null where no arm has two seeds.
        signal: Whether it tells the arms apart, on common seeds, so that what a seed does to all arms is no noise; null
            for `cost`, which has none.
    """

    name: str
    label: str
    weights: Mapping[str, float]
    sd: float | None
    signal: Signal | None


@dataclass(frozen=True)
class Tried:
    """One arm of a search. What is said of each objective is in the order of the objectives.

    Attributes:
        arm: The arm's name.
        proposed: Whether the search proposed it; else the recipe declares it.
        state: `failed` where a trial of it failed, `unfinished` where one is missing.
        settings: Trainer setting → value, where they are not the recipe's.
        seeds: The finished seeds.
        by_seed: (n_seeds, n_objectives) values. Accuracy is a fraction in [0, 1], negative where less is better; `cost`
            is the tokens that a trial is trained on, negative.
        values: (n_objectives,) means of `by_seed`; empty without a finished seed.
        sd: (n_objectives,) their standard deviations (n − 1), null with fewer than two seeds; empty without one.
        se: (n_objectives,) standard errors of `values`, by the standard deviation that is pooled over arms; likewise.
        ranked: Whether it has as many finished seeds as any arm. Others are shown, and take no part in what follows.
        rank: Its place by the one objective, 1 for the best; null with several objectives.
        on_front: Whether no ranked arm is at least as good by every objective and better by one. It is of the means: it
            does not say that a difference is more than noise.
        may_be_best: Whether its seeds leave it possible that it is the best of all; false where that is not known.
        best_so_far: The highest value among this and all ranked arms before it; null with several objectives.
    """

    arm: str
    proposed: bool
    state: State
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]
    by_seed: tuple[tuple[float, ...], ...]
    values: tuple[float, ...]
    sd: tuple[float | None, ...]
    se: tuple[float | None, ...]
    ranked: bool
    rank: int | None
    on_front: bool
    may_be_best: bool
    best_so_far: float | None


@dataclass(frozen=True)
class Lead:
    """By how much the best arm is ahead of another, paired by seed.

    Attributes:
        arm: The other arm.
        differences: (n_seeds,) the best arm's value minus the other's.
        gain: Their mean.
        low: Lower confidence limit, which holds for an arm that was picked as the best of all; null for the reason in
            `Best.reason`.
    """

    arm: str
    differences: tuple[float, ...]
    gain: float
    low: float | None


@dataclass(frozen=True)
class Best:
    """The arm of the highest mean, and how sure that is. Noise is that of seeds, on these items.

    Attributes:
        arm: Its name.
        value: Its mean.
        margin: Arms that are closer to it than this cannot be told from the best of all (Gupta's (1965) subset); null
            for the reason in `reason`.
        bias: The most by which its value is too high on average because it was picked for being the highest: the
            expected maximum of the noise of all arms. Null likewise.
        among: The arms that may be the best of all, it among them, the highest mean first; empty likewise.
        runner_up: Its lead on the arm of the second-highest mean; null without one.
        declared: Its lead on every arm that the recipe declares.
        reason: Why nothing is known of the noise; null where it is.
    """

    arm: str
    value: float
    margin: float | None
    bias: float | None
    among: tuple[str, ...]
    runner_up: Lead | None
    declared: tuple[Lead, ...]
    reason: str | None


@dataclass(frozen=True)
class CheapFinding:
    """What a search made of its runs at one fidelity.

    Attributes:
        name: The fidelity's.
        paired: Mixtures that were trained this way and as the search itself does.
        trust: Benchmark → how far the cheap order of mixtures was believed, in [0, 1).
        useful: Whether the sampler learned from them.
    """

    name: str
    paired: int
    trust: Mapping[str, float]
    useful: bool


@dataclass(frozen=True)
class SearchFinding:
    """What a search has found.

    Attributes:
        sampler: Who proposed, as the recipe names it.
        startup: Of the proposals, those drawn at random before any was learned from.
        asked: Proposals that the recipe asks for.
        made: Proposals that were made.
        failed: The proposals of which a trial failed.
        unfinished: The proposals of which a trial is missing, and none failed.
        settings: The trainer settings that were searched.
        objectives: One weighted objective, or several that are kept apart.
        arms: The declared arms, then the proposals in their order.
        best: Null with several objectives, or where no arm has finished.
        cheap: The fidelities whose pairs have all ended.
    """

    sampler: str
    startup: int
    asked: int
    made: int
    failed: tuple[str, ...]
    unfinished: tuple[str, ...]
    settings: tuple[str, ...]
    objectives: tuple[Objective, ...]
    arms: tuple[Tried, ...]
    best: Best | None
    cheap: tuple[CheapFinding, ...] = ()


def proposed_arms(plan: Mapping[str, Any]) -> set[str]:
    """The arms of a plan that its search has proposed."""
    return {name for name, arm in plan["arms"].items() if EDIT in (arm["mixture"].get("edits") or {})}


def search_finding(
    plan: Mapping[str, Any], benchmarks: Sequence[Benchmark], trials: Sequence[Trial], keys: Keys,
    scores: Sequence[Score], rules: Rules,
) -> SearchFinding | None:  # fmt: skip
    """What the search of a plan has found; None where it has none.

    Args:
        plan: The plan.
        benchmarks: Its benchmarks.
        trials: Its trials and what became of them.
        keys: Each arm's finished trials.
        scores: Every arm × benchmark × kind.
        rules: Their level is that of what is said of the best arm.
    """
    search = plan.get("search")
    if search is None:
        return None
    wanted = _objectives(search, benchmarks)
    made = proposed_arms(plan)
    arms = [_tried(name, of, name in made, trials, scores, wanted) for name, of in plan["arms"].items()]
    noise = pooled_noise([one.by_seed for one in arms])
    most = max((len(one.seeds) for one in arms), default=0)
    arms = _ranked([_with_noise(one, noise, most) for one in arms], single=len(wanted.names) == 1)
    # Two arms that are the same trials are one: their values agree by no virtue of their own.
    same = {tuple(sorted(keys[one.arm].items())): one for one in reversed(arms) if one.ranked}
    signals = [_signal(name, place, list(same.values()), rules) for place, name in enumerate(wanted.names)]
    best = _best(arms, len(same), signals[0], rules.level) if len(wanted.names) == 1 else None
    if best is not None:
        arms = [replace(one, may_be_best=one.arm in best.among) for one in arms]
    labels = {one.name: one.label for one in benchmarks} | {COST: "training tokens"}
    objectives = []
    for place, (name, signal) in enumerate(zip(wanted.names, signals, strict=True)):
        weights = dict(wanted.weights) or ({} if name == COST else {name: 1.0})
        sd = None if noise is None else noise[place]
        objectives.append(Objective(name, labels.get(name) or _sum_label(weights, labels), weights, sd, signal))
    proposed = [one for one in arms if one.proposed]
    return SearchFinding(
        sampler=search["sampler"],
        startup=min(search["startup"], search["trials"]),
        asked=search["trials"],
        made=len(proposed),
        failed=tuple(one.arm for one in proposed if one.state == "failed"),
        unfinished=tuple(one.arm for one in proposed if one.state == "unfinished"),
        settings=tuple(search["trainer"]),
        objectives=tuple(objectives),
        arms=tuple(arms),
        best=best,
        cheap=tuple(
            CheapFinding(name, of["paired"], of["trust"], of["useful"])
            for name, of in plan.get("fidelities", {}).items()
        ),
    )


def _objectives(search: Mapping[str, Any], benchmarks: Sequence[Benchmark]) -> Objectives:
    signs = {one.name: 1 if one.accuracy.higher_is_better else -1 for one in benchmarks}
    config = SearchConfig(objectives=dict(search["objectives"]), pareto=list(search["pareto"]))
    weights = config.weights(signs)
    return Objectives(tuple(config.pareto) if config.pareto else (_weighted(weights),), weights, signs)


def _weighted(weights: Mapping[str, float]) -> str:
    return next(iter(weights)) if len(weights) == 1 else "weighted"


def _sum_label(weights: Mapping[str, float], labels: Mapping[str, str]) -> str:
    if len({round(weight, 9) for weight in weights.values()}) == 1:
        return f"mean of {len(weights)} benchmarks"
    return " + ".join(f"{weight:.3g} {labels[name]}" for name, weight in weights.items())


def _tried(
    name: str, planned: Mapping[str, Any], proposed: bool, trials: Sequence[Trial], scores: Sequence[Score],
    wanted: Objectives,
) -> Tried:  # fmt: skip
    states = {one.status for one in trials if one.arm == name}
    of = {one.benchmark: one for one in scores if one.arm == name and one.kind == "accuracy"}
    seeds = next(iter(of.values())).seeds if of else ()
    by_seed = tuple(
        tuple(wanted.of({benchmark: one.values[place] for benchmark, one in of.items()}, planned["training_tokens"]))
        for place in range(len(seeds))
    )
    columns = list(zip(*by_seed, strict=True))
    return Tried(
        arm=name,
        proposed=proposed,
        state="failed" if "failed" in states else "unfinished" if "missing" in states else "finished",
        settings=dict(planned["trainer"]),
        seeds=seeds,
        by_seed=by_seed,
        values=tuple(round(fmean(column), DECIMALS) for column in columns),
        sd=tuple(stdev(column) if len(column) > 1 else None for column in columns),
        se=(None,) * len(columns),
        ranked=False,
        rank=None,
        on_front=False,
        may_be_best=False,
        best_so_far=None,
    )


def _with_noise(one: Tried, noise: Sequence[float] | None, most: int) -> Tried:
    if noise is not None and one.values:
        one = replace(one, se=tuple(sd / math.sqrt(len(one.seeds)) for sd in noise))
    return replace(one, ranked=0 < len(one.seeds) == most)


def _ranked(arms: Sequence[Tried], single: bool) -> list[Tried]:
    """The arms with their ranks, the front, and the best so far."""
    values = [one.values for one in arms if one.ranked]
    done, so_far = [], None
    for one in arms:
        if one.ranked:
            one = replace(one, on_front=not any(beats(other, one.values) for other in values))
            if single:
                so_far = one.values[0] if so_far is None else max(so_far, one.values[0])
                one = replace(one, rank=1 + sum(other[0] > one.values[0] for other in values), best_so_far=so_far)
        done.append(one)
    return done


def beats(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether `one` is at least as good by every objective, and better by one."""
    return one != other and all(ours >= theirs for ours, theirs in zip(one, other, strict=True))


def _signal(name: str, place: int, arms: Sequence[Tried], rules: Rules) -> Signal | None:
    """Seeds are the noise, whatever the rules say of items: an objective of several benchmarks has no items."""
    if name == COST or not arms:
        return None
    values = {
        one.arm: {seed: np.array([of[place]]) for seed, of in zip(one.seeds, one.by_seed, strict=True)} for one in arms
    }
    return signal_to_noise(name, values, "fixed", rules.level)


def _best(arms: Sequence[Tried], distinct: int, signal: Signal | None, level: float) -> Best | None:
    ranked = sorted((one for one in arms if one.ranked), key=lambda one: -one.values[0])
    if not ranked:
        return None
    best, margin, bias = ranked[0], None, None
    noise = None if signal is None else signal.noise_sd
    if signal is not None and noise is not None:
        df = (distinct - 1) * (len(signal.seeds) - 1)
        margin = selection_quantile(distinct, df, level) * math.sqrt(2) * noise
        bias = expected_maximum(distinct) * noise

    def lead(other: Tried) -> Lead:
        theirs = dict(zip(other.seeds, other.by_seed, strict=True))
        pairs = [(of[0], theirs[seed][0]) for seed, of in zip(best.seeds, best.by_seed, strict=True) if seed in theirs]
        gain = best.values[0] - other.values[0]
        return Lead(other.arm, tuple(a - b for a, b in pairs), gain, None if margin is None else gain - margin)

    return Best(
        arm=best.arm,
        value=best.values[0],
        margin=margin,
        bias=bias,
        among=() if margin is None else tuple(one.arm for one in ranked if best.values[0] - one.values[0] <= margin),
        runner_up=lead(ranked[1]) if len(ranked) > 1 else None,
        declared=tuple(lead(one) for one in ranked[1:] if not one.proposed),
        reason=None if noise is not None or signal is None else signal.reason,
    )
