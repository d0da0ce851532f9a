"""The mixture that a surrogate thinks best, and how sure it is of the difference between two mixtures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from composer.findings.trained import Array, Trained
from composer.study.space import Space
from composer.surrogate import Features, Surrogate
from composer.surrogate.gaussian import Gaussian, quiet

DRAWS, NEAR, TOP = 2048, 48, 6  # random mixtures; those about each of the best ones; the best ones
SPREADS = (0.5, 0.25, 0.12, 0.06, 0.03)  # in log-ratios, one round of refinement each
SLICE = 256  # mixtures that are predicted at once: their joint covariance is held
SMALL = 0.01  # a share so near to its lowest is tried at its lowest
WHOLE = 10_000  # recommended shares are whole parts of this
SAMPLES = 8192  # of the joint posterior
SLACK = 1e-9


def best_mixture(trained: Trained, surrogate: Surrogate, seed: int = 0) -> tuple[Array, Mapping[str, Any]]:
    """The mixture (K,) with the highest predicted score, and its settings.

    Random mixtures within the bounds and the measured ones, then rounds about the best with a shrinking spread. Shares
    are rounded to 0.01 %, and sum to 1.
    """
    random = np.random.default_rng(seed)
    options, spaces = trained.options, [trained.space(one) for one in trained.options]
    of = random.integers(len(options), size=DRAWS)
    shares = np.empty((DRAWS, len(trained.categories)))
    for place, space in enumerate(spaces):
        shares[of == place] = space.draw(int((of == place).sum()), random)
    for place, space in enumerate(spaces):
        shares = np.vstack([shares, space.project(trained.shares)])
        of = np.concatenate([of, np.full(len(trained.mixtures), place)])
    scores = _scores(trained, surrogate, shares, of)
    for spread in SPREADS:
        top = np.argsort(-scores, kind="stable")[:TOP]
        near = [spaces[of[place]].near(shares[place], NEAR, spread, random) for place in top]
        about, of_about = np.vstack(near), np.repeat(of[top], NEAR)
        shares, of = np.vstack([shares[top], about]), np.concatenate([of[top], of_about])
        scores = np.concatenate([scores[top], _scores(trained, surrogate, about, of_about)])
    best = int(np.argmax(scores))
    settings, space = options[of[best]], spaces[of[best]]
    found = _tidied(trained, surrogate, shares[best], int(of[best]), space)
    return _rounded(found, space), settings


def changes(surrogate: Surrogate, points: Features, level: float, seed: int = 0) -> Array:
    """(c - 1, 3): the median change of the score from the first mixture to each other, and its interval's ends.

    From draws of the joint posterior: what is unknown of both mixtures alike cancels.
    """
    random = np.random.default_rng(seed)
    parts = []
    for process, weight in zip(surrogate.processes, surrogate.weights, strict=True):
        mean, root = _joint(process, points)
        draws = random.standard_normal((max(1, round(SAMPLES * weight)), len(mean)))
        scores = process.warp.back(mean + draws @ root)
        parts.append(scores[:, 1:] - scores[:, :1])
    found: Array = np.quantile(np.vstack(parts), [0.5, (1 - level) / 2, (1 + level) / 2], axis=0).T
    return found


def raised(shares: Array, place: int, step: float) -> Array:
    """The mixture (K,) with one category's share `step` higher, at most 1; the others give way in proportion."""
    share = min(1.0, shares[place] + step)
    rest = 1 - shares[place]
    found: Array = shares * ((1 - share) / rest if rest > 0 else 0.0)
    found[place] = share
    return found


def _scores(trained: Trained, surrogate: Surrogate, shares: Array, of: NDArray[np.int64]) -> Array:
    """(c,) predicted scores of mixtures with the options at `of`.

    The mean of what the processes say, by their weights: near to what `predict` says of all together, which takes long.
    """
    found = []
    for start in range(0, len(shares), SLICE):
        part = slice(start, start + SLICE)
        features = trained.features(shares[part], [trained.options[place] for place in of[part]])
        told = [process.warp.back(process.predict(features)[0]) for process in surrogate.processes]
        found.append(surrogate.weights @ np.array(told))
    return np.concatenate(found)


def _tidied(trained: Trained, surrogate: Surrogate, shares: Array, option: int, space: Space) -> Array:
    """The mixture without shares that are a little above their lowest, where that costs nothing.

    Log-ratios do not reach a bound, so that a category which is best left out would have a few rows.
    """
    here = float(_scores(trained, surrogate, shares[None], np.array([option]))[0])
    for place in np.argsort(shares - space.low, kind="stable"):
        if not SLACK < shares[place] - space.low[place] < SMALL:
            continue
        tried = shares * (1 - space.low[place]) / (1 - shares[place])
        tried[place] = space.low[place]
        tried = space.project(tried)
        there = float(_scores(trained, surrogate, tried[None], np.array([option]))[0])
        if there >= here:
            shares, here = tried, there
    return shares


def _rounded(shares: Array, space: Space) -> Array:
    """The mixture in whole parts of WHOLE, within the bounds where such parts can be; the largest remainders first."""
    low, high = np.ceil(space.low * WHOLE - SLACK * WHOLE), np.floor(space.high * WHOLE + SLACK * WHOLE)
    parts = np.clip(np.floor(shares * WHOLE + SLACK * WHOLE), low, high)
    left = round(WHOLE - parts.sum())
    for _ in range(abs(left)):
        room = (parts < high) if left > 0 else (parts > low)
        if not room.any():
            return shares
        off = (shares * WHOLE - parts) * np.sign(left)
        parts[int(np.argmax(np.where(room, off, -np.inf)))] += np.sign(left)
    found: Array = parts / WHOLE
    return found


def _joint(process: Gaussian, points: Features) -> tuple[Array, Array]:
    """Mean (c,) of the warped scores, and a root (c, c) of their covariance: draws @ root have it."""
    import torch

    with torch.no_grad(), quiet():
        told = process.model.posterior(process.tensor(points))
        if process.outputs is not None:
            from botorch.posteriors.gpytorch import scalarize_posterior

            told = scalarize_posterior(told, torch.as_tensor(process.outputs.weights, dtype=torch.float64))
        mean = told.mean.numpy()[:, 0]
        values, vectors = np.linalg.eigh(told.distribution.covariance_matrix.numpy())
    root: Array = (vectors * np.sqrt(np.maximum(values, 0))).T
    return mean, root
