"""The next mixture by what earlier ones came to: candidates over the whole domain and about the best, the best promise.

Everything that a proposal depends on is an argument, so that a resumed search proposes what an uninterrupted one does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from composer.study.domain import SIZE, Domain, Proposal
from composer.study.fidelities import Cheap, hints
from composer.study.objectives import pooled_noise
from composer.study.space import Shares

if TYPE_CHECKING:
    from composer.surrogate import Features, Parts

CANDIDATES = 512  # mixtures that are scored before one is proposed
SIZES = 17  # that are proposed, where the size is searched, evenly by ratio
BEST = 4  # trials about which half of them lie
SPREADS = (0.05, 0.15, 0.4)  # how far about them, in log-ratios
LEAST_NOISE = 1e-9  # where all seeds agree


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
        index: Of the proposal.
    """

    proposal: Proposal
    values: Sequence[float] | None
    by_seed: Sequence[Sequence[float]] | None = None
    parts: Sequence[Sequence[float]] | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    index: int = -1


def propose(
    domain: Domain, told: Sequence[Told], seed: int, weights: Sequence[float] = (), cheap: Sequence[Cheap] = ()
) -> dict[str, Any]:
    """Optuna's parameters of the candidate that promises the most, by the surrogate of what was told.

    Args:
        domain: What may vary.
        told: Finished and running proposals.
        seed: Of the candidates and of the surrogate's draws.
        weights: (m,) of the parts that the one objective is a sum of.
        cheap: What was trained at other fidelities.
    """
    from composer.surrogate import promise

    random = np.random.default_rng(seed)
    done = [one for one in told if one.values is not None]
    running = [one for one in told if one.values is None]
    if len(done) < 2:
        return random_params(domain, 1, random)[0]
    candidates = [*random_params(domain, CANDIDATES // 2, random), *_about_the_best(domain, done, random)]
    ended, begun = len(done), len(told)
    shares = np.vstack([_shares(domain, [*done, *running]), _decoded(domain, candidates)])
    params = [*(one.proposal.params for one in (*done, *running)), *candidates]
    features = _features(domain, shares, params, ended, weights, cheap)
    places = np.arange(len(features))
    promised = promise(
        features[places[:ended]], np.array([one.values for one in done]), features[places[begun:]],
        seed=seed, noise=_noise([one.by_seed for one in done]), pending=features[places[ended:begun]],
        parts=_parts([one.parts for one in done], weights),
    )  # fmt: skip
    known = {same(one.proposal) for one in told}
    ranked = [candidates[place] for place in np.argsort(-promised, kind="stable")]
    # Trained again with the same seeds, a mixture would say nothing new.
    return next((one for one in ranked if same(domain.proposal(one)) not in known), ranked[0])


def same(proposal: Proposal) -> tuple[Any, ...]:
    """What two proposals that are one trial have in common."""
    return (*sorted(proposal.rows.items()), *sorted(proposal.trainer.items()))


def random_params(domain: Domain, count: int, random: np.random.Generator) -> list[dict[str, Any]]:
    """Parameters of `count` random mixtures, with random sizes and settings."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    drawn: list[dict[str, Any]] = [{} for _ in range(count)]
    for name, of in domain.settings().items():
        for params in drawn:
            if isinstance(of, CategoricalDistribution):
                params[name] = of.choices[int(random.integers(len(of.choices)))]
                continue
            assert isinstance(of, (FloatDistribution, IntDistribution))
            low, high = float(of.low), float(of.high)
            # Each size has bounds of its own, by what the pool has: few sizes are quick to draw mixtures of.
            part = random.random() if name != SIZE else random.integers(SIZES) / (SIZES - 1)
            value = low * (high / low) ** part if of.log else low + (high - low) * part
            params[name] = round(value) if isinstance(of, IntDistribution) else min(max(value, low), high)
    shares = domain.space_at(domain.size[0]).draw(count, random)
    for size, places in _by_size(domain, drawn):
        space = domain.space_at(size)
        for place, coordinates in zip(places, space.encode(space.project(shares[places])), strict=True):
            drawn[place].update(zip(domain.coordinates, map(float, coordinates), strict=True))
    return drawn


def _by_size(domain: Domain, params: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, list[int]]]:
    """Each size with the places of the parameters that have it."""
    found: dict[int, list[int]] = {}
    for place, one in enumerate(params):
        found.setdefault(int(one.get(SIZE, domain.size[0])), []).append(place)
    yield from found.items()


def _decoded(domain: Domain, params: Sequence[Mapping[str, Any]]) -> Shares:
    """(c, K) the shares that parameters stand for, before they are made whole rows."""
    coordinates = np.array([[one[name] for name in domain.coordinates] for one in params])
    shares = np.zeros((len(params), len(domain.space.categories)))
    for size, places in _by_size(domain, params):
        shares[places] = domain.space_at(size).decode(coordinates[places])
    return shares


def _shares(domain: Domain, told: Sequence[Told]) -> Shares:
    rows = np.array([[one.proposal.rows[name] for name in domain.space.categories] for one in told], dtype=float)
    found: Shares = rows / rows.sum(axis=1, keepdims=True)
    return found


def _about_the_best(domain: Domain, done: Sequence[Told], random: np.random.Generator) -> list[dict[str, Any]]:
    """Parameters of mixtures about the best ones so far, by the mean rank over the objectives."""
    ranks = np.argsort(np.argsort(-np.array([one.values for one in done]), axis=0), axis=0).mean(axis=1)
    best = np.argsort(ranks, kind="stable")[:BEST]
    found: list[dict[str, Any]] = []
    each = CANDIDATES // 2 // (len(best) * len(SPREADS))
    for place in best:
        params = done[place].proposal.params
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


def _features(
    domain: Domain, shares: Shares, params: Sequence[Mapping[str, Any]], ended: int, weights: Sequence[float],
    cheap: Sequence[Cheap],
) -> Features:  # fmt: skip
    """Shares, settings, and what cheap runs say; the first `ended` of them are what is learned from."""
    from composer.surrogate import Features

    settings = np.array([domain.unit(one) for one in params]).reshape(len(params), -1)
    told = hints(cheap, weights, shares)
    # On the scale of the shares, so that a hint that is wholly believed counts as much as all of them.
    spread = np.sqrt(shares[:ended].var(axis=0).sum())
    return Features(shares, np.hstack([settings, spread * told]))
