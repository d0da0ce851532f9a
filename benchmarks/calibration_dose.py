"""Do intervals of a dose threshold cover it as often as they say? Simulated studies with a known threshold.

Run it as `python benchmarks/calibration_dose.py [--studies 1000] [--seed 0] [--processes 2]`. Each study draws items
with a difficulty and a response of their own, what a training seed does to all its runs, what is left of each run,
and right or wrong answers. Its threshold is that of the expected scores on these items.

Three tables: the fixed ladder of 8 doses; the adaptive rule, stopped when it likes; and how many trials the adaptive
rule takes to the interval width of the fixed ladder.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from composer.findings.dose import FRACTION, DoseResponse, dose_response
from composer.findings.dose_adaptive import narrow_enough, next_dose

Array = NDArray[np.float64]
FULL = 6400.0
LOG_LADDER = (0.0, *(FULL * 2.0**power for power in range(-6, 1)))
EVEN_LADDER = tuple(float(dose) for dose in np.linspace(0, FULL, 8))
FIRST = (0.0, FULL / 8, FULL)  # of an adaptive design
FACTOR, MOST = 2.0, 8  # it stops at an interval of one doubling, or at so many doses
GAIN = 0.25
SEED_SD, RUN_SD = 0.005, 0.005  # what a seed does to all its runs; what is left of one run
SEEDS, ITEMS = (2, 3, 5), (100, 1000)
TARGET, MOST_FALSE = 0.93, 0.05
CURVES_COMPARED = 200
TITLES = {
    "ladder": f"A ladder of 8 doses: covered, at least {TARGET:.0%}; given where flat, at most {MOST_FALSE:.0%}",
    "adaptive": "The adaptive rule, stopped when it likes: likewise",
    "compared": "The adaptive rule with half the trials of a fixed ladder of 8 doses",
}
OUTER, INNER = 24, 18  # candidates of the comparison, and of the calibration, which looks ahead more often


@dataclass(frozen=True)
class Truth:
    """The expected gain at a dose, as a part of that at the full dose: a Hill curve, a line, or nothing.

    Attributes:
        half: The Hill curve's half-dose; None for a line.
        power: Its exponent; 0 where the dose does nothing.
    """

    half: float | None
    power: float

    def part(self, dose: float) -> float:
        """The part of the gain at `dose`."""
        if self.power == 0:
            return 0.0
        return dose / FULL if self.half is None else self._hill(dose) / self._hill(FULL)

    def threshold(self) -> float:
        """The smallest dose with the declared part of the gain."""
        if self.half is None:
            return FRACTION * FULL
        reached = FRACTION * self._hill(FULL)
        return float(self.half * (reached / (1 - reached)) ** (1 / self.power))

    def _hill(self, dose: float) -> float:
        assert self.half is not None
        return dose**self.power / (dose**self.power + self.half**self.power)


TRUTHS: Mapping[str, Truth] = {
    "Emax, early": Truth(150.0, 1.0),
    "Emax, late": Truth(1000.0, 1.0),
    "Hill, power 3": Truth(600.0, 3.0),
    "Hill, power 12 (near a step)": Truth(500.0, 12.0),
    "linear": Truth(None, 1.0),
    "flat": Truth(None, 0.0),
}


class World:
    """One study's items and seeds, and its trials."""

    def __init__(self, truth: Truth, items: int, gain: float, draws: np.random.Generator) -> None:
        """Draws the items and what each seed does."""
        self.truth, self.draws = truth, draws
        self.base = draws.uniform(0.05, 0.90 - gain, items)
        self.gain = np.minimum(draws.uniform(0.5, 1.5, items) * gain, 0.95 - self.base)
        self.seeds = draws.normal(0, SEED_SD, max(SEEDS))

    def runs(self, dose: float, seeds: int) -> dict[int, Array]:
        """Seed → item scores of its trial at this dose."""
        chance = self.base + self.gain * self.truth.part(dose)
        effects = self.seeds[:seeds] + self.draws.normal(0, RUN_SD, seeds)
        answers = self.draws.random((seeds, len(chance))) < chance + effects[:, None]
        return dict(enumerate(answers.astype(np.float64)))


