"""What this machine can run: interpreter, libraries, cores, memory, GPU, the mini base, the cache."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from dataclasses import dataclass

from composer.resources import base_model, cache_folder
from composer.trial.extras import EXTRAS, is_installed

_FOR = {
    "bitsandbytes": "trainer.optimizer=adamw_8bit and others", "peft": "trainer.lora", "liger": "trainer.kernels=liger",
}  # fmt: skip
_LIBRARIES = ("torch", "transformers", "accelerate", "datasets", "lm_eval", "optuna", "hydra-core", "pyarrow")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: `ok`, or something a recipe may miss."""

    name: str
    ok: bool
    told: str


def examine() -> list[Check]:
    """Looks at everything; touches no network."""
    return [
        Check("Python", True, platform.python_version()),
        *(_library(name) for name in _LIBRARIES),
        *(_extra(name) for name in EXTRAS),
        Check("cores", True, f"{os.cpu_count()}"),
        _memory(),
        _gpu(),
        _mosaic(),
        Check("mini base", (base_model() / "model.safetensors").is_file(), "the model of model=mini, with the package"),
        _cache(),
        _hub(),
    ]


def _library(name: str) -> Check:
    try:
        return Check(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "missing: install composer again with its dependencies")


def _extra(name: str) -> Check:
    if is_installed(name):
        return Check(name, True, f"{importlib.metadata.version(EXTRAS[name].replace('_', '-'))}, for {_FOR[name]}")
    return Check(name, False, f"not installed, for {_FOR[name]}: pip install 'composer-mix[{name}]'")


def _memory() -> Check:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Check("memory", total > 4, f"{total:.0f} GiB")


def _gpu() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check("GPU", False, "none: recipes whose model or benchmarks need one do not run here; model=mini does")
    return Check("GPU", True, f"{torch.cuda.device_count()} × {torch.cuda.get_device_name(0)}")


def _mosaic() -> Check:
    try:
        version = importlib.metadata.version("mosaicml")
    except importlib.metadata.PackageNotFoundError:
        return Check("import name", True, "composer is this package")
    return Check(
        "import name",
        False,
        f"mosaicml {version} is installed here too and has the same import name: use another environment",
    )


def _cache() -> Check:
    folder = cache_folder()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(nearest).free / 2**30
    return Check("cache", os.access(nearest, os.W_OK) and free > 1, f"{folder}, {free:.0f} GiB free")


def _hub() -> Check:
    token = bool(os.environ.get("HF_TOKEN")) or (cache_folder().parent / "huggingface" / "token").is_file()
    told = "a token is set" if token else "no token: gated sets (KMMLU-Redux, KMMLU-Pro) cannot be read from the hub"
    return Check("hub", token, told)
