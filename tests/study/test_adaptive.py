"""Adaptive dose finding: what is asked next, when it ends, and that it is kept."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.artifacts import read_json, write_json
from composer.errors import ComposerError, OutputError
from composer.recipe import load_recipe
from composer.study.adaptive import DOSES, bisect, grown, kept_doses, observed, resumed

FULL = 1000
ASKED = (
    "mixture=custom", "mixture.by=rows", "mixture.quotas.mcqa=100", "mixture.quotas.daily=300", "study.seeds=2",
    "study.designs.dose.kind=adaptive_dose", "study.designs.dose.category=mcqa", f"study.designs.dose.doses=[0,{FULL}]",
    "study.designs.dose.benchmarks=[haerae]", "study.designs.dose.max_doses=14",
)  # fmt: skip


def recipe_in(run, *more):
    return load_recipe(None, [*ASKED, f"out={run}", *more])


def finish(recipe, score):
    """Writes a record for every trial of the recipe, with `score(dose)` as haerae's accuracy; returns its plan."""
    doses = {point.arm: point.dose for point in recipe.designs[0].points}
    trials = [{"arm": arm, "seed": seed, "key": f"{arm}_{seed}"} for arm in recipe.arms for seed in range(2)]
    for trial in trials:
        accuracy = {"haerae": score(doses[trial["arm"]]), "daily": 0.5}
        scores = {name: {"accuracy,none": value} for name, value in accuracy.items()}
        write_json(recipe.out / "trials" / trial["key"] / "record.json", {"scores": scores})
    measures = {name: {"accuracy": {"task": name, "metric": "accuracy", "filter": "none"}} for name in accuracy}
    return {"trials": trials, "benchmarks": measures}


def run_to_the_end(recipe, score, propose=bisect):
    rounds = 0
    while (more := grown(recipe, finish(recipe, score), recipe.out, propose)) is not None:
        recipe, rounds = more, rounds + 1
        assert rounds < 20
    return recipe, sorted(point.dose for point in recipe.designs[0].points)


@settings(max_examples=8)
@given(st.integers(1, FULL))
def test_bisecting_brackets_the_threshold_as_narrowly_as_was_asked(threshold):
    with tempfile.TemporaryDirectory() as folder:
        _, doses = run_to_the_end(recipe_in(Path(folder) / "run"), lambda dose: 0.2 + 0.6 * (dose >= threshold))
    low = max(dose for dose in doses if dose < threshold)
    high = min(dose for dose in doses if dose >= threshold)
    assert high <= 2 * max(low, 1)
    assert len(doses) <= 8


def test_a_category_that_does_no_good_is_asked_no_further(tmp_path):
    _, doses = run_to_the_end(recipe_in(tmp_path / "run"), lambda dose: 0.5)
    assert doses == [0, FULL]


def test_what_was_proposed_is_kept_and_a_resumed_study_has_it(tmp_path):
    run = tmp_path / "run"
    recipe, doses = run_to_the_end(recipe_in(run), lambda dose: float(dose >= 77))
    assert read_json(run / DOSES)["doses"]["dose"] == list(recipe.proposed["dose"])
    again = resumed(recipe_in(run))
    assert again.arms == recipe.arms and again.mixtures == recipe.mixtures
    assert sorted(point.dose for point in again.designs[0].points) == doses
    assert resumed(recipe_in(tmp_path / "another")).proposed == {}


def test_it_ends_at_the_declared_number_of_doses(tmp_path):
    recipe = recipe_in(tmp_path / "run", "study.designs.dose.max_doses=3")
    _, doses = run_to_the_end(recipe, lambda dose: float(dose >= 77))
    assert len(doses) == 3


def test_a_proposer_sees_the_finished_trials_by_dose(tmp_path):
    recipe = recipe_in(tmp_path / "run")
    plan = finish(recipe, lambda dose: dose / FULL)
    (tmp_path / "run/trials/mcqa_0_1/record.json").unlink()
    none, full = observed(recipe.designs[0], plan, recipe.out)
    assert (none.dose, dict(none.keys), none.scores["haerae"]) == (0, {0: "mcqa_0_0"}, {0: 0.0})
    assert (full.dose, full.scores["haerae"], full.scores["daily"]) == (FULL, {0: 1.0, 1: 1.0}, {0: 0.5, 1: 0.5})


def test_a_dose_outside_the_first_ones_is_refused_and_a_tried_one_ends_it(tmp_path):
    recipe = recipe_in(tmp_path / "run")
    plan = finish(recipe, float)
    with pytest.raises(ComposerError, match="1001 rows were proposed.*between the first doses, 0 and 1000"):
        grown(recipe, plan, recipe.out, lambda design, found: FULL + 1)
    assert grown(recipe, plan, recipe.out, lambda design, found: FULL) is None
    assert kept_doses(recipe.out) == {}


def test_doses_of_another_version_are_refused(tmp_path):
    write_json(tmp_path / DOSES, {"version": 99, "doses": {}})
    with pytest.raises(OutputError, match="version 99"):
        kept_doses(tmp_path)
