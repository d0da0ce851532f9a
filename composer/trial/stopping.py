"""Ends training where it no longer helps: scores on the way, on disk as soon as they are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from composer.artifacts import read_json, write_json
from composer.config_trainer import StoppingConfig


class Stopping:
    """The evaluations of a run on its way; what an earlier process of it found decides where a resumed run ends.

    Attributes:
        scores: (tokens read, mean score) of each; higher is better.
    """

    def __init__(self, config: StoppingConfig, file: Path, score: Callable[[], float] | None, writes: bool) -> None:
        """Reads what `file` holds.

        Args:
            config: How often, and how much patience there is.
            file: Gets the scores, as JSON.
            score: Evaluates the model as it is; None: training is not ended by it.
            writes: This is the process, of several, that writes.
        """
        self.config, self.file, self.score, self.writes = config, file, score, writes
        self.scores = [(int(read), float(score)) for read, score in read_json(file)] if file.exists() else []

    def go_back(self, read: int) -> None:
        """Forgets what came after so many tokens: a run that goes on from a checkpoint does it again."""
        self.scores = [one for one in self.scores if one[0] <= read]

    def due(self, read: int, step: int) -> bool:
        """Whether an evaluation is due after a step of `step` tokens, with which `read` are read."""
        every = self.config.every_tokens
        return self.score is not None and every > 0 and read // every > (read - step) // every

    def no_longer_helps(self, read: int) -> bool:
        """Evaluates; whether that was in vain often enough to end."""
        assert self.score is not None
        told = [self.score()]
        if torch.distributed.is_initialized():  # all must end, or none: the first decides
            torch.distributed.broadcast_object_list(told)
        self.scores.append((read, told[0]))
        if self.writes:
            write_json(self.file, self.scores)
        best = max(range(len(self.scores)), key=lambda at: self.scores[at][1])
        return len(self.scores) - 1 - best >= self.config.patience
