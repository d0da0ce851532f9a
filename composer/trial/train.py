"""Training: transformers' Trainer takes the ledger's steps one by one, watched, kept and resumed exactly."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from composer.config_trainer import TrainerConfig
from composer.trial.attention import documents_apart
from composer.trial.checkpoints import discard, newest_whole, step_of
from composer.trial.events import Event, Events
from composer.trial.history import History, Step
from composer.trial.ledger import Ledger
from composer.trial.loop import Loop, RolledBack, Work
from composer.trial.losses import hidden_states
from composer.trial.monitors import Monitors
from composer.trial.stopping import Stopping
from composer.trial.tokens import Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Progress = Callable[[int, int, float | None], None]
POINTS = 50  # of the loss curve in a record


@dataclass(frozen=True)
class Training:
    """What a training run did.

    Attributes:
        steps: Optimizer steps.
        rows: Rows read, epochs counted.
        tokens: Tokens read, padding left out, epochs counted.
        seconds: Wall-clock time of the steps, those of earlier processes among them.
        loss: (step, mean loss since the last entry).
        history: Every step.
        events: What the monitors found.
        scores: (tokens read, mean score) of the evaluations on the way; higher is better.
        micro_tokens: Tokens of one pass, as far as memory went.
        halved: Whether memory ended on the way.
        useful: The share of real tokens among all positions of the passes.
    """

    steps: int
    rows: int
    tokens: int
    seconds: float
    loss: list[tuple[int, float]]
    history: list[Step]
    events: list[Event]
    scores: list[tuple[int, float]]
    micro_tokens: int
    halved: bool
    useful: float


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tokens: Tokens,
    ledger: Ledger,
    groups: Sequence[str],
    ids: Sequence[str],
    config: TrainerConfig,
    seed: int,
    folder: Path,
    progress: Progress,
    score: Callable[[], float] | None = None,
    micro_tokens: int | None = None,
) -> Training:
    """Trains `model` in place on the ledger's steps, going on from the newest whole checkpoint below `folder`.

    Args:
        model: On its device.
        tokenizer: Kept beside the weights in checkpoints.
        tokens: The mixture's.
        ledger: Made of these tokens.
        groups: (n_rows,) category and source of each row of the mixture, which losses are compared within.
        ids: (n_rows,) of the rows, which are told.
        config: How to train.
        seed: The trial's.
        folder: Gets `checkpoints/`, `history/`, `losses/`, `events.json` and `stopping.json`.
        progress: Is told (step, steps, loss).
        score: Evaluates the model as it is, for `config.stopping`.
        micro_tokens: Of one pass, where that is known.

    Raises:
        TrialError: A monitor with the policy `stop` found something, or memory does not hold one line.
    """
    names = sorted(set(groups))
    place = {name: at for at, name in enumerate(names)}
    codes = np.array([place[name] for name in groups], np.int64)
    learned = np.bincount(tokens.places, tokens.learned, minlength=len(groups)).astype(np.int64)
    events = Events(folder / "events.json", _rank() == 0)
    history = History(folder, writes=_rank() == 0)
    stopping = Stopping(config.stopping, folder / "stopping.json", score, writes=_rank() == 0)
    bound = None
    with hidden_states(model) as hidden, documents_apart(model):
        while True:
            start, told = newest_whole(folder / "checkpoints", bound)
            for sentence in told if _rank() == 0 else ():
                print(sentence, file=sys.stderr, flush=True)
            history.go_back(step_of(start) if start else 0)
            stopping.go_back(sum(step.tokens for step in history.steps))
            monitors = Monitors(config, codes, learned, ids)
            for step in history.steps:
                if step.number not in events.left_out:
                    monitors.look(step)
                monitors.remember(step)
            work = Work(
                tokens, ledger, config, seed, folder / "checkpoints", history, monitors, events, hidden, progress,
                stopping, config.micro_tokens or micro_tokens,
            )  # fmt: skip
            loop = Loop(model, tokenizer, work)
            try:
                loop.run(start)
                break
            except RolledBack as back:
                bound, micro_tokens = back.step - 1, loop.micro_tokens
    history.save()
    steps = history.steps
    return Training(
        steps=len(steps),
        rows=sum(len(step.places) for step in steps),
        tokens=sum(step.tokens for step in steps),
        seconds=sum(step.seconds for step in steps),
        loss=_curve(steps),
        history=steps,
        events=events.found,
        scores=stopping.scores,
        micro_tokens=loop.micro_tokens,
        halved=loop.halved,
        useful=loop.real / max(loop.positions, 1),
    )


def forget_checkpoints(folder: Path) -> None:
    """Removes the checkpoints of a finished run."""
    for checkpoint in (folder / "checkpoints").glob("checkpoint-*"):
        discard(checkpoint)


def _curve(steps: Sequence[Step]) -> list[tuple[int, float]]:
    every = max(1, len(steps) // POINTS)
    cut = [steps[at : at + every] for at in range(0, len(steps) - len(steps) % every, every)]
    return [(part[-1].number, round(float(np.mean([step.loss for step in part])), 6)) for part in cut]


def _rank() -> int:
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
