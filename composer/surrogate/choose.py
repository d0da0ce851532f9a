"""What a candidate promises: its expected improvement over what is known with noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from composer.surrogate.features import Array, Features, Parts
from composer.surrogate.gaussian import Gaussian, quiet
from composer.surrogate.model import MOST, Surrogate

DRAWS = 128
SLICE = 256  # candidates that are scored at once, for memory
LIKELY = 64  # runs that may be the best so far


def promise(
    seen: Features, values: Array, candidates: Features, *, seed: int, noise: Array | None = None,
    pending: Features | None = None, parts: Parts | None = None,
) -> Array:  # fmt: skip
    """(c,) how much each candidate promises; the one to train next is that of the most.

    For one objective by noisy expected improvement (B. Letham et al., "Constrained Bayesian Optimization with Noisy
    Experiments", 2019), for several by expected hypervolume improvement (S. Daulton et al., "Differentiable Expected
    Hypervolume Improvement for Parallel Multi-Objective Bayesian Optimization", 2020), both as BoTorch has them.

    Args:
        seen: (n,) finished trials.
        values: (n, m) one column an objective, more is better.
        candidates: (c,) what may be trained.
        seed: Of the draws.
        noise: (n, m) standard errors of `values`, or None.
        pending: Trials that run, and whose values will come.
        parts: The benchmarks that the one objective is made of, where they are known.
    """
    import torch

    # BoTorch draws some numbers from torch's own generator: they must not depend on what ran before.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**31)
        return _promise(seen, values, candidates, seed, noise, pending, parts)


def _promise(
    seen: Features, values: Array, candidates: Features, seed: int, noise: Array | None, pending: Features | None,
    parts: Parts | None,
) -> Array:  # fmt: skip
    columns = values.reshape(len(seen), -1)
    fuzz = [None if noise is None else noise.reshape(columns.shape)[:, place] for place in range(columns.shape[1])]
    fitted = [
        Surrogate.fit(seen, column, of, MOST, parts if columns.shape[1] == 1 else None)
        for column, of in zip(columns.T, fuzz, strict=True)
    ]
    waiting = pending if pending is not None and len(pending) else None
    if len(fitted) > 1:
        return _hypervolume([one.best for one in fitted], seen, candidates, waiting, seed)
    total = np.zeros(len(candidates))
    for process, weight in zip(fitted[0].processes, fitted[0].weights, strict=True):
        logs = improvement(process, seen, candidates, waiting, seed)
        total += weight * np.exp(logs - logs.max())
    return total


def improvement(process: Gaussian, seen: Features, candidates: Features, pending: Features | None, seed: int) -> Array:
    """(c,) logarithms of the noisy expected improvement of each candidate."""
    import torch
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.acquisition.objective import LinearMCObjective
    from botorch.sampling import SobolQMCNormalSampler

    # A run that cannot be the best is none that a candidate must be better than.
    likely = np.sort(np.argsort(-process.predict(seen)[0], kind="stable")[:LIKELY])
    of = process.outputs
    with torch.no_grad(), quiet():
        scorer = qLogNoisyExpectedImprovement(
            process.model,
            process.tensor(seen[likely]),
            objective=None if of is None else LinearMCObjective(torch.as_tensor(of.weights, dtype=torch.float64)),
            sampler=SobolQMCNormalSampler(torch.Size([DRAWS]), seed=seed % 2**31),
            X_pending=None if pending is None else process.tensor(pending),
            cache_root=process.kind == "smooth",  # a linear kernel has a root that is not square
        )
        return _scored(scorer, process.tensor(candidates))


def _hypervolume(
    processes: list[Gaussian], seen: Features, candidates: Features, pending: Features | None, seed: int
) -> Array:
    """(c,) logarithms of the expected hypervolume improvement of each candidate over the front of what was seen.

    The front is of the processes' means, not of the scores, so that lucky trials do not make it.
    """
    import torch
    from botorch.acquisition.multi_objective.logei import qLogExpectedHypervolumeImprovement
    from botorch.models import ModelListGP
    from botorch.sampling import SobolQMCNormalSampler
    from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
    from botorch.utils.multi_objective.hypervolume import infer_reference_point

    first = processes[0]
    with torch.no_grad(), quiet():
        means = torch.stack([torch.as_tensor(one.predict(seen)[0]) for one in processes], dim=-1)
        reference = infer_reference_point(means, scale=0.1)
        scorer = qLogExpectedHypervolumeImprovement(
            ModelListGP(*(one.model for one in processes)),
            reference,
            FastNondominatedPartitioning(reference, means),
            sampler=SobolQMCNormalSampler(torch.Size([DRAWS // 2]), seed=seed % 2**31),
            X_pending=None if pending is None else first.tensor(pending),
        )
        return _scored(scorer, first.tensor(candidates))


def _scored(scorer: Any, points: Any) -> Array:
    found: Array = np.concatenate([scorer(part[:, None, :]).numpy() for part in points.split(SLICE)])
    return found
