"""Which trial of a run and which of its steps are asked for, as the command line says it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from composer.artifacts import read_json
from composer.checks import listed
from composer.errors import RequestError

KEYS = ("step", "trial", "arm", "seed")
STEPS = re.compile(r"(\d+)(?:-(\d+))?")
LISTED = 8  # trials in a message


@dataclass(frozen=True)
class Trial:
    """One trial of a run: `folder` is RUN/trials/KEY."""

    run: Path
    arm: str
    seed: int
    key: str

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.run / "trials" / self.key

    @property
    def has_ledger(self) -> bool:
        """Whether it is known what its steps read."""
        return (self.folder / "ledger.parquet").is_file()

    def __str__(self) -> str:
        """What names it on the command line."""
        return f"arm={self.arm} seed={self.seed} (trial={self.key})"


@dataclass(frozen=True)
class Asked:
    """What to explain; None is any.

    Attributes:
        run: The folder of a run, or of one of its trials.
        steps: The first step and the last, from 1.
        trial: How the trial's key begins.
        arm: Its arm.
        seed: Its seed.
    """

    run: Path
    steps: tuple[int, int] | None = None
    trial: str | None = None
    arm: str | None = None
    seed: int | None = None


def read_asked(run: Path, given: Sequence[str]) -> Asked:
    """Reads `key=value`, the keys being `KEYS`.

    Raises:
        RequestError: A key is unknown, or a value is not what it must be.
    """
    told = dict[str, str]()
    for text in given:
        key, equals, value = text.partition("=")
        if key not in KEYS or not equals or not value:
            raise RequestError(f"composer trace takes no {text}: give {listed(f'{name}=…' for name in KEYS)}")
        told[key] = value
    return Asked(run, _steps(told.get("step")), told.get("trial"), told.get("arm"), _seed(told.get("seed")))


def choose(asked: Asked) -> list[Trial]:
    """The trials that are asked for, those that have a ledger; trials with one key are one.

    Raises:
        RequestError: `asked.run` is no run, or has no such trial, or none of these has a ledger.
    """
    every = _trials(asked.run)
    fits = [
        one
        for one in every
        if one.key.startswith(asked.trial or "")
        and asked.arm in (None, one.arm)
        and asked.seed in (None, one.seed)
    ]  # fmt: skip
    if not fits:
        wanted = [f"{name}={getattr(asked, name)}" for name in KEYS[1:] if getattr(asked, name) is not None]
        raise RequestError(f"{asked.run} has no trial with {' '.join(wanted)}: it has {_told(every)}")
    known = list({one.key: one for one in reversed(fits) if one.has_ledger}.values())[::-1]
    if not known:
        raise RequestError(
            f"{asked.run} has no ledger.parquet of {_told(fits)}: a trial writes it before its first step, one of an "
            "older composer has none; run the recipe into another folder, or name another trial"
        )
    return known


def choose_one(asked: Asked) -> Trial:
    """The one trial that is asked for.

    Raises:
        RequestError: As `choose`, or there are several.
    """
    found = choose(asked)
    if len(found) > 1:
        raise RequestError(f"{asked.run} has {len(found)} such trials: name one of them, as {_told(found)}")
    return found[0]


def _trials(given: Path) -> list[Trial]:
    """All trials of a run, as its plan has them; or the one in the folder of a trial."""
    if (given / "spec.json").is_file():
        folder = given.resolve()
        return [_by_spec(folder)]
    if (given / "plan.json").is_file():
        planned = read_json(given / "plan.json").get("trials", ())
        found = [Trial(given, str(one["arm"]), int(one["seed"]), str(one["key"])) for one in planned]
    else:
        found = [_by_spec(file.parent) for file in sorted(given.glob("trials/*/spec.json"))]
    if not found:
        raise RequestError(
            f"{given} is neither the folder of a run with trials nor of a trial: give one, such as runs/quickstart or "
            "runs/quickstart/trials/KEY"
        )
    return found


def _by_spec(folder: Path) -> Trial:
    spec = read_json(folder / "spec.json")
    return Trial(folder.parent.parent, Path(spec["mixture"]["folder"]).name, int(spec["seed"]), folder.name)


def _told(trials: Sequence[Trial]) -> str:
    more = f"; and {len(trials) - LISTED} more" if len(trials) > LISTED else ""
    return "; ".join(map(str, trials[:LISTED])) + more


def _steps(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    matched = STEPS.fullmatch(text)
    first, last = (int(matched[1]), int(matched[2] or matched[1])) if matched else (0, 0)
    if not 1 <= first <= last:
        raise RequestError(f"step is {text}: give a step from 1, as step=89, or a span of them, as step=89-91")
    return first, last


def _seed(text: str | None) -> int | None:
    if text is not None and not text.isdecimal():
        raise RequestError(f"seed is {text}: it must be a whole number of at least 0")
    return None if text is None else int(text)
