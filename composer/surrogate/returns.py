"""Diminishing returns as the mean of a Gaussian process; imported where torch is."""

from __future__ import annotations

from typing import Any

import torch
from gpytorch.means import Mean


class Returns(Mean):
    """constant + returns · (the last feature).

    Attributes:
        constant: (*batch_shape).
        log_returns: (*batch_shape).
    """

    def __init__(self, batch_shape: torch.Size, prior: Any, start: float) -> None:
        """`prior` is of the logarithm of the returns, which start at `start` on that scale."""
        super().__init__()
        self.register_parameter("constant", torch.nn.Parameter(torch.zeros(batch_shape)))
        self.register_parameter("log_returns", torch.nn.Parameter(torch.full(batch_shape, start)))
        self.register_prior("returns_prior", prior, lambda module: module.log_returns)

    @property
    def returns(self) -> torch.Tensor:
        """(*batch_shape) what the last feature adds to the mean."""
        returns: torch.Tensor = self.log_returns.exp()
        return returns

    def keep(self, returns: float) -> None:
        """Takes the returns for known."""
        with torch.no_grad():
            self.log_returns.fill_(returns).log_()
        self.log_returns.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(*batch_shape, n) of x (…, n, d)."""
        mean: torch.Tensor = self.constant.unsqueeze(-1) + self.returns.unsqueeze(-1) * x[..., -1]
        return mean
