"""What a fit is asked: read from the command line's words, every problem told at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from composer.errors import ConfigError

SHARES, SCORES = "ratio_", "metric_"
STEP = 0.05
OFF = 0.005  # an asked mixture may sum to 1 within this, as rounded shares do; it is then made to
ALL = "all"


@dataclass(frozen=True)
class Asked:
    """What to read, what is wanted, what to predict.

    Attributes:
        source: The folder of a run, or a CSV file.
        shares: Prefix of a CSV's columns of shares; None where it was not given.
        scores: Prefix of its columns of scores.
        where: A column and the value that its rows must have there.
        lower: Benchmarks of a CSV of which less is better; `all` stands for all.
        weights: Benchmark → its weight in the objective; none: the search's, else equal ones.
        bounds: Category → lowest and highest share.
        mixtures: Mixtures to predict, category → share; what is not named has none.
        step: By how much a category's share is raised to see what it moves.
        folds: Of cross-validation; None: by the number of mixtures.
    """

    source: Path
    shares: str | None = None
    scores: str | None = None
    where: tuple[str, str] | None = None
    lower: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    mixtures: tuple[Mapping[str, float], ...] = ()
    step: float = STEP
    folds: int | None = None


def read_asked(source: Path, options: Mapping[str, Any]) -> Asked:
    """What the options of `composer fit` ask.

    Args:
        source: The folder of a run, or a CSV file.
        options: As `argparse` read them: text, or a list of texts where an option may be repeated.

    Raises:
        ConfigError: A word is not of its option's form, or a number is out of range; all problems are listed.
    """
    problems: list[str] = []
    where = options.get("where")
    if where is not None and not all(where.partition("=")[::2]):
        problems.append(f"--where is {where}: it must be COLUMN=VALUE, such as model=Qwen2.5-7B")
    weights = _weights(options.get("weights"), problems)
    bounds = _bounds(options.get("bounds") or (), problems)
    mixtures = tuple(_mixture(text, problems) for text in options.get("mixture") or ())
    step, folds = float(options.get("step", STEP)), options.get("folds")
    if not 0 < step < 1:
        problems.append(f"--step is {step:g}: it must be a share between 0 and 1, such as {STEP}")
    if folds is not None and folds < 2:
        problems.append(f"--folds is {folds}: it must be at least 2")
    if problems:
        raise ConfigError(problems)
    column, _, value = (where or "").partition("=")
    return Asked(
        source=source,
        shares=options.get("shares"),
        scores=options.get("scores"),
        where=(column, value) if where else None,
        lower=tuple(options.get("lower") or ()),
        weights=weights,
        bounds=bounds,
        mixtures=mixtures,
        step=step,
        folds=folds,
    )


def _weights(text: str | None, problems: list[str]) -> dict[str, float]:
    found = _pairs("--weights", text, "kmmlu=1,haerae=2", float, problems) if text is not None else {}
    for name, weight in found.items():
        if not math.isfinite(weight) or weight <= 0:
            problems.append(f"--weights {name} is {weight:g}: a weight must be finite and above 0")
    return found


def _bounds(texts: Sequence[str], problems: list[str]) -> dict[str, tuple[float, float]]:
    def pair(text: str) -> tuple[float, float]:
        low, high = map(float, text.split(":"))
        return low, high

    found: dict[str, tuple[float, float]] = {}
    for text in texts:
        found |= _pairs("--bounds", text, "mcqa=0.05:0.4", pair, problems)
    for name, (low, high) in found.items():
        if not 0 <= low <= high <= 1:
            problems.append(
                f"--bounds {name} is {low:g}:{high:g}: it must be LOWEST:HIGHEST share, in [0, 1], the first not above "
                "the second"
            )
    return found


def _mixture(text: str, problems: list[str]) -> dict[str, float]:
    """A mixture whose shares sum to 1."""
    before = len(problems)
    shares = _pairs("--mixture", text, "math=0.6,chat=0.4", float, problems)
    total = math.fsum(shares.values())
    if len(problems) == before:
        bad = [f"{name} has {share:g}" for name, share in shares.items() if not share >= 0]
        if bad:
            problems.append(f"--mixture is {text}: {', '.join(bad)}; a share must be at least 0")
        elif not abs(total - 1) <= OFF:
            problems.append(f"--mixture is {text}: its shares sum to {total:g}; they must sum to 1, within {OFF}")
    return {name: share / (total or 1.0) for name, share in shares.items()}


def _pairs(option: str, text: str, example: str, read: Callable[[str], Any], problems: list[str]) -> dict[str, Any]:
    """NAME=VALUE with commas between; a name may hold anything but a comma, so the last equals sign counts."""
    found: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.rpartition("=")
        try:
            told = read(value)
        except ValueError:
            name = ""
        if not name:
            problems.append(f"{option} is {text}: {part or 'nothing'} must be of the form {example}")
            return found
        if name in found:
            problems.append(f"{option} is {text}: it names {name} twice")
        found[name] = told
    return found
