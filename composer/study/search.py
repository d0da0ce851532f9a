"""Runs a search: asks for a mixture, trains it with every seed, tells what came of it, until all proposals are done.

Any number of processes may work on one search, in one folder or, with a database, in a folder each. The study's lock is
held for the short time in which a proposal is made; each proposal is worked on by the process that claimed it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from rich.console import Console

from composer.artifacts import read_json, write_json, write_text
from composer.config_search import SearchConfig
from composer.errors import TrialError
from composer.mixture import Mixture, compose, export
from composer.mixture.planned import planned_rows
from composer.pool import Pool
from composer.recipe import Recipe, as_yaml, with_arms
from composer.study.display import Display
from composer.study.domain import Domain, Proposal, arm_name, make_domain
from composer.study.lock import study_lock
from composer.study.objectives import Objectives, make_objectives, pooled_noise, read_scores, swamped
from composer.study.plan import Plan, check_out, make_plan
from composer.study.queue import FAILED, Claim, Queue, begun, open_queue
from composer.study.runner import COMMAND, PRELOAD, Outcome, Trial, run_trials
from composer.study.samplers import BY_SEED, PARTS, ask

PATIENCE = 600.0  # seconds to wait for another process that makes a proposal
IDLE_SECONDS = 0.5
TOKENS = "tokens"


@dataclass
class _Search:
    """A search at work in this process."""

    recipe: Recipe
    pool: Pool
    facts: Mapping[str, Any]
    queue: Queue
    domain: Domain
    objectives: Objectives
    console: Console
    composed: dict[str, Mixture] = field(default_factory=dict)
    warned: bool = False

    @property
    def config(self) -> SearchConfig:
        search = self.recipe.config.study.search
        assert search is not None
        return search

    @property
    def names(self) -> list[str]:
        """All arms, the declared ones first, by index."""
        return [*self.recipe.arms, *(arm_name(number) for number in range(self.config.trials))]


def run_search(
    recipe: Recipe, pool: Pool, plan: Plan, console: Console, command: Sequence[str] = COMMAND,
    preload: Sequence[str] = PRELOAD,
) -> Outcome:  # fmt: skip
    """Works on a recipe's search until every proposal has ended, whoever else works on it.

    Leaves RUN/{config.yaml, plan.json, mixtures/ARM/…, trials/KEY/…} and study.journal, an Optuna study.

    Args:
        recipe: The recipe, with a search.
        pool: Its pool.
        plan: Its plan, of the declared arms.
        console: Where to show what happens.
        command: Runs a trial, see `run_trials`.
        preload: What that imports.

    Returns:
        Every trial that was run here.

    Raises:
        OutputError: RUN, or the storage, holds another study.
        ConfigError: The bounds leave no choice, or a declared arm cannot be composed.
        NeedsError: The storage cannot be reached.
    """
    with study_lock(recipe.out, PATIENCE):
        check_out(recipe.out, recipe.plain)
        write_text(recipe.out / "config.yaml", as_yaml(recipe.config))
        work = _opened(recipe, pool, plan, console)
        work.queue.retry()
    finished: list[Trial] = []
    failed: list[tuple[Trial, str]] = []
    skipped: list[Trial] = []
    try:
        while True:
            claims = _claimed(work)
            if not claims:
                if not work.queue.waits():
                    break
                time.sleep(IDLE_SECONDS)
                continue
            outcome = _train(work, claims, command, preload)
            finished += outcome.finished
            failed += outcome.failed
            skipped += outcome.skipped
            for claim in claims:
                _tell(work, claim, outcome)
    finally:
        work.queue.close()
    _write_plan(work)
    return Outcome(finished, failed, skipped)


def proposed(recipe: Recipe, pool: Pool | None) -> Recipe:
    """The recipe with the arms that its search has proposed so far, where its journal is in its folder."""
    search = recipe.config.study.search
    if search is None or pool is None or not begun(recipe.out):
        return recipe
    queue = _queue(recipe, pool)
    return _with_proposals(recipe, queue)


def search_domain(recipe: Recipe, pool: Pool | None) -> Domain:
    """What the recipe's search may vary; without its pool, as far as that is known.

    Raises:
        ConfigError: The bounds leave no choice, or the pool has too few rows for them.
    """
    config = recipe.config
    assert config.study.search is not None
    if pool is None:
        rows: Mapping[str, int] = planned_rows(config.mixture)
        available = None
    else:
        tallies = compose(pool.index, config.mixture).categories
        rows = {name: tally.rows for name, tally in tallies.items()}
        available = {name: tally.available for name, tally in tallies.items()}
    return make_domain(config.study.search, rows, config.mixture, config.trainer, available)


def _opened(recipe: Recipe, pool: Pool, plan: Plan, console: Console) -> _Search:
    queue = _queue(recipe, pool)
    assert recipe.config.study.search is not None
    objectives = make_objectives(recipe.config.study.search, recipe.config.benchmarks)
    work = _Search(recipe, pool, plan.facts, queue, queue.domain, objectives, console, dict(plan.mixtures))
    queue.ensure(work.names)
    return work


def _queue(recipe: Recipe, pool: Pool) -> Queue:
    search, config = recipe.config.study.search, recipe.config
    assert search is not None
    domain = search_domain(recipe, pool)
    about = {
        "pool": pool.digest,
        "arms": list(recipe.arms),
        "bounds": {name: [float(low), float(high)] for name, low, high in zip(
            domain.space.categories, domain.space.low, domain.space.high, strict=True)},
        "size": list(domain.size),
        "trainer": {name: [of.low, of.high, of.log, list(of.choices)] for name, of in search.trainer.items()},
        "objectives": list(make_objectives(search, config.benchmarks).names),
        "sampler": search.sampler,
        "seed": search.seed,
        "startup": search.startup,
    }  # fmt: skip
    names = make_objectives(search, config.benchmarks).names
    name = config.study.name or recipe.name
    return open_queue(recipe.out, name, search.storage, names, about, search.lease_seconds, domain)


def _claimed(work: _Search) -> list[Claim]:
    """Takes as many proposals as this process can train at once, and makes those that were not made yet."""
    search, launcher = work.config, work.recipe.config.launcher
    claims: list[Claim] = []
    with study_lock(work.recipe.out, PATIENCE):
        for arm in work.queue.reap():
            work.console.print(f"{arm}: its worker is gone; it is tried again", highlight=False)
        work.queue.ensure(work.names)
        for _ in range(max(1, launcher.workers // work.recipe.config.study.seeds)):
            claim = work.queue.claim()
            if claim is None:
                break
            declared = len(work.recipe.arms)
            if claim.proposal is None:
                state: Mapping[str, Any]
                if claim.index < declared:
                    proposal, state = _of_arm(work, claim.arm), {}
                else:
                    number = claim.index - declared
                    sampler = "random" if number < search.startup else search.sampler
                    told = [one for one in work.queue.told() if one.proposal.params]
                    weights = list(work.objectives.weights.values())
                    proposal, state = ask(
                        sampler, work.domain, search.seed, number, len(work.objectives.names), told, weights
                    )
                if proposal is not None:
                    work.queue.propose(claim, proposal, state)
            claims.append(claim)
    return claims


def _of_arm(work: _Search, arm: str) -> Proposal | None:
    """A declared arm as a proposal, to learn from; None where it has categories that the search does not vary."""
    config, names = work.recipe.config, work.domain.space.categories
    tallies = work.composed[arm].categories
    rows = {name: tally.rows for name, tally in tallies.items() if tally.rows}
    if set(rows) - set(names):
        return None
    import numpy as np

    counts = {name: rows.get(name, 0) for name in names}
    total = sum(counts.values())
    settings = {**vars(config.trainer), **work.recipe.arms[arm].trainer}
    trainer = {name: settings[name] for name in work.domain.trainer}
    shares = np.array([counts[name] / total for name in names])
    return Proposal(work.domain.params(shares, total, trainer), counts, trainer)


def _train(work: _Search, claims: Sequence[Claim], command: Sequence[str], preload: Sequence[str]) -> Outcome:
    """Trains and evaluates every seed of the claimed proposals."""
    recipe, run, launcher = work.recipe, work.recipe.out, work.recipe.config.launcher
    declared = len(recipe.arms)
    arms = {c.arm: c.proposal.arm(c.index - declared) for c in claims if c.index >= declared and c.proposal is not None}
    asked = with_arms(recipe, arms)
    names = [claim.arm for claim in claims]
    only = _only(asked, names)
    plan = make_plan(only, work.pool, work.composed)
    work.composed.update(plan.mixtures)
    for arm, mixture in plan.mixtures.items():
        export(mixture, work.pool, run / "mixtures" / arm, asked.mixtures[arm])
    _write_plan(work)
    with Display(plan.trials, work.console) as display:
        return run_trials(run, plan.trials, launcher.workers, launcher.threads, display, command, preload)


def _tell(work: _Search, claim: Claim, outcome: Outcome) -> None:
    """Tells the queue what came of a proposal, and the person who watches."""
    errors = [error for trial, error in outcome.failed if trial.arm == claim.arm]
    trials = [trial for trial in (*outcome.finished, *outcome.skipped) if trial.arm == claim.arm]
    try:
        if errors:
            raise TrialError(errors[0].strip().splitlines()[-1] if errors[0].strip() else "it failed")
        tokens = _tokens(work, claim.arm)
        records = [
            read_json(work.recipe.out / "trials" / trial.key / "record.json")
            for trial in sorted(trials, key=lambda one: one.seed)
        ]
        scores = [read_scores(record, work.facts["benchmarks"]) for record in records]
        by_seed = [work.objectives.of(one, tokens) for one in scores]
    except TrialError as error:
        work.queue.fail(claim, str(error))
        work.console.print(f"{claim.arm} failed: {error}", highlight=False, markup=False)
        return
    values = [fmean(column) for column in zip(*by_seed, strict=True)]
    everything = [*_by_trial(work.queue), by_seed]
    sd = pooled_noise(everything)
    noise = None if sd is None else [one / math.sqrt(len(by_seed)) for one in sd]
    parts = [work.objectives.parts(one) for one in scores] if work.objectives.weights else None
    work.queue.finish(claim, values, {BY_SEED: by_seed, PARTS: parts, TOKENS: tokens})
    _say(work, claim, values, noise)
    if not work.warned and len(everything) >= len(work.recipe.arms) + work.config.startup:
        work.warned = True
        for sentence in swamped(work.objectives.names, _by_trial(work.queue)):
            work.console.print(f"too noisy to search by: {sentence}", highlight=False, markup=False)


def _say(work: _Search, claim: Claim, values: Sequence[float], noise: Sequence[float] | None) -> None:
    told = work.queue.results()
    done = [(arm, of) for arm, of, _ in told if of is not None]
    shares = "" if claim.proposal is None else ", ".join(f"{n} {s:.1%}" for n, s in claim.proposal.shares.items() if s)
    scores = ", ".join(
        f"{value:.4f}" + ("" if noise is None else f" ± {noise[place]:.4f}") for place, value in enumerate(values)
    )
    best = max(done, key=lambda one: one[1][0])
    end = f"; best {best[1][0]:.4f} ({best[0]})" if len(values) == 1 else ""
    count = f"{len(told)}/{len(work.names)}"
    work.console.print(f"{count} {claim.arm}: {shares} → {scores}{end}", highlight=False, markup=False)


def _by_trial(queue: Queue) -> list[list[list[float]]]:
    return [told[BY_SEED] for _, values, told in queue.results() if values is not None and FAILED not in told]


def _tokens(work: _Search, arm: str) -> int:
    mixture = work.composed[arm]
    settings = {**vars(work.recipe.config.trainer)}
    of_arm = _with_proposals(work.recipe, work.queue).arms[arm].trainer
    return int(mixture.tokens * {**settings, **of_arm}["epochs"])


def _with_proposals(recipe: Recipe, queue: Queue) -> Recipe:
    declared = len(recipe.arms)
    made = {arm: one.arm(index - declared) for index, (arm, one) in queue.proposals().items() if index >= declared}
    return with_arms(recipe, made)


def _only(recipe: Recipe, arms: Sequence[str]) -> Recipe:
    """The recipe with these arms alone."""
    from dataclasses import replace

    return replace(recipe, arms={name: recipe.arms[name] for name in arms})


def _write_plan(work: _Search) -> None:
    """Writes the plan with all that was proposed so far."""
    recipe = _with_proposals(work.recipe, work.queue)
    with study_lock(work.recipe.out, PATIENCE):
        plan = make_plan(recipe, work.pool, work.composed)
        work.composed.update(plan.mixtures)
        write_json(work.recipe.out / "plan.json", {**work.facts, **plan.facts})
