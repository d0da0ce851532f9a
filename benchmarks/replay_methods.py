"""What `replay.py` compares: ways to predict a mixture's score, and ways to choose the next mixture to train.

A predictor takes shares (n, K) and scores (n,), more is better, and gives a function from shares (c, K) to scores (c,)
of which only the order counts. A chooser takes the shares of what was seen, its values on each benchmark (n, m), whose
mean is searched by, the shares of the candidates and a seed, and gives the place of a candidate.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from replay_tables import Pool
from scipy.stats import norm

from composer.study.fidelities import Cheap, hints
from composer.surrogate import Features, LogLinearLaw, Parts, Surrogate, promise

Array = NDArray[np.float64]
Scorer = Callable[[Array], Array]
Fit = Callable[[Array, Array], Scorer]
Choose = Callable[[Array, Array, Array, int], int]

OURS = "composer"
CHEAP = 24  # mixtures that a smaller model trains beside a search
PEEKS = "LightGBM, stopped on the test runs"


def linear(shares: Array, scores: Array) -> Scorer:
    """Least squares, as shares sum to 1 without an intercept."""
    slopes = np.linalg.lstsq(shares, scores, rcond=None)[0]
    return lambda asked: asked @ slopes


def law(shares: Array, scores: Array) -> Scorer:
    """The log-linear law as published, of the shares themselves, from several starts."""
    return LogLinearLaw.fit(shares, scores, power=1.0).predict


def boosted(shares: Array, scores: Array, test: tuple[Array, Array] | None = None) -> Scorer:
    """LightGBM with RegMix's settings, stopped early on `test` as RegMix does, else on a fifth of the runs."""
    import lightgbm

    if test is None:
        order = np.random.default_rng(0).permutation(len(scores))
        kept, held = order[len(order) // 5 :], order[: len(order) // 5]
        shares, scores, test = shares[kept], scores[kept], (shares[held], scores[held])
    model = lightgbm.LGBMRegressor(n_estimators=1000, learning_rate=0.01, random_state=42, verbosity=-1, n_jobs=1)
    stop = lightgbm.early_stopping(stopping_rounds=3, verbose=False)
    model.fit(shares, scores, eval_X=test[0], eval_y=test[1], eval_metric="l2", callbacks=[stop])
    return lambda asked: np.asarray(model.predict(asked))


def small_leaves(shares: Array, scores: Array) -> Scorer:
    """LightGBM for few runs: small trees with few runs a leaf, and as many of them as a slow rate needs."""
    import lightgbm

    model = lightgbm.LGBMRegressor(
        n_estimators=400, learning_rate=0.05, num_leaves=8, min_child_samples=3, random_state=42, verbosity=-1, n_jobs=1
    )
    model.fit(shares, scores)
    return lambda asked: np.asarray(model.predict(asked))


def process(shares: Array, scores: Array) -> tuple[Scorer, Callable[[Array], Array]]:
    """scikit-learn's Gaussian process, Matérn-5/2, a length-scale for each root of a share; means and deviations."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel = ConstantKernel(1.0, (1e-3, 1e3)) * Matern(np.ones(shares.shape[1]), (1e-2, 1e2), nu=2.5)
    kernel += WhiteKernel(1e-2, (1e-6, 1e1))
    model = GaussianProcessRegressor(kernel, normalize_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(np.sqrt(shares), scores)
    return (
        lambda asked: model.predict(np.sqrt(asked)),
        lambda asked: model.predict(np.sqrt(asked), return_std=True)[1],
    )


def ours(shares: Array, scores: Array) -> tuple[Scorer, Scorer]:
    """Composer's surrogate: at the scale of the runs, and carried over to another."""
    fitted = Surrogate.fit(Features(shares), scores)
    return lambda asked: fitted.predict(Features(asked)).mean, lambda asked: fitted.transferred(Features(asked))


def by_random(shares: Array, values: Array, asked: Array, seed: int) -> int:
    """Any."""
    return int(np.random.default_rng((seed, len(values))).integers(len(asked)))


def by_improvement(shares: Array, values: Array, asked: Array, seed: int) -> int:
    """Gaussian process with expected improvement over the best score."""
    scores = values.mean(axis=1)
    mean, deviation = process(shares, scores)
    return _improving(mean(asked), deviation(asked), scores)


def by_even_process(shares: Array, values: Array, asked: Array, seed: int) -> int:
    """As `by_improvement`, with one length-scale for all shares, which are scaled by their spread together."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    centre = shares.mean(axis=0)
    scale = np.sqrt(((shares - centre) ** 2).sum(axis=1).mean())
    kernel = ConstantKernel(1.0, (1e-3, 1e3)) * Matern(1.0, (1e-2, 1e2), nu=2.5) + WhiteKernel(1e-2, (1e-6, 1e1))
    scores = values.mean(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = GaussianProcessRegressor(kernel, normalize_y=True).fit((shares - centre) / scale, scores)
        mean, deviation = model.predict((asked - centre) / scale, return_std=True)
    return _improving(mean, deviation, scores)


def by_tree_parzen(shares: Array, values: Array, asked: Array, seed: int) -> int:
    """Optuna's TPE over log-ratios of shares; the candidate nearest to its proposal."""
    import optuna
    from optuna.distributions import FloatDistribution
    from optuna.trial import create_trial

    from composer.study.space import REACH, bounded_space

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = bounded_space({f"{place:02d}": 1 / shares.shape[1] for place in range(shares.shape[1])}, {})
    names = [f"z_{place}" for place in range(space.dimensions)]
    ranges = {name: FloatDistribution(-REACH, REACH) for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = optuna.samplers.TPESampler(seed=seed + len(values), multivariate=True, n_startup_trials=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for point, score in zip(space.encode(shares), values.mean(axis=1), strict=True):
        params = dict(zip(names, map(float, point), strict=True))
        study.add_trial(create_trial(params=params, distributions=dict(ranges), value=float(score)))
    told = study.ask(dict(ranges)).params
    wanted = space.decode(np.array([told[name] for name in names]))
    return int(np.argmin(((np.sqrt(asked) - np.sqrt(wanted)) ** 2).sum(axis=1)))


def _improving(mean: Array, deviation: Array, scores: Array) -> int:
    """The candidate of the greatest expected improvement over the best score."""
    over, sd = mean - scores.max(), np.maximum(deviation, 1e-12)
    return int(np.argmax(over * norm.cdf(over / sd) + sd * norm.pdf(over / sd)))


def by_mean(fit: Fit) -> Choose:
    """The candidate that is predicted to be the best."""
    return lambda shares, values, asked, seed: int(np.argmax(fit(shares, values.mean(axis=1))(asked)))


def by_ours(shares: Array, values: Array, asked: Array, seed: int) -> int:
    """Composer's sampler."""
    size = values.shape[1]
    parts = Parts(values, np.full(size, 1 / size))
    scores = values.mean(axis=1, keepdims=True)
    return int(np.argmax(promise(Features(shares), scores, Features(asked), seed=seed, parts=parts)))


def beside(pool: Pool, start: Sequence[int], size: str, seed: int) -> list[int]:
    """What `with_cheap` trains with the smaller model: its starts, and `CHEAP` in all where their order is believed."""
    weights = [1 / pool.values.shape[1]] * pool.values.shape[1]
    if not _cheap(pool, start, start, size).useful(weights):
        return list(start)
    others = np.random.default_rng((seed, 1)).permutation(np.setdiff1d(np.arange(len(pool.scores)), start))
    return [*start, *(int(place) for place in others[: CHEAP - len(start)])]


def _cheap(pool: Pool, trained: Sequence[int], seen: Sequence[int], size: str) -> Cheap:
    dear = np.full((len(trained), pool.values.shape[1]), np.nan)
    for row, place in enumerate(trained):
        if place in seen:
            dear[row] = pool.values[place]
    return Cheap(size, pool.shares[list(trained)], pool.cheap[size][0][list(trained)], dear)


def with_cheap(pool: Pool, seen: Sequence[int], left: Sequence[int], start: int, size: str, seed: int) -> int:
    """Composer's sampler with runs of a smaller model beside; the place in `left` of what it chooses."""
    parts = Parts(pool.values[seen], np.full(pool.values.shape[1], 1 / pool.values.shape[1]))
    cheap = _cheap(pool, beside(pool, seen[:start], size, seed), seen, size)
    told = hints([cheap], parts.weights.tolist(), pool.shares)
    told = told * np.sqrt(pool.shares[seen].var(axis=0).sum())
    some, others = (Features(pool.shares[places], told[places]) for places in (seen, left))
    scores = pool.scores[seen][:, None]
    return int(np.argmax(promise(some, scores, others, seed=seed, parts=parts)))


CHOOSERS: dict[str, Choose] = {
    OURS: by_ours,
    "GP-EI": by_improvement,
    "GP-EI, one length-scale": by_even_process,
    "TPE": by_tree_parzen,
    "LightGBM, small leaves": by_mean(small_leaves),
    "log-linear law": by_mean(law),
    "random": by_random,
}
