"""What can go wrong in a trial is said in one sentence, and nothing is lost."""

import itertools
import json
import os
import shutil
import subprocess
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from trials import finish, make_trial, weights

from composer.resources import base_model
from composer.trial.checkpoints import newest_whole
from composer.trial.tokens import tokens_of


def last_line(said):
    return [line for line in said.splitlines() if line.strip()][-1]


def changed_base(folder, change):
    """A copy of the mini base, changed."""
    shutil.copytree(base_model(), folder)
    change(folder)
    return f"model.path={folder}"


def test_a_model_without_a_template(tmp_path):
    def change(folder):
        (folder / "chat_template.jinja").unlink()

    code, said = finish(make_trial(tmp_path / "run", "model=folder", changed_base(tmp_path / "base", change)))
    assert code == 1
    assert last_line(said).startswith("the model's tokeniser has no chat template")


def test_a_template_without_generation_marks(tmp_path):
    def change(folder):
        template = folder / "chat_template.jinja"
        text = template.read_text()
        template.write_text(text.replace("{% generation %}", "").replace("{% endgeneration %}", ""))

    code, said = finish(make_trial(tmp_path / "run", "model=folder", changed_base(tmp_path / "base", change)))
    assert code == 1 and "{% generation %}" in last_line(said)


def test_a_row_longer_than_the_context(tmp_path):
    code, said = finish(make_trial(tmp_path, "trainer.max_length=16"))
    assert code == 1
    assert "tokens long and trainer.max_length is 16: " in last_line(said)


def test_a_line_longer_than_the_models_context_is_told_before_training(tmp_path):
    code, said = finish(make_trial(tmp_path, "trainer.max_length=4096"))
    assert code == 1
    assert last_line(said).startswith("trainer.max_length is 4096 and the model reads 1024 tokens at most")


def test_a_loss_that_is_no_number_names_its_step(tmp_path):
    plain = make_trial(tmp_path / "plain")
    tokenizer, mixture = AutoTokenizer.from_pretrained(base_model()), tmp_path / "plain" / "mixtures" / "one" / "data"
    tokens = tokens_of(pq.read_table(mixture), tokenizer, 512, "error")
    rows = [set(tokens.ids[start:end].tolist()) for start, end in itertools.pairwise(tokens.starts.tolist())]
    found = Counter(token for row in rows for token in row)
    token = min(token for token, count in found.items() if count == 1)

    def change(folder):  # a token of one row breaks the model
        tensors = safetensors.torch.load_file(folder / "model.safetensors")
        tensors["model.embed_tokens.weight"][token] = float("nan")
        safetensors.torch.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    folder = make_trial(tmp_path / "run", "model=folder", changed_base(tmp_path / "base", change))
    code, said = finish(folder)
    assert code == 1
    told = last_line(said)
    assert "is no finite number" in told and "trainer.monitors.divergence.policy" in told
    [event] = json.loads((folder / "events.json").read_text())
    assert event["kind"] == "divergence" and f"step {event['step']}" in told
    ledger = pq.read_table(folder / "ledger.parquet").to_pylist()
    [row] = [place for place, row in enumerate(rows) if token in row]
    assert [line["step"] for line in ledger if line["place"] == row] == [event["step"]]
    assert not (plain / "record.json").exists() and not (folder / "record.json").exists()


def test_a_full_disk_costs_the_checkpoint_and_not_the_run(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", place], capture_output=True).returncode:
        pytest.skip("a small file system cannot be made here")
    try:
        folder = make_trial(tmp_path / "run", "trainer.checkpoint_steps=3")
        (folder / "checkpoints").symlink_to(place)
        code, said = finish(folder)
        assert code == 0, said
        assert "no checkpoint after step" in said and "is full; training goes on" in said
        plain = make_trial(tmp_path / "plain")
        assert finish(plain)[0] == 0
        assert weights(folder) == weights(plain)
        assert newest_whole(place) == (None, [])
    finally:
        subprocess.run(["umount", "-l", place])


def test_memory_that_ends_halves_the_pass_and_the_result_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPOSER_CACHE", os.environ["COMPOSER_CACHE"])
    records = []
    for most in (None, 500):
        folder = make_trial(tmp_path / str(most), "trainer.batch_size=64")
        code, said = finish(folder, env={"MOST_TOKENS": str(most or 0)}, module="hungry")
        assert code == 0, said
        records.append(json.loads((folder / "record.json").read_text())["training"])
        assert ("memory ended: passes of" in said) == (most is not None)
    assert records[1]["micro_tokens"] < 1024 < records[0]["micro_tokens"]
    assert records[1]["loss"] == [[step, pytest.approx(loss, rel=1e-4)] for step, loss in records[0]["loss"]]
    again = make_trial(tmp_path / "again", "trainer.batch_size=64", seed=1)
    code, said = finish(again, env={"MOST_TOKENS": "500"}, module="hungry")
    assert code == 0 and "memory ended" not in said, "the size that was found is known to the next trial"


def test_an_empty_batch_is_not_made(tmp_path):
    """Rows that are cut before their answer are left out beforehand, so that no step is without a loss."""
    folder = make_trial(tmp_path, "trainer.max_length=20", "trainer.long_rows=truncate", "trainer.batch_size=1")
    code, said = finish(folder)
    assert code == 0, said
    record = json.loads((folder / "record.json").read_text())
    assert record["mixture"]["left_out"] > 0
    assert (
        record["training"]["rows"]
        == record["training"]["steps"]
        == record["mixture"]["rows"] - record["mixture"]["left_out"]
    )
    assert all(np.isfinite(loss) for _, loss in record["training"]["loss"])


def test_the_last_weights_are_those_that_are_evaluated(tmp_path):
    folder = make_trial(tmp_path)
    assert finish(folder)[0] == 0
    trained = AutoModelForCausalLM.from_pretrained(folder / "checkpoint", dtype=torch.float32)
    base = AutoModelForCausalLM.from_pretrained(base_model(), dtype=torch.float32)
    assert any(not torch.equal(one, other) for one, other in zip(trained.parameters(), base.parameters(), strict=True))
