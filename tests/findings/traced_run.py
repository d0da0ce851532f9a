"""A run whose trials have begun to train: all that a study writes before, and what trials leave of their training."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from composer.artifacts import write_json, write_text
from composer.mini import rows as mini_rows
from composer.mixture import export
from composer.pool import Pool
from composer.pool.build import Row, build_pool
from composer.pool.curate.tokens import count_tokens
from composer.pool.store import MESSAGES
from composer.recipe import as_yaml, load_recipe
from composer.study.plan import make_plan

DATA = Path(os.environ.get("COMPOSER_DATA", "../shared/data")) / "pool" / "think_traces"
BATCH = 16
QUOTAS = {"openthought": 300, "daily": 240, "mcqa": 60}
IN_POOL = {"openthought": 600, "daily": 300, "mcqa": 80}
PLANTED = 60  # rows in English of the pool's openthought


def english(number: int) -> tuple[str, str]:
    """A problem of the mini world as it would be in English."""
    rng = random.Random(number)
    value, thing = rng.randint(3, 60), rng.choice(["pens", "nuts", "eggs", "cards", "maps"])
    told, thought = f"Tom has {value} {thing}.", ""
    for more in rng.sample(range(1, 9), rng.randint(0, 3)):
        told, thought = f"{told} He buys {more}.", f"{thought} {value}+{more}={value + more}."
        value += more
    return f"{told} How many?", f"<think>{thought.strip() or value}</think>It is {value}."


def traces() -> list[tuple[str, str]]:
    """Real reasoning in English, its parts cut to the length of the mini world's."""
    lines = (DATA / "traces_en.jsonl").read_text(encoding="utf-8").splitlines()
    told = [json.loads(line) for line in lines]
    return [
        (" ".join(one["question"].split())[: 20 + n % 24],
         f"<think>{' '.join(one['thinking'].split())[: 10 + n % 19]}</think>{one['response'].strip()[:12]}")
        for n, one in enumerate(told)
    ]  # fmt: skip


def pool_rows(planted: Sequence[tuple[str, str]]) -> Iterator[Row]:
    """Rows of the mini world, and those that are planted, which go by the same category, strata and source."""
    for category, size in IN_POOL.items():
        seen = set[str]()
        for stratum, prompt, response, _ in mini_rows.draw(category, 0):
            row = Row((("user", prompt), ("assistant", response)), category, stratum, f"mini/{category}")
            if row.id not in seen:
                seen.add(row.id)
                yield row
            if len(seen) == size:
                break
    for number, (prompt, response) in enumerate(planted):
        stratum = f"{2 + number % 4}_steps"
        yield Row((("user", prompt), ("assistant", response)), "openthought", stratum, "mini/openthought")


def make_pool(path: Path, planted: Sequence[tuple[str, str]], count: int = PLANTED) -> Pool:
    """A pool with rows in English planted: of all these so many, as long as the rest of their category is."""
    rest = [row.messages for row in pool_rows(()) if row.category == "openthought"]
    wanted = np.quantile(_tokens(rest), (np.arange(count) + 0.5) / max(count, 1))
    sizes = _tokens([(("user", prompt), ("assistant", response)) for prompt, response in planted]).astype(float)
    chosen = list[int]()
    for size in wanted:
        chosen.append(int(np.argmin(np.abs(sizes - size))))
        sizes[chosen[-1]] = np.inf
    build_pool(path, "planted", pool_rows([planted[at] for at in chosen]), partial(count_tokens, "mini"))
    return Pool.open(path)


def _tokens(rows: Sequence[tuple[tuple[str, str], ...]]) -> np.ndarray:
    turns = [[{"role": role, "content": content} for role, content in row] for row in rows]
    return count_tokens("mini", pa.array(turns, MESSAGES))


def write_run(run: Path, pool: Pool, seeds: int = 1, *more: str, quotas: Mapping[str, int] = QUOTAS) -> list[Path]:
    """A run that composed a mixture of the pool and wrote its trials' specs; the trials' folders."""
    given = [*more, *(f"mixture.quotas.{name}={rows}" for name, rows in quotas.items())]
    given += ["pool=folder", f"pool.path={pool.path}", "mixture=custom", "mixture.by=rows", f"study.seeds={seeds}"]
    recipe = load_recipe(None, [*given, f"out={run}"])
    plan = make_plan(recipe, pool)
    write_text(run / "config.yaml", as_yaml(recipe.config))
    write_json(run / "plan.json", plan.facts)
    for arm, mixture in plan.mixtures.items():
        export(mixture, pool, run / "mixtures" / arm, recipe.mixtures[arm])
    for trial in plan.trials:
        write_json(run / "trials" / trial.key / "spec.json", trial.spec)
    return [run / "trials" / trial.key for trial in plan.trials]


