"""Tokens per second of a trial's training and of a plain PyTorch loop, on the same model and the same batches.

Run it as `python benchmarks/throughput.py`. Both train the mini base in one process and one thread, in turns, so that
what else the machine does falls on both; the ratio is what counts.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from composer.config import TrainerConfig
from composer.mini import rows
from composer.pool import Row, row_hash
from composer.recipe import load_recipe
from composer.resources import base_model
from composer.trial.chat import tokenise
from composer.trial.order import batches
from composer.trial.train import _Batches, train

ROWS, ROUNDS = 1000, 5


def main() -> None:
    """Measures in turns and prints a Markdown table."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(base_model())
    drawn = [
        Row((("user", prompt), ("assistant", response)), name, stratum, "mini", mode)
        for name, share in rows.SHARES.items()
        for stratum, prompt, response, mode in itertools.islice(rows.draw(name, 0), round(ROWS * share))
    ]
    ids = [row.id for row in drawn]
    config = replace(load_recipe("quickstart", []).config.trainer, epochs=1)
    examples = tokenise(tokenizer, [row.turns for row in drawn], ids, config.max_length)
    hashes = np.array([row_hash(i) for i in ids], dtype=np.uint64)
    plan = batches(hashes, [len(e.ids) for e in examples], config.batch_size, config.epochs, seed=0)
    tokens = sum(len(e.ids) for e in examples)
    trial, plain = [], []
    for _ in range(ROUNDS):
        model = _model()
        with tempfile.TemporaryDirectory() as scratch:
            done = train(model, tokenizer, examples, plan, config, 0, Path(scratch), lambda *_: None)
        trial.append(tokens / done.seconds)
        plain.append(tokens / _plain_loop(_model(), _Batches(examples, plan, tokenizer.pad_token_id), config))
    ratios = [a / b for a, b in zip(trial, plain, strict=True)]
    print(f"{len(plan)} steps, {tokens:,} tokens, {ROUNDS} rounds in turns, medians; torch {torch.__version__}")
    print("| | tokens/s |\n|---|---:|")
    print(f"| plain PyTorch loop | {median(plain):,.0f} |\n| trial | {median(trial):,.0f} |")
    print(f"| ratio | {median(ratios):.3f} ({min(ratios):.3f}…{max(ratios):.3f}) |")


def _model() -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(base_model(), dtype=torch.float32)


def _plain_loop(model: torch.nn.Module, data: _Batches, config: TrainerConfig) -> float:
    """Seconds of the loop that anyone would write: AdamW, a linear schedule, clipping."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=0.0)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, config.warmup_steps, len(data))
    started = time.monotonic()
    for step in range(len(data)):
        batch = data[step]
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return time.monotonic() - started


if __name__ == "__main__":
    main()
