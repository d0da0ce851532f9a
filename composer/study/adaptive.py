"""Adaptive designs: after the trials so far, which dose next? The answers are kept, so that a study can be resumed.

Who proposes is passed in from above, as a `Proposer`. What it said stands in RUN/doses.json before a trial of it
starts: a study that was killed goes on with the same doses, whatever the proposer would say today.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

from composer.artifacts import read_json, write_json
from composer.errors import ComposerError, OutputError
from composer.recipe import Recipe, with_doses
from composer.study.designs import Design

DOSES = "doses.json"
VERSION = 1


@dataclass(frozen=True)
class Observed:
    """What the finished trials of one dose say.

    Attributes:
        dose: Rows of the design's category.
        arm: The arm that has this dose.
        keys: Seed → the trial's key, whose folder holds its items; finished trials only.
        scores: Benchmark → seed → accuracy in [0, 1].
    """

    dose: int
    arm: str
    keys: Mapping[int, str]
    scores: Mapping[str, Mapping[int, float]]


class Proposer(Protocol):
    """Who says which dose an adaptive design tries next.

    It must be a function of its arguments alone (and of the trials' items, if it reads them), so that a study can be
    repeated.
    """

    def __call__(self, design: Design, found: Sequence[Observed], /) -> int | None:
        """The next dose, in rows, or None to stop.

        Args:
            design: The design; its `config` says what to restore, on which benchmarks, and when enough is known.
            found: What was observed, by ascending dose; every dose so far has finished trials.
        """


def kept_doses(run: Path) -> dict[str, list[int]]:
    """Design → the doses that were proposed in this run so far.

    RUN/doses.json, version 1: `version`, `doses` (design → rows, in the order proposed).

    Raises:
        OutputError: The file has another version.
    """
    path = run / DOSES
    if not path.is_file():
        return {}
    kept = read_json(path)
    if kept.get("version") != VERSION:
        raise OutputError(
            f"{path} has version {kept.get('version')}: this composer reads {VERSION}; choose another out=…"
        )
    return {str(name): [int(dose) for dose in doses] for name, doses in kept["doses"].items()}


def resumed(recipe: Recipe) -> Recipe:
    """The recipe with the doses that an earlier run of it in the same folder has proposed."""
    known = {design.name for design in recipe.designs if design.kind == "adaptive_dose"}
    kept = {name: doses for name, doses in kept_doses(recipe.out).items() if name in known}
    return with_doses(recipe, kept) if kept else recipe


def grown(recipe: Recipe, plan: Mapping[str, Any], run: Path, propose: Proposer) -> Recipe | None:
    """The recipe with one more dose for each adaptive design that wants one; None where none does.

    A design wants none when it has `max_doses`, when `propose` says None, or when it names a dose that was tried:
    between whole rows there is nothing left to try. The doses are kept in RUN/doses.json before this returns.

    Args:
        recipe: The recipe with the doses so far.
        plan: Its plan, as `plan.json` holds it; its trials have been run.
        run: The study's folder.
        propose: Says which dose comes next.

    Raises:
        ComposerError: A proposed dose lies outside the design's first doses.
    """
    proposed = {name: list(doses) for name, doses in recipe.proposed.items()}
    found = False
    for design in recipe.designs:
        tried = [point.dose for point in design.points if point.dose is not None]
        if design.kind != "adaptive_dose" or len(tried) >= design.config.max_doses:
            continue
        dose = propose(design, observed(design, plan, run))
        if dose is None or dose in tried:
            continue
        if not min(tried) <= dose <= max(tried):
            raise ComposerError(
                f"study.designs.{design.name}: {dose} rows were proposed as the next dose; it must lie between the "
                f"first doses, {min(tried)} and {max(tried)}"
            )
        proposed.setdefault(design.name, []).append(dose)
        found = True
    if not found:
        return None
    write_json(run / DOSES, {"version": VERSION, "doses": proposed})
    return with_doses(recipe, proposed)


def observed(design: Design, plan: Mapping[str, Any], run: Path) -> list[Observed]:
    """What each dose's finished trials say, in the order of the doses."""
    doses = {point.arm: point.dose for point in design.points if point.dose is not None}
    found = []
    for arm, dose in sorted(doses.items(), key=lambda pair: pair[1]):
        keys = {trial["seed"]: trial["key"] for trial in plan["trials"] if trial["arm"] == arm}
        records = {seed: run / "trials" / key / "record.json" for seed, key in keys.items()}
        scores: dict[str, dict[int, float]] = {name: {} for name in plan["benchmarks"]}
        finished = {seed: keys[seed] for seed, record in records.items() if record.exists()}
        for seed in finished:
            told = read_json(records[seed])["scores"]
            for name, of in plan["benchmarks"].items():
                measure = of["accuracy"]
                scores[name][seed] = told[measure["task"]][f"{measure['metric']},{measure['filter']}"]
        found.append(Observed(dose, arm, finished, scores))
    return found


def bisect(design: Design, found: Sequence[Observed]) -> int | None:
    """A plain proposer: halves, in log rows, the step in which the restored part of the gain passes the target.

    The gain of a dose is over the lowest dose, as the mean over the design's benchmarks and the seeds. It knows of no
    noise: use a proposer that does where intervals are to be trusted.
    """
    scores = {one.dose: score for one in found if (score := _score(design, one)) is not None}
    doses = sorted(scores)
    if len(doses) < 2 or scores[doses[-1]] <= scores[doses[0]]:
        return None
    target = scores[doses[0]] + design.config.restore * (scores[doses[-1]] - scores[doses[0]])
    above = next(place for place, dose in enumerate(doses) if scores[dose] >= target)
    low, high = doses[above - 1], doses[above]
    if log(high / max(low, 1)) <= log(design.config.narrow):
        return None
    return round(sqrt(max(low, 1) * high))


def _score(design: Design, one: Observed) -> float | None:
    return fmean(values) if (values := list(_values(design, one))) else None


def _values(design: Design, one: Observed) -> Iterator[float]:
    for name in design.config.benchmarks or one.scores:
        yield from one.scores[name].values()
