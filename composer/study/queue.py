"""A search's proposals in an Optuna storage: who works on which, what came of it, and what to do when a worker dies.

Every proposal has an index and one trial in the storage, which waits, runs, and ends. A worker takes the waiting trial
of the lowest index. One whose worker died is marked as failed and waits again under its index, as a new trial with the
same mixture; one that failed by itself stays failed. With a journal a worker's life is a lock on
RUN/leases/INDEX.lock, with a database its count (`beats`).
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.errors import OutputError
from composer.study.beats import Beats, Count
from composer.study.claim import ABOUT, ARM, BEAT, FAILED, INDEX, PROPOSAL, RESULT, STATE, Claim, given_up, proposal_of
from composer.study.domain import Domain, Proposal
from composer.study.journal import JOURNAL
from composer.study.lock import try_lock
from composer.study.proposer import Told
from composer.study.samplers import BY_SEED, PARTS, SHARES
from composer.study.storage import Storage, open_storage

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


class Queue:
    """The proposals of one search.

    `ensure`, `retry`, `reap`, `claim` and `propose` are called while the folder's lock and `alone` are held, so that
    of all workers one at a time takes a proposal and makes it; the others at any time.
    """

    def __init__(self, run: Path, storage: Storage, seconds: float, domain: Domain, part: str) -> None:
        """Use `open_queue`."""
        self.run, self.storage, self.domain, self.part = run, storage, domain, part
        self.identity = storage.do(storage.backend.get_study_id_from_name, _study(storage.name, part))
        self.alone = storage.alone
        self.wanted = 0
        self.mine: dict[int, Claim] = {}
        self.beats = Beats(seconds, self._working, self._beat, self._counts) if storage.remote else None

    def ensure(self, arms: Sequence[str]) -> None:
        """Lets every arm that has no trial yet, or whose worker died, wait for a worker; others are left alone."""
        from optuna.trial import TrialState

        self.wanted = len(arms)
        known = self._known()
        for index, arm in enumerate(arms):
            if index not in known:
                self._create(TrialState.WAITING, index, arm, None, {})
            elif given_up(known[index]):
                self._wait(index, arm)

    def retry(self) -> None:
        """Lets proposals that failed by themselves wait again, unless somebody works on this search."""
        from optuna.trial import TrialState

        self.reap()
        known = self._known()
        if any(trial.state == TrialState.RUNNING for trial in known.values()):
            return
        for index, trial in known.items():
            if trial.state == TrialState.FAIL:
                self._wait(index, trial.user_attrs[ARM])

    def reap(self) -> list[str]:
        """Marks the trials of dead workers as failed; the arms that they were at."""
        from optuna.trial import TrialState

        dead, mine = [], {claim.trial for claim in self.mine.values()}
        for trial in self._trials():
            identity = trial._trial_id  # noqa: SLF001
            if trial.state != TrialState.RUNNING or identity in mine:
                continue
            lease = None
            if self.beats is not None:
                if not self.beats.dead(identity):
                    continue
            elif (lease := try_lock(self._lease(trial.user_attrs[INDEX]))) is None:
                continue
            try:
                if self._end(identity, TrialState.FAIL):
                    dead.append(trial.user_attrs[ARM])
            finally:
                if lease is not None:
                    os.close(lease)
        return dead

    def claim(self, below: int | None = None) -> Claim | None:
        """Takes the waiting trial of the lowest index, which is `below` that; None where none waits."""
        from optuna.trial import TrialState

        last = self.wanted if below is None else min(below, self.wanted)
        trials, made = self._trials(), self.proposals()
        taken = {one.user_attrs[INDEX] for one in trials if one.state in (TrialState.RUNNING, TrialState.COMPLETE)}
        waiting = [one for one in trials if one.state == TrialState.WAITING and one.user_attrs[INDEX] < last]
        for trial in sorted(waiting, key=lambda one: (one.user_attrs[INDEX], one.number)):
            index, identity = trial.user_attrs[INDEX], trial._trial_id  # noqa: SLF001
            if index in taken:  # it came to wait twice, or was finished by a worker that had been given up
                self._end(identity, TrialState.FAIL)
                continue
            lease = None
            if self.beats is None and (lease := try_lock(self._lease(index))) is None:
                continue
            if not self._end(identity, TrialState.RUNNING):
                taken.add(index)
                if lease is not None:
                    os.close(lease)
                continue
            found = Claim(index, identity, trial.user_attrs[ARM], None, lease)
            self.mine[index] = found
            if index in made:
                found.proposal = made[index][1]
                if PROPOSAL not in trial.user_attrs:  # it came to wait before the proposal was made
                    self.propose(found, made[index][1], {})
            return found
        return None

    def propose(self, claim: Claim, proposal: Proposal, state: Mapping[str, Any]) -> None:
        """Notes what a claimed trial is to be."""
        from optuna.exceptions import UpdateFinishedTrialError

        with contextlib.suppress(UpdateFinishedTrialError):
            for name, of in self.domain.distributions().items():
                if name in proposal.params:
                    value = of.to_internal_repr(proposal.params[name])
                    self.storage.do(self.storage.backend.set_trial_param, claim.trial, name, value, of)
        for key, value in self._noted(proposal, state).items():  # the proposal last: with it the trial is whole
            self._note(claim, key, value)
        claim.proposal = proposal

    def finish(self, claim: Claim, values: Sequence[float], result: Mapping[str, Any]) -> None:
        """Notes what came of a claimed trial; where another process took it over, what that one says counts."""
        from optuna.trial import TrialState

        self._note(claim, RESULT, dict(result))
        if claim.lost or not self._end(claim.trial, TrialState.COMPLETE, list(values)):
            self._hand_in(claim, values, result)
        self._let_go(claim)

    def fail(self, claim: Claim, why: str) -> None:
        """Notes that a claimed trial failed by itself, and why."""
        from optuna.trial import TrialState

        self._note(claim, FAILED, why)
        self._end(claim.trial, TrialState.FAIL)
        self._let_go(claim)

    def release(self) -> None:
        """Gives back what this process works on, so that others, or a later run, need not wait for it to be missed."""
        from optuna.trial import TrialState

        for claim in list(self.mine.values()):
            with contextlib.suppress(Exception):  # it is missed some time later
                self.storage.backend.set_trial_state_values(claim.trial, state=TrialState.FAIL)
            self._let_go(claim)

    def close(self) -> None:
        """Gives back what this process works on, and shows no more signs of life."""
        self.release()
        if self.beats is not None:
            self.beats.stop()

    def told(self) -> list[Told]:
        """Finished and running proposals of mixtures in the domain, in the order of their indices."""
        from optuna.trial import TrialState

        made, found = self.proposals(), []
        for index, trial in self._known().items():
            if trial.state not in (TrialState.COMPLETE, TrialState.RUNNING) or index not in made:
                continue
            done = trial.state == TrialState.COMPLETE
            result = trial.user_attrs.get(RESULT, {}) if done else {}
            state = trial.user_attrs.get(STATE, {})
            values = trial.values if done else None
            found.append(Told(made[index][1], values, result.get(BY_SEED), result.get(PARTS), state, index))
        return found

    def proposals(self) -> dict[int, tuple[str, Proposal]]:
        """Index → arm and proposal, of all that were made."""
        found: dict[int, tuple[str, Proposal]] = {}
        for trial in self._trials():
            if (proposal := proposal_of(trial)) is not None:
                found.setdefault(trial.user_attrs[INDEX], (trial.user_attrs[ARM], proposal))
        return dict(sorted(found.items()))

    def waits(self, below: int | None = None) -> bool:
        """Whether a proposal, of those with an index `below` that, has not ended yet."""
        from optuna.trial import TrialState

        known = self._known()
        ended = (TrialState.COMPLETE, TrialState.FAIL)
        return not all(
            index in known and known[index].state in ended and not given_up(known[index])
            for index in range(self.wanted if below is None else min(below, self.wanted))
        )

    def results(self) -> list[tuple[str, list[float] | None, Mapping[str, Any]]]:
        """Arm, values and what else was noted, of every ended trial, in the order of the indices."""
        from optuna.trial import TrialState

        found: list[tuple[str, list[float] | None, Mapping[str, Any]]] = []
        for one in self._known().values():
            if one.state == TrialState.COMPLETE:
                found.append((one.user_attrs[ARM], one.values, one.user_attrs.get(RESULT, {})))
            elif one.state == TrialState.FAIL and not given_up(one):
                found.append((one.user_attrs[ARM], None, {FAILED: one.user_attrs[FAILED]}))
        return found

    def _known(self) -> dict[int, FrozenTrial]:
        """Index → the trial that says how it stands: the finished one, else that which runs or waits, else the last."""
        from optuna.trial import TrialState

        order = (TrialState.FAIL, TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE)
        found: dict[int, FrozenTrial] = {}
        for trial in self._trials():
            index, rank = trial.user_attrs[INDEX], order.index(trial.state)
            before = order.index(found[index].state) if index in found else -1
            if rank > before or rank == before == 0:
                found[index] = trial
        return dict(sorted(found.items()))

    def _wait(self, index: int, arm: str) -> None:
        """Lets an index wait; a proposal that was made for it stays what it is."""
        from optuna.trial import TrialState

        made = [one for one in self._trials() if one.user_attrs[INDEX] == index and PROPOSAL in one.user_attrs]
        state = made[0].user_attrs.get(STATE, {}) if made else {}
        self._create(TrialState.WAITING, index, arm, proposal_of(made[0]) if made else None, state)

    def _create(
        self, state: Any, index: int, arm: str, proposal: Proposal | None, noted: Mapping[str, Any],
        values: Sequence[float] | None = None, result: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Adds a trial; the parameters are what Optuna's plots and its dashboard go by."""
        from optuna.trial import create_trial

        attributes: dict[str, Any] = {INDEX: index, ARM: arm}
        ranges = {}
        if proposal is not None:
            attributes |= self._noted(proposal, noted)
            ranges = {name: of for name, of in self.domain.distributions().items() if name in proposal.params}
        if result is not None:
            attributes[RESULT] = dict(result)
        params = {name: proposal.params[name] for name in ranges} if proposal is not None else {}
        trial = create_trial(state=state, values=values, params=params, distributions=ranges, user_attrs=attributes)
        self.storage.do(self.storage.backend.create_new_trial, self.identity, trial)

    def _hand_in(self, claim: Claim, values: Sequence[float], result: Mapping[str, Any]) -> None:
        """Adds what was trained as a trial of its own, unless its index is finished or others are at it."""
        from optuna.trial import TrialState

        with self.storage.alone():
            known = self._known()[claim.index]
            if known.state not in (TrialState.COMPLETE, TrialState.RUNNING):
                state = known.user_attrs.get(STATE, {})
                self._create(TrialState.COMPLETE, claim.index, claim.arm, claim.proposal, state, list(values), result)

    def _trials(self) -> list[FrozenTrial]:
        trials = self.storage.do(self.storage.backend.get_all_trials, self.identity, deepcopy=False)
        return sorted((trial for trial in trials if INDEX in trial.user_attrs), key=lambda one: one.number)

    def _noted(self, proposal: Proposal, state: Mapping[str, Any]) -> dict[str, Any]:
        made = {"params": dict(proposal.params), "rows": dict(proposal.rows), "trainer": dict(proposal.trainer)}
        return {SHARES: proposal.shares, STATE: dict(state), PROPOSAL: made}

    def _note(self, claim: Claim, key: str, value: Any) -> None:
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            self.storage.do(self.storage.backend.set_trial_user_attr, claim.trial, key, value)
        except UpdateFinishedTrialError:
            claim.lost = True

    def _end(self, trial: int, state: Any, values: Sequence[float] | None = None) -> bool:
        """Sets a trial's state; False where another process was first."""
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            done = self.storage.do(self.storage.backend.set_trial_state_values, trial, state=state, values=values)
            return bool(done)
        except UpdateFinishedTrialError:
            return False

    def _let_go(self, claim: Claim) -> None:
        self.mine.pop(claim.index, None)
        if claim.lease is not None:
            os.close(claim.lease)
            claim.lease = None

    def _lease(self, index: int) -> Path:
        return self.run / "leases" / self.part / f"{index:04d}.lock"

    def _working(self) -> list[int]:
        return [claim.trial for claim in list(self.mine.values())]

    def _beat(self, trial: int, count: list[float]) -> None:
        from optuna.exceptions import UpdateFinishedTrialError

        with contextlib.suppress(UpdateFinishedTrialError):
            self.storage.backend.set_trial_user_attr(trial, BEAT, count)

    def _counts(self) -> dict[int, Count]:
        from optuna.trial import TrialState

        trials = self.storage.backend.get_all_trials(self.identity, deepcopy=False)
        return {one._trial_id: one.user_attrs.get(BEAT) for one in trials if one.state == TrialState.RUNNING}  # noqa: SLF001


