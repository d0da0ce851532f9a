"""What a search does with claimed proposals: trains them with every seed, and tells what came of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

import numpy as np
from rich.console import Console

from composer.artifacts import read_json, write_json
from composer.config import ArmConfig, ModelConfig
from composer.config_search import SearchConfig
from composer.errors import TrialError
from composer.mixture import Mixture, export
from composer.pool import Pool
from composer.recipe import Recipe, with_arms
from composer.study.claim import Claim
from composer.study.display import Display
from composer.study.domain import Domain, Proposal, arm_name
from composer.study.lock import study_lock
from composer.study.objectives import Objectives, pooled_noise, read_scores, swamped
from composer.study.plan import Plan, make_plan
from composer.study.queue import Queue
from composer.study.runner import COMMAND, PRELOAD, Outcome, Trial, run_trials
from composer.study.samplers import BY_SEED, PARTS
from composer.study.spread import Spread

PATIENCE = 600.0  # seconds to wait for another process that makes a proposal
TOKENS, KEYS = "tokens", "keys"  # of a result, beside what a sampler reads

# Whether trials (keys, a seed each) are so much worse than the best arm's with the same seeds that no further seed can
# help; given the plan's benchmarks and their weights.
Judge = Callable[[Sequence[str], Sequence[str], Mapping[str, Any], Mapping[str, float]], bool]


@dataclass
class Work:
    """A search at work in this process.

    Attributes:
        recipe: With its declared arms.
        pool: Its pool.
        facts: Its plan as `plan.json` has it.
        queue: Its proposals.
        domain: What may vary.
        objectives: What is wanted.
        console: Where to show what happens.
        judge: Says which proposals are hopeless; None where every seed is trained.
        command: Runs a trial, see `run_trials`.
        preload: What that imports.
        composed: Arm → its mixture, of those that were composed here.
        fidelities: What is known of cheap runs, for `plan.json`.
        told: What the person who watches was told once.
    """

    recipe: Recipe
    pool: Pool
    facts: Mapping[str, Any]
    queue: Queue
    domain: Domain
    objectives: Objectives
    console: Console
    judge: Judge | None = None
    command: Sequence[str] = COMMAND
    preload: Sequence[str] = PRELOAD
    composed: dict[str, Mixture] = field(default_factory=dict)
    fidelities: dict[str, Any] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    @property
    def config(self) -> SearchConfig:
        """What the recipe says of it."""
        search = self.recipe.config.study.search
        assert search is not None
        return search

    @property
    def names(self) -> list[str]:
        """All arms, the declared ones first, by index."""
        return [*self.recipe.arms, *(arm_name(number) for number in range(self.config.trials))]

    def say(self, sentence: str, once: str | None = None) -> None:
        """Tells the person who watches; what has a name, once."""
        if once is None or once not in self.told:
            self.console.print(sentence, highlight=False, markup=False)
        if once is not None:
            self.told.add(once)


@dataclass(frozen=True)
class Job:
    """A claimed proposal with all that training it takes.

    Attributes:
        claim: The claim.
        queue: What it was claimed from.
        arm: The arm that trains it; None for a declared one.
        fidelity: Of a cheap run, its name.
        model: Of a cheap run, what it starts from; None for the recipe's.
        proxy_of: Of a cheap run, the rows of the mixture that it stands for.
    """

    claim: Claim
    queue: Queue
    arm: ArmConfig | None = None
    fidelity: str | None = None
    model: ModelConfig | None = None
    proxy_of: int | None = None


def train(work: Work, jobs: Sequence[Job]) -> Outcome:
    """Trains and evaluates every seed of the claimed proposals."""
    recipe, run, names = work.recipe, work.recipe.out, [job.claim.arm for job in jobs]
    for job in jobs:
        if job.arm is not None:
            recipe = with_arms(recipe, {job.claim.arm: job.arm}, job.model, job.proxy_of)
    plan = make_plan(replace(recipe, arms={name: recipe.arms[name] for name in names}), work.pool, work.composed)
    work.composed.update(plan.mixtures)
    for arm, mixture in plan.mixtures.items():
        export(mixture, work.pool, run / "mixtures" / arm, recipe.mixtures[arm])
    write_plan(work)
    launcher = recipe.config.launcher
    command = (work.command, work.preload, Spread.of(launcher))
    with Display(plan.trials, work.console) as display:
        if work.judge is None or not work.objectives.weights:
            return run_trials(run, plan.trials, launcher.workers, launcher.threads, display, *command)
        outcome, left = Outcome([], [], []), {job.claim.arm: job for job in jobs}
        last = recipe.config.study.seeds - 1
        for seed in range(last + 1):
            trials = [trial for trial in plan.trials if trial.seed == seed and trial.arm in left]
            now = run_trials(run, trials, launcher.workers, launcher.threads, display, *command)
            outcome = Outcome(
                outcome.finished + now.finished, outcome.failed + now.failed, outcome.skipped + now.skipped
            )
            left = {arm: job for arm, job in left.items() if seed < last and not _hopeless(work, job, plan, seed)}
    return outcome


def _hopeless(work: Work, job: Job, plan: Plan, seed: int) -> bool:
    """Whether a proposal's seeds up to this one say that it is worse than the best arm."""
    if job.arm is None or job.fidelity is not None or work.judge is None:
        return False
    keys = [trial.key for trial in plan.trials if trial.arm == job.claim.arm and trial.seed <= seed]
    whole = [(values[0], told[KEYS]) for _, values, told in work.queue.results() if values and len(told[KEYS]) > seed]
    if not whole or not all((work.recipe.out / "trials" / key / "record.json").exists() for key in keys):
        return False
    best = max(whole, key=lambda one: one[0])[1][: seed + 1]
    readable = all((work.recipe.out / "trials" / key / "record.json").exists() for key in best)
    return readable and work.judge(keys, best, work.facts["benchmarks"], work.objectives.weights)


