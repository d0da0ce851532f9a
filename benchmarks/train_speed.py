"""Training on a CPU: useful tokens a second beside TRL and the plain Trainer, on the same real rows; and tokenising.

Rows are composed of the pool `local_example` (COMPOSER_DATA), those longer than the mini base reads left out before
anyone sees them. Each contender runs in a process of its own, round after round; tokens of rows count, padding does
not. `--python` runs them all in an environment that has TRL too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZE = 1_200  # rows of the mixture, before long ones are left out
LENGTH = 1024
ROWS = 16  # a step
STEPS = 24
WARM = 4  # steps that are not timed
QUOTAS = {"reasoning": 0.4, "mcqa": 0.3, "daily": 0.3}


def mixture(folder: Path) -> None:
    """Composes the rows and keeps those that the model can read."""
    import pyarrow.parquet as pq
    from transformers import AutoTokenizer

    from composer.config import MixtureConfig
    from composer.mixture import compose
    from composer.pool.open import open_pool
    from composer.recipe import load_recipe
    from composer.resources import base_model
    from composer.trial.tokens import tokens_of

    pool = open_pool(load_recipe(None, ["pool=local_example"]).config.pool)
    table = pool.take(compose(pool.index, MixtureConfig(by="share", size=SIZE, quotas=QUOTAS)).positions)
    tokens = tokens_of(table, AutoTokenizer.from_pretrained(base_model()), LENGTH, "reject")
    kept = table.take(tokens.places[: ROWS * STEPS])
    lengths = tokens.lengths[: ROWS * STEPS]
    pq.write_table(kept, folder / "rows.parquet")
    deciles = np.percentile(lengths, [0, 10, 50, 90, 100]).astype(int).tolist()
    told = f"{len(kept)} of {SIZE} rows, {lengths.mean():.0f} tokens on average (deciles 0, 1, 5, 9, 10: {deciles})"
    (folder / "rows.txt").write_text(told)


def _loaded(folder: Path) -> tuple[Any, Any, Any]:
    import pyarrow.parquet as pq
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from composer.resources import base_model

    model = AutoModelForCausalLM.from_pretrained(base_model(), dtype=torch.float32)
    return pq.read_table(folder / "rows.parquet"), AutoTokenizer.from_pretrained(base_model()), model


def composer(folder: Path, packing: str) -> list[tuple[int, float]]:
    """(tokens, seconds) of each step of ours."""
    from composer.config_trainer import TrainerConfig
    from composer.trial.attention import document_gap
    from composer.trial.ledger import make_ledger
    from composer.trial.tokens import tokens_of
    from composer.trial.train import train

    table, tokenizer, model = _loaded(folder)
    config = TrainerConfig(name="speed", epochs=1, batch_size=ROWS, packing=packing, max_length=LENGTH)
    tokens = tokens_of(table, tokenizer, LENGTH, "error")
    ledger = make_ledger(tokens, table["id"].to_pylist(), config, 0, document_gap(model.config))
    with tempfile.TemporaryDirectory() as out:
        same = [""] * len(tokens)
        ran = train(model, tokenizer, tokens, ledger, same, same, config, 0, Path(out), lambda *_: None)
    return [(step.tokens, step.seconds) for step in ran.history]


def _clock() -> Any:
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        """Keeps (tokens, seconds) of each step; the collator counts the tokens."""

        def __init__(self) -> None:
            self.found: list[tuple[int, float]] = []
            self.tokens = 0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.since = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            now = time.perf_counter()
            self.found.append((self.tokens, now - self.since))
            self.tokens, self.since = 0, now

    return Clock()


def _rows(table: Any, tokenizer: Any) -> list[dict[str, list[int]]]:
    from composer.trial.tokens import tokens_of

    tokens = tokens_of(table, tokenizer, LENGTH, "error")
    parts = [slice(int(tokens.starts[at]), int(tokens.starts[at + 1])) for at in range(len(tokens))]
    return [
        {
            "input_ids": tokens.ids[part].tolist(),
            "labels": np.where(tokens.kinds[part] > 0, tokens.ids[part], -100).tolist(),
        }
        for part in parts
    ]


def padded(folder: Path, _: str) -> list[tuple[int, float]]:
    """The plain Trainer: rows in random order, padded to the longest of their step."""
    import transformers
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    table, tokenizer, model = _loaded(folder)
    clock, pad = _clock(), DataCollatorForSeq2Seq(tokenizer)

    def collate(rows: list[dict[str, list[int]]]) -> Any:
        clock.tokens += sum(len(row["input_ids"]) for row in rows)
        return pad(rows)

    transformers.utils.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            output_dir=out, per_device_train_batch_size=ROWS, num_train_epochs=1, learning_rate=1e-3, report_to=[],
            save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=True, warmup_steps=10,
        )  # fmt: skip
        rows = _rows(table, tokenizer)
        Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collate, callbacks=[clock]).train()
    return clock.found  # type: ignore[no-any-return]


def trl(folder: Path, packing: str) -> list[tuple[int, float]]:
    """TRL's SFTTrainer on the same tokens."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    table, tokenizer, model = _loaded(folder)
    rows = _rows(table, tokenizer)
    clock = _clock()
    mean = statistics.fmean(len(row["input_ids"]) for row in rows)
    lines = max(1, round(ROWS * mean / LENGTH)) if packing else ROWS
    told = {"packing": True, "max_length": LENGTH} if packing else {"max_length": LENGTH}
    with tempfile.TemporaryDirectory() as out:
        arguments = SFTConfig(
            output_dir=out, per_device_train_batch_size=lines, num_train_epochs=1, learning_rate=1e-3, report_to=[],
            save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=True, bf16=False, warmup_steps=10,
            gradient_checkpointing=False, **told,
        )  # fmt: skip
        trainer = SFTTrainer(
            model=model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
            callbacks=[clock],
        )  # fmt: skip
        collate = trainer.data_collator

        def counting(items: list[dict[str, Any]]) -> Any:
            clock.tokens += sum(len(item["input_ids"]) for item in items)
            return collate(items)

        trainer.data_collator = counting
        trainer.train()
    return clock.found  # type: ignore[no-any-return]


