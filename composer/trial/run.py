"""One trial from its folder's `spec.json` to its `record.json`.

The record is written last and whole: a folder that has one is a finished trial. Progress goes to standard output, one
JSON object a line: `phase` (load, tokenise, train, evaluate), `step`, `steps`, `loss`.

Several processes may run one trial together, as `torchrun` starts them: all train, the first evaluates and writes.
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
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from composer.artifacts import read_json, write_json
from composer.errors import ComposerError
from composer.pool.store import write_table
from composer.trial.memory import MemoryEnded, ask_again, remember, remembered, shape_key

if TYPE_CHECKING:
    from composer.trial.evaluate import Evaluation
    from composer.trial.ledger import Ledger
    from composer.trial.load import Loaded
    from composer.trial.tokens import Tokens
    from composer.trial.train import Training

RECORD_VERSION = 2


def main(folder: Path) -> int:
    """Runs the trial in `folder`, ending when standard input does; the exit code is 0, or 1 where it failed."""
    threading.Thread(target=_end_with_the_study, daemon=True).start()
    try:
        run(folder)
    except MemoryEnded as error:
        remember(shape_key(read_json(folder / "spec.json"), device_name(), processes()), error.micro_tokens)
        ask_again(folder, error.micro_tokens)
        print(error, file=sys.stderr)
        return 1
    except ComposerError as error:
        if _is_first():
            print(error, file=sys.stderr)
        return 1
    return 0


def run(folder: Path) -> dict[str, Any] | None:
    """Trains and evaluates as `spec.json` says, and returns the record; None in all processes but the first.

    Writes `ledger.parquet` before the first step, `history/*.parquet`, `losses/*.parquet` and `events.json` on the way,
    `items.parquet` and `record.json` at the end. The record: `version`, `key`, `seed`, `status` ("finished"),
    `mixture` (rows, tokens, digest, too_long, left_out), `training`, `scores` (task → "metric,filter" → value),
    `seconds` by phase and in all, `peak_memory_mb`, `versions`.

    `training`: steps, rows, tokens, seconds, rows_per_second, tokens_per_second, useful (the share of real tokens among
    all that were computed), flops (a second), mfu (of what the device could do, or null), peak_gpu_memory_mb (or
    null), processes, device, micro_tokens, loss ([step, mean loss] pairs), by_category and by_source (the same for
    the rows of each), events (`monitors.Event`), stopping ([tokens, mean score] pairs).

    Raises:
        TrialError: The mixture does not fit the model, a monitor ended the run, or a benchmark is unknown.
    """
    spec = read_json(folder / "spec.json")
    clock: dict[str, float] = {}
    with _phase("load", clock):
        import transformers

        from composer.trial.ledger import make_ledger
        from composer.trial.load import load
        from composer.trial.spec import trial_key
        from composer.trial.tokens import tokens_of
        from composer.trial.train import forget_checkpoints, train

        _quieten(transformers)
        # A fork of a process that has drawn random numbers must not go on from its state.
        transformers.set_seed(spec["seed"])
        loaded = load(spec)
        config = loaded.config
    with _phase("tokenise", clock):
        table, kept = _rows(folder, spec), folder.parent.parent / "tokens"
        tokens = tokens_of(table, loaded.tokenizer, config.max_length, config.long_rows, kept)
        ledger = make_ledger(tokens, table["id"].to_pylist(), config, spec["seed"], loaded.gap)
        if _is_first():
            write_table(folder / "ledger.parquet", ledger.rows(tokens, table), 1 << 16)
    shape = shape_key(spec, device_name(), processes())
    with _phase("train", clock):
        groups = [f"{one['category']} {one['source']}" for one in table.select(["category", "source"]).to_pylist()]
        training = train(
            loaded.model, loaded.tokenizer, tokens, ledger, groups, table["id"].to_pylist(), config, spec["seed"],
            folder, lambda step, steps, loss: _tell("train", step, steps, loss), lambda: _score(loaded, spec),
            remembered(shape),
        )  # fmt: skip
    if not _is_first():
        return None
    if training.halved:
        remember(shape, training.micro_tokens)
    if config.keep_checkpoint:
        loaded.model.save_pretrained(folder / "checkpoint")
        loaded.tokenizer.save_pretrained(folder / "checkpoint")
    with _phase("evaluate", clock):
        evaluation = _evaluated(
            loaded, spec, spec["benchmarks"]["limit"], ("accuracy", "smooth"), spec["benchmarks"]["eval_backend"]
        )
    pq.write_table(evaluation.items, folder / "items.parquet", compression="zstd")
    record = {
        "version": RECORD_VERSION,
        "key": trial_key(spec),
        "seed": spec["seed"],
        "status": "finished",
        "mixture": {
            "rows": table.num_rows,
            "tokens": int(tokens.lengths.sum()),
            "digest": spec["mixture"]["digest"],
            "too_long": tokens.too_long,
            "left_out": tokens.left_out,
        },
        "training": _told(training, loaded, tokens, ledger, table),
        "scores": evaluation.scores,
        "seconds": {**{name: round(taken, 3) for name, taken in clock.items()}, "total": round(sum(clock.values()), 3)},
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "versions": spec["versions"],
    }
    write_json(folder / "record.json", record)
    forget_checkpoints(folder)
    return record


def _told(training: Training, loaded: Loaded, tokens: Tokens, ledger: Ledger, table: Any) -> dict[str, Any]:
    """The record's part on training."""
    import torch

    from composer.trial.arguments import base_of
    from composer.trial.cost import parameter_counts, peak_flops, training_flops
    from composer.trial.history import group_losses

    read = ledger.examples[: ledger.lines[ledger.steps[training.steps]]]
    base, on_gpu = base_of(loaded.model), torch.cuda.is_available()
    flops = training_flops(parameter_counts(base), base.config, tokens.lengths[read], tokens.learned[read])
    peak, seconds = peak_flops(device_name()), max(training.seconds, 1e-9)
    by = {}
    for column in ("category", "source"):
        coded = table[column].combine_chunks().dictionary_encode()
        by[column] = group_losses(training.history, np.asarray(coded.indices), coded.dictionary.to_pylist())
    return {
        "steps": training.steps,
        "rows": training.rows,
        "tokens": training.tokens,
        "seconds": round(training.seconds, 3),
        "rows_per_second": round(training.rows / seconds, 3),
        "tokens_per_second": round(training.tokens / seconds, 1),
        "useful": round(training.useful, 4),
        "flops": round(flops / seconds),
        "mfu": None if peak is None else round(flops / seconds / peak / processes(), 4),
        "peak_gpu_memory_mb": torch.cuda.max_memory_allocated() >> 20 if on_gpu else None,
        "processes": processes(),
        "device": device_name(),
        "micro_tokens": training.micro_tokens,
        "loss": training.loss,
        "by_category": by["category"],
        "by_source": by["source"],
        "events": [event.as_json() for event in training.events],
        "stopping": training.scores,
    }


