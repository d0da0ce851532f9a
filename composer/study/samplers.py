"""Who proposes the next mixture: Optuna's samplers by name, and two made for mixtures.

Every proposal is asked of a sampler that is made anew from the search's seed and the proposal's index, over the
finished trials in the order of their indices. So it depends on nothing that a resumed search would not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from composer.study.domain import SIZE, Domain, Proposal
from composer.study.objectives import pooled_noise
from composer.study.space import Shares

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

    from composer.surrogate import Parts

CANDIDATES = 768  # mixtures that are scored before one is proposed
LEAST_NOISE = 1e-9  # where all seeds agree
TRIES = 100  # for a mixture that was not trained yet
SPREADS = (0.05, 0.15, 0.4)  # of candidates about the best mixtures, in log-ratios
SHARES, BY_SEED, PARTS = "shares", "by_seed", "parts"  # user attributes of a trial


@dataclass(frozen=True)
class Told:
    """A proposal with what came of it.

    Attributes:
        proposal: What was trained.
        values: One for each objective, more is better; None while it runs.
        by_seed: Seed → objective → value, whose means are `values`; None where that is not known.
        parts: Seed → benchmark → value, of the benchmarks that the one objective is a weighted sum of; None where
            objectives are kept apart.
        state: What a sampler of Optuna's noted beside it.
    """

    proposal: Proposal
    values: Sequence[float] | None
    by_seed: Sequence[Sequence[float]] | None = None
    parts: Sequence[Sequence[float]] | None = None
    state: Mapping[str, Any] = field(default_factory=dict)


def ask(
    sampler: str, domain: Domain, seed: int, index: int, objectives: int, told: Sequence[Told],
    weights: Sequence[float] = (),
) -> tuple[Proposal, dict[str, Any]]:  # fmt: skip
    """The proposal with this index, after what was `told`, and what the sampler noted beside it.

    Args:
        sampler: One of `config_search.SAMPLERS`.
        domain: What may vary.
        seed: Of the search.
        index: Of the proposal.
        objectives: Their number.
        told: Finished and running proposals, in the order of their indices.
        weights: Of the parts that the one objective is a sum of.
    """
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    number = int(np.random.SeedSequence((seed, index)).generate_state(1)[0])
    study = optuna.create_study(
        sampler=make_sampler(sampler, domain, number, weights), directions=["maximize"] * objectives
    )
    ranges = domain.distributions()
    for one in told:
        noted: dict[str, Any] = {SHARES: one.proposal.shares}
        noted |= {name: of for name, of in ((BY_SEED, one.by_seed), (PARTS, one.parts)) if of is not None}
        study.add_trial(
            create_trial(
                state=TrialState.RUNNING if one.values is None else TrialState.COMPLETE,
                values=one.values,
                params=dict(one.proposal.params),
                distributions=ranges,
                user_attrs=noted,
                system_attrs=dict(one.state),
            )
        )
    asked = study.ask(ranges)
    noted = study.get_trials(deepcopy=False)[asked.number].system_attrs
    found, known = domain.proposal(asked.params), {_same(one.proposal) for one in told}
    if _same(found) in known:  # trained again with the same seeds it would say nothing new
        others = map(domain.proposal, random_params(domain, TRIES, np.random.default_rng(number)))
        found = next((other for other in others if _same(other) not in known), found)
    return found, dict(noted)


def _same(proposal: Proposal) -> tuple[Any, ...]:
    """What two proposals that are one trial have in common."""
    return (*sorted(proposal.rows.items()), *sorted(proposal.trainer.items()))


def make_sampler(name: str, domain: Domain, seed: int, weights: Sequence[float] = ()) -> BaseSampler:
    """A sampler by its name in a recipe. Those of Optuna's propose from the first trial: random ones came before."""
    from optuna.samplers import GPSampler, NSGAIISampler, TPESampler

    if name == "gp":
        return GPSampler(seed=seed, n_startup_trials=0)
    if name == "tpe":
        return TPESampler(seed=seed, n_startup_trials=0, multivariate=True, constant_liar=True)
    if name == "nsga2":
        return NSGAIISampler(seed=seed, population_size=16)
    return _of_mixtures(name == "mixture", domain, seed, weights)


def _of_mixtures(learns: bool, domain: Domain, seed: int, weights: Sequence[float]) -> BaseSampler:
    """Optuna is imported here, as it takes long; so the class that derives from its base is made here too."""
    from optuna.samplers import BaseSampler

    class Mixtures(BaseSampler):
        """Proposes mixtures of a domain: at random, or, where it learns, the one that promises the most."""

        def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
            return domain.distributions()

        def sample_relative(
            self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
        ) -> dict[str, Any]:
            if learns:
                return propose(domain, study, seed, weights)
            return random_params(domain, 1, np.random.default_rng(seed))[0]

        def sample_independent(
            self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
        ) -> Any:
            raise NotImplementedError(f"{param_name} is no parameter of this search")

    return Mixtures()


