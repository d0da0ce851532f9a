"""What 460 published fine-tuning runs, one a mixture, say about their mixtures once noise is taken into account.

Run it as `python benchmarks/published_runs.py FILE [all]`, where FILE is `admire_ift_runs.csv` of ADMIRE-BayesOpt
(Chen et al. 2025, arXiv 2508.11551); without FILE it is looked for below `COMPOSER_DATA`. It prints Markdown, and with
`all` every effect rather than those that can be told.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from composer.findings.fidelity import rank_agreements
from composer.findings.power_law import Interval
from composer.findings.published import Swarm, read_swarms
from composer.findings.statistics import holm
from composer.findings.swarm import (
    DRAWS,
    Difference,
    Effect,
    best_over_median,
    category_effects,
    noise_of_runs,
    over_median,
)

FILE = "swarms/admire_ift_runs/admire_ift_runs.csv"
SHARES, SCORES, MODEL = "ratio_", "metric_", "model"
IN_DISTRIBUTION = 10  # of the benchmarks, in the file's order; the other seven are out of distribution
PUBLISHED = {"mean of all": "avg_id+ood", "mean in distribution": "avg_id", "mean out of distribution": "avg_ood"}
MEANS = tuple(PUBLISHED)
LISTED = 5  # of the mixtures that nothing can be told of


def main(arguments: Sequence[str]) -> None:
    """Prints the findings as Markdown."""
    every = "all" in arguments
    files = [Path(one) for one in arguments if one != "all"]
    path = files[0] if files else Path(os.environ.get("COMPOSER_DATA", ".")) / FILE
    read = read_swarms(path, SHARES, SCORES, MODEL)
    swarms = {name: _with_means(swarm) for name, swarm in read.items()}
    print(_introduction(swarms))
    print("\n".join(_best(swarms)))
    for swarm in swarms.values():
        print("\n".join(_mixtures(swarm)))
    for swarm in swarms.values():
        print("\n".join(_categories(swarm, every)))
    print("\n".join(_noise(swarms)))
    print("\n".join(_agreement(swarms)))
    print("\n".join(_oddities(read, swarms)))


def _tasks(swarm: Swarm) -> list[str]:
    return [name for name in swarm.benchmarks if name not in PUBLISHED and name not in PUBLISHED.values()]


def _with_means(swarm: Swarm) -> Swarm:
    tasks = _tasks(swarm)
    for name, of in zip(MEANS, (tasks, tasks[:IN_DISTRIBUTION], tasks[IN_DISTRIBUTION:]), strict=True):
        swarm = swarm.with_mean(name, of)
    return swarm


def _introduction(swarms: dict[str, Swarm]) -> str:
    any_ = next(iter(swarms.values()))
    counted = ", ".join(f"{len(swarm.shares)} of {name}" for name, swarm in swarms.items())
    return f"""# Published runs, judged

`python benchmarks/published_runs.py FILE`, FILE being `admire_ift_runs.csv` of ADMIRE-BayesOpt (Chen et al. 2025,
arXiv 2508.11551, CC BY-NC-SA 4.0): supervised fine-tuning on mixtures of {len(any_.categories)} instruction sets,
scored on {len(_tasks(any_))} benchmarks; {counted}. One run a
mixture. All scores in points (hundredths).