def tell(work: Work, job: Job, outcome: Outcome) -> None:
    """Tells the queue what came of a proposal, and the person who watches."""
    claim, arm = job.claim, job.claim.arm
    errors = [error for trial, error in outcome.failed if trial.arm == arm]
    trials = sorted((t for t in (*outcome.finished, *outcome.skipped) if t.arm == arm), key=lambda one: one.seed)
    try:
        if errors:
            raise TrialError(errors[0].strip().splitlines()[-1] if errors[0].strip() else "it failed")
        tokens = _tokens(work, job)
        scores = [read_scores(_record(work, trial), work.facts["benchmarks"]) for trial in trials]
        by_seed = [work.objectives.of(one, tokens) for one in scores]
    except TrialError as error:
        job.queue.fail(claim, str(error))
        work.say(f"{arm} failed: {error}")
        return
    parts = [work.objectives.parts(one) for one in scores] if work.objectives.weights else None
    result = {BY_SEED: by_seed, PARTS: parts, TOKENS: tokens, KEYS: [trial.key for trial in trials]}
    job.queue.finish(claim, [fmean(column) for column in zip(*by_seed, strict=True)], result)
    _say(work, job, by_seed)
    ended = _by_trial(work.queue)
    if len(ended) >= len(work.recipe.arms) + work.config.startup and "noise" not in work.told:
        work.told.add("noise")
        for sentence in swamped(work.objectives.names, ended):
            work.say(f"too noisy to search by: {sentence}")


def _record(work: Work, trial: Trial) -> dict[str, Any]:
    found: dict[str, Any] = read_json(work.recipe.out / "trials" / trial.key / "record.json")
    return found


def _say(work: Work, job: Job, by_seed: Sequence[Sequence[float]]) -> None:
    results, proposal = job.queue.results(), job.claim.proposal
    sd = pooled_noise(_by_trial(job.queue))
    noise = None if sd is None else [one / math.sqrt(len(by_seed)) for one in sd]
    values = [fmean(column) for column in zip(*by_seed, strict=True)]
    shares = "" if proposal is None else ", ".join(f"{n} {s:.1%}" for n, s in proposal.shares.items() if s) + " → "
    scores = ", ".join(
        f"{value:.4f}" + ("" if noise is None else f" ± {noise[place]:.4f}") for place, value in enumerate(values)
    )
    best = max(((arm, of) for arm, of, _ in results if of is not None), key=lambda one: one[1][0])
    end = f"; best {best[1][0]:.4f} ({best[0]})" if len(values) == 1 and job.fidelity is None else ""
    left = work.recipe.config.study.seeds - len(by_seed)
    given_up = f"; given up, {left} seed{'s' * (left != 1)} left out" if left else ""
    work.say(f"{len(results)}/{job.queue.wanted} {job.claim.arm}: {shares}{scores}{end}{given_up}")


def _by_trial(queue: Queue) -> list[list[list[float]]]:
    return [told[BY_SEED] for _, values, told in queue.results() if values is not None]


def _tokens(work: Work, job: Job) -> int:
    declared = job.arm or work.recipe.arms[job.claim.arm]
    settings = {**vars(work.recipe.config.trainer), **declared.trainer}
    return int(work.composed[job.claim.arm].tokens * settings["epochs"])


def of_arm(work: Work, arm: str) -> Proposal | None:
    """A declared arm as a proposal, to learn from; None where it has categories that the search does not vary."""
    config, names = work.recipe.config, work.domain.space.categories
    rows = {name: tally.rows for name, tally in work.composed[arm].categories.items() if tally.rows}
    if set(rows) - set(names):
        return None
    counts = {name: rows.get(name, 0) for name in names}
    total = sum(counts.values())
    settings = {**vars(config.trainer), **work.recipe.arms[arm].trainer}
    trainer = {name: settings[name] for name in work.domain.trainer}
    shares = np.array([counts[name] / total for name in names])
    return Proposal(work.domain.params(shares, total, trainer), counts, trainer)


def with_proposals(recipe: Recipe, queue: Queue) -> Recipe:
    """The recipe with an arm for every proposal that was made."""
    declared = len(recipe.arms)
    made = {arm: one.arm(index - declared) for index, (arm, one) in queue.proposals().items() if index >= declared}
    return with_arms(recipe, made)


def write_plan(work: Work) -> None:
    """Writes the plan with all that was proposed so far; seeds that were given up are not in it."""
    with study_lock(work.recipe.out, PATIENCE):
        plan = make_plan(with_proposals(work.recipe, work.queue), work.pool, work.composed)
        work.composed.update(plan.mixtures)
        seeds = {arm: len(told[KEYS]) for arm, values, told in work.queue.results() if values is not None}
        trials = [one for one in plan.facts["trials"] if one["seed"] < seeds.get(one["arm"], math.inf)]
        facts = {**work.facts, **plan.facts, "trials": trials, "fidelities": work.fidelities}
        write_json(work.recipe.out / "plan.json", facts)
