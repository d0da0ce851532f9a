"""Reads finished trials by mixture: from a run's folder, or from a CSV file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from composer.artifacts import digest, read_json
from composer.checks import listed
from composer.config import Config
from composer.config_search import COST, RangeConfig, SearchConfig
from composer.config_trainer import plain_settings
from composer.errors import FindingsError, RequestError, TrialError
from composer.findings.asked import ALL, SCORES, SHARES, Asked
from composer.findings.find import read_plan
from composer.findings.published import read_swarms
from composer.findings.run_config import read_config
from composer.findings.trained import Mixture, Trained, make_trained
from composer.mixture.planned import planned_rows
from composer.study.domain import SIZE
from composer.study.objectives import read_scores

Array = NDArray[np.float64]

SAME_SIZE = 1.02  # sizes within this ratio are one
WIDE = 4.0  # a setting whose values span such a ratio is seen by its logarithm


def read_trained(asked: Asked) -> Trained:
    """Reads a run's folder or a CSV file.

    Raises:
        RequestError: It is neither, names are unknown, or there are fewer than 4 distinct mixtures.
        FindingsError: A score of a trial is missing or not finite.
    """
    if asked.source.is_dir():
        return _read_run(asked)
    if asked.source.is_file():
        return _read_csv(asked)
    raise RequestError(
        f"{asked.source} is neither the folder of a run nor a CSV file: give one of them, such as runs/quickstart"
    )


def _read_run(asked: Asked) -> Trained:
    run = asked.source
    for name in ("shares", "scores", "where", "lower"):
        if getattr(asked, name):
            raise RequestError(f"--{name} is given: it is for a CSV file, and {run} is the folder of a run; leave it")
    plan = read_plan(run)
    config = read_config(run)
    names, categories = tuple(plan["benchmarks"]), tuple(plan["categories"])
    search = config.study.search or SearchConfig()
    wanted = search.weights(names) or {name: 1.0 for name in search.pareto if name != COST}
    notes = []
    if search.pareto and not asked.weights:
        notes.append("the search keeps its objectives apart: its benchmarks count equally here; say --weights for more")
    scores, trials = _trial_scores(run, plan)
    mixtures = _arms(plan, config, scores)
    ranges, whole = _ranges(search, mixtures, config)
    sizes = [sum(one.rows.values()) for one in mixtures]
    varies = bool(sizes) and max(sizes) > SAME_SIZE * min(sizes)
    mixtures = [_seen(one, ranges, varies, config) for one in mixtures]
    bounds: dict[str, tuple[float, float]] = {}
    if config.study.search is not None:
        varied = set(planned_rows(config.mixture) if config.mixture.by != "tokens" else config.mixture.quotas)
        bounds = {name: (0.0, 1.0) if name in varied else (0.0, 0.0) for name in categories}
        bounds |= {name: (float(low), float(high)) for name, (low, high) in search.bounds.items() if name in bounds}
    signs = np.array([1.0 if of["accuracy"]["higher_is_better"] else -1.0 for of in plan["benchmarks"].values()])
    size = (min(sizes), max(sizes)) if varies else (int(np.median(sizes or [1])),) * 2
    return make_trained(
        asked, mixtures, categories, names, signs, wanted, bounds, _available(plan, config, categories), size, ranges,
        whole, kind="run", name=plan["recipe"], trials=trials, level=plan["findings"]["level"], plan=plan,
        config=config, notes=tuple(notes),
    )  # fmt: skip


def _read_csv(asked: Asked) -> Trained:
    column, value = asked.where or (None, "")
    try:
        swarms = read_swarms(asked.source, asked.shares or SHARES, asked.scores or SCORES, column)
    except UnicodeDecodeError as error:
        raise RequestError(f"{asked.source} is no text in UTF-8 ({error}): save it as such") from None
    except FindingsError as error:
        raise RequestError(f"{error}; prefixes of columns are --shares and --scores") from None
    if column is not None and value not in swarms:
        raise RequestError(f"--where is {column}={value}: {asked.source} has {listed(swarms)} there; name one of them")
    swarm = swarms[value] if column is not None else next(iter(swarms.values()))
    names = swarm.benchmarks
    if unknown := [name for name in asked.lower if name not in (ALL, *names)]:
        raise RequestError(f"--lower is {listed(unknown)}: it must be {ALL}, or of {listed(names)}")
    signs = np.array([-1.0 if {ALL, name} & set(asked.lower) else 1.0 for name in names])
    places: dict[tuple[float, ...], list[int]] = {}
    for place, shares in enumerate(swarm.shares):
        places.setdefault(tuple(shares.round(9)), []).append(place)
    mixtures = [
        Mixture(f"run {of[0] + 1}", swarm.shares[of[0]], {}, {}, {}, swarm.scores[of]) for of in places.values()
    ]
    free = np.full(len(swarm.categories), np.inf)
    trials = {"finished": len(swarm.shares), "failed": 0, "missing": 0}
    wanted = {name: 1.0 for name in names}
    return make_trained(
        asked, mixtures, swarm.categories, names, signs, wanted, {}, free, (1, 1), {}, frozenset(), kind="csv",
        name=asked.source.stem, trials=trials,
    )  # fmt: skip


def _trial_scores(run: Path, plan: Mapping[str, Any]) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Key → scores by benchmark of each finished trial, and how many trials finished, failed or are missing."""
    found: dict[str, list[float]] = {}
    counts: Counter[str] = Counter(finished=0, failed=0, missing=0)
    for planned in {one["key"]: one for one in plan["trials"]}.values():
        folder = run / "trials" / planned["key"]
        # A trial that failed once and finished later has both files.
        if not (folder / "record.json").is_file():
            counts["failed" if (folder / "failed.json").is_file() else "missing"] += 1
            continue
        counts["finished"] += 1
        try:
            scores = read_scores(read_json(folder / "record.json"), plan["benchmarks"])
        except TrialError as error:
            told = f"trial {planned['key']} ({planned['arm']}, seed {planned['seed']})"
            raise FindingsError(f"{told}: {error}; or remove {folder} to leave it out") from None
        found[planned["key"]] = [scores[name] for name in plan["benchmarks"]]
    return found, dict(counts)


