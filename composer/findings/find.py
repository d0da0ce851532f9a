"""Reads a run's finished trials and writes what they say to `RUN/results.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from composer.artifacts import read_json, write_json
from composer.errors import FindingsError, RequestError
from composer.findings.claims import answers, claimed_contrasts
from composer.findings.cost import cost
from composer.findings.designs import dose_findings, effect_findings, scaling_findings
from composer.findings.fidelities import agreement_findings, signal_findings
from composer.findings.gains import Values, compared_arms, contrasts, corrected, gains, group, scores
from composer.findings.items import read_paired
from composer.findings.measured import Rules
from composer.findings.planned import Arm, Benchmark, Category, Measure, Trial, TrialEvent
from composer.findings.results import VERSION, Results
from composer.findings.search import search_finding
from composer.findings.statistics import ESTIMANDS

PLAN_VERSION = 2  # of the `plan.json` that is read here


def find(run: Path) -> Results:
    """Scores, gains and cost of the trials in `run`; leaves them in `run/results.json`.

    Args:
        run: A folder with `plan.json` and `trials/KEY/`. Trials may be missing or failed: they are shown as such.

    Raises:
        RequestError: `run` is not a run folder, or the run that it is held against is none.
        FindingsError: The items of finished trials do not pair, or lack a benchmark.
    """
    plan = read_plan(run)
    trials = tuple(_trial(run, one) for one in plan["trials"])
    keys: dict[str, dict[int, str]] = {name: {} for name in plan["arms"]}
    for trial in trials:
        if trial.status == "finished":
            keys[trial.arm][trial.seed] = trial.key
    finished = list(dict.fromkeys(trial.key for trial in trials if trial.status == "finished"))
    values = read_paired(run, finished)
    benchmarks = tuple(_benchmark(name, one, values) for name, one in plan["benchmarks"].items())
    rules = _rules(plan["findings"])
    pairs = contrasts(plan["baseline"], compared_arms(plan), plan["comparisons"])
    claimed = dict(claimed_contrasts(plan, pairs))
    measured = gains([*pairs, *claimed], benchmarks, keys, values, rules, claimed)
    all_gains, families = corrected(measured, benchmarks, keys, rules)
    of_designs = (plan["designs"], benchmarks, keys, values, rules)
    doses, curves = dose_findings(*of_designs), scaling_findings(*of_designs)
    all_scores = tuple(scores(benchmarks, keys, values))
    reference: str | None = plan["findings"]["reference"]
    theirs = Results.read(Path(reference).expanduser()).scores if reference else ()
    records = {key: read_json(run / "trials" / key / "record.json") for key in finished}
    of_arm = {arm: {seed: records[key] for seed, key in of.items()} for arm, of in keys.items()}
    baseline = plan["baseline"]
    results = Results(
        version=VERSION,
        recipe=plan["recipe"],
        label=plan["label"],
        model=plan["model"]["label"] or plan["model"]["name"],
        pool=plan["pool"]["name"],
        baseline=baseline,
        rules=rules,
        benchmarks=benchmarks,
        arms=tuple(_arm(name, one, plan["categories"]) for name, one in plan["arms"].items()),
        trials=trials,
        scores=all_scores,
        gains=all_gains,
        families=families,
        answers=answers(plan, all_gains, doses, curves),
        doses=doses,
        curves=curves,
        effects=effect_findings(*of_designs),
        signals=signal_findings(benchmarks, keys, values, rules),
        reference=reference,
        agreements=agreement_findings(all_scores, theirs, rules) if reference else (),
        cost=tuple(cost(arm, of_arm[arm], of_arm[baseline] if baseline else None) for arm in keys),
        search=search_finding(plan, benchmarks, trials, keys, all_scores, rules),
        events=tuple(event for trial in trials for event in _events(run, trial)),
    )
    write_json(run / "results.json", results.to_json())
    return results


def read_plan(run: Path) -> dict[str, Any]:
    """Reads `RUN/plan.json`.

    Raises:
        RequestError: There is none, or it has another version.
    """
    path = run / "plan.json"
    if not path.is_file():
        raise RequestError(f"{run} holds no plan.json, so it is not a run folder: name the folder of a `composer run`")
    plan: dict[str, Any] = read_json(path)
    if plan.get("version") != PLAN_VERSION:
        raise RequestError(
            f"{path} has version {plan.get('version')}: this composer reads version {PLAN_VERSION}; run again"
        )
    return plan


def _rules(planned: Mapping[str, Any]) -> Rules:
    return Rules(
        level=planned["level"],
        items=planned["items"],
        margins={"accuracy": planned["margin"], "smooth": planned["smooth_margin"]},
        correction=planned["correction"],
        estimand=ESTIMANDS[planned["items"]],
    )


def _trial(run: Path, planned: Mapping[str, Any]) -> Trial:
    folder = run / "trials" / planned["key"]
    failed = folder / "failed.json"
    arm, seed, key = planned["arm"], planned["seed"], planned["key"]
    # A trial that failed once and finished later has both files.
    if (folder / "record.json").is_file():
        return Trial(arm, seed, key, "finished", None)
    if failed.is_file():
        return Trial(arm, seed, key, "failed", str(read_json(failed)["error"]))
    return Trial(arm, seed, key, "missing", None)


def _events(run: Path, trial: Trial) -> Iterator[TrialEvent]:
    """What a trial's monitors told; one that failed has no record, and may have ended by what they told."""
    folder = run / "trials" / trial.key
    if trial.status != "missing" and (folder / "events.json").is_file():
        for one in read_json(folder / "events.json"):
            yield TrialEvent(trial.arm, trial.seed, one["step"], one["kind"], one["policy"], one["told"])


def _arm(name: str, planned: Mapping[str, Any], categories: Sequence[str]) -> Arm:
    mixture = planned["mixture"]
    return Arm(
        name=name,
        label=planned["label"] or name,
        mixture=mixture["digest"],
        rows=mixture["rows"],
        tokens=planned["training_tokens"],
        steps=planned["steps"],
        categories=tuple(_category(category, mixture["categories"].get(category)) for category in categories),
    )


def _category(name: str, described: Mapping[str, Any] | None) -> Category:
    if described is None:
        return Category(name, 0, 0, 0)
    return Category(name, described["asked"], described["rows"], described["tokens"])


def _benchmark(name: str, planned: Mapping[str, Any], values: Values) -> Benchmark:
    accuracy = _measure(planned["accuracy"])
    smooth = _measure(planned["smooth"]) if planned.get("smooth") else None
    for key, groups in values.items():
        for measure in (accuracy, smooth):
            if measure is not None and group(measure) not in groups:
                known = "; ".join(f"{one.task}, {one.filter}, {one.metric}" for one in sorted(groups))
                raise FindingsError(
                    f"trial {key} has no items for benchmark {name}: task {measure.task}, filter {measure.filter}, "
                    f"metric {measure.metric}; it has {known or 'none'}; correct benchmarks.of.{name}"
                )
    first = next(iter(values.values()), None)
    items = None if first is None else len(first[group(accuracy)])
    return Benchmark(name, planned["label"] or name, items, accuracy, smooth)


def _measure(planned: Mapping[str, Any]) -> Measure:
    return Measure(planned["task"], planned["metric"], planned["filter"], planned["higher_is_better"])
