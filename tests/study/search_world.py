"""A search whose trials cost nothing: a trial's score is a known function of its mixture, with a little noise."""

import json
import sys
from pathlib import Path

from rich.console import Console

from composer.pool import open_pool
from composer.recipe import load_recipe
from composer.study.plan import make_plan
from composer.study.search import run_search

TRIAL = """
import json, os, random, sys, time
from pathlib import Path
folder = Path(sys.argv[1]); spec = json.loads((folder / "spec.json").read_text())
run = folder.parent.parent
time.sleep(float(os.environ.get("TRIAL_SECONDS", "0")))
arms = [json.loads(p.read_text()) for p in run.glob("mixtures/*/manifest.json")]
mixture = next(one for one in arms if one["digest"] == spec["mixture"]["digest"])
shares = {name: of["share"] for name, of in mixture["categories"].items()}
noise = random.Random(spec["seed"]).gauss(0, 0.002)
value = 0.8 - (shares.get("mcqa", 0) - 0.3) ** 2 - (shares.get("daily", 0) - 0.45) ** 2 + noise
if os.environ.get("TRIAL_NAN") and shares.get("mcqa", 0) > 0.5:
    value = float("nan")
with (run / "ended.txt").open("a") as log:
    log.write(folder.name + "\\n")
names = ["mini_kmmlu_redux", "mini_haerae", "mini_mclm_ko", "mini_daily"]
record = {"scores": {name: {"accuracy,none": value} for name in names}}
part = folder / "record.part"
part.write_text(json.dumps(record))
part.rename(folder / "record.json")
"""
ASKED = (
    "world=mini", "pool.rows=600", "mixture=ko_r1_3", "mixture.size=100", "study.seeds=2", "study.search.trials=8",
    "study.search.startup=4", "study.search.seed=5", "study.search.lease_seconds=2", "launcher.workers=1",
)  # fmt: skip


def recipe_in(out, *more):
    return load_recipe(None, [*ASKED, f"out={out}", *more])


def search(out, *more, console=None):
    """Runs a search in this process."""
    script = Path(out).parent / "trial.py"
    script.write_text(TRIAL)
    recipe = recipe_in(out, *more)
    pool = open_pool(recipe.config.pool)
    plan = make_plan(recipe, pool)
    console = console or Console(stderr=True, quiet=True)
    return run_search(recipe, pool, plan, console, (sys.executable, str(script)), ())


def trials(out):
    """Index → the trials of the journal under it, as Optuna has them."""
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    return by_index(JournalStorage(JournalFileBackend(str(Path(out) / "study.journal"))), optuna)


def by_index(storage, optuna):
    (study,) = optuna.get_all_study_summaries(storage)
    found = {}
    for trial in optuna.load_study(study_name=study.study_name, storage=storage).trials:
        found.setdefault(trial.user_attrs["index"], []).append(trial)
    return found


def proposals(out):
    """Index → rows of what was proposed there."""
    return {
        index: next(t.user_attrs["proposal"]["rows"] for t in of if t.state.name == "COMPLETE")
        for index, of in sorted(trials(out).items())
    }


def plan_of(out):
    return json.loads((Path(out) / "plan.json").read_text())


if __name__ == "__main__":
    search(sys.argv[1], *sys.argv[2:])
