"""A pool of millions of rows: how long it takes to curate and to compose from, and what memory; beside other tools.

Each figure is of a process of its own, so that its peak memory is its own. `--folder` holds piles, pools and results;
what is there is not made again. datatrove's filters are run by `--others PYTHON`, an environment that has it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

QUOTAS = {"openthought": 0.446, "mcqa": 0.054, "daily": 0.5}
SIZE = 50_000
FILTERED = 200_000  # rows of the comparisons of filters
BATCH = 4096
NEAR = 200_000  # rows of the one of near-duplicates
FILTERS = {"one_thinking": {}, "korean_response": {}, "images": {}, "encoding": {}, "answer": {}}


def main() -> None:
    """Runs all steps that are asked for and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/pool"))
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 7_000_000])
    parser.add_argument("--others", help="the Python of an environment with datatrove")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        name, *of = given.step.split(":")
        print(json.dumps(STEPS[name](given.folder, *map(int, of))))
        return
    results: dict[str, Any] = {}
    for rows in given.rows:
        for name in ("pile", "curate", "compose", "datasets"):
            results[f"{name}:{rows}"] = _run(given.folder, f"{name}:{rows}")
    for name in ("filters", "map", "near"):
        results[name] = _run(given.folder, name)
    if given.others:
        results["datatrove"] = _others(given.folder, given.others)
    print(_tables(given.rows, results))


