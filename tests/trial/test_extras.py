"""Settings that take a package which is not always here: told where it is missing, and trained with where it is not."""

import json

import pytest
from trials import finish, history, make_trial

from composer.config_trainer import LoraConfig, TrainerConfig
from composer.errors import NeedsError
from composer.trial.extras import EXTRAS, check_extras, is_installed

WANTED = {
    "bitsandbytes": {"optimizer": "paged_adamw_8bit"},
    "peft": {"lora": LoraConfig()},
    "liger": {"kernels": "liger"},
}


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_that_is_missing_is_told_with_the_command_that_brings_it(extra, monkeypatch):
    monkeypatch.setitem(EXTRAS, extra, "no_such_package")
    with pytest.raises(NeedsError, match=rf"which is not installed: pip install 'composer-mix\[{extra}\]'"):
        check_extras(TrainerConfig(name="x", **WANTED[extra]))
    check_extras(TrainerConfig(name="x"))


@pytest.mark.skipif(not is_installed("peft"), reason="the extra peft is not installed")
def test_adapters_are_trained_and_nothing_else_and_the_rest_is_as_it_was(tmp_path):
    lora = "trainer.lora={rank: 4, alpha: 8, dropout: 0.0, targets: all-linear}"
    folder, again = make_trial(tmp_path / "one", lora), make_trial(tmp_path / "two", lora, "trainer.packing=best_fit")
    for one in (folder, again):
        code, said = finish(one)
        assert code == 0, said
    kept = {path.name for path in (folder / "checkpoint").iterdir()}
    assert kept & {"adapter_model.safetensors", "model.safetensors"}
    first, last = (history(folder)["loss"].to_pylist()[at] for at in (0, -1))
    assert last < first
    told = json.loads((folder / "record.json").read_text())["training"]
    packed = json.loads((again / "record.json").read_text())["training"]
    assert packed["tokens"] == told["tokens"] and packed["useful"] >= 0.95
