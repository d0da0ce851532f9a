"""The journal: what Optuna reads from it, that it adds nothing twice, and that no cut of the file harms it."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from composer.study.journal import JOURNAL, Entry, sync

BENCHMARKS = ["culture", "maths"]
ENTRIES = [
    Entry("base", 0, "k0", {"code": 0.25, "mcqa": 0.75}, {"culture": 0.5, "maths": 0.25}),
    Entry("base", 1, "k1", {"code": 0.25, "mcqa": 0.75}, {"culture": 0.6, "maths": 0.2}),
    Entry("no_code", 0, "k2", {"code": 0.0, "mcqa": 1.0}, None),
]


def read(run: Path, name: str = "study") -> optuna.Study:
    """As anyone with Optuna would open it."""
    backend = optuna.storages.journal.JournalFileBackend(str(run / JOURNAL))
    return optuna.load_study(study_name=name, storage=optuna.storages.JournalStorage(backend))


def contents(run: Path) -> list[tuple[object, ...]]:
    return [(t.state, t.params, t.values, t.user_attrs) for t in read(run).trials]


def test_optuna_reads_what_was_added(tmp_path: Path) -> None:
    returned = sync(tmp_path, "study", BENCHMARKS, ENTRIES)
    study = read(tmp_path)
    assert study.metric_names == BENCHMARKS
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MAXIMIZE"]
    assert contents(tmp_path) == [
        (TrialState.COMPLETE, {"code": 0.25, "mcqa": 0.75}, [0.5, 0.25], {"arm": "base", "seed": 0, "key": "k0"}),
        (TrialState.COMPLETE, {"code": 0.25, "mcqa": 0.75}, [0.6, 0.2], {"arm": "base", "seed": 1, "key": "k1"}),
        (TrialState.FAIL, {"code": 0.0, "mcqa": 1.0}, None, {"arm": "no_code", "seed": 0, "key": "k2"}),
    ]
    assert [(t.params, t.values) for t in returned.best_trials] == [(t.params, t.values) for t in study.best_trials]
    assert study.trials[0].distributions == {
        name: optuna.distributions.FloatDistribution(0, 1) for name in ("code", "mcqa")
    }


def test_nothing_is_added_twice(tmp_path: Path) -> None:
    sync(tmp_path, "study", BENCHMARKS, ENTRIES[:1])
    sync(tmp_path, "study", BENCHMARKS, ENTRIES)
    before = (tmp_path / JOURNAL).read_bytes()
    sync(tmp_path, "study", BENCHMARKS, [*ENTRIES, *ENTRIES])
    assert len(contents(tmp_path)) == 3
    # Opening writes one line that asks for the study to be made, which Optuna passes over.
    assert (tmp_path / JOURNAL).read_bytes().startswith(before)


def test_a_failed_trial_that_finishes_later_is_added_as_finished_and_stays_so(tmp_path: Path) -> None:
    sync(tmp_path, "study", BENCHMARKS, ENTRIES)
    mended = Entry("no_code", 0, "k2", {"code": 0.0, "mcqa": 1.0}, {"culture": 0.1, "maths": 0.2})
    sync(tmp_path, "study", BENCHMARKS, [*ENTRIES[:2], mended])
    sync(tmp_path, "study", BENCHMARKS, ENTRIES)
    states = [t.state for t in read(tmp_path).trials if t.user_attrs["key"] == "k2"]
    assert states == [TrialState.FAIL, TrialState.COMPLETE]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1))
def test_a_journal_cut_anywhere_is_made_whole(tmp_path: Path, where: float) -> None:
    for path in tmp_path.iterdir():
        path.unlink()
    sync(tmp_path, "study", BENCHMARKS, ENTRIES)
    wanted, whole = contents(tmp_path), (tmp_path / JOURNAL).read_bytes()
    cut = whole[: round(where * len(whole))]
    (tmp_path / JOURNAL).write_bytes(cut)
    sync(tmp_path, "study", BENCHMARKS, ENTRIES)
    assert contents(tmp_path) == wanted
    assert read(tmp_path).metric_names == BENCHMARKS
    aside = list(tmp_path.glob(f"{JOURNAL}.old-*"))
    assert [path.read_bytes() for path in aside] == ([] if cut.endswith(b"\n") or not cut else [cut])


def test_each_damaged_journal_is_kept(tmp_path: Path) -> None:
    for damage in ("{", '{"op_code": 1}\nnot json\n'):
        (tmp_path / JOURNAL).write_text(damage)
        sync(tmp_path, "study", BENCHMARKS, ENTRIES)
    assert len(contents(tmp_path)) == 3
    assert {path.name: path.read_text()[0] for path in tmp_path.iterdir() if path.name != JOURNAL} == {
        f"{JOURNAL}.old-1": "{",
        f"{JOURNAL}.old-2": "{",
    }


def test_other_benchmarks_make_another_journal(tmp_path: Path) -> None:
    sync(tmp_path, "study", BENCHMARKS, ENTRIES)
    study = sync(tmp_path, "study", ["maths"], ENTRIES)
    assert study.metric_names == ["maths"]
    assert [t.values for t in read(tmp_path).trials] == [[0.25], [0.2], None]
    assert (tmp_path / f"{JOURNAL}.old-1").exists()


def test_does_not_wait_for_the_lock_of_a_killed_process(tmp_path: Path) -> None:
    os.symlink(tmp_path / JOURNAL, tmp_path / f"{JOURNAL}.lock")
    started = time.monotonic()
    sync(tmp_path, "study", BENCHMARKS, ENTRIES)
    assert time.monotonic() - started < 10
    assert len(contents(tmp_path)) == 3


def test_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sync(tmp_path, "study", BENCHMARKS, ENTRIES)
    assert capfd.readouterr() == ("", "")