def open_queue(
    run: Path, name: str, storage: str | None, objectives: Sequence[str], about: Mapping[str, Any], seconds: float,
    domain: Domain, part: str = "",
) -> Queue:  # fmt: skip
    """Opens the proposals of a search, or begins them.

    Args:
        run: The study's folder.
        name: Of the search in the storage.
        storage: An RDB URL, or None for a journal in `run`.
        objectives: Their names; more is better of each.
        about: What makes this search what it is; one that was begun with something else is refused.
        seconds: After which a silent worker is taken for dead, with a database.
        domain: What may vary.
        part: Of the search: a fidelity, whose runs are a study of their own; workers take turns for all parts at once.

    Raises:
        OutputError: The storage holds a search that was begun with something else.
        NeedsError: The storage cannot be reached.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    opened = open_storage(run, name, storage)
    with warnings.catch_warnings(), opened.alone():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(
            storage=opened.backend,
            study_name=_study(name, part),
            directions=["maximize"] * len(objectives),
            load_if_exists=True,
        )
        begun = study.user_attrs.get(ABOUT)
        if begun is None:
            study.set_metric_names(list(objectives))
            study.set_user_attr(ABOUT, dict(about))
        elif differing := [key for key in {**begun, **about} if begun.get(key) != about.get(key)]:
            key = differing[0]
            raise OutputError(
                f"{opened.shown} holds a search {name} that was begun with other {', '.join(differing)} ({key} was "
                f"{begun.get(key)} and is {about.get(key)}): choose another study.name or out=…, or go on as begun"
            )
    return Queue(run, opened, seconds, domain, part)


def _study(name: str, part: str) -> str:
    """The name of an Optuna study: a search's, or that of its runs at one fidelity."""
    return f"{name} ({part})" if part else name


def begun(run: Path) -> bool:
    """Whether a search has a journal in this folder."""
    return (run / JOURNAL).is_file()
