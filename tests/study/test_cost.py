"""What plans say of time, operations and disk."""

import json
from dataclasses import replace

import pytest

from composer.cli import main
from composer.config import BenchmarksConfig, ModelConfig
from composer.config_trainer import TrainerConfig
from composer.study.cost import disk_mb, trial_cost, work_of
from composer.trial.speed import Speed, keep, recalled, speed_key

TRAINER = TrainerConfig(name="x", epochs=3, batch_size=4)
MODEL = ModelConfig(name="m", path="m", parameters=1000, tokens_per_second=50.0)
BENCHMARKS = BenchmarksConfig(name="b", seconds=10.0)
SPEED = Speed(
    load=1.0, tokenise=0.001, token=0.01, step=0.5, evaluate=20.0, flops=7000.0, useful=0.9, peak=1e6, processes=2,
    on_gpu=True, memory_mb=100.0, gpu_memory_mb=200.0, weights_mb=10.0, checkpoint_mb=30.0, steps=40,
)  # fmt: skip


def test_a_trial_ends_with_its_epochs_or_its_tokens():
    whole = work_of(10, 1000, TRAINER)
    assert (whole.tokens, whole.trained, whole.steps) == (1000, 3000, 9)
    short = work_of(10, 1000, replace(TRAINER, tokens=1000))
    assert (short.trained, short.steps) == (1000, 3)
    assert work_of(10, 1000, replace(TRAINER, tokens=10**9)) == whole
    assert work_of(10, None, TRAINER).trained is None and work_of(None, None, TRAINER).steps is None


def test_what_was_measured_is_reckoned_with_and_else_what_the_recipe_says():
    work = work_of(10, 1000, TRAINER)
    told = trial_cost(work, SPEED, MODEL, BENCHMARKS)
    assert told["phases"] == {"load": 1.0, "tokenise": 1.0, "train": 34.5, "evaluate": 20.0}
    assert told["seconds"] == 56.5 and told["gpu_hours"] == round(56.5 * 2 / 3600, 4)
    assert told["flops"] == 7000 * 3000 and told["mfu"] == round(21e6 / 34.5 / 1e6 / 2, 4)
    plain = trial_cost(work, None, MODEL, BENCHMARKS)
    assert plain["seconds"] == 3000 / 50 + 10 and plain["phases"] is None and plain["gpu_hours"] is None
    assert plain["flops"] == 6 * 1000 * 3000
    assert trial_cost(work, None, replace(MODEL, tokens_per_second=0.0), BENCHMARKS)["seconds"] is None


def test_disk_holds_mixtures_checkpoints_of_trials_at_work_and_what_is_kept():
    kept = replace(TRAINER, keep_checkpoint=True)
    of = [(kept, MODEL, SPEED), (TRAINER, MODEL, SPEED), (kept, MODEL, SPEED)]
    assert disk_mb([2**20], of, 2) == pytest.approx(10 + 2 * 2 * 30 + 2 * 10)
    assert disk_mb([0], [(TRAINER, replace(MODEL, parameters=2**20), None)], 4) == pytest.approx(2 * 12)
    assert disk_mb([0], [(TRAINER, replace(MODEL, parameters=0), None)], 1) is None


def test_speeds_are_kept_by_what_they_depend_on():
    spec = {
        "model": {"path": "m", "revision": None, "dtype": "float32", "digest": "d"},
        "trainer": {"batch_size": 4, "learning_rate": 1e-3, "packing": "off"}, "benchmarks": {"limit": 2},
    }  # fmt: skip
    key = speed_key(spec, "cpu", 1)
    assert speed_key({**spec, "trainer": {**spec["trainer"], "learning_rate": 1e-4}}, "cpu", 1) == key
    for changed in ({"trainer": {**spec["trainer"], "packing": "best_fit"}}, {"benchmarks": {"limit": 3}}):
        assert speed_key({**spec, **changed}, "cpu", 1) != key
    assert recalled(key) is None
    keep(key, [SPEED, replace(SPEED, load=3.0, peak=None)])
    assert recalled(key) == replace(SPEED, load=2.0, peak=None)


def test_a_plan_that_measures_knows_the_phases_and_later_ones_too(tmp_path, capsys):
    given = [
        "plan", "quickstart", "--json", "pool.rows=4000", "mixture.size=200", "benchmarks.limit=4", "study.seeds=1",
        "~benchmarks.of.haerae", "~benchmarks.of.mclm_ko", "~benchmarks.of.daily", "launcher.workers=1",
    ]  # fmt: skip

    def plan(*more):
        assert main([*given, f"out={tmp_path / 'run'}", *more]) == 0
        return json.loads(capsys.readouterr().out)

    before = plan()
    assert not before["expected"]["measured"] and all(arm["phases"] is None for arm in before["arms"].values())
    measured = plan("--measure")
    assert measured["expected"]["measured"]
    phases = [arm["phases"] for arm in measured["arms"].values()]
    assert all(taken > 0 for of in phases for taken in of.values())
    flops = {name: arm["flops"] / arm["training_tokens"] for name, arm in measured["arms"].items()}
    assert min(flops.values()) > 6 * 1e5  # operations a token: the model has a million parameters
    assert plan() == measured
    other = plan("trainer.packing=best_fit")
    assert not other["expected"]["measured"]


def test_a_measurement_that_fails_says_why(tmp_path, capsys):
    broken = tmp_path / "model"
    broken.mkdir()
    (broken / "config.json").write_text('{"model_type": "no such"}')
    words = ["plan", "quickstart", "--measure", "pool.rows=4000", "mixture.size=200", f"out={tmp_path / 'run'}"]
    assert main([*words, "model=folder", f"model.path={broken}"]) != 0
    assert "measuring" in capsys.readouterr().err
