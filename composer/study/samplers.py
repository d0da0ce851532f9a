"""Who proposes the next mixture: Optuna's samplers by name, and two made for mixtures.

Every proposal is asked of a sampler that is made anew from the search's seed and the proposal's index, over the
finished trials in the order of their indices. So it depends on nothing that a resumed search would not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from composer.study.domain import Domain, Proposal
from composer.study.fidelities import Cheap
from composer.study.proposer import Told, propose, random_params, same

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

OURS = ("mixture", "random")
TRIES = 100  # for a mixture that was not trained yet
SHARES, BY_SEED, PARTS = "shares", "by_seed", "parts"  # user attributes of a trial


def ask(
    sampler: str, domain: Domain, seed: int, index: int, objectives: int, told: Sequence[Told],
    weights: Sequence[float] = (), cheap: Sequence[Cheap] = (),
) -> tuple[Proposal, dict[str, Any]]:  # fmt: skip
    """The proposal with this index, after what was `told`, and what the sampler noted beside it.

    Args:
        sampler: One of `config_search.SAMPLERS`.
        domain: What may vary.
        seed: Of the search.
        index: Of the proposal.
        objectives: Their number.
        told: Finished and running proposals, in the order of their indices.
        weights: (m,) of the parts that the one objective is a sum of.
        cheap: What was trained at other fidelities.
    """
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    number = int(np.random.SeedSequence((seed, index)).generate_state(1)[0])
    ours = _mixtures(sampler == "mixture", domain, number, told, weights, cheap) if sampler in OURS else None
    study = optuna.create_study(sampler=ours or _of_optuna(sampler, number), directions=["maximize"] * objectives)
    ranges = domain.distributions()
    for one in () if ours else told:
        study.add_trial(
            create_trial(
                state=TrialState.RUNNING if one.values is None else TrialState.COMPLETE,
                values=one.values,
                params=dict(one.proposal.params),
                distributions=ranges,
                system_attrs=dict(one.state),
            )
        )
    asked = study.ask(ranges)
    noted = study.get_trials(deepcopy=False)[asked.number].system_attrs
    found, known = domain.proposal(asked.params), {same(one.proposal) for one in told}
    if same(found) in known:  # trained again with the same seeds it would say nothing new
        others = map(domain.proposal, random_params(domain, TRIES, np.random.default_rng(number)))
        found = next((other for other in others if same(other) not in known), found)
    return found, dict(noted)


def _of_optuna(name: str, seed: int) -> BaseSampler:
    """A sampler of Optuna's by its name in a recipe. It proposes from the first trial: random ones came before."""
    from optuna.samplers import GPSampler, NSGAIISampler, TPESampler

    if name == "gp":
        return GPSampler(seed=seed, n_startup_trials=0)
    if name == "tpe":
        return TPESampler(seed=seed, n_startup_trials=0, multivariate=True, constant_liar=True)
    return NSGAIISampler(seed=seed, population_size=16)


def _mixtures(
    learns: bool, domain: Domain, seed: int, told: Sequence[Told], weights: Sequence[float], cheap: Sequence[Cheap]
) -> BaseSampler:
    """Optuna is imported here, as it takes long; so the class that derives from its base is made here too.

    What was told is given beside the study and not read from it: a trial of Optuna's holds neither the realised shares
    nor the scores of each seed, and copying hundreds of trials would take longer than the proposal.
    """
    from optuna.samplers import BaseSampler

    class Mixtures(BaseSampler):
        """Proposes mixtures of a domain: at random, or, where it learns, the one that promises the most."""

        def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
            return domain.distributions()

        def sample_relative(
            self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
        ) -> dict[str, Any]:
            if learns:
                return propose(domain, told, seed, weights, cheap)
            return random_params(domain, 1, np.random.default_rng(seed))[0]

        def sample_independent(
            self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
        ) -> Any:
            raise ValueError(f"{param_name} is no parameter of this search: it has {', '.join(domain.distributions())}")

    return Mixtures()
