"""Trials of known functions of their mixture: a run's folder, planned as a real one, and a CSV file."""

import csv
import json
from pathlib import Path

import numpy as np

from composer.artifacts import write_json, write_text
from composer.pool import open_pool
from composer.recipe import as_yaml, load_recipe, with_arms
from composer.study.domain import Proposal, arm_name
from composer.study.plan import make_plan

CATEGORIES = ("daily", "ko_r1_stem", "mcqa")
BEST = {"daily": 0.45, "ko_r1_stem": 0.25, "mcqa": 0.3}
NOISE = 0.002
ASKED = (
    "world=mini", "pool.rows=4000", "mixture=ko_r1_3", "mixture.size=100", "study.seeds=2", "study.search.trials=8",
    "study.search.bounds.mcqa=[0.1,0.4]",
    "~benchmarks.of.mclm_ko", "~benchmarks.of.haerae",
)  # fmt: skip


def truth(shares):
    """Benchmark → the score of a mixture without noise."""
    off = (shares["mcqa"] - BEST["mcqa"]) ** 2 + (shares["daily"] - BEST["daily"]) ** 2
    return {"kmmlu_redux": 0.8 - off, "daily": 0.5}


def write_search(run: Path, *more: str, proposals: int = 12, trainer=None, sizes=(100,), effect=None) -> Path:
    """A search's folder in which every trial is finished.

    `trainer` gives a proposal's settings by its number, `effect` what these and the size add to every score.
    """
    recipe = load_recipe(None, [*ASKED, f"out={run}", *more])
    random = np.random.default_rng(1)
    arms = {}
    for number in range(proposals):
        counts = random.multinomial(sizes[number % len(sizes)], random.dirichlet([2, 2, 2])).tolist()
        settings = {} if trainer is None else trainer(number)
        arms[arm_name(number)] = Proposal({}, dict(zip(CATEGORIES, counts, strict=True)), settings).arm(number)
    recipe = with_arms(recipe, arms)
    plan = make_plan(recipe, open_pool(recipe.config.pool))
    write_json(run / "plan.json", plan.facts)
    write_text(run / "config.yaml", as_yaml(recipe.config))
    for trial in plan.trials:
        arm = plan.facts["arms"][trial.arm]
        shares = {name: of["share"] for name, of in arm["mixture"]["categories"].items()}
        shares = {name: shares.get(name, 0.0) for name in CATEGORIES}
        added = 0.0 if effect is None else effect(arm)
        scores = {
            f"mini_{name}": {"accuracy,none": score + added + random.normal(0, NOISE) * (name != "daily")}
            for name, score in truth(shares).items()
        }
        write_json(run / "trials" / trial.key / "record.json", {"scores": scores})
    return run


def trials(run: Path, arm: str) -> list[Path]:
    """The folders of an arm's trials."""
    plan = json.loads((run / "plan.json").read_text())
    return [run / "trials" / one["key"] for one in plan["trials"] if one["arm"] == arm]


def write_csv(path: Path, count: int = 20, noise: float = 0.003, draw: int = 0) -> Path:
    """Mixtures of three categories: `both` is the best at 50, 30 and 20 %, `loss` falls with code."""
    random = np.random.default_rng(draw)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["model", "ratio_math", "ratio_chat", "ratio_code", "metric_both", "metric_loss"])
        for place, (math, chat, code) in enumerate(random.dirichlet([2, 2, 2], count)):
            both = 0.6 - (math - 0.5) ** 2 - (chat - 0.3) ** 2 + random.normal(0, noise)
            rows.writerow(["small", math, chat, code, both, 2 - 0.5 * code + random.normal(0, noise)])
            if place < 3:
                rows.writerow(["large", math, chat, code, both, 1.0])
    return path
