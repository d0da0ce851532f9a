"""Runs a study: its folder, its mixtures, its trials, its journal. Run again, it goes on where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from composer.artifacts import read_json, write_json, write_text
from composer.mixture import export
from composer.pool import Pool
from composer.recipe import Recipe, as_yaml
from composer.study.adaptive import Proposer, bisect, grown
from composer.study.display import Display
from composer.study.journal import Entry, sync
from composer.study.lock import study_lock
from composer.study.plan import Plan, check_out, make_plan
from composer.study.runner import Outcome, run_trials
from composer.study.spread import Spread


def run_study(recipe: Recipe, pool: Pool, plan: Plan, console: Console, propose: Proposer = bisect) -> Outcome:
    """Runs every trial of `plan` that is not finished yet, in RUN = `recipe.out`, then what adaptive designs ask for.

    Leaves RUN/{config.yaml, plan.json, mixtures/ARM/…, trials/KEY/…, study.journal}, and doses.json where a design is
    adaptive.

    Args:
        recipe: The recipe, with the doses of an earlier run of it (`adaptive.resumed`).
        pool: Its pool.
        plan: Its plan.
        console: Where to show what happens.
        propose: Says which dose an adaptive design tries next.

    Returns:
        Every trial, those of the proposed doses too.

    Raises:
        OutputError: RUN holds another study, or another process runs this one.
    """
    run = recipe.out
    with study_lock(run):
        check_out(run, recipe.plain)
        write_text(run / "config.yaml", as_yaml(recipe.config))
        outcome = _run_planned(recipe, pool, plan, console)
        # A proposer is asked once all that it asked for is there.
        while not outcome.failed and (more := grown(recipe, plan.facts, run, propose)) is not None:
            # What was said beforehand, such as the power, was said of all doses that may come.
            recipe, made = more, make_plan(more, pool)
            plan = replace(made, facts={**plan.facts, **made.facts})
            outcome = _joined(outcome, _run_planned(recipe, pool, plan, console))
    return outcome


def _run_planned(recipe: Recipe, pool: Pool, plan: Plan, console: Console) -> Outcome:
    run, launcher = recipe.out, recipe.config.launcher
    write_json(run / "plan.json", plan.facts)
    for arm, mixture in plan.mixtures.items():
        export(mixture, pool, run / "mixtures" / arm, recipe.mixtures[arm])
    with Display(plan.trials, console) as display:
        outcome = run_trials(run, plan.trials, launcher.workers, launcher.threads, display, spread=Spread.of(launcher))
    sync(run, recipe.name, list(recipe.config.benchmarks.of), _entries(run, plan))
    return outcome


def _joined(before: Outcome, now: Outcome) -> Outcome:
    """The outcome of both rounds: what the first finished, the second passed over."""
    keys = {trial.key for trial in before.finished}
    return Outcome(
        finished=[*before.finished, *now.finished],
        failed=now.failed,
        skipped=[trial for trial in now.skipped if trial.key not in keys],
    )


def _entries(run: Path, plan: Plan) -> list[Entry]:
    """The plan's ended trials, for the journal."""
    entries = []
    for trial in plan.trials:
        folder = run / "trials" / trial.key
        finished = (folder / "record.json").exists()
        if not finished and not (folder / "failed.json").exists():
            continue
        categories = plan.facts["arms"][trial.arm]["mixture"]["categories"]
        shares = {name: counts["share"] for name, counts in categories.items()}
        scores = _scores(read_json(folder / "record.json"), plan.facts["benchmarks"]) if finished else None
        entries.append(Entry(trial.arm, trial.seed, trial.key, shares, scores))
    return entries


def _scores(record: Mapping[str, Any], benchmarks: Mapping[str, Any]) -> dict[str, float]:
    found = {name: of["accuracy"] for name, of in benchmarks.items()}
    return {name: record["scores"][a["task"]][f"{a['metric']},{a['filter']}"] for name, a in found.items()}
