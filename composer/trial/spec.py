"""What determines a trial, and the key made of it."""

from __future__ import annotations

import functools
import importlib.metadata
from dataclasses import asdict
from pathlib import Path
from typing import Any

from composer import __version__
from composer.artifacts import digest, file_digest, folder_digest
from composer.config import BenchmarksConfig, ModelConfig
from composer.config_trainer import FREE, TrainerConfig
from composer.resources import base_model, eval_folders

SPEC_VERSION = 2
_LIBRARIES = ("torch", "transformers", "accelerate", "lm_eval", "tokenizers")


def trial_spec(
    mixture: str,
    mixture_digest: str,
    model: ModelConfig,
    trainer: TrainerConfig,
    benchmarks: BenchmarksConfig,
    seed: int,
) -> dict[str, Any]:
    """All that a trial needs to run, as JSON; `mixture` is the mixture's folder relative to the study's."""
    return {
        "version": SPEC_VERSION,
        "mixture": {"folder": mixture, "digest": mixture_digest},
        "model": {**asdict(model), "digest": _model_digest(model)},
        "trainer": asdict(trainer),
        "benchmarks": {**asdict(benchmarks), "digest": _tasks_digest(benchmarks)},
        "seed": seed,
        "versions": {"composer": __version__, **_versions()},
    }


@functools.cache
def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}


def trial_key(spec: dict[str, Any]) -> str:
    """The first 16 hexadecimal digits of the hash of all in `spec` that determines the result."""
    settings = {name: value for name, value in spec["trainer"].items() if name not in FREE}
    model = {name: spec["model"][name] for name in ("path", "revision", "dtype", "digest")}
    scores = {name: spec["benchmarks"][name] for name in ("tasks", "of", "batch_size", "limit", "digest")}
    if spec["benchmarks"].get("eval_backend", "hf") != "hf":  # trials of before there was a choice keep their keys
        scores["eval_backend"] = spec["benchmarks"]["eval_backend"]
    scores["of"] = {
        name: {"label": "", "accuracy": of["accuracy"], "smooth": of["smooth"]} for name, of in scores["of"].items()
    }
    determining = {
        "mixture": spec["mixture"]["digest"],
        "model": model,
        "trainer": settings,
        "benchmarks": scores,
        **{name: spec[name] for name in ("version", "seed", "versions")},
    }
    return digest(determining)[:16]


def model_path(model: dict[str, Any]) -> str:
    """Where transformers finds the model: a folder, or a hub id."""
    return str(base_model()) if model["path"] == "mini" else str(model["path"])


def _model_digest(model: ModelConfig) -> str | None:
    """The hash of a local model's weights and settings; a hub model is fixed by its revision."""
    folder = Path(model_path(asdict(model)))
    if not folder.is_dir():
        return None
    files = [path for path in sorted(folder.iterdir()) if path.suffix in {".json", ".safetensors", ".jinja", ".model"}]
    return digest([[path.name, file_digest(path)] for path in files if path.name != "settings.json"])


def _tasks_digest(benchmarks: BenchmarksConfig) -> str:
    digests = [folder_digest(folder) for folder in eval_folders(benchmarks.tasks)]
    return digests[0] if len(digests) == 1 else digest(digests)
