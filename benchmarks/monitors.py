"""Monitors held against planted faults and clean runs of the mini model: what they find, and what they find in vain.

`python benchmarks/monitors.py` trains about 40 runs, two at a time, in a quarter of an hour, and prints the tables of
`monitors.md`. `COMPOSER_DATA` names the folder whose `pool/think_traces/traces_en.jsonl` is the text in English.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("OMP_NUM_THREADS", "1")
QUOTAS = ("openthought", "ko_r1_stem", "daily", "mcqa")
KINDS = ("language", "shuffled", "labels", "one row", "same batch")
SIZES = (1, 2, 4, 8)
APART = 25  # clean steps between two faults
CLEAN, CLEAN_STEPS = 20, 260
FAULTY, FAULTY_STEPS = 6, 680
RATE = 6e-4  # conf/trainer/mini.yaml
RATES, DRIFTING = (1, 5, 10, 20), 3  # multiples of it, seeds of each
DRIFT_STEPS = 200


@dataclass(frozen=True)
class Run:
    """One run: `faults` are (first step, batches, kind); `rate` and `warmup` are of a constant schedule."""

    seed: int
    batch: int
    packing: str
    steps: int
    rate: float = RATE
    warmup: int = 20
    decay: float = 0.0
    schedule: str = "linear"
    faulty: bool = False


def main() -> None:
    """Trains and prints."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    forms = [(batch, packing) for batch in (4, 8) for packing in ("off", "best_fit")]
    clean = [Run(seed, *forms[seed % 4], CLEAN_STEPS) for seed in range(CLEAN)]
    faulty = [Run(100 + seed, *forms[seed % 4], FAULTY_STEPS, faulty=True) for seed in range(FAULTY)]
    drifts = [
        Run(200 + seed, 8, "best_fit", DRIFT_STEPS, times * RATE, 150, 0.0, "constant_with_warmup")
        for times in RATES
        for seed in range(DRIFTING)
    ]
    with multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=1) as pool:
        found = pool.map(trained, [*faulty, *clean, *drifts], chunksize=1)
        cures = [cured(run, of) for run, of in zip(drifts, found[-len(drifts) :], strict=True)]
        again = iter(pool.map(trained, [run for run in cures if run], chunksize=1))
    print(_of_faults(found[:FAULTY]))
    print(_of_clean(found[FAULTY : FAULTY + CLEAN]))
    print(_of_drifts(drifts, found[-len(drifts) :], [next(again) if run else None for run in cures]))