How noise is told without a second seed: a linear law, score = Σ coefficient · share, is fitted to each model and
benchmark; the standard deviation of what it leaves is the noise of one run. What the law misses is in it, so it is
rather too large, and fewer statements come out than might; statements under the law are about its best fit. All
intervals are 95 % and each for itself alone; every verdict is Holm-corrected within its family, at 5 %, unless said."""


def _best(swarms: dict[str, Swarm]) -> Iterable[str]:
    yield "\n## The best mixture over the median one\n"
    *_, (model, largest) = swarms.items()
    judged = best_over_median(largest, MEANS[0])
    if judged.noise_lead is not None and judged.noise_lead_high is not None and judged.p_noise is not None:
        yield (
            f"On {model}, the best of {len(largest.shares)} mixtures leads the median one by {_points(judged.lead)} "
            f"points in the {MEANS[0]}. Noise alone would make it lead by {_points(judged.noise_lead)}, and by more "
            f"than {_points(judged.noise_lead_high)} one time in twenty (p = {_p(judged.p_noise)}). The other runs "
            f"predict a lead of {_interval(judged.corrected)} for this mixture: **{judged.verdict}**.\n"
        )
    yield (
        "`lead`: best less median score. `by noise alone`: the lead that so many runs would show if all mixtures were "
        f"equal and runs had this noise ({DRAWS:,} draws), its mean and the value exceeded with 5 % chance. "
        "`without luck`: the lead of the same mixture as predicted from all other runs, so that the luck which made it "
        "the best is not in it. It is one test a row, not corrected for the nine rows.\n"
    )
    yield "| model | score | runs | lead | noise of a run | by noise alone | p | without luck | p | verdict |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|---|"
    for model, swarm in swarms.items():
        for name in MEANS:
            best = best_over_median(swarm, name)
            if best.noise_sd is None or best.noise_lead is None or best.noise_lead_high is None:
                yield f"| {model} | {name} | {len(swarm.shares)} | {_points(best.lead)} | {best.reason} |" + " |" * 5
                continue
            yield (
                f"| {model} | {name} | {len(swarm.shares)} | {_points(best.lead)} | {_points(best.noise_sd)} "
                f"| {_points(best.noise_lead)}, {_points(best.noise_lead_high)} | {_p(best.p_noise)} "
                f"| {_interval(best.corrected)} | {_p(best.p)} | {best.verdict} |"
            )


def _mixtures(swarm: Swarm) -> Iterable[str]:
    """The mixtures that something can be told of, and the first few others."""
    name = MEANS[0]
    found = over_median(swarm, name)
    yield f"\n## Which mixtures beat the median one: {swarm.name}, {name}\n"
    for title, judged in (
        ("From its own run alone", [one.measured for one in found]),
        ("From all runs under the law", [one.fitted for one in found if one.fitted is not None]),
    ):
        counts = {verdict: sum(one.verdict == verdict for one in judged) for verdict in ("higher", "lower")}
        rest = len(judged) - sum(counts.values())
        yield f"- {title}: {counts['higher']} higher, {counts['lower']} lower, {rest} `cannot tell`."
    yield "\n| run | score | own run − median | verdict | law − middle of the law | verdict |"
    yield "|---:|---:|---:|---|---:|---|"
    for place, one in enumerate(found):
        told = one.measured.verdict != "cannot tell" or place < LISTED
        if told and one.fitted is not None:
            yield (
                f"| {one.run + 1} | {_points(one.score)} | {_interval(one.measured)} | {one.measured.verdict} "
                f"| {_interval(one.fitted)} | {one.fitted.verdict} |"
            )


def _categories(swarm: Swarm, every: bool) -> Iterable[str]:
    tasks = _tasks(swarm)
    for title, effects in (
        (f"the {len(tasks)} benchmarks", category_effects(swarm, tasks)),
        (MEANS[0], category_effects(swarm, MEANS[:1])),
    ):
        told = [one for one in effects if one.verdict != "cannot tell"]
        yield f"\n## Which categories move what: {swarm.name}, {title}\n"
        yield (
            f"{len(told)} of {len(effects)} effects are told, {len(effects) - len(told)} are `cannot tell`"
            f"{_reach(effects, told)}. The share goes from the 10 % to the 90 % point of the runs' shares, the other "
            "categories keep their mean proportions.\n"
        )
        yield "| category | benchmark | share | effect | corrected p | verdict |"
        yield "|---|---|---:|---:|---:|---|"
        for one in effects if every or title == MEANS[0] else told:
            yield (
                f"| {one.category} | {one.benchmark} | {one.from_share:.1%} → {one.to_share:.1%} "
                f"| {_interval(one)} | {_p(one.p_corrected)} | {one.verdict} |"
            )


def _reach(effects: Sequence[Effect], told: Sequence[Effect]) -> str:
    widths = [
        (one.high - one.low) / 2 for one in effects if one not in told and one.high is not None and one.low is not None
    ]
    return f", whose intervals reach {_points(float(np.median(widths)))} either way at the median" if widths else ""


def _noise(swarms: dict[str, Swarm]) -> Iterable[str]:
    yield "\n## Signal and noise of each benchmark\n"
    yield (
        "`spread`: standard deviation of the scores over mixtures; `noise`: of one run. `explained`: share of the "
        "variance that the law predicts of runs left out one at a time; at or below 0 it predicts nothing. "
        "`too noisy`: the law explains no more than chance (F test, Holm over the model's benchmarks): mixtures "
        "cannot be compared on this benchmark from these runs.\n"
    )
    yield "| model | benchmark | spread | noise | explained | corrected p | |"
    yield "|---|---|---:|---:|---:|---:|---|"
    for model, swarm in swarms.items():
        tasks = _tasks(swarm)
        found = [one for one in noise_of_runs(swarm) if one.benchmark in tasks]
        for one, p in zip(found, holm([one.p_law for one in found]), strict=True):
            if one.noise_sd is not None and one.explained is not None and p is not None:
                yield (
                    f"| {model} | {one.benchmark} | {_points(one.spread_sd)} | {_points(one.noise_sd)} "
                    f"| {one.explained:.0%} | {_p(p)} | {'too noisy' if p >= 0.05 else ''} |"
                )


def _agreement(swarms: dict[str, Swarm]) -> Iterable[str]:
    """Spearman's correlation of each smaller model with the largest one."""
    *small, large = swarms
    yield "\n## Does the small model order mixtures as the large one does?\n"
    yield (
        f"Spearman's rank correlation with {large}, over the mixtures that both were run on, Holm over a column's "
        "rows. Noise in either model lowers it.\n"
    )
    scores = {name: _by_mixture(swarm) for name, swarm in swarms.items()}
    found = [rank_agreements(scores[name], scores[large]) for name in small]
    arms = [next(iter(one.values())).arms for one in found]
    heads = [f"{name}, {count} mixtures" for name, count in zip(small, arms, strict=True)]
    yield "| benchmark | " + " | | ".join(heads) + " | |"
    yield "|---|" + "---:|---|" * len(small)
    for benchmark in scores[large]:
        cells = []
        for one in found:
            here = one[benchmark]
            if here.spearman is None:
                cells.append(f"{here.reason} | {here.verdict}")
            else:
                cells.append(f"{here.spearman:.2f} [{here.low:.2f}, {here.high:.2f}] | {here.verdict}")
        yield f"| {benchmark} | " + " | ".join(cells) + " |"


