"""Explains steps of training: their rows, what is unusual in them, the filter that would have kept them out."""

from __future__ import annotations

import math
import shlex
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from composer.artifacts import read_json
from composer.checks import listed
from composer.config_pool import PoolConfig
from composer.errors import FindingsError, RequestError
from composer.findings.run_config import read_config
from composer.findings.trace.asked import Asked, Trial, choose, choose_one
from composer.findings.trace.features import LABELS, READ, Features, features, joined
from composer.findings.trace.files import (
    read_events,
    read_ledger,
    read_lines,
    read_losses,
    read_steps,
    steps_done,
)
from composer.findings.trace.found import VERSION, Compared, Overview, Trace, TracedRow, TrialEvents
from composer.findings.trace.proposal import Told, propose
from composer.findings.trace.ranking import causes, sides, true_of
from composer.findings.trace.rows import Filters, RowFiles, batch_of, declared_filters
from composer.findings.trace.separation import Separation, of_numbers

AROUND = 50  # steps on either side that may say what loss is usual
LIKE = 64  # rows of a category that say it, the nearest in steps: the loss falls as training goes on
TEXT = 500  # characters of a prompt, thinking or answer
SHOWN = 3  # causes that are told where none stands out

Losses = dict[tuple[int, int], float]  # (step, place) → mean loss of the row's tokens


def overview(asked: Asked) -> Overview:
    """What the monitors of a run's trials told.

    Raises:
        RequestError: There is no such run or trial, or none has a ledger.
    """
    found, suggested = list[TrialEvents](), list[tuple[bool, int, str]]()
    for trial in choose(asked):
        events = read_events(trial)
        steps = read_ledger(trial).steps
        found.append(TrialEvents(trial.arm, trial.seed, trial.key, steps, steps_done(trial), events))
        named = ["composer", "trace", str(trial.run), f"trial={trial.key}"]
        suggested += [(one.kind != "spike", one.step, shlex.join([*named, f"step={one.step}"])) for one in events]
    command = min(suggested)[2] if suggested else None
    return Overview(VERSION, str(asked.run), tuple(found), command)


def trace(asked: Asked, told: Told) -> Trace:
    """Explains the steps that are asked for.

    Args:
        asked: The run, steps, and a trial.
        told: Is told how far it is.

    Raises:
        RequestError: There is no such run, trial or step, or several trials, or no mixture.
        FindingsError: A file of the trial cannot be read, or is of another mixture.
    """
    assert asked.steps is not None
    trial, (first, last) = choose_one(asked), asked.steps
    ledger = read_ledger(trial)
    if last > ledger.steps:
        raise RequestError(
            f"step is {first if first > ledger.steps else last}: the trial {trial} has the steps 1 to {ledger.steps}; "
            "give one of them"
        )
    mixture, manifest = _mixture(trial)
    lines = read_lines(trial, first, last)
    places = np.unique(ledger.place[ledger.within(first, last)])
    step = _rows(trial, mixture, lines, places, int(ledger.place.max()))
    pool = _pool_config(trial.run)
    declared = declared_filters(pool)
    known = _features(mixture, declared, told)
    compared = sides(ledger, places, len(mixture))
    found, tested = causes(known, compared, declared)
    clear = [one for one in found if one.stands_out]
    named = [(one, true_of(one, known, places)) for one in clear]
    proposal, out = propose(named, step, mixture, pool, manifest["pool"]["digest"], declared, told)
    losses, usual, symptom = _losses(trial, known, first, last)
    return Trace(
        version=VERSION,
        run=str(trial.run),
        arm=trial.arm,
        seed=trial.seed,
        key=trial.key,
        first=first,
        last=last,
        of=ledger.steps,
        events=tuple(one for one in read_events(trial) if first <= one.step <= last),
        steps=read_steps(trial, first, last),
        rows=_told(lines, step, places, out, losses, usual),
        compared=Compared(len(compared.outside), compared.tokens, tested),
        symptom=symptom,
        causes=tuple(clear or found[:SHOWN]),
        proposal=proposal,
    )


