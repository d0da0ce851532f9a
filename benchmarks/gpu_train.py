"""Training on a GPU: tokens a second and the share of what the device could do, beside TRL and a plain loop.

A model of 500M parameters with random weights reads documents of the spread that reasoning rows have. All contenders
read the same documents with the same weights in float32 and products in bfloat16; on a CPU everything is small, and
only shows that the same code runs. Two minutes on an H100. TRL takes part where it is installed.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from composer.config_trainer import TrainerConfig
from composer.trial.attention import choose_attention
from composer.trial.batch import example_weights, make_batch
from composer.trial.cost import parameter_counts, peak_flops, training_flops
from composer.trial.ledger import make_ledger
from composer.trial.losses import token_losses
from composer.trial.tokens import Tokens
from composer.trial.train import train

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
BIG = {
    "vocab_size": 32768, "hidden_size": 1536, "intermediate_size": 4096, "num_hidden_layers": 16,
    "num_attention_heads": 12, "num_key_value_heads": 4, "max_position_embeddings": 4096,
}  # fmt: skip
SMALL = {
    "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256,
}  # fmt: skip
SHAPE = BIG if ON_GPU else SMALL
LENGTH = SHAPE["max_position_embeddings"]
ROWS = 128 if ON_GPU else 8  # a step
STEPS = 7
WARM = 3  # steps that are not timed: memory is found, layers are compiled
PASS = 16_384 if ON_GPU else 1024  # tokens of a pass of those that do not find it themselves


def documents() -> Tokens:
    """Rows of a lognormal length, of which the last 60 % are learned."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(np.log(LENGTH / 6), 1.0, ROWS * STEPS), 16, LENGTH).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    ids = rng.integers(3, 500, int(starts[-1])).astype(np.int32)
    kinds = np.concatenate([np.arange(length) > 0.4 * length for length in lengths]).astype(np.uint8)
    return Tokens(ids, kinds, starts, np.arange(len(lengths)))


