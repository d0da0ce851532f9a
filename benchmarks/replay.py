"""Replays ways to predict and to choose mixtures on published runs, side by side.

    python benchmarks/replay.py [--data FOLDER] [--cache FOLDER] [--processes N] [--curves FILE]

reads `swarms/` below FOLDER, or below `COMPOSER_DATA`, and prints Markdown. What was computed is kept in the cache, by
task, so that a stopped replay goes on; remove the folder after a change of methods.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from replay_methods import (
    CHOOSERS,
    OURS,
    PEEKS,
    beside,
    boosted,
    law,
    linear,
    ours,
    process,
    small_leaves,
    with_cheap,
)
from replay_tables import PILE_CC, Array, Pool, place_of, pools, regmix
from rich.console import Console
from rich.progress import Progress
from scipy.stats import rankdata

START = 5  # random runs that every search begins with, the same for all methods of a seed
SUBSETS = 20
FEW = (32, 64)
RESAMPLES = 1000
AT = (10, 15, 20)
GP_EI = "GP-EI"
WITH_CHEAP = {f"{OURS}, {size} beside": size for size in ("0.5B", "3B")}
SCALES = ("1M", "60M", "1B")


def predictors(shares: Array, scores: Array, test: tuple[Array, Array] | None) -> dict[str, dict[str, Any]]:
    """Method → scale → scorer, fitted to runs at 1M."""
    here, there = ours(shares, scores)
    mean = process(shares, scores)[0]
    found = {
        OURS: {"1M": here, "60M": there, "1B": there},
        "Gaussian process": dict.fromkeys(SCALES, mean),
        "log-linear law": dict.fromkeys(SCALES, law(shares, scores)),
        "LightGBM": dict.fromkeys(SCALES, boosted(shares, scores)),
        "LightGBM, small leaves": dict.fromkeys(SCALES, small_leaves(shares, scores)),
        "linear": dict.fromkeys(SCALES, linear(shares, scores)),
    }
    if test is not None:
        found[PEEKS] = dict.fromkeys(SCALES, boosted(shares, scores, test))
    return found


def predict(data: Path, runs: int, number: int) -> dict[str, Any]:
    """Predictions of the test runs: method → scale → (test runs) for one target, or from one random subset.

    Args:
        data: The folder that has `swarms`.
        runs: How many are learned from: 512 for the published split, else a random subset of the 1,000.
        number: Of the target where all 512 are used, else of the subset, whose target is Pile-CC.
    """
    tables = regmix(data)
    if runs == len(tables["train"].shares):
        target, learned, kept = number, tables["train"], np.arange(runs)
        test = (tables["1M"].shares, tables["1M"].scores[:, target])
    else:
        target, learned, test = place_of(tables["all"], PILE_CC), tables["all"], None
        kept = np.random.default_rng(number).choice(len(learned.shares), runs, replace=False)
    scorers = predictors(learned.shares[kept], learned.scores[kept, target], test)
    return {
        method: {scale: scorer(tables[scale].shares).tolist() for scale, scorer in of.items()}
        for method, of in scorers.items()
    }


def methods_of(pool: Pool) -> list[str]:
    """What searches a pool."""
    return [*CHOOSERS, *(name for name, size in WITH_CHEAP.items() if size in pool.cheap)]


def search(data: Path, table: int, method: str, seed: int) -> list[int]:
    """The order in which a method tries the mixtures of a pool, until it has the best and 20 runs at least."""
    pool = pools(data)[table]
    seen = list(np.random.default_rng(seed).permutation(len(pool.scores))[:START])
    goal = pool.scores.max() - pool.near - 1e-12
    while len(seen) < pool.most and (len(seen) < AT[-1] or pool.scores[seen].max() < goal):
        left = np.setdiff1d(np.arange(len(pool.scores)), seen)
        if method in WITH_CHEAP:
            place = with_cheap(pool, seen, left, START, WITH_CHEAP[method], seed)
        else:
            place = CHOOSERS[method](pool.shares[seen], pool.values[seen], pool.shares[left], seed)
        seen.append(left[place])
    return [int(place) for place in seen]


def _job(task: tuple[str, Path, Path, tuple[Any, ...]]) -> tuple[tuple[Any, ...], Any, float]:
    kind, data, cache, asked = task
    kept = cache / f"{kind}-{'-'.join(map(str, asked)).replace(' ', '_').replace(',', '')}.json"
    if kept.exists():
        told = json.loads(kept.read_text())
        return (kind, *asked), told["found"], told["seconds"]
    began = time.monotonic()
    found = predict(data, *asked) if kind == "predict" else search(data, *asked)
    seconds = time.monotonic() - began
    part = kept.with_suffix(".part")
    part.write_text(json.dumps({"found": found, "seconds": seconds}))
    part.rename(kept)
    return (kind, *asked), found, seconds


def main() -> None:
    """Replays everything and prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("COMPOSER_DATA", ".")))
    parser.add_argument("--cache", type=Path, default=Path("runs") / "replay")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--curves", type=Path, help="where to draw the regret curves, an SVG file")
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    tables, searched = regmix(given.data), pools(given.data)
    targets = len(tables["train"].targets)
    asked: list[tuple[str, tuple[Any, ...]]] = [("predict", (512, target)) for target in range(targets)]
    asked += [
        ("search", (place, method, seed))
        for place, pool in enumerate(searched) for method in methods_of(pool) for seed in range(pool.seeds)
    ]  # fmt: skip
    asked += [("predict", (runs, subset)) for runs in FEW for subset in range(SUBSETS)]
    found, began, spent = {}, time.monotonic(), 0.0
    with (
        multiprocessing.get_context("spawn").Pool(given.processes) as workers,
        Progress(console=Console(stderr=True), disable=not Console(stderr=True).is_terminal) as bar,
    ):
        shown = bar.add_task("replay", total=len(asked))
        tasks = [(kind, given.data, given.cache, of) for kind, of in asked]
        for key, value, seconds in workers.imap_unordered(_job, tasks):
            found[key] = value
            spent += seconds
            bar.advance(shown)
    print("\n".join(_prediction(tables, found)))
    for place, pool in enumerate(searched):
        print("\n".join(_search(pool, {name: _orders(found, place, name, pool) for name in methods_of(pool)})))
    if given.curves:
        _draw(given.curves, searched, found)
    minutes = (time.monotonic() - began) / 60
    print(f"\n{spent / 60:.0f} minutes of work, {minutes:.0f} on the clock with {given.processes} processes.")


