"""Searches with cheap runs beside their proposals, and proposals that are given up."""

import io
import sys
from pathlib import Path

import optuna
import pytest
from rich.console import Console
from search_world import ARMS, TRIAL, by_index, ended, journal, plan_of, recipe_in, search, soon, worker

from composer.errors import ConfigError
from composer.pool import open_pool
from composer.study.plan import make_plan
from composer.study.search import run_search

SMALL = "study.search.fidelities.small={size: 40, trials: 7}"
# A trial of fewer than 50 rows scores the other way round.
MISLED = TRIAL.replace(
    "if arm in os",
    'if sum(of["rows"] for of in mixture["categories"].values()) < 50:\n    value = 1 - value\nif arm in os',
)
assert MISLED != TRIAL


def cheap(out):
    return by_index(journal(out), "default (small)")


def rows(of):
    return next(trial.user_attrs["proposal"]["rows"] for trial in of if "proposal" in trial.user_attrs)


@pytest.fixture(scope="module")
def believed(tmp_path_factory):
    out = tmp_path_factory.mktemp("cheap") / "run"
    assert len(search(out, SMALL).finished) == 2 * (ARMS + 7)
    return out


def test_pairs_come_first_and_the_others_where_the_order_agrees(believed):
    plan, found = plan_of(believed), cheap(believed)
    told = plan["fidelities"]["small"]
    assert told["useful"] and told["paired"] == 5 and min(told["trust"].values()) > 0.5
    assert sorted(found) == list(range(7)) and {of[0].state.name for of in found.values()} == {"COMPLETE"}
    dear = by_index(journal(believed), "default")
    for index in range(5):
        small, large = rows(found[index]), rows(dear[index])
        assert sum(small.values()) == 40 and sum(large.values()) == 100
        assert all(abs(small[name] / 40 - large[name] / 100) <= 1 / 40 for name in large)
    assert len({str(rows(of)) for of in found.values()}) == 7


def test_cheap_runs_are_no_arms(believed):
    assert list(plan_of(believed)["arms"]) == ["default", *(f"p{number:03d}" for number in range(8))]
    study = optuna.load_study(study_name="default", storage=journal(believed))
    assert len(study.trials) == ARMS


def test_a_fidelity_that_misleads_is_left_alone(tmp_path):
    out = tmp_path / "run"
    (tmp_path / "trial.py").write_text(MISLED)
    said = Console(record=True, file=io.StringIO(), width=300)
    search(out, SMALL, console=said)
    told = plan_of(out)["fidelities"]["small"]
    assert not told["useful"] and set(told["trust"].values()) == {0.0}
    assert sorted(cheap(out)) == list(range(5))
    assert "its other runs are left out" in said.export_text()


def test_killed_among_cheap_runs_it_goes_on_as_it_would_have(believed, tmp_path):
    out = tmp_path / "run"
    process = worker(out, SMALL, TRIAL_SECONDS="0.1")
    soon(lambda: (out / "study.journal").exists() and len(cheap(out)) >= 3)
    process.kill()
    process.join()
    ended(worker(out, SMALL))
    for name in ("default", "default (small)"):
        ours, theirs = (by_index(journal(run), name) for run in (out, believed))
        assert {index: rows(of) for index, of in ours.items()} == {index: rows(of) for index, of in theirs.items()}


def test_hopeless_proposals_lose_their_further_seeds(tmp_path):
    """The judge, which reads items in a real run, here gives up whatever is not the best."""
    out = tmp_path / "run"
    (tmp_path / "trial.py").write_text(TRIAL)
    recipe = recipe_in(out, "study.search.prune=true", "study.search.sampler=random", "study.search.startup=8")
    pool, asked = open_pool(recipe.config.pool), []

    def judge(keys, best, benchmarks, weights):
        asked.append((list(keys), list(best)))
        assert len(keys) == len(best) == 1 and set(weights) <= set(benchmarks)
        return len(asked) % 2 == 0

    command = (sys.executable, "-S", "-E", str(tmp_path / "trial.py"))
    outcome = run_search(recipe, pool, make_plan(recipe, pool), Console(quiet=True), command, (), judge)
    assert len(asked) == 8 and len(outcome.finished) == 2 * ARMS - 4
    plan = plan_of(out)
    assert len(plan["trials"]) == 2 * ARMS - 4
    assert all(Path(out / "trials" / one["key"] / "record.json").exists() for one in plan["trials"])
    given_up = [keys[0] for place, (keys, _) in enumerate(asked) if place % 2]
    for key in given_up:
        arm = next(one["arm"] for one in plan["trials"] if one["key"] == key)
        assert [one["seed"] for one in plan["trials"] if one["arm"] == arm] == [0]


def test_without_prune_nobody_is_asked(tmp_path):
    recipe = recipe_in(tmp_path / "run", "study.search.trials=1")
    (tmp_path / "trial.py").write_text(TRIAL)
    pool = open_pool(recipe.config.pool)
    command = (sys.executable, "-S", "-E", str(tmp_path / "trial.py"))
    plan = make_plan(recipe, pool)
    outcome = run_search(recipe, pool, plan, Console(quiet=True), command, (), lambda *_: pytest.fail("asked"))
    assert len(outcome.finished) == 4


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("study.search.fidelities.small={trials: 8}", "small gives neither size nor model"),
        ("study.search.fidelities.small={size: 100}", "small.size is 100: it must be .* below the mixture's 100"),
        ("study.search.fidelities.small={size: 40, trials: 3}", "small.trials is 3: it must be at least 5"),
    ],
)
def test_what_is_wrong_with_a_fidelity_is_told(asked, told, tmp_path):
    with pytest.raises(ConfigError, match=told):
        recipe_in(tmp_path, asked)


def test_cheap_runs_need_one_objective(tmp_path):
    with pytest.raises(ConfigError, match="fidelities and pareto"):
        recipe_in(tmp_path, SMALL, "study.search.pareto=[daily,cost]")


def test_a_model_that_is_no_option_is_told(tmp_path):
    with pytest.raises(ConfigError, match="fidelities.other.model is nothing: it must be one of"):
        recipe_in(tmp_path / "run", "study.search.fidelities.other={model: nothing, trials: 5}")
