"""A search whose trials cost nothing: a trial's score is a known function of its mixture, with a little noise."""

import collections
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

from rich.console import Console

from composer.pool import open_pool
from composer.recipe import load_recipe
from composer.study.plan import make_plan
from composer.study.search import run_search

# It ends with the process that started it, as a real one does, and says so in ended.txt before its record is there and
# in recorded.txt after that.
TRIAL = """
import json, os, random, sys, threading, time
from pathlib import Path
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
folder = Path(sys.argv[1]); spec = json.loads((folder / "spec.json").read_text())
run = folder.parent.parent
time.sleep(float(os.environ.get("TRIAL_SECONDS", "0")))
arms = {p.parent.name: json.loads(p.read_text()) for p in run.glob("mixtures/*/manifest.json")}
arm, mixture = next(one for one in arms.items() if one[1]["digest"] == spec["mixture"]["digest"])
shares = {name: of["share"] for name, of in mixture["categories"].items()}
noise = random.Random(spec["seed"]).gauss(0, 0.002)
value = 0.8 - (shares.get("mcqa", 0) - 0.3) ** 2 - (shares.get("daily", 0) - 0.45) ** 2 + noise
if arm in os.environ.get("TRIAL_NAN", "").split(","):
    value = float("nan")
with (run / "ended.txt").open("a") as log:
    log.write(folder.name + "\\n")
names = ["mini_kmmlu_redux", "mini_haerae", "mini_mclm_ko", "mini_daily"]
record = {"scores": {name: {"accuracy,none": value} for name in names}}
part = folder / "record.part"
part.write_text(json.dumps(record))
part.rename(folder / "record.json")
with (run / "recorded.txt").open("a") as log:
    log.write(folder.name + "\\n")
"""
ASKED = (
    "world=mini", "pool.rows=600", "mixture=ko_r1_3", "mixture.size=100", "study.seeds=2", "study.search.trials=8",
    "study.search.startup=4", "study.search.seed=5", "study.search.lease_seconds=2", "launcher.workers=1",
)  # fmt: skip
ARMS = 9  # one declared, eight proposed

# Workers are forked from a process that has imported what takes long.
_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    ["composer.study.search", "composer.surrogate", "botorch", "optuna", "sqlalchemy", "optuna.storages._rdb.models"]
)


def recipe_in(out, *more):
    return load_recipe(None, [*ASKED, f"out={out}", *more])


def search(out, *more, console=None):
    """Runs a search in this process."""
    script = Path(out).parent / "trial.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    if not script.exists():
        part = script.with_name(f"{os.getpid()}.part")
        part.write_text(TRIAL)
        part.rename(script)
    recipe = recipe_in(out, *more)
    pool = open_pool(recipe.config.pool)
    plan = make_plan(recipe, pool)
    console = console or Console(stderr=True, quiet=True)
    return run_search(recipe, pool, plan, console, (sys.executable, "-S", "-E", str(script)), ())


def worker(out, *more, **env):
    """Runs a search in a process of its own."""
    return forked(_search, str(out), more, env)


def _search(out, more, env):
    os.environ.update(env)
    search(out, *more)


def forked(target, *args):
    """Begins a process."""
    process = _FORKING.Process(target=target, args=args)
    process.start()
    return process


def ended(process, seconds=120):
    """Waits for a process, which must have done all it was to do."""
    process.join(seconds)
    code = process.exitcode
    if code is None:
        process.kill()
    assert code == 0


def soon(what, seconds=60):
    """Waits until something holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


def journal(out):
    """The journal under it, as anyone with Optuna opens it."""
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    return JournalStorage(JournalFileBackend(str(Path(out) / "study.journal")))


def trials(out):
    """Index → the trials of the journal under it, as Optuna has them."""
    import optuna

    storage = journal(out)
    (study,) = optuna.get_all_study_summaries(storage)
    return by_index(storage, study.study_name)


def by_index(storage, name):
    """Index → the trials of a study; none where it was not begun yet."""
    import optuna

    found = {}
    if name not in optuna.get_all_study_names(storage):
        return found
    for trial in optuna.load_study(study_name=name, storage=storage).trials:
        found.setdefault(trial.user_attrs["index"], []).append(trial)
    return found


def check_told(found, arms=ARMS):
    """Every proposal was told once, and is the mixture that it was when it was first made."""
    assert sorted(found) == list(range(arms))
    for of in found.values():
        (done,) = [t for t in of if t.state.name != "FAIL"]
        assert done.state.name == "COMPLETE" and done.values and done.params
        assert len({str(t.user_attrs["proposal"]["rows"]) for t in of if "proposal" in t.user_attrs}) == 1
        assert len({str(t.params) for t in of if "proposal" in t.user_attrs}) == 1
    rows = [str(of[-1].user_attrs["proposal"]) for of in found.values()]
    assert len(set(rows)) == len(rows)


def check_run_once(out, killed):
    """All trials of a folder have a record and ran to their end once, but for those killed after their last word."""
    keys = {trial["key"] for trial in plan_of(out)["trials"]}
    assert all((out / "trials" / key / "record.json").exists() for key in keys)
    spoken, recorded = (count(out / name) for name in ("ended.txt", "recorded.txt"))
    assert set(spoken) == keys and max(recorded.values()) == 1
    assert sum(spoken.values()) - len(keys) <= killed


def count(path):
    """Key → how often it is in a list of the trials, which is absent where there was none."""
    return collections.Counter(path.read_text().split() if path.exists() else [])


def proposals(out):
    """Index → rows of what was proposed there."""
    return {
        index: next(t.user_attrs["proposal"]["rows"] for t in of if t.state.name == "COMPLETE")
        for index, of in sorted(trials(out).items())
    }


def plan_of(out):
    return json.loads((Path(out) / "plan.json").read_text())
