"""The shipped base: it knows the world's facts and can look things up, and knows no benchmark's format."""

import json

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from composer.mini.pretrain import Settings, build_model, probe
from composer.resources import base_model, eval_folder
from composer.trial.evaluate import evaluate


@pytest.fixture(scope="module")
def base():
    return (
        AutoModelForCausalLM.from_pretrained(base_model(), dtype="float32"),
        AutoTokenizer.from_pretrained(base_model()),
    )


def test_it_is_small(base):
    model, _ = base
    assert 1_000_000 <= model.num_parameters() <= 2_000_000
    assert sum(file.stat().st_size for file in base_model().iterdir()) <= 6_000_000


def test_it_knows_what_its_settings_say(base):
    found = probe(*base)
    assert found["facts"] > 0.98
    assert found["lookups"] > 0.95
    written = json.loads((base_model() / "settings.json").read_text())
    assert found == pytest.approx({name: written["reached"][name] for name in found}, abs=0.01)


def test_the_script_builds_its_shape(base):
    model, tokenizer = base
    fresh = build_model(Settings(), tokenizer)
    assert {name: p.shape for name, p in fresh.named_parameters()} == {n: p.shape for n, p in model.named_parameters()}


def test_it_knows_no_format(base):
    tasks = [f"mini_{name}" for name in ("kmmlu_redux", "haerae", "mclm_ko")]
    scores = evaluate(*base, tasks, eval_folder("mini"), 64, 64).scores
    assert [found["accuracy,none"] for found in scores.values()] == [0.0] * len(tasks)
