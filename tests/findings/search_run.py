"""The folder of a search, planned by the real parts, whose trials were drawn from a known function of the mixture."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from composer.artifacts import write_json
from composer.pool import open_pool
from composer.recipe import load_recipe, with_arms
from composer.study.domain import arm_name
from composer.study.plan import make_plan
from composer.study.proposer import random_params
from composer.study.search import search_domain

ASKED = ("world=mini", "pool.rows=600", "mixture=ko_r1_3", "mixture.size=100")
PEAK = {"mcqa": 0.3, "daily": 0.4}
Scores = Callable[[str, Mapping[str, float], int], Mapping[str, NDArray[np.float64]]]


def planned(*more: str, trials: int = 8) -> dict[str, Any]:
    """The plan of a search that has made its proposals, at random."""
    return copy.deepcopy(_planned(more, trials))


@cache
def _planned(more: tuple[str, ...], trials: int) -> dict[str, Any]:
    recipe = load_recipe(None, [*ASKED, f"study.search.trials={trials}", *more])
    pool = open_pool(recipe.config.pool)
    domain, rng = search_domain(recipe, pool), np.random.default_rng(5)
    params = random_params(domain, trials, rng)
    made = {arm_name(number): domain.proposal(of).arm(number) for number, of in enumerate(params)}
    return make_plan(with_arms(recipe, made), pool).facts


def peaked(arm: str, shares: Mapping[str, float], seed: int, items: int = 60) -> dict[str, NDArray[np.float64]]:
    """Benchmark → (n_items,) right answers; the more, the nearer the mixture is to the peak."""
    far = sum((shares.get(name, 0) - share) ** 2 for name, share in PEAK.items())
    rng = np.random.default_rng([seed, *arm.encode()])
    found = {}
    for place, name in enumerate(("kmmlu_redux", "haerae", "mclm_ko", "daily")):
        hard = np.random.default_rng(place).random(items)
        found[name] = (hard + rng.normal(0, 0.05, items) < 0.8 - far - 0.1 * place).astype(float)
    return found


def write_search(
    out: Path,
    plan: dict[str, Any],
    scores: Scores = peaked,
    failed: Sequence[tuple[str, int]] = (),
    missing: Sequence[tuple[str, int]] = (),
) -> Path:
    """Writes RUN with `plan` and a finished trial for every arm and seed but those named."""
    write_json(out / "plan.json", plan)
    for trial in plan["trials"]:
        at, folder = (trial["arm"], trial["seed"]), out / "trials" / trial["key"]
        mixture = plan["arms"][trial["arm"]]["mixture"]
        shares = {name: of["share"] for name, of in mixture["categories"].items()}
        if at in failed:
            write_json(folder / "failed.json", {"key": trial["key"], "error": "out of memory"})
        if at in failed or at in missing:
            continue
        right = scores(trial["arm"], shares, trial["seed"])
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(_items(plan["benchmarks"], right), folder / "items.parquet")
        write_json(folder / "record.json", _record(trial, plan["arms"][trial["arm"]]))
    return out


def _items(benchmarks: Mapping[str, Any], right: Mapping[str, NDArray[np.float64]]) -> pa.Table:
    rows = []
    for name, benchmark in benchmarks.items():
        for kind in ("accuracy", "smooth"):
            of = benchmark[kind]
            for doc, value in enumerate(right[name]):
                told = value if kind == "accuracy" else 1.5 - value
                hashed = hashlib.sha256(f"{name}{doc}".encode()).hexdigest()
                key = {"task": of["task"], "filter": of["filter"], "metric": of["metric"], "doc_id": doc}
                said = {"prompt": f"{name} {doc}", "target": "가", "response": "가" if value else "나"}
                rows.append({**key, "doc_hash": hashed, "value": float(told), **said})
    columns = ["task", "filter", "metric", "doc_id", "doc_hash", "value", "prompt", "target", "response"]
    return pa.table({column: [row[column] for row in rows] for column in columns})


def _record(trial: Mapping[str, Any], arm: Mapping[str, Any]) -> dict[str, Any]:
    rng = np.random.default_rng([trial["seed"], arm["mixture"]["rows"]])
    steps = np.arange(1, arm["steps"] + 1)
    loss = 0.9 + 2.4 * np.exp(-steps / 4) + rng.normal(0, 0.04, len(steps))
    seconds = arm["training_tokens"] / 21_000
    return {
        "version": 1, "key": trial["key"], "seed": trial["seed"], "status": "finished",
        "mixture": {name: arm["mixture"][name] for name in ("rows", "tokens", "digest")},
        "training": {
            "steps": arm["steps"], "rows": arm["mixture"]["rows"], "tokens": arm["training_tokens"], "seconds": seconds,
            "rows_per_second": arm["mixture"]["rows"] / seconds, "tokens_per_second": 21_000.0,
            "loss": [[int(step), float(value)] for step, value in zip(steps, loss, strict=True)],
        },
        "scores": {}, "seconds": {"total": seconds + 11, "train": seconds}, "peak_memory_mb": 900,
        "versions": {"composer": "0.1.0"},
    }  # fmt: skip
