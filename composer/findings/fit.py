"""What finished trials say of other mixtures: how far predictions hold, the best mixture, what each category moves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from composer.findings.asked import Asked
from composer.findings.fit_search import best_mixture, changes, raised
from composer.findings.trained import Array, Mixture, Trained
from composer.study.objectives import swamped
from composer.surrogate import Features, Surrogate, cross_validate

VERSION = 1
OBJECTIVE = "objective"
FOLDS, MANY, FOLDS_OF_MANY = 10, 30, 5  # of many mixtures fewer folds, as each is fitted to enough of them anyway
HOLDS = 0.95  # of the spread: predictions of left-out mixtures that err by as much, or more, say next to nothing
BEYOND = 0.01  # a share that goes so far beyond what was measured is told
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Told:
    """A number with its interval, in the unit of the scores; a trial's noise is not in it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Held:
    """How well mixtures that were left out are predicted.

    Attributes:
        rank: Spearman's correlation of predicted and measured scores; None where either does not vary.
        error: Root mean square error.
        spread: Standard deviation of the measured scores: what predicting their mean would err by.
        noise: Standard deviation from seed to seed; None where it is not known.
    """

    rank: float | None
    error: float
    spread: float
    noise: float | None


@dataclass(frozen=True)
class Predicted:
    """A mixture with what is predicted of it.

    Attributes:
        name: The arm or run that it was measured in, or None.
        shares: Category → share.
        settings: Those beside the mixture that vary between trials.
        measured: Benchmark → mean score over seeds, the objective too; None where it was not trained.
        predicted: Benchmark → predicted score, the objective too.
        beyond: The categories whose share lies outside of what was measured.
    """

    name: str | None
    shares: Mapping[str, float]
    settings: Mapping[str, Any]
    measured: Mapping[str, float] | None
    predicted: Mapping[str, Told]
    beyond: Sequence[str]


@dataclass(frozen=True)
class Effect:
    """What raising one category's share moves, the others giving way in proportion.

    Attributes:
        category: The category.
        from_share: Its share in the middle of the measured mixtures.
        to_share: What it is raised to.
        beyond: Whether that is more than was measured.
        change: Benchmark → predicted change of its score, the objective too; each interval stands for itself alone.
    """

    category: str
    from_share: float
    to_share: float
    beyond: bool
    change: Mapping[str, Told]


