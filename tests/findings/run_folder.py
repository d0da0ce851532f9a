"""A run folder as the study and trial rooms leave it, with scores drawn from a known model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from composer.artifacts import digest, write_json

CATEGORIES = ("openthought", "mcqa", "daily", "code")
ARMS: dict[str, tuple[str, dict[str, int]]] = {
    "run1": ("1차 · 기존 구성", {"openthought": 1200, "mcqa": 900, "daily": 1500, "code": 400}),
    "run2": ("2차 · OpenThought, MCQA 제외", {"openthought": 2600, "mcqa": 0, "daily": 1000, "code": 400}),
    "run3": ("3차 · 30 % 표본", {"openthought": 800, "mcqa": 72, "daily": 300, "code": 120}),
    "run4": ("4차 · 일상 대신 OpenThought", {"openthought": 1100, "mcqa": 72, "daily": 0, "code": 120}),
}
BENCHMARKS = {
    "kmmlu_redux": "KMMLU-Redux",
    "haerae": "해례 벤치",
    "mclm_ko": "MCLM-ko 수학",
    "daily_qa": "일상 질문",
}
# Expected accuracy of each arm (rows: ARMS) on each benchmark (columns: BENCHMARKS).
ACCURACY = np.array(
    [[0.55, 0.62, 0.22, 0.58], [0.46, 0.52, 0.36, 0.57], [0.53, 0.60, 0.28, 0.56], [0.54, 0.60, 0.34, 0.50]]
)
COMPARISONS = {
    "mcqa_restores": {"arm": "run3", "against": "run2"},
    "openthought_for_daily": {"arm": "run4", "against": "run3"},
}
FINDINGS = {
    "level": 0.95,
    "items": "fixed",
    "margin": None,
    "smooth_margin": None,
    "correction": "holm",
    "reference": None,
}
VERSIONS = {"composer": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0", "lm_eval": "0.4.13"}


def write_run(
    run: Path,
    *,
    arms: Sequence[str] = tuple(ARMS),
    seeds: int = 4,
    items: int = 150,
    baseline: str | None = "run1",
    smooth: bool = True,
    missing: Sequence[tuple[str, int]] = (),
    failed: Sequence[tuple[str, int]] = (),
    comparisons: dict[str, dict[str, str]] | None = None,
    labels: dict[str, str] | None = None,
    seconds: float = 1.0,
    findings: dict[str, Any] | None = None,
    designs: dict[str, Any] | None = None,
    claims: dict[str, Any] | None = None,
    events: Mapping[tuple[str, int], list[dict[str, Any]]] = MappingProxyType({}),
) -> Path:
    """Writes `run`; `seconds` scales what is timed and nothing else."""
    pairs = COMPARISONS if comparisons is None else comparisons
    pairs = {name: pair for name, pair in pairs.items() if {pair["arm"], pair["against"]} <= set(arms)}
    trials = [{"arm": arm, "seed": seed, "key": digest([arm, seed])[:16]} for arm in arms for seed in range(seeds)]
    plan = {
        "version": 2,
        "recipe": "ko_r1_3/all",
        "label": "Ko-R1-3 데이터 구성 실험",
        "command": "composer run ko_r1_3/all study.seeds=4",
        "baseline": baseline,
        "designs": designs or {},
        "claims": claims or {},
        "comparisons": pairs,
        "findings": {**FINDINGS, **(findings or {})},
        "benchmarks": {name: _benchmark(name, label, smooth) for name, label in BENCHMARKS.items()},
        "categories": list(CATEGORIES),
        "pool": {"name": "mini", "digest": digest("pool")},
        "model": {"name": "mini", "label": "composer mini base", "parameters": 1_605_632},
        "arms": {arm: _arm(arm, (labels or {}).get(arm, ARMS[arm][0])) for arm in arms},
        "trials": trials,
    }
    write_json(run / "plan.json", plan)
    for trial in trials:
        at = (trial["arm"], trial["seed"])
        folder = run / "trials" / str(trial["key"])
        if at in failed:
            write_json(folder / "failed.json", {"key": trial["key"], "error": "CUDA out of memory <at step 12>"})
        elif at not in missing:
            folder.mkdir(parents=True)
            pq.write_table(item_table(str(trial["arm"]), int(trial["seed"]), items, smooth), folder / "items.parquet")
            write_json(folder / "record.json", _record(trial, plan["arms"][trial["arm"]], seconds))
        if at in events:
            write_json(folder / "events.json", events[at])
    return run


def item_table(arm: str, seed: int, items: int, smooth: bool = True) -> pa.Table:
    """Items of one trial: each item is as hard for all trials; a seed's luck is the same for all its items."""
    place = list(ARMS).index(arm)
    rows = []
    for task, name in enumerate(BENCHMARKS):
        difficulty = np.random.default_rng(task).random(items)
        own = np.random.default_rng((place, seed, task))
        skill = ACCURACY[place, task] + own.normal(0, 0.004)
        right = (difficulty + own.normal(0, 0.03, items) < skill).astype(float)
        bits = 1.2 + difficulty - skill + own.normal(0, 0.1, items)
        for doc in own.permutation(items):
            key = {"task": name, "doc_id": int(doc), "doc_hash": hashlib.sha256(f"{name}{doc}".encode()).hexdigest()}
            key |= {"prompt": f"{name}의 {doc}번째 질문", "target": "가"}
            said = {"response": "정답은 가" if right[doc] else "정답은 나"}
            rows.append({**key, **said, "filter": "answer", "metric": "exact_match", "value": float(right[doc])})
            if smooth:
                rows.append(
                    {**key, "filter": "none", "metric": "bits_per_byte", "value": float(bits[doc]), "response": None}
                )
    columns = ["task", "filter", "metric", "doc_id", "doc_hash", "value", "prompt", "target", "response"]
    return pa.table({column: [row[column] for row in rows] for column in columns})


