"""How long a search takes to propose a mixture of 20 categories, after so many finished trials.

    python benchmarks/ask.py

prints Markdown. One thread; the first proposal of a process also imports BoTorch, and is told apart.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from statistics import median

import numpy as np

from composer.config import MixtureConfig
from composer.config_search import SearchConfig
from composer.study.domain import Domain, make_domain
from composer.study.proposer import Told, random_params
from composer.study.samplers import ask

CATEGORIES, BENCHMARKS, SIZE = 20, 4, 50_000
TRIALS = (25, 100, 500)
ASKS = 5


def domain_of(categories: int) -> Domain:
    """A domain of so many categories, of which all may have any share."""
    rows = {f"c{place:02d}": SIZE // categories for place in range(categories)}
    mixture = MixtureConfig(by="share", size=SIZE, quotas={name: 1 / categories for name in rows})
    return make_domain(SearchConfig(), rows, mixture, None, None)


def told_of(domain: Domain, count: int) -> list[Told]:
    """So many finished trials with two seeds, whose scores have diminishing returns."""
    random = np.random.default_rng(0)
    weights = random.normal(size=(len(domain.space.categories), BENCHMARKS))
    told = []
    for params in random_params(domain, count, random):
        proposal = domain.proposal(params)
        shares = np.array(list(proposal.shares.values()))
        parts = [(np.sqrt(shares) @ weights + 0.02 * random.normal(size=BENCHMARKS)).tolist() for _ in range(2)]
        by_seed = [[float(np.mean(seed))] for seed in parts]
        told.append(Told(proposal, [float(np.mean(by_seed))], by_seed, parts))
    return told


def main() -> None:
    """Asks and prints the table."""
    domain = domain_of(CATEGORIES)
    told = told_of(domain, max(TRIALS))
    weights = [1 / BENCHMARKS] * BENCHMARKS
    began = time.monotonic()
    ask("mixture", domain, 0, 0, 1, told[:5], weights)
    first = time.monotonic() - began
    print("| finished trials | seconds to propose, median of 5 | most |\n|---|---|---|")
    for count in TRIALS:
        taken = []
        for index in range(ASKS):
            began = time.monotonic()
            ask("mixture", domain, 0, index, 1, told[:count], weights)
            taken.append(time.monotonic() - began)
        print(f"| {count} | {median(taken):.2f} | {max(taken):.2f} |")
    print(f"\n{CATEGORIES} categories, {BENCHMARKS} benchmarks; a process asks first, with imports, in {first:.1f} s.")


if __name__ == "__main__":
    main()
