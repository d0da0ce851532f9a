"""The loop over the ledger's steps, as a Trainer that takes whole steps, in passes as large as memory allows."""

from __future__ import annotations

import contextlib
import errno
import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils.memory import should_reduce_batch_size
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase, Trainer, TrainerCallback
from transformers.trainer_callback import PrinterCallback

from composer.config_trainer import TrainerConfig
from composer.errors import TrialError
from composer.trial.arguments import arguments, base_of
from composer.trial.attention import document_gap, is_masked
from composer.trial.batch import example_weights, learned_of, make_batch
from composer.trial.checkpoints import discard, seal
from composer.trial.events import Events
from composer.trial.history import History, Step
from composer.trial.ledger import Ledger
from composer.trial.losses import token_losses
from composer.trial.memory import MemoryEnded
from composer.trial.monitors import Monitors
from composer.trial.packing import best_fit, shares
from composer.trial.stopping import Stopping
from composer.trial.tokens import Tokens

MICRO_TOKENS = 1 << 17  # of one pass, before memory has said how many it holds
CPU_MICRO_TOKENS = 1 << 14
LOWER = 0.5  # what a learning rate is multiplied by where a monitor lowers it
TELL_SECONDS = 0.2
FULL = 64 << 20  # bytes free, with which a failed write is a full disk's


class RolledBack(Exception):
    """Training is to go on from before a step, without it."""

    def __init__(self, step: int) -> None:
        """Of that step."""
        super().__init__(step)
        self.step = step


@dataclass(frozen=True)
class Work:
    """What a loop is to do.

    Attributes:
        tokens: The mixture's.
        ledger: The steps.
        config: How.
        seed: The trial's.
        scratch: Where checkpoints go.
        history: Gets every step.
        monitors: Are asked about every step.
        events: Get what monitors find, and know which steps are left out.
        hidden: Whether the model gives its last states in place of logits.
        progress: Is told (step, steps, loss).
        stopping: Evaluates the model as it is, now and then.
        micro_tokens: Of one pass, where that is known.
    """

    tokens: Tokens
    ledger: Ledger
    config: TrainerConfig
    seed: int
    scratch: Path
    history: History
    monitors: Monitors
    events: Events
    hidden: bool
    progress: Callable[[int, int, float | None], None]
    stopping: Stopping
    micro_tokens: int | None