def _by_mixture(swarm: Swarm) -> dict[str, dict[str, float]]:
    names = [" ".join(f"{share:.6f}" for share in shares) for shares in swarm.shares]
    return {
        benchmark: dict(zip(names, swarm.score(benchmark).tolist(), strict=True))
        for benchmark in [*_tasks(swarm), *MEANS]
    }


def _oddities(read: dict[str, Swarm], swarms: dict[str, Swarm]) -> Iterable[str]:
    yield "\n## Where the file disagrees with itself\n"
    yield "The three means are computed here from the benchmarks. The file's own differ from them in:\n"
    for model, swarm in read.items():
        for mean, published in PUBLISHED.items():
            off = swarm.score(published) - swarms[model].score(mean)
            for run in np.flatnonzero(np.abs(off) > 1e-6):
                yield f"- {model}, run {run + 1}: `{published}` is {_points(float(off[run]))} above the {mean}"


def _points(value: float) -> str:
    return f"{100 * value:.2f}"


def _interval(of: Effect | Difference | Interval | None) -> str:
    if of is None or of.low is None or of.high is None:
        return "no interval"
    value = of.effect if isinstance(of, Effect) else of.value
    return "no value" if value is None else f"{_points(value)} [{_points(of.low)}, {_points(of.high)}]"


def _p(p: float | None) -> str:
    return "" if p is None else f"{p:.2g}" if p >= 0.001 else "< 0.001"


if __name__ == "__main__":
    main(sys.argv[1:])