def _pool_config(run: Path) -> PoolConfig | None:
    """Of the run's pool; None where it is absent or another composer's: rows can be explained without it."""
    try:
        return read_config(run).pool
    except RequestError:
        return None


def _mixture(trial: Trial) -> tuple[RowFiles, Mapping[str, Any]]:
    """The trial's mixture and its manifest."""
    folder = trial.run / read_json(trial.folder / "spec.json")["mixture"]["folder"]
    missing = [name for name in ("data", "manifest.json") if not (folder / name).exists()]
    if missing:
        raise RequestError(
            f"{folder} lacks {listed(missing)}, so the rows of the trial {trial} are not known: `composer run` of the "
            "same recipe composes it again"
        )
    return RowFiles(folder / "data"), read_json(folder / "manifest.json")


def _rows(trial: Trial, mixture: RowFiles, lines: pa.Table, places: NDArray[np.int64], most: int) -> pa.Table:
    """(k,) the rows at distinct sorted places, after a check that the ledger, up to `most`, speaks of this mixture."""
    told = dict(zip(lines["place"].to_pylist(), lines["id"].to_pylist(), strict=True))
    rows = mixture.take(places, ("id", *READ)) if most < len(mixture) else None
    if rows is None or rows["id"].to_pylist() != [told[place] for place in places.tolist()]:
        raise FindingsError(
            f"{trial.folder / 'ledger.parquet'} speaks of other rows than the mixture has: one of them was replaced; "
            f"remove {trial.folder} and run the recipe again"
        )
    return rows


def _features(mixture: RowFiles, declared: Mapping[str, Filters], told: Told) -> Features:
    size = len(mixture)
    made = mixture.each(
        lambda rows: features(rows, declared), READ, lambda done: told("reading the mixture", done, size)
    )
    return joined(list(made))


def _losses(trial: Trial, known: Features, first: int, last: int) -> tuple[Losses, dict[str, float], Separation | None]:
    """The losses of the steps, category → what is usual around them, and how far apart these are."""
    categories = known.labels["category"]
    losses = read_losses(trial, first - AROUND, last + AROUND)
    of = {place: categories[place].as_py() for place in {place for _, place in losses}}
    around: defaultdict[str, list[float]] = defaultdict(list)
    for (step, place), loss in sorted(losses.items(), key=lambda one: abs(2 * one[0][0] - first - last)):
        if not first <= step <= last and len(around[of[place]]) < LIKE:
            around[of[place]].append(loss)
    usual = {category: float(np.median(of_it)) for category, of_it in around.items() if of_it}
    inside = {at: loss for at, loss in losses.items() if first <= at[0] <= last}
    excess = np.array([loss - usual[of[place]] for (_, place), loss in inside.items() if of[place] in usual])
    others = np.array([loss - usual[category] for category, of_it in around.items() for loss in of_it])
    apart = of_numbers(excess, others, np.ones(len(others))) if len(excess) and len(others) else None
    return inside, usual, apart


def _told(
    lines: pa.Table,
    rows: pa.Table,
    places: NDArray[np.int64],
    out: NDArray[np.bool_],
    losses: Losses,
    usual: Mapping[str, float],
) -> tuple[TracedRow, ...]:
    """The lines of the ledger with what is in their rows, the one with most loss over its usual first."""
    batch = batch_of(rows)
    texts = {part: getattr(batch, part).to_pylist() for part in ("prompt", "thinking", "answer")}
    labels = {name: rows[name].to_pylist() for name in LABELS}
    at = {place: row for row, place in enumerate(places.tolist())}
    found = [
        TracedRow(
            **line,
            **{name: of[at[line["place"]]] for name, of in labels.items()},
            loss=losses.get((line["step"], line["place"])),
            usual=usual.get(labels["category"][at[line["place"]]]),
            rejected=bool(out[at[line["place"]]]),
            **{part: of[at[line["place"]]].strip()[:TEXT] for part, of in texts.items()},
        )
        for line in lines.to_pylist()
    ]
    return tuple(sorted(found, key=lambda row: math.inf if row.loss is None else (row.usual or 0.0) - row.loss))
