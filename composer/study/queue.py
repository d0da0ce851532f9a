"""A search's proposals in an Optuna storage: who works on which, what came of it, and what to do when a worker dies.

Every proposal has an index and one trial in the storage, which waits, runs, and ends. A worker takes the waiting trial
of the lowest index. One whose worker died is marked as failed and waits again under its index, as a new trial; one that
failed by itself stays failed. With a journal a worker's life is a lock on RUN/leases/INDEX.lock, with a database its
heartbeat.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.errors import NeedsError, OutputError
from composer.study.domain import Domain, Proposal
from composer.study.journal import JOURNAL
from composer.study.lock import try_lock
from composer.study.samplers import BY_SEED, PARTS, SHARES, Told

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

INDEX, ARM, PROPOSAL, STATE, RESULT, FAILED, ABOUT = "index", "arm", "proposal", "sampler", "result", "failed", "about"
BEATS = 4  # heartbeats within the time after which a worker is taken for dead


@dataclass
class Claim:
    """A proposal that this process works on; `proposal` is None until it was made, or where the recipe declares it."""

    index: int
    trial: int
    arm: str
    proposal: Proposal | None
    lease: int | None = None


class Queue:
    """The proposals of one search."""

    def __init__(self, run: Path, study: optuna.Study, storage: Any, seconds: float, domain: Domain) -> None:
        """Use `open_queue`."""
        self.run, self.study, self.storage, self.seconds, self.domain = run, study, storage, seconds, domain
        self.identity = storage.get_study_id_from_name(study.study_name)
        self.beating = hasattr(storage, "record_heartbeat") and storage.get_heartbeat_interval() is not None
        self.mine: dict[int, Claim] = {}
        self._stop = threading.Event()
        if self.beating:
            threading.Thread(target=self._beat, daemon=True).start()

    def ensure(self, arms: Sequence[str]) -> None:
        """Lets every arm that has no trial yet, or whose worker died, wait for a worker."""
        from optuna.trial import TrialState

        known: dict[int, FrozenTrial] = {}
        for trial in self._trials():
            index = trial.user_attrs[INDEX]
            if trial.state != TrialState.FAIL or FAILED in trial.user_attrs:
                known[index] = trial
            else:
                known.setdefault(index, trial)
        for index, arm in enumerate(arms):
            last = known.get(index)
            if last is not None and (last.state != TrialState.FAIL or FAILED in last.user_attrs):
                continue
            self._wait(index, arm, last)

    def retry(self) -> None:
        """Lets proposals that failed by themselves wait again, unless somebody works on this search."""
        from optuna.trial import TrialState

        trials = self._trials()
        if any(trial.state == TrialState.RUNNING for trial in trials):
            return
        last = {trial.user_attrs[INDEX]: trial for trial in trials}
        for trial in last.values():
            if trial.state == TrialState.FAIL and FAILED in trial.user_attrs:
                self._wait(trial.user_attrs[INDEX], trial.user_attrs[ARM], trial)

    def reap(self) -> list[str]:
        """Marks the trials of dead workers as failed; the arms that they were at."""
        import optuna
        from optuna.trial import TrialState

        running = [one for one in self._trials() if one.state == TrialState.RUNNING]
        running = [one for one in running if one.user_attrs[INDEX] not in self.mine]
        if self.beating:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                optuna.storages.fail_stale_trials(self.study)
            left = {one.number for one in self._trials() if one.state == TrialState.RUNNING}
            return [one.user_attrs[ARM] for one in running if one.number not in left]
        dead = []
        for trial in running:
            lease = try_lock(self._lease(trial.user_attrs[INDEX]))
            if lease is None:
                continue
            try:
                if self._end(trial._trial_id, TrialState.FAIL):  # noqa: SLF001
                    dead.append(trial.user_attrs[ARM])
            finally:
                os.close(lease)
        return dead

    def claim(self) -> Claim | None:
        """Takes the waiting trial of the lowest index; None where none waits."""
        from optuna.trial import TrialState

        trials = self._trials()
        taken = {one.user_attrs[INDEX] for one in trials if one.state in (TrialState.RUNNING, TrialState.COMPLETE)}
        waiting = [one for one in trials if one.state == TrialState.WAITING]
        for trial in sorted(waiting, key=lambda one: (one.user_attrs[INDEX], one.number)):
            index, identity = trial.user_attrs[INDEX], trial._trial_id  # noqa: SLF001
            if index in taken:  # two workers let it wait at the same moment
                self._end(identity, TrialState.FAIL)
                continue
            lease = None
            if self.beating:
                # Before it runs, so that there is no moment in which its worker's death would go unseen.
                with contextlib.suppress(Exception):
                    self.storage.record_heartbeat(identity)
            elif (lease := try_lock(self._lease(index))) is None:
                continue
            if not self._end(identity, TrialState.RUNNING):
                if lease is not None:
                    os.close(lease)
                continue
            found = Claim(index, identity, trial.user_attrs[ARM], _proposal(trial), lease)
            self.mine[index] = found
            return found
        return None

    def propose(self, claim: Claim, proposal: Proposal, state: Mapping[str, Any]) -> None:
        """Notes what a claimed trial is to be."""
        for name, of in self.domain.distributions().items():
            if name in proposal.params:
                self.storage.set_trial_param(claim.trial, name, of.to_internal_repr(proposal.params[name]), of)
        self.storage.set_trial_user_attr(claim.trial, SHARES, proposal.shares)
        self.storage.set_trial_user_attr(claim.trial, STATE, dict(state))
        noted = {"params": dict(proposal.params), "rows": dict(proposal.rows), "trainer": dict(proposal.trainer)}
        self.storage.set_trial_user_attr(claim.trial, PROPOSAL, noted)
        claim.proposal = proposal

    def finish(self, claim: Claim, values: Sequence[float], result: Mapping[str, Any]) -> None:
        """Notes what came of a claimed trial."""
        from optuna.trial import TrialState

        self.storage.set_trial_user_attr(claim.trial, RESULT, dict(result))
        self._end(claim.trial, TrialState.COMPLETE, list(values))
        self._let_go(claim)

    def fail(self, claim: Claim, why: str) -> None:
        """Notes that a claimed trial failed by itself, and why."""
        from optuna.trial import TrialState

        self.storage.set_trial_user_attr(claim.trial, FAILED, why)
        self._end(claim.trial, TrialState.FAIL)
        self._let_go(claim)

    def release(self) -> None:
        """Gives back what this process works on, so that others, or a later run, need not wait for it to be missed."""
        from optuna.trial import TrialState

        for claim in list(self.mine.values()):
            self._end(claim.trial, TrialState.FAIL)
            self._let_go(claim)

    def close(self) -> None:
        """Ends the heartbeat."""
        self.release()
        self._stop.set()

    def told(self) -> list[Told]:
        """Finished and running proposals of mixtures in the domain, in the order of their indices."""
        from optuna.trial import TrialState

        found = {}
        for trial in self._trials():
            proposal = _proposal(trial)
            if trial.state not in (TrialState.COMPLETE, TrialState.RUNNING) or proposal is None:
                continue
            done = trial.state == TrialState.COMPLETE
            found[trial.user_attrs[INDEX]] = Told(
                proposal,
                trial.values if done else None,
                trial.user_attrs.get(RESULT, {}).get(BY_SEED) if done else None,
                trial.user_attrs.get(RESULT, {}).get(PARTS) if done else None,
                trial.user_attrs.get(STATE, {}),
            )
        return [found[index] for index in sorted(found)]

    def proposals(self) -> dict[int, tuple[str, Proposal]]:
        """Index → arm and proposal, of all that were made."""
        made = {one.user_attrs[INDEX]: (one.user_attrs[ARM], _proposal(one)) for one in self._trials()}
        found = {index: (arm, proposal) for index, (arm, proposal) in made.items() if proposal is not None}
        return dict(sorted(found.items()))

    def waits(self) -> bool:
        """Whether another process still works on a proposal."""
        from optuna.trial import TrialState

        return any(one.state in (TrialState.RUNNING, TrialState.WAITING) for one in self._trials())

    def results(self) -> list[tuple[str, list[float] | None, Mapping[str, Any]]]:
        """Arm, values and what else was noted, of every ended trial, in the order of the indices."""
        from optuna.trial import TrialState

        found: dict[int, tuple[str, list[float] | None, Mapping[str, Any]]] = {}
        for one in self._trials():
            if one.state == TrialState.COMPLETE:
                found[one.user_attrs[INDEX]] = (one.user_attrs[ARM], one.values, one.user_attrs.get(RESULT, {}))
            elif one.user_attrs.get(FAILED) and one.user_attrs[INDEX] not in found:
                found[one.user_attrs[INDEX]] = (one.user_attrs[ARM], None, {FAILED: one.user_attrs[FAILED]})
        return [found[index] for index in sorted(found)]

    def _wait(self, index: int, arm: str, last: FrozenTrial | None) -> None:
        from optuna.trial import TrialState, create_trial

        noted: dict[str, Any] = {INDEX: index, ARM: arm}
        if last is not None:  # a proposal that was made stays what it is
            noted |= {name: last.user_attrs[name] for name in (PROPOSAL, STATE, SHARES) if name in last.user_attrs}
        self.study.add_trial(create_trial(state=TrialState.WAITING, user_attrs=noted))

    def _trials(self) -> list[FrozenTrial]:
        trials = self.storage.get_all_trials(self.identity, deepcopy=False)
        return [trial for trial in trials if INDEX in trial.user_attrs]

    def _end(self, trial: int, state: Any, values: Sequence[float] | None = None) -> bool:
        """Sets a trial's state; False where another process was first."""
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            return bool(self.storage.set_trial_state_values(trial, state=state, values=values))
        except UpdateFinishedTrialError:
            return False

    def _let_go(self, claim: Claim) -> None:
        self.mine.pop(claim.index, None)
        if claim.lease is not None:
            os.close(claim.lease)
            claim.lease = None

    def _lease(self, index: int) -> Path:
        return self.run / "leases" / f"{index:04d}.lock"

    def _beat(self) -> None:
        while not self._stop.wait(self.seconds / BEATS):
            for claim in list(self.mine.values()):
                with contextlib.suppress(Exception):  # a beat that is missed is no reason to stop; several are
                    self.storage.record_heartbeat(claim.trial)


