"""The plan of a study: its arms and seeds, what each reads and costs, and the trials with their keys. Runs nothing."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from composer.errors import NeedsError, OutputError
from composer.mixture import Mixture, compose, manifest
from composer.pool import Pool
from composer.recipe import Recipe
from composer.study.runner import Trial
from composer.trial.backends import check_backend
from composer.trial.spec import trial_key, trial_spec

PLAN_VERSION = 2
# What may differ between two runs of one study: how it is run, where it lies, how its findings are judged.
_FREE = ("launcher", "out", "findings")


@dataclass(frozen=True)
class Plan:
    """A study made definite.

    Attributes:
        facts: The plan as `plan.json` holds it.
        mixtures: Each arm's mixture.
        trials: Every arm with every seed, one seed after the other, so that a study cut short has whole pairs.
    """

    facts: dict[str, Any]
    mixtures: dict[str, Mixture]
    trials: list[Trial]


def make_plan(recipe: Recipe, pool: Pool) -> Plan:
    """Composes every arm's mixture from the pool's index and says what the study will do.

    `plan.json`, version 2: `recipe`, `label`, `command`, `baseline`, `comparisons`, `findings`, `benchmarks`,
    `categories`, `pool`, `model`, `arms` (label, mixture manifest, steps, training_tokens, expected seconds), `trials`
    (arm, seed, key), `expected` (trials, rows, tokens, seconds of all trials, wall-clock seconds with the launcher's
    workers).

    Raises:
        ConfigError: A quota or an edit names a category that the pool does not have.
        ShortageError: The pool has too few rows for an arm.
    """
    config, trainer = recipe.config, recipe.config.trainer
    mixtures, arms, trials = {}, {}, []
    for name, declared in recipe.arms.items():
        mixtures[name] = compose(pool.index, recipe.mixtures[name])
        described = manifest(mixtures[name], pool.name, pool.digest, recipe.mixtures[name])
        tokens = described["tokens"] * trainer.epochs
        arms[name] = {
            "label": declared.label or name,
            "mixture": described,
            "steps": math.ceil(described["rows"] / trainer.batch_size) * trainer.epochs,
            "training_tokens": tokens,
            "seconds": _seconds(tokens, config.model.tokens_per_second, config.benchmarks.seconds),
        }
    for seed in range(config.study.seeds):
        for name, arm in arms.items():
            spec = trial_spec(
                f"mixtures/{name}", arm["mixture"]["digest"], config.model, trainer, config.benchmarks, seed
            )
            trials.append(Trial(name, seed, trial_key(spec), spec, arm["steps"], arm["label"]))
    once = {trial.key: arms[trial.arm] for trial in trials}
    taken = [arm["seconds"] for arm in once.values()]
    seconds = None if None in taken else round(sum(taken), 1)
    facts = {
        "version": PLAN_VERSION,
        "recipe": recipe.name,
        "label": config.study.label or recipe.name,
        "command": " ".join(["composer run", recipe.name, *recipe.overrides]),
        "baseline": config.study.baseline,
        "comparisons": {name: asdict(pair) for name, pair in config.study.comparisons.items()},
        "findings": asdict(config.findings),
        "benchmarks": {name: asdict(of) for name, of in config.benchmarks.of.items()},
        "categories": sorted({category for arm in arms.values() for category in arm["mixture"]["categories"]}),
        "pool": {"name": pool.name, "digest": pool.digest, "rows": len(pool.index)},
        "model": {key: getattr(config.model, key) for key in ("name", "label", "parameters")},
        "arms": arms,
        "trials": [{"arm": trial.arm, "seed": trial.seed, "key": trial.key} for trial in trials],
        "needs": needs(recipe),
        "expected": {
            "trials": len(once),
            "rows": sum(arm["mixture"]["rows"] for arm in once.values()) * trainer.epochs,
            "tokens": sum(arm["training_tokens"] for arm in once.values()),
            "seconds": seconds,
            "wall_seconds": None if seconds is None else round(seconds / config.launcher.workers, 1),
        },
    }
    return Plan(facts, mixtures, trials)


def needs(recipe: Recipe) -> list[str]:
    """What the recipe's pool, model and benchmarks need beyond a CPU: `network`, `gpu`."""
    config = recipe.config
    return sorted({need for part in (config.pool, config.model, config.benchmarks) for need in part.needs})


def check_needs(recipe: Recipe) -> None:
    """Refuses, before anything is downloaded, what this machine cannot run.

    Raises:
        NeedsError: A GPU is needed and there is none, the network is needed, or an extra package is missing.
    """
    config = recipe.config
    check_backend(config.benchmarks.eval_backend)
    lines = [
        f"{group}={part.name} needs {' and '.join(_NEED[need] for need in part.needs)}"
        for group, part in (("pool", config.pool), ("model", config.model), ("benchmarks", config.benchmarks))
        if part.needs
    ]
    if lines:
        raise NeedsError(
            "\n".join(lines) + f"\n`composer plan {recipe.name}` with a local pool and `--cfg job` work without them; "
            "for a run on this machine use pool=mini model=mini benchmarks=mini"
        )


def check_out(out: Path, config: dict[str, Any]) -> None:
    """Checks that `out` is free, or holds this very study.

    Raises:
        OutputError: It holds another study, or something else.
    """
    kept = out / "config.yaml"
    if not kept.exists():
        others = (
            [path.name for path in out.iterdir() if path.name not in {"plan.json", ".lock"}] if out.is_dir() else []
        )
        if out.exists() and not out.is_dir():
            raise OutputError(f"out is {out}, which is a file: give a folder, as out=…")
        if others:
            raise OutputError(
                f"out is {out}, which holds other files ({', '.join(sorted(others)[:3])}): choose another out=…"
            )
        return
    held = OmegaConf.to_container(OmegaConf.load(kept))
    differing = [
        f"{key} is {new} and was {old}"
        for key, old, new in _differences(held, config)
        if key.split(".")[0] not in _FREE and key != "study.seeds"
    ]
    if differing:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise OutputError(
            f"out is {out}, which holds another study ({'; '.join(differing[:3])}{more}): "
            "choose another out=…, or remove that folder"
        )


_NEED = {"network": "the network (the Hugging Face hub)", "gpu": "a GPU"}


def _seconds(tokens: int, per_second: float, evaluation: float) -> float | None:
    return round(tokens / per_second + evaluation, 1) if per_second > 0 else None


def _differences(old: Any, new: Any, key: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        names = [*old, *(name for name in new if name not in old)]
        return [
            found
            for name in names
            for found in _differences(old.get(name), new.get(name), f"{key}.{name}" if key else str(name))
        ]
    return [] if old == new else [(key, old, new)]
