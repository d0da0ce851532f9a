"""What a planned study can see: the smallest gain it detects, and the seeds that a declared gain takes, by simulation.

A study is drawn many times from the normal model behind `paired_gain`: a gain's difference has a part of its own for
each seed, each item and each pair of them. Of a drawn study only what the test reads is drawn, the mean and the mean
squares, whose distributions are known; no item is, so that a table takes a moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from composer.errors import FindingsError
from composer.findings.gains import compared_arms
from composer.findings.results import Results
from composer.findings.search import proposed_arms
from composer.findings.statistics import Items, half_width

STUDIES = 10_000
MOST_SEEDS = 100
GAIN = "the gain of one arm"
EFFECT = "an effect of the factorial"
RUNG = "the gain of the highest rung over the lowest"


@dataclass(frozen=True)
class Noise:
    """How a gain between two arms scatters on one benchmark, in the benchmark's unit.

    Attributes:
        items: Items of the benchmark.
        seed_sd: Standard deviation of the gain from seed to seed, on any number of items.
        item_sd: Standard deviation of the gain from item to item, with any number of seeds.
        residual_sd: Standard deviation of what is left of one item's difference with one seed.
        source: Where these numbers come from, in words.
    """

    items: int
    seed_sd: float
    item_sd: float
    residual_sd: float
    source: str


@dataclass(frozen=True)
class GainTest:
    """How a gain is tested.

    Attributes:
        seeds: Seeds of both arms.
        family: Gains that are corrected together. The only gain among them that is not 0 has the smallest p-value, so
            that both Holm's correction and that of Benjamini and Hochberg hold it against alpha over the family.
        level: Coverage of the interval; alpha is 1 − level.
        items: Whether the gain is meant on these items, or on items like these.
        power: The chance of a finding that is asked for.
    """

    seeds: int
    family: int
    level: float
    items: Items
    power: float


@lru_cache(maxsize=1024)
def smallest_gain(noise: Noise, test: GainTest) -> float | None:
    """The smallest gain that is found, on its right side of 0, in `test.power` of studies.

    A study finds every gain above `half_width − chance`, where chance is how far its mean lies off; so the answer is a
    quantile of that over the drawn studies. None with one seed, which gives no interval, or with one item that is to
    speak of others.
    """
    if test.seeds < 2 or (test.items == "random" and noise.items < 2):
        return None
    normal, of_seeds, of_items, of_rest = _draws(test.seeds, noise.items)
    seeds, items = test.seeds, noise.items
    residual = noise.residual_sd**2
    variance = noise.seed_sd**2 / seeds + residual / (seeds * items)
    parts = [(variance * of_seeds, seeds - 1.0)]
    if test.items == "random":
        item = (seeds * noise.item_sd**2 + residual) * of_items - residual * of_rest
        parts.append((np.maximum(0.0, item) / (seeds * items), items - 1.0))
        variance += noise.item_sd**2 / items
    limit = half_width(parts, (1 - test.level) / (2 * test.family))
    return float(np.quantile(limit - variance**0.5 * normal, test.power))


def seeds_needed(noise: Noise, gain: float, test: GainTest) -> int | None:
    """The fewest seeds with which a gain of this size is found; None where 100 do not do."""

    def seen(seeds: int) -> bool:
        smallest = smallest_gain(noise, GainTest(seeds, test.family, test.level, test.items, test.power))
        return smallest is not None and smallest <= gain

    if not seen(MOST_SEEDS):
        return None
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high


def measured_noise(results: Results, source: str) -> dict[str, Noise]:
    """The noise of each benchmark's accuracy, as a finished run's gains show it together.

    Variances are means over the gains that have an interval. That from seed to seed is what the differences of the
    seeds scatter beyond their items' residuals, taken off after the mean, so that chance does not push it up.
    """
    found = {}
    for benchmark in results.benchmarks:
        gains = [
            (float(np.var(gain.differences, ddof=1)), gain.item_sd**2, gain.residual_sd**2)
            for gain in results.gains
            if (gain.benchmark, gain.kind) == (benchmark.name, "accuracy")
            and gain.reason is None
            and gain.item_sd is not None
            and gain.residual_sd is not None
        ]
        if gains and benchmark.items is not None:
            of_seed, of_item, rest = np.mean(gains, axis=0)
            seed = max(0.0, of_seed - rest / benchmark.items)
            found[benchmark.name] = Noise(
                benchmark.items, float(seed**0.5), float(of_item**0.5), float(rest**0.5), source
            )
    return found


def declared_noise(benchmarks: Mapping[str, Any]) -> dict[str, Noise]:
    """The noise that a config's `benchmarks` declares, as plain values, for those that declare their items too."""
    found = {}
    for name, noise in benchmarks["noise"].items():
        items = benchmarks["of"].get(name, {}).get("items")
        if items is not None:
            found[name] = Noise(items=min(items, benchmarks["limit"] or items), **noise)
    return found