def mixture_of(trial: Path) -> pa.Table:
    """The rows of a trial's mixture, in order."""
    spec = json.loads((trial / "spec.json").read_text())
    return pq.read_table(trial.parent.parent / spec["mixture"]["folder"] / "data")


def is_planted(rows: pa.Table) -> np.ndarray:
    """(n,) whether rows are in English."""
    said = [row[1]["content"] for row in rows["messages"].to_pylist()]
    return np.array([not any("가" <= letter <= "힣" for letter in text) for text in said])


def steps_with(rows: pa.Table, planted: int, at: int, seed: int = 0, epochs: int = 2) -> list[list[int]]:
    """Steps of rows in random order, of which the step `at`, from 1, has so many of those that are planted."""
    rng, marked = np.random.default_rng(seed), is_planted(rows)
    wanted = np.flatnonzero(marked)[:planted]
    steps = list[list[int]]()
    for epoch in range(epochs):
        order = rng.permutation(len(rows))
        if epoch == 0:
            others = [place for place in order if place not in set(wanted.tolist())]
            others[(at - 1) * BATCH : (at - 1) * BATCH] = wanted.tolist()
            order = np.array(others)
        steps += [order[start : start + BATCH].tolist() for start in range(0, len(order), BATCH)]
    return steps


def write_ledger(trial: Path, steps: Sequence[Sequence[int]]) -> None:
    """`ledger.parquet` of steps, two rows a block."""
    rows = mixture_of(trial)
    places = [place for step in steps for place in step]
    tokens = rows["n_tokens"].to_numpy()[places]
    table = {
        "step": pa.array([at for at, step in enumerate(steps, 1) for _ in step], pa.int32()),
        "block": pa.array([place // 2 for step in steps for place in range(len(step))], pa.int32()),
        "place": pa.array(places, pa.int32()),
        "tokens": pa.array(tokens, pa.int32()),
        "learned": pa.array(tokens // 2, pa.int32()),
        "id": rows["id"].combine_chunks().take(pa.array(places)),
    }
    for name in ("category", "stratum", "source"):
        table[name] = rows[name].combine_chunks().take(pa.array(places)).dictionary_encode()
    pq.write_table(pa.table(table), trial / "ledger.parquet")


def write_training(
    trial: Path, steps: Sequence[Sequence[int]], done: int, surprise: Callable[[int], float] = lambda place: 0.0
) -> None:
    """Losses and history of the first steps, in parts that overlap; where they do, the earlier one is wrong."""
    rng = np.random.default_rng(0)
    told = [
        (at, place, 2 / at**0.5 + rng.normal(0, 0.05) + surprise(place))
        for at, step in enumerate(steps[:done], 1)
        for place in step
    ]
    for name in ("losses", "history"):
        (trial / name).mkdir()
    for start in range(1, done + 1, 10):
        part = [(at, place, loss if at < start + 10 else 99.0) for at, place, loss in told if start <= at <= start + 11]
        kinds = {"step": pa.int32(), "place": pa.int32(), "loss": pa.float32()}
        columns = [pa.array(of, kind) for of, kind in zip(zip(*part, strict=True), kinds.values(), strict=True)]
        pq.write_table(pa.table(columns, list(kinds)), trial / "losses" / f"{start:08d}.parquet")
        mine = range(start, min(start + 12, done + 1))
        means = [np.mean([loss for at, _, loss in part if at == step]) for step in mine]
        history = {"step": pa.array(mine, pa.int32()), "loss": pa.array(means, pa.float32())}
        for name in ("grad_norm", "learning_rate", "seconds"):
            history[name] = pa.array([0.5] * len(means), pa.float32())
        history["tokens"] = pa.array([1000] * len(means), pa.int32())
        pq.write_table(pa.table(history), trial / "history" / f"{start:08d}.parquet")