def _orders(found: Mapping[Any, Any], place: int, method: str, pool: Pool) -> list[list[int]]:
    return [found["search", place, method, seed] for seed in range(pool.seeds)]


def _spearman(one: Array, other: Array) -> Array:
    """Spearman × 100 along the last axis; 0 where a side does not vary, and so has no order."""
    a, b = rankdata(one, axis=-1), rankdata(other, axis=-1)
    a, b = a - a.mean(axis=-1, keepdims=True), b - b.mean(axis=-1, keepdims=True)
    size = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    found: Array = 100 * (a * b).sum(axis=-1) / np.where(size > 0, size, np.inf)
    return found


def _prediction(tables: Mapping[str, Any], found: Mapping[Any, Any]) -> list[str]:
    """Two tables: Spearman by column and method, and what bootstraps of the test runs say of the differences."""
    targets = tables["train"].targets
    cc, size = place_of(tables["train"], PILE_CC), len(targets)
    methods = list(found["predict", 512, 0])
    full = {m: {s: np.array([found["predict", 512, t][m][s] for t in range(size)]) for s in SCALES} for m in methods}
    few = {
        m: {runs: np.array([found["predict", runs, n][m]["1B"] for n in range(SUBSETS)]) for runs in FEW}
        for m in methods if m != PEEKS
    }  # fmt: skip
    truth = {scale: tables[scale].scores.T for scale in SCALES}

    def columns(method: str, rows: Mapping[str, Any]) -> list[float]:
        told = []
        for scale in SCALES:
            each = _spearman(full[method][scale][:, rows[scale]], truth[scale][:, rows[scale]])
            told += [float(each[cc]), float(each.mean())]
        if method in few:
            at = rows["1B"]
            told += [float(_spearman(few[method][n][:, at], truth["1B"][cc, at][None]).mean()) for n in FEW]
        return told

    every = {scale: np.arange(truth[scale].shape[1]) for scale in SCALES}
    measured = {method: columns(method, every) for method in methods}
    random = np.random.default_rng(0)
    drawn: dict[str, list[list[float]]] = {method: [] for method in methods}
    for _ in range(RESAMPLES):
        rows = {scale: random.integers(0, len(of), len(of)) for scale, of in every.items()}
        for method in methods:
            drawn[method].append(columns(method, rows))
    spread = {n: _spearman(few[OURS][n], truth["1B"][cc][None]).std(ddof=1) for n in FEW}
    names = [f"{scale} {kind}" for scale in SCALES for kind in ("Pile-CC", "mean")]
    names += [f"{runs} runs, 1B Pile-CC" for runs in FEW]
    lines = [
        "## Prediction: RegMix's split, Spearman × 100", "",
        "512 runs at 1M, tested at 1M, 60M and 1B, on Pile-CC and as the mean over 13 losses; then from "
        f"{SUBSETS} random subsets of the 1,000 runs at 1M.", "",
        "| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|",
    ]  # fmt: skip
    for method in methods:
        cells = [f"{value:.2f}" for value in measured[method]] + ["–"] * (len(names) - len(measured[method]))
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    told = ", ".join(f"{runs} runs {spread[runs]:.1f}" for runs in FEW)
    lines += ["", f"Standard deviation of composer's over the subsets: {told}.", ""]
    lines += [
        f"Composer's minus the other's, with 95 % intervals ({RESAMPLES} paired bootstraps of the test runs):",
        "",
    ]
    lines += ["| | " + " | ".join(names) + " | mean of all columns |", "|---" * (len(names) + 2) + "|"]
    mine = np.array(drawn[OURS])
    for method in methods:
        if method == OURS:
            continue
        theirs = np.array(drawn[method])
        width = theirs.shape[1]
        off = np.column_stack([mine[:, :width] - theirs, (mine[:, :width] - theirs).mean(axis=1)])
        real = np.array(measured[OURS][:width]) - np.array(measured[method])
        cells = [
            f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"
            for value, low, high in zip([*real, real.mean()], *np.quantile(off, [0.025, 0.975], axis=0), strict=True)
        ]
        cells = [*cells[:-1], *["–"] * (len(names) - width), cells[-1]]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _search(pool: Pool, orders: Mapping[str, Sequence[Sequence[int]]]) -> list[str]:
    """One table: runs and cost until the best, and regret on the way, beside GP-EI's over the same seeds."""
    numbers = {name: _numbers(pool, of, WITH_CHEAP.get(name)) for name, of in orders.items()}
    goal = f"within {pool.near} of the best" if pool.near else "the optimum"
    head = [f"runs to {goal}: median", "mean", "most", f"{pool.unit} to it: mean", *(f"regret after {n}" for n in AT)]
    lines = [f"## Search: {pool.name}, {len(pool.scores)} mixtures, {pool.seeds} seeds", ""]
    lines += ["| | " + " | ".join(head) + " | runs, over GP-EI | regret, over GP-EI |", "|---" * (len(head) + 3) + "|"]
    base = numbers[GP_EI]
    random = np.random.default_rng(0)
    for name, (hits, costs, regrets) in numbers.items():
        hit = "∞" if np.isinf(hits).any() else f"{hits.max():.0f}"
        mean = f"≥ {np.minimum(hits, pool.most).mean():.1f}" if np.isinf(hits).any() else f"{hits.mean():.1f}"
        cells = [f"{np.median(hits):.1f}", mean, hit, f"{costs.mean():.0f}"]
        cells += [f"{value:.4f}" for value in regrets.mean(axis=0)]
        picks = random.integers(0, pool.seeds, (RESAMPLES, pool.seeds))
        runs = _ratio(np.minimum(hits, pool.most), np.minimum(base[0], pool.most), picks)
        regret = "; ".join(_ratio(regrets[:, at], base[2][:, at], picks) for at in range(len(AT)))
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {'–' if name == GP_EI else runs} | "
                     f"{'–' if name == GP_EI else regret} |")  # fmt: skip
    return [*lines, ""]


