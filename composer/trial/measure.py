"""Measures what trials of a shape take, by a few steps and a few items: `python -m composer.trial.measure FOLDER`.

FOLDER is a trial's, with a `spec.json` beside its mixture; `speed.json` is written there.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy.optimize import nnls

from composer.artifacts import read_json, write_json
from composer.config_trainer import MonitorConfig, MonitorsConfig, StoppingConfig, TrainerConfig
from composer.errors import ComposerError
from composer.trial.history import Step
from composer.trial.speed import Speed

STEPS = 40
FIRST = 4  # of them that are not counted: memory is reserved, kernels are chosen
BATCHES = 2  # of items that are evaluated beyond the first


def main(folder: Path) -> int:
    """Measures; the exit code is 0, or 1 where that failed."""
    try:
        speed = measure(read_json(folder / "spec.json"), folder)
        if speed is not None:
            write_json(folder / "speed.json", asdict(speed))
    except ComposerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def measure(spec: dict[str, Any], folder: Path) -> Speed | None:
    """The speed of trials like that of `spec`, from at most `STEPS` steps and some batches of every benchmark.

    Of several processes the first evaluates and tells; the others get None.

    Args:
        spec: A trial's.
        folder: Its own, below that of a study.
    """
    import torch
    import transformers

    from composer.trial.arguments import base_of
    from composer.trial.cost import parameter_counts, peak_flops, training_flops
    from composer.trial.ledger import make_ledger
    from composer.trial.load import load
    from composer.trial.run import device_name, processes
    from composer.trial.tokens import tokens_of
    from composer.trial.train import train

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    transformers.set_seed(0)
    _import(spec)
    start = time.monotonic()
    loaded = load(spec)
    load_seconds = time.monotonic() - start
    table = pq.read_table(folder.parent.parent / spec["mixture"]["folder"] / "data")
    start = time.monotonic()
    tokens = tokens_of(table, loaded.tokenizer, loaded.config.max_length, loaded.config.long_rows)
    tokenise = (time.monotonic() - start) / max(int(tokens.lengths.sum()), 1)
    config = _few_steps(loaded.config, int(tokens.lengths.sum()), table.num_rows)
    ids = table["id"].to_pylist()
    ledger = make_ledger(tokens, ids, config, 0, loaded.gap)
    groups = [f"{one['category']} {one['source']}" for one in table.select(["category", "source"]).to_pylist()]
    trained = train(
        loaded.model, loaded.tokenizer, tokens, ledger, groups, ids, config, 0, folder, lambda *_: None
    )  # fmt: skip
    if os.environ.get("RANK", "0") != "0":
        return None
    token, step = _fitted(trained.history)
    read = ledger.examples[: ledger.lines[ledger.steps[trained.steps]]]
    base = base_of(loaded.model)
    flops = training_flops(parameter_counts(base), base.config, tokens.lengths[read], tokens.learned[read])
    weights = sum(one.numel() * one.element_size() for one in loaded.model.parameters())
    states = sum(8 * one.numel() for one in loaded.model.parameters() if one.requires_grad)
    on_gpu = torch.cuda.is_available()
    return Speed(
        load=load_seconds, tokenise=tokenise, token=token, step=step, evaluate=_evaluation(loaded, spec),
        flops=flops / max(trained.tokens, 1), useful=trained.useful, peak=peak_flops(device_name()),
        processes=processes(), on_gpu=on_gpu, memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        gpu_memory_mb=torch.cuda.max_memory_allocated() / 2**20 if on_gpu else None, weights_mb=weights / 2**20,
        checkpoint_mb=(weights + states) / 2**20, steps=trained.steps,
    )  # fmt: skip


def _import(spec: dict[str, Any]) -> None:
    """Imports what loading would, which trials of a study have behind them, by a model without weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from composer.trial.spec import model_path

    with torch.device("meta"):
        AutoModelForCausalLM.from_config(
            AutoConfig.from_pretrained(model_path(spec["model"]), revision=spec["model"]["revision"])
        )


def _few_steps(config: TrainerConfig, tokens: int, rows: int) -> TrainerConfig:
    """The settings with an end after some steps, and with nothing that would interrupt them."""
    off = MonitorsConfig(spike=MonitorConfig("off"), drift=MonitorConfig("off"), repeats=MonitorConfig("off"))
    few = max(1, round(tokens / max(rows, 1) * config.batch_size * STEPS))
    return replace(
        config, tokens=few, epochs=max(config.epochs, 1), monitors=off, stopping=StoppingConfig(),
        checkpoint_steps=None, checkpoint_minutes=1e9,
    )  # fmt: skip


def _fitted(steps: Sequence[Step]) -> tuple[float, float]:
    """Seconds a token and seconds a step that tell the steps' own seconds best, neither below 0."""
    counted = steps[min(FIRST, len(steps) - 1) :]
    tokens, seconds = (np.array([getattr(one, name) for one in counted], float) for name in ("tokens", "seconds"))
    (token, step), _ = nnls(np.stack([tokens, np.ones(len(tokens))], axis=1), seconds)
    # What the fit leaves over is part of the time.
    scale = seconds.sum() / max(token * tokens.sum() + step * len(tokens), 1e-12)
    return float(token * scale), float(step * scale)


def _evaluation(loaded: Any, spec: dict[str, Any]) -> float:
    """Seconds of the whole evaluation: that of one item of each task, and of every task what further items add."""
    from composer.resources import eval_folders
    from composer.trial.evaluate import Evaluation, evaluate
    from composer.trial.load import evaluable

    wanted = spec["benchmarks"]
    tasks = sorted({one[of]["task"] for one in wanted["of"].values() for of in ("accuracy", "smooth") if one[of]})
    batch = int(wanted["batch_size"])
    with evaluable(loaded.model) as model:

        def timed(of: Sequence[str], limit: int) -> tuple[float, Evaluation]:
            start = time.monotonic()
            found = evaluate(
                model, loaded.tokenizer, of, eval_folders(wanted["tasks"]), batch, limit, wanted["eval_backend"]
            )  # fmt: skip
            return time.monotonic() - start, found

        timed(tasks, 1)
        seconds, found = timed(tasks, 1)
        for task in tasks:
            items = min(found.sizes[task], wanted["limit"] or found.sizes[task])
            few, many = (batch, (1 + BATCHES) * batch) if items > (1 + BATCHES) * batch else (1, items)
            if many > few:
                seconds += max(timed([task], many)[0] - timed([task], few)[0], 0.0) / (many - few) * (items - 1)
    return seconds


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