def _arms(plan: Mapping[str, Any], config: Config, scores: Mapping[str, Sequence[float]]) -> list[Mixture]:
    """The arms that have finished trials; those that are one mixture with one setting are one."""
    # The baseline comes first, so that an arm which is the same mixture goes by its name.
    keys: dict[str, dict[str, None]] = {name: {} for name in [plan["baseline"]] if name in plan["arms"]}
    for one in plan["trials"]:
        if one["key"] in scores:
            keys.setdefault(one["arm"], {})[one["key"]] = None
    found: dict[str, Mixture] = {}
    for name, of in ((name, of) for name, of in keys.items() if of):
        arm = plan["arms"][name]
        mixture, trainer = arm["mixture"], dict(arm.get("trainer") or {})
        rows = {c: int(mixture["categories"].get(c, {"rows": 0})["rows"]) for c in plan["categories"]}
        shares = np.array(list(rows.values())) / sum(rows.values())
        told = {**vars(config.trainer), **trainer}
        same = digest([mixture["digest"], {key: str(value) for key, value in told.items()}])
        found.setdefault(same, Mixture(name, shares, rows, {}, trainer, np.array([scores[key] for key in of])))
    return list(found.values())


def _ranges(
    search: SearchConfig, mixtures: Sequence[Mixture], config: Config
) -> tuple[dict[str, RangeConfig], frozenset[str]]:
    """The trainer settings that vary between mixtures, with the values that they take, and those that are whole."""
    found: dict[str, RangeConfig] = {}
    for name in plain_settings():
        own = getattr(config.trainer, name)
        values = list(dict.fromkeys(one.trainer.get(name, own) for one in mixtures))
        if len(values) < 2:
            continue
        declared = search.trainer.get(name, RangeConfig())
        if declared.choices or isinstance(own, (bool, str)):
            found[name] = RangeConfig(choices=list(dict.fromkeys([*declared.choices, *values])))
            continue
        ends = [float(end) for end in (*values, declared.low, declared.high) if end is not None]
        low, high = min(ends), max(ends)
        log = declared.log if declared.low is not None else low > 0 and high / low >= WIDE
        found[name] = RangeConfig(low, high, log and low > 0)
    return found, frozenset(name for name in found if isinstance(getattr(config.trainer, name), int))


def _seen(mixture: Mixture, ranges: Mapping[str, RangeConfig], sized: bool, config: Config) -> Mixture:
    """The mixture with the settings that vary."""
    of_arm = {**vars(config.trainer), **mixture.trainer}
    size = {SIZE: sum(mixture.rows.values())} if sized else {}
    return replace(mixture, settings={**size, **{name: of_arm[name] for name in ranges}})


def _available(plan: Mapping[str, Any], config: Config, categories: Sequence[str]) -> Array:
    """(K,) rows that a mixture may have of each category: what the pool has, as often as rows may repeat."""
    passes = config.mixture.max_repeats if config.mixture.shortage == "repeat" else 1
    found = np.full(len(categories), np.inf)
    for arm in plan["arms"].values():
        for name, of in arm["mixture"]["categories"].items():
            if of.get("available") is not None:
                found[categories.index(name)] = of["available"] * passes
    return found
