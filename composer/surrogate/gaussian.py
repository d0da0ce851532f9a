"""One Gaussian process of scores over mixtures, fitted by BoTorch: its kernel, its priors, its evidence.

`linear`: the score is linear in the shares, and few noisy runs say no more. `smooth`: a Matérn-5/2 kernel on the roots
of the shares with a length-scale for each category; its prior says that a category matters little until runs say so.
Both add up to a mean that grows with the sum of the roots of the shares: with diminishing returns a mixture of all
categories beats one of few, and few runs cannot tell so of every corner by itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from math import log
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from composer.surrogate.features import Array, Features, Frame, Parts
from composer.surrogate.warp import Warp

if TYPE_CHECKING:
    import torch

Kind = Literal["linear", "smooth"]
# Normal priors of the logarithms of hyperparameters, (mean, standard deviation), scores having been standardised.
LENGTH, OUTPUT = (0.0, 1.0), (0.0, 2.0)
# What is not linear is noise to a linear process, however well the scores repeat.
NOISE: dict[Kind, tuple[float, float]] = {"linear": (log(0.3), 2.0), "smooth": (-8.0, 4.0)}
SLOPES = (0.0, 3.0)
# That all categories have diminishing returns alike may be most of what there is, or nothing: runs decide. A fit starts
# well above the prior's mode, as near zero the likelihood does not tell in which direction to go.
RETURNS, START_RETURNS = (log(0.01), 2.0), log(0.3)
LEAST_NOISE = 1e-4
LEAST_SLOPES = 1e-3
GAP_PRIOR = (0.0, 1.0)  # of the logarithm of the ceiling's distance above the best run
GAPS = np.exp(np.linspace(log(0.1), log(10.0), 25))
STEPS, FINE_STEPS = 60, 20  # of L-BFGS; of benchmarks that begin where the score ended


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a model of several benchmarks models, and what the score is of that.

    Attributes:
        mean: (m,) of each benchmark's values.
        sd: (m,) their standard deviation.
        weights: (m,) of the standardised benchmarks in the warped score.
    """

    mean: Array
    sd: Array
    weights: Array

    @staticmethod
    def of(parts: Parts, warp: Warp) -> Outputs:
        """Those of some runs, whose scores `warp` standardises."""
        sd = parts.values.std(axis=0)
        sd = np.where(sd > 0, sd, 1.0)
        return Outputs(parts.values.mean(axis=0), sd, parts.weights * sd / warp.sd)


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A fitted process.

    Attributes:
        kind: Of its kernel.
        warp: From scores to what it models.
        model: BoTorch's model, in double precision.
        frame: What puts features on the scale of those that it was fitted to.
        evidence: The logarithm of the likelihood, and how far the hyperparameters are from their priors' modes. As many
            of them as there are may vary between kinds without one kind being the worse for it.
        outputs: What its model has an output for each of; None where it models the warped score itself.
    """

    kind: Kind
    warp: Warp
    model: Any
    frame: Frame
    evidence: float
    outputs: Outputs | None = None

    def tensor(self, features: Features) -> torch.Tensor:
        """(n, d) features as the model takes them; the same for all models with one frame."""
        import torch

        return torch.as_tensor(self.frame(features), dtype=torch.float64)

    def predict(self, features: Features) -> tuple[Array, Array]:
        """Means and standard deviations, (n,) each, of the warped score without a trial's noise."""
        import torch

        weights = np.ones(1) if self.outputs is None else self.outputs.weights
        with torch.no_grad(), quiet():
            told = self.model.posterior(self.tensor(features))
            return told.mean.numpy() @ weights, np.sqrt(np.maximum(told.variance.numpy() @ weights**2, 1e-12))

    def joint(self, features: Features) -> tuple[Array, Array]:
        """Means (n,) and covariance (n, n) of the warped score without a trial's noise."""
        import torch

        weights = np.ones(1) if self.outputs is None else self.outputs.weights
        with torch.no_grad(), quiet():
            x = self.tensor(features)
            told = self.model(x if self.outputs is None else x.expand(len(weights), *x.shape))
            means = told.mean.numpy().reshape(len(weights), -1)
            covariances = told.covariance_matrix.numpy().reshape(len(weights), len(x), len(x))
        return weights @ means, np.tensordot(weights**2, covariances, axes=1)

    def rewarped(self, features: Features, scores: Array) -> Warp:
        """The warp whose ceiling is the likeliest for these runs, the hyperparameters being what they are."""
        import torch

        with torch.no_grad(), quiet():
            x = self.tensor(features)
            covariance = self.model.covar_module(x).to_dense() + torch.ones(len(x), len(x), dtype=torch.float64)
            covariance += torch.diag(torch.full((len(x),), float(np.mean(_noise(self.model))), dtype=torch.float64))
            inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance)).numpy()
            returns = (self.model.mean_module(x) - self.model.mean_module.constant).numpy()
        best, likeliest = Warp.of(scores, float(GAPS[0])), -np.inf
        for gap in GAPS:
            warp = Warp.of(scores, float(gap))
            y = warp(scores) - returns
            density = -0.5 * y @ inverse @ y + np.log(warp.slope(scores)).sum()
            density -= 0.5 * ((log(gap) - GAP_PRIOR[0]) / GAP_PRIOR[1]) ** 2
            if density > likeliest:
                best, likeliest = warp, density
        return best

    def conditioned(self, features: Features, scores: Array, noise: Array | None, parts: Parts | None) -> Gaussian:
        """The same hyperparameters, told of these runs."""
        targets, known = _targets(scores, noise, self.warp, parts, self.outputs)
        model = _model(self.kind, self.tensor(features), targets, known)
        model.load_state_dict(self.model.state_dict(), strict=False)
        model.eval()
        return replace(self, model=model)


