"""The part of a recipe that says how a trial trains, and what it does where training goes wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import get_args, get_type_hints

from omegaconf import MISSING

from composer.checks import one_of

SCHEDULES = ("linear", "cosine", "constant", "constant_with_warmup")
# `adamw` is the fused one on a GPU.
PLAIN_OPTIMIZERS = ("adamw", "adamw_torch", "adamw_torch_fused", "adafactor", "adagrad", "rmsprop", "sgd")
# Of the extra bitsandbytes; `paged`: what memory does not hold of their states goes to the host's.
BNB_OPTIMIZERS = (
    "adamw_8bit", "paged_adamw_8bit", "paged_adamw_32bit", "ademamix", "ademamix_8bit", "paged_ademamix_8bit",
    "paged_ademamix_32bit", "lion_8bit", "lion_32bit", "paged_lion_8bit", "paged_lion_32bit", "rmsprop_bnb",
    "rmsprop_bnb_8bit", "rmsprop_bnb_32bit",
)  # fmt: skip
OPTIMIZERS = (*PLAIN_OPTIMIZERS, *BNB_OPTIMIZERS)  # transformers' names; those it has beyond want more settings
PACKING = ("off", "best_fit")
LONG_ROWS = ("error", "reject", "truncate", "split")
LOSSES = ("token", "row")
ATTENTION = ("auto", "sdpa", "eager", "varlen", "flash_attention_2", "flash_attention_3")
PRECISIONS = ("model", "bf16")
KERNELS = ("none", "liger")
SHARDING = ("none", "fsdp")
POLICIES = ("off", "warn", "skip", "rollback", "lower_lr", "stop")


@dataclass
class LoraConfig:
    """Training of low-rank adapters instead of all weights, through the extra `peft`."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    targets: str = "all-linear"  # names of layers, with commas between them

    def problems(self, key: str) -> Iterator[str]:
        """What is wrong with this section, found at `key`."""
        for name in ("rank", "alpha"):
            if getattr(self, name) < 1:
                yield f"{key}.{name} is {getattr(self, name)}: it must be at least 1"
        if not 0 <= self.dropout < 1:
            yield f"{key}.dropout is {self.dropout}: it must be in [0, 1)"


@dataclass
class MonitorConfig:
    """What is done where a monitor finds something."""

    policy: str = "warn"
    threshold: float = 0.0  # in the monitor's own unit; 0: its default

    def problems(self, key: str, allowed: tuple[str, ...]) -> Iterator[str]:
        """What is wrong with this section, found at `key`."""
        yield from one_of(f"{key}.policy", self.policy, allowed)
        if not (math.isfinite(self.threshold) and self.threshold >= 0):
            yield f"{key}.threshold is {self.threshold}: it must be a finite number of at least 0; 0 is the default"


@dataclass
class MonitorsConfig:
    """What is watched while a trial trains."""

    spike: MonitorConfig = field(default_factory=MonitorConfig)  # a step whose rows are far harder than their like
    repeats: MonitorConfig = field(default_factory=MonitorConfig)  # a step that is all but made of a few rows
    drift: MonitorConfig = field(default_factory=MonitorConfig)  # a loss that keeps rising
    plateau: MonitorConfig = field(default_factory=lambda: MonitorConfig(policy="off"))  # one that no longer falls
    divergence: MonitorConfig = field(default_factory=lambda: MonitorConfig(policy="stop"))  # NaN or infinite

    def problems(self, key: str) -> Iterator[str]:
        """What is wrong with this section, found at `key`."""
        yield from self.spike.problems(f"{key}.spike", POLICIES)
        yield from self.repeats.problems(f"{key}.repeats", POLICIES)
        yield from self.drift.problems(f"{key}.drift", ("off", "warn", "lower_lr", "stop"))
        yield from self.plateau.problems(f"{key}.plateau", ("off", "warn", "lower_lr", "stop"))
        yield from self.divergence.problems(f"{key}.divergence", ("skip", "rollback", "stop"))


