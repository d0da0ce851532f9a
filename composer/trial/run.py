"""One trial from its folder's `spec.json` to its `record.json`.

The record is written last and whole: a folder that has one is a finished trial. Progress goes to standard output, one
JSON object a line: `phase` (load, tokenise, train, evaluate), `step`, `steps`, `loss`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from composer.artifacts import read_json, write_json
from composer.config import TrainerConfig
from composer.errors import ComposerError

RECORD_VERSION = 1


def main(folder: Path) -> int:
    """Runs the trial in `folder`, ending when standard input does; the exit code is 0, or 1 where it failed."""
    threading.Thread(target=_end_with_the_study, daemon=True).start()
    try:
        run(folder)
    except ComposerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def run(folder: Path) -> dict[str, Any]:
    """Trains and evaluates as `spec.json` says, writes `items.parquet` and `record.json`, returns the record.

    The record: `version`, `key`, `seed`, `status` ("finished"), `mixture` (rows, tokens, digest), `training` (steps,
    rows, tokens, seconds, rows_per_second, tokens_per_second, loss as [step, mean loss] pairs), `scores` (task →
    "metric,filter" → value), `seconds` by phase and in all, `peak_memory_mb`, `versions`.

    Raises:
        TrialError: The mixture does not fit the model, or a benchmark is unknown.
    """
    spec = read_json(folder / "spec.json")
    clock: dict[str, float] = {}
    with _phase("load", clock):
        import torch
        import transformers

        from composer.trial.chat import tokenise
        from composer.trial.evaluate import evaluate
        from composer.trial.order import batches
        from composer.trial.spec import model_path, trial_key
        from composer.trial.train import train

        _quieten(transformers)
        # A fork of a process that has drawn random numbers must not go on from its state.
        transformers.set_seed(spec["seed"])
        path, revision = model_path(spec["model"]), spec["model"]["revision"]
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, revision=revision)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            path, revision=revision, dtype=getattr(torch, spec["model"]["dtype"])
        )
        if torch.cuda.is_available():
            model = model.cuda()
    config = TrainerConfig(**spec["trainer"])
    with _phase("tokenise", clock):
        table = _rows(folder, spec)
        ids = table["id"].to_pylist()
        examples = tokenise(tokenizer, table["messages"].to_pylist(), ids, config.max_length)
        plan = batches(_hashes(ids), [len(e.ids) for e in examples], config.batch_size, config.epochs, spec["seed"])
    with _phase("train", clock):
        training = train(
            model, tokenizer, examples, plan, config, spec["seed"], folder / "checkpoint",
            lambda step, steps, loss: _tell("train", step, steps, loss),
        )  # fmt: skip
    if config.keep_checkpoint:
        model.save_pretrained(folder / "checkpoint")
        tokenizer.save_pretrained(folder / "checkpoint")
    with _phase("evaluate", clock):
        wanted = spec["benchmarks"]
        tasks = [metric["task"] for of in wanted["of"].values() for metric in (of["accuracy"], of["smooth"]) if metric]
        from composer.resources import eval_folders

        evaluation = evaluate(
            model, tokenizer, sorted(set(tasks)), eval_folders(wanted["tasks"]), wanted["batch_size"], wanted["limit"],
            wanted["eval_backend"],
        )  # fmt: skip
    pq.write_table(evaluation.items, folder / "items.parquet", compression="zstd")
    record = {
        "version": RECORD_VERSION,
        "key": trial_key(spec),
        "seed": spec["seed"],
        "status": "finished",
        "mixture": {
            "rows": len(examples),
            "tokens": sum(len(e.ids) for e in examples),
            "digest": spec["mixture"]["digest"],
        },
        "training": {
            "steps": training.steps,
            "rows": training.rows,
            "tokens": training.tokens,
            "seconds": round(training.seconds, 3),
            "rows_per_second": round(training.rows / training.seconds, 3),
            "tokens_per_second": round(training.tokens / training.seconds, 1),
            "loss": training.loss,
        },
        "scores": evaluation.scores,
        "seconds": {**{name: round(taken, 3) for name, taken in clock.items()}, "total": round(sum(clock.values()), 3)},
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "versions": spec["versions"],
    }
    write_json(folder / "record.json", record)
    return record


def _rows(folder: Path, spec: dict[str, Any]) -> Any:
    """The mixture's rows, from the study's folder."""
    study = folder.parent.parent
    return pq.read_table(study / spec["mixture"]["folder"] / "data", columns=["id", "messages"])


def _hashes(ids: list[str]) -> Any:
    import numpy as np

    from composer.pool.hashes import row_hash

    return np.array([row_hash(row_id) for row_id in ids], dtype=np.uint64)


@contextmanager
def _phase(name: str, clock: dict[str, float]) -> Iterator[None]:
    _tell(name, 0, 0, None)
    started = time.monotonic()
    yield
    clock[name] = time.monotonic() - started


def _tell(phase: str, step: int, steps: int, loss: float | None) -> None:
    print(json.dumps({"phase": phase, "step": step, "steps": steps, "loss": loss}), flush=True)


def _quieten(transformers: Any) -> None:
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _end_with_the_study() -> None:
    """Ends this process when the study that started it is gone, however it died: its end of the pipe closes."""
    os.read(0, 1)  # not sys.stdin, whose lock would abort an interpreter that ends while this thread waits
    os._exit(1)
