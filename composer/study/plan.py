"""The plan of a study: its arms and seeds, what each reads and costs, and the trials with their keys. Runs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from omegaconf import OmegaConf

from composer.config import MixtureConfig
from composer.config_designs import ClaimConfig
from composer.errors import ConfigError, NeedsError, OutputError
from composer.mixture import Mixture, compose, manifest
from composer.mixture.planned import planned_rows
from composer.pool import Pool
from composer.recipe import Recipe, load_model
from composer.study.cost import disk_mb, measured, trial_cost, work_of
from composer.study.designs import Design, pool_problems
from composer.study.designs.variants import multiple
from composer.study.domain import is_proposed
from composer.study.runner import Trial
from composer.study.spread import Spread
from composer.trial.backends import check_backend
from composer.trial.extras import check_extras
from composer.trial.spec import trial_key, trial_spec
from composer.trial.speed import Speed

PLAN_VERSION = 2
# What may differ between two runs of one study: how it is run, where it lies, how its findings are judged.
_FREE = (
    "launcher", "out", "findings", "study.seeds", "study.claims", "study.search.trials", "study.search.lease_seconds",
    "benchmarks.noise", "benchmarks.seconds",
)  # fmt: skip


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


def make_plan(recipe: Recipe, pool: Pool | None, composed: Mapping[str, Mixture] = MappingProxyType({})) -> Plan:
    """Composes every arm's mixture from the pool's index and says what the study will do.

    `plan.json`, version 2: `recipe`, `label`, `command`, `baseline`, `comparisons`, `findings`, `benchmarks`,
    `categories`, `pool`, `model`, `seeds`, `arms` (label, whether the recipe declares it, mixture manifest, steps,
    training_tokens, and of one trial `cost.trial_cost`),
    `designs` (`designs.Design`, and what its arms cost), `claims` (`ClaimConfig`, its dose in rows), `search`
    (`SearchConfig`, or null), `trials` (arm, seed, key), `needs`, `unknown` (what cannot be known here, a sentence
    each), `expected` (trials, further_trials that adaptive designs and a search may add at most; of all trials rows,
    tokens, seconds, flops and gpu_hours; wall-clock seconds with the launcher's workers, disk_mb at most, and whether
    that was measured here).

    Without its pool a plan has no mixtures and no trials: digests, tokens and seconds are null, and `unknown` says why.

    Args:
        recipe: What is to be planned.
        pool: Its pool, or None where that is out of reach.
        composed: Arm → its mixture, where it was composed already.

    Raises:
        ConfigError: A quota, an edit or a design asks for what the pool does not have; all that designs ask is listed.
        ShortageError: The pool has too few rows for an arm.
    """
    config = recipe.config
    if pool is not None and (problems := list(pool_problems(recipe.designs, recipe.mixtures, pool.index))):
        raise ConfigError(problems)
    mixtures: dict[str, Mixture] = {}
    arms: dict[str, dict[str, Any]] = {}
    trials: list[Trial] = []
    speeds: dict[str, Speed | None] = {}
    for name, declared in recipe.arms.items():
        trainer, model = replace(config.trainer, **declared.trainer), recipe.models.get(name, config.model)
        if pool is None:
            described = _declared(recipe.mixtures[name])
        else:
            mixtures[name] = composed[name] if name in composed else compose(pool.index, recipe.mixtures[name])
            described = manifest(mixtures[name], pool.name, pool.digest, recipe.mixtures[name])
        if pool is not None:
            spec = _spec(recipe, name, described["digest"], 0)
            speeds[name] = measured(spec, Spread.of(config.launcher))
        work = work_of(described["rows"], described["tokens"], trainer)
        arms[name] = {
            "label": declared.label or name,
            "declared": name in config.study.arms,  # by the recipe, not by a design
            "mixture": described,
            "steps": work.steps,
            "training_tokens": work.trained,
            **trial_cost(work, speeds.get(name), model, config.benchmarks),
            "trainer": dict(declared.trainer),
        }
    for seed in range(config.study.seeds):
        for name, arm in arms.items() if pool is not None else ():
            spec = _spec(recipe, name, arm["mixture"]["digest"], seed)
            trials.append(Trial(name, seed, trial_key(spec), spec, arm["steps"], arm["label"]))
    facts = {
        "version": PLAN_VERSION,
        "recipe": recipe.name,
        "label": config.study.label or recipe.name,
        "command": " ".join(["composer run", recipe.name, *recipe.overrides]),
        "baseline": recipe.baseline,
        "comparisons": {name: asdict(pair) for name, pair in recipe.comparisons.items()},
        "findings": asdict(config.findings),
        "benchmarks": {name: asdict(of) for name, of in config.benchmarks.of.items()},
        "categories": sorted({category for arm in arms.values() for category in arm["mixture"]["categories"]}),
        "pool": {"name": config.pool.name, "digest": None, "rows": None}
        if pool is None
        else {"name": pool.name, "digest": pool.digest, "rows": len(pool.index)},
        "model": {key: getattr(config.model, key) for key in ("name", "label", "parameters")},
        "seeds": config.study.seeds,
        "arms": arms,
        "designs": {design.name: _design(design, arms, config.study.seeds) for design in recipe.designs},
        "claims": {name: _claim(claim, recipe) for name, claim in config.study.claims.items()},
        "search": None if config.study.search is None else asdict(config.study.search),
        "trials": [{"arm": trial.arm, "seed": trial.seed, "key": trial.key} for trial in trials],
        "needs": needs(recipe),
        "unknown": list(_unknown(recipe, pool)),
        "expected": _expected(recipe, arms, trials if pool is not None else None, speeds),
    }
    return Plan(facts, mixtures, trials)


def _spec(recipe: Recipe, arm: str, mixture: str, seed: int) -> dict[str, Any]:
    config = recipe.config
    trainer = replace(config.trainer, **recipe.arms[arm].trainer)
    model = recipe.models.get(arm, config.model)
    return trial_spec(f"mixtures/{arm}", mixture, model, trainer, config.benchmarks, seed)


def _declared(mixture: MixtureConfig) -> dict[str, Any]:
    """What a manifest would say of a mixture, as far as it is known without the pool."""
    counts = planned_rows(mixture) if mixture.by != "tokens" else {}
    size = sum(counts.values()) or None
    unknown: dict[str, Any] = {"tokens": None, "available": None, "strata": {}}
    return {
        "rows": size,
        "tokens": None,
        "digest": None,
        "categories": {
            category: {"asked": rows, "rows": rows, "share": rows / (size or 1), **unknown}
            for category, rows in counts.items()
        },
    }


def _design(design: Design, arms: Mapping[str, Any], seeds: int) -> dict[str, Any]:
    """A design with what its arms cost, whether or not they are other designs' arms too."""
    costs = [arms[arm] for arm in design.arms]
    return {
        **asdict(design),
        "trials": len(costs) * seeds,
        "further_trials": _further(design) * seeds,
        "tokens": _sum([cost["training_tokens"] for cost in costs], seeds),
        "seconds": _sum([cost["seconds"] for cost in costs], seeds),
    }