def open_queue(
    run: Path, name: str, storage: str | None, objectives: Sequence[str], about: Mapping[str, Any], seconds: float,
    domain: Domain,
) -> Queue:  # fmt: skip
    """Opens the proposals of a search, or begins them.

    Args:
        run: The study's folder.
        name: Of the study in the storage.
        storage: An RDB URL, or None for a journal in `run`.
        objectives: Their names; more is better of each.
        about: What makes this search what it is; one that was begun with something else is refused.
        seconds: After which a silent worker is taken for dead, with a database.
        domain: What may vary.

    Raises:
        OutputError: The storage holds a search that was begun with something else.
        NeedsError: The storage cannot be reached.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        backend = _journal(run / JOURNAL) if storage is None else _database(storage, seconds)
        study = optuna.create_study(
            storage=backend, study_name=name, directions=["maximize"] * len(objectives), load_if_exists=True
        )
        begun = study.user_attrs.get(ABOUT)
        if begun is None:
            study.set_metric_names(list(objectives))
            study.set_user_attr(ABOUT, dict(about))
        elif differing := [key for key in {**begun, **about} if begun.get(key) != about.get(key)]:
            key = differing[0]
            where = run / JOURNAL if storage is None else storage.rsplit("@", 1)[-1]
            raise OutputError(
                f"{where} holds a search {name} that was begun with other {', '.join(differing)} ({key} was "
                f"{begun.get(key)} and is {about.get(key)}): choose another study.name or out=…, or go on as begun"
            )
    return Queue(run, study, backend, seconds, domain)


class Flock:
    """The journal's lock, which the kernel lets go of when its holder dies; a line that a kill cut short is cut off."""

    def __init__(self, journal: Path) -> None:
        """Of `journal`."""
        self.journal = journal
        self.descriptor: int | None = None

    def acquire(self) -> bool:
        """Waits for the lock."""
        descriptor = os.open(f"{self.journal}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self.descriptor = descriptor
        with contextlib.suppress(FileNotFoundError), self.journal.open("rb+") as file:
            end = file.seek(0, os.SEEK_END)
            start = max(0, end - (1 << 20))
            file.seek(start)
            tail = file.read()
            if tail and not tail.endswith(b"\n"):
                file.truncate(start + tail.rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        """Lets go of it."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def _journal(path: Path) -> Any:
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    path.parent.mkdir(parents=True, exist_ok=True)
    lock: Any = Flock(path)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


def _database(url: str, seconds: float) -> Any:
    from optuna.storages import RDBStorage

    beat = max(1, round(seconds / BEATS))
    try:
        return RDBStorage(url, heartbeat_interval=beat, grace_period=max(beat + 1, round(seconds)))
    except ImportError as error:
        raise NeedsError(
            f"study.search.storage is {_shown(url)}, which needs the package {error.name}: for PostgreSQL "
            "pip install 'composer-mix[postgres]'"
        ) from error
    except Exception as error:
        raise NeedsError(
            f"study.search.storage is {_shown(url)}, which cannot be opened: {str(error).strip().splitlines()[0]}; "
            "give an Optuna storage URL, such as sqlite:///search.db, or null for a journal in the run's folder"
        ) from error


def _shown(url: str) -> str:
    """The URL without a password."""
    head, at, tail = url.rpartition("@")
    return f"{head.split('://')[0]}://…@{tail}" if at else url


def _proposal(trial: FrozenTrial) -> Proposal | None:
    noted = trial.user_attrs.get(PROPOSAL)
    return None if noted is None else Proposal(noted["params"], noted["rows"], noted["trainer"])


def begun(run: Path) -> bool:
    """Whether a search has a journal in this folder."""
    return (run / JOURNAL).is_file()