def random_params(domain: Domain, count: int, random: np.random.Generator) -> list[dict[str, Any]]:
    """Parameters of `count` random mixtures, with random sizes and settings."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    drawn: list[dict[str, Any]] = [{} for _ in range(count)]
    for name, of in domain.distributions().items():
        if name in domain.coordinates:
            continue
        for params in drawn:
            if isinstance(of, CategoricalDistribution):
                params[name] = of.choices[int(random.integers(len(of.choices)))]
                continue
            low, high = float(of.low), float(of.high)  # type: ignore[attr-defined]
            part = random.random()
            log = of.log  # type: ignore[attr-defined]
            value = low * (high / low) ** part if log else low + (high - low) * part
            params[name] = round(value) if isinstance(of, IntDistribution) else min(max(value, low), high)
    shares = domain.space_at(domain.size[0]).draw(count, random)
    for params, mixture in zip(drawn, shares, strict=True):
        size = params.get(SIZE, domain.size[0])
        space = domain.space_at(size)
        params.update(zip(domain.coordinates, map(float, space.encode(space.project(mixture))), strict=True))
    return drawn


def propose(domain: Domain, study: optuna.Study, seed: int, weights: Sequence[float] = ()) -> dict[str, Any]:
    """Parameters of the candidate that promises the most, by the surrogate of what the study's trials say."""
    from optuna.trial import TrialState

    from composer.surrogate import choose

    random = np.random.default_rng(seed)
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    pending = [trial for trial in running if SHARES in trial.user_attrs]
    if len(done) < 2:
        return random_params(domain, 1, random)[0]
    candidates = [*random_params(domain, CANDIDATES // 2, random), *_about_the_best(domain, done, random)]
    # What is scored is what would be trained: a mixture of whole rows, within the bounds.
    proposals = [domain.proposal(params) for params in candidates]
    known = {_same(domain.proposal(trial.params)) for trial in (*done, *pending)}
    fresh = [place for place, one in enumerate(proposals) if _same(one) not in known] or range(len(proposals))
    candidates, proposals = [candidates[place] for place in fresh], [proposals[place] for place in fresh]
    seen, waiting, asked = (
        _features(domain, [trial.user_attrs[SHARES] for trial in done], [trial.params for trial in done]),
        _features(domain, [trial.user_attrs[SHARES] for trial in pending], [trial.params for trial in pending]),
        _features(domain, [one.shares for one in proposals], candidates),
    )
    values = np.array([trial.values for trial in done])
    noise = _noise([trial.user_attrs.get(BY_SEED) for trial in done])
    parts = _parts([trial.user_attrs.get(PARTS) for trial in done], weights)
    return candidates[choose(seen, values, asked, seed=seed, noise=noise, pending=waiting, parts=parts)]


def _noise(by_trial: Sequence[Sequence[Sequence[float]] | None]) -> Shares | None:
    """(n, m) standard errors of each trial's means over its seeds, from all trials' seeds; None where unknown."""
    told = [one for one in by_trial if one is not None]
    sd = pooled_noise(told)
    if sd is None or len(told) < len(by_trial):
        return None
    seeds = np.array([len(one) for one in told])
    found: Shares = np.maximum(sd, LEAST_NOISE) / np.sqrt(seeds)[:, None]
    return found


def _parts(by_trial: Sequence[Sequence[Sequence[float]] | None], weights: Sequence[float]) -> Parts | None:
    """What each trial's objective is made of; None where a trial does not tell."""
    from composer.surrogate import Parts

    told = [one for one in by_trial if one is not None]
    if not weights or len(told) < len(by_trial):
        return None
    return Parts(np.array([np.mean(one, axis=0) for one in told]), np.array(weights), _noise(told))


def _about_the_best(domain: Domain, done: Sequence[FrozenTrial], random: np.random.Generator) -> list[dict[str, Any]]:
    """Parameters of mixtures about the best ones so far, by the mean rank over the objectives."""
    ranks = np.argsort(np.argsort(-np.array([trial.values for trial in done]), axis=0), axis=0).mean(axis=1)
    best = np.argsort(ranks, kind="stable")[:4]
    found: list[dict[str, Any]] = []
    each = CANDIDATES // 2 // (len(best) * len(SPREADS))
    for place in best:
        params = done[place].params
        centre = np.array([params[name] for name in domain.coordinates])
        for spread in SPREADS:
            others = random_params(domain, each, random)
            space = domain.space_at(params.get(SIZE, domain.size[0]))
            moved: Shares = space.encode(space.near(space.decode(centre), each, spread, random))
            for other, coordinates in zip(others, moved, strict=True):
                # Half of them keep size and settings, so that the mixture alone is refined.
                kept = dict(params) if random.random() < 0.5 else other
                found.append({**kept, **dict(zip(domain.coordinates, map(float, coordinates), strict=True))})
    return found


def _features(domain: Domain, shares: Sequence[Mapping[str, float]], params: Sequence[Mapping[str, Any]]) -> Any:
    from composer.surrogate import Features

    names = domain.space.categories
    of_shares = np.array([[one[name] for name in names] for one in shares]).reshape(-1, len(names))
    others = np.array([domain.unit(one) for one in params])
    return Features(of_shares, others.reshape(len(shares), -1) if len(shares) else np.zeros((0, _width(domain))))


def _width(domain: Domain) -> int:
    return len(domain.unit(random_params(domain, 1, np.random.default_rng(0))[0]))