@dataclass
class StoppingConfig:
    """Evaluation while a trial trains, on some items of each benchmark, and an end where it no longer helps."""

    every_tokens: int = 0  # 0: none
    items: int = 32  # of each benchmark's smooth score
    patience: int = 3  # evaluations without a better mean before training ends

    def problems(self, key: str) -> Iterator[str]:
        """What is wrong with this section, found at `key`."""
        for name, least in (("every_tokens", 0), ("items", 1), ("patience", 1)):
            if getattr(self, name) < least:
                yield f"{key}.{name} is {getattr(self, name)}: it must be at least {least}"


@dataclass
class TrainerConfig:
    """How a trial trains."""

    name: str = MISSING
    epochs: int = 2
    tokens: int | None = None  # ends after the step that has read so many, instead of after `epochs`
    batch_size: int = 16  # rows a step, over all processes
    learning_rate: float = 1e-3
    schedule: str = "linear"
    warmup_steps: int = 10
    weight_decay: float = 0.0
    optimizer: str = "adamw"
    max_grad_norm: float = 1.0
    max_length: int = 512  # tokens of a row, and of a packed line
    long_rows: str = "error"
    packing: str = "off"  # off: rows of like length share a step, and are padded
    loss: str = "token"  # a mean over the step's tokens, or over its rows' means
    think_weight: float = 1.0  # what a token of thinking counts, where one of the answer counts 1
    precision: str = "model"  # bf16: weights as they are, products in bfloat16
    attention: str = "auto"
    gradient_checkpointing: bool = False
    compile: bool = False
    kernels: str = "none"  # liger: fused layers, through the extra `liger`
    lora: LoraConfig | None = None
    sharding: str = "none"  # of weights over processes
    monitors: MonitorsConfig = field(default_factory=MonitorsConfig)
    stopping: StoppingConfig = field(default_factory=StoppingConfig)
    # What follows changes no result.
    micro_tokens: int | None = None  # of one pass, at most; null: found, and halved where memory ends
    checkpoint_steps: int | None = None  # null: by time alone
    checkpoint_minutes: float = 10.0
    keep_checkpoint: bool = False

    def problems(self) -> Iterator[str]:
        """What is wrong with this section."""
        for name, allowed in (
            ("schedule", SCHEDULES), ("packing", PACKING), ("long_rows", LONG_ROWS), ("loss", LOSSES),
            ("precision", PRECISIONS), ("attention", ATTENTION), ("kernels", KERNELS), ("sharding", SHARDING),
            ("optimizer", OPTIMIZERS),
        ):  # fmt: skip
            yield from one_of(f"trainer.{name}", getattr(self, name), allowed)
        for name in ("epochs", "batch_size", "max_length"):
            if getattr(self, name) < 1:
                yield f"trainer.{name} is {getattr(self, name)}: it must be at least 1"
        for name in ("tokens", "micro_tokens", "checkpoint_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                yield f"trainer.{name} is {value}: it must be at least 1, or null"
        for name in ("learning_rate", "max_grad_norm", "checkpoint_minutes"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                yield f"trainer.{name} is {getattr(self, name)}: it must be a finite number above 0"
        for name in ("weight_decay", "warmup_steps", "think_weight"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                yield f"trainer.{name} is {getattr(self, name)}: it must be a finite number of at least 0"
        if self.lora is not None:
            yield from self.lora.problems("trainer.lora")
        yield from self.monitors.problems("trainer.monitors")
        yield from self.stopping.problems("trainer.stopping")


# Settings that change how a trial runs, and not what comes of it.
FREE = ("name", "keep_checkpoint", "micro_tokens", "checkpoint_steps", "checkpoint_minutes")


def plain_settings() -> dict[str, tuple[type, ...]]:
    """The settings that an arm or a search may set, which are those without parts, with the types that each takes."""
    plain = {bool: (bool,), int: (int,), float: (float, int), str: (str,)}
    found = {}
    for name, hint in get_type_hints(TrainerConfig).items():
        kinds = [kind for of in get_args(hint) or (hint,) for kind in plain.get(of, (of,))]
        if name != "name" and set(kinds) <= {bool, int, float, str, type(None)}:
            found[name] = tuple(kinds)
    return found