def fit(
    kind: Kind, features: Features, scores: Array, warp: Warp, frame: Frame, noise: Array | None,
    start: Gaussian | None = None,
) -> Gaussian:  # fmt: skip
    """Fits a process by the maximum of likelihood times priors.

    Args:
        kind: Of its kernel.
        features: (n,) of the runs.
        scores: (n,) more is better.
        warp: From scores to what is modelled.
        frame: Of the features.
        noise: (n,) standard errors of the scores, or None; what they leave out is learned beside them.
        start: A process of the same kind, where to start from.
    """
    import torch

    model = _model(
        kind, torch.as_tensor(frame(features), dtype=torch.float64), *_targets(scores, noise, warp, None, None)
    )
    if start is not None:
        model.load_state_dict(start.model.state_dict(), strict=False)
    likelihood = _learn(model)
    evidence = likelihood + _plausible(kind, model) + float(np.log(warp.slope(scores)).sum())
    if np.isfinite(warp.ceiling):
        gap = (warp.ceiling - float(scores.max())) / (float(scores.std()) or 1.0)
        evidence -= 0.5 * ((log(gap) - GAP_PRIOR[0]) / GAP_PRIOR[1]) ** 2
    return Gaussian(kind, warp, model, frame, evidence)


def by_benchmark(fitted: Gaussian, features: Features, parts: Parts) -> Gaussian:
    """A process of the same kind and warp that models each benchmark by itself.

    Each has hyperparameters of its own: what is noise in one is then not taken for a trend of the sum, and a threshold
    in one is not lost in it. Returns add up in a sum where much else cancels out, so each has those of the score.
    Benchmarks are not independent, so their evidence counts as if the square root of their number were.
    """
    import torch

    outputs = Outputs.of(parts, fitted.warp)
    x = torch.as_tensor(fitted.frame(features), dtype=torch.float64)
    model = _model(fitted.kind, x, *_targets(parts.values @ parts.weights, None, fitted.warp, parts, outputs))
    with torch.no_grad():
        known = dict(fitted.model.named_parameters())
        for name, parameter in model.named_parameters():
            parameter.copy_(known[name].expand_as(parameter))
    model.mean_module.keep(float(fitted.model.mean_module.returns.detach()) / float(np.abs(outputs.weights).sum()))
    evidence = (_learn(model, FINE_STEPS) + _plausible(fitted.kind, model)) / len(parts.weights) ** 0.5
    return replace(fitted, model=model, outputs=outputs, evidence=evidence)


def _targets(
    scores: Array, noise: Array | None, warp: Warp, parts: Parts | None, outputs: Outputs | None
) -> tuple[Array, Array | None]:
    """(n, m) what a model is fitted to, and its known standard errors or None."""
    if outputs is None or parts is None:
        return warp(scores)[:, None], None if noise is None else (noise * warp.slope(scores))[:, None]
    return (parts.values - outputs.mean) / outputs.sd, None if parts.noise is None else parts.noise / outputs.sd