def _evaluated(
    loaded: Loaded, spec: dict[str, Any], limit: int | None, of: tuple[str, ...], backend: str
) -> Evaluation:
    from composer.resources import eval_folders
    from composer.trial.evaluate import evaluate
    from composer.trial.load import evaluable

    wanted = spec["benchmarks"]
    tasks = {one[metric]["task"] for one in wanted["of"].values() for metric in of if one[metric]}
    with evaluable(loaded.model) as model:
        return evaluate(
            model, loaded.tokenizer, sorted(tasks), eval_folders(wanted["tasks"]), wanted["batch_size"], limit,
            backend,
        )  # fmt: skip


def _score(loaded: Loaded, spec: dict[str, Any]) -> float:
    """The mean smooth score of some items of each benchmark that has one; higher is better."""
    smooth = [one["smooth"] for one in spec["benchmarks"]["of"].values() if one["smooth"]]
    # By transformers: vLLM would take the model from the GPU that it trains on.
    scores = _evaluated(loaded, spec, loaded.config.stopping.items, ("smooth",), "hf").scores
    told = [(scores[of["task"]][f"{of['metric']},{of['filter']}"], of["higher_is_better"]) for of in smooth]
    return float(np.mean([score if higher else -score for score, higher in told]))


def _rows(folder: Path, spec: dict[str, Any]) -> Any:
    """The mixture's rows, from the study's folder."""
    study = folder.parent.parent
    return pq.read_table(
        study / spec["mixture"]["folder"] / "data", columns=["id", "messages", "category", "stratum", "source"]
    )


def processes() -> int:
    """How many processes run this trial together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def device_name() -> str:
    """What the trial trains on: the GPU's name, or cpu."""
    import torch

    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else "cpu"


def _is_first() -> bool:
    """Whether this is the first of the processes that run this trial, or the only one."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def _phase(name: str, clock: dict[str, float]) -> Iterator[None]:
    _tell(name, 0, 0, None)
    started = time.monotonic()
    yield
    clock[name] = time.monotonic() - started


def _tell(phase: str, step: int, steps: int, loss: float | None) -> None:
    if _is_first():
        print(json.dumps({"phase": phase, "step": step, "steps": steps, "loss": loss}), flush=True)


def _quieten(transformers: Any) -> None:
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _end_with_the_study() -> None:
    """Ends this process when the study that started it is gone, however it died: its end of the pipe closes."""
    os.read(0, 1)  # not sys.stdin, whose lock would abort an interpreter that ends while this thread waits
    os._exit(1)