def tokenising(folder: Path, processes: str) -> list[tuple[int, float]]:
    """(rows, seconds) of tokenising, the assistant's tokens marked: ours, or `datasets.map` in so many processes."""
    from composer.trial.tokens import tokens_of

    table, tokenizer, _ = _loaded(folder)
    if not processes:
        tokens_of(table.slice(0, 64), tokenizer, LENGTH, "error")
        since = time.perf_counter()
        tokens_of(table, tokenizer, LENGTH, "error")
        return [(len(table), time.perf_counter() - since)]
    from datasets import Dataset

    def one(row: dict[str, Any]) -> Any:
        return tokenizer.apply_chat_template(row["messages"], return_dict=True, return_assistant_tokens_mask=True)

    rows = Dataset(table)
    rows.select(range(64)).map(one, num_proc=int(processes), load_from_cache_file=False)
    since = time.perf_counter()
    rows.map(one, num_proc=int(processes), load_from_cache_file=False)
    return [(len(table), time.perf_counter() - since)]


CONTENDERS: dict[str, tuple[Callable[[Path, str], list[tuple[int, float]]], str]] = {
    "the plain Trainer, padded": (padded, ""),
    "TRL, its defaults": (trl, ""),
    "TRL, packed": (trl, "packed"),
    "composer, rows of like length": (composer, "off"),
    "composer, packed": (composer, "best_fit"),
}
TOKENISERS = {
    "datasets.map": (tokenising, "1"),
    "datasets.map, 2 processes": (tokenising, "2"),
    "composer": (tokenising, ""),
}
WORK = {**CONTENDERS, **TOKENISERS}


def main() -> None:
    """Runs the contenders round after round and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="of an environment with TRL")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="contenders whose name contains this")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        work, told = WORK[given.step[0]]
        found = work(Path(given.step[1]), told)
        print(json.dumps({"found": found, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))
        return
    with tempfile.TemporaryDirectory() as folder:
        mixture(Path(folder))
        ran: dict[str, list[dict[str, Any]]] = {}
        for _ in range(given.rounds):
            for name in (one for one in WORK if given.only in one):
                print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr, flush=True)
                words = [given.python, __file__, "--step", name, folder]
                done = subprocess.run(words, capture_output=True, text=True)
                if done.returncode:
                    print(f"{name}: {done.stderr.splitlines()[-1]}", file=sys.stderr)
                    continue
                ran.setdefault(name, []).append(json.loads(done.stdout.splitlines()[-1]))
        print(
            f"{Path(folder, 'rows.txt').read_text()}; {ROWS} a step, {STEPS} steps, median of {given.rounds} rounds\n"
        )
    print(_table("useful tokens a second", [name for name in CONTENDERS if name in ran], ran, WARM))
    print(_table("rows tokenised a second", [name for name in TOKENISERS if name in ran], ran, 0))


def _table(what: str, names: list[str], ran: dict[str, list[dict[str, Any]]], warm: int) -> str:
    lines, first = [f"| | {what} | times | peak memory |", "| --- | ---: | ---: | ---: |"], 0.0
    for name in names:
        timed = [one["found"][warm:] for one in ran[name]]
        speed = statistics.median(sum(n for n, _ in one) / sum(seconds for _, seconds in one) for one in timed)
        first = first or speed
        peak = statistics.median(one["peak"] for one in ran[name])
        lines.append(f"| {name} | {speed:,.0f} | {speed / first:.2f}× | {peak:.2f} GiB |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
