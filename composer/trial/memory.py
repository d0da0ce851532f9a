"""How many tokens of a pass memory holds: found once, then known to every trial of this shape on this device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from composer.artifacts import digest, read_json, write_json
from composer.errors import TrialError
from composer.resources import cache_folder

AGAIN = "again.json"  # in a trial's folder: it is to be started once more, memory having ended
LEAST = 64  # tokens of a pass, below which halving helps nobody


class MemoryEnded(TrialError):
    """A pass of a trial of several processes did not fit; `micro_tokens` are to be tried next."""

    def __init__(self, told: str, micro_tokens: int) -> None:
        """Takes the sentence and the size."""
        super().__init__(told)
        self.micro_tokens = micro_tokens


def shape_key(spec: dict[str, Any], device: str, processes: int) -> str:
    """What a pass's memory depends on: the model, how it is trained, and on what."""
    model = {name: spec["model"][name] for name in ("path", "revision", "dtype", "digest")}
    names = (
        "max_length", "packing", "precision", "attention", "gradient_checkpointing", "compile", "kernels", "lora",
        "sharding", "optimizer",
    )  # fmt: skip
    return digest([model, {name: spec["trainer"][name] for name in names}, device, processes])[:16]


def remembered(key: str) -> int | None:
    """The tokens of a pass that were found to fit, or are to be tried next."""
    file = _file(key)
    return int(read_json(file)["micro_tokens"]) if file.exists() else None


def remember(key: str, micro_tokens: int) -> None:
    """Keeps the tokens of a pass for later trials."""
    write_json(_file(key), {"micro_tokens": micro_tokens})


def ask_again(folder: Path, micro_tokens: int) -> None:
    """Has the study start a trial of several processes once more, in passes of so many tokens."""
    write_json(folder / AGAIN, {"micro_tokens": micro_tokens})


def _file(key: str) -> Path:
    return cache_folder() / "micro_tokens" / f"{key}.json"