def known_noise(benchmarks: Mapping[str, Any], pilot: Path | None) -> dict[str, Noise]:
    """The noise of each benchmark: as `pilot`, a finished run's folder, shows it, else as the config declares it.

    Raises:
        RequestError: The pilot's results cannot be read.
        FindingsError: The pilot has no gain with an interval on any of these benchmarks.
    """
    declared = declared_noise(benchmarks)
    if pilot is None:
        return declared
    measured = measured_noise(Results.read(pilot), f"measured in {pilot.name}")
    of_ours = {name: noise for name, noise in measured.items() if name in benchmarks["of"]}
    if not of_ours:
        raise FindingsError(
            f"findings.pilot is {pilot}: it has no gain with an interval on {', '.join(benchmarks['of'])}; "
            "name a run with 2 seeds or more on these benchmarks"
        )
    return {**declared, **of_ours}


def plan_power(plan: Mapping[str, Any], noise: Mapping[str, Noise]) -> dict[str, Any]:
    """What `plan.json` holds under `power`.

    Its schema: `level`, `power`, `items`, `seeds`, `detect` (the gain to be seen, or null), `family` (gains that are
    corrected together; 0: none), `unknown` (benchmarks whose noise is unknown), `benchmarks` (name → items, seed_sd,
    item_sd, residual_sd, source, smallest_gain, seeds_needed), `designs` (name → contrast, family, benchmarks → name →
    smallest_gain, seeds_needed). Gains are in the benchmark's unit. seeds_needed is null where nothing is to be seen,
    or where more than 100 seeds would be needed. Of a ladder the highest rung is held against the lowest, as two arms
    are; its own test is another one, which uses the rungs between them too.

    Args:
        plan: The plan's facts; `findings` says how gains are judged, `power` and `detect` among it.
        noise: By benchmark.
    """
    rules = plan["findings"]
    family = (len(set(_pairs(plan))) + _further(plan)) * len(plan["benchmarks"])

    def seen(of: Noise, family: int, scale: float) -> dict[str, Any]:
        test = GainTest(plan["seeds"], family, rules["level"], rules["items"], rules["power"])
        smallest = smallest_gain(of, test) if family else None
        detect = rules["detect"]
        needed = None if detect is None or not family else seeds_needed(of, detect / scale, test)
        return {"smallest_gain": None if smallest is None else smallest * scale, "seeds_needed": needed}

    known = {name: noise[name] for name in plan["benchmarks"] if name in noise}
    designs = {}
    for name, design in plan["designs"].items():
        contrast, members, scale = _contrast(plan, design, family)
        designs[name] = {
            "contrast": contrast,
            "family": members,
            "benchmarks": {benchmark: seen(of, members, scale) for benchmark, of in known.items()},
        }
    return {
        "level": rules["level"],
        "power": rules["power"],
        "items": rules["items"],
        "seeds": plan["seeds"],
        "detect": rules["detect"],
        "family": family,
        "unknown": [name for name in plan["benchmarks"] if name not in noise],
        "benchmarks": {name: {**vars(of), **seen(of, family, 1.0)} for name, of in known.items()},
        "designs": designs,
    }


def _contrast(plan: Mapping[str, Any], design: Mapping[str, Any], family: int) -> tuple[str, int, float]:
    """What a design is to see, how many such are corrected together, and its scatter as a multiple of a gain's."""
    if design["effects"]:
        # An effect is a weighted sum of arms; a gain's two weights have squares that sum to 2.
        squares = sum(weight**2 for weight in design["effects"][0]["weights"].values())
        return EFFECT, len(design["effects"]) * len(plan["benchmarks"]), (squares / 2) ** 0.5
    if "gains" in design["findings"]:
        return GAIN, family, 1.0
    alike = [one for one in plan["designs"].values() if one["findings"] == design["findings"]]
    ladders = sum(len({point["category"] for point in one["points"]}) for one in alike)
    return RUNG, ladders * len(plan["benchmarks"]), 1.0


def _pairs(plan: Mapping[str, Any]) -> Iterator[frozenset[str]]:
    """The pairs of arms whose gains are corrected together, those that claims are about among them."""
    baseline = plan["baseline"]
    sides = [(arm, baseline) for arm in compared_arms(plan)]
    sides += [(pair["arm"], pair["against"]) for pair in plan["comparisons"].values()]
    sides += [
        (claim["arm"], claim["against"] or baseline)
        for claim in plan["claims"].values()
        if claim["expect"] in ("better", "worse", "equivalent")
    ]
    return (frozenset(pair) for pair in sides if None not in pair and len(set(pair)) == 2)


def _further(plan: Mapping[str, Any]) -> int:
    """The gains over the baseline of what a search may still propose."""
    search = plan.get("search")
    return max(0, search["trials"] - len(proposed_arms(plan))) if search and plan["baseline"] else 0


@lru_cache(maxsize=256)
def _draws(seeds: int, items: int) -> tuple[NDArray[np.float64], ...]:
    """(n_studies,) standard normals, and mean squares of seeds, items and residuals with expectation 1."""
    rng = np.random.default_rng([seeds, items])
    degrees = (seeds - 1, items - 1, (seeds - 1) * (items - 1))
    squares = (rng.chisquare(df, STUDIES) / df if df else np.ones(STUDIES) for df in degrees)
    return rng.standard_normal(STUDIES), *squares