def _run(folder: Path, step: str) -> dict[str, Any]:
    kept = folder / "results" / f"{step.replace(':', '-')}.json"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        print(f"{time.strftime('%H:%M:%S')} {step}", file=sys.stderr, flush=True)
        ran = subprocess.run(
            [sys.executable, __file__, "--folder", str(folder), "--step", step], stdout=subprocess.PIPE, check=True
        )
        kept.write_text(ran.stdout.decode().splitlines()[-1])
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def _measured(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    start = time.perf_counter()
    found = work()
    peaks = [resource.getrusage(who).ru_maxrss / 2**20 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"seconds": time.perf_counter() - start, "peak": peaks[0], "worker_peak": peaks[1], **found}


def pile(folder: Path, rows: int) -> dict[str, Any]:
    """Makes the rows."""
    from pool_pile import write_pile

    path = folder / f"pile-{rows}"
    if not path.exists():
        beside = path.with_name(f".{path.name}")
        write_pile(beside, rows)
        beside.rename(path)
    return {"bytes": sum(file.stat().st_size for file in path.iterdir())}


def curate(folder: Path, rows: int) -> dict[str, Any]:
    """Builds the pool with two workers."""
    from composer.config_pool import PoolConfig, SourceConfig
    from composer.pool.curate.build import build, plan
    from composer.pool.curate.drivers import local

    source = SourceConfig(
        files=["*.parquet"], shape="reasoning", columns={"prompt": "prompt", "response": "response"},
        category="{category}", stratum="{stratum}", filters=FILTERS,
    )  # fmt: skip
    config = PoolConfig(name="pile", kind="sources", path=str(folder / f"pile-{rows}"), sources={"pile": source})
    stages: dict[str, float] = {}

    def told(stage: str, done: int, total: int | None) -> None:
        stages[stage] = time.perf_counter()

    def work() -> dict[str, Any]:
        start = time.perf_counter()
        build(plan(config), folder / f"pool-{rows}", local(2), told)
        spent, before = {}, start
        for stage, at in stages.items():
            spent[stage], before = at - before, at
        facts = json.loads((folder / f"pool-{rows}" / "pool.json").read_text())
        return {"stages": spent, "kept": facts["rows"], "rejects": facts["sources"]["pile"]["rejects"]}

    return _measured(work)


def compose(folder: Path, rows: int) -> dict[str, Any]:
    """Composes 50,000 rows from the pool's index, and writes them."""
    import shutil

    from composer.config import MixtureConfig
    from composer.mixture import compose as composed
    from composer.mixture import export
    from composer.pool import Pool

    out = folder / f"mixture-{rows}"
    shutil.rmtree(out, ignore_errors=True)
    config = MixtureConfig(by="share", size=min(SIZE, rows // 10), quotas=QUOTAS, seed=1)

    def work() -> dict[str, Any]:
        start = time.perf_counter()
        pool = Pool.open(folder / f"pool-{rows}")
        index = pool.index
        read = time.perf_counter()
        mixture = composed(index, config)
        chosen = time.perf_counter()
        export(mixture, pool, out, config)
        return {"index": read - start, "choose": chosen - read, "fetch": time.perf_counter() - chosen}

    return _measured(work)


def datasets(folder: Path, rows: int) -> dict[str, Any]:
    """The same quotas of the same rows with `datasets`: filter by category, shuffle, select, concatenate, write."""
    from datasets import concatenate_datasets, load_dataset

    size = min(SIZE, rows // 10)
    files = sorted(map(str, (folder / f"pool-{rows}" / "rows").glob("*.parquet")))

    def work() -> dict[str, Any]:
        start = time.perf_counter()
        loaded = load_dataset("parquet", data_files=files, split="train", cache_dir=str(folder / f"cache-{rows}"))
        ready = time.perf_counter()
        parts = []
        for category, share in QUOTAS.items():
            mine = loaded.filter(
                lambda names, of=category: [name == of for name in names], input_columns="category", batched=True,
                num_proc=2,
            )  # fmt: skip
            parts.append(mine.shuffle(seed=1).select(range(round(share * size))))
        concatenate_datasets(parts).shuffle(seed=1).to_parquet(str(folder / f"datasets-{rows}.parquet"))
        return {"load": ready - start, "compose": time.perf_counter() - ready}

    return _measured(work)


def _rows(folder: Path) -> Any:
    """Rows in the pool's schema, faults and all, as the first row groups of a pile have them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from composer.pool.sources.shapes import SHAPES

    sizes = sorted(int(one.name.split("-")[1]) for one in folder.glob("pile-*"))
    smallest = next(size for size in sizes if size >= FILTERED)
    with pq.ParquetFile(folder / f"pile-{smallest}" / "000.parquet") as file:
        read = file.read_row_groups(range(-(-FILTERED // 65_536)), columns=["prompt", "response"]).slice(0, FILTERED)
    messages, _ = SHAPES["reasoning"].make(read.combine_chunks())
    return pa.table({"messages": messages})


@cache
def _rows_once(folder: str) -> Any:
    return _rows(Path(folder))


def _filter_part(at: tuple[str, int, int]) -> list[str | None]:
    from composer.pool.filters import Batch, first_reasons

    rows = _rows_once(at[0])
    found: list[str | None] = []
    for start in range(at[1], at[1] + at[2], BATCH):
        batch = Batch(rows.slice(start, min(BATCH, at[1] + at[2] - start)).combine_chunks())
        places, names = first_reasons(batch, FILTERS)
        found += [names[place] if place >= 0 else None for place in places.tolist()]
    return found


def filters(folder: Path) -> dict[str, Any]:
    """Composer's filters on columns of text, two processes."""
    from concurrent.futures import ProcessPoolExecutor

    half = FILTERED // 2
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(_filter_part, [(str(folder), at, half // 2) for at in (0, half)]))  # imports, and the rows read
        start = time.perf_counter()
        found = sum(pool.map(_filter_part, [(str(folder), 0, half), (str(folder), half, half)]), [])
        seconds = time.perf_counter() - start
    (folder / "filtered.json").write_text(json.dumps(found))
    with (folder / "filtered.jsonl").open("w", encoding="utf-8") as file:
        for turns in _rows(folder)["messages"].to_pylist():
            file.write(json.dumps([turn["content"] for turn in turns], ensure_ascii=False) + "\n")
    return {"seconds": seconds, "rejected": sum(one is not None for one in found)}


def map_(folder: Path) -> dict[str, Any]:
    """The same rules as a function of a row, under `datasets.map(num_proc=2)`."""
    from datasets import Dataset
    from pool_rules import reason

    loaded = Dataset(_rows(folder))
    loaded.select(range(64)).map(reason, num_proc=2)
    start = time.perf_counter()
    told = loaded.map(reason, num_proc=2, load_from_cache_file=False)["reason"]
    seconds = time.perf_counter() - start
    ours = json.loads((folder / "filtered.json").read_text())
    same = sum((one is None) == (other == "") for one, other in zip(ours, told, strict=True))
    return {"seconds": seconds, "rejected": sum(one != "" for one in told), "same": same / len(ours)}


def near(folder: Path) -> dict[str, Any]:
    """Near-duplicates, planted at a Jaccard similarity of 0.8 and above, among rows that are none."""
    import numpy as np
    import pyarrow as pa
    from pool_pile import planted

    from composer.pool.duplicates import band_keys, signatures
    from composer.pool.duplicates import near as found_near

    texts, sources, alike = planted(NEAR)
    start = time.perf_counter()
    told = [signatures(pa.array(texts[at : at + 4096])) for at in range(0, len(texts), 4096)]
    signed = time.perf_counter()
    every = np.concatenate(told)
    found = found_near(band_keys(every), every.astype(np.uint8), np.arange(len(texts)))
    done = time.perf_counter()
    dropped = found >= 0
    asked = (sources >= 0) & (alike >= 0.8)
    return {
        "seconds": done - start, "sign": signed - start, "rows": len(texts), "planted": int(asked.sum()),
        "recall": float((dropped & asked).sum() / asked.sum()),
        "precision": float((dropped & (sources >= 0)).sum() / dropped.sum()),
        "alike_of_dropped": float(np.median(alike[dropped])),
    }  # fmt: skip


def _others(folder: Path, python: str) -> dict[str, Any]:
    kept = folder / "results" / "datatrove.json"
    if not kept.exists():
        script = Path(__file__).with_name("pool_datatrove.py")
        ran = subprocess.run([python, str(script), str(folder)], stdout=subprocess.PIPE, check=True)
        kept.write_text(ran.stdout.decode().splitlines()[-1])
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def _tables(sizes: list[int], results: dict[str, Any]) -> str:
    curated, composed = list[list[str]](), list[list[str]]()
    for rows in sizes:
        of, ours, theirs = (results[f"{name}:{rows}"] for name in ("curate", "compose", "datasets"))
        curated.append([
            f"{rows:,}", f"{of['kept']:,}", f"{of['seconds']:,.0f} s", f"{of['seconds'] / rows * 1e6:,.0f} s",
            f"{of['peak']:.2f} GiB", f"{of['worker_peak']:.2f} GiB",
        ])  # fmt: skip
        composed.append([
            f"{rows:,}", " + ".join(f"{ours[part]:.2f}" for part in ("index", "choose", "fetch")),
            f"{ours['seconds']:.2f} s", f"{ours['peak']:.2f} GiB",
            f"{theirs['load']:.1f} s", f"{theirs['compose']:.1f} s", f"{theirs['peak']:.2f} GiB",
            f"{theirs['compose'] / ours['seconds']:.1f}×",
            f"{theirs['seconds'] / ours['seconds']:.1f}×",
        ])  # fmt: skip
    filtered, fastest = list[list[str]](), results["filters"]["seconds"]
    for name, told in (("filters", "composer"), ("map", "datasets.map"), ("datatrove", "datatrove")):
        if name in results:
            seconds = results[name]["seconds"]
            filtered.append([told, f"{FILTERED / seconds:,.0f}", f"{seconds / fastest:.1f}×"])
    of, differ = results["near"], 100 * (1 - results["map"]["same"])
    return "\n\n".join([
        _table("rows of the pile|kept|curated in|a million in|peak of the process|of its largest worker", curated),
        _table(
            "rows of the pile|index + choose + fetch, s|in all|peak|datasets: load|then|peak|ratio|with the load",
            composed,
        ),
        _table(f"filters on {FILTERED:,} rows, two processes|rows a second|composer's time goes into it", filtered),
        f"The two of the same rules reject the same rows but for {differ:.2f} %.",
        f"Near-duplicates: {of['rows'] / of['seconds']:,.0f} rows a second on a core; of {of['planted']:,} planted at "
        f"a Jaccard similarity of at least 0.8 recall {of['recall']:.4f}, precision {of['precision']:.4f}.",
    ])  # fmt: skip


def _table(head: str, rows: list[list[str]]) -> str:
    names = head.split("|")
    lines = [names, ["---", *["---:"] * (len(names) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    "pile": pile, "curate": curate, "compose": compose, "datasets": datasets, "filters": filters, "map": map_,
    "near": near,
}  # fmt: skip

if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
