"""The measured runs that `replay.py` replays: RegMix's and ADMIRE's, as tables of shares and scores, more is better."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from composer.findings.published import read_swarms

Array = NDArray[np.float64]
PILE_CC = "pile_cc"
POOL = 60  # of ADMIRE's mixtures at 7B, the first in the file's order
IN_DISTRIBUTION = 10  # of ADMIRE's benchmarks, in the file's order; the others are out of distribution


@dataclass(frozen=True)
class Runs:
    """Runs of one scale: shares (n, K), rows summing to 1; scores (n, m), which are negative losses; names of the m."""

    shares: Array
    scores: Array
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Pool:
    """A finite pool that is searched for its best mixture.

    Attributes:
        name: For people.
        shares: (n, K).
        values: (n, m) on the benchmarks whose mean is searched by, more is better.
        costs: (n,) of one run each, in `unit`.
        unit: Of the costs.
        near: A run is good enough when its score is within this of the best.
        seeds: How many searches are made.
        most: A search ends after so many runs.
        cheap: Smaller model → its values (n, m) on the same mixtures and benchmarks, and its costs (n,).
    """

    name: str
    shares: Array
    values: Array
    costs: Array
    unit: str
    near: float
    seeds: int
    most: int
    cheap: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)

    @property
    def scores(self) -> Array:
        """(n,) what is searched by."""
        mean: Array = self.values.mean(axis=1)
        return mean


def _pair(folder: Path, mixtures: str, losses: str) -> Runs:
    """Two files whose rows have the same index in the first column."""
    (_, index, weights), (names, other, values) = _read(folder / mixtures), _read(folder / losses)
    if not np.array_equal(index, other):
        raise SystemExit(f"{folder / mixtures} and {losses} do not list the same runs")
    return Runs(weights / weights.sum(axis=1, keepdims=True), -values, tuple(names))


def place_of(runs: Runs, target: str) -> int:
    """The column of the target whose name holds `target`."""
    return next(place for place, name in enumerate(runs.targets) if target in name.lower().replace("-", "_"))


def _read(path: Path) -> tuple[list[str], Array, Array]:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    numbers = np.array(rows, dtype=float)
    return header[1:], numbers[:, 0], numbers[:, 1:]


def regmix(data: Path) -> dict[str, Runs]:
    """RegMix's published split: `train` at 1M, `1M`, `60M` and `1B` to test on; and `all`, its 1,000 runs at 1M."""
    folder = data / "swarms" / "regmix"
    test = {scale: (f"test_mixture_{file}.csv", f"test_pile_loss_{file}.csv")
            for scale, file in (("1M", "1m"), ("60M", "60m"), ("1B", "1B"))}  # fmt: skip
    older = "history_7d422e9"
    return {
        "train": _pair(folder, "train_mixture_1m.csv", "train_pile_loss_1m.csv"),
        **{scale: _pair(folder, *files) for scale, files in test.items()},
        "all": _pair(folder, f"{older}/tiny_config_1M_pile.csv", f"{older}/tiny_wandb_1M_1000_pile_4B.csv"),
    }


def pools(data: Path) -> list[Pool]:
    """The pools that are searched."""
    runs = regmix(data)["all"]
    one = np.ones(len(runs.shares))
    cc = runs.scores[:, [place_of(runs, PILE_CC)]]
    found = [
        Pool("RegMix, Pile-CC", runs.shares, cc, one, "runs", 0.0, 20, 120),
        Pool("RegMix, mean loss", runs.shares, runs.scores, one, "runs", 0.0, 20, 120),
    ]
    path = data / "swarms" / "admire_ift_runs" / "admire_ift_runs.csv"
    of = {size: _admire(path, f"Qwen2.5-{size}") for size in ("0.5B", "3B", "7B")}
    shares, points, hours = (part[:POOL] for part in of["7B"])
    places = {size: _places(shares, of[size][0]) for size in ("0.5B", "3B")}
    # 0.5B ranks the mixtures as 7B does in distribution only: what is made of that shows on all three.
    for name, some, sizes in (("all tasks", slice(None), places), ("in distribution", slice(IN_DISTRIBUTION), ["0.5B"]),
                              ("out of distribution", slice(IN_DISTRIBUTION, None), ["0.5B"])):  # fmt: skip
        cheap = {size: (of[size][1][places[size]][:, some], of[size][2][places[size]]) for size in sizes}
        found.append(Pool(f"ADMIRE 7B, {name}", shares, points[:, some], hours, "hours", 0.1, 50, POOL, cheap))
    return found


def _admire(path: Path, model: str) -> tuple[Array, Array, Array]:
    """Shares (n, K), points on each task (n, m) and hours (n,) of one model's runs, in the file's order."""
    swarm = read_swarms(path, "ratio_", "metric_", "model")[model]
    with path.open(newline="", encoding="utf-8") as file:
        minutes = [float(row["train_time"]) for row in csv.DictReader(file) if row["model"] == model]
    # The means of the published file are wrong in places, so they are taken anew.
    tasks = [place for place, name in enumerate(swarm.benchmarks) if not name.startswith("avg")]
    return swarm.shares, 100 * swarm.scores[:, tasks], np.array(minutes) / 60


def _places(asked: Array, shares: Array) -> list[int]:
    """Where each of some mixtures (n, K) stands among others."""
    off = np.abs(asked[:, None] - shares[None]).max(axis=2)
    assert (off.min(axis=1) < 1e-6).all(), "a mixture was not trained at every size"
    return [int(place) for place in off.argmin(axis=1)]
