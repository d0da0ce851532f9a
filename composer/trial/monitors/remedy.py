"""What to try where a loss drifts upward: the changes that stabilised Ko-R1-3, in the order in which it names them."""

from __future__ import annotations

import math

from composer.config_trainer import BNB_OPTIMIZERS, TrainerConfig

LOWER = 3.0  # what a learning rate is divided by, unless half of that at which the loss still fell is lower
DECAY = 0.1  # the least weight decay


def remedy(config: TrainerConfig, rate: float) -> str:
    """Overrides, ready to be pasted behind a command: a lower rate, more decay, a shorter warm-up, plain AdamW.

    Args:
        config: The settings that the loss drifted under.
        rate: The learning rate at which the loss last became better; NaN where that is not known.
    """
    lower = config.learning_rate / LOWER
    if math.isfinite(rate) and rate > 0:
        lower = min(lower, rate / 2)
    changes = [f"trainer.learning_rate={lower:.1g}", f"trainer.weight_decay={max(DECAY, 2 * config.weight_decay):g}"]
    if config.warmup_steps > 1:
        changes.append(f"trainer.warmup_steps={config.warmup_steps // 2}")
    if config.optimizer in BNB_OPTIMIZERS:
        changes.append("trainer.optimizer=adamw")
    return " ".join(changes)