def trained(run: Run) -> dict[str, Any]:
    """What the monitors of a run told, beside where its faults were and how its loss ended."""
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from composer.config_trainer import TrainerConfig
    from composer.mixture import compose
    from composer.pool.open import open_pool
    from composer.recipe import load_recipe
    from composer.resources import base_model
    from composer.trial.attention import document_gap
    from composer.trial.ledger import make_ledger
    from composer.trial.tokens import tokens_of
    from composer.trial.train import train

    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    epochs = 2
    shares = np.maximum(np.random.default_rng(run.seed).dirichlet([2, 2, 2, 1]), 0.02)
    shares = np.round(shares / shares.sum(), 3)
    shares[0] += 1 - shares.sum()
    given = [f"mixture.quotas.{name}={share:.3f}" for name, share in zip(QUOTAS, shares, strict=True)]
    size = run.steps * run.batch // epochs
    recipe = load_recipe("quickstart", [*given, f"mixture.size={size}", f"mixture.seed={run.seed}", "pool.rows=60000"])
    pool = open_pool(recipe.config.pool)
    table = pool.take(compose(pool.index, replace(recipe.config.mixture, shortage="redistribute")).positions)
    tokenizer = AutoTokenizer.from_pretrained(base_model())
    config = TrainerConfig(
        name="mini", epochs=epochs, batch_size=run.batch, learning_rate=run.rate, warmup_steps=run.warmup,
        weight_decay=run.decay, schedule=run.schedule, packing=run.packing,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(base_model(), dtype=torch.float32)
    tokens, ids = tokens_of(table, tokenizer, config.max_length, "error"), table["id"].to_pylist()
    groups = [f"{one['category']} {one['source']}" for one in table.select(["category", "source"]).to_pylist()]
    ledger = make_ledger(tokens, ids, config, run.seed, document_gap(model.config) if run.packing != "off" else None)
    faults: list[tuple[int, int, str]] = []
    if run.faulty:
        faults = schedule_of(run.seed, len(ledger))
        tokens, ledger, groups, ids = Planter(tokenizer, tokens, ledger, groups, ids, run.seed).planted(faults)
    with tempfile.TemporaryDirectory() as folder:
        done = train(model, tokenizer, tokens, ledger, groups, ids, config, run.seed, Path(folder), lambda *_: None)
    return {
        "steps": done.steps, "faults": faults, "events": [event.as_json() for event in done.events],
        "end": fmean(step.loss for step in done.history[-30:]),
    }  # fmt: skip


def schedule_of(seed: int, steps: int) -> list[tuple[int, int, str]]:
    """Faults of every kind and size, in random order, as many as there is room for."""
    rng = np.random.default_rng([seed, 3])
    todo = [(kind, size) for kind in KINDS for size in SIZES]
    rng.shuffle(todo)
    at, faults = 60 + int(rng.integers(20)), []
    for kind, size in todo:
        if at + int(size) + APART > steps:
            break
        faults.append((at, int(size), str(kind)))
        at += int(size) + APART
    return faults


class Planter:
    """Spoils rows of whole steps; what is spoiled stands in the place, the length and the group of what was there."""

    def __init__(self, tokenizer: Any, tokens: Any, ledger: Any, groups: list[str], ids: list[str], seed: int) -> None:
        """Takes what a run would train on."""
        self.tokenizer, self.tokens, self.ledger = tokenizer, tokens, ledger
        self.groups, self.ids, self.rng = groups, ids, np.random.default_rng([seed, 4])
        self.more: list[tuple[NDArray[np.int32], NDArray[np.uint8]]] = []
        self.of: list[tuple[str, str]] = []
        self.special = list(tokenizer.added_tokens_decoder)

    def planted(self, faults: Sequence[tuple[int, int, str]]) -> tuple[Any, Any, list[str], list[str]]:
        """Tokens, ledger, groups and ids with the faults."""
        from composer.trial.ledger import Ledger
        from composer.trial.tokens import Tokens

        steps = [[line.tolist() for line in self.ledger.read(step)] for step in range(1, len(self.ledger) + 1)]
        for first, size, kind in faults:
            for step in range(first - 1, first - 1 + size):
                if kind == "one row":  # fills the batch
                    one = steps[step][0][0]
                    steps[step] = [[self.copied(one) for _ in line] for line in steps[step]]
                elif kind == "same batch":  # once more
                    steps[step] = steps[first - 2]
                else:
                    steps[step] = [[self.spoiled(one, kind) for one in line] for line in steps[step]]
        lines = [line for step in steps for line in step]
        told = [*zip(self.groups, self.ids, strict=True), *self.of]
        starts = self.tokens.starts[-1] + np.cumsum([len(ids) for ids, _ in self.more], dtype=np.int64)
        tokens = Tokens(
            np.concatenate([self.tokens.ids, *(ids for ids, _ in self.more)]),
            np.concatenate([self.tokens.kinds, *(kinds for _, kinds in self.more)]),
            np.concatenate([self.tokens.starts, starts]),
            np.concatenate([self.tokens.places, len(self.groups) + np.arange(len(self.more))]),
        )
        ledger = Ledger(
            np.concatenate(lines), np.cumsum([0, *map(len, lines)]), np.cumsum([0, *map(len, steps)]),
            self.ledger.packed,
        )  # fmt: skip
        return tokens, ledger, [group for group, _ in told], [name for _, name in told]

    def copied(self, example: int) -> int:
        """The place of the same example once more, as of a row that a mixture repeats."""
        place = int(self.tokens.places[example])
        self.more.append(self.example(example))
        self.of.append((self.groups[place], self.ids[place]))
        return len(self.tokens) + len(self.more) - 1

    def spoiled(self, example: int, kind: str) -> int:
        """The place of an example like one, spoiled."""
        ids, kinds = self.example(example)
        plain = ~np.isin(ids, self.special)
        if kind == "language":
            ids[plain] = _english(self.tokenizer, int(plain.sum()), self.rng)
        elif kind == "shuffled":
            said = np.flatnonzero(plain & (kinds > 0))
            ids[said] = ids[self.rng.permutation(said)]
        else:
            ids, kinds = self.answered_otherwise(example, ids, kinds)
        place = int(self.tokens.places[example])
        self.more.append((ids, kinds))
        self.of.append((self.groups[place], f"{kind} {len(self.more)}"))
        return len(self.tokens) + len(self.more) - 1

    def answered_otherwise(self, example: int, ids: Any, kinds: Any) -> tuple[Any, Any]:
        """A row with the answer of another of its group, the nearest in length."""
        group = np.array(self.groups)[self.tokens.places]
        like = np.flatnonzero((group == group[example]) & (np.arange(len(self.tokens)) != example))
        near = like[np.argsort(np.abs(self.tokens.lengths[like] - len(ids)), kind="stable")[:20]]
        other, theirs = self.example(int(self.rng.choice(near)))
        own, start = (int(np.flatnonzero(of > 0)[0]) for of in (kinds, theirs))
        return np.concatenate([ids[:own], other[start:]]), np.concatenate([kinds[:own], theirs[start:]])

    def example(self, place: int) -> tuple[Any, Any]:
        """Copies of the ids and kinds of an example."""
        part = slice(self.tokens.starts[place], self.tokens.starts[place + 1])
        return self.tokens.ids[part].copy(), self.tokens.kinds[part].copy()


@cache
def _text(tokenizer: Any) -> NDArray[np.int32]:
    file = Path(os.environ["COMPOSER_DATA"]) / "pool" / "think_traces" / "traces_en.jsonl"
    told = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    told = [told[at] for at in np.random.default_rng(0).permutation(len(told))[:150]]
    text = "\n".join(one["thinking"] + one["response"] for one in told)
    return np.array(tokenizer(text, add_special_tokens=False)["input_ids"], np.int32)


def _english(tokenizer: Any, size: int, rng: np.random.Generator) -> NDArray[np.int32]:
    text = _text(tokenizer)
    at = int(rng.integers(0, len(text) - size))
    return text[at : at + size]


def cured(run: Run, found: dict[str, Any]) -> Run | None:
    """The run with what its first drift event says to try."""
    drifts = [event for event in found["events"] if event["kind"] == "drift"]
    if not drifts:
        return None
    line = drifts[0]["told"].rsplit(": ", 1)[1]
    told = dict(change.removeprefix("trainer.").split("=") for change in line.split())
    return replace(
        run, rate=float(told["learning_rate"]), decay=float(told["weight_decay"]), warmup=int(told["warmup_steps"])
    )


def _of_faults(found: Sequence[dict[str, Any]]) -> str:
    cells: dict[tuple[str, int], list[float]] = defaultdict(list)
    false = steps = 0
    for of in found:
        told = {event["step"] for event in of["events"] if event["kind"] in ("spike", "repeats")}
        bad = {first + at for first, size, _ in of["faults"] for at in range(size)}
        false, steps = false + len(told - bad), steps + of["steps"] - len(bad)
        for first, size, kind in of["faults"]:
            cells[kind, size].append(len(told & set(range(first, first + size))) / size)
    rows = []
    for kind in KINDS:
        of_kind = [cells[kind, size] for size in SIZES]
        rows.append(f"| {kind} | {' | '.join(map(_cell, [*of_kind, sum(of_kind, [])]))} |")
    sizes = [f"{size} batches" if size > 1 else "1 batch" for size in SIZES]
    head = f"| fault | {' | '.join(sizes)} | all |\n|---|{'---:|' * (len(sizes) + 1)}"
    return "\n".join([head, *rows, f"\nFalse alarms between the faults: {false} in {steps:,} steps."])


def _cell(shares: list[float]) -> str:
    if not shares:
        return "–"
    return f"{sum(share > 0 for share in shares)} of {len(shares)} ({fmean(shares):.0%} of steps)"


def _of_clean(found: Sequence[dict[str, Any]]) -> str:
    events = [event for of in found for event in of["events"]]
    kinds = {kind: sum(event["kind"] == kind for event in events) for kind in ("spike", "repeats", "drift")}
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"\nClean runs: {told} in {sum(of['steps'] for of in found):,} steps of {len(found)} runs.\n"


def _of_drifts(runs: Sequence[Run], found: Sequence[dict[str, Any]], again: Sequence[dict[str, Any] | None]) -> str:
    head = [
        "learning rate",
        "drift told",
        "spikes told",
        "loss at the end",
        "as it says: drift told",
        "loss at the end",
    ]
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for times in RATES:
        of = [at for at, run in enumerate(runs) if math.isclose(run.rate, times * RATE)]
        told = [any(event["kind"] == "drift" for event in found[at]["events"]) for at in of]
        spikes = sum(event["kind"] == "spike" for at in of for event in found[at]["events"])
        after = [cure for at in of if (cure := again[at]) is not None]
        still = sum(any(event["kind"] == "drift" for event in cure["events"]) for cure in after)
        ends = [fmean(one["end"] for one in ones) if ones else None for ones in ([found[at] for at in of], after)]
        said = [f"{end:.2f}" if end is not None else "–" for end in ends]
        fixed = f"{still} of {len(after)}" if after else "–"
        lines.append(f"| {times} × {RATE:g} | {sum(told)} of {len(of)} | {spikes} | {said[0]} | {fixed} | {said[1]} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