def model(attention: str) -> Any:
    """The model, with the same weights each time."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    made = LlamaForCausalLM._from_config(LlamaConfig(**SHAPE), attn_implementation=attention, dtype=torch.float32)
    return made.to(DEVICE)


def config(**told: Any) -> TrainerConfig:
    """Settings that the contenders share."""
    shared = {"epochs": 1, "batch_size": ROWS, "learning_rate": 1e-4, "schedule": "constant", "warmup_steps": 0}
    return TrainerConfig(name="gpu", max_length=LENGTH, precision="bf16", **shared, **told)


def composer(tokens: Tokens, told: dict[str, Any]) -> list[tuple[int, float]]:
    """(tokens, seconds) of each step of ours."""
    from composer.trial.arguments import prepared

    settings = config(**told)
    gap = 0 if settings.packing == "best_fit" else None
    made = model(choose_attention(settings.attention, DEVICE, torch.bfloat16, gap is not None))
    made = prepared(made, settings)
    ledger = make_ledger(tokens, [str(place) for place in range(len(tokens))], settings, 0, gap)
    folder = Path(tempfile.mkdtemp())
    try:
        same = [""] * len(tokens)
        ran = train(made, None, tokens, ledger, same, same, settings, 0, folder, lambda *_: None)  # type: ignore[arg-type]
    finally:
        shutil.rmtree(folder)
    print(
        f"  passes of {ran.micro_tokens} tokens, useful {ran.useful:.3f}, loss {ran.history[-1].loss:.3f}", flush=True
    )
    return [(step.tokens, step.seconds) for step in ran.history]


def plain(tokens: Tokens, told: dict[str, Any]) -> list[tuple[int, float]]:
    """A loop as one writes it: random rows, padded to the longest of a pass, torch's fused AdamW."""
    made = model("sdpa").train()
    optimizer = torch.optim.AdamW(made.parameters(), lr=1e-4, weight_decay=0.0, fused=ON_GPU)
    order, rows = np.random.default_rng(0).permutation(len(tokens)), max(1, PASS // LENGTH)
    found, since = [], time.perf_counter()
    for step in range(STEPS):
        mine = order[step * ROWS : (step + 1) * ROWS]
        weights = example_weights(tokens, mine, "token", 1.0)
        for at in range(0, ROWS, rows):
            lines = [np.array([one]) for one in mine[at : at + rows]]
            places = [np.array([at + place]) for place in range(len(lines))]
            batch = make_batch(tokens, lines, places, weights, 1.0, packed=False).to(DEVICE)
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=ON_GPU):
                loss, _ = token_losses(made, made, batch, False, False)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(made.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        torch.cuda.synchronize() if ON_GPU else None
        now = time.perf_counter()
        found.append((int(tokens.lengths[mine].sum()), now - since))
        since = now
    print(f"  loss {loss.item():.3f} of the last pass", flush=True)
    return found


def trl(tokens: Tokens, told: dict[str, Any]) -> list[tuple[int, float]]:
    """TRL's SFTTrainer on the same rows, tokenised before."""
    from datasets import Dataset
    from transformers import AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from composer.resources import base_model

    parts = [slice(int(tokens.starts[at]), int(tokens.starts[at + 1])) for at in range(len(tokens))]
    rows = Dataset.from_dict({
        "input_ids": [tokens.ids[part].tolist() for part in parts],
        "completion_mask": [tokens.kinds[part].tolist() for part in parts],
    })  # fmt: skip
    lines = round(ROWS * tokens.lengths.mean() / LENGTH) if told.get("packing") else ROWS
    at_once = max(1, PASS // LENGTH)
    found: list[tuple[int, float]] = []

    class Clock(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.since = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            torch.cuda.synchronize() if ON_GPU else None
            now = time.perf_counter()
            found.append((counted[0], now - self.since))
            self.since, counted[0] = now, 0

    counted = [0]
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder, max_length=LENGTH, per_device_train_batch_size=at_once, bf16=ON_GPU, use_cpu=not ON_GPU,
            gradient_accumulation_steps=max(1, lines // at_once), learning_rate=1e-4, lr_scheduler_type="constant",
            num_train_epochs=1, report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
            completion_only_loss=True, gradient_checkpointing=False, **told,
        )  # fmt: skip
        trainer = SFTTrainer(
            model=model("sdpa"), args=arguments, train_dataset=rows, callbacks=[Clock()],
            processing_class=AutoTokenizer.from_pretrained(base_model()),
        )  # fmt: skip
        collate = trainer.data_collator

        def counting(items: Any) -> Any:
            # Ahead of the steps, by one pass at most: the mean over steps is what counts.
            counted[0] += sum(len(item["input_ids"]) for item in items)
            return collate(items)

        trainer.data_collator = counting
        trainer.train()
    return found


CONTENDERS: dict[str, tuple[Callable[[Tokens, dict[str, Any]], list[tuple[int, float]]], dict[str, Any]]] = {
    "a plain loop, padded": (plain, {}),
    "composer, rows of like length": (composer, {"packing": "off", "micro_tokens": PASS}),
    "composer, packed": (composer, {"packing": "best_fit"}),
    "composer, packed, compiled": (composer, {"packing": "best_fit", "compile": True, "micro_tokens": 2 * PASS}),
    "composer, packed, liger": (composer, {"packing": "best_fit", "kernels": "liger"}),
    "TRL, its defaults": (trl, {}),
    "TRL, packed": (trl, {"packing": True}),
}


def main() -> None:
    """Runs the contenders one after the other and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="contenders whose name contains one of these words, with commas between them")
    given = parser.parse_args()
    name = torch.cuda.get_device_name() if ON_GPU else "cpu"
    tokens, peak = documents(), peak_flops(name)
    reference = model("sdpa")
    counts = parameter_counts(reference)
    a_token = training_flops(counts, reference.config, tokens.lengths, tokens.learned) / tokens.lengths.sum()
    del reference
    size = sum(counts[part] for part in ("body", "head")) + SHAPE["vocab_size"] * SHAPE["hidden_size"]
    print(
        f"{name}: {size / 1e6:.0f}M parameters, {len(tokens)} rows of {tokens.lengths.mean():.0f} tokens, {ROWS} a step"
    )
    lines = []
    for told, (run, settings) in CONTENDERS.items():
        wanted = not given.only or any(word in told for word in given.only.split(","))
        missing = "trl" if run is trl else "liger_kernel" if settings.get("kernels") == "liger" else "torch"
        if not wanted or importlib.util.find_spec(missing) is None:
            continue
        print(told, file=sys.stdout, flush=True)
        torch.cuda.reset_peak_memory_stats() if ON_GPU else None
        begun = time.perf_counter()
        try:
            steps = run(tokens, settings)
        except Exception as error:  # one that fails leaves the others their time
            print(f"  {type(error).__name__}: {error}", flush=True)
            continue
        whole = time.perf_counter() - begun
        timed = steps[WARM:]
        speed = sum(of for of, _ in timed) / sum(seconds for _, seconds in timed)
        memory = torch.cuda.max_memory_allocated() / 2**30 if ON_GPU else float("nan")
        lines.append((told, speed, speed * a_token / peak if peak else float("nan"), memory, whole))
        print(json.dumps(lines[-1]), flush=True)
        gc.collect()
        torch.cuda.empty_cache() if ON_GPU else None
    best = lines[0][1]
    head = ["", "useful tokens a second", "times", "MFU", "peak memory", "in all"]
    print(f"\n{name}\n\n| {' | '.join(head)} |\n| --- |{' ---: |' * 5}")
    for told, speed, mfu, memory, whole in lines:
        print(f"| {told} | {speed:,.0f} | {speed / best:.2f}× | {mfu:.3f} | {memory:.1f} GiB | {whole:.0f} s |")


if __name__ == "__main__":
    main()