@dataclass(frozen=True)
class Fit:
    """What `composer fit` finds; `to_json` is what RUN/fit.json holds.

    Attributes:
        version: Of this schema.
        source: The run's folder or the CSV file.
        kind: `run` or `csv`.
        where: COLUMN=VALUE of the rows of a CSV, or None.
        level: Of all intervals.
        trials: How many are `finished`, `failed`, `missing`; only finished ones count.
        mixtures: Distinct ones, with their settings.
        benchmarks: Name → `weight` in the objective, `higher_is_better`.
        bounds: Category → [lowest, highest] share of a recommendation.
        bounded: Where bounds that were not asked for come from: `search`, or what was `measured`.
        held: Benchmark → how well left-out mixtures are predicted; `objective` is the weighted sum, more is better.
        folds: Of that cross-validation.
        best: The mixture with the best measured objective, of those within the bounds.
        recommended: The mixture within the bounds with the highest predicted objective.
        advantage: Of the recommended one over the best measured one, in the predicted objective; from the joint
            posterior of both, so that what both share cancels.
        within_noise: Whether that interval holds 0 or less, or left-out mixtures are predicted too badly (`HOLDS`) for
            it to be believed.
        effects: A category each, around the mean of the measured mixtures.
        asked: The mixtures that were asked for, with the recommended one's settings.
        swamped: A sentence for each benchmark whose noise is as large as what tells the mixtures apart.
        notes: What a reader must know, a sentence each.
    """

    version: int
    source: str
    kind: str
    where: str | None
    level: float
    trials: Mapping[str, int]
    mixtures: int
    benchmarks: Mapping[str, Mapping[str, Any]]
    bounds: Mapping[str, Sequence[float]]
    bounded: str
    held: Mapping[str, Held]
    folds: int
    best: Predicted
    recommended: Predicted
    advantage: Told
    within_noise: bool
    effects: Sequence[Effect]
    asked: Sequence[Predicted]
    swamped: Sequence[str]
    notes: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """As plain values: a field of the same name for each attribute."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _Model:
    """The surrogates of all benchmarks and of the objective, by name.

    Attributes:
        trained: What they were fitted to.
        surrogates: Name → surrogate of its signed score.
        signs: Name → -1 where less is better.
    """

    trained: Trained
    surrogates: Mapping[str, Surrogate]
    signs: Mapping[str, float]

    @property
    def objective(self) -> Surrogate:
        return self.surrogates[OBJECTIVE]

    def predict(self, shares: Array, settings: Mapping[str, Any], mixture: Mixture | None = None) -> Predicted:
        """One mixture (K,)."""
        trained, features = self.trained, self.trained.features(shares[None], [settings])
        predicted = {}
        for name, surrogate in self.surrogates.items():
            told = surrogate.predict(features, trained.level)
            predicted[name] = _told((told.mean[0], told.low[0], told.high[0]), self.signs[name])
        least, most = trained.shares.min(axis=0) - BEYOND, trained.shares.max(axis=0) + BEYOND
        beyond = [
            c for c, outside in zip(trained.categories, (shares < least) | (shares > most), strict=True) if outside
        ]
        measured = None
        if mixture is not None:
            means = mixture.scores.mean(axis=0)
            measured = dict(zip(trained.benchmarks, means.tolist(), strict=True))
            measured[OBJECTIVE] = float(means @ (trained.signs * trained.weights))
        named = None if mixture is None else mixture.name
        return Predicted(named, _named(trained, shares), dict(settings), measured, predicted, beyond)


def fit(trained: Trained, asked: Asked, progress: Progress = lambda told, done, total: None) -> Fit:
    """Fits a surrogate to each benchmark and to the objective, and asks them.

    Args:
        trained: Finished trials.
        asked: What is wanted.
        progress: Is told what is done next, how many of how many steps are done.

    Raises:
        ConfigError: The bounds leave no choice.
    """
    count = len(trained.mixtures)
    folds = min(count, asked.folds or (FOLDS if count <= MANY else FOLDS_OF_MANY))
    for option in trained.options:
        trained.space(option)  # bounds that leave no choice are told before the work
    model, held = _fitted(trained, folds, progress)
    steps = 2 * len(held) + 2
    progress("searching for the best mixture", steps - 2, steps)
    shares, settings = best_mixture(trained, model.objective)
    recommended = model.predict(shares, settings)
    inside = [one for one in trained.mixtures if _within(trained, one)]
    best = max(inside or trained.mixtures, key=lambda one: float(one.scores.mean(axis=0) @ _weights(trained)))
    pair = trained.features(np.array([best.shares, shares]), [best.settings, settings])
    advantage = _told(changes(model.objective, pair, trained.level)[0])
    progress("moving the categories", steps - 1, steps)
    effects = _effects(model, settings, asked.step)
    return Fit(
        version=VERSION,
        source=str(trained.source),
        kind=trained.kind,
        where=None if asked.where is None else "=".join(asked.where),
        level=trained.level,
        trials=trained.trials,
        mixtures=count,
        benchmarks={
            name: {"weight": float(weight), "higher_is_better": bool(sign > 0)}
            for name, weight, sign in zip(trained.benchmarks, trained.weights, trained.signs, strict=True)
        },
        bounds={
            name: [float(low), float(high)]
            for name, low, high in zip(
                trained.categories, trained.domain.space.low, trained.domain.space.high, strict=True
            )
        },
        bounded=trained.bounded,
        held=held,
        folds=folds,
        best=model.predict(best.shares, best.settings, best),
        recommended=recommended,
        advantage=advantage,
        within_noise=advantage.low <= 0 or not _holds(held[OBJECTIVE]),
        effects=effects,
        asked=[
            model.predict(np.array([one.get(name, 0.0) for name in trained.categories]), settings)
            for one in asked.mixtures
        ],
        swamped=swamped((*trained.benchmarks, OBJECTIVE), trained.by_trial),
        notes=[*trained.notes, *_notes(trained, held, recommended, bool(inside))],
    )


def _fitted(trained: Trained, folds: int, progress: Progress) -> tuple[_Model, dict[str, Held]]:
    """Each benchmark's surrogate, and how well it predicts what it was not shown."""
    signed, noise, sd = trained.scores * trained.signs, trained.noise, trained.seed_noise
    names, columns = [*trained.benchmarks, OBJECTIVE], np.column_stack([signed, signed @ trained.weights])
    features = _all(trained)
    surrogates: dict[str, Surrogate] = {}
    held: dict[str, Held] = {}
    for place, name in enumerate(names):
        scores, fuzz = columns[:, place], None if noise is None else noise[:, place]
        same = [one for one in range(place) if np.allclose(columns[:, one], scores, rtol=1e-12, atol=0)]
        if same and name == OBJECTIVE:  # it is one benchmark: nothing new is fitted
            surrogates[name], held[name] = surrogates[names[same[0]]], held[names[same[0]]]
            continue
        progress(f"validating {name}", 2 * place, 2 * len(names) + 2)
        held[name] = _validated(features, scores, fuzz, folds, None if sd is None else sd[place])
        progress(f"fitting {name}", 2 * place + 1, 2 * len(names) + 2)
        surrogates[name] = Surrogate.fit(features, scores, fuzz)
    signs = {**dict(zip(trained.benchmarks, trained.signs.tolist(), strict=True)), OBJECTIVE: 1.0}
    return _Model(trained, surrogates, signs), held


