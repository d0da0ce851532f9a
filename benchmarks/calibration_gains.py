"""Are gains what they say? Simulated studies whose truth is known, judged by the code that judges real ones.

Run it as `python benchmarks/calibration_gains.py`, or all parts as `python benchmarks/calibration.py`.

An item is answered with a chance that its difficulty, the arm's skill and the luck of arm and seed make up on the logit
scale; a seed's luck is partly the same for both arms, as the base's order of rows is. The truth is computed, not drawn:
the mean over luck by quadrature, and over difficulty too where items are random.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from composer.findings.gains import contrasts, corrected, gains
from composer.findings.items import Group
from composer.findings.measured import Rules
from composer.findings.planned import Benchmark, Measure
from composer.findings.statistics import ESTIMANDS, Items, paired_gain

SEEDS, ITEMS = (2, 3, 5), (100, 1000)
DIFFICULTY = 1.5  # logits, between items
SHARED, OWN = 0.15, 0.15  # logits, between seeds: alike for both arms, and of one arm
GAIN = 0.4  # logits
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One cell of the table: shares are of the studies that have an interval."""

    what: str
    seeds: int
    items: int
    studies: int
    target: str
    share: float
    width: float | None
    untold: float  # share of studies without an interval


def run(studies: int = 1000, seed: int = 0, processes: int = 2) -> list[Row]:
    """Every cell, in order; rates of errors, whose target is their nominal value, are over five times the studies."""
    cells = [(cell, kind) for cell in product(SEEDS, ITEMS) for kind in ("fixed", "random")]
    jobs = [(_coverage, *cell, kind, studies, seed) for cell, kind in cells]
    jobs += [(_equivalence, *cell, "fixed", 5 * studies, seed) for cell in product(SEEDS, ITEMS)]
    jobs += [(_family, *cell, "fixed", 5 * studies, seed) for cell in product(SEEDS, ITEMS)]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(_call, jobs))


def _call(job: tuple[Any, ...]) -> Row:
    return job[0](*job[1:])


def _coverage(seeds: int, items: int, kind: Items, studies: int, seed: int) -> Row:
    random = np.random.default_rng([seed, 1, seeds, items, kind == "random"])
    covered, widths = 0, []
    everywhere = _difference(random.normal(0, DIFFICULTY, 200_000)) if kind == "random" else 0.0
    for difficulty, arm, against in _studies(random, studies, seeds, items):
        truth = _difference(difficulty) if kind == "fixed" else everywhere
        found = paired_gain(arm, against, items=kind)
        if found.low is not None and found.high is not None:
            covered += found.low <= truth <= found.high
            widths.append(found.high - found.low)
    return Row(
        f"interval of a gain, {kind} items", seeds, items, studies, "at least 93 %", covered / max(1, len(widths)),
        float(np.median(widths)), 1 - len(widths) / studies,
    )  # fmt: skip


def _equivalence(seeds: int, items: int, kind: Items, studies: int, seed: int) -> Row:
    """The true gain is the margin itself, where a test of level 5 % errs most."""
    random = np.random.default_rng([seed, 2, seeds, items])
    wrong = told = 0
    for difficulty, arm, against in _studies(random, studies, seeds, items):
        found = paired_gain(arm, against, items=kind, margin=abs(_difference(difficulty)))
        told += found.p_equivalent is not None
        wrong += found.p_equivalent is not None and found.p_equivalent < 0.05
    what = "`equivalent` where the gain is the margin"
    return Row(what, seeds, items, studies, "at most 5 %", wrong / max(1, told), None, 1 - told / studies)


def _family(seeds: int, items: int, kind: Items, studies: int, seed: int) -> Row:
    """Four arms alike, three benchmarks: a family of nine gains over the baseline, none of which is there."""
    random = np.random.default_rng([seed, 3, seeds, items])
    benchmarks = [_benchmark(name) for name in ("first", "second", "third")]
    arms = ["base", "one", "two", "three"]
    keys = {arm: {s: f"{arm}{s}" for s in range(seeds)} for arm in arms}
    rules = Rules(0.95, kind, {"accuracy": None, "smooth": None}, "holm", ESTIMANDS[kind])
    wrong = untold = 0
    for _ in range(studies):
        luck = random.normal(0, SHARED, seeds)
        difficulty = random.normal(0, DIFFICULTY, (len(benchmarks), items))
        values: dict[str, dict[Group, Array]] = {}
        for arm in arms:
            for s, key in keys[arm].items():
                own = random.normal(0, OWN, (len(benchmarks), 1))
                chance = expit(luck[s] + own - difficulty)
                right = (random.random(chance.shape) < chance).astype(float)
                values[key] = {Group(b.name, "f", "m"): right[i] for i, b in enumerate(benchmarks)}
        found, _ = corrected(
            gains(contrasts("base", arms, {}), benchmarks, keys, values, rules), benchmarks, keys, rules
        )
        wrong += any(gain.verdict in ("better", "worse") for gain in found)
        untold += sum(gain.p is None for gain in found)
    what = "`better` or `worse` in a family of 9 without effect, Holm"
    return Row(what, seeds, items, studies, "at most 5 %", wrong / studies, None, untold / studies / 9)


def _studies(random: np.random.Generator, studies: int, seeds: int, items: int) -> Iterator[tuple[Array, Array, Array]]:
    """Difficulties, and the (n_seeds, n_items) answers of both arms."""
    for _ in range(studies):
        difficulty = random.normal(0, DIFFICULTY, items)
        luck = random.normal(0, SHARED, (seeds, 1)) - difficulty
        sides = [
            (random.random((seeds, items)) < expit(skill + luck + random.normal(0, OWN, (seeds, 1)))).astype(float)
            for skill in (GAIN, 0.0)
        ]
        yield difficulty, sides[0], sides[1]


def _difference(difficulty: Array) -> float:
    """The expected gain over luck, on these items."""
    luck = (SHARED**2 + OWN**2) ** 0.5 * NODES
    sides = [expit(skill + luck[:, None] - difficulty).mean(axis=1) @ WEIGHTS for skill in (GAIN, 0.0)]
    return float((sides[0] - sides[1]) / WEIGHTS.sum())


def _benchmark(name: str) -> Benchmark:
    return Benchmark(name, name, None, Measure(name, "m", "f", True), None)


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown; ± is two standard errors of the simulation."""
    lines = ["| | seeds | items | target | share | median width | no interval |", "|---|---:|---:|---|---:|---:|---:|"]
    for row in rows:
        error = 2 * (row.share * (1 - row.share) / row.studies) ** 0.5
        width = "" if row.width is None else f"{100 * row.width:.1f} points"
        lines.append(
            f"| {row.what} | {row.seeds} | {row.items:,} | {row.target} | {100 * row.share:.1f} ± {100 * error:.1f} % "
            f"| {width} | {100 * row.untold:.1f} % |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run()))