def _numbers(pool: Pool, orders: Sequence[Sequence[int]], cheap: str | None = None) -> tuple[Array, Array, Array]:
    """Runs until the goal (infinite where it was not met), the cost of these and of a smaller model's, regrets."""
    hits, costs, regrets = [], [], []
    for seed, order in enumerate(orders):
        below = pool.scores.max() - np.maximum.accumulate(pool.scores[list(order)])
        met = np.flatnonzero(below <= pool.near + 1e-12)
        runs = int(met[0]) + 1 if len(met) else len(order)
        hits.append(runs if len(met) else np.inf)
        others = 0.0 if cheap is None else pool.cheap[cheap][1][beside(pool, list(order[:START]), cheap, seed)].sum()
        costs.append(pool.costs[list(order[:runs])].sum() + others)
        regrets.append([below[at - 1] for at in AT])
    return np.array(hits), np.array(costs), np.array(regrets)


def _ratio(ours_: Array, theirs: Array, picks: NDArrayInt) -> str:
    """By how much one mean is above another, in percent, with a paired bootstrap's interval."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 100 * (ours_.mean() / theirs.mean() - 1)
        low, high = np.nanquantile(100 * (ours_[picks].mean(axis=1) / theirs[picks].mean(axis=1) - 1), [0.025, 0.975])
    return f"{ratio:+.0f} % [{low:+.0f}, {high:+.0f}]"


def _draw(path: Path, searched: Sequence[Pool], found: Mapping[Any, Any]) -> None:
    """Mean regret by runs, a panel a pool."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(searched), figsize=(4 * len(searched), 3.2), layout="constrained")
    for place, (pool, axis) in enumerate(zip(searched, axes, strict=True)):
        for name in methods_of(pool):
            curves = []
            for order in _orders(found, place, name, pool):
                below = pool.scores.max() - np.maximum.accumulate(pool.scores[list(order)])
                curves.append(np.r_[below, np.full(pool.most, below[-1])][:50])
            width = 2.2 if name == OURS else 1.1
            axis.plot(np.arange(1, 51), np.mean(curves, axis=0), label=name, linewidth=width)
        axis.set_title(pool.name, fontsize=10)
        axis.set_xlabel("runs")
        axis.set_xlim(START, 50)
    axes[0].set_ylabel("regret")
    axes[-1].legend(fontsize=7, frameon=False)
    figure.savefig(path)


NDArrayInt = Any

if __name__ == "__main__":
    main()
