"""Does the dose matter at all? A multiple-contrast test over shapes, with the degrees of freedom of the replicates."""

from __future__ import annotations

import numpy as np

from composer.findings.dose_models import Array, hill, slopes
from composer.findings.dose_runs import Ladder, Sums

DRAWS = 4_000
POWERS = (1.0, 4.0, 16.0)
TREND = "multiple-contrast t test"


def trend_test(ladder: Ladder, of: Sums, fraction: float) -> tuple[float, float]:
    """The two-sided p-value that the dose matters, and the sign of the effect (+1 or −1).

    The largest t statistic over contrasts of several shapes (a line, Emax curves, near steps) is held against its own
    distribution without an effect, as in the first part of MCP-Mod (Bretz, Pinheiro and Branson 2005), for each
    estimate of the noise with its degrees of freedom; the larger p-value counts. Of that distribution only the
    direction of the noise is drawn, always alike; over its size the p-value is averaged exactly.

    Args:
        ladder: At least two doses, some noise.
        of: Its sums.
        fraction: That of the threshold; its shapes serve as contrasts.
    """
    from scipy.special import chdtr

    x = _shapes(ladder.doses, fraction)
    slope, norms, _ = slopes(x, of)
    effects = slope * np.sqrt(norms)
    largest = int(np.argmax(np.abs(effects)))
    values, vectors = np.linalg.eigh(of.c)
    root = vectors * np.sqrt(np.maximum(values, 0))
    drawn = np.random.default_rng(0).standard_normal((DRAWS, len(values)))
    maxima = np.abs(drawn @ (x @ root / np.sqrt(norms)[:, None]).T).max(axis=1)
    # |effect| / sd ≥ t is sd² ≤ (effect / t)², a chi-squared event for each drawn maximum t.
    found = max(abs(float(effects[largest])), 1e-12 * ladder.variance**0.5)
    p = max(float(chdtr(part.df, part.df * part.variance * (maxima / found) ** 2).mean()) for part in ladder.noise)
    return min(1.0, p), float(np.sign(effects[largest]))


def _shapes(doses: Array, fraction: float) -> Array:
    """(n_shapes, n_doses) a line, and Hill curves that reach the fraction at, and between, the doses."""
    low, full = float(doses[0]), float(doses[-1])
    middles = np.append(doses[1:2] / 2 if low == 0 else [], np.sqrt(doses[1:] * doses[:-1])[int(low == 0) :])
    threshold = np.repeat(np.concatenate([doses[1:-1], middles]), len(POWERS))
    x = hill(doses, threshold, np.tile(POWERS, len(threshold) // len(POWERS)), fraction, low, full)
    return np.vstack([(doses - low)[None, :] / (full - low), x[np.isfinite(x).all(axis=1)]])
