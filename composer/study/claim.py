"""What a trial of a search's storage says: whose it is, what it is to be, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from composer.study.domain import Proposal

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

# User attributes.
INDEX, ARM, PROPOSAL, STATE, RESULT, FAILED, ABOUT = "index", "arm", "proposal", "sampler", "result", "failed", "about"
BEAT = "beat"


@dataclass
class Claim:
    """A proposal that this process works on.

    Attributes:
        index: Its index.
        trial: Its trial in the storage.
        arm: Its arm.
        proposal: None until it was made, or where the recipe declares it.
        lease: The descriptor of its lock, with a journal.
        lost: Whether another process took it over, as this one was silent for too long.
    """

    index: int
    trial: int
    arm: str
    proposal: Proposal | None
    lease: int | None = None
    lost: bool = False


def given_up(trial: FrozenTrial) -> bool:
    """Whether a trial ended because its worker did, and not by itself."""
    from optuna.trial import TrialState

    return bool(trial.state == TrialState.FAIL and FAILED not in trial.user_attrs)


def proposal_of(trial: FrozenTrial) -> Proposal | None:
    """What a trial is to be; None where that was not decided yet, or is no mixture of the domain."""
    noted = trial.user_attrs.get(PROPOSAL)
    return None if noted is None else Proposal(noted["params"], noted["rows"], noted["trainer"])
