"""What a trial's key depends on."""

import pytest

from composer.config import BenchmarksConfig
from composer.errors import ConfigError
from composer.recipe import load_recipe
from composer.resources import eval_folder, eval_folders
from composer.trial.spec import trial_key, trial_spec


def spec(*overrides):
    config = load_recipe("quickstart", list(overrides)).config
    return trial_spec("mixtures/one", "digest", config.model, config.trainer, config.benchmarks, 0)


def test_the_default_backend_leaves_a_key_as_it_was_before_there_was_a_choice():
    now = spec()
    before = {**now, "benchmarks": {k: v for k, v in now["benchmarks"].items() if k != "eval_backend"}}
    assert trial_key(before) == trial_key(now) == trial_key(spec("benchmarks.eval_backend=hf"))


def test_another_backend_is_another_trial():
    assert trial_key(spec("benchmarks.eval_backend=vllm")) != trial_key(spec())


def test_several_folders_of_tasks_are_one_benchmark_set(tmp_path):
    assert eval_folders("mini") == [eval_folder("mini")]
    assert eval_folders(f"daily, {tmp_path}") == [eval_folder("daily"), tmp_path]
    with pytest.raises(ConfigError, match="benchmarks.tasks is nowhere"):
        eval_folders("daily,nowhere")
    alone, both = (spec(f"benchmarks.tasks='{tasks}'")["benchmarks"]["digest"] for tasks in ("daily", "daily,mini"))
    assert alone != both


def test_an_unknown_backend_is_a_problem_of_the_config():
    problems = list(BenchmarksConfig(name="mini", tasks="mini", eval_backend="tgi").problems())
    assert problems == ["benchmarks.eval_backend is tgi: it must be one of hf, vllm"]
