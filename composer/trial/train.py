"""Training: transformers' Trainer, fed the batches of `order` as they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from composer.config import TrainerConfig
from composer.trial.chat import IGNORED, Example

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Progress = Callable[[int, int, float | None], None]


@dataclass(frozen=True)
class Training:
    """What a training run did.

    Attributes:
        steps: Optimizer steps.
        rows: Rows read, epochs counted.
        tokens: Tokens read, padding left out, epochs counted.
        seconds: Wall-clock time of the steps.
        loss: (step, mean loss since the last entry).
    """

    steps: int
    rows: int
    tokens: int
    seconds: float
    loss: list[tuple[int, float]]


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    batches: Sequence[Sequence[int]],
    config: TrainerConfig,
    seed: int,
    scratch: Path,
    progress: Progress,
) -> Training:
    """Trains `model` in place on `batches`, lists of places in `examples`; one optimizer step each."""
    steps = len(batches)
    every = max(1, steps // 50)
    arguments = TrainingArguments(
        output_dir=str(scratch),
        max_steps=steps,
        per_device_train_batch_size=1,  # a batch is one item of the loader
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=min(config.warmup_steps, steps - 1),
        weight_decay=config.weight_decay,
        optim=config.optimizer,
        max_grad_norm=config.max_grad_norm,
        seed=seed,
        data_seed=seed,
        logging_steps=every,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        use_cpu=not torch.cuda.is_available(),
        bf16=model.dtype == torch.bfloat16 and torch.cuda.is_available(),
    )
    curve = _Curve(progress)
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=_Batches(examples, batches, tokenizer.pad_token_id),
        data_collator=_only,
        processing_class=tokenizer,
        callbacks=[curve],
    )
    trainer.remove_callback(PrinterCallback)
    started = time.monotonic()
    trainer.train()
    return Training(
        steps=steps,
        rows=sum(map(len, batches)),
        tokens=sum(len(examples[row].ids) for batch in batches for row in batch),
        seconds=time.monotonic() - started,
        loss=curve.losses,
    )


class _Batches(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """The batches, padded on the right, as tensors of shape (rows, longest row)."""

    def __init__(self, examples: Sequence[Example], batches: Sequence[Sequence[int]], pad: int) -> None:
        self.examples, self.batches, self.pad = examples, batches, pad

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        rows = [self.examples[row] for row in self.batches[step]]
        longest = max(len(row.ids) for row in rows)
        return {
            "input_ids": torch.tensor([row.ids + [self.pad] * (longest - len(row.ids)) for row in rows]),
            "attention_mask": torch.tensor([[1] * len(row.ids) + [0] * (longest - len(row.ids)) for row in rows]),
            "labels": torch.tensor([row.labels + [IGNORED] * (longest - len(row.labels)) for row in rows]),
        }


class _Trainer(Trainer):
    """A Trainer that reads its batches in the order given."""

    def _get_train_sampler(self, *_: Any) -> torch.utils.data.Sampler[int]:
        return torch.utils.data.SequentialSampler(self.train_dataset)


class _Curve(TrainerCallback):
    """Keeps the loss curve and tells the progress."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.losses: list[tuple[int, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.losses.append((state.global_step, round(float(logs["loss"]), 6)))
            self.progress(state.global_step, state.max_steps, float(logs["loss"]))


def _only(items: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return items[0]