def ladder_study(truth: Truth, seeds: int, items: int, key: Sequence[int]) -> dict[str, float]:
    """One study on the fixed ladder."""
    world = World(truth, items, GAIN, np.random.default_rng(key))
    return _judged(dose_response({dose: world.runs(dose, seeds) for dose in LOG_LADDER}), truth)


def adaptive_study(flat: bool, seeds: int, items: int, key: Sequence[int]) -> dict[str, float]:
    """One study that chooses its doses and stops when it likes, on a curve drawn at random."""
    draws = np.random.default_rng(key)
    truth = TRUTHS["flat"] if flat else random_truth(draws)
    world = World(truth, items, GAIN, draws)
    scores = {dose: world.runs(dose, seeds) for dose in FIRST}
    while True:
        found = dose_response(scores)
        enough = narrow_enough(found, FACTOR)
        dose = None if enough or len(scores) == MOST else next_dose(scores, candidates(INNER))
        if dose is None:
            return {**_judged(found, truth), "doses": float(len(scores)), "enough": float(enough)}
        scores[dose] = world.runs(dose, seeds)


def compared_study(ladder: tuple[float, ...], fixed: int, seeds: int, key: Sequence[int]) -> dict[str, Any]:
    """One curve on the fixed ladder with `fixed` seeds a dose, and adaptively with `seeds`, up to as many trials."""
    draws = np.random.default_rng(key)
    truth = random_truth(draws)
    world = World(truth, 1000, float(draws.uniform(0.1, 0.4)), draws)
    target = _judged(dose_response({dose: world.runs(dose, fixed) for dose in ladder}), truth)["width"]
    scores = {dose: world.runs(dose, seeds) for dose in (0.0, FULL)}
    half = len(ladder) * fixed // 2
    while True:
        width = _judged(dose_response(scores), truth)["width"]
        trials = len(scores) * seeds
        reached = width <= target + 1e-9
        dose = None if trials + seeds > half else next_dose(scores, candidates(OUTER))
        if dose is None:
            return {"fixed": target, "width": width, "reached": float(reached), "trials": float(trials)}
        scores[dose] = world.runs(dose, seeds)


def random_truth(draws: np.random.Generator) -> Truth:
    """A Hill curve with its threshold anywhere, on a log scale, from half a doubling above the lowest step."""
    while True:
        power, threshold = 2 ** draws.uniform(-0.5, 3), FULL * 2 ** draws.uniform(-5.5, -0.25)
        part = (threshold / FULL) ** power
        if part < FRACTION:
            half = FULL * ((1 - FRACTION) * part / (FRACTION - part)) ** (1 / power)
            return Truth(float(half), float(power))


def candidates(count: int) -> list[float]:
    """Doses evenly spaced in their logarithm from the lowest step to below the full dose."""
    return [float(dose) for dose in np.round(np.geomspace(LOG_LADDER[1], FULL, count + 1)[:-1])]


