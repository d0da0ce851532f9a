"""Packages that some trainer settings want, and that are installed only where somebody asked for them."""

from __future__ import annotations

import importlib.util

from composer.config_trainer import BNB_OPTIMIZERS, TrainerConfig
from composer.errors import NeedsError

EXTRAS = {"bitsandbytes": "bitsandbytes", "peft": "peft", "liger": "liger_kernel"}  # extra → what it lets us import


def is_installed(extra: str) -> bool:
    """Whether an extra of `EXTRAS` is here; nothing is imported."""
    return importlib.util.find_spec(EXTRAS[extra]) is not None


def check_extras(config: TrainerConfig) -> None:
    """Raises `NeedsError` where a setting wants a package that is not installed."""
    wanted = {
        "bitsandbytes": f"optimizer={config.optimizer}" if config.optimizer in BNB_OPTIMIZERS else None,
        "peft": "lora" if config.lora is not None else None,
        "liger": "kernels=liger" if config.kernels == "liger" else None,
    }
    lines = [
        f"trainer.{setting} needs {EXTRAS[extra]}, which is not installed: pip install 'composer-mix[{extra}]'"
        for extra, setting in wanted.items()
        if setting is not None and not is_installed(extra)
    ]
    if lines:
        raise NeedsError("\n".join(lines))
