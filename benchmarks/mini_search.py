"""Searches the mini world with composer's sampler and at random, from the same starts, and compares what each found.

    python benchmarks/mini_search.py [--out FOLDER] [--studies N] [--fresh N]

Trains in FOLDER, `runs/mini_search` by default, and prints Markdown; run again, it goes on where it stopped. Both
searches of a study begin with the same random mixtures, whose trials are trained once. The best of many noisy scores is
partly luck, so the best mixture of each search is trained again with fresh seeds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, stdev

from rich.console import Console

from composer.artifacts import read_json, write_text
from composer.pool import Pool, open_pool
from composer.recipe import Recipe, as_yaml, load_recipe
from composer.study.objectives import Objectives, make_objectives, read_scores
from composer.study.plan import make_plan
from composer.study.run import run_study
from composer.study.search import run_search

RECIPE = "mini/search"
SAMPLERS = ("mixture", "random")
Found = Mapping[str, Mapping[int, float]]  # arm → seed → objective


def search(recipe: Recipe, pool: Pool, done: Path | None, console: Console) -> None:
    """Runs a search; the finished trials of another folder, `done`, are not trained again."""
    if done is not None and not recipe.out.exists():
        write_text(recipe.out / "config.yaml", as_yaml(recipe.config))
        shutil.copytree(done / "trials", recipe.out / "trials")
    run_search(recipe, pool, make_plan(recipe, pool), console)


def again(out: Path, best: Mapping[str, Mapping[str, int]], seeds: int, pool: Pool, console: Console) -> Recipe:
    """Trains mixtures, name → category → rows, with so many seeds."""
    arms = [
        f"study.arms.{name}={{edits: {{best: {{set: {{{', '.join(f'{c}: {n}' for c, n in rows.items())}}}, "
        "rest: fixed}}}"
        for name, rows in best.items()
    ]
    recipe = load_recipe(RECIPE, [f"study.seeds={seeds}", *arms, f"out={out}"])
    recipe.config.study.search = None
    run_study(recipe, pool, make_plan(recipe, pool), console)
    return recipe


def values(out: Path, objectives: Objectives) -> Found:
    """The objective of every finished trial of a run."""
    plan = read_json(out / "plan.json")
    found: dict[str, dict[int, float]] = {}
    for trial in plan["trials"]:
        record = out / "trials" / trial["key"] / "record.json"
        if record.is_file():
            scores = read_scores(read_json(record), plan["benchmarks"])
            found.setdefault(trial["arm"], {})[trial["seed"]] = 100 * objectives.of(scores, 0)[0]
    return found


def best_arm(found: Found) -> str:
    """The arm with the highest mean over its seeds."""
    return max(found, key=lambda arm: fmean(found[arm].values()))


def rows_of(out: Path, arm: str) -> dict[str, int]:
    """Category → rows of an arm."""
    categories = read_json(out / "plan.json")["arms"][arm]["mixture"]["categories"]
    return {name: of["rows"] for name, of in categories.items()}


def main() -> None:
    """Runs all studies and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs") / "mini_search")
    parser.add_argument("--studies", type=int, default=3)
    parser.add_argument("--fresh", type=int, default=3, help="seeds that no search has seen")
    given = parser.parse_args()
    console, began = Console(stderr=True), time.monotonic()
    plain = load_recipe(RECIPE, [])
    assert plain.config.study.search is not None
    objectives = make_objectives(plain.config.study.search, plain.config.benchmarks)
    seeds, pool = plain.config.study.seeds, open_pool(plain.config.pool)
    lines = []
    for study in range(given.studies):
        best: dict[str, dict[str, int]] = {}
        told: dict[str, float] = {}
        done = None
        for sampler in SAMPLERS:
            out = given.out / f"{sampler}-{study}"
            asked = [f"study.search.sampler={sampler}", f"study.search.seed={study}", f"out={out}"]
            search(load_recipe(RECIPE, asked), pool, done, console)
            found = {arm: of for arm, of in values(out, objectives).items() if arm.startswith("p")}
            arm, done = best_arm(found), done or out
            best[sampler], told[sampler] = rows_of(out, arm), fmean(found[arm].values())
        recipe = again(given.out / f"fresh-{study}", best, seeds + given.fresh, pool, console)
        fresh = {
            name: [value for seed, value in of.items() if seed >= seeds]
            for name, of in values(recipe.out, objectives).items()
        }
        gaps = [a - b for a, b in zip(fresh["mixture"], fresh["random"], strict=True)]
        error = stdev(gaps) / len(gaps) ** 0.5
        shares = {name: ", ".join(f"{c} {n}" for c, n in sorted(rows.items())) for name, rows in best.items()}
        lines.append(
            f"| {study} | {told['random']:.1f} | {told['mixture']:.1f} | {fmean(fresh['random']):.1f} | "
            f"{fmean(fresh['mixture']):.1f} | {fmean(gaps):+.1f} ± {error:.1f} | {shares['random']} | "
            f"{shares['mixture']} |"
        )
    search_ = plain.config.study.search
    print(
        f"`{RECIPE}`: {search_.trials} proposals of {plain.config.mixture.size} rows, {seeds} seeds each, points of "
        f"{objectives.names[0]}. The best of {search_.trials} at random, and of as many by composer's sampler, the "
        f"first {search_.startup} being the same; then both again with {given.fresh} fresh seeds.\n"
    )
    print("| study | best, random | best, composer | fresh, random | fresh, composer | gain | rows, random | rows, "
          "composer |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    print("\n".join(lines))
    print(f"\n{(time.monotonic() - began) / 60:.0f} minutes on the clock with {plain.config.launcher.workers} workers.")


if __name__ == "__main__":
    main()
