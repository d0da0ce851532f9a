"""A study's trials as an Optuna study in RUN/study.journal, for its samplers, its plots and its dashboard.

The trials' folders are the truth; the journal is derived from them, and one that cannot be read is built anew.
"""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

JOURNAL = "study.journal"


@dataclass(frozen=True)
class Entry:
    """A trial that ended.

    Attributes:
        arm: Its arm.
        seed: Its seed.
        key: Its key; trials with one key are one entry.
        shares: The realised share of each category, in [0, 1].
        scores: The accuracy on each benchmark, or None where the trial failed.
    """

    arm: str
    seed: int
    key: str
    shares: Mapping[str, float]
    scores: Mapping[str, float] | None


def sync(run: Path, study_name: str, benchmarks: Sequence[str], entries: Sequence[Entry]) -> optuna.Study:
    """Adds those `entries` that the journal does not have yet; the caller holds `study_lock(run)`.

    A finished trial has its shares as parameters and an accuracy to maximize per benchmark, a failed one has the state
    FAIL and stands there once, beside the finished one if a later run finished it. Both have the user attributes
    `arm`, `seed` and `key`. A journal that a kill left damaged, or that was made for other benchmarks, is renamed to
    study.journal.old-N and built anew.

    Returns:
        The study, with a journal behind it.
    """
    import optuna
    from optuna.distributions import FloatDistribution
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = _open(run / JOURNAL, study_name, benchmarks)
    known = {(trial.user_attrs.get("key"), trial.state) for trial in study.get_trials(deepcopy=False)}
    for entry in entries:
        state = TrialState.FAIL if entry.scores is None else TrialState.COMPLETE
        if known & {(entry.key, state), (entry.key, TrialState.COMPLETE)}:
            continue
        study.add_trial(
            create_trial(
                state=state,
                values=None if entry.scores is None else [entry.scores[benchmark] for benchmark in benchmarks],
                params=dict(entry.shares),
                distributions={category: FloatDistribution(0, 1) for category in entry.shares},
                user_attrs={"arm": entry.arm, "seed": entry.seed, "key": entry.key},
            )
        )
        known.add((entry.key, state))
    return study


def _open(path: Path, name: str, benchmarks: Sequence[str]) -> optuna.Study:
    # Optuna's lock is a link that a killed process leaves behind, and others then wait 30 s for; ours guards the file.
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    if path.exists() and not _whole(path):
        _set_aside(path)
    study = _load(path, name, benchmarks)
    if study.metric_names != list(benchmarks):
        _set_aside(path)
        study = _load(path, name, benchmarks)
    return study


def _load(path: Path, name: str, benchmarks: Sequence[str]) -> optuna.Study:
    """The study of that name, made where it is absent; an older one may have other benchmarks."""
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(path))),
        study_name=name,
        directions=["maximize"] * len(benchmarks),
        load_if_exists=True,
    )
    if study.metric_names is None and len(study.directions) == len(benchmarks):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(benchmarks))
    return study


def _whole(path: Path) -> bool:
    """Whether every line is complete. Optuna passes over a half-written last line, then spoils the next by it."""
    data = path.read_bytes()
    try:
        for line in data.splitlines():
            json.loads(line)
    except ValueError:
        return False
    return data.endswith(b"\n") or not data


def _set_aside(path: Path) -> None:
    number = next(number for number in itertools.count(1) if not path.with_name(f"{path.name}.old-{number}").exists())
    path.rename(path.with_name(f"{path.name}.old-{number}"))
