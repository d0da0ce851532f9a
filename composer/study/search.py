"""Runs a search: asks for a mixture, trains it with every seed, tells what came of it, until all proposals are done.

Any number of processes may work on one search, in one folder or, with a database, in a folder each. The study's lock is
held for the short time in which a proposal is made; each proposal is worked on by the process that claimed it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from composer.artifacts import write_text
from composer.mixture import compose
from composer.mixture.planned import planned_rows
from composer.pool import Pool
from composer.recipe import Recipe, as_yaml, load_model
from composer.study.cheap import Side
from composer.study.claim import Claim
from composer.study.domain import Domain, make_domain
from composer.study.lock import study_lock
from composer.study.objectives import make_objectives
from composer.study.plan import Plan, check_out
from composer.study.queue import Queue, begun, open_queue
from composer.study.runner import COMMAND, PRELOAD, Outcome, Trial
from composer.study.samplers import ask
from composer.study.search_work import PATIENCE, Job, Judge, Work, of_arm, tell, train, with_proposals, write_plan

IDLE_SECONDS = 0.5


def run_search(
    recipe: Recipe, pool: Pool, plan: Plan, console: Console, command: Sequence[str] = COMMAND,
    preload: Sequence[str] = PRELOAD, judge: Judge | None = None,
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
        judge: Says which proposals are hopeless before all seeds are trained, where the recipe says `prune`.

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
        work = _opened(recipe, pool, plan, console, command, preload, judge)
        sides = _sides(work)
        with work.queue.alone():
            for queue in (work.queue, *(side.queue for side in sides)):
                queue.retry()
    finished: list[Trial] = []
    failed: list[tuple[Trial, str]] = []
    skipped: list[Trial] = []
    try:
        while True:
            jobs = _claimed(work, sides)
            if not jobs:
                if not work.queue.waits() and not any(side.queue.waits() for side in sides):
                    break
                time.sleep(IDLE_SECONDS)
                continue
            outcome = train(work, jobs)
            finished += outcome.finished
            failed += outcome.failed
            skipped += outcome.skipped
            for job in jobs:
                tell(work, job, outcome)
    finally:
        for queue in (work.queue, *(side.queue for side in sides)):
            queue.close()
    write_plan(work)
    return Outcome(finished, failed, skipped)


def proposed(recipe: Recipe, pool: Pool | None) -> Recipe:
    """The recipe with the arms that its search has proposed so far, where its journal is in its folder."""
    search = recipe.config.study.search
    if search is None or pool is None or not begun(recipe.out):
        return recipe
    queue = _queue(recipe, pool, search_domain(recipe, pool))
    return with_proposals(recipe, queue)


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


def _opened(
    recipe: Recipe, pool: Pool, plan: Plan, console: Console, command: Sequence[str], preload: Sequence[str],
    judge: Judge | None,
) -> Work:  # fmt: skip
    search = recipe.config.study.search
    assert search is not None
    domain = search_domain(recipe, pool)
    return Work(
        recipe, pool, plan.facts, _queue(recipe, pool, domain), domain,
        make_objectives(search, recipe.config.benchmarks), console, judge if search.prune else None, command, preload,
        dict(plan.mixtures),
    )  # fmt: skip


def _queue(recipe: Recipe, pool: Pool, domain: Domain, fidelity: str = "") -> Queue:
    """The proposals of a search, or its runs at one fidelity."""
    search, config = recipe.config.study.search, recipe.config
    assert search is not None
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
        "fidelities": {name: [of.size, of.model, of.trials] for name, of in search.fidelities.items()},
    }  # fmt: skip
    names = make_objectives(search, config.benchmarks).names
    name = config.study.name or recipe.name
    return open_queue(recipe.out, name, search.storage, names, about, search.lease_seconds, domain, fidelity)


def _sides(work: Work) -> list[Side]:
    """The fidelities that the recipe declares."""
    search, found = work.config, []
    first = len(work.recipe.arms) + min(search.startup, search.trials)
    pairs = [index for index in range(first) if index >= len(work.recipe.arms) or of_arm(work, work.names[index])]
    for name, of in search.fidelities.items():
        model = None if of.model is None else load_model(of.model)
        queue = _queue(work.recipe, work.pool, work.domain, name)
        found.append(Side(name, of, model, queue, pairs[: of.trials]))
    return found


def _claimed(work: Work, sides: Sequence[Side]) -> list[Job]:
    """Takes as many proposals as this process can train at once, and makes those that were not made yet."""
    jobs: list[Job] = []
    slots = max(1, work.recipe.config.launcher.workers // work.recipe.config.study.seeds)
    with study_lock(work.recipe.out, PATIENCE), work.queue.alone():
        for queue in (work.queue, *(side.queue for side in sides)):
            for arm in queue.reap():
                work.say(f"{arm}: its worker is gone; it is tried again")
        work.queue.ensure(work.names)
        while len(jobs) < slots and (job := _next(work, sides)) is not None:
            jobs.append(job)
    return jobs


def _next(work: Work, sides: Sequence[Side]) -> Job | None:
    """The next proposal, or cheap run; None where there is none, or none before others have ended."""
    if sides:
        first = max(max(side.pairs) for side in sides) + 1
        claim = work.queue.claim(first)
        if claim is not None:
            return _job(work, sides, claim)
        for side in sides:
            side.queue.ensure(side.names(work))
            if (job := side.job(work)) is not None:
                return job
        if work.queue.waits(first) or any(side.queue.waits() for side in sides):
            return None  # what they say decides what is proposed
    claim = work.queue.claim()
    return None if claim is None else _job(work, sides, claim)


def _job(work: Work, sides: Sequence[Side], claim: Claim) -> Job:
    """A claim with its proposal, which is made where it was not made yet."""
    search, declared = work.config, len(work.recipe.arms)
    if claim.index < declared:
        if claim.proposal is None and (proposal := of_arm(work, claim.arm)) is not None:
            work.queue.propose(claim, proposal, {})
        return Job(claim, work.queue)
    if claim.proposal is None:
        number = claim.index - declared
        sampler = "random" if number < search.startup else search.sampler
        told = [one for one in work.queue.told() if one.proposal.params]
        weights = list(work.objectives.weights.values())
        cheap = [side.cheap(work) for side in sides]
        state: Mapping[str, Any]
        proposal, state = ask(
            sampler, work.domain, search.seed, number, len(work.objectives.names), told, weights, cheap
        )
        work.queue.propose(claim, proposal, state)
    assert claim.proposal is not None
    return Job(claim, work.queue, claim.proposal.arm(claim.index - declared))
