"""What a trial takes, as it was measured by a short one of its shape: kept on the machine, for plans to reckon with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from composer.artifacts import digest, read_json, write_json
from composer.resources import cache_folder

# What neither the time of a step nor the memory that it takes depend on.
_WHATEVER = ("name", "epochs", "tokens", "learning_rate", "schedule", "warmup_steps", "weight_decay", "monitors")
_MODEL = ("path", "revision", "dtype", "digest")
_BENCHMARKS = ("tasks", "of", "batch_size", "limit", "digest", "eval_backend")


@dataclass(frozen=True)
class Speed:
    """Seconds, memory and disk of one trial.

    Attributes:
        load: Seconds until the model is on its device.
        tokenise: Seconds a token.
        token: Seconds a trained token, beside those of its step.
        step: Seconds a step, beside those of its tokens.
        evaluate: Seconds of the whole evaluation.
        flops: Floating-point operations a trained token, `composer.trial.cost`.
        useful: The share of real tokens among all that are computed.
        peak: Operations a second that the device can do at most; None where that is not known.
        processes: Of the trial.
        on_gpu: Whether it trained on GPUs.
        memory_mb: The peak of the process.
        gpu_memory_mb: The peak of the GPU; None without one.
        weights_mb: Of a model on disk.
        checkpoint_mb: Of a checkpoint, with the optimizer's state.
        steps: That were measured.
    """

    load: float
    tokenise: float
    token: float
    step: float
    evaluate: float
    flops: float
    useful: float
    peak: float | None
    processes: int
    on_gpu: bool
    memory_mb: float
    gpu_memory_mb: float | None
    weights_mb: float
    checkpoint_mb: float
    steps: int

    def seconds(self, tokens: int, trained: int, steps: int) -> dict[str, float]:
        """By phase.

        Args:
            tokens: Of the mixture.
            trained: Of all steps.
            steps: Of the optimizer.
        """
        return {
            "load": self.load, "tokenise": self.tokenise * tokens,
            "train": self.token * trained + self.step * steps, "evaluate": self.evaluate,
        }  # fmt: skip


def speed_key(spec: Mapping[str, Any], device: str, processes: int) -> str:
    """What a trial's speed depends on, beside the lengths of its rows: model, settings, benchmarks, device."""
    trainer = {name: value for name, value in spec["trainer"].items() if name not in _WHATEVER}
    parts = [{name: spec["model"][name] for name in _MODEL}, trainer]
    return digest([*parts, {name: spec["benchmarks"].get(name) for name in _BENCHMARKS}, device, processes])[:16]


def recalled(key: str) -> Speed | None:
    """The speed of a shape, where it was measured on this machine."""
    file = cache_folder() / "speeds" / f"{key}.json"
    told = read_json(file) if file.exists() else {}
    # One of an older version lacks what it did not measure.
    return Speed(**told) if set(told) == {of.name for of in fields(Speed)} else None


def keep(key: str, measured: Sequence[Speed]) -> Speed:
    """Keeps the mean of what processes side by side measured."""
    told = [asdict(one) for one in measured]
    means = {name: _mean([one[name] for one in told]) for name in told[0]}
    for name in ("processes", "on_gpu", "steps"):
        means[name] = told[0][name]
    write_json(cache_folder() / "speeds" / f"{key}.json", means)
    return Speed(**means)


def _mean(values: Sequence[Any]) -> Any:
    return None if None in values else sum(values) / len(values)