def _learn(model: Any, steps: int = STEPS) -> float:
    """Fits a model's hyperparameters; the logarithm of the likelihood, over all of its outputs.

    Where no optimum is found, as where a covariance cannot be inverted on the way, those that it had are kept.
    """
    import torch
    from botorch.exceptions import ModelFittingError
    from botorch.fit import fit_gpytorch_mll
    from botorch.optim.fit import fit_gpytorch_mll_scipy
    from gpytorch.mlls import ExactMarginalLogLikelihood

    mll = ExactMarginalLogLikelihood(model.likelihood, model)
    before = deepcopy(model.state_dict())
    with quiet():
        try:
            fit_gpytorch_mll(
                mll,
                optimizer=fit_gpytorch_mll_scipy,
                optimizer_kwargs={"options": {"maxiter": steps}},
                max_attempts=1,
                warning_handler=lambda warning: True,
            )
        except ModelFittingError:
            model.load_state_dict(before)
        model.train()
        with torch.no_grad():
            told = model.likelihood(model(*model.train_inputs), *model.train_inputs)
            likelihood = float(told.log_prob(model.train_targets).sum())
    model.eval()
    return likelihood


def _model(kind: Kind, x: torch.Tensor, targets: Array, noise: Array | None) -> Any:
    """A model of `targets` (n, m), with standard errors of them (n, m) or None."""
    import torch
    from botorch.models import SingleTaskGP
    from gpytorch.constraints import GreaterThan
    from gpytorch.kernels import LinearKernel, MaternKernel, ScaleKernel
    from gpytorch.likelihoods import FixedNoiseGaussianLikelihood, GaussianLikelihood
    from gpytorch.priors import LogNormalPrior, NormalPrior

    from composer.surrogate.returns import Returns

    def prior(of: tuple[float, float]) -> Any:
        # A normal density of the logarithm, taken as one of the logarithm: what 1/x takes away is given back.
        return LogNormalPrior(of[0] + of[1] ** 2, of[1])

    outputs = targets.shape[1]
    batch = torch.Size([outputs] if outputs > 1 else [])
    above = GreaterThan(LEAST_NOISE, initial_value=1e-2)
    if noise is None:
        likelihood = GaussianLikelihood(noise_prior=prior(NOISE[kind]), noise_constraint=above, batch_shape=batch)
    else:
        known = torch.as_tensor(noise.T**2, dtype=torch.float64).clamp_min(1e-6)
        likelihood = FixedNoiseGaussianLikelihood(
            known if outputs > 1 else known[0], learn_additional_noise=True, noise_prior=prior(NOISE[kind]),
            noise_constraint=above, batch_shape=batch,
        )  # fmt: skip
    size = (x.shape[1] - 1) // 2
    if kind == "linear":
        covariance = LinearKernel(
            active_dims=tuple(range(size)), variance_prior=prior(SLOPES), batch_shape=batch,
            variance_constraint=GreaterThan(LEAST_SLOPES, initial_value=1.0),
        )  # fmt: skip
    else:
        matern = MaternKernel(
            nu=2.5, ard_num_dims=size, active_dims=tuple(range(size, 2 * size)), lengthscale_prior=prior(LENGTH),
            batch_shape=batch,
        )  # fmt: skip
        covariance = ScaleKernel(matern, outputscale_prior=prior(OUTPUT), batch_shape=batch)
        covariance.base_kernel.lengthscale = 3.0
        covariance.outputscale = 1.0
    y = torch.as_tensor(targets, dtype=torch.float64)
    mean = Returns(batch, NormalPrior(*RETURNS), START_RETURNS)
    with quiet():
        model = SingleTaskGP(
            x, y, likelihood=likelihood, covar_module=covariance, mean_module=mean, outcome_transform=None
        )
    return model.double()


def _plausible(kind: Kind, model: Any) -> float:
    """The logarithm of the priors' densities over those at their modes."""
    covariance, likelihood = model.covar_module, model.likelihood
    noise = likelihood.second_noise if hasattr(likelihood, "second_noise") else likelihood.noise
    values = [(noise, NOISE[kind]), (model.mean_module.returns, RETURNS)]
    if kind == "linear":
        values.append((covariance.variance, SLOPES))
    else:
        values += [(covariance.base_kernel.lengthscale, LENGTH), (covariance.outputscale, OUTPUT)]
    return -0.5 * sum(
        float((((value.detach().log() - mean) / deviation) ** 2).sum()) for value, (mean, deviation) in values
    )


def _noise(model: Any) -> Array:
    noise: Array = model.likelihood.noise.detach().numpy()
    return noise


@contextmanager
def quiet() -> Iterator[None]:
    """Without the advice of BoTorch and GPyTorch on data that this package scales itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
