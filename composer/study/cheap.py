"""Cheap runs of a search: which mixtures are trained at a declared fidelity, and when that is worth while.

The declared arms and the first proposals are trained both ways. Once all of those have ended, the others that the
fidelity may have are drawn at random and trained, if the cheap order of the pairs agrees with the dear one at all.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from composer.config import ModelConfig
from composer.config_search import FidelityConfig
from composer.mixture.apportion import apportion
from composer.study.domain import Proposal
from composer.study.fidelities import Cheap
from composer.study.proposer import Told, random_params
from composer.study.queue import Queue
from composer.study.search_work import Job, Work


@dataclass
class Side:
    """One fidelity of a search at work.

    Attributes:
        name: The fidelity's.
        config: What the recipe says of it.
        model: What its runs start from; None for the recipe's model.
        queue: Its runs.
        pairs: Of each of the first runs, the index of the proposal that it is a cheap run of.
    """

    name: str
    config: FidelityConfig
    model: ModelConfig | None
    queue: Queue
    pairs: Sequence[int]

    def names(self, work: Work) -> list[str]:
        """The arms to train now."""
        paired = [f"{self.name}_{work.names[index]}" for index in self.pairs]
        others = [f"{self.name}_x{number:03d}" for number in range(self.config.trials - len(self.pairs))]
        first = max(self.pairs) + 1
        self.queue.wanted = len(paired)
        ended = not work.queue.waits(first) and not self.queue.waits()
        return [*paired, *others] if ended and self.useful(work) else paired

    def useful(self, work: Work) -> bool:
        """Whether its order of mixtures is believed at all; tells the person who watches, once."""
        cheap, weights = self.cheap(work), work.objectives.weights
        trust = dict(zip(weights, cheap.trust().tolist(), strict=True))
        useful = cheap.useful(list(weights.values()))
        work.fidelities[self.name] = {
            "size": self.config.size, "model": self.config.model, "paired": len(self.pairs), "trust": trust,
            "useful": useful,
        }  # fmt: skip
        told = ", ".join(f"{name} {of:.2f}" for name, of in trust.items())
        end = "" if useful else "; its other runs are left out"
        work.say(f"{self.name}: its order of mixtures is believed by {told}{end}", once=self.name)
        return useful

    def job(self, work: Work) -> Job | None:
        """The next run, claimed; None where none waits."""
        claim = self.queue.claim()
        if claim is None:
            return None
        if claim.proposal is None:
            self.queue.propose(claim, self._proposal(work, claim.index), {})
        assert claim.proposal is not None
        arm = claim.proposal.arm(claim.index)
        arm.label = f"{self.name}: {claim.arm.removeprefix(f'{self.name}_')}"
        return Job(claim, self.queue, arm, self.name, self.model, self._dear(work, claim.index)[1])

    def cheap(self, work: Work) -> Cheap:
        """What its finished runs say, beside what the dear ones of the same mixtures do."""
        dear = {one.index: one for one in work.queue.told() if one.values is not None}
        done = [one for one in self.queue.told() if one.values is not None and one.parts]
        none, names = np.full(len(work.objectives.weights), np.nan), work.domain.space.categories
        found = [
            (
                [one.proposal.shares[name] for name in names],
                _mean(one),
                _mean(dear[self.pairs[one.index]])
                if one.index < len(self.pairs) and self.pairs[one.index] in dear
                else none,
            )
            for one in done
        ]
        shares, values, of_dear = (np.array([one[place] for one in found]) for place in range(3))
        width = len(none)
        return Cheap(self.name, shares.reshape(-1, len(names)), values.reshape(-1, width), of_dear.reshape(-1, width))

    def _dear(self, work: Work, index: int) -> tuple[dict[str, float], int]:
        """The mixture that a run is a cheap run of: its shares, and its rows."""
        if index < len(self.pairs):
            proposal = work.queue.proposals()[self.pairs[index]][1]
        else:
            drawn = np.random.default_rng([work.config.seed, zlib.crc32(self.name.encode()), index])
            proposal = work.domain.proposal(random_params(work.domain, 1, drawn)[0])
        return proposal.shares, sum(proposal.rows.values())

    def _proposal(self, work: Work, index: int) -> Proposal:
        shares, size = self._dear(work, index)
        rows = self.config.size or size
        # Of a category that repeats, the cheap run may take a part of the rows, as `mixture.proxy_of` says.
        part = rows / size if work.recipe.config.mixture.shortage == "repeat" else 1.0
        limits = [rows if math.isinf(of) else min(rows, math.ceil(of * part)) for of in work.domain.available]
        counts = apportion(rows, [shares[name] for name in work.domain.space.categories], limits)
        return Proposal({}, dict(zip(work.domain.space.categories, counts, strict=True)), {})


def _mean(told: Told) -> list[float]:
    mean: list[float] = np.mean(told.parts or [], axis=0).tolist()
    return mean
