"""What trials will cost: time by phase, operations, GPU-hours and disk; as measured here, or as the recipe reckons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from composer.config import BenchmarksConfig, ModelConfig
from composer.config_trainer import TrainerConfig
from composer.study.spread import Spread
from composer.trial.speed import Speed, recalled, speed_key

ROW_BYTES = 5  # of a mixture on disk, a token: text that is packed
TOKEN_BYTES = 5  # of what is kept of a tokenised mixture
STATE_BYTES = 8  # of an optimizer, a parameter: two moments
WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
MB = 2**20


@dataclass(frozen=True)
class Work:
    """What one trial does.

    Attributes:
        tokens: Of its mixture; None where that is not known.
        trained: Tokens of all its steps.
        steps: Of the optimizer; None where that is not known.
    """

    tokens: int | None
    trained: int | None
    steps: int | None


def work_of(rows: int | None, tokens: int | None, trainer: TrainerConfig) -> Work:
    """What a trial on so many rows and tokens does, which ends after its epochs or after `trainer.tokens`."""
    steps = None if rows is None else math.ceil(rows / trainer.batch_size) * trainer.epochs
    if tokens is None:
        return Work(None, None, steps)
    trained = tokens * trainer.epochs
    if trainer.tokens is not None and trainer.tokens < trained:
        steps = None if steps is None else math.ceil(steps * trainer.tokens / trained)
        trained = trainer.tokens
    return Work(tokens, trained, steps)


def measured(spec: Mapping[str, Any], spread: Spread) -> Speed | None:
    """The speed of trials like that of `spec` on this machine, if `composer plan --measure` was asked for it."""
    return recalled(key_of(spec, spread))


def key_of(spec: Mapping[str, Any], spread: Spread) -> str:
    """What the speed of a trial goes by here."""
    return speed_key(spec, "gpu" if spread.gpus else "cpu", spread.processes)


def trial_cost(work: Work, speed: Speed | None, model: ModelConfig, benchmarks: BenchmarksConfig) -> dict[str, Any]:
    """One trial: `seconds`, `phases` (of these, or null), `flops`, `gpu_hours`, `mfu`, each null where not known."""
    if work.trained is None or work.tokens is None:
        return dict.fromkeys(("seconds", "phases", "flops", "gpu_hours", "mfu"))
    if speed is None:
        rate = model.tokens_per_second
        flops = 6.0 * model.parameters * work.trained if model.parameters else None
        seconds = round(work.trained / rate + benchmarks.seconds, 1) if rate > 0 else None
        hours = None if seconds is None or "gpu" not in model.needs else round(seconds / 3600, 4)
        return {"seconds": seconds, "phases": None, "flops": flops, "gpu_hours": hours, "mfu": None}
    phases = speed.seconds(work.tokens, work.trained, work.steps or 0)
    seconds, flops = sum(phases.values()), speed.flops * work.trained
    mfu = None
    if speed.peak is not None:
        mfu = round(flops / max(phases["train"], 1e-9) / speed.peak / speed.processes, 4)
    return {
        "seconds": round(seconds, 1),
        "phases": {name: round(taken, 2) for name, taken in phases.items()},
        "flops": flops,
        "gpu_hours": round(seconds * speed.processes / 3600, 4) if speed.on_gpu else None,
        "mfu": mfu,
    }


def disk_mb(
    mixtures: Sequence[int], trials: Sequence[tuple[TrainerConfig, ModelConfig, Speed | None]], workers: int
) -> float | None:
    """What a study needs at most: mixtures and their tokens, checkpoints of trials at work, models that are kept.

    Args:
        mixtures: Tokens of each.
        trials: Of each its settings, its model, and its speed where that was measured.
        workers: Trials side by side.

    Returns:
        MB; None where the size of a model is not known.
    """
    weights, checkpoints = [], []
    for trainer, model, speed in trials:
        if speed is None and not model.parameters:
            return None
        own = speed.weights_mb if speed else model.parameters * WIDTHS.get(model.dtype, 4) / MB
        weights.append(own if trainer.keep_checkpoint else 0.0)
        checkpoints.append(speed.checkpoint_mb if speed else own + model.parameters * STATE_BYTES / MB)
    at_work = 2 * sum(sorted(checkpoints, reverse=True)[:workers])  # the last two of a trial are kept while it trains
    return round(sum(mixtures) * (ROW_BYTES + TOKEN_BYTES) / MB + at_work + sum(weights), 1)