def _further(design: Design) -> int:
    """The doses that an adaptive design may still ask for."""
    return max(0, design.config.max_doses - len(design.points)) if design.kind == "adaptive_dose" else 0


def _proposals_left(recipe: Recipe) -> int:
    """The mixtures that a search may still propose, and all that it may train at other fidelities."""
    search = recipe.config.study.search
    if search is None:
        return 0
    cheap = sum(of.trials for of in search.fidelities.values())
    return cheap + max(0, search.trials - sum(is_proposed(arm) for arm in recipe.arms.values()))


def _claim(claim: ClaimConfig, recipe: Recipe) -> dict[str, Any]:
    """A claim with its dose in rows."""
    design = next((one for one in recipe.designs if one.name == claim.design), None)
    dose = claim.dose
    if claim.fraction is not None and design is not None:
        dose = multiple(claim.fraction, design.base_rows.get(str(design.config.category), 0))
    return {**asdict(claim), "dose": dose}


def _unknown(recipe: Recipe, pool: Pool | None) -> Iterator[str]:
    config = recipe.config
    if pool is None:
        yield (
            f"pool={config.pool.name} is not on this machine: whether it has these rows, their tokens, the trials' "
            "keys and the time that they take"
        )
    elif config.model.tokens_per_second <= 0:
        yield "the time that trials take: `composer plan --measure` trains a few steps, or set model.tokens_per_second"
    if pool is None and any(mixture.by == "tokens" for mixture in recipe.mixtures.values()):
        yield "the rows of mixtures with by=tokens"