class Loop(Trainer):
    """Takes the steps of a ledger; a step's lines are spread over the processes, and go through memory in passes."""

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase, work: Work) -> None:
        """Takes a model on its device, and what is to be done with it."""
        super().__init__(
            model=model, args=arguments(model, work.config, len(work.ledger), work.seed, work.scratch),
            train_dataset=_Numbers(len(work.ledger)), processing_class=tokenizer, callbacks=[_Watch(self)],
        )  # fmt: skip
        self.remove_callback(PrinterCallback)
        self.work, self.tokens, self.ledger, self.config = work, work.tokens, work.ledger, work.config
        self.inner = base_of(model)
        self.gap = document_gap(self.inner.config) or 0
        self.micro_tokens = work.micro_tokens or (CPU_MICRO_TOKENS if self.args.device.type == "cpu" else MICRO_TOKENS)
        self.real = self.positions = 0
        self.halved = False
        self.seen: Step | None = None
        self.took = self.saved_at = time.monotonic()
        self.told_at, self.due = 0.0, False

    def run(self, start: Path | None) -> None:
        """Trains, from a checkpoint or from the first step."""
        self.train(resume_from_checkpoint=str(start) if start else None)

    def get_train_dataloader(self) -> torch.utils.data.DataLoader[int]:
        """The numbers of the steps, the same on every process: each then takes its own share of the lines."""
        return torch.utils.data.DataLoader(self.train_dataset, batch_size=1, collate_fn=lambda numbers: numbers[0])

    def get_batch_samples(self, iterator: Iterator[int], count: int, *_: Any) -> tuple[list[Any], None]:
        """The next step's number; what its tokens count is known without looking at its labels."""
        return [{"step": next(iterator)}], None

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted here: `trial.cost` knows better what a packed step takes."""
        return 0

    def training_step(self, model: Any, inputs: dict[str, Any], *_: Any) -> torch.Tensor:
        """Forward and backward of a whole step; where memory ends, once more in passes half as large."""
        model.train()
        number = inputs["step"]
        lines = self.ledger.read(number)
        examples = np.concatenate(lines)
        sizes = [int(self.tokens.lengths[line].sum()) + self.gap * (len(line) - 1) for line in lines]
        mine = shares(sizes, self.args.world_size)[self.args.process_index]
        starts = np.cumsum([0, *map(len, lines)])
        rows = [np.arange(starts[line], starts[line + 1]) for line in range(len(lines))]
        weights = example_weights(self.tokens, examples, self.config.loss, self.config.think_weight)
        while True:
            try:
                sums = self._passes(model, [lines[line] for line in mine], [rows[line] for line in mine], weights)
                break
            except Exception as error:
                if not should_reduce_batch_size(error):
                    raise
                self._halve(error, max(sizes))
                model.zero_grad()
        if self.args.world_size > 1:
            torch.distributed.all_reduce(sums)
        told = sums.double().cpu().numpy()
        self.due = bool(told[-3] > 0)
        self.real, self.positions = self.real + int(told[-2]), self.positions + int(told[-1])
        learned = learned_of(self.tokens, examples, self.config.think_weight)
        losses = np.divide(told[1:-3], learned, out=np.full(len(examples), np.nan), where=learned > 0)
        self.seen = Step(
            number, loss=float(told[0]), grad_norm=math.nan, learning_rate=self._get_learning_rate(),
            tokens=int(self.tokens.lengths[examples].sum()), seconds=0.0, taken=True,
            places=self.tokens.places[examples], losses=losses.astype(np.float32),
        )  # fmt: skip
        return torch.tensor(told[0], dtype=torch.float32, device=self.args.device)

    def _passes(
        self, model: Any, lines: list[NDArray[np.int64]], rows: list[NDArray[np.int64]], weights: NDArray[np.float64]
    ) -> torch.Tensor:
        """(1 + n + 3,) this process's part of the step's loss, of each example's, of what it tells of itself.

        That is whether a checkpoint is due, the tokens that were read, and the positions that it took.
        """
        device, world = self.args.device, self.args.world_size
        dtype = torch.float64 if device.type == "cpu" else torch.float32
        sums = torch.zeros(len(weights) + 4, dtype=dtype, device=device)
        real = positions = 0
        idle = not lines  # a process without a line runs one that counts nothing: the others wait for its gradients
        if idle:
            lines, rows, weights = [self.ledger.read(1)[0][:1]], [np.zeros(1, np.int64)], np.zeros_like(weights)
        passes = self._cut(lines)
        for at, part in enumerate(passes):
            batch = make_batch(
                self.tokens, [lines[one] for one in part], [rows[one] for one in part], weights,
                self.config.think_weight, self.ledger.packed, self.gap, self._multiple,
            ).to(device)  # fmt: skip
            last = at == len(passes) - 1
            with contextlib.nullcontext() if last or world == 1 else self.accelerator.no_sync(model):
                with self.compute_loss_context_manager(), self.accelerator.autocast():
                    loss, losses = token_losses(model, self.inner, batch, self.ledger.packed, self.work.hidden)
                self.accelerator.backward(loss * world)  # processes average their gradients: the sum is wanted
            if not idle:
                sums[0] += loss.detach()
                sums[1:-3].index_add_(0, batch.rows, losses.to(sums.dtype))
                real += int(self.tokens.lengths[np.concatenate([lines[one] for one in part])].sum())
                positions += batch.ids.numel()
        due = float(self.args.process_index == 0 and self._checkpoint_due())
        sums[-3:] = torch.tensor([due, real, positions], dtype=dtype)
        return sums

    def _cut(self, lines: list[NDArray[np.int64]]) -> list[list[int]]:
        """The lines of each pass."""
        sizes = [int(self.tokens.lengths[line].sum()) + self.gap * len(line) for line in lines]
        if not self.ledger.packed:
            passes: list[list[int]] = []
            for line in sorted(range(len(lines)), key=lambda line: -sizes[line]):
                if passes and sizes[passes[-1][0]] * (len(passes[-1]) + 1) <= self.micro_tokens:
                    passes[-1].append(line)
                else:
                    passes.append([line])
            return passes
        if is_masked(self.inner):  # the mask grows with the square of the row
            return [[line] for line in range(len(lines))]
        return best_fit(sizes, max(self.micro_tokens, *sizes))

    @property
    def _multiple(self) -> int:
        return 256 if self.config.compile else 1

    def _halve(self, error: Exception, longest: int) -> None:
        if self.micro_tokens <= longest:
            raise TrialError(
                f"memory does not hold one line of {longest} tokens: lower trainer.max_length, which is "
                f"{self.config.max_length}, or set trainer.gradient_checkpointing=true ({error})"
            ) from error
        self.micro_tokens, self.halved = max(self.micro_tokens // 2, longest), True
        if self.args.world_size > 1:  # the others wait for gradients that will not come
            raise MemoryEnded(f"memory ended: next in passes of {self.micro_tokens} tokens", self.micro_tokens)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        print(f"memory ended: passes of {self.micro_tokens} tokens from here on", file=sys.stderr, flush=True)

    def _checkpoint_due(self) -> bool:
        every, minutes = self.config.checkpoint_steps, (time.monotonic() - self.saved_at) / 60
        number = len(self.work.history.steps) + 1
        return minutes >= self.config.checkpoint_minutes or (every is not None and number % every == 0)

    def _clip_grad_norm(self, model: Any) -> Any:
        """Clips, and keeps the norm that the gradient had."""
        norm = super()._clip_grad_norm(model)
        assert self.seen is not None
        self.seen = replace(self.seen, grad_norm=float(norm))
        return norm

    def judge(self, model: Any) -> None:
        """Asks the monitors about the step that the optimizer is about to take, and does what the policies say."""
        step = self.seen
        assert step is not None
        left_out = step.number in self.work.events.left_out
        for event in self.work.monitors.look(step) if not left_out else ():
            self.work.events.add(event)
            print(f"{event.told} ({event.policy})", file=sys.stderr, flush=True)
            if event.policy == "rollback":
                raise RolledBack(step.number)
            if event.policy == "stop":
                self.work.history.save()
                raise TrialError(f"{event.told}: training ends there, as trainer.monitors.{event.kind}.policy says")
            left_out = left_out or event.policy == "skip"
            if event.policy == "lower_lr":
                self.lr_scheduler.base_lrs = [rate * LOWER for rate in self.lr_scheduler.base_lrs]
        if left_out:
            model.zero_grad(set_to_none=True)  # an optimizer passes over what has no gradient
        now = time.monotonic()
        self.seen = replace(step, seconds=now - self.took, taken=not left_out)
        self.took = now

    def record(self) -> bool:
        """Keeps the step that was taken; whether a checkpoint is due."""
        step = self.seen
        assert step is not None
        self.work.monitors.remember(step)
        self.work.history.add(step)
        now = time.monotonic()
        if now - self.told_at > TELL_SECONDS or step.number == len(self.ledger):
            self.told_at = now
            self.work.progress(step.number, len(self.ledger), step.loss if math.isfinite(step.loss) else None)
        return self.due and step.number < len(self.ledger)

    def no_longer_helps(self) -> bool:
        """Evaluates where so many tokens were read since the last time; whether it was in vain often enough to end."""
        read = sum(step.tokens for step in self.work.history.steps)
        if not self.work.stopping.due(read, self.work.history.steps[-1].tokens):
            return False
        ends = self.work.stopping.no_longer_helps(read)
        self.took = time.monotonic()
        return ends

    def _save_checkpoint(self, *arguments: Any, **told: Any) -> None:
        """Writes a checkpoint that is whole, or none: a full disk costs the checkpoint and not the run."""
        self.work.history.save()
        try:
            super()._save_checkpoint(*arguments, **told)
            if self.args.process_index == 0:
                seal(self.work.scratch, keep=2)
        except Exception as error:  # safetensors and torch have errors of their own
            if self.args.world_size > 1 or not _is_full(error, self.work.scratch):
                raise
            discard(self.work.scratch / f"checkpoint-{self.state.global_step}")
            print(
                f"no checkpoint after step {self.state.global_step}: the disk of {self.work.scratch} is full; "
                "training goes on, and an end before the next checkpoint costs the steps since the last",
                file=sys.stderr, flush=True,
            )  # fmt: skip
        self.saved_at = self.took = time.monotonic()


class _Watch(TrainerCallback):
    """Tells the loop where it is in a step."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        policies = (of.policy for of in vars(self.loop.config.monitors).values())
        if state.global_step == 0 and "rollback" in policies:
            self.loop._save_checkpoint(self.loop.model, trial=None)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.loop.judge(model)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        due, ends = self.loop.record(), self.loop.no_longer_helps()
        # None after the last step: a run that goes on from a checkpoint has a step to end with.
        control.should_save = due and not ends
        control.should_training_stop = control.should_training_stop or ends


class _Numbers(torch.utils.data.Dataset[int]):
    """The numbers of the steps, from 1."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, place: int) -> int:
        return place + 1


def _is_full(error: Exception, folder: Path) -> bool:
    """Whether a disk is full: the system says so, or a library that hides it failed where next to nothing is free."""
    words = ("No space left", "os error 28")
    told = getattr(error, "errno", None) == errno.ENOSPC or any(word in str(error) for word in words)
    return told or (isinstance(error, RuntimeError) and shutil.disk_usage(folder).free < FULL)