def _validated(features: Features, scores: Array, noise: Array | None, folds: int, sd: float | None) -> Held:
    if np.ptp(scores) == 0:  # there is nothing to predict
        return Held(None, 0.0, 0.0, sd)
    found = cross_validate(features, scores, noise, folds=folds)
    return Held(None if math.isnan(found.rank) else found.rank, found.error, found.spread, sd)


def _effects(model: _Model, settings: Mapping[str, Any], step: float) -> list[Effect]:
    trained = model.trained
    middle = trained.shares.mean(axis=0)
    moved = np.array([raised(middle, place, step) for place in range(len(middle))])
    points = trained.features(np.vstack([middle, moved]), [settings] * (len(middle) + 1))
    most = trained.shares.max(axis=0) + BEYOND
    told = {name: changes(of, points, trained.level) for name, of in model.surrogates.items()}
    return [
        Effect(
            category=category,
            from_share=float(middle[place]),
            to_share=float(moved[place, place]),
            beyond=bool(moved[place, place] > most[place]),
            change={name: _told(of[place], model.signs[name]) for name, of in told.items()},
        )
        for place, category in enumerate(trained.categories)
    ]


def _notes(trained: Trained, held: Mapping[str, Held], recommended: Predicted, inside: bool) -> list[str]:
    found = []
    useless = [name for name, of in held.items() if of.spread > 0 and not _holds(of)]
    if useless:
        found.append(
            f"left-out mixtures are predicted hardly better than by their mean: {', '.join(useless)}; what is said of "
            "that is a guess"
        )
    flat = [name for name, of in held.items() if of.spread == 0]
    if flat:
        found.append(f"all mixtures score the same: {', '.join(flat)}")
    if recommended.beyond:
        found.append(
            f"the recommended shares of {', '.join(recommended.beyond)} lie outside of what was measured: --bounds "
            "keeps them in"
        )
    if not inside:
        found.append("no measured mixture lies within the bounds: the best of all is shown beside the recommended one")
    if trained.options[0]:
        found.append(
            "settings that vary between trials are seen beside the mixture; a recommendation has those of "
            f"{'a trial' if len(trained.options) > 1 else 'the recipe, or of its best trial'}"
        )
    return found


def _holds(held: Held) -> bool:
    return held.error < HOLDS * held.spread


def _all(trained: Trained) -> Features:
    return trained.features(trained.shares, [one.settings for one in trained.mixtures])


def _weights(trained: Trained) -> Array:
    found: Array = trained.signs * trained.weights
    return found


def _within(trained: Trained, mixture: Mixture) -> bool:
    """Whether a mixture lies within the bounds, to half a percent: whole rows are not exact shares."""
    space = trained.domain.space
    return bool(((mixture.shares >= space.low - 0.005) & (mixture.shares <= space.high + 0.005)).all())


def _named(trained: Trained, shares: Array) -> dict[str, float]:
    return dict(zip(trained.categories, map(float, shares), strict=True))


def _told(ends: Sequence[float], sign: float = 1.0) -> Told:
    """A number and its interval, turned round where less is better."""
    value, low, high = (float(sign * end) for end in ends)
    return Told(value, min(low, high), max(low, high))