def _benchmark(name: str, label: str, smooth: bool) -> dict[str, Any]:
    bits = {"task": name, "metric": "bits_per_byte", "filter": "none", "higher_is_better": False}
    return {
        "label": label,
        "accuracy": {"task": name, "metric": "exact_match", "filter": "answer", "higher_is_better": True},
        "smooth": bits if smooth else None,
    }


def _arm(arm: str, label: str) -> dict[str, Any]:
    rows = ARMS[arm][1]
    total = sum(rows.values())
    categories = {
        category: {
            "asked": count + (40 if (arm, category) == ("run2", "openthought") else 0),
            "rows": count,
            "share": count / total,
            "tokens": count * 180,
            "available": 5000,
            "strata": {},
        }
        for category, count in rows.items()
    }
    mixture = {
        "version": 1,
        "by": "share",
        "size": total,
        "seed": 0,
        "quotas": {category: count / total for category, count in rows.items()},
        "edits": {},
        "rows": total,
        "tokens": total * 180,
        "repeated": 0,
        "pool": {"name": "mini", "digest": digest("pool")},
        "digest": digest(rows),
        "categories": categories,
    }
    return {
        "label": label,
        "declared": True,
        "mixture": mixture,
        "steps": total // 16 * 2,
        "training_tokens": total * 360,
    }


def _record(trial: dict[str, Any], arm: dict[str, Any], scale: float) -> dict[str, Any]:
    noise = np.random.default_rng((trial["seed"], arm["mixture"]["rows"]))
    steps = np.arange(10, arm["steps"] + 1, 10)
    loss = 0.9 + 2.4 * np.exp(-steps / 40) + noise.normal(0, 0.04, len(steps)) + noise.normal(0, 0.02)
    training = arm["training_tokens"] / 21_000 * float(noise.uniform(0.95, 1.05)) * scale
    return {
        "version": 1,
        "key": trial["key"],
        "seed": trial["seed"],
        "status": "finished",
        "mixture": {name: arm["mixture"][name] for name in ("rows", "tokens", "digest")},
        "training": {
            "steps": arm["steps"],
            "rows": arm["mixture"]["rows"] * 2,
            "tokens": arm["training_tokens"],
            "seconds": training,
            "rows_per_second": arm["mixture"]["rows"] * 2 / training,
            "tokens_per_second": arm["training_tokens"] / training,
            "useful": 0.62,
            "mfu": None,
            "peak_gpu_memory_mb": None,
            "processes": 1,
            "device": "cpu",
            "loss": [[int(step), float(value)] for step, value in zip(steps, loss, strict=True)],
        },
        "scores": {},
        "seconds": {"load": 2.0, "tokenise": 1.0, "train": training, "evaluate": 8.0, "total": training + 11.0},
        "peak_memory_mb": 900 + trial["seed"],
        "versions": VERSIONS,
    }