def run(studies: int, seed: int, processes: int) -> dict[str, list[dict[str, Any]]]:
    """All three tables; the same for any number of processes.

    Args:
        studies: Simulated studies a cell. The comparison takes a fifth of them.
        seed: Of the simulation.
        processes: Worker processes.

    Returns:
        `ladder`, `adaptive` and `compared`: rows of the tables.
    """
    cells = [(seeds, items) for seeds in SEEDS for items in ITEMS]
    with get_context("spawn").Pool(processes) as pool:

        def done(study: Callable[[Sequence[int]], Any], number: int, count: int) -> list[dict[str, float]]:
            return list(pool.imap(study, [(seed, number, one) for one in range(count)], chunksize=10))

        ladder = [
            {"truth": name, "seeds": seeds, "items": items}
            | _summary(
                done(partial(ladder_study, truth, seeds, items), 100 * place + seeds * 10 + items // 1000, studies)
            )
            for place, (name, truth) in enumerate(TRUTHS.items())
            for seeds, items in cells
        ]
        adaptive = [
            {"truth": "flat" if flat else "random Hill", "seeds": seeds, "items": items}
            | _summary(done(partial(adaptive_study, flat, seeds, items), 1000 + seeds * 10 + items // 1000, studies))
            for flat, of in ((False, cells), (True, [(3, 1000)]))
            for seeds, items in of
        ]
        compared = [
            {"ladder": name, "fixed seeds": fixed, "fixed trials": 8 * fixed, "adaptive seeds": seeds}
            | _comparison(done(partial(compared_study, doses, fixed, seeds), 2000 + fixed, max(1, studies // 5)))
            for name, doses in (("log", LOG_LADDER), ("even", EVEN_LADDER))
            for fixed, seeds in ((5, 2), (3, 2))
        ]
    return {"ladder": ladder, "adaptive": adaptive, "compared": compared}


def misses(tables: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[str]:
    """The rows that miss their target, in words."""
    found = []
    for row in (*tables["ladder"], *tables["adaptive"]):
        where = f"{row['truth']}, {row['seeds']} seeds, {row['items']} items"
        if row["truth"] == "flat" and row["given"] > MOST_FALSE:
            found.append(f"{where}: a threshold is given in {row['given']:.1%} of studies, at most {MOST_FALSE:.0%}")
        if row["truth"] != "flat" and row["covered"] < TARGET:
            found.append(f"{where}: {row['covered']:.1%} cover the threshold, at least {TARGET:.0%}")
    for row in tables["compared"]:
        if row["adaptive width"] > row["fixed width"]:
            found.append(
                f"{row['ladder']} ladder of {row['fixed trials']} trials: its width is {row['fixed width']:.2f} "
                f"doublings, the adaptive one's {row['adaptive width']:.2f} with {row['trials']:.1f} trials"
            )
    return found


def _judged(found: DoseResponse, truth: Truth) -> dict[str, float]:
    """Whether a threshold is given, whether its interval covers, and its width in doublings within the ladder."""
    low, high = 0.0, FULL
    if found.threshold is not None:
        low = found.threshold.low or low
        high = found.threshold.high or high
    return {
        "given": float(found.threshold is not None),
        "covered": float(truth.power > 0 and low <= truth.threshold() <= high),
        "width": float(np.log2(high / max(low, LOG_LADDER[1]))),
        "no low": float(found.threshold is not None and found.threshold.low is None),
        "no high": float(found.threshold is not None and found.threshold.high is None),
    }


def _summary(studies: list[dict[str, float]]) -> dict[str, float]:
    """Means over the studies that give a threshold; the median of the width."""
    given = [one for one in studies if one["given"]]
    row = {"given": len(given) / len(studies)}
    for name in studies[0]:
        if name != "given":
            values = [one[name] for one in given] or [float("nan")]
            row[name] = float(np.median(values) if name == "width" else np.mean(values))
    return row


def _comparison(studies: list[dict[str, float]]) -> dict[str, float]:
    fixed, width = [one["fixed"] for one in studies], [one["width"] for one in studies]
    return {
        "fixed width": float(np.mean(fixed)),
        "fixed median": float(np.median(fixed)),
        "trials": float(np.mean([one["trials"] for one in studies])),
        "adaptive width": float(np.mean(width)),
        "adaptive median": float(np.median(width)),
        "as narrow": float(np.mean([one["reached"] for one in studies])),
    }


def table(tables: Mapping[str, list[dict[str, Any]]]) -> str:
    """All three tables as Markdown, with what misses its target."""
    parts = []
    for name, rows in tables.items():
        lines = [f"**{TITLES[name]}**", "", "| " + " | ".join(rows[0]) + " |", "|" + " --- |" * len(rows[0])]
        lines += ["| " + " | ".join(_shown(value) for value in row.values()) + " |" for row in rows]
        parts.append("\n".join(lines))
    parts.append("Widths are in doublings of the dose, an end that is not bounded taken at the ladder's end.")
    missed = misses(tables)
    parts.append("\n".join(f"- Missed: {one}" for one in missed) or "No target is missed.")
    return "\n\n".join(parts)


def _shown(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return "–" if value != value else f"{value:.3f}"


def main() -> None:
    """Prints the tables and what misses its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    start = time.perf_counter()
    print(table(run(given.studies, given.seed, given.processes)))
    print(f"{given.studies} studies a cell, {given.processes} processes, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
