"""What a candidate promises: its expected improvement over what is known with noise."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp
from scipy.stats import norm, qmc

from composer.surrogate.features import Array, Features, Parts
from composer.surrogate.gaussian import Gaussian, quiet
from composer.surrogate.model import MOST, Surrogate

DRAWS = 128
SLICE = 256  # candidates that are scored at once, for memory
LIKELY = 64  # runs that may be the best so far
JITTER = 1e-8
FAR = 6.0


def promise(
    seen: Features, values: Array, candidates: Features, *, seed: int, noise: Array | None = None,
    pending: Features | None = None, parts: Parts | None = None,
) -> Array:  # fmt: skip
    """(c,) how much each candidate promises; the one to train next is that of the most.

    For one objective by noisy expected improvement (B. Letham et al., "Constrained Bayesian Optimization with Noisy
    Experiments", 2019), for several by expected hypervolume improvement (S. Daulton et al., "Differentiable Expected
    Hypervolume Improvement for Parallel Multi-Objective Bayesian Optimization", 2020) as BoTorch has it.

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
    """(c,) logarithms of the noisy expected improvement of each candidate.

    What the runs so far are worth is drawn, each candidate's improvement over the best of them is known given that.
    """
    # A run that cannot be the best is none that a candidate must be better than.
    likely = np.sort(np.argsort(-process.predict(seen)[0], kind="stable")[:LIKELY])
    so_far = seen[likely] if pending is None else seen[likely].and_those(pending)
    mean, covariance = process.joint(so_far.and_those(candidates))
    runs = len(so_far)
    root = np.linalg.cholesky(covariance[:runs, :runs] + JITTER * np.eye(runs))
    draws = norm.ppf(np.clip(qmc.Sobol(runs, rng=seed).random(DRAWS), 1e-9, 1 - 1e-9))
    best = (mean[:runs] + draws @ root.T).max(axis=1)
    known = solve_triangular(root, covariance[:runs, runs:], lower=True)
    left = np.diag(covariance)[runs:] - (known**2).sum(axis=0)
    deviation = np.sqrt(np.maximum(left, JITTER))
    above = (mean[runs:] + draws @ known - best[:, None]) / deviation
    found: Array = np.log(deviation) + logsumexp(_log_gain(above), axis=0) - log(DRAWS)
    return found


def _log_gain(above: Array) -> Array:
    """The logarithm of what a standard normal variable is above 0 by in the mean, having been raised by `above`."""
    near = np.maximum(above, -FAR)
    gain = np.log(norm.pdf(near) + near * norm.cdf(near))
    far = np.minimum(above, -FAR)
    # Far below, the tail is left: density / above², by its asymptotic series.
    tail = norm.logpdf(far) - 2 * np.log(-far) + np.log1p(-3 / far**2 + 15 / far**4)
    found: Array = np.where(above > -FAR, gain, tail)
    return found


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
