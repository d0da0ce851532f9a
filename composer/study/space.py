"""The mixtures that a search may propose: shares between bounds that sum to 1, and coordinates for them.

Coordinates are isometric log-ratios (J. J. Egozcue et al., "Isometric logratio transformations for compositional data
analysis", 2003) of what lies above the lower bounds, with the reference mixture at the origin; upper bounds are met by
Euclidean projection. A share of zero has no log-ratio: it is reached by arms that a recipe declares, or by a bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from composer.errors import ConfigError

Shares = NDArray[np.float64]
REACH = 6.0  # coordinates go from -REACH to REACH
LEAST = 1e-4  # the least share of what lies above the lower bounds, where a log-ratio is taken
SLACK = 1e-9


@dataclass(frozen=True, eq=False)
class Space:
    """Mixtures of K categories: {low ≤ p ≤ high, Σp = 1}.

    Attributes:
        categories: Their K names.
        reference: (K,) shares, the mixture at the origin.
        low: (K,) lowest shares.
        high: (K,) highest shares.
    """

    categories: tuple[str, ...]
    reference: Shares
    low: Shares
    high: Shares

    @property
    def dimensions(self) -> int:
        """The number of coordinates, K - 1."""
        return len(self.categories) - 1

    def capped(self, caps: Shares) -> Space:
        """This with upper bounds of at most `caps`, (K,).

        Raises:
            ConfigError: No mixture is left.
        """
        return make_space(self.categories, self.reference, self.low, np.minimum(self.high, caps))

    def decode(self, coordinates: Shares) -> Shares:
        """The mixtures at `coordinates` (…, K-1), as shares (…, K); every one is within the bounds."""
        logs = self._origin + np.asarray(coordinates, dtype=float) @ _basis(len(self.categories))
        raised = np.exp(logs - logs.max(axis=-1, keepdims=True))
        shares = self.low + (1 - self.low.sum()) * raised / raised.sum(axis=-1, keepdims=True)
        return self.project(shares)

    def encode(self, shares: Shares) -> Shares:
        """Coordinates (…, K-1) of the mixtures `shares` (…, K).

        A mixture within the bounds whose every share is off its lower bound by LEAST of the room is given back by
        `decode`; one nearer to a lower bound is moved off it by as much.
        """
        logs = np.log(self._above(np.asarray(shares, dtype=float))) - self._origin
        return np.clip(logs @ _basis(len(self.categories)).T, -REACH, REACH)

    def project(self, shares: Shares) -> Shares:
        """The nearest mixtures within the bounds, by Euclidean distance, to `shares` (…, K).

        They are clip(p - m, low, high) with the one m for which they sum to 1. That sum falls in steps that change
        slope where a share meets a bound, so m lies on a line between two of those places and is found exactly.
        """
        given = np.atleast_2d(np.asarray(shares, dtype=float))
        inside = ((given >= self.low - SLACK) & (given <= self.high + SLACK)).all(axis=1)
        near = inside & (np.abs(given.sum(axis=1) - 1) <= SLACK)
        found = given.copy()
        for place in np.flatnonzero(~near):
            found[place] = self._nearest(given[place])
        return found.reshape(np.shape(shares))

    def draw(self, count: int, random: np.random.Generator) -> Shares:
        """(count, K) mixtures: of what lies above the lower bounds half are uniform, half lie about the reference."""
        size = len(self.categories)
        even = random.dirichlet(np.ones(size), count)
        about = random.dirichlet(np.exp(self._origin) * size + 0.1, count)
        above = np.where((np.arange(count) % 2 == 0)[:, None], even, about)
        return self.project(self.low + (1 - self.low.sum()) * above)

    def near(self, shares: Shares, count: int, spread: float, random: np.random.Generator) -> Shares:
        """(count, K) mixtures about one mixture (K,), `spread` being the standard deviation of each coordinate."""
        moved = self.encode(shares) + spread * random.standard_normal((count, self.dimensions))
        return self.decode(np.clip(moved, -REACH, REACH))

    @property
    def _origin(self) -> Shares:
        logs: Shares = np.log(self._above(self.reference))
        return logs

    def _above(self, shares: Shares) -> Shares:
        """What lies above the lower bounds, as shares of the room, each at least about LEAST."""
        room = np.maximum((shares - self.low) / max(1 - self.low.sum(), SLACK), LEAST)
        above: Shares = room / room.sum(axis=-1, keepdims=True)
        return above

    def _nearest(self, shares: Shares) -> Shares:
        turns = np.sort(np.concatenate([shares - self.low, shares - self.high]))
        sums = np.clip(shares - turns[:, None], self.low, self.high).sum(axis=1)  # falling, from Σhigh to Σlow
        place = int(np.clip(np.searchsorted(-sums, -1.0), 1, len(turns) - 1))
        rise = sums[place - 1] - sums[place]
        part = 0.0 if rise <= 0 else float(np.clip((sums[place - 1] - 1) / rise, 0, 1))
        moved = shares - (turns[place - 1] + part * (turns[place] - turns[place - 1]))
        nearest: Shares = np.clip(moved, self.low, self.high)
        return nearest


def make_space(categories: Sequence[str], reference: Shares, low: Shares, high: Shares) -> Space:
    """A space of mixtures; the reference is moved into the bounds where it lies outside of them.

    Raises:
        ConfigError: The bounds leave no mixture, or but one.
    """
    problems = [
        f"study.search: {name} needs a share of at least {least:.4g} and can have at most {most:.4g}; lower its bound, "
        "ask for fewer rows, or let rows repeat (mixture.shortage=repeat)"
        for name, least, most in zip(categories, low, high, strict=True)
        if least > most + SLACK
    ]
    if low.sum() > 1 + SLACK:
        problems.append(f"study.search.bounds: the lowest shares sum to {low.sum():.4g}, above 1; lower some")
    if high.sum() < 1 - SLACK:
        told = ", ".join(f"{name} {most:.4g}" for name, most in zip(categories, high, strict=True))
        problems.append(
            f"study.search: the highest shares sum to {high.sum():.4g}, below 1 ({told}): by bounds, or by what the "
            "pool has; raise a bound, ask for fewer rows, or set mixture.shortage=repeat"
        )
    if not problems and (int((high - low > SLACK).sum()) < 2 or min(1 - low.sum(), high.sum() - 1) <= SLACK):
        problems.append("study.search.bounds leave one mixture only: give at least 2 categories room to vary")
    if problems:
        raise ConfigError(problems)
    space = Space(tuple(categories), reference, low, high)
    return Space(tuple(categories), space.project(reference), low, high)


def bounded_space(reference: Mapping[str, float], bounds: Mapping[str, Sequence[float]]) -> Space:
    """The space about a reference mixture (category → share) with declared bounds (category → lowest, highest)."""
    names = sorted(reference)
    low, high = ([bounds.get(name, (0.0, 1.0))[side] for name in names] for side in (0, 1))
    return make_space(names, np.array([reference[name] for name in names]), np.array(low, float), np.array(high, float))


def _basis(size: int) -> Shares:
    """(size - 1, size): orthonormal contrasts, rows that sum to 0 (Helmert's)."""
    basis = np.zeros((size - 1, size))
    for row in range(1, size):
        basis[row - 1, :row] = 1 / row
        basis[row - 1, row] = -1
        basis[row - 1] *= np.sqrt(row / (row + 1))
    return basis