def _expected(
    recipe: Recipe, arms: Mapping[str, Any], trials: Sequence[Trial] | None, speeds: Mapping[str, Speed | None]
) -> dict[str, Any]:
    """What all trials cost; arms that are one mixture count once, where their keys are known."""
    config, seeds = recipe.config, recipe.config.study.seeds
    if trials is None:
        once = [arm for arm in arms.values() for _ in range(seeds)]
    else:
        once = list({trial.key: arms[trial.arm] for trial in trials}.values())
    seconds = _sum([arm["seconds"] for arm in once])
    return {
        "trials": len(once),
        "further_trials": (sum(_further(design) for design in recipe.designs) + _proposals_left(recipe)) * seeds,
        "rows": _sum([arm["mixture"]["rows"] for arm in once], config.trainer.epochs),
        "tokens": _sum([arm["training_tokens"] for arm in once]),
        "seconds": seconds,
        "wall_seconds": None if seconds is None else round(seconds / config.launcher.workers, 1),
        "flops": _sum([arm["flops"] for arm in once]),
        "gpu_hours": None if (hours := [arm["gpu_hours"] for arm in once]) and None in hours else round(sum(hours), 2),
        "disk_mb": None if trials is None else _disk(recipe, arms, trials, speeds),
        "measured": bool(speeds) and None not in speeds.values(),
    }


def _disk(
    recipe: Recipe, arms: Mapping[str, Any], trials: Sequence[Trial], speeds: Mapping[str, Speed | None]
) -> float | None:
    config, once = recipe.config, {trial.key: trial.arm for trial in trials}.values()
    mixtures = {arm["mixture"]["digest"]: arm["mixture"]["tokens"] for arm in arms.values()}
    of_trials = [
        (replace(config.trainer, **recipe.arms[arm].trainer), recipe.models.get(arm, config.model), speeds[arm])
        for arm in once
    ]
    return disk_mb(list(mixtures.values()), of_trials, config.launcher.workers)


def _sum(numbers: Sequence[Any], times: int = 1) -> Any:
    """The sum, or None where a number is unknown."""
    return None if None in numbers else round(sum(numbers) * times, 1)


def needs(recipe: Recipe) -> list[str]:
    """What the recipe's pool, model and benchmarks need beyond a CPU: `network`, `gpu`."""
    return sorted({need for _, part in _parts(recipe) for need in part.needs})


def _parts(recipe: Recipe) -> list[tuple[str, Any]]:
    """What may need more than a CPU, by its group."""
    config, search = recipe.config, recipe.config.study.search
    models = [config.model]
    if search is not None:
        models += [load_model(of.model) for of in search.fidelities.values() if of.model is not None]
    return [("pool", config.pool), *(("model", model) for model in models), ("benchmarks", config.benchmarks)]


def check_needs(recipe: Recipe) -> None:
    """Refuses, before anything is downloaded, what this machine cannot run.

    Raises:
        NeedsError: A GPU is needed and there is none, the network is needed, or an extra package is missing.
    """
    check_backend(recipe.config.benchmarks.eval_backend)
    for arm in recipe.arms.values():
        check_extras(replace(recipe.config.trainer, **arm.trainer))
    lines = [
        f"{group}={part.name} needs {' and '.join(_NEED[need] for need in part.needs)}"
        for group, part in _parts(recipe)
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
        _PASSWORD.sub(r"\1***@", f"{key} is {new} and was {old}")
        for key, old, new in _differences(held, config)
        if not (any(f"{key}.".startswith(f"{free}.") for free in _FREE) or _told(key))
    ]
    if differing:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise OutputError(
            f"out is {out}, which holds another study ({'; '.join(differing[:3])}{more}): "
            "choose another out=…, or remove that folder"
        )


_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]+@")  # in the URL of a storage
_NEED = {"network": "the network (the Hugging Face hub)", "gpu": "a GPU"}


def _told(key: str) -> bool:
    """Whether a key only tells people something: how many items a benchmark has."""
    return key.startswith("benchmarks.of.") and key.endswith(".items")


def _differences(old: Any, new: Any, key: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        names = [*old, *(name for name in new if name not in old)]
        return [
            found
            for name in names
            for found in _differences(old.get(name), new.get(name), f"{key}.{name}" if key else str(name))
        ]
    # A key that an older composer did not have, and that says nothing, makes no other study.
    return [] if old == new or (old is None and not new) else [(key, old, new)]
